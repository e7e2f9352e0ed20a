"""Whatever a person answers, the generated files are valid and say it back."""

import json
import os
import random
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cookiecutter.prompt import render_variable
from cookiecutter.utils import create_env_with_context
from hypothesis import example, given
from hypothesis import strategies as st

from bake import PAYLOAD, ROOT, copy_template, run_cookiecutter
from pre_gen_project import LONGEST, find_problem, find_text_problem

DEFINITION = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
ENVIRONMENT = create_env_with_context({"cookiecutter": DEFINITION})
ESCAPED = ("project_name", "description", "author")
HOSTILE_ANSWERS = int(os.environ.get("HOSTILE_ANSWERS", "25"))
PIECES = (
    *"\"'\\{}[]()<>$`%#&*!|;:,?@^~=+-_./ ",
    *"\t\n\x00\x1b\x7f\x85\u2028\ufeff\uffff\u202e\udcffé🛫",
    *"{{ }} {% %} ${{ {# #} \\n \\u0041 --- ... ''' ]]> null true 0x1f 1e9 <script>".split(),
    *('"""', "$(touch pwned)", "`touch pwned`", "../", "/etc/passwd", "--help", "日本", "עברית"),
    *("word", "two words", "Late flights", "of 2013") * 20,
)

NASTY = (
    r"""a "quoted" 'word', a back\slash \n \u0041 \x41 \N{DASH} and a trailing \\""",
    "two\nlines\r\nand a\ttab",
    "emoji 🛫🇩🇪👩‍🔬, naïve 日本語 עברית",
    "${{ secrets.TOKEN }} {{ cookiecutter.author }} {% raw %} {# note #} {{ 7 * 7 }}",
    "# not: [a, comment] & *alias | > % @ ` ~ null",
    "<script>'\"&</script> $(touch pwned) `id` $HOME ${x} %s {0} {name}",
    "\x7f \x85 \u2028 \u2029 \ufeff \ufffe \uffff",
    '"""', "'''", "]]>", "...", "---", " leading and trailing ",
)  # fmt: skip


def escape(name: str, text: str) -> str:
    """Escape an answer as cookiecutter does: in its own environment, from our cookiecutter.json."""
    answers = {name: text, "_escapes": DEFINITION["_escapes"]}
    return str(render_variable(ENVIRONMENT, DEFINITION[f"__{name}"], answers))


def read_toml(escaped: str) -> Any:
    return tomllib.loads(f'text = "{escaped}"\n')["text"]


def read_yaml(escaped: str) -> Any:
    return yaml.safe_load(f'text: "{escaped}"\n')["text"]


def read_python(escaped: str) -> Any:
    namespace: dict[str, Any] = {}
    exec(compile(f'text = "{escaped}"\n'.encode(), "answer.py", "exec"), namespace)  # noqa: S102
    return namespace["text"]


def read_json(escaped: str) -> Any:
    return json.loads(f'{{"text": "{escaped}"}}')["text"]


READERS = (read_toml, read_yaml, read_python, read_json)


def is_accepted(text: str) -> bool:
    """Tell whether the hook accepts this text as a description."""
    return find_text_problem("description", text, {}) is None


accepted_text = st.text(max_size=LONGEST["description"]).filter(is_accepted)
marked_text = st.text("\\\"'\n\r\t{}%#$u0085xN\x7f\x85\u2028\u2029\ufeff🛫é ", max_size=40)


@given(st.one_of(accepted_text, marked_text.filter(is_accepted)))
@example("\\")
@example('"')
@example("${{ a }}")
@example("{{ 7 * 7 }}")
@example("🛫")
@example("\ufffe\uffff")
def test_any_accepted_text_is_said_back_by_toml_yaml_python_and_json(text: str) -> None:
    escaped = escape("description", text)
    assert [read(escaped) for read in READERS] == [text] * len(READERS)


@pytest.mark.parametrize("name", ESCAPED)
def test_every_free_text_is_escaped_alike(name: str) -> None:
    for text in NASTY:
        assert escape(name, text) == escape("description", text)


def read_structured(project: Path) -> dict[str, Any]:
    """Read every file of a project that is in a format with a parser."""

    def compile_python(path: Path) -> object:
        return compile(path.read_bytes(), str(path), "exec")

    def load_yaml(path: Path) -> object:
        return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))

    readers: dict[str, Callable[[Path], object]] = {
        ".toml": lambda path: tomllib.loads(path.read_text(encoding="utf-8")),
        ".yaml": load_yaml,
        ".yml": load_yaml,
        ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
        ".py": compile_python,
    }
    files = sorted(path for path in project.rglob("*") if path.suffix in readers)
    return {str(path.relative_to(project)): readers[path.suffix](path) for path in files}


