"""A small project that adopted a table of orders, for all tests of this folder."""

from pathlib import Path

import pytest

from bake import bake_defaults
from project_copy import link_environment
from projects.example import write_table
from summary import Parts
from whole_run import WholeRun, run_in


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small table of orders."""
    path = tmp_path_factory.mktemp("orders") / "orders.csv"
    write_table(path)
    return path


@pytest.fixture(scope="session")
def adopted(
    whole_run: WholeRun, table: Path, tmp_path_factory: pytest.TempPathFactory, parts: Parts
) -> Path:
    """A project that adopted the table, with the packages of the whole run's."""
    project = tmp_path_factory.mktemp("adopted") / "ml-service"
    bake_defaults(project)
    link_environment(whole_run.project / ".venv", project / ".venv")
    with parts.measure("adoption for the example projects"):
        run_in(project, "make", "adopt", f"DATA={table}", "TARGET=returned")
    return project
