"""Outputs of a workflow's step, for conditions of later steps."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path


def write_step_outputs(values: Mapping[str, str]) -> None:
    """Append values to the file that GITHUB_OUTPUT names; do nothing outside a workflow.

    Each value stands between two lines that it cannot contain, so that no sentence with a line
    break sets another output.
    """
    file = os.environ.get("GITHUB_OUTPUT")
    if not file:
        return
    with Path(file).open("a", encoding="utf-8") as outputs:
        for name, value in values.items():
            end = f"end-{secrets.token_hex(16)}"
            outputs.write(f"{name}<<{end}\n{value}\n{end}\n")
