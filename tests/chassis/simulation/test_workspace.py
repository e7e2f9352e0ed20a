"""The copy of a project in which a simulation runs."""

import os
from pathlib import Path

import pytest

from ml_service.project import project as own_project
from mlchassis.paths import Paths
from mlchassis.project import Workspace, read_params
from mlchassis.simulation.workspace import copy_project, isolated_environment
from mlchassis.workspace.dvc_remotes import find_stores


def test_the_copy_reads_delivered_rows_and_has_a_cache_of_its_own(
    orders: Paths, tmp_path: Path
) -> None:
    own = Workspace(orders.root, own_project)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "left.txt").write_text("of a former simulation")
    copy = copy_project(own, tmp_path / "copy", "2013-07")
    params = read_params(copy)
    assert params.source.model_dump(include={"kind", "path"}) == {"kind": "files", "path": "source"}
    assert params.ingest.as_of == "2013-07"
    assert find_stores(copy.root).cache.resolve() == copy.root / ".dvc" / "cache"
    assert (copy.root / "chassis" / "MANIFEST.json").is_file()
    assert not (copy.root / "left.txt").exists()
    assert (copy.root / ".git").is_dir()
    assert read_params(own).ingest.as_of is None


def test_variables_that_lead_outside_are_unset_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    monkeypatch.setenv("SERVICE_PORT", "9000")
    monkeypatch.setenv("UNRELATED", "1")
    with isolated_environment():
        assert "MLFLOW_TRACKING_URI" not in os.environ
        assert "SERVICE_PORT" not in os.environ
        assert os.environ["UNRELATED"] == "1"
        os.environ["LEFT"] = "1"
    assert os.environ["MLFLOW_TRACKING_URI"] == "https://mlflow.example.org"
    assert "LEFT" not in os.environ
