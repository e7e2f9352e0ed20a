"""Installer of `make setup`: uv on PATH, a pinned one, or pip where uv fails.

The script installs wheels that are made here, from a folder that pip alone was told of.
"""

import hashlib
import re
import shutil
import subprocess
import venv
import zipfile
from pathlib import Path

import pytest

from bake import PAYLOAD

FAILING = "#!/bin/sh\ncase $1 in --version) ;; *) echo 'no index' >&2; exit 2 ;; esac\n"
RECORDING = '#!/bin/sh\necho "$@" >>uv-calls\n'


def write_wheel(folder: Path, name: str, script: str = "") -> str:
    """Write a wheel with an empty module, or with a script; return its pinned requirement."""
    info = f"{name}-1.0.dist-info"
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    content = zipfile.ZipInfo(f"{name}-1.0.data/scripts/{name}" if script else f"{name}.py")
    content.external_attr = 0o100755 << 16  # pip keeps the mode of regular files alone
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(content, script)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with pip and nothing else."""
    made = tmp_path_factory.mktemp("environment") / ".venv"
    venv.create(made, symlinks=True, with_pip=True)
    return made


@pytest.fixture
def project(environment: Path, tmp_path: Path) -> Path:
    """A project with one group of packages, and no uv on PATH."""
    made = tmp_path / "project"
    shutil.copytree(environment, made / ".venv", symlinks=True)
    (made / "chassis").mkdir()
    shutil.copy(PAYLOAD / "chassis" / "install.sh", made / "chassis")
    for folder in ("requirements", "wheels", "bin"):
        (made / folder).mkdir()
    for tool in ("sh", "date", "grep"):
        (made / "bin" / tool).symlink_to(shutil.which(tool) or "")
    (made / "requirements" / "bootstrap.txt").write_text(f"uv==1.0 --hash=sha256:{'0' * 64}\n")
    (made / "requirements" / "base.txt").write_text(write_wheel(made / "wheels", "tiny"))
    return made


def install(project: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Install the group as the Makefile does."""
    return subprocess.run(
        ["sh", "chassis/install.sh", "groups", "base"],
        cwd=project,
        env={
            "PATH": str(project / "bin"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(project / "wheels"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            **variables,
        },
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def offer_pinned_uv(project: Path, script: str) -> None:
    """Let pip find the uv that requirements/bootstrap.txt pins."""
    pin = write_wheel(project / "wheels", "uv", script)
    (project / "requirements" / "bootstrap.txt").write_text(pin)


def put_uv_on_path(project: Path, script: str) -> None:
    """Put a program called uv on PATH."""
    program = project / "bin" / "uv"
    program.write_text(script)
    program.chmod(0o755)


def is_installed(project: Path) -> bool:
    """Return True if pip installed the group's package."""
    return bool(list(project.glob(".venv/lib/python*/site-packages/tiny.py")))


def test_without_uv_the_pinned_one_is_installed_and_used(project: Path) -> None:
    offer_pinned_uv(project, RECORDING)
    done = install(project)
    assert done.returncode == 0, done.stdout + done.stderr
    (call,) = (project / "uv-calls").read_text().splitlines()
    assert call.startswith("pip install --quiet --python .venv/bin/python --require-hashes")
    assert not is_installed(project)


def test_a_uv_on_path_is_used_and_none_is_installed(project: Path) -> None:
    offer_pinned_uv(project, FAILING)
    put_uv_on_path(project, RECORDING)
    assert install(project).returncode == 0
    assert (project / "uv-calls").read_text().splitlines()[-1].endswith("-r requirements/base.txt")
    assert not (project / ".venv" / "bin" / "uv").exists()


def test_where_uv_cannot_be_had_pip_installs(project: Path) -> None:
    done = install(project)
    assert "setup: uv, pinned ... not to be had; pip installs" in done.stdout
    assert is_installed(project)


def test_where_uv_fails_pip_installs(project: Path) -> None:
    offer_pinned_uv(project, FAILING)
    done = install(project)
    assert (done.returncode, done.stderr) == (0, "")
    assert "uv fails, pip installs" in done.stdout
    assert is_installed(project)


def test_one_line_says_the_groups_packages_and_its_time(project: Path) -> None:
    done = install(project, INSTALLER="pip")
    assert re.fullmatch(r"setup: group base, 1 packages \.\.\. \d+ s\n", done.stdout)


def test_the_installer_that_was_asked_for_is_the_only_one(project: Path) -> None:
    offer_pinned_uv(project, FAILING)
    done = install(project, INSTALLER="uv")
    assert done.returncode == 1
    assert "no index" in done.stderr
    assert not is_installed(project)
    put_uv_on_path(project, RECORDING)
    assert install(project, INSTALLER="pip").returncode == 0
    assert is_installed(project)
    assert not (project / "uv-calls").exists()


def test_what_neither_installs_ends_with_a_sentence(project: Path) -> None:
    offer_pinned_uv(project, FAILING)
    shutil.rmtree(project / "wheels")
    done = install(project)
    assert done.returncode == 1
    assert "tiny==1.0" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: the packages were not installed")
