"""What keeps the template small, and free of what belongs to one machine only."""

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from bake import PAYLOAD, ROOT, list_tracked

MOST_PROMPTS = 8
# Lines of code by room: explanations are what makes it readable, so they cost nothing. An afternoon
# is for what turns rows into a promoted model; the other rooms are read for a purpose.
MOST_LINES = {
    "serving": 2350,
    "adoption": 1500,
    "sources": 450,
    "study": 700,
    "reporting": 700,
    "the rest": 5000,
}
LONGEST_FILE = 300

SOURCES = sorted((PAYLOAD / "src").rglob("*.py"))

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


def count_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def find_docstring_lines(source: str) -> set[int]:
    """The numbers of the lines that a docstring takes: a string that is a statement of its own."""
    return {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def count_code(source: str) -> int:
    """Count as line counters for code do: without blank lines, comments and docstrings."""
    layout = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in layout
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(code - find_docstring_lines(source))


def test_there_are_at_most_eight_prompts() -> None:
    definition = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    assert len([name for name in definition if not name.startswith("_")]) <= MOST_PROMPTS


def test_the_payload_can_be_read_in_an_afternoon() -> None:
    assert SOURCES
    code = dict.fromkeys(MOST_LINES, 0)
    for path in SOURCES:
        room = path.parent.name if path.parent.name in MOST_LINES else "the rest"
        code[room] += count_code(path.read_text(encoding="utf-8"))
    assert {room: lines for room, lines in code.items() if lines > MOST_LINES[room]} == {}


def test_the_budget_is_of_code_alone() -> None:
    source = (
        '"""A module.\n\nIn three lines."""\n\n# Why.\nNAMES = [  # what\n    "a",\n]\n'
        '"""Said of NAMES."""\n\n\ndef f() -> str:\n    """Does."""\n    return """x\n\n"""\n'
    )
    assert count_code(source) == 3 + 1 + 3


def test_no_source_file_is_long() -> None:
    long_files = {path.name: count_lines(path) for path in SOURCES}
    assert {name: lines for name, lines in long_files.items() if lines > LONGEST_FILE} == {}


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
