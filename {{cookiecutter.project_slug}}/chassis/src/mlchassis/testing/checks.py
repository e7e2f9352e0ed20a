"""Shared parts of the suites: fixtures of the project's files, and reports of violations."""

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest

from mlchassis.contract.model import Contract, load_contract
from mlchassis.errors import ProjectError
from mlchassis.features.code import FeatureFunction
from mlchassis.paths import Paths, find_project
from mlchassis.project import Project

_Content = TypeVar("_Content")

SHOWN = 10
"""Violations that one failed test lists."""


class Suite:
    """Fixtures of every suite: the project's folder and its contract."""

    @classmethod
    def find_features(cls) -> FeatureFunction:
        """Return the feature function, whose module lies in the project."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def paths(cls) -> Paths:
        """The project's folder."""
        return locate_project(cls.find_features())

    @pytest.fixture(scope="class")
    @classmethod
    def contract(cls, paths: Paths) -> Contract:
        """The project's contract."""
        return read_contract(paths)


class ProjectSuite(Suite):
    """Base of the suites that test the objects of a `Project`.

    Attributes:
        project: The tested project.
    """

    project: ClassVar[Project]

    @classmethod
    def find_features(cls) -> FeatureFunction:
        """Return the project's feature function."""
        return cls.project.features


def locate_project(features: FeatureFunction) -> Paths:
    """Return the project around the module that defines a feature function.

    Raises:
        ProjectError: The module is in no project.
    """
    return find_project(Path(str(inspect.getsourcefile(features))).parent)


def read_contract(paths: Paths) -> Contract:
    """Return a project's contract, or fail with the sentence that says what is wrong with it."""
    return read_or_fail(load_contract, paths.contract)


def read_or_fail(read: Callable[[Path], _Content], path: Path) -> _Content:
    """Return a file's content, or fail with the sentence that says what is wrong with it."""
    sentence = ""
    try:
        return read(path)
    except ProjectError as error:
        sentence = str(error)
    # Outside the handler, so that no traceback of the chassis is shown.
    pytest.fail(sentence, pytrace=False)


def require(violations: Iterable[str]) -> None:
    """Fail the running test with a sentence for each violation, without a traceback."""
    sentences = list(violations)
    if sentences:
        hidden = len(sentences) - SHOWN
        rest = [f"… and {hidden} more."] if hidden > 0 else []
        pytest.fail("\n".join([*sentences[:SHOWN], *rest]), pytrace=False)
