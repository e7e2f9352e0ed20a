"""The split of a table into training, validation and test data, tried on its own rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from mlchassis.config.params import Params, SplitParams
from mlchassis.contract.model import Contract
from mlchassis.data.splitting import check_windows, split_rows
from mlchassis.errors import ProjectError

LEAST_DAYS = 20
"""A table of fewer days cannot be split by whole days, unless each stands for a month."""
LEAST_MONTHS = 3
LEAST_ROWS = 20
"""Rows of each part, below which every interval is useless."""
_SHARES = (0.15, 0.2, 0.25, 0.3, 0.35)
_SEEDS = 8
"""Seeds that are tried with each share: a rare class may lie in one part alone by chance."""


@dataclass(frozen=True, slots=True)
class SplitChoice:
    """A split that works for a table, with its reason.

    Attributes:
        reason: Why the strategy is what it is.
    """

    params: SplitParams
    seed: int
    reason: str


def choose_split(
    rows: pd.DataFrame, contract: Contract, group: str | None, current: Params, *, keep: bool
) -> SplitChoice:
    """The first split whose parts are large enough and hold every class.

    Args:
        rows: Those with an outcome.
        contract: Contract of the rows.
        group: Column whose rows stay together, if there is one.
        current: The parameters that are there; their seed is tried first.
        keep: True to keep their split if it works.

    Raises:
        ProjectError: None works.
    """
    trouble = ""
    for choice in _offer_splits(rows, contract, group, current, keep=keep):
        try:
            windows = split_rows(rows, contract, choice.params, choice.seed)
            check_windows(windows, contract, choice.params)
        except ProjectError as error:
            trouble = trouble or str(error).partition(";")[0]
        else:
            return choice
    raise ProjectError(_explain(rows, contract, group, trouble))


def choose_share(rows: int) -> float:
    """Small tables hold out more: intervals follow the number of rows, not their share."""
    return 0.15 if rows >= 10_000 else 0.2 if rows >= 1000 else 0.25


def _offer_splits(
    rows: pd.DataFrame, contract: Contract, group: str | None, current: Params, *, keep: bool
) -> Iterator[SplitChoice]:
    if keep and (group is None or group == current.split.group):
        yield SplitChoice(current.split, current.seed, "")
    share = choose_share(len(rows))
    strategy, reason = _choose_strategy(rows, contract, group)
    least = min(500, max(LEAST_ROWS, int(len(rows) * share) // 2))
    for wider in [option for option in _SHARES if option >= share]:
        plain = {"valid_days": 30, "test_days": 30, "group": group, "min_rows": least}
        shares = {"valid_share": wider, "test_share": wider}
        if strategy == "time":
            days = count_days(rows, contract, wider)
            if days is not None:
                plain |= {"valid_days": days[0], "test_days": days[1]}
                made = SplitParams(strategy="time", **shares, **plain)
                yield SplitChoice(made, current.seed, reason)
            continue
        made = SplitParams(strategy=strategy, **shares, **plain)
        for seed in range(current.seed, current.seed + _SEEDS):
            yield SplitChoice(made, seed, reason)


def _choose_strategy(rows: pd.DataFrame, contract: Contract, group: str | None) -> tuple[str, str]:
    if group is not None:
        return "group", "a group column was named"
    if contract.event_time is None:
        return "random", "random, since there is no event time"
    if count_days(rows, contract, choose_share(len(rows))) is None:
        return "random", f"too few days for time (under {LEAST_DAYS})"
    return "time", "time, since predictions are about the future"


def count_days(rows: pd.DataFrame, contract: Contract, share: float) -> tuple[int, int] | None:
    """Days of the validation and test data that hold a share of the rows each.

    Where each day stands for a month, they are whole months.

    Returns:
        None where there are too few days or months.
    """
    if contract.event_time is None or rows.empty:
        return None
    days = rows[contract.event_time.name].dt.floor("D").sort_values(ignore_index=True)
    starts = _find_starts(days, share)
    if starts is None:
        return None
    valid_from, test_from = starts
    last = days.iloc[-1] + pd.Timedelta(days=1)
    valid, test = (test_from - valid_from).days, (last - test_from).days
    return (valid, test) if valid and days.iloc[0] < valid_from else None


def _find_starts(
    days: "pd.Series[pd.Timestamp]", share: float
) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    """First days of the validation and of the test data."""
    different = days.drop_duplicates(ignore_index=True)
    if len(different) >= LEAST_DAYS:
        test_from = days.iloc[int(len(days) * (1 - share))]
        return days.iloc[int(len(days) * (1 - 2 * share))], test_from
    months = different.dt.year * 12 + different.dt.month
    if len(different) < LEAST_MONTHS or months.nunique() < len(different):
        return None
    held_out = max(1, round(share * len(different)))
    return different.iloc[-2 * held_out], different.iloc[-held_out]


def _explain(rows: pd.DataFrame, contract: Contract, group: str | None, trouble: str) -> str:
    if len(rows) < 5 * LEAST_ROWS:
        return (
            f"The table has {len(rows)} rows with an outcome, too few for training, validation "
            f"and test data of at least {LEAST_ROWS} rows each ({trouble}); bring "
            f"{5 * LEAST_ROWS} or more."
        )
    ways = ["bring more rows"]
    if len(contract.classes) > 2:
        ways.append("join a rare class with another one")
    if group is not None:
        ways.append("run `make adopt` again without --group")
    elif contract.event_time is not None:
        ways.append('run `make adopt` again with ARGS="--event-time none", which splits at random')
    return (
        f"The table's {len(rows):,} rows cannot be split into training, validation and test data: "
        f"{trouble}; {', or '.join(ways)}."
    )
