"""Fairness: treatment of groups of people, by the contract's `sensitive` columns.

Two groups may differ in how often an answer is given (demographic parity), in how often it is given
where it is true (equal opportunity; Hardt et al. 2016), and in how far scores lie from what came
true (calibration). No model makes all three zero where the base rates of the groups differ
(Kleinberg et al. 2016), so each is measured, and has a limit, of its own. Beside that, the plainest
form of a counterfactual (Kusner et al. 2017): rows whose answer changes when the sensitive value
alone does.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlchassis.contract.model import Contract, class_name
from mlchassis.evaluation.bootstrap import LEAST_UNITS, bootstrap, count_units, resample
from mlchassis.evaluation.confusion import decide
from mlchassis.evaluation.metrics import Floats, Groups, Statistic, encode_target, share
from mlchassis.evaluation.slices import MANY, MISSING_LABEL, Slice, find_slices, simultaneous

ROWS = 2000
"""Rows whose sensitive value is changed: evenly spaced over the window."""
MOVED = 0.1
"""A number that moves by more standard deviations of the target is another answer."""
_FEWEST = 50
"""Rows behind a share; of fewer a bootstrap says nothing."""

Score = Callable[[pd.DataFrame], Floats]
"""A frame to probabilities or numbers, shape (rows, classes or 1)."""
Kind = Literal["rate", "true_positive_rate", "calibration"]


class Measure(NamedTuple):
    """A quotient of two sums over rows, each given by row."""

    kind: Kind
    name: str
    part: Floats
    whole: Floats


def list_measures(
    contract: Contract, target: Floats, scores: Floats, threshold: float | None
) -> list[Measure]:
    """Measures to compare between groups: positive answers, each class, or the number.

    Numbers are in standard deviations of the target, so that one limit fits every table.
    """
    ones = np.ones(len(target))
    if contract.task == "regression":
        unit = float(target.std()) or 1.0
        return [
            Measure("rate", "mean answer", scores[:, 0] / unit, ones),
            Measure("calibration", "mean error", (scores[:, 0] - target) / unit, ones),
        ]
    chosen, found = decide(scores, threshold), []
    for position, label in list(enumerate(contract.classes))[contract.task == "binary" :]:
        of = "" if contract.task == "binary" else f" of {class_name(label)}"
        given, true = (chosen == position) * ones, (target == position) * ones
        found += [
            Measure("rate", f"rate{of}", given, ones),
            Measure("true_positive_rate", f"true positive rate{of}", given * true, true),
            Measure("calibration", f"calibration{of}", scores[:, position] - true, ones),
        ]
    return found


def measure_gaps(
    slices: Sequence[Slice], measures: Sequence[Measure], groups: Groups, **settings: Any
) -> list[dict[str, Any]]:
    """Every two groups of the same columns beside each other, the one with the higher value first.

    Args:
        slices: The groups of people.
        measures: Measures to compare.
        groups: The resampling unit of each row.
        settings: Those of `bootstrap`; all intervals hold at once.
    """
    counted = [
        (s, m)
        for s in slices
        for m in measures
        if m.whole[s.rows].sum() >= _FEWEST and count_units(groups[s.rows]) >= LEAST_UNITS
    ]
    if not counted:
        return []
    shares = [share(m.part[s.rows], m.whole[s.rows], groups[s.rows]) for s, m in counted]
    values, draws = resample(shares, groups, settings["resamples"], settings["seed"])
    like = [(m.name, *s.where) for s, m in counted]
    pairs = [
        (i, j) if values[i] >= values[j] else (j, i)
        for i, j in combinations(range(len(counted)), 2)
        if like[i] == like[j]
    ]
    if not pairs:
        return []
    high, low = (list(side) for side in zip(*pairs, strict=True))
    differences = (values[high] - values[low], draws[:, high] - draws[:, low])
    units = [count_units(groups[s.rows]) for s, _ in counted]
    fewest = [min(units[i], units[j]) for i, j in pairs]
    gaps = simultaneous(*differences, settings["confidence"], fewest)
    return [
        {
            "kind": counted[pair[0]][1].kind,
            "measure": counted[pair[0]][1].name,
            "groups": [{**counted[k][0].as_dict(), "value": float(values[k])} for k in pair],
            "gap": gap.as_dict(),
        }
        for pair, gap in zip(pairs, gaps, strict=True)
    ]


def measure_flips(
    rows: pd.DataFrame,
    contract: Contract,
    answers_differ: Callable[[Floats, Floats], NDArray[np.bool_]],
    score: Score,
    groups: Groups,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Counterfactual flip rate of each sensitive feature.

    `settings` are those of `bootstrap`. Every column must pass a gate, so that their number calls
    for no correction.
    """
    features = [column.name for column in contract.sensitive if column in contract.features]
    if not features:
        return []
    places = np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int)
    chosen = rows.iloc[places].reset_index(drop=True)
    before, ones = score(chosen), np.ones(len(chosen))
    units = np.unique(groups[places], return_inverse=True)[1]
    shares: dict[str, Statistic] = {}
    for name in features:
        flipped = np.zeros(len(chosen), dtype=bool)
        for value in list_alternatives(rows[name]):
            same = pd.Series([value] * len(chosen), dtype=chosen[name].dtype)
            flipped |= answers_differ(before, score(chosen.assign(**{name: same})))
        shares[name] = share(flipped, ones, units)
    found = bootstrap(shares, units, **settings)
    rows_asked = len(chosen)
    return [
        {"column": name, "rows": rows_asked, "share": interval.clip(0.0, 1.0).as_dict()}
        for name, interval in found.items()
    ]


