"""Runs that this project logged, by the digests of their content (files in `var/`).

Whoever may log a run at a tracking server can give it any tag, a bundle's digest among them. So a
run becomes a version only if it is in this record, and with the digests that are there.
"""

from pydantic import BaseModel, ConfigDict, ValidationError

from mlchassis.files import write_text
from mlchassis.paths import Paths
from mlchassis.registry.runs import LoggedRun


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    sums: dict[str, str]


def write_logged(paths: Paths, digest: str, run: LoggedRun) -> None:
    """Record the run that was logged for a bundle."""
    entry = _Entry(run_id=run.run_id, sums=dict(run.sums))
    write_text(paths.var / "runs" / f"{digest}.json", entry.model_dump_json(), private=True)


def read_logged(paths: Paths, digest: str) -> LoggedRun | None:
    """Return the run that was logged for a bundle, or None; a record that was cut short is none."""
    try:
        entry = _Entry.model_validate_json((paths.var / "runs" / f"{digest}.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return LoggedRun(entry.run_id, entry.sums)
