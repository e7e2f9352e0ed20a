import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy
from mlflow.store.tracking import sqlalchemy_store
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from ml_service.features import compute_features
from ml_service.project import project as own_project
from mlchassis.bundle.bundle import load_bundle
from mlchassis.bundle.scorer import Scorer
from mlchassis.config.params import Params
from mlchassis.config.source_params import ColumnFormat, FilesParams
from mlchassis.contract.checks import LONGEST_NAME, check_name
from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.features.code import load_feature_code
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.registry.mlflow_database import create_database
from mlchassis.registry.runs import TrialRecord, choose_examples
from mlchassis.registry.tracking import TrackingError, connect
from mlchassis.registry.tracking_uri import TrackingSettings, resolve_tracking_location, sqlite_uri
from mlchassis.workflow import release

pytestmark = pytest.mark.one_python

FEATURES = load_feature_code(compute_features)

# Asks the champion as somebody would who has MLflow and the registry's address, and nothing else.
ASK = """
import json, sys, mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
records = json.load(open(sys.argv[2]))
frames = [pandas.DataFrame(records), *(pandas.DataFrame([record]) for record in records)]
whole, *single = [model.predict(frame) for frame in frames]
answers = pandas.concat([whole, *single])
scores = answers.iloc[:, 1:] if len(answers.columns) > 1 else answers
scores.to_json(sys.argv[3], orient="values")
"""


def release_bundle(paths: Workspace, params: Params) -> None:
    release.judge(paths, params)
    release.register(paths, params)
    release.promote(paths, None, "a test")


