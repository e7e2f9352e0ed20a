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

_CLAUSE = re.compile(r"(As|What|Who|Whom|Whose|Whether|Where|Which|By|How)\b")
"""First words of a relative clause; a description starts with a noun phrase or an imperative."""
_VERBS = """
    accepts accounts adapts adds adopts allows appends applies asks assigns avoids becomes begins
    builds calls catches checks chooses cleans clears closes collects compares compiles completes
    computes connects contains converts copies counts creates decides decodes defines delays
    deletes deploys derives describes detects determines does downloads draws drops encodes ends
    ensures evaluates executes expects explains extracts fails fills finds finishes fits fixes
    flushes forces formats forwards gets gives goes handles has hears helps holds ignores imports
    initializes inserts is keeps kills knows lays learns leaves lets lists loads logs looks
    maintains makes maps marks measures merges moves needs notes notices obtains opens overrides
    packs parses passes performs picks places plans polls prepares prevents prints processes
    produces promotes provides pulls pushes puts queries raises reads receives records reduces
    refuses registers rejects releases removes renames renders replaces reports represents
    requests requires resolves restores returns rewrites rolls runs saves says scores searches
    selects sends separates serves sets settles shows shuts sits skips sorts splits stands starts
    stays steps stops stores takes tells tests throws tries turns updates upgrades uses validates
    verifies waits wants watches works wraps writes yields
""".split()
"""Third-person verbs; a description starts with their imperative: "Return", not "Returns"."""
_NOUNS = """
    answers changes checks copies counts draws ends fits formats labels leaves limits lists loads
    logs maps marks measures notes notices orders places plans points processes queries records
    releases reports requests runs scores sets splits starts steps stores tests updates
""".split()
"""Third-person verbs that are nouns as well, if one of these words or a mark follows."""
_AFTER_NOUN = (
    r"\W*$|[,;:./']| (about|above|and|as|at|before|below|between|by|for|from|in|of|on|or|per|"
    r"that|to|which|who|whose|with|without)\b"
)
_THIRD_PERSON = re.compile(
    rf"({'|'.join(set(_VERBS) - set(_NOUNS))})\b|({'|'.join(_NOUNS)})\b(?!{_AFTER_NOUN})",
    re.IGNORECASE,
)
_ENTRY = re.compile(r"^ +[A-Za-z_]+: (.+)$", re.MULTILINE)
"""An entry of `Args:` or `Attributes:` in a docstring."""
_AVOIDED = re.compile(
    r"\b(anew|mend(s|ed|ing)?|nought|dear(er|est)?|alike|h(o|e)ld(s|ing)?\b[^.]{0,40} against|"
    r"(short|long) way)\b",
    re.IGNORECASE,
)
_BRITISH = re.compile(
    r"labell(ed|ing)(?!by)|modell(ed|ing)|(behavi|col|fav|flav|hon|neighb)our|"
    r"(normal|serial|recogn|organ|optim|minim|maxim|summar|initial|categor|general|regular|"
    r"synchron|author|visual|random|standard|custom|emphas|parallel)is(e|ing|ation)|"
    r"artefact|catalogue|analyse[dr]?(?![a-z])|licence|centre|\b(milli|centi|kilo)?metres?\b|"
    r"\b(grey|whilst|learnt)\b",
    re.IGNORECASE,
)
"""British spellings; names, docs and texts are in American English."""
_OLD_NAMES = (PAYLOAD / "chassis" / "CHANGELOG.md", ROOT / "CHANGELOG.md")
"""Pages that name in backticks what has another name now."""
_HELP = re.compile(r"^([a-z][a-z-]*):.*##\+? (.+)$", re.MULTILINE)
_DESCRIPTIONS = {"help", "description", "summary"}


def find_sources(folders: tuple[Path, ...]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.rglob("*.py"))


def read_source(path: Path) -> str:
    """Python code, with a name in place of the template's tag."""
    return re.sub(r"{{ ?cookiecutter\.package_name ?}}", "package", path.read_text())


