"""A second person runs the project: no path of one machine, and a run without the source."""

import sqlite3
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import ml_service
from ml_service.project import project as own_project
from mlchassis.adoption.files.placement import collect_query, make_portable, note_location
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.cli.app import app
from mlchassis.cli.launch import Composition
from mlchassis.config.params import load_params
from mlchassis.config.source_params import FilesParams, S3Params, SqlParams
from mlchassis.data import ingest
from mlchassis.errors import ProjectError
from mlchassis.project import Workspace
from mlchassis.reports import read_report
from mlchassis.sources.location import SETTING, SourceMissingError, locate
from mlchassis.sources.registry import read_as_text
from mlchassis.sources.sql import resolve_url
from mlchassis.workflow.availability import check_rows, find_rows

ROOT = Path(ml_service.__file__).parents[2]


@pytest.fixture(autouse=True)
def _nobody_said_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_PATH", raising=False)
    monkeypatch.delenv("SOURCE_OFFLINE", raising=False)


@pytest.fixture
def paths(tmp_path: Path) -> Workspace:
    """A project in a larger repository, whose table lies outside of it."""
    root = tmp_path / "mono" / "project"
    root.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(root.parent)], check=True)
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    head, _, rest = text.partition("\nsource:\n")
    section = "source:\n  kind: files\n  path: $SOURCE_PATH\n"
    (root / "params.yaml").write_text(f"{head}\n{section}\n{rest[rest.index('ingest:') :]}")
    (root / "contract.yaml").write_text((ROOT / "contract.yaml").read_text(encoding="utf-8"))
    (tmp_path / "it's $here.csv").write_text("a,b\n1,2\n")
    return Workspace(root, own_project)


def test_a_path_inside_the_repository_is_written_from_the_projects_folder(paths: Workspace) -> None:
    for given, written in (
        ("orders.csv", "orders.csv"),
        ("./tables/orders.csv", "tables/orders.csv"),
        (str(paths.root / "orders.csv"), "orders.csv"),
        (str(paths.root.parent / "shared" / "orders.csv"), "../shared/orders.csv"),
    ):
        source, outside = make_portable(FilesParams(kind="files", path=given), paths.root)
        assert isinstance(source, FilesParams)
        assert (source.path, outside) == (written, None)


def test_a_path_outside_it_is_a_setting_of_this_machine(paths: Workspace, tmp_path: Path) -> None:
    outside: str | None = None
    for given in (str(tmp_path / "it's $here.csv"), "../../it's $here.csv"):
        source, outside = make_portable(FilesParams(kind="files", path=given), paths.root)
        assert isinstance(source, FilesParams)
        assert source.path == "$SOURCE_PATH"
        assert outside is not None
        assert Path(outside).resolve() == tmp_path / "it's $here.csv"
        (paths.root / SETTING).parent.mkdir(exist_ok=True)
        (paths.root / SETTING).write_text(f"{outside}\n")
        assert len(read_as_text(source, paths.root)) == 1
    assert [note for note in note_location(outside) if "colleagues set SOURCE_PATH" in note]
    assert [note for note in note_location(None) if "make push" in note]


