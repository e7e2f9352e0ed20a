"""Checks of the objects that a team passes in, and sentences about those that do not fit."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from mlchassis.errors import ProjectError

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Expected:
    """The shape that a team's function must have.

    Attributes:
        signature: As it is written in Python: "(columns) -> dict of features".
        arguments: Number of positional arguments that the chassis passes.
    """

    signature: str
    arguments: int


def check_function(value: object, name: str, file: str, expected: Expected) -> None:
    """Reject an object that cannot be called as the machinery calls it.

    Args:
        value: The object that the team passed.
        name: Name of the argument that the team passed it as, such as "source".
        file: The file in which it was passed.
        expected: The shape that it must have.

    Raises:
        ProjectError: It is no function, or takes other arguments.
    """
    if not callable(value) or not _accepts(value, expected.arguments):
        raise ProjectError(
            f"{file}: {name} is {describe(value)}; it must be a function "
            f"{name.partition('[')[0]}{expected.signature}."
        )


def _accepts(function: Callable[..., Any], arguments: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * arguments)
    except TypeError:
        return False
    except ValueError:
        return True  # A function in C has no signature to compare.
    return True


def describe(value: object) -> str:
    """Name an object, and its file and signature where it is a function of a module."""
    if not inspect.isfunction(value):
        return " ".join(repr(value).split())[:100]
    place = inspect.getsourcefile(value)
    return f"{value.__name__}{inspect.signature(value)} of {shorten(Path(str(place)))}"


def shorten(file: Path) -> str:
    """Return a file's path as a person writes it: from the current folder, where it lies in it."""
    try:
        return file.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(file)


def load_object(reference: str, kind: type[_T]) -> _T:
    """Import an object of the project's own code.

    Args:
        reference: As "package.module:name".
        kind: The type that it must have.

    Raises:
        ProjectError: There is no such module or name, or it is something else.
    """
    module, _, name = reference.partition(":")
    found = getattr(import_module(module), name, None)
    if not isinstance(found, kind):
        raise ProjectError(
            f"{name} in {find_file(reference)} is {found!r:.100}; write there "
            f"`{name} = {kind.__name__}(…)`."
        )
    return found


def find_file(reference: str) -> str:
    """Return the file that a reference "package.module:name" leads to."""
    module = reference.partition(":")[0]
    return shorten(Path(str(import_module(module).__file__)))