def check_metadata(project: Path, description: str, author: str) -> None:
    """Hold the project's own metadata to what was answered, and every other file to its format."""
    files = read_structured(project)
    metadata = files["pyproject.toml"]["project"]
    assert (metadata["description"], metadata["authors"][0]["name"]) == (description, author)


def write_replay(folder: Path, texts: dict[str, str]) -> Path:
    """Write a replay file, whose answers cookiecutter does not render."""
    answers = json.loads(json.dumps(DEFINITION))
    del answers["__prompts__"]
    answers |= {
        "project_name": "Nasty Text", "project_slug": "nasty-text", "package_name": "nasty_text",
        "license": "MIT", "description": "Plain.", "author": "Ann",
    } | texts  # fmt: skip
    answers |= {f"__{name}": escape(name, answers[name]) for name in ESCAPED}
    replay = folder / "replay.json"
    replay.write_text(json.dumps({"cookiecutter": answers}))
    return replay


@pytest.fixture
def baked_nasty(template: Path, config: Path, tmp_path: Path) -> Callable[..., Path]:
    """Bake through a replay file, the way in which cookiecutter renders no answer."""

    def bake_replayed(description: str, author: str) -> Path:
        replay = write_replay(tmp_path, {"description": description, "author": author})
        run = run_cookiecutter(template, tmp_path, config, "--replay-file", str(replay))
        assert run.returncode == 0, run.stderr + run.stdout
        return tmp_path / "nasty-text"

    return bake_replayed


@pytest.mark.parametrize("texts", [NASTY[:4], NASTY[4:7], NASTY[7:]])
def test_a_project_says_a_nasty_description_back(
    baked_nasty: Callable[..., Path], texts: tuple[str, ...]
) -> None:
    text = " ".join(texts)
    check_metadata(baked_nasty(text, "Ann"), text, "Ann")


@pytest.mark.parametrize(
    "text", ['O\'Brien "Bob" \\ Söhne 🛫', "{{ cookiecutter.license }} ${{ github.actor }}"]
)
def test_a_project_says_a_nasty_author_back(baked_nasty: Callable[..., Path], text: str) -> None:
    project = baked_nasty("Plain.", text)
    check_metadata(project, "Plain.", text)
    assert text in (project / "LICENSE").read_text(encoding="utf-8")


def test_what_is_typed_at_the_prompts_is_text_and_its_replay_gives_the_same_files(
    template: Path, config: Path, tmp_path: Path
) -> None:
    typed = 'costs ${{ 7 * 7 }} or {{ cookiecutter.author }}, "so" \\ 🛫'
    output = tmp_path / "typed"
    output.mkdir()
    lines = ["Typed {{ 1 + 1 }}", "typed", "", typed, "Ann {{ 2 }}", "3", ""]
    run = run_cookiecutter(template, output, config, typed="\n".join(lines))
    assert run.returncode == 0, run.stderr + run.stdout
    check_metadata(output / "typed", typed, "Ann {{ 2 }}")
    assert "BSD 3-Clause" in (output / "typed" / "LICENSE").read_text(encoding="utf-8")

    first = {name: name.read_bytes() for name in output.rglob("*") if name.is_file()}
    shutil.rmtree(output / "typed")
    replayed = run_cookiecutter(template, output, config, "--replay")
    assert replayed.returncode == 0, replayed.stderr + replayed.stdout
    assert first == {name: name.read_bytes() for name in output.rglob("*") if name.is_file()}


def test_answers_on_the_command_line_say_quotes_and_newlines_back(
    bake: Callable[..., Path],
) -> None:
    text = 'a "quoted" \\ back\\slash\nand a second line 🛫'
    check_metadata(bake(description=text, author="Ann"), text, "Ann")


def test_cookiecutter_renders_what_its_command_line_is_given(bake: Callable[..., Path]) -> None:
    # Not ours to change, and docs/trust.md says so: this tells us when it is no longer true.
    check_metadata(bake(description="{{ 7 * 7 }}", author="Ann"), "49", "Ann")


