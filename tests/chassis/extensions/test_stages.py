"""A project's own objects: checked when it is loaded; its stages are commands."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import ml_service
from ml_service.features import compute_features
from mlchassis.cli.app import app, list_verbs
from mlchassis.cli.launch import Composition
from mlchassis.errors import ProjectError
from mlchassis.extensions.checks import check_project
from mlchassis.project import Project
from mlchassis.team_code.errors import FULL_TRACEBACK

ROOT = Path(ml_service.__file__).parents[2]
PROJECT = """
from ml_service.features import compute_features
from mlchassis import Project


def enrich(workspace, params):
    \"\"\"Add a column.\"\"\"
    (workspace.root / "data").mkdir(exist_ok=True)
    (workspace.root / "data" / "out.txt").write_text("new")
    return f"seed {{params.seed}}"


def broken(workspace, params):
    return {{}}["key"]


def silent(workspace, params):
    return None


project = Project(features=compute_features, {arguments})
"""
STAGES = "stages={'enrich': enrich, 'broken': broken, 'silent': silent}"
DVC = "stages:\n  enrich:\n    cmd: python -m own enrich\n    outs: [data]\n"

Write = Callable[..., Composition]


def takes_one(first: Any) -> str:
    return str(first)


def read_rows(options: Any, root: Path) -> pd.DataFrame:
    return pd.DataFrame(options, index=[str(root)])


async def read_later(columns: Any) -> Any:
    return columns


def yield_rows(options: Any, root: Path) -> Iterator[pd.DataFrame]:
    yield read_rows(options, root)


class CalledLater:
    """Object that is called as a coroutine function."""

    async def __call__(self, columns: Any) -> Any:
        return columns


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """A project in the current folder, whose project.py passes further arguments."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    shutil.copy(ROOT / "params.yaml", tmp_path)

    def write(arguments: str = STAGES) -> Composition:
        name = f"own_{hashlib.sha256(f'{tmp_path} {arguments}'.encode()).hexdigest()[:8]}"
        source = tmp_path / "src"
        source.mkdir(exist_ok=True)
        (source / f"{name}.py").write_text(PROJECT.format(arguments=arguments))
        monkeypatch.syspath_prepend(source)
        return Composition(f"{name}:project", "ml_service.service:service")

    return write


@pytest.mark.parametrize(("typed", "meant"), [("enrihc", "enrich"), ("ingets", "ingest")])
def test_a_mistyped_stage_is_refused_with_what_was_meant(
    own: Write, typed: str, meant: str
) -> None:
    shown = CliRunner().invoke(app, [typed], obj=own())

    assert shown.exit_code == 2
    assert f"No such command '{typed}'. Did you mean '{meant}'?" in shown.stderr


def test_an_own_stage_is_a_command_that_prints_its_line(own: Write, tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["enrich"], obj=own())

    assert shown.exit_code == 0
    assert shown.stdout.startswith("enrich: seed ")
    assert (tmp_path / "data" / "out.txt").read_text() == "new"


def test_the_help_lists_own_stages(own: Write) -> None:
    composition = own()

    assert "Add a column." in CliRunner().invoke(app, ["--help"], obj=composition).output
    assert (
        "dvc repro enrich" in CliRunner().invoke(app, ["enrich", "--help"], obj=composition).output
    )


def test_outputs_of_an_own_stage_are_recorded_and_edits_kept(own: Write, tmp_path: Path) -> None:
    composition = own()
    (tmp_path / "dvc.yaml").write_text(DVC)
    CliRunner().invoke(app, ["enrich"], obj=composition)
    assert "data/out.txt" in (tmp_path / "var" / "written.json").read_text()

    (tmp_path / "data" / "out.txt").write_text("edited")
    shown = CliRunner().invoke(app, ["enrich"], obj=composition)

    assert "data/out.txt was changed by hand" in shown.stdout
    (copy,) = (tmp_path / "var" / "kept" / "data").iterdir()
    assert copy.read_text() == "edited"


def test_a_foreign_file_in_the_outputs_of_an_own_stage_is_refused(
    own: Write, tmp_path: Path
) -> None:
    composition = own()
    (tmp_path / "dvc.yaml").write_text(DVC)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.csv").touch()
    shown = CliRunner().invoke(app, ["enrich"], obj=composition)

    assert shown.exit_code == 1
    assert "data/mine.csv was not written by this project" in shown.stderr
    assert not (tmp_path / "data" / "out.txt").exists()


