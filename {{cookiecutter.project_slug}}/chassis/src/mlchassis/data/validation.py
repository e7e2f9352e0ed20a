"""Stage `validate`: the contract on every row; those that break it go to quarantine, with why."""

from pathlib import Path

import pandas as pd

from mlchassis.config.params import Params, ValidateParams
from mlchassis.contract.model import Contract, load_contract
from mlchassis.contract.partitions import MONTH, is_available
from mlchassis.contract.table_checks import find_reasons
from mlchassis.data.distributions import describe_columns
from mlchassis.data.report import write_data_page
from mlchassis.data.results.validation import MonthFacts, ValidationReport
from mlchassis.data.shifts import (
    Outcome,
    Shift,
    describe_target,
    find_shifts,
    find_target_shifts,
)
from mlchassis.data.tables import read_table, write_table
from mlchassis.errors import ProjectError
from mlchassis.files import make_folder
from mlchassis.formatting import refine
from mlchassis.paths import Paths

REASON = "_reason"
"""Column of a row in quarantine that says why; no contract can name a column so."""


def run(paths: Paths, params: Params) -> str:
    """Split the available rows into accepted and quarantined ones."""
    contract = load_contract(paths.contract)
    rows = _read_months(paths, params)
    reasons = find_reasons(rows.drop(columns=MONTH), contract)
    invalid = rows.loc[reasons.index].assign(**{REASON: reasons})
    accepted = rows.drop(index=reasons.index)
    report = _make_report(accepted, reasons, contract, params.validate_)
    # All of it is written even when the stage then stops: it tells why.
    report.write(paths.reports)
    _write_months(paths.quarantine, invalid)
    _write_months(paths.accepted, accepted)
    trouble = ""
    try:
        _check_limits(report, reasons, params.validate_)
    except ProjectError as error:
        trouble = str(error)
        raise
    finally:
        write_data_page(paths.reports / "data.html", contract, report, trouble)
    return f"{len(accepted):,} rows keep the contract, {len(invalid):,} are in quarantine"


def _make_report(
    accepted: pd.DataFrame, reasons: "pd.Series[str]", contract: Contract, limits: ValidateParams
) -> ValidationReport:
    shifts = find_all_shifts(accepted, contract, limits)
    return ValidationReport(
        rows=len(accepted) + len(reasons),
        accepted=len(accepted),
        quarantined=len(reasons),
        reasons={str(reason): count for reason, count in reasons.value_counts().items()},
        duplicates=count_duplicates(accepted, contract),
        shifts=[str(shift) for shift in shifts if not is_accepted(shift, limits)],
        accepted_shifts=[str(shift) for shift in shifts if is_accepted(shift, limits)],
        months=summarize_months(accepted, contract),
        columns=describe_columns(accepted, contract),
    )


def _check_limits(
    report: ValidationReport, reasons: "pd.Series[str]", limits: ValidateParams
) -> None:
    """Stop at a limit of `validate` in params.yaml that is exceeded."""
    check_proportion(report.quarantined, report.rows, reasons, limits.max_quarantined)
    check_duplicates(report.duplicates, report.accepted, limits.max_duplicates)
    check_shifts(report.shifts)


def _write_months(folder: Path, rows: pd.DataFrame) -> None:
    """Write the rows of each month into a file of its own."""
    make_folder(folder, private=True)
    for month, partition in rows.groupby(MONTH):
        write_table(folder / f"{month}.parquet", partition.drop(columns=MONTH))


def _read_months(paths: Paths, params: Params) -> pd.DataFrame:
    """Read the rows of all months that have arrived, with their month."""
    files = sorted(paths.raw.glob("*.parquet"))
    months = {f.stem: read_table(f) for f in files if is_available(f.stem, params.ingest.as_of)}
    if not months:
        raise ProjectError(
            f"No month up to {params.ingest.as_of} is in data/raw; run `make repro`."
        )
    return pd.concat(months, names=[MONTH]).reset_index(level=MONTH).reset_index(drop=True)


def summarize_months(rows: pd.DataFrame, contract: Contract) -> dict[str, MonthFacts]:
    """Summarize each month: rows, outcome, proportions labeled and missing."""
    features = [column.name for column in contract.features]
    target = contract.target.name
    summary: dict[str, MonthFacts] = {}
    for month, partition in rows.groupby(MONTH):
        labeled = partition[target].dropna()
        outcome = describe_target(labeled, contract) if len(labeled) else Outcome()
        summary[str(month)] = MonthFacts(
            rows=len(partition),
            labeled=len(labeled) / len(partition),
            missing=float(partition[features].isna().to_numpy().mean()),
            target_mean=outcome.mean,
            target_proportions=outcome.proportions,
        )
    return summary


def check_proportion(invalid: int, rows: int, reasons: "pd.Series[str]", limit: float) -> None:
    """Stop when too many rows are invalid for it to be chance.

    Raises:
        ProjectError: The proportion of quarantined rows is above the limit.
    """
    if invalid > limit * rows:
        commonest = reasons.value_counts().index[0]
        digits = refine(".1%", invalid / rows, limit)
        raise ProjectError(
            f"{invalid} of {rows} rows ({invalid / rows:{digits}}) break the contract, above "
            f"validate.max_quarantined ({limit:{digits}}); the commonest reason is '{commonest}'; "
            "look into data/quarantine, then fix the source; if the new values are right, run "
            "`make adopt` with the same DATA and TARGET, which shows what changes in contract.yaml."
        )


def count_duplicates(rows: pd.DataFrame, contract: Contract) -> int:
    """Count rows that equal an earlier one in every column; none where a key identifies rows."""
    if contract.key is not None:
        return 0
    return int(rows.drop(columns=MONTH).duplicated().sum())


def check_duplicates(duplicates: int, rows: int, limit: float) -> None:
    """Stop when so many rows come twice that a join has probably duplicated them.

    Raises:
        ProjectError: Their proportion is above the limit.
    """
    if duplicates > limit * rows:
        digits = refine(".1%", duplicates / rows, limit)
        raise ProjectError(
            f"{duplicates} of {rows} rows ({duplicates / rows:{digits}}) equal an earlier row in "
            f"every column, above validate.max_duplicates ({limit:{digits}}); look for a join "
            "upstream that doubles rows, or raise the limit if different events may be equal."
        )


def is_accepted(shift: Shift, limits: ValidateParams) -> bool:
    """Return True if `validate.accepted_shifts` lists the column's shift in that month."""
    return shift.month in limits.accepted_shifts.get(shift.column, ())


def find_all_shifts(rows: pd.DataFrame, contract: Contract, limits: ValidateParams) -> list[Shift]:
    """Find abrupt shifts from month to month, those of the outcome first."""
    months = {str(month): partition for month, partition in rows.groupby(MONTH)}
    return [
        *find_target_shifts(months, contract, limits.max_shift),
        *find_shifts(months, contract.features, limits.max_shift),
    ]


def check_shifts(shifts: list[str]) -> None:
    """Stop at an abrupt shift.

    Raises:
        ProjectError: There is one.
    """
    if shifts:
        more = f" ({len(shifts) - 1} more in reports/validation.json)" if len(shifts) > 1 else ""
        raise ProjectError(
            f"{shifts[0]}{more}; fix the source, or list the month below "
            "validate.accepted_shifts if the world changed."
        )