def test_the_file_of_a_database_is_a_setting_too_and_a_server_is_none(
    paths: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite3.connect(tmp_path / "shop.db").close()
    sql = SqlParams(kind="sql", url=f"sqlite:///{tmp_path}/shop.db", query="source.sql")
    source, outside = make_portable(sql, paths.root)

    assert isinstance(source, SqlParams)
    assert source.url == "sqlite:///$SOURCE_PATH"
    assert outside == f"{tmp_path}/shop.db"
    monkeypatch.setenv("SOURCE_PATH", outside)
    assert resolve_url(source.url, paths.root).database == outside
    server = sql.model_copy(update={"url": "postgresql://host/shop"})
    bucket = S3Params(kind="s3", path="s3://tables/orders")
    for remote in (server, bucket):
        assert make_portable(remote, paths.root) == (remote, None)


def test_a_query_from_elsewhere_is_copied_into_the_project(
    paths: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "orders.sql").write_text("SELECT 1")
    (paths.root / "own.sql").write_text("SELECT 2")
    elsewhere = str(tmp_path / "orders.sql")
    sql = SqlParams(kind="sql", url="postgresql://host/shop", query=elsewhere)
    settled, _ = make_portable(sql, paths.root)

    assert isinstance(settled, SqlParams)
    assert settled.query == "source.sql"
    assert collect_query(DataLocation(sql.url, query=elsewhere), paths.root) == "SELECT 1"
    assert collect_query(DataLocation(sql.url, query="own.sql"), paths.root) is None
    with pytest.raises(ProjectError, match=r"absent\.sql is not a text file"):
        collect_query(DataLocation(sql.url, query="/absent.sql"), paths.root)


def test_the_environment_comes_before_the_file_of_the_machine(
    paths: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceMissingError, match="leaves open where the table lies; set SOURCE_"):
        locate("$SOURCE_PATH", paths.root)
    paths.var.mkdir()
    (paths.root / SETTING).write_text("/nowhere/orders.csv\n")
    with pytest.raises(SourceMissingError, match=r"^/nowhere/orders.csv, which SOURCE_PATH or"):
        locate("$SOURCE_PATH", paths.root)
    monkeypatch.setenv("SOURCE_PATH", str(tmp_path / "it's $here.csv"))
    assert locate("$SOURCE_PATH", paths.root) == tmp_path / "it's $here.csv"


def test_files_that_change_are_described_otherwise_and_by_no_path(
    paths: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "it's $here.csv"
    monkeypatch.setenv("SOURCE_PATH", str(table))
    described = []
    for text in ("a,b\n1,2\n", "a,b\n1,3\n"):
        table.write_text(text)
        assert find_rows(paths).place == "source"
        described.append(read_report(paths.reports / "source.json"))

    assert described[0] != described[1]
    assert str(tmp_path) not in (paths.reports / "source.json").read_text()


def test_without_the_source_a_run_goes_on_from_stored_rows_and_says_so(paths: Workspace) -> None:
    with pytest.raises(ProjectError, match=r"neither there nor in the DVC remote.*make push"):
        check_rows(paths, print)
    paths.raw.mkdir(parents=True)
    pd.DataFrame({"a": [1, 2]}).to_parquet(paths.raw / "2013-01.parquet")
    said: list[str] = []
    check_rows(paths, said.append)

    assert said[0].startswith("repro: going on from data/raw, without the source: params.yaml")
    summary = ingest.run(paths, load_params(paths.params))
    assert summary.startswith("the source is not on this machine")
    assert "going on from the 2 rows in 1 partition of data/raw" in summary
    assert read_report(paths.reports / "ingest.json")["arrived"] == 2


def test_a_source_that_nobody_wants_read_is_not_read(
    paths: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_PATH", str(tmp_path / "it's $here.csv"))
    monkeypatch.setenv("SOURCE_OFFLINE", "1")
    assert find_rows(paths).place == "source"
    paths.raw.mkdir(parents=True)
    pd.DataFrame({"a": [1, 2]}).to_parquet(paths.raw / "2013-01.parquet")

    assert find_rows(paths).place == "stored"
    assert ingest.run(paths, load_params(paths.params)).startswith("SOURCE_OFFLINE is set")


def test_a_step_of_a_workflow_reads_where_the_rows_are(
    paths: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = paths.root / "outputs"
    monkeypatch.setenv("GITHUB_OUTPUT", str(outputs))
    monkeypatch.chdir(paths.root)
    (paths.root / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    own = Composition("ml_service.project:project", "ml_service.service:service")
    done = CliRunner().invoke(app, ["rows"], obj=own)
    assert done.exit_code == 0, done.output
    assert outputs.read_text().splitlines()[1] == "none"
