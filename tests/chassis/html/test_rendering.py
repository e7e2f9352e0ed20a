"""Names, categories and file names in reports: shown as they are, never as markup."""

import math
import re
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from jinja2 import UndefinedError

from mlchassis.config.yaml_edit import set_values
from mlchassis.html import rendering
from mlchassis.html.blocks import (
    Bars,
    Block,
    Curve,
    Lead,
    Section,
    Table,
    Text,
    Timeline,
    TimelinePoint,
)
from mlchassis.html.rendering import escape_markdown, render_markdown, render_page
from mlchassis.reporting.model_report import _metadata

HOSTILE = [
    "![b](http://evil.example/beacon.png)",
    "[click](javascript:alert(1))",
    "[ref]: http://evil.example",
    "<b>evil</b><script>alert(1)</script>",
    "# heading",
    "> quote",
    "- item",
    "1. item",
    "===",
    "a | b | c",
    "`code` and ```fence```",
    "__bold__ *it* ~~gone~~",
    "~~~",
    "---",
    "two\n\n# lines",
    "title\x1b]0;x\x07\u202e",
]
MARKUP = re.compile(r"(?<!\\)[\[\]!<>#|`*_]")


@pytest.mark.parametrize("words", HOSTILE)
def test_markdown_shows_a_value_as_it_is(words: str) -> None:
    text = render_markdown([Section("Values", [Text(words), Table(("name",), [(words,)])])])
    paragraph, row = text.splitlines()[2], text.splitlines()[-1]
    assert not MARKUP.search(paragraph)
    assert not MARKUP.search(row.removeprefix("| ").removesuffix(" |"))
    assert not re.match(r"\s*([-+=~]|\d+[.)])(\s|$|[-=~])", paragraph)
    assert text.isprintable() or all(sign.isprintable() or sign == "\n" for sign in text)
    assert len(text.splitlines()) == 7


def test_ordinary_words_stay_readable() -> None:
    for words in ("ROC AUC 0.72 (0.70 to 0.74), 15 %", "0.7", "-0.01", "+3 & more"):
        assert escape_markdown(words) == words


@pytest.mark.parametrize("words", HOSTILE)
def test_a_page_shows_a_value_as_it_is(words: str) -> None:
    lead = Lead(words, words, True, [words], [(words, words)])
    blocks: list[Block] = [
        Text(words),
        Table((words,), [(words,)], words),
        Bars(words, [(words, 1.0, words)], words),
        Curve(words, words, words, [(0.0, 0.0), (1.0, 1.0)]),
        Timeline(words, [TimelinePoint(words, 1.0)], words),
    ]
    page = render_page(words, lead, [Section(words, blocks)])
    assert "<script>alert" not in page
    assert "<b>evil" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_a_template_that_asks_for_a_missing_name_fails() -> None:
    template = rendering._make_environment().from_string("{{ lead.headnig }}")
    with pytest.raises(UndefinedError, match="headnig"):
        template.render(lead=Lead("heading", "", True, [], []))


def test_a_value_above_its_limit_is_marked_and_a_gap_is_left() -> None:
    points = [
        TimelinePoint("a", 1.0, limit=2.0, low=0.5, high=1.5),
        TimelinePoint("b", None, limit=2.0),
        TimelinePoint("c", 4.0, limit=2.0),
    ]
    page = render_page("t", Lead("h", "v", True, [], []), [Section("s", [Timeline("x", points)])])
    assert re.findall(r'<circle class="(\w+)" cx="([\d.]+)" cy="([\d.]+)"', page) == [
        ("within", "85.8", "153.8"),
        ("above", "249.2", "15.0"),
    ]
    assert page.count('class="grid"') == 3
    assert 'd="M85.8 176.9V130.6"' in page


def render(block: Block) -> str:
    return render_page("t", Lead("h", "v", True, [], []), [Section("s", [block])])


def test_a_timeline_of_many_periods_has_labels_that_do_not_overlap() -> None:
    points = [TimelinePoint(f"05-{day:02d}", 1.0) for day in range(1, 21)]
    labels = re.findall(r'<text x="([\d.]+)" y="216"[^>]*>([^<]+)<', render(Timeline("x", points)))
    assert labels[-1][1] == "05-20"
    places = [float(place) for place, _ in labels]
    assert min(after - before for before, after in pairwise(places)) > 30


def test_a_curve_of_a_single_point_is_visible() -> None:
    page = render(Curve("Calibration", "predicted", "observed", [(0.25, 0.5)], True))
    assert '<circle class="within" cx="106.2" cy="105.0"' in page


def test_a_curve_without_a_finite_point_is_an_empty_chart() -> None:
    nowhere = [(math.nan, 1.0), (1.0, math.inf)]
    assert "<circle" not in render(Curve("x", "a", "b", nowhere))
    assert "<circle" not in render(Curve("x", "a", "b", [], proportions=False))


@pytest.mark.parametrize(
    ("largest", "label"), [(4.5e9, "4.5e9"), (-2.5e-9, "-2.5e-9"), (123_456.0, "123,000")]
)
def test_a_number_beside_an_axis_has_room(largest: float, label: str) -> None:
    page = render(Curve("x", "a", "b", [(0.0, largest)], proportions=False))
    assert f">{label}</text>" in page


def test_a_bar_without_a_number_has_no_length() -> None:
    page = render(Bars("x", [("a", math.nan, "nan"), ("b", math.inf, "inf"), ("c", 2.0, "2")]))
    assert re.findall(r'style="width:([^%]+)%', page) == ["0.0", "0.0", "100.0"]


def test_labels_are_shown_whole_and_paper_shows_what_scrolls_or_is_folded() -> None:
    page = render(Text("x"))
    assert "ellipsis" not in page
    printed = page.partition("@media print")[2]
    assert ".wide { overflow: visible; }" in printed
    assert "details::details-content { content-visibility: visible" in printed


@pytest.mark.parametrize("name", ["<b>evil", "a: b", "x\ny: z", "!!python/object", "# no", "'\""])
def test_the_front_matter_holds_a_name_as_data(name: str) -> None:
    bundle: Any = SimpleNamespace(metadata=SimpleNamespace(name=name, task="binary"))
    evaluation: Any = SimpleNamespace(metrics={"roc_auc": SimpleNamespace(value=0.7)})
    text = _metadata(bundle, evaluation)
    _, front, rest = text.split("---\n")
    document = yaml.safe_load(front)
    assert document["model-index"][0]["name"] == name.replace("\n", "\\n")
    assert re.search(r'^- name: "', front, re.MULTILINE)
    assert not MARKUP.search(rest.strip().removeprefix("# "))


def test_a_comment_in_the_parameters_stays_a_comment() -> None:
    text = set_values("split:\n  group: null\n", {"split.group": ("a", "of 'x\nseed: 1'")})
    assert yaml.safe_load(text) == {"split": {"group": "a"}}


def test_a_long_name_beside_a_bar_breaks_after_an_underscore() -> None:
    bars = Bars("Columns", [("aircraft_manufacturer: missing", 0.5, "0.50")], "")
    page = render(bars)
    assert '<span dir="auto">aircraft_<wbr>manufacturer: missing</span>' in page
