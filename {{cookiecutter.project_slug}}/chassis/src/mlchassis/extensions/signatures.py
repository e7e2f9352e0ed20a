"""Checks of the functions that a project passes, with sentences that name file and signature."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mlchassis.errors import ProjectError


def describe_place(found: Any) -> str:
    """Name an object of a project and the file that defines it: `f in metrics.py`."""
    kind = found if hasattr(found, "__name__") else type(found)
    name = getattr(kind, "__name__", repr(found)[:100])
    try:
        return f"{name} in {Path(str(inspect.getsourcefile(kind))).name}"
    except TypeError:
        return f"{name}"


def check_parameters(function: Any, arguments: Sequence[str], signature: str, use: str) -> None:
    """Reject what cannot be called with these positional arguments.

    Args:
        function: Function of the project.
        arguments: Names of the arguments, in their order.
        signature: The signature to write, for the error.
        use: The purpose of the function, for the error: "a metric".

    Raises:
        ProjectError: It is no function, or it takes other arguments.
    """
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        raise ProjectError(
            f"{describe_place(function)} cannot be used as {use}; write `{signature}`."
        ) from None


def call_project(function: Callable[..., Any], *arguments: Any, use: str) -> Any:
    """Call a project's function.

    Raises:
        ProjectError: The function raised an error of its own; that error is the cause.
    """
    try:
        return function(*arguments)
    except ProjectError:
        raise
    except Exception as error:
        detail = " ".join(str(error).split())
        raise ProjectError(
            f"{describe_place(function)} failed as {use}: {type(error).__name__}: {detail}; "
            f"fix it{_locate(error)}."
        ) from error


def _locate(error: Exception) -> str:
    """Name the last line of an error's traceback: " in line 7 of metrics.py"."""
    traceback = error.__traceback__
    frames = inspect.getinnerframes(traceback) if traceback else []
    if len(frames) < 2:
        return ""
    own = frames[1]
    return f" (line {own.lineno} of {Path(own.filename).name})"
