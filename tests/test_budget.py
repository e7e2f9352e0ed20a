"""Limits on size, and a ban on paths of one machine."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from bake import PAYLOAD, ROOT, list_tracked

MOST_PROMPTS = 8
MOST_ENTRIES = 16
MOST_DAILY_VERBS = 12
MOST_PACKAGE_FILES = 10
MOST_PACKAGE_LINES = 900
MOST_TEST_LINES = 600
MOST_FUNCTION_LINES = 30
MOST_BRANCHES = 8

CHASSIS = PAYLOAD / "chassis" / "src" / "mlchassis"
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


def list_functions(path: Path, root: Path | None = None) -> Iterator[tuple[str, int]]:
    """Yield file and name, and length of each function, without decorators and docstring."""
    file = path.relative_to(root).as_posix() if root else path.name
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            has_docstring = ast.get_docstring(node) is not None
            docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
            yield f"{file}: {node.name}", (node.end_lineno or 0) - node.lineno + 1 - docstring


def count_lines(paths: Iterable[Path]) -> int:
    """Count the lines of some files."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def test_a_project_has_at_most_16_visible_entries(project: Path) -> None:
    entries = [path.name for path in project.iterdir() if not path.name.startswith(".")]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


def test_make_lists_at_most_twelve_verbs_before_the_others(project: Path) -> None:
    listing = subprocess.run(
        ["make", "--no-print-directory"], cwd=project, capture_output=True, text=True, check=True
    ).stdout
    daily, _, more = listing.partition("more:\n")
    assert 0 < len(re.findall(r"^  make", daily, re.MULTILINE)) <= MOST_DAILY_VERBS
    makefile = (project / "Makefile").read_text(encoding="utf-8")
    described = re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE)
    assert sorted(re.findall(r"^  make (\S+)", daily + more, re.MULTILINE)) == sorted(described)


def test_the_teams_package_is_small(project: Path) -> None:
    files = list((project / "src").rglob("*.py"))
    assert 0 < len(files) <= MOST_PACKAGE_FILES
    assert count_lines(files) <= MOST_PACKAGE_LINES


def test_the_teams_tests_are_small(project: Path) -> None:
    files = list((project / "tests").rglob("*.py"))
    assert 0 < count_lines(files) <= MOST_TEST_LINES


def test_the_teams_functions_are_short(project: Path) -> None:
    paths = [path for folder in ("src", "tests") for path in (project / folder).rglob("*.py")]
    functions = [found for path in paths for found in list_functions(path)]
    assert functions
    assert [found for found in functions if found[1] > MOST_FUNCTION_LINES] == []


def find_complex_functions(*folders: Path) -> str:
    """Return what ruff reports about functions with too many branches."""
    limit = f"lint.mccabe.max-complexity={MOST_BRANCHES}"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache"),
            *("--select", "C901", "--config", limit),
            *map(str, folders),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_teams_functions_are_simple(project: Path) -> None:
    assert find_complex_functions(project / "src", project / "tests") == ""


def test_the_chassis_functions_are_short() -> None:
    functions = [found for path in CHASSIS.rglob("*.py") for found in list_functions(path, CHASSIS)]
    assert functions
    assert [found for found in functions if found[1] > MOST_FUNCTION_LINES] == []


def test_the_chassis_functions_are_simple() -> None:
    assert find_complex_functions(CHASSIS) == ""


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