def list_alternatives(values: "pd.Series[Any]") -> list[Any]:
    """To what a sensitive value is changed: to those there are, or to the middles of quarters."""
    present = values.dropna()
    if pd.api.types.is_numeric_dtype(present) and present.nunique() > MANY:
        middles = present.quantile([0.125, 0.375, 0.625, 0.875], interpolation="nearest")
        return list(middles.unique())
    return list(present.value_counts().index[:MANY])


def _number_personal(slices: Sequence[Slice], contract: Contract) -> list[Slice]:
    """Groups by columns tagged `pii` under numbers: a report holds no value of such a column.

    They are numbered in the order of their labels, so that whoever has the rows knows them again.
    """
    numbers: dict[tuple[str, str], str] = {}
    for column in (column.name for column in contract.sensitive if column in contract.pii):
        labels = {part.where[column] for part in slices if column in part.where} - {MISSING_LABEL}
        for position, label in enumerate(sorted(labels), start=1):
            numbers[column, label] = f"group {position}"
    return [
        replace(part, where={c: numbers.get((c, label), label) for c, label in part.where.items()})
        for part in slices
    ]


def describe_fairness(
    rows: pd.DataFrame,
    contract: Contract,
    score: Score,
    threshold: float | None,
    groups: Groups,
    *,
    min_rows: int,
    **settings: Any,
) -> dict[str, Any] | None:
    """Gaps between groups, and counterfactual flips; None where no column is sensitive."""
    columns = [column.name for column in contract.sensitive]
    if not columns:
        return None
    target = encode_target(rows[contract.target.name].to_numpy(), contract.classes)
    slices = _number_personal(find_slices(rows, columns, min_rows), contract)
    measures = list_measures(contract, target, score(rows), threshold)

    def answers_differ(before: Floats, after: Floats) -> NDArray[np.bool_]:
        if contract.task == "regression":
            return np.asarray(np.abs(after - before)[:, 0] > MOVED * target.std())
        return np.asarray(decide(before, threshold) != decide(after, threshold))

    return {
        "columns": columns,
        "min_rows": min_rows,
        "gaps": measure_gaps(slices, measures, groups, **settings),
        "flips": measure_flips(rows, contract, answers_differ, score, groups, **settings),
    }
