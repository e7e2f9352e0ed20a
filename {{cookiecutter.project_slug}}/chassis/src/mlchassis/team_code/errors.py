"""Failures in a project's own code: the team's frames, and a sentence with file and line."""

import os
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mlchassis.errors import ProjectError
from mlchassis.team_code.signatures import describe, shorten

FULL_TRACEBACK = "MLCHASSIS_TRACEBACK"
"""Environment variable; with 1, a failure shows the frames of the chassis and libraries too."""

_CHASSIS = Path(__file__).resolve().parents[1]
_STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib")).resolve()
_PACKAGES = frozenset({"site-packages", "dist-packages"})


def call_function(function: Callable[..., Any], *arguments: Any, use: str) -> Any:
    """Call a project's function.

    Args:
        function: The function.
        arguments: Its positional arguments.
        use: The purpose of the function, for the error: "a metric".

    Raises:
        ProjectError: The function raised an error of its own; that error is the cause.
    """
    try:
        return function(*arguments)
    except ProjectError:
        raise
    # A function that calls `sys.exit` would end the verb without a sentence.
    except (Exception, SystemExit) as error:
        frames = find_team_frames(error)
        place = f" ({name_line(frames[-1])})" if frames else ""
        raise ProjectError(
            f"{describe(function)} failed as {use}: {spell_error(error)}{place}; fix it there."
        ) from error


def describe_failure(error: BaseException) -> list[str] | None:
    """Spell an error for a terminal.

    Args:
        error: With its traceback.

    Returns:
        The frames of the project's code, unless the sentence names the only one, and last one
        sentence. With `MLCHASSIS_TRACEBACK=1`, the whole traceback stands between them. None if
        the error is unexpected and the project's code has no part in it.
    """
    if isinstance(error, ProjectError):
        origin = error.__cause__
        frames = find_team_frames(origin) if origin else []
        return [*_show(origin, frames), str(error)]
    frames = find_team_frames(error)
    if not frames:
        return None
    shown = frames if len(frames) > 1 or shows_everything() else []
    return [*_show(error, shown), _locate(error, frames)]


def _show(error: BaseException | None, frames: Sequence[traceback.FrameSummary]) -> Iterator[str]:
    if not frames:
        return
    yield "Traceback of the project's own code (most recent call last):"
    for frame in frames:
        yield f"  {name_line(frame)}: {frame.line}"
    if shows_everything():
        yield from "".join(traceback.format_exception(error)).splitlines()


def find_team_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the frames of a traceback that lie in the team's modules, the innermost last."""
    return [frame for frame in traceback.extract_tb(error.__traceback__) if _is_team_code(frame)]


def list_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the frames of a traceback for a log, the team's own first.

    Those of the chassis and of libraries follow if there is no other, or if
    `MLCHASSIS_TRACEBACK=1`.
    """
    own = find_team_frames(error)
    if own and not shows_everything():
        return own
    return [*own, *traceback.extract_tb(error.__traceback__)]


def shows_everything() -> bool:
    """Return whether the user asked for the frames of the chassis and libraries too."""
    return os.environ.get(FULL_TRACEBACK) == "1"


def _is_team_code(frame: traceback.FrameSummary) -> bool:
    """Return whether a frame lies outside the chassis, the standard library and packages."""
    if frame.filename.startswith("<") or Path(frame.filename).name == "__main__.py":
        return False
    file = Path(frame.filename).resolve()
    # A frame of a compiled library names a source that is not installed.
    if not file.is_file():
        return False
    if not _PACKAGES.isdisjoint(file.parts):
        return False
    return not any(file.is_relative_to(folder) for folder in (_CHASSIS, _STANDARD_LIBRARY))


def _locate(error: BaseException, frames: Sequence[traceback.FrameSummary]) -> str:
    frame = frames[-1]
    return (
        f"{name_line(frame)}: `{frame.line}` raised {spell_error(error)}; fix it there. "
        f"{FULL_TRACEBACK}=1 shows the whole traceback."
    )


def name_line(frame: traceback.FrameSummary) -> str:
    """Return file, line and function of a frame."""
    return f"{shorten(Path(frame.filename))}, line {frame.lineno}, in {frame.name}"


def spell_error(error: BaseException) -> str:
    """Return an error's type and text on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def find_caller() -> str:
    """Return file, line and function of the team's code that runs now; empty if none does."""
    frames = [frame for frame in traceback.extract_stack() if _is_team_code(frame)]
    return name_line(frames[-1]) if frames else ""
