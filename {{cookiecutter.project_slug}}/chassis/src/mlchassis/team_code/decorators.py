"""Checks of how a team writes a decorator: with or without parentheses."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from mlchassis.errors import ProjectError
from mlchassis.team_code.errors import find_caller

_P = ParamSpec("_P")
_R = TypeVar("_R")


def takes_options(example: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Reject a decorator with options that is written without them: `@metric` alone.

    Args:
        example: The correct lines, for the error.
    """

    def decorate(decorator: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(decorator)
        def checked(*arguments: _P.args, **options: _P.kwargs) -> _R:
            if arguments:
                name = getattr(decorator, "__name__", "")
                _reject(name, "without its options by name", arguments[0], example)
            return decorator(*arguments, **options)

        return checked

    return decorate


def takes_no_options(example: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Reject a decorator without options that is written with parentheses: `@gate()`.

    Args:
        example: The correct lines, for the error.
    """

    def decorate(decorator: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(decorator)
        def checked(*arguments: _P.args, **options: _P.kwargs) -> _R:
            if options or len(arguments) != 1:
                name = getattr(decorator, "__name__", "")
                _reject(name, "with parentheses, which it does not have", None, example)
            return decorator(*arguments, **options)

        return checked

    return decorate


def _reject(name: str, mistake: str, function: Any, example: str) -> None:
    place = find_caller()
    named = getattr(function, "__name__", "")
    use = f" for '{named}'" if named else ""
    raise ProjectError(
        f"{f'{place}: ' if place else ''}@{name} is written {mistake}{use}; write {example}."
    )
