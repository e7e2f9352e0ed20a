"""The generated project's Makefile: values reach programs as data, and what cannot work is refused.

The interpreter in `.venv` is a script that writes down its arguments, so no package is installed.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from project_copy import make_environment

ECHO = '#!/bin/sh\nfor word; do printf "%s\\0" "$word"; done >"$RECORD"\nenv -0 >"$RECORD.env"\n'
HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    '"; touch pwned; "',
    "'; touch pwned; '",
    "$(shell touch pwned)",
    "${HOME}",
    "cost$2024.csv",
    "Price ($)",
    '5" disks.csv',
    "it's here.csv",
    "100%, more #1.csv",
    "--help",
    "-x",
    "größe ü.csv",
    "back\\slash",
]
VERBS: dict[str, tuple[dict[str, str], Callable[[str], list[str]]]] = {
    "adopt": (
        {"DATA": "{}", "TARGET": "{}"},
        lambda value: ["adopt", "ARGS=", "--", value, value],
    ),
    "replay": ({"ID": "{}"}, lambda value: ["replay", "--", value]),
    "promote": (
        {"VERSION": "{}", "REASON": "{}"},
        lambda value: ["promote", f"--version={value}", f"--reason={value}"],
    ),
    "rollback": ({"REASON": "{}"}, lambda value: ["rollback", f"--reason={value}"]),
    "score": ({"INPUT": "{}", "OUTPUT": "{}"}, lambda value: ["score", "--", value, value]),
    "rebuild": (
        {"VERSION": "{}", "ARGS": "{}"},
        lambda value: ["rebuild", f"ARGS={value}", "--", value],
    ),
    "compare": ({"A": "{}", "B": "{}"}, lambda value: ["compare", "--", value, value]),
    "study": ({"ONLY": "{}"}, lambda value: ["study", f"--only={value}"]),
    "ui": ({"PORT": "{}"}, lambda value: ["ui", f"--port={value}"]),
}


@pytest.fixture(scope="module")
def quick(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated project whose environment counts as made, with the script for an interpreter."""
    copy = tmp_path_factory.mktemp("quick") / "ml-service"
    shutil.copytree(project, copy)
    python = copy / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(ECHO)
    python.chmod(0o755)
    (copy / ".venv" / ".directory").write_text(f"{copy.resolve()}\n")
    for stamp in (".python", ".extras", ".dependencies", ".project"):
        (copy / ".venv" / stamp).touch()
    return copy


def run_make(
    project: Path, *arguments: str, **variables: str
) -> tuple[subprocess.CompletedProcess[str], list[str], dict[str, str]]:
    """Run make; return what it printed, the interpreter's arguments and its environment."""
    record = project.parent / "record"
    for file in (record, record.with_name("record.env")):
        file.unlink(missing_ok=True)
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=project,
        env=make_environment(RECORD=str(record)) | variables,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if not record.exists():
        return done, [], {}
    words = record.read_bytes().decode().split("\0")[:-1]
    entries = record.with_name("record.env").read_bytes().decode().split("\0")[:-1]
    return done, words, dict(entry.split("=", 1) for entry in entries)


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("verb", VERBS)
def test_a_value_reaches_its_verb_as_it_was_typed(quick: Path, verb: str, value: str) -> None:
    names, expect = VERBS[verb]
    given = [f"{name}={value}" for name in names]
    done, words, _ = run_make(quick, verb, *given)
    assert words == ["-m", "ml_service", *expect(value)], done.stderr
    done, words, _ = run_make(quick, verb, **dict.fromkeys(names, value))
    assert words == ["-m", "ml_service", *expect(value)], done.stderr
    assert not list(quick.rglob("pwned"))


def test_the_source_of_an_upgrade_is_passed_as_it_was_typed(quick: Path) -> None:
    for value in HOSTILE:
        done, _, _ = run_make(quick, "--dry-run", "upgrade-chassis", f"FROM={value}")
        assert done.returncode == 0, done.stderr
        assert '-m mlchassis.upgrade.command  -- "$FROM"' in done.stdout
    assert not list(quick.rglob("pwned"))
    done, _, _ = run_make(quick, "upgrade-chassis")
    assert "error: FROM= is missing; write: make upgrade-chassis FROM=" in done.stderr


def test_a_chassis_lost_between_two_renames_comes_back(quick: Path) -> None:
    (quick / "chassis").rename(quick / ".chassis-old")
    run_make(quick, "help")
    assert (quick / "chassis" / "MANIFEST.json").exists()
    assert not (quick / ".chassis-old").exists()


