"""Explanations: replace each input by its usual value and compare the predictions.

An input's effect is the answer (a probability, or the predicted number) minus its mean over the
values that training saw in that column, all other inputs kept: the difference to a partial
dependence at the row's own values (Friedman 2001, "Greedy function approximation", section 8.2).
It asks nothing of the model but answers. Effects do not add up to the answer, and inputs that only
make sense together are parted: it says what the model does, not what would happen in the world.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlchassis.bundle.column_reference import (
    CategoricalReference,
    ColumnReference,
    NumericReference,
)
from mlchassis.bundle.scorer import Answers, Scorer
from mlchassis.contract.model import Column, class_name
from mlchassis.features.encoding import MISSING, Columns

MOST_ROWS = 10
"""Rows to explain at once: each costs about as much as a hundred rows to predict."""
BLOCK_CELLS = 2_000_000
"""Cells that the model is given at once. All changed rows of a wide table would fill the memory."""
_SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Quantiles that represent the usual values of a number."""
_MOST_VALUES = len(_SHARES) + 1
"""Usual values of an input, with a missing one."""

_Usual = Mapping[str, tuple[NDArray[Any], NDArray[np.float64]]]
"""The usual values and their weights, by input."""


def explain_answers(scorer: Scorer, columns: Columns, answers: Answers) -> list[dict[str, Any]]:
    """Return the effect of every input on each row's prediction, the largest first.

    For a binary answer it is the probability of the positive class that is explained, for several
    classes that of the predicted one. The changed rows are answered in few calls of the model.
    """
    contract = scorer.bundle.contract
    reference = scorer.bundle.metadata.reference
    usual = {c.name: _list_usual(c, reference.get(c.name)) for c in contract.features}
    usual = {name: weighted for name, weighted in usual.items() if len(weighted[0])}
    chosen = _choose_classes(answers)
    rows = len(answers.values)
    effects: dict[str, NDArray[np.float64]] = {}
    for block in _split_inputs(usual, rows * len(columns)):
        effects |= _measure_effects(scorer, columns, block, answers, chosen)
    explained = [class_name(contract.classes[k]) for k in chosen] if contract.classes else None
    return [
        {
            **({} if explained is None else {"class": explained[i]}),
            "effects": [
                {"input": name, "effect": float(effects[name][i])}
                for name in sorted(effects, key=lambda name: -abs(effects[name][i]))
            ],
        }
        for i in range(rows)
    ]


def _split_inputs(usual: _Usual, cells: int) -> Iterator[_Usual]:
    """Yield the inputs in blocks; `cells` is the size of all rows with one value each."""
    count = max(1, BLOCK_CELLS // (_MOST_VALUES * cells))
    entries = iter(usual.items())
    while block := dict(islice(entries, count)):
        yield block


def _measure_effects(
    scorer: Scorer,
    columns: Columns,
    usual: _Usual,
    answers: Answers,
    chosen: NDArray[np.intp],
) -> dict[str, NDArray[np.float64]]:
    """Return the effect of each input on each row, by one call of the model."""
    rows = len(answers.values)
    replaced = _replace_each(columns, {name: values for name, (values, _) in usual.items()})
    scores = scorer.score(replaced).scores
    effects = {}
    start = 0
    for name, (values, weights) in usual.items():
        block = scores[start : start + len(values) * rows].reshape(len(values), rows, -1)
        start += len(values) * rows
        mean = np.average(block, axis=0, weights=weights)
        effects[name] = _pick(answers.scores - mean, chosen)
    return effects


def _replace_each(columns: Columns, usual: Mapping[str, NDArray[Any]]) -> Columns:
    """Blocks of rows: per input and usual value, all rows with that value instead of their own."""
    count = len(next(iter(columns.values())))
    return {
        name: np.concatenate(
            [
                np.repeat(values, count) if name == other else np.tile(own, len(values))
                for other, values in usual.items()
            ]
        )
        for name, own in columns.items()
    }


def _list_usual(
    column: Column, seen: ColumnReference | None
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """A column's usual values and their weights; none where training left no trace of any."""
    weighted = _weigh_values(seen)
    absent = seen.missing if seen else 0.0
    if absent or (not weighted and not column.required):
        weighted.append((np.nan if column.is_numeric else MISSING, absent or 1.0))
    kind: Any = np.float64 if column.is_numeric else object
    return np.array([value for value, _ in weighted], dtype=kind), np.array(
        [w for _, w in weighted]
    )


def _weigh_values(seen: ColumnReference | None) -> list[tuple[float | str, float]]:
    """Return the values that training saw, each with its proportion among all rows."""
    match seen:
        case NumericReference(quantiles=quantiles) if quantiles:
            last = len(quantiles) - 1
            # The quantiles are of the rows that have a number.
            weight = (1 - seen.missing) * (1 / len(_SHARES))
            return [(quantiles[round(share * last)], weight) for share in _SHARES]
        case CategoricalReference():
            commonest = sorted(seen.shares.items(), key=lambda pair: -pair[1])
            return list(commonest[: len(_SHARES)])
        case _:
            return []


def _choose_classes(answers: Answers) -> NDArray[np.intp]:
    scores = answers.scores
    if scores.shape[1] == 2:
        return np.ones(len(scores), dtype=np.intp)
    classes: NDArray[np.intp] = scores.argmax(axis=1)
    return classes


def _pick(scores: NDArray[np.float64], chosen: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.take_along_axis(scores, chosen[:, None], axis=1)[:, 0]
