"""Parity check: the ONNX graph must return the scores of the trained model."""

from dataclasses import dataclass

import numpy as np

from mlchassis.bundle.bundle import measure_error
from mlchassis.contract.model import Column, Contract, Task
from mlchassis.errors import ProjectError
from mlchassis.evaluation.metrics import Floats
from mlchassis.features.encoding import MISSING, Columns
from mlchassis.formatting import refine

UNSEEN = "(never seen in training)"


class ParityError(ProjectError):
    """The exported graph predicts otherwise than the model that it was made from."""


@dataclass(frozen=True, slots=True)
class Parity:
    """The largest error over some rows, and where it is."""

    max_error: float
    row: int
    rows: int


def compare_scores(expected: Floats, actual: Floats, unit: float = 1.0) -> Parity:
    """Compare scores of shape (rows, classes or 1); NaN is an infinite error.

    Args:
        expected: Scores of the trained model.
        actual: Scores to compare.
        unit: 1 for probabilities; for numbers the spread of the training targets, so that the
            tolerance does not depend on the unit in which they are written.
    """
    error = measure_error(expected, actual, unit)
    worst = np.where(np.isnan(error), np.inf, error).max(axis=1)
    row = int(worst.argmax())
    return Parity(float(worst[row]), row, len(worst))


def measure_unit(target: Floats, task: Task) -> float:
    """Return the unit in which errors of a task's scores are measured: see `compare_scores`."""
    if task != "regression":
        return 1.0
    return float(np.std(target)) or float(np.abs(target).max()) or 1.0


def check_parity(parity: Parity, tolerance: float) -> None:
    """Reject a graph beyond the tolerance.

    Raises:
        ParityError: The largest error is above it.
    """
    if not parity.max_error <= tolerance:
        error = f"{parity.max_error:{refine('.2g', parity.max_error, tolerance)}}"
        raise ParityError(
            f"The ONNX graph differs from the trained model by {error} (row "
            f"{parity.row} of {parity.rows}), above export.tolerance ({tolerance:g}): it was "
            "converted wrongly, so it is not exported; use an estimator or preprocessing that "
            "converts exactly."
        )


def make_edge_cases(columns: Columns, contract: Contract) -> Columns:
    """Return rows with every kind of missing and unseen value, made from ordinary ones.

    For each feature: missing where the contract allows it, at its limits, unseen where any string
    may come; then everything optional missing at once.

    Args:
        columns: A few ordinary rows of feature columns, each of shape (rows,).
        contract: Contract that defines the allowed values.
    """
    copies: list[dict[str, Floats]] = []
    for column in contract.features:
        copies += [
            {**columns, column.name: np.full_like(columns[column.name], value)}
            for value in _edge_values(column)
        ]
    optional = {c.name: _missing(c) for c in contract.features if not c.required}
    copies.append(
        {n: np.full_like(v, optional[n]) if n in optional else v for n, v in columns.items()}
    )
    return {name: np.concatenate([copy[name] for copy in copies]) for name in columns}


def _edge_values(column: Column) -> list[float | str]:
    values: list[float | str] = [] if column.required else [_missing(column)]
    if column.kind == "string":
        return [*values, *([] if column.values else [UNSEEN, ""])]
    limits = (column.minimum, column.maximum)
    return [*values, 0.0, *(limit for limit in limits if limit is not None)]


def _missing(column: Column) -> float | str:
    return MISSING if column.kind == "string" else np.nan
