"""Facts as JSON files: what a stage found, for people, DVC and the judge."""

import json
from pathlib import Path
from typing import Any

from mlchassis.errors import ProjectError
from mlchassis.files import replacing


def write_report(path: Path, facts: Any) -> None:
    """Writes facts beside their place and renames them there."""
    with replacing(path) as scratch:
        scratch.write_text(format_report(facts), encoding="utf-8")


def format_report(facts: Any) -> str:
    """Return facts as the text of a report."""
    return json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_report(path: Path) -> Any:
    """Reads facts back.

    Raises:
        ProjectError: They are not there, or cut short.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProjectError(f"{path.name} is missing; run `make repro`, which writes it.") from None
    except json.JSONDecodeError:
        raise ProjectError(
            f"{path.name} is cut short or was edited; delete it and run `make repro`."
        ) from None
