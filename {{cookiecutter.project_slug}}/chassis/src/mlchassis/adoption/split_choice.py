"""The split of a table into training, validation and test data, tried on its own rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from mlchassis.config.params import Params, SplitParams
from mlchassis.contract.model import Contract
from mlchassis.data.splitting import check_splits, split_rows
from mlchassis.errors import ProjectError

MIN_DAYS = 20
"""A table of fewer days cannot be split by whole days, unless each stands for a month."""
MIN_MONTHS = 3
MIN_ROWS = 20
"""Rows of each part, below which every interval is useless."""
_PROPORTIONS = (0.15, 0.2, 0.25, 0.3, 0.35)
_SEEDS = 8
"""Seeds that are tried with each proportion: a rare class may lie in one part alone by chance."""


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
    """Return the first split whose parts are large enough and hold every class.

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
            splits = split_rows(rows, contract, choice.params, choice.seed)
            check_splits(splits, contract, choice.params)
        except ProjectError as error:
            trouble = trouble or str(error).partition(";")[0]
        else:
            return choice
    raise ProjectError(_explain(rows, contract, group, trouble))


def choose_min_rows(rows: int) -> int:
    """Return the least rows of each split: half of what the table should give, 20 to 500."""
    return min(500, max(MIN_ROWS, int(rows * choose_proportion(rows)) // 2))


def choose_proportion(rows: int) -> float:
    """Small tables hold out more: intervals follow the number of rows, not their proportion."""
    return 0.15 if rows >= 10_000 else 0.2 if rows >= 1000 else 0.25


def _offer_splits(
    rows: pd.DataFrame, contract: Contract, group: str | None, current: Params, *, keep: bool
) -> Iterator[SplitChoice]:
    if keep and (group is None or group == current.split.group):
        yield SplitChoice(current.split, current.seed, "")
    proportion = choose_proportion(len(rows))
    strategy, reason = _choose_strategy(rows, contract, group)
    least = choose_min_rows(len(rows))
    for wider in [option for option in _PROPORTIONS if option >= proportion]:
        plain = {"validation_days": 30, "test_days": 30, "group": group, "min_rows": least}
        proportions = {"validation_proportion": wider, "test_proportion": wider}
        if strategy == "time":
            days = count_days(rows, contract, wider)
            if days is not None:
                plain |= {"validation_days": days[0], "test_days": days[1]}
                made = SplitParams(strategy="time", **proportions, **plain)
                yield SplitChoice(made, current.seed, reason)
            continue
        made = SplitParams(strategy=strategy, **proportions, **plain)
        for seed in range(current.seed, current.seed + _SEEDS):
            yield SplitChoice(made, seed, reason)


def _choose_strategy(rows: pd.DataFrame, contract: Contract, group: str | None) -> tuple[str, str]:
    if group is not None:
        return "group", "a group column was named"
    if contract.event_time is None:
        return "random", "random, since there is no event time"
    if count_days(rows, contract, choose_proportion(len(rows))) is None:
        return "random", f"too few days for time (under {MIN_DAYS})"
    return "time", "time, since predictions are about the future"


def count_days(rows: pd.DataFrame, contract: Contract, proportion: float) -> tuple[int, int] | None:
    """Days of the validation and test data that hold a proportion of the rows each.

    Where each day stands for a month, they are whole months.

    Returns:
        None where there are too few days or months.
    """
    if contract.event_time is None or rows.empty:
        return None
    days = rows[contract.event_time.name].dt.floor("D").sort_values(ignore_index=True)
    starts = _find_starts(days, proportion)
    if starts is None:
        return None
    validation_from, test_from = starts
    last = days.iloc[-1] + pd.Timedelta(days=1)
    validation, test = (test_from - validation_from).days, (last - test_from).days
    return (validation, test) if validation and days.iloc[0] < validation_from else None


def _find_starts(
    days: "pd.Series[pd.Timestamp]", proportion: float
) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    """First days of the validation and of the test data."""
    different = days.drop_duplicates(ignore_index=True)
    if len(different) >= MIN_DAYS:
        test_from = days.iloc[int(len(days) * (1 - proportion))]
        return days.iloc[int(len(days) * (1 - 2 * proportion))], test_from
    months = different.dt.year * 12 + different.dt.month
    if len(different) < MIN_MONTHS or months.nunique() < len(different):
        return None
    held_out = max(1, round(proportion * len(different)))
    return different.iloc[-2 * held_out], different.iloc[-held_out]


def _explain(rows: pd.DataFrame, contract: Contract, group: str | None, trouble: str) -> str:
    if len(rows) < 5 * MIN_ROWS:
        return (
            f"The table has {len(rows)} rows with an outcome, too few for training, validation "
            f"and test data of at least {MIN_ROWS} rows each ({trouble}); bring "
            f"{5 * MIN_ROWS} or more."
        )
    ways = ["bring more rows"]
    if len(contract.classes) > 2:
        ways.append("merge a rare class with another one")
    if group is not None:
        ways.append("run `make adopt` again without --group")
    elif contract.event_time is not None:
        ways.append('run `make adopt` again with ARGS="--event-time none", which splits at random')
    return (
        f"The table's {len(rows):,} rows cannot be split into training, validation and test data: "
        f"{trouble}; {', or '.join(ways)}."
    )