def test_a_failure_in_an_own_stage_names_its_line(own: Write) -> None:
    shown = CliRunner().invoke(app, ["broken"], obj=own())

    assert shown.exit_code == 1
    assert shown.stderr.splitlines()[-1].startswith("error: src/own_")
    assert 'in broken: `return {}["key"]` raised KeyError' in shown.stderr
    assert isinstance(shown.exception, SystemExit)


def test_a_full_traceback_is_printed_on_request(
    own: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FULL_TRACEBACK, "1")
    lines = CliRunner().invoke(app, ["broken"], obj=own()).stderr.splitlines()

    assert lines[0] == "Traceback of the project's own code (most recent call last):"
    assert lines[1].startswith("  src/own_")
    assert any("mlchassis" in line for line in lines[2:-1])
    assert lines[-1].startswith("error: src/own_")


def test_a_stage_must_return_a_line(own: Write) -> None:
    shown = CliRunner().invoke(app, ["silent"], obj=own())

    assert shown.exit_code == 1
    assert "The stage 'silent' returned None; return one line" in shown.stderr


@pytest.mark.parametrize("verb", ["train", "judge", "serve", "adopt", "run"])
def test_a_stage_cannot_take_the_name_of_a_built_in_command(own: Write, verb: str) -> None:
    shown = CliRunner().invoke(app, ["judge"], obj=own(f"stages={{'{verb}': enrich}}"))

    assert shown.exit_code == 1
    assert f"stages has '{verb}', which is a built-in command; choose another" in shown.stderr
    assert "src/own_" in shown.stderr


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"features": "compute"},
            r"features is 'compute'; it must be a function features\(columns\)",
        ),
        ({"features": lambda: {"x": 1}}, r"features is <lambda>\(\) of .*features\(columns\)"),
        (
            {"source": takes_one},
            r"source is takes_one.* of .*test_stages.py; it .* source\(options, root\)",
        ),
        (
            {"source": pd.DataFrame()},
            r"source is .*; it must be a function source\(options, root\) -> pandas.DataFrame",
        ),
        (
            {"report_sections": [takes_one, read_rows]},
            r"report_sections\[1\] is read_rows.* section\(context: ReportContext\)",
        ),
        (
            {"stages": {"enrich": takes_one}},
            r"stages\['enrich'\] is takes_one.*\(workspace, p",
        ),
        ({"stages": {"Two Words": read_rows}}, "stages has 'Two Words'; name a stage with lower-"),
        ({"stages": {1: read_rows}}, "stages has 1; name a stage with lower-"),
        ({"stages": [read_rows]}, r"stages is \[.*; pass a dict of functions by their names"),
        ({"stages": None}, "stages is None; pass a dict"),
        ({"report_sections": takes_one}, r"report_sections is takes_one.*; pass a list"),
        ({"report_sections": None}, "report_sections is None; pass a list"),
        ({"report_sections": "takes_one"}, "report_sections is 'takes_one'; pass a list"),
        (
            {"features": read_later},
            r"features is read_later.*test_stages.py, which has async or yield; write an ord",
        ),
        ({"source": yield_rows}, "source is yield_rows.*, which has async or yield; write an ordi"),
        ({"features": CalledLater()}, "features is <.*async or yield; write an ordinary function"),
        ({"estimators": [None]}, r"estimators\[0\], .*NoneType.*, has the name None; write `name"),
    ],
)
def test_an_object_of_another_shape_is_rejected(fields: dict[str, Any], sentence: str) -> None:
    project = Project(**{"features": compute_features, **fields})

    with pytest.raises(ProjectError, match=f"src/own/project.py: {sentence}"):
        check_project(project, "src/own/project.py", list_verbs())


def test_features_without_a_module_are_rejected_at_the_start() -> None:
    with pytest.raises(ProjectError, match=r"features is .*, which is not a function of a module"):
        check_project(Project(partial(compute_features)), "project.py", list_verbs())


def test_objects_of_the_right_shape_are_accepted() -> None:
    project = Project(
        compute_features,
        read_rows,
        report_sections=[takes_one],  # type: ignore[list-item]
        stages={"enrich": read_rows},  # type: ignore[dict-item]
    )

    check_project(project, "project.py", list_verbs())
