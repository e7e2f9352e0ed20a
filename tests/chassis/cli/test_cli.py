"""The command line: help with examples, failures as sentences, nothing heavy before its time."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

import ml_service
from mlchassis.cli import app as cli
from mlchassis.cli.app import STAGES, app
from mlchassis.cli.launch import Composition

OWN = Composition("ml_service.project:project", "ml_service.service:service")
ROOT = Path(ml_service.__file__).parents[2]
PACKAGE = "ml_service"
HEAVY = [
    "dvc",
    "fastapi",
    "joblib",
    "lightgbm",
    "matplotlib",
    "mlflow",
    "onnx",
    "onnxruntime",
    "pandas",
    "pandera",
    "pyarrow",
    "scipy",
    "sklearn",
    "sqlalchemy",
]

group: Any = get_command(app)
COMMANDS = sorted(group.commands)


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


def run_module(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", PACKAGE, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], obj=OWN)

    assert shown.exit_code == 0
    assert "Example: " in shown.output


def test_help_is_wrapped_by_the_terminal_alone() -> None:
    shown = CliRunner().invoke(app, ["monitor", "--help"], obj=OWN).output
    assert "A step of a workflow has the outputs status and sentence." in shown
    assert re.search(r"^ *Example: make monitor *$", shown, re.MULTILINE)


def test_the_help_lists_every_command() -> None:
    shown = CliRunner().invoke(app, ["--help"], obj=OWN).output

    assert [name for name in COMMANDS if f" {name} " not in shown] == []


def test_every_stage_of_the_pipeline_is_a_command() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]

    assert list(STAGES) == list(stages)
    assert set(STAGES) <= set(COMMANDS)
    called = 'env PATH="$PWD/.venv/bin:$PATH" python -m'
    assert {stage: f"{called} {PACKAGE} {stage}" for stage in stages} == {
        stage: described["cmd"] for stage, described in stages.items()
    }


@pytest.mark.parametrize("name", [*STAGES, "run", "repro", "judge", "promote", "deploy", "ui"])
def test_outside_a_project_a_command_says_so_in_one_sentence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, [name], obj=OWN)

    assert shown.exit_code == 1
    assert shown.stderr.startswith(f"error: {tmp_path} holds no params.yaml")
    assert len(shown.stderr.splitlines()) == 1
    assert (shown.stdout, list(tmp_path.iterdir())) == ("", [])


def test_a_verb_rejects_a_project_of_another_api_of_the_chassis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "params.yaml").touch()
    (tmp_path / "pyproject.toml").write_text("[tool.mlchassis]\napi = 0\n")
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, ["judge"], obj=OWN)

    assert shown.exit_code == 1
    assert shown.stderr.startswith("error: pyproject.toml has `[tool.mlchassis] api = 0`")
    assert len(shown.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("replay", "abc"), ("serve", "--port=0")])
def test_the_verbs_of_a_service_reject_another_api_too(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.mlchassis]\napi = 0\n")
    done = run_module(*arguments, folder=tmp_path)

    assert done.returncode == 1
    assert done.stderr.startswith("error: pyproject.toml has `[tool.mlchassis] api = 0`")
    assert len(done.stderr.splitlines()) == 1


def test_a_failure_is_one_sentence_and_exit_code_1(tmp_path: Path) -> None:
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(params.replace("seed:", "sed:"), encoding="utf-8")
    done = run_module("split", folder=tmp_path)

    assert done.returncode == 1
    assert done.stderr == "error: params.yaml: unknown key 'sed'; did you mean 'seed'.\n"
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["validate"], "contract.yaml is missing: restore it from git"),
        (["judge"], "error: "),
        (["deploy"], "error: "),
    ],
)
def test_what_is_missing_in_a_fresh_project_is_said_without_a_traceback(
    tmp_path: Path, arguments: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, arguments, obj=OWN)

    assert shown.exit_code == 1
    assert sentence in shown.stderr
    assert "Traceback" not in shown.output
    assert isinstance(shown.exception, SystemExit)


@pytest.mark.parametrize("arguments", [["run"], ["own-stage"], ["--help"]])
def test_a_project_that_ends_the_process_is_a_failure(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.mlchassis]\napi = 1\n")
    (tmp_path / "exits_at_import.py").write_text("import sys\n\nsys.exit()\n")
    composition = Composition("exits_at_import:project", "exits_at_import:service")
    shown = CliRunner().invoke(app, arguments, obj=composition)

    assert shown.exit_code == 1
    assert "error: exits_at_import.py, line 3, in <module>: `sys.exit()` ends" in shown.stderr
    assert "Traceback" not in shown.output


@pytest.mark.parametrize("name", ["deploy", "rollback", "retrain", "run"])
def test_an_invalid_setting_of_the_service_stops_a_verb_before_it_changes_anything(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERVICE_PORT", "eighty")
    shown = CliRunner().invoke(app, [name], obj=OWN)

    assert shown.exit_code == 1
    assert shown.stderr.startswith("error: SERVICE_PORT is 'eighty': ")
    assert not list(tmp_path.iterdir())


def test_a_mistyped_command_is_refused_with_what_was_meant() -> None:
    shown = CliRunner().invoke(app, ["ingets"], obj=OWN)

    assert shown.exit_code == 2
    assert "Did you mean 'ingest'" in shown.stderr


def test_a_stage_passes_the_parameters_on_and_tells_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)

    class Stage:
        @staticmethod
        def run(paths: Any, params: Any) -> str:
            return f"{paths.root} {params.seed}"

    monkeypatch.setattr(cli, "import_module", lambda *_: Stage)
    shown = CliRunner().invoke(app, ["train"], obj=OWN)

    assert shown.stdout.startswith(f"train: {tmp_path} ")


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["promote", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import json, sys\nfrom mlchassis.cli.app import app\n"
        f"try:\n    app({arguments!r})\nexcept SystemExit: pass\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert set(json.loads(done.stderr)) & set(HEAVY) == set()
    assert "Usage" in done.stdout


def test_options_that_make_hands_over_are_split_without_expanding() -> None:
    words = ["adopt", "ARGS=--group 'customer id' --pii a\\ b --name $(x)", "--", "ARGS=d", "-t"]

    assert cli.split_options(words) == [
        *("adopt", "--group", "customer id", "--pii", "a b", "--name", "$(x)", "--", "ARGS=d", "-t")
    ]
    assert cli.split_options(["adopt", "--", "ARGS=d"]) == ["adopt", "--", "ARGS=d"]


def test_options_with_an_open_quotation_mark_are_refused_in_a_sentence() -> None:
    shown = CliRunner().invoke(app, ["adopt", "ARGS=--group 'a", "--", "d", "t"], obj=OWN)

    assert shown.exit_code == 1
    assert shown.stderr.startswith("error: ARGS holds a quotation mark that is not closed")
