"""A project is generated from wherever the template comes, and on odd machines."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest

from bake import copy_template
from summary import Parts

TOOLS = Path(sys.executable).parent
INSTALLED = (sys.executable, "-m", "cookiecutter")
UVX = (str(TOOLS / "uvx"), "--python", sys.executable)
PIPX = ("pipx", "run", "--backend", "uv", "--python", sys.executable)
VERSIONS = "cookiecutter>=2.7,<3"
"""Versions as in pyproject.toml; what these programs install comes from the package index."""
PROGRAMS = {
    "uvx": (*UVX, "--from", VERSIONS, "cookiecutter"),
    "pipx": (*UVX, *PIPX, "--spec", VERSIONS, "cookiecutter"),
}


def list_files(folder: Path) -> dict[str, bytes]:
    """Contents of each file by its name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with the template's files, in a folder with blanks in its name."""
    folder = copy_template(tmp_path_factory.mktemp("origin") / "the template")
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for command in (("init", "--quiet"), ("add", "-A"), (*identity, "commit", "-qm", "template")):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def expected(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return list_files(generate(tmp_path_factory.mktemp("expected"), repository))


def generate(
    folder: Path,
    template: Path | str,
    *options: str,
    home: Path | None = None,
    variables: Mapping[str, str] = MappingProxyType({}),
    program: Sequence[str] = INSTALLED,
) -> Path:
    """Run cookiecutter as a person with an empty home folder does; return the project."""
    output = folder / "an output"
    output.mkdir()
    done = subprocess.run(
        [*program, "--no-input", "-o", str(output), *options, str(template)],
        env={"PATH": os.environ["PATH"], "HOME": str(home or folder), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (project,) = output.iterdir()
    return project


def make_zip(repository: Path, folder: Path) -> str:
    archive = folder / "template.zip"
    command = [
        "git",
        "archive",
        "--format=zip",
        "--prefix=ml-template/",
        "-o",
        str(archive),
        "HEAD",
    ]
    subprocess.run(command, cwd=repository, check=True)
    return str(archive)


ORIGINS: dict[str, Callable[[Path, Path], str]] = {
    "folder": lambda repository, folder: str(repository),
    "git": lambda repository, folder: f"git+file://{repository}",
    "zip": make_zip,
}


@pytest.mark.parametrize("origin", ORIGINS)
def test_every_origin_gives_the_same_files(
    origin: str, repository: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    template = ORIGINS[origin](repository, tmp_path)
    assert list_files(generate(tmp_path, template)) == expected


def find_index() -> dict[str, str]:
    """Return the variables under which uv and pipx reach the package index from here."""
    prefixes = ("PIP_", "SSL_", "UV_", "HTTP", "http", "NO_PROXY", "no_proxy", "ALL_PROXY")
    kept = {name: value for name, value in os.environ.items() if name.startswith(prefixes)}
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"  # pipx looks for uv there
    cache = str(Path.home() / ".cache" / "uv")
    return {"PATH": path, "UV_SYSTEM_CERTS": "1", "UV_CACHE_DIR": cache, **kept}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_that_installs_cookiecutter_for_one_run_gives_the_same_files(
    program: str, repository: Path, expected: dict[str, bytes], tmp_path: Path, parts: Parts
) -> None:
    with parts.measure(f"generation by {program}"):
        project = generate(tmp_path, repository, variables=find_index(), program=PROGRAMS[program])
    assert list_files(project) == expected


@pytest.mark.parametrize(
    "variables", [{"LANG": "C", "LC_ALL": "C"}, {"PYTHONUTF8": "0", "LC_ALL": "POSIX"}, {}]
)
def test_the_language_of_the_machine_changes_nothing(
    variables: dict[str, str], repository: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    assert list_files(generate(tmp_path, repository, variables=variables)) == expected


def test_a_strict_umask_leaves_a_project_that_its_owner_can_use(
    repository: Path, tmp_path: Path
) -> None:
    before = os.umask(0o077)
    try:
        project = generate(tmp_path, repository)
    finally:
        os.umask(before)
    assert all(path.stat().st_mode & 0o600 == 0o600 for path in project.rglob("*"))


def test_without_hooks_a_project_is_the_same_for_answers_that_need_none(
    repository: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    assert list_files(generate(tmp_path, repository, "--accept-hooks", "no")) == expected


def test_a_project_inside_another_repository_leaves_that_one_alone(
    repository: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=outer, check=True)
    before = list_files(outer / ".git")
    project = generate(outer, repository, home=tmp_path)
    assert list_files(project) == expected
    assert list_files(outer / ".git") == before
