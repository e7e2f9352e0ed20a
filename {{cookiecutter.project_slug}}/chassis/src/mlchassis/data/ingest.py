"""Stage `ingest`: the source's rows become one Parquet file per month, once and for all.

What arrived stays as it arrived. A month that the source offers again must hold the stored rows
unchanged; the newest month, or a table without time, may hold further ones. A month that the source
no longer offers is kept.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from mlchassis.config.params import Params
from mlchassis.contract.model import Contract, load_contract
from mlchassis.contract.partitions import WHOLE, is_available, split_by_month
from mlchassis.data.forgotten import Digests, drop_forgotten
from mlchassis.data.results.ingestion import IngestReport, RowCounts
from mlchassis.data.tables import coerce, read_table, write_table
from mlchassis.errors import ProjectError
from mlchassis.files import clear_scratch
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.sources.files import NOTES
from mlchassis.sources.location import OFFLINE, SourceMissingError
from mlchassis.sources.parsing import MISSING_COUNTS
from mlchassis.sources.registry import read_source

_SHOWN = 3


def run(paths: Workspace, params: Params) -> str:
    """Store every month that is available and report how many rows came and are still to come."""
    contract = load_contract(paths.contract)
    drop_stored(paths.raw, contract, params.ingest.forgotten)
    if is_offline(paths):
        return keep_stored(paths, params, f"{OFFLINE} is set, so the source is not read")
    try:
        read = read_source(params.source, contract, paths.root, paths.project.source)
    except SourceMissingError as missing:
        if not any(paths.raw.glob("*.parquet")):
            raise
        return keep_stored(paths, params, f"the source is not on this machine ({missing})")
    return store_rows(paths, params, read, contract)


def store_rows(paths: Paths, params: Params, read: pd.DataFrame, contract: Contract) -> str:
    """Store the rows that the source offers, by month."""
    rows, forgotten = drop_forgotten(coerce(read, contract), contract, params.ingest.forgotten)
    if rows.empty:
        raise ProjectError(
            "The source offers no row at all; look where it points in params.yaml, and what is "
            "there."
        )
    offered = dict(split_by_month(rows, contract))
    available = _list_available(offered, params.ingest.as_of)
    # DVC keeps this folder from run to run, with all that is in it.
    clear_scratch(paths.raw)
    newest = max((path.stem for path in paths.raw.glob("*.parquet")), default=None)
    added = {
        month: store_partition(
            paths.raw / f"{month}.parquet", offered[month], may_grow=month == newest
        )
        for month in available
    }
    counts = count_rows(paths.raw, offered, params.ingest.as_of)
    report = IngestReport(
        **dict(counts),
        added={month: count for month, count in added.items() if count},
        left_out=read.attrs.get(NOTES, []),
        read_as_missing=read.attrs.get(MISSING_COUNTS, {}),
    )
    report.write(paths.reports)
    return summarize(report) + _name_forgotten(forgotten)


def _list_available(offered: Iterable[str], as_of: str | None) -> list[str]:
    """Return the months that are available; stop where none is."""
    available = [month for month in offered if is_available(month, as_of)]
    if not available:
        raise ProjectError(
            f"No row has arrived by {as_of}: the source begins with {min(offered)}; raise "
            "ingest.as_of in params.yaml."
        )
    return available


def drop_stored(raw: Path, contract: Contract, forgotten: Digests) -> None:
    """Remove forgotten rows that an older version of the data brought back, such as a pull."""
    if not forgotten:
        return
    for path in sorted(raw.glob("*.parquet")):
        left, count = drop_forgotten(read_table(path), contract, forgotten)
        if count and left.empty:
            path.unlink()
        elif count:
            write_table(path, left)


def _name_forgotten(count: int) -> str:
    if not count:
        return ""
    return (
        f"; the source still offers {count:,} {'rows' if count > 1 else 'row'} that `make forget` "
        "removed; left out: delete there what was to be forgotten"
    )


def summarize(report: IngestReport) -> str:
    """Number of rows read, and anything unexpected about them."""
    arrived = (
        f"{report.arrived:,} of {report.offered:,} rows have arrived in "
        f"{_spell_partitions(report)}, {report.not_yet_arrived:,} are still to come"
    )
    sentences = [
        arrived,
        *(
            f"{_count_rows(count)} added to {'the table' if month == WHOLE else month}"
            for month, count in report.added.items()
        ),
        *report.left_out,
        *(
            f"'{name}': {sum(counts.values()):,} cells count as missing ({_list_counts(counts)})"
            for name, counts in report.read_as_missing.items()
        ),
    ]
    return "; ".join(sentences)


def _count_rows(count: int) -> str:
    return "1 row was" if count == 1 else f"{count:,} rows were"


def _list_counts(counts: Mapping[str, int]) -> str:
    commonest = sorted(counts.items(), key=lambda item: -item[1])[:_SHOWN]
    listed = ", ".join(f"'{value}' in {count:,}" for value, count in commonest)
    return listed + (", …" if len(counts) > _SHOWN else "")


def is_offline(paths: Paths) -> bool:
    """True if reading is switched off and rows are stored already."""
    return bool(os.environ.get(OFFLINE)) and any(paths.raw.glob("*.parquet"))


def _spell_partitions(report: IngestReport) -> str:
    """Spell the number of partitions: "1 partition", "8 partitions"."""
    partitions = len(report.months)
    return f"{partitions:,} partition{'s' if partitions != 1 else ''}"


def keep_stored(paths: Paths, params: Params, why: str) -> str:
    """Go on from the months in `data/raw`, and say why."""
    counts = count_rows(paths.raw, {}, params.ingest.as_of)
    report = IngestReport(**dict(counts), added={}, left_out=[], read_as_missing={})
    report.write(paths.reports)
    return (
        f"{why}; going on from the {report.arrived:,} rows in {_spell_partitions(report)} "
        "of data/raw"
    )


def count_rows(raw: Path, offered: Mapping[str, pd.DataFrame], as_of: str | None) -> RowCounts:
    """Row counts, including stored rows that the source no longer offers."""
    gone = [path for path in raw.glob("*.parquet") if path.stem not in offered]
    counts = {month: len(batch) for month, batch in offered.items()}
    counts |= {path.stem: len(read_table(path)) for path in gone}
    arrived = {month: counts[month] for month in sorted(counts) if is_available(month, as_of)}
    return RowCounts(
        offered=sum(counts.values()),
        arrived=sum(arrived.values()),
        not_yet_arrived=sum(counts.values()) - sum(arrived.values()),
        months=arrived,
    )


def store_partition(path: Path, rows: pd.DataFrame, *, may_grow: bool = False) -> int:
    """Write a month, find it there unchanged, or add rows to it; return how many were added.

    Raises:
        ProjectError: The month is there with other content.
    """
    if not path.exists():
        write_table(path, rows)
        return 0
    stored = read_table(path)
    if _is_same(stored, rows):
        return 0
    changed, added = _compare(stored, rows)
    if changed or (len(added) and not may_grow):
        raise ProjectError(_describe_change(path, stored, changed, added))
    if len(added):
        write_table(path, pd.concat([stored, added], ignore_index=True))
    return len(added)


def _describe_change(path: Path, stored: pd.DataFrame, changed: int, added: pd.DataFrame) -> str:
    what = "the table" if path.stem == WHOLE else path.stem
    change = (
        f"{changed:,} of {len(stored):,} stored rows are changed or gone"
        if changed
        else f"{len(added):,} of its rows are new, and later months are stored already"
    )
    return (
        f"The source offers {what} again with other content ({change}); what arrived stays: find "
        f"out why it changed, and delete data/raw/{path.name} if the new one is right."
    )


def _is_same(stored: pd.DataFrame, rows: pd.DataFrame) -> bool:
    if list(stored.columns) != list(rows.columns):
        return False
    try:
        return stored.equals(rows.astype(stored.dtypes.to_dict()))
    except (TypeError, ValueError):
        return False


def _compare(stored: pd.DataFrame, rows: pd.DataFrame) -> tuple[int, pd.DataFrame]:
    """Return the number of stored rows that changed or vanished, and the new rows."""
    if list(stored.columns) != list(rows.columns):
        return len(stored), rows[:0]
    try:
        rows = rows.astype(stored.dtypes.to_dict())
    except (TypeError, ValueError):
        return len(stored), rows[:0]
    both = pd.concat([stored, rows], ignore_index=True)
    # Equal rows have one number, and the copies of a row are counted from 0 on.
    same = both.groupby(list(both.columns), dropna=False, sort=False).ngroup()
    place = pd.Series(np.arange(len(both)) < len(stored))
    copies = pd.DataFrame({"row": same, "copy": same.groupby([place, same]).cumcount()})
    old = copies[: len(stored)]
    new = copies[len(stored) :]
    is_known = pd.MultiIndex.from_frame(new).isin(pd.MultiIndex.from_frame(old))
    return len(stored) - int(is_known.sum()), rows[~is_known]
