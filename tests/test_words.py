"""Docstrings, help texts and messages use plain standard English."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bake import PAYLOAD, ROOT

CODE = (PAYLOAD / "chassis" / "src", PAYLOAD / "src", ROOT / "hooks", ROOT / "tools")
TESTS = (ROOT / "tests", PAYLOAD / "tests")
PROSE = (
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("faults/*.md"),
    *ROOT.glob("faults/*/fault.yaml"),
    *PAYLOAD.glob("*.md"),
    *PAYLOAD.glob("docs/*.md"),
    *PAYLOAD.glob("*.yaml"),
    *PAYLOAD.glob("chassis/*.md"),
    ROOT / "Makefile",
    PAYLOAD / "Makefile",
)

_CLAUSE = re.compile(r"(What|Who|Whom|Whose|Whether|Where|Which|By|How)\b")
"""First words of a relative clause; a description starts with a noun phrase or an imperative."""
_ENTRY = re.compile(r"^ +[A-Za-z_]+: (.+)$", re.MULTILINE)
"""An entry of `Args:` or `Attributes:` in a docstring."""
_AVOIDED = re.compile(
    r"\b(anew|mend(s|ed|ing)?|nought|dear(er|est)?|alike|h(o|e)ld(s|ing)?\b[^.]{0,40} against|"
    r"(short|long) way)\b",
    re.IGNORECASE,
)
_HELP = re.compile(r"^([a-z][a-z-]*):.*##\+? (.+)$", re.MULTILINE)
_DESCRIPTIONS = {"help", "description", "summary"}


def find_sources(folders: tuple[Path, ...]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.rglob("*.py"))


def read_source(path: Path) -> str:
    """Python code, with a name in place of the template's tag."""
    return re.sub(r"{{ ?cookiecutter\.package_name ?}}", "package", path.read_text())


def find_docstrings(tree: ast.Module) -> Iterator[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and (text := ast.get_docstring(node, clean=False)):
            yield text


def find_descriptions(tree: ast.Module) -> Iterator[str]:
    """Help texts of commands and options, and descriptions of fields and routes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in _DESCRIPTIONS:
            yield from find_strings(node.value)


def find_strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def find_clauses(source: str) -> list[str]:
    """Descriptions in Python code that start with a relative clause."""
    tree = ast.parse(source)
    docstrings = list(find_docstrings(tree))
    entries = [entry for text in docstrings for entry in _ENTRY.findall(text)]
    return [
        text.splitlines()[0]
        for text in (*docstrings, *entries, *find_descriptions(tree))
        if _CLAUSE.match(text)
    ]


def find_avoided(source: str) -> list[str]:
    """Words to avoid in the strings of Python code, docstrings included."""
    found = [_AVOIDED.search(text) for text in find_strings(ast.parse(source))]
    return [match.string.strip().splitlines()[0] for match in found if match]


def test_descriptions_start_with_a_noun_phrase_or_an_imperative() -> None:
    found = {str(path): find_clauses(read_source(path)) for path in find_sources((*CODE, *TESTS))}
    assert len(found) > 300
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_strings_have_no_word_to_avoid() -> None:
    found = {str(path): find_avoided(read_source(path)) for path in find_sources(CODE)}
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_prose_has_no_word_to_avoid() -> None:
    found = {
        str(path): [line for line in path.read_text().splitlines() if _AVOIDED.search(line)]
        for path in PROSE
    }
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize("folder", [ROOT, PAYLOAD], ids=["template", "project"])
def test_make_verbs_start_with_an_imperative_or_a_noun(folder: Path) -> None:
    verbs = dict(_HELP.findall((folder / "Makefile").read_text()))
    assert len(verbs) > 8
    assert {verb: text for verb, text in verbs.items() if _CLAUSE.match(text.capitalize())} == {}


@pytest.mark.parametrize(
    "source",
    [
        '"""What follows from a contract."""',
        'def is_full():\n    """Whether there is no slot."""',
        'class Place:\n    """Location.\n\n    Attributes:\n        data: Where it lies.\n    """',
        'port = typer.Option(help="By which the service is reached.")',
    ],
)
def test_a_relative_clause_is_found(source: str) -> None:
    assert len(find_clauses(source)) == 1


@pytest.mark.parametrize(
    "source", ['"""Made anew."""', 'raise Error("mend the source")', 'x = f"held it against {y}"']
)
def test_a_word_to_avoid_is_found(source: str) -> None:
    assert len(find_avoided(source)) == 1
