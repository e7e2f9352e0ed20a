"""Stage `validate`: the contract on every row; those that break it go to quarantine, with why."""

from pathlib import Path
from typing import Any

import pandas as pd
import pandera.errors

from mlchassis.config.params import Params, ValidateParams
from mlchassis.contract.model import Contract, load_contract
from mlchassis.contract.partitions import MONTH, has_arrived
from mlchassis.contract.schemas import frame_schema
from mlchassis.data.distributions import describe_columns
from mlchassis.data.report import write_data_page
from mlchassis.data.shifts import Step, describe_target, find_steps, find_target_steps
from mlchassis.data.tables import read_table, write_table
from mlchassis.errors import ProjectError
from mlchassis.files import make_folder
from mlchassis.paths import Paths
from mlchassis.printable import show_cell
from mlchassis.reports import write_report

REASON = "_reason"
"""Column of a row in quarantine that says why; no contract can name a column so."""


def run(paths: Paths, params: Params) -> str:
    """Parts the rows that have arrived into accepted and quarantined ones."""
    contract = load_contract(paths.contract)
    rows = _read_months(paths, params)
    reasons = find_reasons(rows.drop(columns=MONTH), contract)
    broken = rows.loc[reasons.index].assign(**{REASON: reasons})
    accepted = rows.drop(index=reasons.index)
    doubled = count_doubled(accepted, contract)
    steps = look_for_steps(accepted, contract, params.validate_)
    report = {
        "rows": len(rows),
        "accepted": len(accepted),
        "quarantined": len(broken),
        "reasons": reasons.value_counts().to_dict(),
        "doubled": doubled,
        "steps": steps,
        "known_steps": look_for_known(accepted, contract, params.validate_),
        "months": summarise_months(accepted, contract),
        "columns": describe_columns(accepted, contract),
    }
    # All of it is written even when the stage then stops: it says why.
    write_report(paths.reports / "validation.json", report)
    _write_months(paths.quarantine, broken)
    _write_months(paths.accepted, accepted)
    trouble = ""
    try:
        check_share(len(broken), len(rows), reasons, params.validate_.max_quarantined)
        check_doubled(doubled, len(accepted), params.validate_.max_doubled)
        check_steps(steps)
    except ProjectError as error:
        trouble = str(error)
        raise
    finally:
        write_data_page(paths.reports / "data.html", contract, report, trouble)
    return f"{len(accepted):,} rows keep the contract, {len(broken):,} are in quarantine"


def _write_months(folder: Path, rows: pd.DataFrame) -> None:
    """Write the rows of each month into a file of its own."""
    make_folder(folder, private=True)
    for month, batch in rows.groupby(MONTH):
        write_table(folder / f"{month}.parquet", batch.drop(columns=MONTH))


def _read_months(paths: Paths, params: Params) -> pd.DataFrame:
    """Read the rows of all months that have arrived, with their month."""
    files = sorted(paths.raw.glob("*.parquet"))
    months = {f.stem: read_table(f) for f in files if has_arrived(f.stem, params.ingest.until)}
    if not months:
        raise ProjectError(
            f"No month up to {params.ingest.until} is in data/raw; run `make repro`."
        )
    return pd.concat(months, names=[MONTH]).reset_index(level=MONTH).reset_index(drop=True)