def ask_champion(uri: str, name: str, contract: Contract, folder: Path) -> tuple[Any, list[Any]]:
    records = generate_rows(contract, count=20, seed=5)
    (folder / "records.json").write_text(json.dumps(records))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PYTHON"))}
    command = [sys.executable, "-c", ASK, f"models:/{name}@champion", "records.json", "out.json"]
    environment |= {"MLFLOW_TRACKING_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=120)
    return np.array(json.loads((folder / "out.json").read_text())), records


def test_a_run_holds_all_that_is_known_about_a_bundle(
    project: Workspace, params: Params, open_registry: Callable[[Paths], Any]
) -> None:
    release.judge(project, params)
    run_id = release.track(project, params)
    client = open_registry(project)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["train.trees.leaves"] == str(params.train.trees.leaves)
    assert run.data.metrics["test/roc_auc_low"] == 0.6
    assert run.data.metrics["gain_over_linear/roc_auc"] == 0.7
    tags = run.data.tags
    assert tags["bundle_digest"] == load_bundle(project.bundle, FEATURES).digest
    assert tags["data_md5"] == "0123.dir"
    assert tags["contract_version"] == "1.0.0"
    assert len(tags["git_commit"]) == 40
    assert tags["judgement"] == "passed"
    kept = {item.path for item in client.list_artifacts(run_id)}
    assert {"dvc.lock", "params.yaml", "evaluation.json", "judgement", "model", "plots"} <= kept
    assert [item.path for item in client.list_artifacts(run_id, "plots")] == ["plots/curve.csv"]


def test_a_column_of_any_name_is_no_parameter_of_a_run(
    project: Workspace, params: Params, open_registry: Callable[[Paths], Any]
) -> None:
    formats = {"Preis (€)": ColumnFormat(decimal=","), "Größe [m²]": ColumnFormat(decimal=",")}
    source = FilesParams(kind="files", path="orders.csv", columns=formats)
    shifts = params.validate_.model_copy(update={"accepted_shifts": {"Preis (€)": ("2025-01",)}})
    odd = params.model_copy(update={"source": source, "validate_": shifts})
    release.judge(project, odd)

    run_id = release.track(project, odd)

    kept = open_registry(project).get_run(run_id).data.params
    assert kept["source.path"] == "orders.csv"
    assert not [name for name in kept if "Preis" in name or "Größe" in name]


def test_a_model_is_registered_whose_optional_columns_are_empty_in_every_golden_request(
    project: Workspace, params: Params, contract: Contract, replace_bundle: Callable[..., str]
) -> None:
    required = {column.name for column in contract.features if column.required}
    golden = [
        entry.model_copy(
            update={"request": {k: v for k, v in entry.request.items() if k in required}}
        )
        for entry in load_bundle(project.bundle, FEATURES).metadata.golden
    ]
    replace_bundle(project, golden=golden)
    release_bundle(project, params)
    version = connect(project, contract.name).read_alias("champion")
    assert version is not None
    assert version.digest == load_bundle(project.bundle, FEATURES).digest


def test_the_input_example_shows_each_column_with_a_value_if_a_golden_request_has_one() -> None:
    records: list[dict[str, Any]] = [
        {"a": 1},
        {"a": 2},
        {"a": 3},
        {"a": 4, "note": "late"},
        {"a": 5, "b": "x"},
    ]
    assert choose_examples(records) == [records[3], records[4], records[0]]
    assert choose_examples([]) == []


@pytest.mark.parametrize("name", ['Ü "b" `c` (1); d#e?f%', "a" * LONGEST_NAME])
def test_a_name_that_a_contract_may_have_is_one_that_mlflow_takes(
    name: str, project: Workspace
) -> None:
    check_name(name, "contract.yaml")
    tracker = connect(project, name)
    tracker.close_dead_runs("f" * 64)
    tracker.log_trial("a trial", TrialRecord({}, {}, {}))
    client = tracker._client
    run = client.create_run(tracker._experiment).info.run_id
    version = tracker.create_version(run, {"bundle_digest": "f" * 64})
    tracker.set_alias("champion", version)
    assert tracker.find_version("f" * 64) == tracker.read_version(version.number)
    assert tracker.read_alias("champion") == tracker.read_version(version.number)


def test_the_same_bundle_is_one_run(
    project: Workspace, params: Params, open_registry: Callable[[Paths], Any]
) -> None:
    first = release.track(project, params)
    assert release.track(project, params) == first
    (experiment,) = [e for e in open_registry(project).search_experiments() if e.name != "Default"]
    assert len(open_registry(project).search_runs([experiment.experiment_id])) == 1


def test_a_run_whose_process_died_does_not_count(
    project: Workspace, params: Params, contract: Contract, open_registry: Callable[[Paths], Any]
) -> None:
    digest = load_bundle(project.bundle, FEATURES).digest
    connect(project, contract.name)
    client = open_registry(project)
    experiment = client.get_experiment_by_name(contract.name).experiment_id
    dead = client.create_run(experiment, tags={"bundle_digest": digest}).info.run_id
    assert release.track(project, params) != dead
    assert client.get_run(dead).info.status == "KILLED"


def test_the_champion_answers_without_this_package_what_the_bundle_answers(
    project: Workspace, params: Params, contract: Contract, tmp_path: Path
) -> None:
    release_bundle(project, params)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    uri = sqlite_uri(project.var / "mlflow.db")
    answers, records = ask_champion(uri, contract.name, contract, elsewhere)
    expected = Scorer(load_bundle(project.bundle, FEATURES), FEATURES).score_rows(records).scores
    np.testing.assert_allclose(answers, np.concatenate([expected, expected]), atol=1e-6)
    left = {item.name for item in elsewhere.iterdir()}
    assert left == {"records.json", "out.json"}


def test_a_project_that_was_moved_keeps_its_registry(
    project: Workspace, params: Params, contract: Contract, tmp_path: Path
) -> None:
    release_bundle(project, params)
    place = tmp_path / "another place ü"
    shutil.move(project.root, place)
    moved = Workspace(place, own_project)
    assert release.deploy(moved).moved
    assert release.register(moved, params).number == "1"
    uri = sqlite_uri(moved.var / "mlflow.db")
    answers, _ = ask_champion(uri, contract.name, contract, tmp_path)
    assert len(answers) == 40


def test_the_models_inputs_are_the_contracts_features(
    project: Workspace, params: Params, contract: Contract, open_registry: Callable[[Paths], Any]
) -> None:
    from mlflow.models import Model

    run_id = release.track(project, params)
    folder = open_registry(project).download_artifacts(run_id, "model")
    model = Model.load(folder)
    inputs = model.signature.inputs
    assert inputs.input_names() == [column.name for column in contract.features]
    assert inputs.required_input_names() == [c.name for c in contract.features if c.required]
    example: Any = model.load_input_example(folder)
    assert list(example.columns) == inputs.input_names()


def test_the_database_is_the_one_that_mlflow_makes(tmp_path: Path, empty_database: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    theirs = tmp_path / "theirs.db"
    make_store: Callable[..., Any] = SqlAlchemyStore
    make_store(sqlite_uri(theirs), (tmp_path / "artifacts").as_uri())
    assert tables_of(empty_database) == tables_of(theirs)


def tables_of(database: Path) -> dict[str, list[str]]:
    with closing(sqlite3.connect(database)) as connection:
        found = dict(connection.execute("SELECT name, sql FROM sqlite_master").fetchall())
        (revision,) = connection.execute("SELECT * FROM alembic_version").fetchone()
    # The constraints of a table come in any order.
    tables = {name: sorted(re.split(r",?\s*\n", sql or "")) for name, sql in found.items()}
    return {**tables, "revision": [revision]}


def test_a_database_that_was_not_finished_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class HalfBuilt(SqlAlchemyStore):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)  # type: ignore[no-untyped-call]
            raise RuntimeError

    monkeypatch.setattr(sqlalchemy_store, "SqlAlchemyStore", HalfBuilt)
    with pytest.raises(RuntimeError):
        create_database(tmp_path / "mlflow.db", tmp_path.as_uri())
    assert list(tmp_path.iterdir()) == []


def test_only_the_new_database_is_written_without_flushes(tmp_path: Path) -> None:
    create_database(tmp_path / "mlflow.db", tmp_path.as_uri())
    engine = sqlalchemy.create_engine(
        f"sqlite:///{tmp_path}/other.db", poolclass=sqlalchemy.NullPool
    )
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_server_that_is_not_there_is_named_soon(
    project: Workspace, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    with pytest.raises(TrackingError, match="does not answer; start it") as caught:
        connect(project, contract.name)
    assert "secret" not in str(caught.value)


def test_a_database_that_is_not_there_is_named_soon(
    project: Workspace, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project.root}/no/such/folder/mlflow.db")
    with pytest.raises(TrackingError, match="unable to open database file"):
        connect(project, contract.name)


def test_a_broken_database_is_named(project: Workspace, contract: Contract) -> None:
    (project.var / "mlflow.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(TrackingError, match="file is not a database"):
        connect(project, contract.name)


def test_artifacts_go_where_the_setting_says(tmp_path: Path) -> None:
    paths = Workspace(tmp_path, own_project)
    database = "postgresql://user:secret@127.0.0.1/mlflow"
    here = resolve_tracking_location(paths, TrackingSettings(mlflow_tracking_uri=database))
    assert here.artifact_location == (tmp_path / "var/mlartifacts").as_uri()
    assert here.shown == "postgresql://user:***@127.0.0.1/mlflow"
    named = TrackingSettings(
        mlflow_tracking_uri=database, mlflow_default_artifact_root="s3://bucket/models"
    )
    assert resolve_tracking_location(paths, named).artifact_location == "s3://bucket/models"
    server = TrackingSettings(mlflow_tracking_uri="https://mlflow.example.org")
    assert resolve_tracking_location(paths, server).artifact_location is None
