"""Fixtures of this project's tests."""

from pathlib import Path

import pytest
from mlchassis.contract.model import Contract, load_contract


@pytest.fixture(scope="session")
def contract() -> Contract:
    """The contract of this project's rows."""
    return load_contract(Path(__file__).parents[1] / "contract.yaml")
