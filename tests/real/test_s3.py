"""Tables, DVC's data and MLflow's artifacts in a real PostgreSQL and a real S3 server."""

import json
import shutil
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bake import ROOT
from postgresql import start_postgresql
from project_copy import copy_project
from servers import install, running
from service import find_port
from summary import Parts
from whole_run import WholeRun, run_in

KEYS = {
    "AWS_ACCESS_KEY_ID": "made-up",
    "AWS_SECRET_ACCESS_KEY": "made-up",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

# Run by the project's interpreter, in its folder.
FILL_BUCKET = """
import sys
import pyarrow as pa, pyarrow.parquet as pq
from datetime import datetime, timedelta
from pyarrow.fs import S3FileSystem

storage = S3FileSystem(endpoint_override=sys.argv[1], allow_bucket_creation=True)
for bucket in ("tables", "data", "models"):
    storage.create_dir(bucket)
for month in map(int, sys.argv[2:]):
    days = [datetime(2020, month, 1) + timedelta(hours=11 * k) for k in range(60)]
    rows = pa.table({
        "id": [f"K-{month}-{k}" for k in range(60)],
        "placed_at": days,
        "size": [k * 1.5 for k in range(60)],
        "returned": [k % 3 == 0 for k in range(60)],
    })
    with storage.open_output_stream(f"tables/orders/2020-{month:02d}.parquet") as stream:
        pq.write_table(rows, stream)
"""
FILL_DATABASE = """
import os, sys
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

engine = create_engine(make_url(sys.argv[1]).set(password=os.environ["SOURCE_PASSWORD"]))
with engine.begin() as connection:
    connection.execute(text(
        'CREATE TABLE IF NOT EXISTS "Orders" (id text, placed_at timestamptz, size numeric(8, 2), '
        'items integer, express boolean, "Rück gabe" text)'
    ))
    for month in map(int, sys.argv[2:]):
        connection.execute(text(
            'INSERT INTO "Orders" SELECT :month || \\'-\\' || k, '
            "make_timestamptz(2020, :month, 1 + k % 28, 23, 30, 0, 'UTC'), "
            "nullif(k, 7) * 1.25, k % 5, k % 2 = 0, CASE WHEN k % 3 = 0 THEN 'ja' ELSE 'nein' END "
            "FROM generate_series(1, 60) AS k"
        ), {"month": month})
"""
ADOPT = """
import json, sys
from pathlib import Path
from ml_service.project import project
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.adoption.adopt import adopt
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.project import Workspace

location, overrides = map(json.loads, sys.argv[1:])
overrides["features"] = frozenset(overrides["features"])
options = AdoptionOptions(DataLocation(**location), RoleOverrides(**overrides))
adopt(Workspace(Path.cwd(), project), options, lambda _question, safe: safe, print)
"""


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that speaks S3, in an environment of its own: its address."""
    folder = tmp_path_factory.mktemp("s3")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    install(python, ROOT / "requirements" / "s3-server.txt")
    port = find_port()
    command: list[str | Path] = [
        folder / "venv" / "bin" / "moto_server",
        "-H",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    with running(command, port, folder / "log", KEYS) as address:
        yield address


@dataclass(frozen=True)
class Shop:
    """A database with a table, and who may read it."""

    url: str
    password: str


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    password = "s3cret/:@"  # noqa: S105 - made up
    with start_postgresql("shop", password) as url:
        yield Shop(url, password)


def call_in(project: Path, *command: str, **variables: str) -> str:
    """Run a command in a project, with its environment and these variables."""
    return run_in(project, *command, folder=None, typed="", **variables)


@pytest.fixture
def project(whole_run: WholeRun, tmp_path: Path) -> Path:
    return copy_project(whole_run.project, tmp_path / "project")


def adopt(project: Path, place: dict[str, str], target: str, *features: str, **env: str) -> str:
    """Rewrite a project for a table, as `make adopt` does before it runs everything."""
    overrides = {"target": target, "features": features}
    script = ("python", "-c", ADOPT, json.dumps(place), json.dumps(overrides))
    return call_in(project, *script, **env)


def list_months(project: Path) -> list[str]:
    return sorted(path.stem for path in (project / "data" / "raw").glob("*.parquet"))


def test_a_table_in_postgresql_is_asked_for_new_months_alone(
    project: Path, shop: Shop, parts: Parts
) -> None:
    def run(*command: str) -> str:
        return call_in(project, *command, SOURCE_PASSWORD=shop.password, PGTZ="Asia/Tokyo")

    run("python", "-c", FILL_DATABASE, shop.url, "1", "2", "3")
    place = {"data": shop.url, "table": "Orders", "incremental": "placed_at"}
    with parts.measure("a table in PostgreSQL: contract, settings, months"):
        adopt(
            *(project, place, "Rück gabe", "size", "items", "express"),
            SOURCE_PASSWORD=shop.password,
        )
        run("dvc", "repro", "ingest")
    assert list_months(project) == ["2020-01", "2020-02", "2020-03"]
    written = (project / "params.yaml").read_text() + (project / "contract.yaml").read_text()
    assert shop.password not in written
    assert "incremental: placed_at" in written
    run("python", "-c", FILL_DATABASE, shop.url, "4")
    assert "240 of 240 rows have arrived in 4 partitions" in run("dvc", "repro", "ingest")
    wrong = {"SOURCE_PASSWORD": "wrong"}
    said = call_in(project, "sh", "-c", "! python -m ml_service ingest", **wrong)
    assert "password authentication failed" in said
    assert "SOURCE_PASSWORD in the environment" in said


def test_a_folder_in_s3_is_a_table(project: Path, storage: str, parts: Parts) -> None:
    call_in(project, "python", "-c", FILL_BUCKET, storage, "1", "2", **KEYS)
    place = {"data": "s3://tables/orders", "endpoint": storage}
    with parts.measure("a table in S3: contract, settings, months"):
        adopt(project, place, "returned", "size", **KEYS)
        call_in(project, "dvc", "repro", "ingest", **KEYS)
    assert list_months(project) == ["2020-01", "2020-02"]
    call_in(project, "python", "-c", FILL_BUCKET, storage, "3", **KEYS)
    call_in(project, "dvc", "repro", "ingest", **KEYS)
    assert list_months(project) == ["2020-01", "2020-02", "2020-03"]
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("s3://tables/orders", "s3://tables/other"))
    said = call_in(project, "sh", "-c", "! python -m ml_service ingest", **KEYS)
    assert "s3://tables/other cannot be read (there is no such object and nothing below" in said


def test_data_and_models_live_in_s3_and_runs_in_postgresql(
    project: Path, storage: str, shop: Shop, tmp_path: Path, parts: Parts
) -> None:
    python = project / ".venv" / "bin" / "python"
    install(python, project / "requirements" / "s3.txt")
    call_in(project, "python", "-c", FILL_BUCKET, storage, **KEYS)
    for setting in (
        ("add", "--default", "storage", "s3://data/ml-service"),
        ("modify", "storage", "endpointurl", storage),
        ("modify", "storage", "verify", "true"),
    ):
        call_in(project, "dvc", "remote", *setting)
    with parts.measure("DVC's data pushed to S3 and pulled again"):
        call_in(project, "dvc", "push", "--quiet", **KEYS)
        for name in (".dvc/cache", "data", "models"):
            shutil.rmtree(project / name)
        call_in(project, "dvc", "pull", "--quiet", **KEYS)
    assert "up to date" in call_in(project, "dvc", "status")

    shutil.rmtree(project / "var")
    port, secrets = find_port(), {**KEYS, "MLFLOW_S3_ENDPOINT_URL": storage}
    backend = shop.url.replace("postgresql://", "postgresql+psycopg://", 1)
    command: list[str | Path] = [
        *(python, "-m", "mlflow", "server", "--workers", "1"),
        *("--backend-store-uri", backend, "--artifacts-destination", "s3://models"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PGPASSWORD": shop.password}
    with (
        parts.measure("judge, register, promote and deploy with MLflow on PostgreSQL and S3"),
        running(command, port, tmp_path / "mlflow.log", secrets | quiet) as server,
    ):
        for verb in ("judge", "register", "promote", "deploy"):
            said = call_in(project, "python", "-m", "ml_service", verb, MLFLOW_TRACKING_URI=server)
        assert "Version 1 of departures" in said
    # Nothing of it lies in the project: the bundle that is served came from S3.
    assert not (project / "var" / "mlruns").exists()
    assert not (project / "var" / "mlflow.db").exists()
    assert list((project / "var" / "deployed").rglob("model.onnx"))