@pytest.mark.parametrize("name", ["SERVE", "EXTRAS", "INSTALLER", "PYTHON", "APPLY", "HOST"])
def test_a_value_that_steers_make_is_not_run(quick: Path, name: str) -> None:
    for value in HOSTILE[:5]:
        run_make(quick, "--dry-run", "study", f"{name}={value}")
        run_make(quick, "study", f"{name}={value}")
    assert not list(quick.rglob("pwned"))


def test_the_machines_name_is_no_address_to_listen_on(quick: Path) -> None:
    _, words, variables = run_make(quick, "serve", HOST="x86_64-conda-linux-gnu")
    assert words == ["-m", "ml_service", "serve"]
    assert "SERVICE_HOST" not in variables
    assert run_make(quick, "serve", "HOST=0.0.0.0")[2]["SERVICE_HOST"] == "0.0.0.0"  # noqa: S104


def test_settings_that_load_or_send_packages_elsewhere_reach_no_program(quick: Path) -> None:
    names = "PYTHONPATH PYTHONHOME PYTHONINSPECT PIP_TARGET PIP_PREFIX VIRTUAL_ENV GIT_DIR".split()
    _, _, variables = run_make(quick, "judge", PIP_USER="1", **dict.fromkeys(names, "/elsewhere"))
    assert [name for name in names if name in variables] == []
    assert variables["PIP_USER"] == "0"


@pytest.mark.parametrize("odd", [":", "%", '"', "\\", "`", "$", "{", "\x07"])
def test_a_path_that_tools_cannot_take_is_refused_before_work_begins(
    project: Path, tmp_path: Path, odd: str
) -> None:
    copy = tmp_path / f"a {odd}b" / "ml-service"
    shutil.copytree(project, copy)
    done, _, _ = run_make(copy, "run")
    assert done.returncode == 2
    assert "has one of : %" in done.stderr.splitlines()[0]
    assert "\x07" not in done.stderr
    assert not (copy / ".venv").exists()
    assert not (copy / ".git").exists()


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("INSTALLER=poetry", "error: INSTALLER is 'poetry'; write uv or pip"),
        ("EXTRAS=gs", "error: EXTRAS names 'gs', and there is no requirements/gs.txt"),
        ("PYTHON=/no/python", "error: no Python from 3.11 to 3.13 (tried: /no/python)"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(
    project: Path, tmp_path: Path, setting: str, sentence: str
) -> None:
    copy = tmp_path / "ml-service"
    shutil.copytree(project, copy)
    done, _, _ = run_make(copy, "setup", setting)
    assert done.stderr.startswith(sentence)
    assert not (copy / ".venv").exists()


def test_an_environment_of_somebody_else_is_not_replaced(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "ml-service"
    shutil.copytree(project, copy)
    (copy / ".venv").mkdir()
    (copy / ".venv" / "mine").touch()
    done, _, _ = run_make(copy, "setup")
    assert "did not make the .venv that is here" in done.stderr
    assert (copy / ".venv" / "mine").exists()


def test_clean_removes_caches_alone(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "ml-service"
    shutil.copytree(project, copy)
    kept = [copy / "build" / "notes.txt", copy / "dist" / "a.whl", copy / "data" / "a.csv"]
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (copy / ".pytest_cache").mkdir()
    run_make(copy, "clean")
    assert [path for path in kept if not path.exists()] == []
    assert not (copy / ".pytest_cache").exists()


def test_windows_is_refused_with_a_sentence(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "ml-service"
    shutil.copytree(project, copy)
    uname = tmp_path / "bin" / "uname"
    uname.parent.mkdir()
    uname.write_text("#!/bin/sh\necho MINGW64_NT-10.0\n")
    uname.chmod(0o755)
    path = os.pathsep.join((str(uname.parent), os.environ["PATH"]))
    done, _, _ = run_make(copy, "setup", PATH=path)
    assert "run make within WSL 2" in done.stderr
    assert not (copy / ".venv").exists()


def test_an_older_pre_commit_is_told_its_least_version(project: Path) -> None:
    config = yaml.safe_load((project / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    languages = {hook["language"] for repo in config["repos"] for hook in repo["hooks"]}
    # 4.4.0 is the first that knows this language; pre-commit reads the least version before it.
    assert languages == {"unsupported"}
    assert config["minimum_pre_commit_version"] == "4.4.0"
