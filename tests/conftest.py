"""Shared fixtures: projects baked from a copy of the template's tracked files."""

import os
import sys
import venv
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from background import Background, Job
from bake import BakeError, bake_defaults, copy_template, write_config
from bake import bake as run_bake
from suites import FOUND, has_tests_of, run_tests
from summary import Parts
from whole_run import WholeRun, run_whole

settings.register_profile("test", deadline=None, max_examples=150, derandomize=True)
settings.register_profile(
    "prove", deadline=None, max_examples=5000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))

# Tests compare what tools print; where CI is set, some of them print in color.
os.environ["NO_COLOR"] = "1"
for variable in ("FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS"):
    os.environ.pop(variable, None)

Bake = Callable[..., Path]


PARTS = pytest.StashKey[Parts]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PARTS] = Parts()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move slow tests, which need a complete run of a project, to the end.

    Last is what the background does meanwhile: the faults, then the suites.
    """
    rooms = {"generated", "projects", "real"}
    last = ("test_faults.py", "test_suites.py")
    items.sort(
        key=lambda item: (
            not rooms.isdisjoint(item.path.parts),
            last.index(item.path.name) if item.path.name in last else -1,
        )
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = terminalreporter.config.stash[PARTS].lines
    if lines:
        terminalreporter.section("parts")
    for line in lines:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def parts(pytestconfig: pytest.Config) -> Parts:
    return pytestconfig.stash[PARTS]


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    """Two threads beside the tests, which wait for disks and containers a third of the time."""
    background = Background(threads=2)
    yield background
    background.close()


@pytest.fixture(scope="session", autouse=True)
def suites(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    background: Background,
    parts: Parts,
) -> dict[str, Job[None]]:
    """The suites by the version of their Python: those of the other Pythons begin at once."""
    jobs: dict[str, Job[None]] = {}
    if has_tests_of("test_suites.py", request.session):
        folder = tmp_path_factory.mktemp("pythons")
        for version, interpreter in FOUND.items():
            if interpreter:
                project = folder / version / "ml-service"
                work = partial(run_tests, project, version, interpreter, parts)
                jobs[version] = background.add(work)
    return jobs


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the template's tracked files, as they lie in the working tree."""
    return copy_template(tmp_path_factory.mktemp("template") / "ml-template")


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cookiecutter configuration that leaves the home folder alone."""
    return write_config(tmp_path_factory.mktemp("config"))


@pytest.fixture
def bake(template: Path, config: Path, tmp_path: Path) -> Bake:
    """Bake a project from answers (by keyword; defaults for the rest) and return its folder."""

    def bake_answers(output: Path = tmp_path / "output", **answers: str) -> Path:
        return run_bake(template, output, config, answers)

    return bake_answers


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project that the default answers give, freshly baked; its root is this folder."""
    folder = tmp_path_factory.mktemp("generated") / "ml-service"
    bake_defaults(folder)
    return folder


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory, parts: Parts) -> WholeRun:
    """One project, set up and run whole on the real data, for all tests that need one."""
    return run_whole(tmp_path_factory.mktemp("whole-run") / "ml-service", parts)


@pytest.fixture
def refuse(bake: Bake, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Bake answers that must be refused; return what was said. Nothing may be left behind."""
    output = tmp_path / "output"

    def bake_refused(**answers: str) -> str:
        with pytest.raises(BakeError) as refusal:
            bake(**answers)
        return str(refusal.value)

    yield bake_refused
    assert not output.exists() or list(output.rglob("*")) == []


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """Stand-in for a project that is set up: a package with passing tests, an environment."""
    project = tmp_path / "stand-in"
    package = project / "src" / "ml_service"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("print('green')\n")
    venv.create(project / ".venv", symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = project / ".venv" / "lib" / version / "site-packages"
    (packages / "editable.pth").write_text(f"{project / 'src'}\n")
    for stamp in (".directory", ".python", ".dependencies", ".project"):
        (project / ".venv" / stamp).touch()
    return project
