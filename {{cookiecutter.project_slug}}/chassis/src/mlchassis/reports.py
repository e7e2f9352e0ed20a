"""Facts as JSON files: what a stage found, for people, DVC and the judge."""

import json
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mlchassis.errors import ProjectError
from mlchassis.files import write_text

_Report = TypeVar("_Report", bound=BaseModel)


class ReportPart(BaseModel):
    """A part of a stage's report; a fact without a value is left out of the file."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", populate_by_name=True)


class StageReport(ReportPart):
    """Facts that one stage writes to a file in `reports/`, and later stages read.

    Attributes:
        file: Name of the file.
    """

    file: ClassVar[str]

    def write(self, folder: Path) -> None:
        """Write the facts to their file, atomically."""
        write_report(folder / self.file, self.model_dump(by_alias=True, exclude_none=True))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the facts from their file and validate them.

        Raises:
            ProjectError: The file is missing, cut short, or was edited so that a fact is not
                usable.
        """
        return load_report(folder / cls.file, cls)


def write_report(path: Path, facts: Any) -> None:
    """Write facts to a file atomically."""
    write_text(path, format_report(facts))


def format_report(facts: Any) -> str:
    """Return facts as the text of a report."""
    return json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_report(path: Path, command: str = "make repro") -> Any:
    """Read the facts of a report.

    Args:
        path: The file.
        command: The command that writes the file.

    Raises:
        ProjectError: They are not there, or cut short.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProjectError(f"{path.name} is missing; run `{command}`, which writes it.") from None
    except ValueError:  # Neither JSON nor UTF-8.
        raise ProjectError(
            f"{path.name} is cut short or was edited; delete it and run `{command}`."
        ) from None


def load_report(path: Path, model: type[_Report], command: str = "make repro") -> _Report:
    """Read the facts of a report and validate them.

    Args:
        path: The file.
        model: Its shape.
        command: The command that writes the file.

    Raises:
        ProjectError: The file is missing, cut short, or was edited so that a fact is not usable.
    """
    try:
        return model.model_validate(read_report(path, command))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ProjectError(
            f"{path.name}: {place}: {first['msg'].lower()}, so the file was edited or is of "
            f"another version of the chassis; delete it and run `{command}`."
        ) from None
