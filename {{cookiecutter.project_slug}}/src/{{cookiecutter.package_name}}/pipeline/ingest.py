"""Stage `ingest`: the source's rows become one Parquet file per month, once and for all.

What arrived stays as it arrived: a month that the source offers again must be the same, and a month
that the source no longer offers is kept.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..batches import has_arrived, split_by_month
from ..contract import load_contract
from ..errors import ProjectError
from ..files import clear_scratch
from ..params import Params
from ..paths import Paths
from ..reports import write_report
from ..sources import read_source
from ..tables import conform, read_table, write_table


def run(paths: Paths, params: Params) -> str:
    """Stores every month that has arrived and reports how many rows came and are still to come."""
    contract = load_contract(paths.contract)
    rows = conform(read_source(params.source, contract, paths.root), contract)
    if rows.empty:
        raise ProjectError(
            "The source offers no row at all; look where it points in params.yaml, and what is "
            "there."
        )
    offered = dict(split_by_month(rows, contract))
    arrived = [month for month in offered if has_arrived(month, params.ingest.until)]
    if not arrived:
        raise ProjectError(
            f"No row has arrived by {params.ingest.until}: the source begins with {min(offered)}; "
            "raise ingest.until in params.yaml."
        )
    # DVC keeps this folder from run to run, with all that is in it.
    clear_scratch(paths.raw)
    for month in arrived:
        store_batch(paths.raw / f"{month}.parquet", offered[month])
    report = count_rows(paths.raw, offered, params.ingest.until)
    write_report(paths.reports / "ingest.json", report)
    return (
        f"{report['arrived']:,} of {report['offered']:,} rows have arrived in "
        f"{len(report['months'])} batches, {report['not_yet_arrived']:,} are still to come"
    )


def count_rows(raw: Path, offered: Mapping[str, pd.DataFrame], until: str | None) -> dict[str, Any]:
    """How many rows were ever offered, those included that the source no longer offers."""
    gone = [path for path in raw.glob("*.parquet") if path.stem not in offered]
    counts = {month: len(batch) for month, batch in offered.items()}
    counts |= {path.stem: len(read_table(path)) for path in gone}
    arrived = {month: counts[month] for month in sorted(counts) if has_arrived(month, until)}
    return {
        "offered": sum(counts.values()),
        "arrived": sum(arrived.values()),
        "not_yet_arrived": sum(counts.values()) - sum(arrived.values()),
        "months": arrived,
    }


def store_batch(path: Path, rows: pd.DataFrame) -> None:
    """Writes a month, or finds it there unchanged.

    Raises:
        ProjectError: The month is there with other content.
    """
    if not path.exists():
        write_table(path, rows)
        return
    stored = read_table(path)
    if not _is_same(stored, rows):
        raise ProjectError(
            f"The source offers {path.stem} again with other content ({len(rows)} rows now, "
            f"{len(stored)} stored); what arrived stays: find out why it changed, and delete "
            f"data/raw/{path.name} if the new one is right."
        )


def _is_same(stored: pd.DataFrame, rows: pd.DataFrame) -> bool:
    if list(stored.columns) != list(rows.columns):
        return False
    try:
        return stored.equals(rows.astype(stored.dtypes.to_dict()))
    except (TypeError, ValueError):
        return False
