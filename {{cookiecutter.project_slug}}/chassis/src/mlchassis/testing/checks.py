"""Shared parts of the suites: the project's folder, its contract, and reports of violations."""

import inspect
from collections.abc import Iterable
from pathlib import Path

import pytest

from mlchassis.contract.model import Contract, load_contract
from mlchassis.errors import ProjectError
from mlchassis.features.code import FeatureFunction
from mlchassis.paths import Paths, find_project

SHOWN = 10
"""Violations that one failed test lists."""


def locate_project(features: FeatureFunction) -> Paths:
    """Return the project around the module that defines a feature function.

    Raises:
        ProjectError: The module is in no project.
    """
    return find_project(Path(str(inspect.getsourcefile(features))).parent)


def read_contract(paths: Paths) -> Contract:
    """Return a project's contract, or fail with the sentence that says what is wrong with it."""
    sentence = ""
    try:
        return load_contract(paths.contract)
    except ProjectError as error:
        sentence = str(error)
    # Outside the handler, so that no traceback of the chassis is shown.
    pytest.fail(sentence, pytrace=False)


def require(violations: Iterable[str]) -> None:
    """Fail the running test with a sentence for each violation, without a traceback."""
    found = list(violations)
    if found:
        hidden = len(found) - SHOWN
        rest = [f"… and {hidden} more."] if hidden > 0 else []
        pytest.fail("\n".join([*found[:SHOWN], *rest]), pytrace=False)
