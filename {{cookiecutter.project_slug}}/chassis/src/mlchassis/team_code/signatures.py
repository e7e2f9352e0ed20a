"""Checks of the objects that a team passes in, and sentences about those that do not fit."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlchassis.errors import ProjectError


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature that a team's function must have.

    Attributes:
        text: Python signature behind the name: "(columns) -> dict of features".
        arguments: Number of positional arguments that the chassis passes.
    """

    text: str
    arguments: int


def check_function(value: object, place: str, name: str, expected: Signature) -> None:
    """Reject an object that cannot be called as the chassis calls it.

    Args:
        value: The object that the team passed.
        place: Name of the argument and of the file in which it was passed, for the error.
        name: Name of the function to write, for the error.
        expected: The signature that it must have.

    Raises:
        ProjectError: It is not a function, takes other arguments, or has async or yield.
    """
    if not callable(value) or not _accepts(value, expected.arguments):
        raise ProjectError(
            f"{place} is {describe(value)}; it must be a function {name}{expected.text}."
        )
    if _returns_later(value):
        raise ProjectError(
            f"{place} is {describe(value)}, which has async or yield; write an ordinary function "
            f"{name}{expected.text}."
        )


def check_list(value: object, place: str) -> None:
    """Reject an object that is not a list or a tuple.

    Raises:
        ProjectError: It is something else.
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ProjectError(f"{place} is {describe(value)}; pass a list: […].")


def _returns_later(function: Callable[..., Any]) -> bool:
    """Return whether a call gives a coroutine or a generator instead of a result."""
    called = function if inspect.isroutine(function) else type(function).__call__
    kinds = inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction
    return any(kind(called) for kind in kinds)


def _accepts(function: Callable[..., Any], arguments: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * arguments)
    except TypeError:
        return False
    except ValueError:
        return True  # A function in C has no signature to compare.
    return True


def describe(value: object) -> str:
    """Name a function or class with its file, a function with its signature too.

    Other objects are shown as they print themselves.
    """
    if not isinstance(value, type) and not inspect.isroutine(value):
        return " ".join(repr(value).split())[:100]
    try:
        file = inspect.getsourcefile(value)
    except (TypeError, OSError):
        return " ".join(repr(value).split())[:100]
    name = value.__qualname__.rpartition("<locals>.")[2]
    parameters = "" if isinstance(value, type) else str(inspect.signature(value))
    return f"{name}{parameters} of {shorten(Path(str(file)))}"


def shorten(file: Path) -> str:
    """Return a file's path as a person writes it: from the current folder, where it lies in it."""
    try:
        return file.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(file)