def find_docstrings(tree: ast.Module) -> Iterator[str]:
    """Docstrings, and the strings below constants and attributes that describe them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            text = node.value.value
            if isinstance(text, str):
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


def list_first_lines(source: str) -> list[str]:
    """First lines of docstrings, their entries, help texts and descriptions in Python code."""
    tree = ast.parse(source)
    docstrings = list(find_docstrings(tree))
    entries = [entry for text in docstrings for entry in _ENTRY.findall(text)]
    return [
        text.splitlines()[0] for text in (*docstrings, *entries, *find_descriptions(tree)) if text
    ]


def find_clauses(source: str) -> list[str]:
    """Descriptions in Python code that start with a relative clause."""
    return [text for text in list_first_lines(source) if _CLAUSE.match(text)]


def find_third_persons(source: str) -> list[str]:
    """Descriptions in Python code that start with a third-person verb."""
    return [text for text in list_first_lines(source) if _THIRD_PERSON.match(text)]


def find_avoided(source: str) -> list[str]:
    """Words to avoid in the strings of Python code, docstrings included."""
    found = [_AVOIDED.search(text) for text in find_strings(ast.parse(source))]
    return [match.string.strip().splitlines()[0] for match in found if match]


def test_descriptions_start_with_a_noun_phrase_or_an_imperative() -> None:
    found = {str(path): find_clauses(read_source(path)) for path in find_sources((*CODE, *TESTS))}
    assert len(found) > 300
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_descriptions_start_with_no_third_person_verb() -> None:
    found = {
        str(path): find_third_persons(read_source(path)) for path in find_sources((*CODE, *TESTS))
    }
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_strings_have_no_word_to_avoid() -> None:
    found = {str(path): find_avoided(read_source(path)) for path in find_sources(CODE)}
    assert {name: texts for name, texts in found.items() if texts} == {}


def find_refusals(source: str) -> list[str]:
    """Messages, events and names in Python code with the old word for "rejected"."""
    tree = ast.parse(source)
    docstrings = set(find_docstrings(tree))
    # Judgements that were stored before 0.2.0 have this verdict.
    return [
        text
        for text in find_strings(tree)
        if "refus" in text and text not in docstrings and text != "refused"
    ]


def test_messages_and_events_are_about_rejections() -> None:
    found = {str(path): find_refusals(read_source(path)) for path in find_sources(CODE)}
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_metrics_alerts_and_dashboards_are_about_rejections() -> None:
    files = [
        PAYLOAD / "chassis/src/mlchassis/serving/metrics.py",
        *(PAYLOAD / "deploy").rglob("*.yml"),
        *(PAYLOAD / "deploy").rglob("*.json"),
    ]
    assert [path.name for path in files if "refus" in path.read_text()] == []


def test_the_old_word_for_rejected_is_found() -> None:
    source = 'def check():\n    """Refuse it."""\n    log("bundle refused", reason="x")'
    assert find_refusals(source) == ["bundle refused"]


def test_prose_has_no_word_to_avoid() -> None:
    found = {
        str(path): [line for line in path.read_text().splitlines() if _AVOIDED.search(line)]
        for path in PROSE
    }
    assert {name: lines for name, lines in found.items() if lines} == {}


def find_british(path: Path) -> list[str]:
    """Lines with a British spelling in a file."""
    text = path.read_text(encoding="utf-8")
    if path in _OLD_NAMES:
        text = re.sub(r"`[^`]*`", "", text)
    return [line.strip() for line in text.splitlines() if _BRITISH.search(line)]


def test_spelling_is_american() -> None:
    pages = (PAYLOAD / "chassis" / "src").rglob("*.html")
    # Names of old parameters, and the words that this test is about.
    but = {"renamed_keys.py", Path(__file__).name}
    paths = [*find_sources((*CODE, *TESTS)), *PROSE, *pages]
    found = {str(path): find_british(path) for path in paths if path.name not in but}
    assert len(found) > 300
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize("word", ["unlabelled", "find_colours", "artefacts", "5 metres", "grey"])
def test_a_british_spelling_is_found(word: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"First.\nAbout {word} here.\naria-labelledby, parameters, kilometers\n")
    assert find_british(page) == [f"About {word} here."]


@pytest.mark.parametrize("folder", [ROOT, PAYLOAD], ids=["template", "project"])
def test_make_verbs_start_with_an_imperative_or_a_noun(folder: Path) -> None:
    verbs = dict(_HELP.findall((folder / "Makefile").read_text()))
    assert len(verbs) > 8
    wrong = (_CLAUSE, _THIRD_PERSON)
    assert not [text for text in verbs.values() if any(w.match(text.capitalize()) for w in wrong)]


@pytest.mark.parametrize(
    "source",
    [
        '"""What follows from a contract."""',
        'def is_full():\n    """Whether there is no slot."""',
        'class Place:\n    """Location.\n\n    Attributes:\n        data: Where it lies.\n    """',
        'QUERY = "source.sql"\n"""Where the query is."""',
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


@pytest.mark.parametrize(
    "source",
    [
        '"""Returns the rows."""',
        'def load():\n    """Loads a model; another text follows."""',
        'class Log:\n    """Checks lines."""',
        'port = typer.Option(help="waits for the end")',
        'def say(show):\n    """Print it.\n\n    Args:\n        show: Prints one line.\n    """',
    ],
)
def test_a_third_person_verb_is_found(source: str) -> None:
    assert len(find_third_persons(source)) == 1


@pytest.mark.parametrize(
    "source",
    ['"""Checks of a table."""', '"""Answers to the prompts."""', '"""Return the rows."""'],
)
def test_a_noun_or_an_imperative_is_no_third_person_verb(source: str) -> None:
    assert find_third_persons(source) == []
