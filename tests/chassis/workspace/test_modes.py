"""Rows are closed to other users of the machine, wherever a run leaves them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlchassis.files import replacing
from mlchassis.paths import Paths
from mlchassis.registry.tracking import connect
from mlchassis.serving.logs.prediction_log import PredictionLog
from mlchassis.workspace.dvc_remotes import find_stores

pytestmark = pytest.mark.one_python


def others_can_read(place: Path, top: Path) -> bool:
    """True if other users can read a file: every folder from `top` on lets them through."""
    chain = [place, *(p for p in place.parents if p == top or top in p.parents)]
    return place.stat().st_mode & 0o004 != 0 and all(
        p.stat().st_mode & 0o001 for p in chain if p.is_dir()
    )


def test_no_stranger_reads_rows_after_a_run(orders: Paths, tmp_path: Path) -> None:
    home = tmp_path / "home"
    paths = Paths(tmp_path / "project")
    shutil.copytree(orders.root, paths.root)
    for folder in (home, paths.root, paths.root / "data", paths.var):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    environment = {
        **os.environ,
        "PYTHONPATH": "src:chassis/src",
        "HOME": str(home),
        "DVC_NO_ANALYTICS": "1",
    }
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    package = "ml_service"
    for command in (
        ["git", "init", "--quiet"],
        [sys.executable, "-c", _run_two_stages(package)],
        [sys.executable, "-m", "dvc", "push", "--quiet"],
    ):
        done = subprocess.run(
            command,
            cwd=paths.root,
            env=environment,
            umask=0o022,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    rows = list((paths.root / "data").rglob("*.parquet"))
    objects = [p for p in (paths.root / ".dvc/cache").rglob("*") if p.is_file()]
    pushed = [p for p in (paths.var / "dvc-remote").rglob("files/**/*") if p.is_file()]
    assert rows
    assert objects
    assert pushed
    open_ones = [p for p in (*rows, *objects, *pushed) if others_can_read(p, tmp_path)]
    assert open_ones == []
    assert [p for p in rows if p.stat().st_mode & 0o007] == []


def _run_two_stages(package: str) -> str:
    return (
        "import pathlib\n"
        "from mlchassis.paths import Paths\n"
        "from mlchassis.workflow.pipeline import repro\n"
        "repro(Paths(pathlib.Path.cwd()), print, 'validate')\n"
    )


def test_the_registry_and_the_prediction_log_are_private(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    before = os.umask(0o022)
    try:
        connect(paths, "orders")
        log = PredictionLog(paths.predictions)
        log.open()
        log.close()
    finally:
        os.umask(before)
    for place in (paths.var, paths.var / "mlflow.db", paths.predictions, log.path):
        assert place.stat().st_mode & 0o007 == 0, place


def test_folders_with_rows_that_were_open_are_closed(tmp_path: Path) -> None:
    from mlchassis.workspace.dvc_remotes import protect_rows

    paths = Paths(tmp_path)
    folders = (paths.root / "data", paths.var, paths.predictions)
    for folder in folders:
        folder.mkdir()
        folder.chmod(0o755)
    protect_rows(paths)
    assert [oct(folder.stat().st_mode & 0o777) for folder in folders] == ["0o750"] * 3


def test_a_shared_remote_keeps_its_mode(orders: Paths, tmp_path: Path) -> None:
    from mlchassis.workspace.dvc_remotes import protect_rows

    paths, shared = Paths(tmp_path / "project"), tmp_path / "team"
    shutil.copytree(orders.root / ".dvc", paths.root / ".dvc")
    shared.mkdir()
    shared.chmod(0o775)
    config = paths.root / ".dvc/config"
    config.write_text(f"[core]\n    remote = local\n['remote \"local\"']\n    url = {shared}\n")
    protect_rows(paths)
    assert find_stores(paths.root).folders == {"local": shared}
    assert shared.stat().st_mode & 0o777 == 0o775
    with replacing(paths.root / "x") as scratch:
        scratch.write_text("x")