def find_reasons(rows: pd.DataFrame, contract: Contract) -> "pd.Series[str]":
    """The first broken rule of each broken row, indexed like those rows.

    Raises:
        ProjectError: The table as a whole is not what the contract describes.
    """
    try:
        frame_schema(contract).validate(rows, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
        whole = cases[cases["index"].isna()]
        if len(whole):
            first = whole.iloc[0]
            personal = first["column"] in {column.name for column in contract.pii}
            found_case = show_cell(first["failure_case"], personal=personal)
            raise ProjectError(
                f"The table breaks the contract as a whole: {first['column']}: {first['check']} "
                f"(found {found_case}); fix the source or contract.yaml."
            ) from None
        cases = cases.drop_duplicates("index").set_index("index").sort_index()
        found: pd.Series[str] = cases["column"].astype(str) + ": " + cases["check"].map(_name_check)
        return found
    return pd.Series([], dtype=str)


def summarise_months(rows: pd.DataFrame, contract: Contract) -> dict[str, dict[str, Any]]:
    """Per month: rows, share of labelled rows, the target's mean and the share of missing cells.

    Of two classes the mean is the share of the one to be found.
    """
    features = [column.name for column in contract.features]
    target = contract.target.name
    summary: dict[str, dict[str, Any]] = {}
    for month, batch in rows.groupby(MONTH):
        labelled = batch[target].dropna()
        summary[str(month)] = {
            "rows": len(batch),
            "labelled": len(labelled) / len(batch),
            "missing": float(batch[features].isna().to_numpy().mean()),
        }
        if len(labelled):
            summary[str(month)] |= describe_target(labelled, contract)
    return summary


def check_share(broken: int, rows: int, reasons: "pd.Series[str]", limit: float) -> None:
    """Stops when too many rows are broken for it to be chance.

    Raises:
        ProjectError: The share of quarantined rows is above the limit.
    """
    if broken > limit * rows:
        commonest = reasons.value_counts().index[0]
        raise ProjectError(
            f"{broken} of {rows} rows ({broken / rows:.1%}) break the contract, above "
            f"validate.max_quarantined ({limit:.1%}); the commonest reason is '{commonest}'; look "
            "into data/quarantine, then fix the source; if the new values are right, run "
            "`make adopt` with the same DATA and TARGET, which shows what changes in contract.yaml."
        )


def count_doubled(rows: pd.DataFrame, contract: Contract) -> int:
    """Rows that equal an earlier one in every column; none where a key tells rows apart."""
    if contract.key is not None:
        return 0
    return int(rows.drop(columns=MONTH).duplicated().sum())


def check_doubled(doubled: int, rows: int, limit: float) -> None:
    """Stops when so many rows come twice that a join will have doubled them.

    Raises:
        ProjectError: Their share is above the limit.
    """
    if doubled > limit * rows:
        raise ProjectError(
            f"{doubled} of {rows} rows ({doubled / rows:.1%}) equal an earlier row in every "
            f"column, above validate.max_doubled ({limit:.1%}); look for a join upstream that "
            "doubles rows, or raise the limit if different events may be equal."
        )


def look_for_steps(rows: pd.DataFrame, contract: Contract, limits: ValidateParams) -> list[str]:
    """Find abrupt shifts of outcome and features that nobody has looked at yet."""
    found = find_all_steps(rows, contract, limits)
    return [str(s) for s in found if s.month not in limits.known_steps.get(s.column, ())]


def look_for_known(rows: pd.DataFrame, contract: Contract, limits: ValidateParams) -> list[str]:
    """Find the abrupt shifts that `validate.known_steps` accepts."""
    found = find_all_steps(rows, contract, limits)
    return [str(s) for s in found if s.month in limits.known_steps.get(s.column, ())]


def find_all_steps(rows: pd.DataFrame, contract: Contract, limits: ValidateParams) -> list[Step]:
    """Find abrupt shifts from month to month, those of the outcome first."""
    months = {str(month): batch for month, batch in rows.groupby(MONTH)}
    return [
        *find_target_steps(months, contract, limits.max_step),
        *find_steps(months, contract.features, limits.max_step),
    ]


def check_steps(steps: list[str]) -> None:
    """Stops at a column that became another one.

    Raises:
        ProjectError: There is such a step.
    """
    if steps:
        more = f" ({len(steps) - 1} more in reports/validation.json)" if len(steps) > 1 else ""
        raise ProjectError(
            f"{steps[0]}{more}; fix the source, or list the month below validate.known_steps if "
            "the world changed."
        )


def _name_check(check: str) -> str:
    return {"not_nullable": "is required", "field_uniqueness": "is there twice"}.get(check, check)
