"""Content of a DVC remote against the hashes in git."""

import logging
import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

import ml_service
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.workflow.pipeline import pull

ROOT = Path(ml_service.__file__).parents[2]


@pytest.fixture
def own_dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC with folders of this test's, and without handlers of its loggers.

    Those keep the stream of the test that imported DVC first, and raise once it is closed.
    """
    for name in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    import dvc.logger  # noqa: F401 - it adds the handlers

    for name in ("dvc", "dvc_data", "dvc_objects"):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [logging.NullHandler()])


def read_config(path: Path) -> ConfigParser:
    config = ConfigParser(interpolation=None)
    config.read_string("\n".join(map(str.strip, path.read_text(encoding="utf-8").splitlines())))
    return config


def test_every_remote_of_the_project_verifies_what_is_pulled() -> None:
    config = read_config(ROOT / ".dvc" / "config")
    remotes = [name for name in config.sections() if name.startswith("'remote ")]
    assert remotes
    for name in remotes:
        assert config[name].get("verify") == "true", (
            f".dvc/config: {name} takes whatever lies there; run `dvc remote modify NAME verify "
            "true`."
        )


def test_the_default_remote_is_a_folder_of_this_project_alone() -> None:
    config = read_config(ROOT / ".dvc" / "config")
    default = config["core"]["remote"]
    place = (ROOT / ".dvc" / config[f"'remote \"{default}\"'"]["url"]).resolve()
    assert ROOT.resolve() in place.parents


@pytest.mark.usefixtures("own_dvc")
# DVC's own use of its own dependency.
@pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")
def test_a_file_that_was_replaced_in_the_remote_is_not_pulled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    remote = tmp_path / "remote"
    Path(".dvc").mkdir()
    config = (ROOT / ".dvc" / "config").read_text(encoding="utf-8")
    Path(".dvc", "config").write_text(re.sub(r"url = .*", f"url = {remote}", config))
    subprocess.run(["git", "init", "-q"], check=True)
    trained = tmp_path / "trained"
    trained.mkdir()
    (trained / "prior.json").write_text("{}")
    with Repo() as repo:
        repo.add("trained")
        repo.push()
        (kept,) = (p for p in remote.rglob("*") if p.is_file() and p.suffix != ".dir")
        kept.chmod(0o644)
        kept.write_text("import os")
        shutil.rmtree(trained)
        shutil.rmtree(".dvc/cache")
        with pytest.raises(DvcException):
            repo.pull()
    assert not list(tmp_path.glob("trained/*"))


@pytest.mark.usefixtures("own_dvc")
@pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")
def test_a_listing_that_was_replaced_in_the_remote_writes_nothing_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, remote = tmp_path / "project", tmp_path / "remote"
    project.mkdir()
    monkeypatch.chdir(project)
    from dvc.repo import Repo

    Path(".dvc").mkdir()
    config = (ROOT / ".dvc" / "config").read_text(encoding="utf-8")
    Path(".dvc", "config").write_text(re.sub(r"url = .*", f"url = {remote}", config))
    subprocess.run(["git", "init", "-q"], check=True)
    Path("trained").mkdir()
    Path("trained", "prior.json").write_text("{}")
    with Repo() as repo:
        repo.add("trained")
        repo.push()
    shutil.rmtree("trained")
    shutil.rmtree(".dvc/cache")
    (listing,) = remote.rglob("*.dir")
    whole = listing.read_text()
    listing.chmod(0o644)
    listing.write_text(whole.replace("prior.json", "../../escaped.json"))
    with pytest.raises(ProjectError, match="listing of trained does not match its hash"):
        pull(Paths(project))
    assert not (tmp_path / "escaped.json").exists()
    assert not list(project.glob("trained/*"))

    listing.write_text(whole)
    pull(Paths(project))
    assert Path("trained", "prior.json").read_text() == "{}"
