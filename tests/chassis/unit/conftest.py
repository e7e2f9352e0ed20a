"""A project's settings, without its code and rows."""

from pathlib import Path

import pytest

import ml_service
from mlchassis.paths import Paths

ROOT = Path(ml_service.__file__).parents[2]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A folder with this project's settings, in which a table can be adopted."""
    for name in ("params.yaml", "dvc.yaml", "contract.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return Paths(tmp_path)
