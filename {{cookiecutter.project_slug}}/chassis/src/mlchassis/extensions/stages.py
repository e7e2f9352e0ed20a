"""Checks of a project's own stages: their names and their functions."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from mlchassis.errors import ProjectError
from mlchassis.team_code.signatures import Signature, check_function, describe

STAGE_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
STAGE = Signature("(workspace, params) -> str", 2)


def check_stages(
    stages: Mapping[Any, Callable[..., Any]], file: str, verbs: Collection[str]
) -> None:
    """Reject stages that cannot be commands.

    Args:
        stages: The functions by their names.
        file: The file in which they are passed.
        verbs: The built-in commands, whose names no own stage may have.

    Raises:
        ProjectError: A name is taken or malformed, or a function takes other arguments,
            or it is not a mapping.
    """
    if not isinstance(stages, Mapping):
        raise ProjectError(
            f"{file}: stages is {describe(stages)}; pass a dict of functions by their names: "
            '{"my-stage": my_stage}.'
        )
    for name, stage in stages.items():
        if name in verbs:
            raise ProjectError(
                f"{file}: stages has '{name}', which is a built-in command; choose another name."
            )
        if not isinstance(name, str) or not STAGE_NAME.fullmatch(name):
            raise ProjectError(
                f"{file}: stages has {name!r:.60}; name a stage with lower-case letters, digits, - "
                "and _."
            )
        check_function(stage, f"{file}: stages['{name}']", "stages", STAGE)
