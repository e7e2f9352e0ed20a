"""Invalid answers to the prompts: rejected with one sentence, and no file is left."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import post_gen_project
import pre_gen_project
from bake import PAYLOAD, ROOT, run_cookiecutter
from pre_gen_project import COMMANDS, FOLDERS, INSTALLED, LICENSES, LONGEST, find_problem

GOOD = {
    "project_name": "Flight Delays",
    "project_slug": "flight-delays",
    "package_name": "flight_delays",
    "description": "Says which flights arrive late.",
    "author": "Ann",
    "license": "MIT",
}

REFUSED = [
    ("project_name", "", "project_name is empty"),
    ("project_name", " \t", "project_name is empty"),
    ("project_name", "two\nlines", "project_name has a line break"),
    ("project_name", "trailing\n", "project_name has a line break"),
    ("project_name", "x" * 81, "project_name has 81 characters; write at most 80"),
    ("author", "Ann\u2028Bob", "author has a line break"),
    ("author", "\x1b[31mred", "author holds the control character U+001B"),
    ("description", "", "description is empty"),
    ("description", "a\x00b", "description holds the control character U+0000"),
    ("description", "a\x9bb", "description holds the control character U+009B"),
    ("description", "a\udcffb", "description holds bytes that are no UTF-8 text"),
    ("description", "x" * 301, "description has 301 characters; write at most 300"),
    ("project_slug", "", "project_slug is empty"),
    ("project_slug", "Flight-Delays", "project_slug 'Flight-Delays' is not a valid name"),
    ("project_slug", "flight delays", "is not a valid name"),
    ("project_slug", "flight_delays", "is not a valid name"),
    ("project_slug", "-flight", "is not a valid name"),
    ("project_slug", "flight-", "is not a valid name"),
    ("project_slug", "flight--delays", "is not a valid name"),
    ("project_slug", "1flight", "is not a valid name"),
    ("project_slug", "flight\n", "is not a valid name"),
    ("project_slug", "flüge", r"project_slug 'fl\xfcge' is not a valid name"),
    ("project_slug", "../flight", "is not a valid name"),
    ("project_slug", "/tmp/flight", "is not a valid name"),  # noqa: S108
    ("project_slug", "$(touch pwned)", "is not a valid name"),
    ("project_slug", "a;touch pwned", "is not a valid name"),
    ("project_slug", "--help", "is not a valid name"),
    ("project_slug", "mlflow", "project_slug 'mlflow' is the name of a tool"),
    ("project_slug", "scikit-learn", "is the name of a tool"),
    ("project_slug", "python", "is the name of a tool"),
    ("project_slug", "x" * 41, "project_slug has 41 characters; write at most 40"),
    ("package_name", "Flight", "package_name 'Flight' is not a valid package name"),
    ("package_name", "flight-delays", "is not a valid package name"),
    ("package_name", "__init__", "is not a valid package name"),
    ("package_name", "_flight", "is not a valid package name"),
    ("package_name", "1flight", "is not a valid package name"),
    ("package_name", "flight.delays", "is not a valid package name"),
    ("package_name", "flüge", "is not a valid package name"),
    ("package_name", "../flight", "is not a valid package name"),
    ("package_name", "class", "package_name 'class' is a keyword of Python"),
    ("package_name", "match", "is a keyword of Python"),
    ("package_name", "json", "is a module of Python's standard library"),
    ("package_name", "test", "is a module of Python's standard library"),
    ("package_name", "src", "is a folder of the generated project"),
    ("package_name", "tests", "is a folder of the generated project"),
    ("package_name", "numpy", "is a dependency of the generated project"),
    ("package_name", "mlflow", "is a dependency of the generated project"),
    ("package_name", "sklearn", "is a dependency of the generated project"),
    ("package_name", "x" * 41, "package_name has 41 characters; write at most 40"),
    ("license", "GPL-3.0", "license 'GPL-3.0' is not offered; choose one of MIT"),
]


@pytest.mark.parametrize(("name", "answer", "words"), REFUSED)
def test_a_bad_answer_is_refused_with_a_sentence(
    tmp_path: Path, name: str, answer: str, words: str
) -> None:
    problem = find_problem({**GOOD, name: answer}, tmp_path)
    assert problem is not None
    assert words in problem
    assert problem.isascii()
    assert problem.isprintable()
    assert problem.endswith(".")


def test_good_answers_are_accepted(tmp_path: Path) -> None:
    assert find_problem(dict(GOOD), tmp_path) is None


def test_a_cookiecutter_that_renders_no_private_answers_is_refused_by_its_version(
    tmp_path: Path,
) -> None:
    definition = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    private = {name: value for name, value in definition.items() if name.startswith("__")}
    problem = find_problem({**GOOD, **private}, tmp_path)
    assert problem == (
        "this cookiecutter is too old for the template; install 2.1.1 or later: "
        "pip install 'cookiecutter>=2.1.1'."
    )
    for page in ("README.md", "docs/start.md"):
        assert "cookiecutter 2.1.1 or later" in (ROOT / page).read_text(encoding="utf-8")


def test_windows_is_refused_before_anything_is_written() -> None:
    problem = pre_gen_project.find_tool_problem({}, "win32")
    assert problem is not None
    assert "WSL 2" in problem
    assert pre_gen_project.find_tool_problem({}, "linux") is None


@pytest.mark.parametrize("answer", [None, 5, ["a"], {"a": "b"}])
def test_an_answer_that_is_no_text_is_refused(tmp_path: Path, answer: object) -> None:
    problem = find_problem({**GOOD, "author": answer}, tmp_path)
    assert problem == f"author is {answer!r}; write it as text."


@pytest.mark.parametrize("escaped", ['"\nname = "evil', "other text", "\\", 5])
def test_an_escaped_form_that_was_edited_is_refused(tmp_path: Path, escaped: object) -> None:
    problem = find_problem({**GOOD, "__description": escaped}, tmp_path)
    assert problem is not None
    assert problem.startswith("description and its escaped form __description differ")


def test_a_folder_that_holds_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    problem = find_problem(dict(GOOD), tmp_path)
    assert problem is not None
    assert "already holds files" in problem


def test_the_limits_of_the_hook_are_those_of_the_prompts() -> None:
    definition = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    prompts = [name for name in definition if not name.startswith("_")]
    assert prompts == [*LONGEST, "license"]
    assert definition["license"] == list(LICENSES)
    assert set(definition["__prompts__"]) == set(prompts)


def test_every_dependency_of_the_payload_is_refused_as_a_name() -> None:
    pins = "\n".join(path.read_text() for path in (PAYLOAD / "requirements").glob("*.txt"))
    names = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==", pins, re.MULTILINE)
    assert "numpy" in names
    modules = {re.sub(r"[-.]+", "_", name).lower() for name in names}
    missing = sorted(modules - INSTALLED - sys.stdlib_module_names)
    assert missing == [], "add these to INSTALLED in hooks/pre_gen_project.py"


def test_every_folder_of_the_payload_is_refused_as_a_name() -> None:
    folders = {path.name for path in PAYLOAD.iterdir() if path.is_dir()}
    assert {name for name in folders if not name.startswith(".")} <= FOLDERS


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("project_name", "", "error: project_name is empty"),
        ("project_slug", "Flight Delays", "error: project_slug 'Flight Delays' is not a valid"),
        ("project_slug", "$(touch pwned);`touch pwned`", "is not a valid name"),
        ("package_name", "numpy", "is a dependency of the generated project"),
        ("package_name", "');import os;os.mkdir('pwned", "is not a valid package name"),
        ("description", '"); import os; os.mkdir("pwned"); ("\x07', "control character U+0007"),
        ("description", "a\udcffb", "holds bytes that are no UTF-8 text"),
    ],
)
def test_cookiecutter_stops_with_the_sentence_and_leaves_nothing(
    refuse: Callable[..., str], name: str, answer: str, words: str
) -> None:
    assert words in refuse(**{name: answer})


def test_a_slug_that_leads_outside_makes_nothing_there(
    template: Path, config: Path, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    output.mkdir()
    run = run_cookiecutter(template, output, config, "--no-input", "project_slug=../outside")
    assert run.returncode == 1
    assert "error: project_slug '../outside' is not a valid name" in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["output"]
    assert list(output.iterdir()) == []


def test_a_slug_with_a_folder_in_it_leaves_at_most_that_folder_empty(
    template: Path, config: Path, tmp_path: Path
) -> None:
    # cookiecutter makes the folders before any hook runs; docs/trust.md says so.
    run = run_cookiecutter(template, tmp_path, config, "--no-input", "project_slug=a/b")
    assert run.returncode == 1
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*")] == [Path("a")]


@pytest.mark.parametrize("flags", [(), ("--overwrite-if-exists",), ("--skip-if-file-exists",)])
def test_a_project_that_is_there_is_never_written_over(
    template: Path, config: Path, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    mine = tmp_path / "ml-service" / "pyproject.toml"
    mine.parent.mkdir()
    mine.write_text("mine")
    run = run_cookiecutter(template, tmp_path, config, "--no-input", *flags)
    assert run.returncode == 1
    assert "exists" in run.stdout or "already holds files" in run.stderr
    assert mine.read_text() == "mine"
    assert list(mine.parent.iterdir()) == [mine]


def test_hostile_text_in_a_hook_is_data(bake: Callable[..., Path], tmp_path: Path) -> None:
    text = "\"\"\"''' \\\"); __import__('os').mkdir('pwned') # \\u0022 🛫 <&>"
    project = bake(description=text, author=text)
    assert not list(tmp_path.rglob("pwned"))
    assert project.is_dir()


def test_the_hooks_are_plain_python_before_they_are_rendered() -> None:
    for hook in (pre_gen_project, post_gen_project):
        path = Path(str(hook.__file__))
        compile(path.read_text(encoding="utf-8"), path.name, "exec")


def test_the_last_hook_says_what_comes_next(template: Path, config: Path, tmp_path: Path) -> None:
    run = run_cookiecutter(template, tmp_path, config, "--no-input")
    assert run.stdout.splitlines()[-1].endswith("cd ml-service && make run")


def test_the_manifest_removes_what_an_answer_leaves_out(tmp_path: Path) -> None:
    for name in ("LICENSE", "kept.txt", "extra/a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    features = {"license": {"Proprietary": ["LICENSE", "extra"], "MIT": ["kept.txt"]}}
    answers: dict[str, object] = {"license": "Proprietary", "_features": features}
    assert post_gen_project.apply_features(tmp_path, answers) == ["LICENSE", "extra"]
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


@pytest.mark.parametrize("name", ["../outside.txt", "absent.txt", ".", "/etc/hostname"])
def test_the_manifest_removes_nothing_but_parts_of_the_project(tmp_path: Path, name: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "outside.txt").write_text("mine")
    answers: dict[str, object] = {"license": "MIT", "_features": {"license": {"MIT": [name]}}}
    with pytest.raises(ValueError, match="not part of the project"):
        post_gen_project.apply_features(project, answers)
    assert (tmp_path / "outside.txt").exists()
    assert project.exists()


def test_every_path_of_the_manifest_is_in_the_payload() -> None:
    definition = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    for prompt, choices in definition["_features"].items():
        for answer, names in choices.items():
            assert answer in definition[prompt]
            for name in names:
                assert (PAYLOAD / name).exists()


def test_the_hooks_need_nothing_but_the_standard_library(tmp_path: Path) -> None:
    hook = tmp_path / "hook.py"
    for module in (pre_gen_project, post_gen_project):
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        hook.write_text(source.replace("__main__", "not run"))
        subprocess.run([sys.executable, "-I", "-S", str(hook)], check=True, cwd=tmp_path)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_that_a_project_calls_is_refused_as_its_slug(name: str) -> None:
    assert pre_gen_project.find_slug_problem(name)
