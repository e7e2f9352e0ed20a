"""Fixtures of workflow tests: a repository with the generated project, and its runner."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from workflows.node_tools import Expressions, open_expressions
from workflows.repositories import make_base, publish
from workflows.runs import Place
from workflows.stand_ins import Programs, write_programs


@pytest.fixture(scope="session")
def expressions() -> Iterator[Expressions]:
    """GitHub's evaluator of expressions."""
    with open_expressions() as evaluator:
        yield evaluator


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """Stand-ins for make, gh and others."""
    return write_programs(tmp_path / "programs")


@pytest.fixture(scope="session")
def origin(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Repository with a freshly generated project, without the sources of its chassis."""
    return publish(project, tmp_path_factory.mktemp("origin") / "ml-service.git", "mlchassis")


@pytest.fixture
def place(origin: Path, tmp_path: Path, programs: Programs, expressions: Expressions) -> Place:
    """Folders of a runner for the generated project; its environment is not set up."""
    own = tmp_path / "origin.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(origin), str(own)], check=True)
    return Place(
        origin=own,
        folder=tmp_path / "run",
        programs=programs.folder,
        prepare=lambda clone: None,
        expressions=expressions,
        base=make_base(tmp_path / "home", os.environ["PATH"]),
    )
