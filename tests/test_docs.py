"""Files, headings, make verbs and tests that the docs name must exist."""

import re
import tomllib
from pathlib import Path

import pytest

from bake import PAYLOAD, ROOT, list_tracked

# Sphinx checks the links of the site's own page (test_doc_site.py): they start from its root.
TEMPLATE = [
    name
    for name in list_tracked()
    if name.endswith(".md") and not name.startswith((PAYLOAD.name, "docs/site/"))
]
GENERATED = [
    Path(name).relative_to(PAYLOAD.name).as_posix()
    for name in list_tracked()
    if name.endswith(".md") and name.startswith(PAYLOAD.name)
]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
ROOMS = "src chassis tests docs deploy tools faults hooks requirements notebooks .github".split()
TEST = re.compile(r"`(?:ml-template/)?(tests/[\w/]+\.py)?(?:::(\w+))?`")
PLACE = re.compile(rf"^(?:{'|'.join(map(re.escape, ROOMS))})/[\w./-]*$")


def read_code(text: str) -> list[str]:
    """Blocks and spans of code."""
    return [block or span for block, span in CODE.findall(text)]


def find_anchors(text: str) -> set[str]:
    """Anchors of a document: headings as they appear in links, and named places."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)"', text))


def find_broken_links(file: Path) -> list[str]:
    broken = []
    for name, anchor in LINK.findall(file.read_text(encoding="utf-8")):
        target = file.parent / name if name else file
        known = target.suffix == ".md" and target.is_file()
        anchors = find_anchors(target.read_text(encoding="utf-8")) if known else set()
        if not target.exists() or (anchor and anchor not in anchors):
            broken.append(f"{name}#{anchor}" if anchor else name)
    return broken


def read_verbs(makefile: Path) -> set[str]:
    text = makefile.read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):.*##", text, re.MULTILINE))


def find_unknown_verbs(file: Path, verbs: set[str]) -> set[str]:
    code = "\n".join(read_code(file.read_text(encoding="utf-8")))
    lines = re.findall(r"\bmake ((?:[a-z][a-z-]*\b[ |]?(?!=))+)", code)
    return {verb for line in lines for verb in re.split(r"[ |]", line) if verb} - verbs


def find_missing_places(file: Path, root: Path, package: str = "") -> list[str]:
    named = {code for code in read_code(file.read_text(encoding="utf-8")) if PLACE.match(code)}
    # A project's pages write `src/` for its package and `chassis/` for that of the chassis.
    stands_for = {"src/": f"src/{package}/", "chassis/": "chassis/src/mlchassis/"}
    places = {
        name: [root / name, *(root / name.replace(*pair, 1) for pair in stands_for.items())]
        for name in named
    }
    return [name for name, tried in places.items() if not any(place.exists() for place in tried)]


def find_missing_tests(file: Path) -> list[str]:
    """Tests of the template that a page names; `::name` is one of the file named before it."""
    path = ""
    missing = []
    for found in TEST.finditer(file.read_text(encoding="utf-8")):
        path = found[1] or path
        source = ROOT / path
        if found[2] and not (source.is_file() and f"def {found[2]}(" in source.read_text()):
            missing.append(f"{path}::{found[2]}")
    return missing


@pytest.mark.parametrize("name", TEMPLATE)
def test_what_the_templates_pages_name_is_there(name: str) -> None:
    verbs = read_verbs(ROOT / "Makefile") | read_verbs(PAYLOAD / "Makefile")
    assert find_broken_links(ROOT / name) == []
    assert find_unknown_verbs(ROOT / name, verbs) == set()
    assert find_missing_tests(ROOT / name) == []
    in_template = find_missing_places(ROOT / name, ROOT)
    assert [place for place in in_template if not (PAYLOAD / place).exists()] == []


@pytest.mark.parametrize("name", GENERATED)
def test_what_a_projects_pages_name_is_there(name: str, project: Path) -> None:
    assert find_broken_links(project / name) == []
    assert find_unknown_verbs(project / name, read_verbs(project / "Makefile")) == set()
    assert find_missing_places(project / name, project, "ml_service") == []
    assert find_missing_tests(project / name) == []


def test_every_direct_dependency_of_the_tools_is_explained() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = [entry for group in groups["dependency-groups"].values() for entry in group]
    wanted = {re.split(r"[\[<>=]", entry)[0] for entry in listed if isinstance(entry, str)}
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w, -]+) \| \w.*\|$", page, re.MULTILINE)
    explained = {name for row in rows for name in row.split(", ")} - {"package"}
    assert explained == wanted


def test_what_is_not_there_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One heading\n[a](other.md) [b](#one-heading) [c](#two) [d](https://example.org/x)\n"
        "`tests/test_docs.py::find_anchors` `::test_absent` `ml-template/tests/no.py::test_it`\n"
        "`make test` `make tset` `src/absent.py`\n```\nmake run SERVE=0\nmake fly high\n```\n"
    )
    assert find_broken_links(page) == ["other.md", "#two"]
    assert find_unknown_verbs(page, {"test", "run"}) == {"tset", "fly", "high"}
    assert find_missing_places(page, tmp_path, "package") == ["src/absent.py"]
    assert find_missing_tests(page) == ["tests/test_docs.py::test_absent", "tests/no.py::test_it"]
