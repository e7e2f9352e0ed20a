"""Limits on size, and a ban on paths of one machine."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bake import PAYLOAD, ROOT, list_tracked

MOST_PROMPTS = 8

SOURCES = sorted(path for name in ("src", "chassis") for path in (PAYLOAD / name).rglob("*.py"))

# Written apart, so that this file does not hold what it forbids.
INDEX_ADDRESS = re.compile(
    "|".join(
        [
            "(?:files\\.)?" + "python" + "hosted" + "\\.org",
            "py" + "pi\\.(?:org|python\\.org)",
            "registry\\.(?:npm" + "js|yarn" + "pkg)",
            "--(?:extra-)?index" + "-url",
            "--find" + "-links",
        ]
    )
)
LOCK_FILES = {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "package-lock.json"}


def read_tracked_texts() -> Iterator[tuple[str, str]]:
    """Yield name and text of each tracked file that is text."""
    for name in list_tracked():
        content = (ROOT / name).read_bytes()
        if b"\0" not in content:
            yield name, content.decode("utf-8", errors="replace")


def test_there_are_at_most_eight_prompts() -> None:
    definition = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    assert len([name for name in definition if not name.startswith("_")]) <= MOST_PROMPTS


def test_the_payloads_source_is_plain_python() -> None:
    for path in SOURCES:
        source = path.read_text(encoding="utf-8")
        compile(source, path.name, "exec")
        assert "cookiecutter" not in source, path
        # Doubled braces alone say nothing: an f-string writes them for a single one.
        assert not re.search(r"\{%|\{#", source), path


def test_the_payloads_tests_hold_jinja_in_import_lines_alone() -> None:
    expected = r"\s*(from|import) \{\{ cookiecutter\.package_name \}\}"
    for path in PAYLOAD.glob("tests/**/*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        marked = [line for line in lines if re.search(r"\{\{|\{%|\{#", line)]
        assert [line for line in marked if not re.match(expected, line)] == [], path


def test_no_tracked_file_names_a_path_of_this_machine() -> None:
    # A Dockerfile may mount a cache in root's home folder: that is the image's, not this machine's.
    places = [re.escape(str(ROOT)), re.escape(str(Path.home())) + r"/(?!\.cache\b)"]
    pattern = re.compile("|".join([*places, "/home" + "/[a-z]", "/Users" + "/[a-z]"]))
    assert [name for name, text in read_tracked_texts() if pattern.search(text)] == []


def test_no_tracked_file_names_a_package_index() -> None:
    assert [name for name, text in read_tracked_texts() if INDEX_ADDRESS.search(text)] == []


def test_no_lock_file_with_addresses_is_tracked() -> None:
    assert [name for name in list_tracked() if Path(name).name in LOCK_FILES] == []


@pytest.mark.parametrize("folder", [ROOT, PAYLOAD], ids=["template", "payload"])
def test_every_requirement_is_pinned_with_its_hashes(folder: Path) -> None:
    files = sorted((folder / "requirements").glob("*.txt"))
    assert files
    for path in files:
        text = re.sub(r"#.*", "", path.read_text(encoding="utf-8")).replace("\\\n", " ")
        for line in filter(str.strip, text.splitlines()):
            assert re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), f"{path.name}: {line}"