@pytest.mark.parametrize(
    ("name", "slug", "package"),
    [
        ("Flight Delays", "flight-delays", "flight_delays"),
        ("3D Things", "ml-3d-things", "ml_3d_things"),
        ("🛫", "ml-service", "ml_service"),
        ("Überflüge & Söhne", "uberfluge-sohne", "uberfluge_sohne"),
        ("a very long name " * 4, "a-very-long-name-a-very-long-name-a", None),
    ],
)
def test_slug_and_package_follow_from_the_name(
    bake: Callable[..., Path], name: str, slug: str, package: str | None
) -> None:
    project = bake(project_name=name)
    assert project.name == slug
    assert (project / "src" / (package or slug.replace("-", "_")) / "__init__.py").is_file()


@pytest.mark.parametrize(
    ("license_name", "words"),
    [
        ("MIT", "MIT License"),
        ("Apache-2.0", "Apache License"),
        ("BSD-3-Clause", "BSD 3-Clause"),
    ],
)
def test_a_license_is_there_in_full(
    bake: Callable[..., Path], license_name: str, words: str
) -> None:
    text = (bake(license=license_name, author="Ann Author") / "LICENSE").read_text()
    assert words in text
    assert "Ann Author" in text
    assert "{%" not in text


def test_a_proprietary_project_has_no_license_file(bake: Callable[..., Path]) -> None:
    assert not (bake(license="Proprietary") / "LICENSE").exists()


def test_files_that_are_not_rendered_arrive_byte_for_byte_with_their_mode(
    template: Path, config: Path, tmp_path: Path
) -> None:
    payload = shutil.copytree(template, tmp_path / "ml-template") / PAYLOAD.name
    kept = {
        "src/{{cookiecutter.package_name}}/braces.py": 'X = f"{{literal}} {1 + 1}"\n',
        ".github/workflows/extra.yml": "run: ${{ github.sha }} {% if %}\n",
        "deploy/prometheus/extra.yml": "summary: '{{ $labels.job }}'\n",
        "deploy/grafana/extra.json": '{"legend": "{{ job }}"}\n',
        "deploy/extra.sh": "#!/bin/sh\necho ${#x} {{ y }}\n",
    }
    for name, text in kept.items():
        (payload / name).parent.mkdir(parents=True, exist_ok=True)
        (payload / name).write_text(text)
    (payload / "deploy/extra.sh").chmod(0o755)
    run = run_cookiecutter(payload.parent, tmp_path, config, "--no-input")
    assert run.returncode == 0, run.stderr + run.stdout
    project = tmp_path / "ml-service"
    for name, text in kept.items():
        path = project / name.replace("{{cookiecutter.package_name}}", "ml_service")
        assert path.read_text() == text
    assert (project / "deploy/extra.sh").stat().st_mode & 0o111


def draw_texts(seed: int) -> dict[str, str]:
    """Answers of odd pieces to one or more of the prompts for free text."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    return {
        name: "".join(draw.choices(PIECES, k=draw.randint(1, 12)))
        for name in draw.sample(ESCAPED, draw.randint(1, len(ESCAPED)))
    }


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template without the chassis, whose files no answer reaches."""
    template = copy_template(tmp_path_factory.mktemp("small") / "template")
    shutil.rmtree(template / PAYLOAD.name / "chassis")
    return template


def test_hostile_answers_are_refused_or_said_back(
    small: Path, config: Path, tmp_path: Path
) -> None:
    accepted = refused = 0
    empty = tmp_path / "empty"
    empty.mkdir()
    for seed in range(HOSTILE_ANSWERS):
        texts = draw_texts(seed)
        output = tmp_path / str(seed)
        output.mkdir()
        replay = write_replay(output, texts)
        answers = json.loads(replay.read_text())["cookiecutter"]
        problem = find_problem(answers, empty)
        run = run_cookiecutter(small, output, config, "--replay-file", str(replay))
        replay.unlink()
        if problem:
            refused += 1
            assert run.returncode != 0, texts
            assert f"error: {problem}" in run.stderr, texts
            assert list(output.iterdir()) == [], texts
        else:
            accepted += 1
            assert run.returncode == 0, run.stderr
            check_metadata(output / "nasty-text", answers["description"], answers["author"])
        assert list(tmp_path.rglob("pwned")) == []
        shutil.rmtree(output)
    assert accepted > HOSTILE_ANSWERS // 8
    assert refused > HOSTILE_ANSWERS // 8
