"""YAML is edited in place: what is not edited keeps its characters."""

import pytest
import yaml

from mlchassis.config.source_params import FilesParams
from mlchassis.config.yaml_edit import (
    insert_items,
    insert_line_before,
    remove_items,
    remove_key,
    set_source,
    set_values,
)
from mlchassis.errors import ProjectError

TEXT = """# head
a:
  b: 1                         # one
  # between
  c: "x: y"
  d: {e: [1, 2],
      f: 3}
  g: |
    a text

  h:
# tail
s:
  - one  # first
  # about two
  - two:
      x: 1
  - three
  # below
t: [one, two]  # flow
"""


def test_a_value_changes_with_its_comment_and_nothing_else() -> None:
    values = {"a.b": (2, "two"), "a.d": ({"e": []}, "none"), "a.h": ("z", "zed")}
    changed = set_values(TEXT, values)

    expected = TEXT.replace(
        "b: 1                         # one", "b: 2                         # two"
    )
    for old, new in {
        "  d: {e: [1, 2],\n      f: 3}\n": "  d: {e: []}                   # none\n",
        "  h:\n": "  h: z                         # zed\n",
    }.items():
        expected = expected.replace(old, new)
    assert changed == expected


def test_a_value_of_several_lines_is_replaced_whole() -> None:
    changed = set_values(TEXT, {"a.g": ("short", "was long"), "s": ([], "none")})

    assert yaml.safe_load(changed) == {**yaml.safe_load(TEXT), "s": []} | {
        "a": {**yaml.safe_load(TEXT)["a"], "g": "short"}
    }
    assert "# below\n" in changed


def test_items_go_and_comments_on_lines_of_their_own_stay() -> None:
    changed = remove_items(TEXT, ["s"], lambda item: item != "one")

    assert changed == TEXT.replace("  - two:\n      x: 1\n  - three\n", "")
    assert remove_items(TEXT, ["t"], lambda item: item == "one") == TEXT.replace(
        "[one, two]", "[two]"
    )
    assert "s: []\n" in remove_items(TEXT, ["s"], lambda _: True)
    assert remove_items(TEXT, ["none"], lambda _: True) == TEXT


def test_items_are_inserted_before_others_or_at_the_end() -> None:
    first = insert_items(TEXT, ["s"], ["zero: {}"], before=lambda item: item == "one")
    last = insert_items(TEXT, ["s"], ["four"], before=lambda _: False)

    assert first == TEXT.replace("  - one  #", "  - zero: {}\n  - one  #")
    assert last == TEXT.replace("  - three\n", "  - three\n  - four\n")
    empty = insert_items("a: []\nb: 1\n", ["a"], ["x"], before=lambda _: False)
    assert empty == "a: [x]\nb: 1\n"
    assert insert_items("a:\nb: 1\n", ["a"], ["x"], before=lambda _: False) == "a: [x]\nb: 1\n"


def test_lines_are_inserted_and_keys_removed() -> None:
    changed = insert_line_before(TEXT, ["a", "d"], "new: 1")

    assert changed == TEXT.replace("  d: {e", "  new: 1\n  d: {e")
    assert remove_key(changed, ["a", "new"]) == TEXT
    assert remove_key(TEXT, ["a", "none"]) == TEXT
    with pytest.raises(ProjectError, match=r"dvc\.yaml lacks 'a\.none'"):
        insert_line_before(TEXT, ["a", "none"], "x: 1")


def test_a_source_that_is_the_same_keeps_its_comments() -> None:
    text = "source:\n  kind: files\n  path: a.csv  # of Ada\n# next\nseed: 1\n"
    same = FilesParams(kind="files", path="a.csv")
    other = FilesParams(kind="files", path="b.csv")

    assert set_source(text, same) == text
    changed = set_source(text, other)
    assert changed.endswith("  path: b.csv\n# next\nseed: 1\n")
    with pytest.raises(ProjectError, match="no section 'source'"):
        set_source("seed: 1\n", same)


def test_without_a_new_comment_the_old_one_stays() -> None:
    changed = set_values(TEXT, {"a.b": (2, None), "a.c": (3, None), "a.g": ("x", None)})

    assert "  b: 2                         # one\n" in changed
    assert "  c: 3\n" in changed
    assert "  g: x\n" in changed
