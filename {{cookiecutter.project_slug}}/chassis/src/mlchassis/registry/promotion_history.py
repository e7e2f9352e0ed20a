"""Write-ahead record and history of promotions (atomic files in `var/`).

An intent is written before a promotion and removed after it. That of a rollback stays until the
version is deployed, so that a rollback which is run again goes no further back than it should.
"""

from pydantic import BaseModel, ConfigDict, ValidationError

from mlchassis.errors import ProjectError
from mlchassis.files import write_text
from mlchassis.paths import Paths


class Intent(BaseModel):
    """A promotion: what is about to happen, and afterwards what has happened.

    Attributes:
        before: Version that was champion, or None.
        version: Version that becomes champion.
        back: True if it is a rollback.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    time: str
    who: str
    reason: str
    before: str | None
    version: str
    digest: str
    back: bool = False


def write_intent(paths: Paths, intent: Intent) -> None:
    """Write the promotion that is about to happen."""
    write_text(paths.var / "promotion.json", intent.model_dump_json())


def read_intent(paths: Paths) -> Intent | None:
    """Return the promotion that a killed process left unfinished, or None.

    Raises:
        ProjectError: The file is there, but holds something else.
    """
    place = paths.var / "promotion.json"
    try:
        return Intent.model_validate_json(place.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise ProjectError(
            f"{place} is not a record of a promotion; look at the champion in `make ui`, then "
            "delete the file."
        ) from None


def drop_intent(paths: Paths) -> None:
    """Remove the intent of a promotion that is done or undone."""
    (paths.var / "promotion.json").unlink(missing_ok=True)


def log_promotion(paths: Paths, intent: Intent) -> None:
    """Append a promotion to the history, once."""
    known = promotions(paths)
    if intent.id in {entry.id for entry in known}:
        return
    lines = [entry.model_dump_json() for entry in (*known, intent)]
    write_text(paths.var / "promotions.jsonl", "\n".join(lines) + "\n")


def promotions(paths: Paths) -> list[Intent]:
    """Every promotion on this machine, oldest first.

    Raises:
        ProjectError: A line of the file is not a promotion.
    """
    try:
        text = (paths.var / "promotions.jsonl").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    # JSON leaves characters as they are that `splitlines` takes for the end of a line.
    lines = text.removesuffix("\n").split("\n") if text else []
    return [_parse_line(paths, number, line) for number, line in enumerate(lines, start=1)]


def _parse_line(paths: Paths, number: int, line: str) -> Intent:
    try:
        return Intent.model_validate_json(line)
    except ValidationError:
        place = (paths.var / "promotions.jsonl").relative_to(paths.root)
        raise ProjectError(
            f"{place}, line {number}, is not a promotion: it was edited, cut short, or written by "
            "another version of the chassis; correct or delete the line and run again."
        ) from None
