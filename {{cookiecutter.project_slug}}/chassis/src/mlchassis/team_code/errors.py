"""Failures in a project's own code: one sentence that names the team's file and line."""

import os
import traceback
from pathlib import Path

FULL_TRACEBACK = "MLCHASSIS_TRACEBACK"
"""Environment variable; with 1, an unexpected failure shows the frames of all libraries."""


def describe_team_error(error: BaseException, root: Path) -> str | None:
    """Spell an unexpected error that came from, or through, the project's own code.

    Args:
        error: With its traceback.
        root: The project's folder.

    Returns:
        The innermost of the project's frames, the error, and how to see the rest. None if the
        project's code has no part in it, or if the user asked for full tracebacks.
    """
    if os.environ.get(FULL_TRACEBACK) == "1":
        return None
    source = root.resolve() / "src"
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve().is_relative_to(source)
        and Path(frame.filename).name != "__main__.py"
    ]
    if not own:
        return None
    frame = own[-1]
    file = Path(frame.filename).resolve().relative_to(source.parent).as_posix()
    return (
        f"{file}, line {frame.lineno}, in {frame.name}: `{frame.line}` raised "
        f"{type(error).__name__}: {error}; fix it there. {FULL_TRACEBACK}=1 shows the whole "
        "traceback."
    )
