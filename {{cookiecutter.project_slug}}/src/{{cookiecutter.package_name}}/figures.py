"""Pictures of the data and of the model, and the curves that `dvc plots` draws."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .contract import Task
from .files import replacing
from .modelling.metrics import Floats, calibration_bins

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVE_POINTS = 200
_TITLES = {
    "roc": "ROC",
    "precision_recall": "Precision and recall",
    "calibration": "Reliability",
    "residuals": "Residuals",
}
_STYLES = {"roc": "-", "precision_recall": "-", "calibration": "o-", "residuals": "."}


def plot_months(path: Path, months: Mapping[str, Mapping[str, float]]) -> None:
    """Rows, missing cells and the target, month by month."""
    titles = {
        "rows": "Rows",
        "labelled": "Share of rows with a label",
        "missing": "Share of missing cells",
        "target_mean": "Mean of the target",
    }
    figure = _figure(10, 6)
    axes = figure.subplots(2, 2, squeeze=True).flat
    for axis, (fact, title) in zip(axes, titles.items(), strict=True):
        axis.bar(list(months), [month.get(fact, 0.0) for month in months.values()], color="#3b6ea8")
        axis.set_title(title)
        axis.tick_params(axis="x", rotation=60)
    _save(figure, path)


def write_curves(folder: Path, task: Task, target: Floats, scores: Floats, bins: int) -> None:
    """The curves of a task as CSV files: ROC and its like, or residuals."""
    for name, curve in describe_curves(task, target, scores, bins).items():
        with replacing(folder / f"{name}.csv") as scratch:
            curve.round(6).to_csv(scratch, index=False)


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
    false_positive, true_positive, _ = roc_curve(truth, score)
    precision, recall, _ = precision_recall_curve(truth, score)
    return {
        "roc": _thin(
            pd.DataFrame(
                {"false_positive_rate": false_positive, "true_positive_rate": true_positive}
            )
        ),
        "precision_recall": _thin(
            pd.DataFrame({"recall": recall[::-1], "precision": precision[::-1]})
        ),
        "calibration": _reliability(truth, score, bins),
    }


def plot_evaluation(
    path: Path, task: Task, target: Floats, scores: Mapping[str, Floats], bins: int
) -> None:
    """The curves of the candidate beside those of the baselines."""
    curves = {name: describe_curves(task, target, part, bins) for name, part in scores.items()}
    figure = _figure(15, 4.8)
    shown = next(iter(curves.values()))
    for axis, kind in zip(figure.subplots(1, len(shown)), shown, strict=True):
        for name, found in curves.items():
            across, up = found[kind].columns
            axis.plot(found[kind][across], found[kind][up], _STYLES[kind], label=name)
            axis.set(title=_TITLES[kind], xlabel=across.replace("_", " "), ylabel=up)
        if kind == "calibration":
            axis.axline((0, 0), slope=1, color="grey", linestyle=":")
        axis.legend()
    _save(figure, path)


def _as_binary(task: Task, target: Floats, scores: Floats) -> tuple[Floats, Floats]:
    if task == "binary":
        return target, scores[:, 1]
    classes = np.arange(scores.shape[1])
    return (target[:, None] == classes).astype(np.float64).ravel(), scores.ravel()


def _reliability(target: Floats, score: Floats, bins: int) -> pd.DataFrame:
    """Mean prediction and observed share of each bin that holds a row."""
    label = calibration_bins(score, bins)
    means = pd.DataFrame({"predicted": score, "observed": target}).groupby(label).mean()
    return means.reset_index(drop=True)


def _thin(frame: pd.DataFrame) -> pd.DataFrame:
    """At most a few hundred points: a curve of every row is a file that nobody can diff."""
    chosen = np.unique(np.linspace(0, len(frame) - 1, CURVE_POINTS).astype(int))
    return frame.iloc[chosen]


def _figure(width: float, height: float) -> "Figure":
    # The object interface needs no display and no global state.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: "Figure", path: Path) -> None:
    metadata: dict[str, Any] = {"Software": None}  # The same picture gives the same bytes.
    with replacing(path) as scratch:
        figure.savefig(scratch, format="png", dpi=100, metadata=metadata)
