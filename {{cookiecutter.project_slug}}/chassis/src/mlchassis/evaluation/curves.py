"""The curves of a model, which `dvc plots` and the report draw."""

from pathlib import Path

import numpy as np
import pandas as pd

from mlchassis.contract.model import Task
from mlchassis.evaluation.metrics import Floats, calibration_bins
from mlchassis.files import replacing

CURVE_POINTS = 200


def write_curves(folder: Path, task: Task, target: Floats, scores: Floats, bins: int) -> None:
    """The curves of a task as CSV files: ROC and its like, or residuals."""
    for name, curve in describe_curves(task, target, scores, bins).items():
        with replacing(folder / f"{name}.csv") as scratch:
            curve.to_csv(scratch, index=False, float_format="%.9g")


def describe_curves(
    task: Task, target: Floats, scores: Floats, bins: int
) -> dict[str, pd.DataFrame]:
    """Points to draw, by the name of the curve.

    For more than two classes every class of every row counts as a yes or no of its own: the curves
    are micro-averages over the classes.
    """
    if task == "regression":
        residual = pd.DataFrame({"predicted": scores[:, 0], "residual": target - scores[:, 0]})
        by_prediction = residual.sort_values(["predicted", "residual"])
        return {
            "residuals": _thin(by_prediction),
            "calibration": _reliability(target, scores[:, 0], bins),
        }
    from sklearn.metrics import precision_recall_curve, roc_curve

    truth, score = _as_binary(task, target, scores)
    false_positive_rate, true_positive_rate, _ = roc_curve(truth, score)
    precision, recall, _ = precision_recall_curve(truth, score)
    roc = pd.DataFrame(
        {"false_positive_rate": false_positive_rate, "true_positive_rate": true_positive_rate}
    )
    pairs = pd.DataFrame({"recall": recall[::-1], "precision": precision[::-1]})
    calibration = _reliability(truth, score, bins)
    return {"roc": _thin(roc), "precision_recall": _thin(pairs), "calibration": calibration}


def _as_binary(task: Task, target: Floats, scores: Floats) -> tuple[Floats, Floats]:
    if task == "binary":
        return target, scores[:, 1]
    classes = np.arange(scores.shape[1])
    return (target[:, None] == classes).astype(np.float64).ravel(), scores.ravel()


def _reliability(target: Floats, score: Floats, bins: int) -> pd.DataFrame:
    """Mean prediction and observed proportion of each bin that holds a row."""
    label = calibration_bins(score, bins)
    means = pd.DataFrame({"predicted": score, "observed": target}).groupby(label).mean()
    return means.reset_index(drop=True)


def _thin(frame: pd.DataFrame) -> pd.DataFrame:
    """At most a few hundred points: a curve of every row is a file that nobody can diff."""
    chosen = np.unique(np.linspace(0, len(frame) - 1, CURVE_POINTS).astype(int))
    return frame.iloc[chosen]
