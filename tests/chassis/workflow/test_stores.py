"""Shared stores: a DVC remote and MLflow's records outside the project."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import ml_service
from mlchassis.cli.app import app
from mlchassis.cli.launch import Composition
from mlchassis.paths import Paths
from mlchassis.workflow.stores import check_stores

ROOT = Path(ml_service.__file__).parents[2]
SHIPPED = "[core]\n    remote = local\n['remote \"local\"']\n    url = {url}\n"


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A project as it is generated, with its stores inside."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_DEFAULT_ARTIFACT_ROOT"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    for name in ("params.yaml", "contract.yaml", "pyproject.toml"):
        (root / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    write_remote(Paths(root), "../var/dvc-remote")
    return Paths(root)


def write_remote(paths: Paths, url: str) -> None:
    """Set the address of the default remote."""
    (paths.root / ".dvc" / "config").write_text(SHIPPED.format(url=url), encoding="utf-8")


@pytest.mark.parametrize("url", ["/mnt/team/ml", "../../remote", "s3://bucket/ml"])
@pytest.mark.parametrize(
    ("uri", "artifacts"),
    [("https://mlflow.example.org", None), ("postgresql://ml@db/mlflow", "s3://bucket/artifacts")],
)
def test_places_outside_the_project_are_shared(
    url: str, uri: str, artifacts: str | None, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_remote(paths, url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    if artifacts:
        monkeypatch.setenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", artifacts)
    checked = check_stores(paths)
    assert checked.shared, checked.sentence
    assert uri.partition("@")[2] in checked.sentence


def test_a_project_as_generated_names_both_stores(paths: Paths) -> None:
    checked = check_stores(paths)
    assert not checked.shared
    assert "dvc remote modify" in checked.sentence
    assert "MLFLOW_TRACKING_URI" in checked.sentence


def test_a_database_whose_artifacts_stay_here_is_not_shared(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_remote(paths, "s3://bucket/ml")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ml:hunter2@db/mlflow")
    checked = check_stores(paths)
    assert not checked.shared
    assert "dvc remote" not in checked.sentence
    monkeypatch.setenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", "s3://bucket/artifacts")
    assert "hunter2" not in check_stores(paths).sentence


def test_the_verb_has_outputs_and_fails_where_sharing_is_required(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(paths.root)
    outputs = paths.root / "outputs"
    monkeypatch.setenv("GITHUB_OUTPUT", str(outputs))
    own = Composition("ml_service.project:project", "ml_service.service:service")
    done = CliRunner().invoke(app, ["stores"], obj=own)
    assert done.exit_code == 0, done.output
    assert outputs.read_text().splitlines()[1] == "false"
    done = CliRunner().invoke(app, ["stores", "--require"], obj=own)
    assert done.exit_code == 1
    assert "No other machine reads this run" in done.output
