"""A few alternatives to the candidate's settings, compared on the validation window.

Each setting is tried in turn with the best of those before it, so that a dozen fits at most are
needed. The test window is never touched.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pandas as pd

from mlchassis.config.params import TrainParams
from mlchassis.evaluation.metrics import Metric, metrics_for
from mlchassis.studies.fitting import Task
from mlchassis.training.estimators import (
    MANY_CATEGORIES,
    Examples,
    TrainingError,
    predict_scores,
)

MAX_ROWS = 100_000
"""Rows that are fitted; more of them rarely change which alternative is better."""
_LEAF_ROWS = (5, 20)
_LEAVES = (7, 63)
_CATEGORY_COUNTS = (2, 10, 50)
_SKEWED = 1.0
_BUILT_IN = ("trees", "linear")

_MEANINGS = {
    "candidate.target_scale": "plain | log",
    "candidate.min_rows_per_leaf": "rows",
    "candidate.leaves": "leaves per tree",
    "min_category_count": "rows; rarer categories are treated as one, and unseen ones like them",
    "candidate.categories": "native | means",
}


def compare_presets(
    task: Task, train: Examples, valid: Examples, say: Callable[[str], None]
) -> dict[str, Any]:
    """Try the alternatives and return what was tried, and the settings that were best.

    Args:
        task: The problem, with the settings that are there.
        train: Rows to fit.
        valid: Rows to stop a fit, and to measure it.
        say: Shows one line to the user, for each alternative.

    Raises:
        TrainingError: The settings that are there cannot be trained, nor any alternative.
    """
    name, metric = _choose_metric(task)
    fitted = _sample(train, task.params.seed)
    best, section = None, task.params.train
    tried: list[dict[str, Any]] = []
    for changes in _alternatives(task, fitted):
        wanted = _change(section, changes)
        if tried and wanted == section:
            continue
        try:
            value = _measure(task, wanted, fitted, valid, metric)
        except TrainingError as error:
            say(f"presets: {_describe(changes)} cannot be trained: {error}")
            continue
        tried.append({"changes": changes, "value": value})
        say(f"presets: {name} {value:.6g} with {_describe(changes)}")
        if best is None or (value > best if metric.higher_is_better else value < best):
            best, section = value, wanted
    if best is None:
        raise TrainingError("No alternative could be trained; the lines above say why.")
    return {"metric": name, "tried": tried, "best": best, "settings": _read_settings(section)}


def list_values(found: dict[str, Any]) -> dict[str, tuple[Any, str]]:
    """The chosen settings as values of `params.yaml`, each with its comment."""
    return {
        f"train.{name}": (value, f"{_MEANINGS[name]}; the best of those tried on validation")
        for name, value in found["settings"].items()
    }


def describe_presets(found: dict[str, Any]) -> list[str]:
    """A line for people: the best settings and their value."""
    chosen = ", ".join(
        f"{name.rpartition('.')[2]} {value}" for name, value in found["settings"].items()
    )
    return [f"presets: {found['metric']} is {found['best']:.6g} on validation with {chosen}"]


def _choose_metric(task: Task) -> tuple[str, Metric]:
    """A loss that counts every row: ranks and shares of few rows are too coarse to choose by."""
    metrics = metrics_for(task.contract.task, custom=task.metrics)
    judged = task.params.judge.metric
    if task.contract.task != "regression":
        return "log_loss", metrics["log_loss"]
    name = "rmse" if judged == "r2" else judged
    return name, metrics[name]


def _alternatives(task: Task, train: Examples) -> Iterator[dict[str, Any]]:
    """Changes to the settings; the first changes nothing, those that matter most come next."""
    yield {}
    kind = task.params.train.candidate.kind
    if kind == "trees":
        for rows in _LEAF_ROWS:
            yield {"candidate.min_rows_per_leaf": rows}
    if kind in _BUILT_IN and train.categorical:
        for count in _CATEGORY_COUNTS:
            yield {"min_category_count": count}
    if kind == "trees":
        yield from _alternatives_of_trees(train)
    # Last: whether it helps shows only once the model can follow the data.
    if kind in _BUILT_IN and _has_log_scale(task, train):
        yield {"candidate.target_scale": "log"}


def _alternatives_of_trees(train: Examples) -> Iterator[dict[str, Any]]:
    categorical = train.features.iloc[:, train.features.shape[1] - train.categorical :]
    if (categorical.nunique() > MANY_CATEGORIES).any():
        yield {"candidate.categories": "means"}
    for leaves in _LEAVES:
        yield {"candidate.leaves": leaves}


def _has_log_scale(task: Task, train: Examples) -> bool:
    if task.contract.task != "regression" or train.target.min() < 0:
        return False
    return float(cast("Any", pd.Series(train.target).skew())) > _SKEWED


def _change(section: TrainParams, changes: dict[str, Any]) -> TrainParams:
    inner = {name.partition(".")[2]: v for name, v in changes.items() if "." in name}
    outer = {name: value for name, value in changes.items() if "." not in name}
    candidate = section.candidate.model_copy(update=inner)
    return section.model_copy(update={"candidate": candidate, **outer})


def _read_settings(section: TrainParams) -> dict[str, Any]:
    tree = {**section.model_dump(), **{f"candidate.{k}": v for k, v in section.candidate}}
    return {name: tree[name] for name in _MEANINGS}


def _measure(
    task: Task, section: TrainParams, train: Examples, valid: Examples, metric: Metric
) -> float:
    params = task.params.model_copy(update={"train": section})
    model = Task(task.contract, params, task.features).fit(train, valid)
    scores = predict_scores(model, valid.features)
    return metric.prepare(valid.target, scores)(np.ones_like(valid.target))


def _sample(examples: Examples, seed: int) -> Examples:
    rows = len(examples.target)
    if rows <= MAX_ROWS:
        return examples
    kept = np.sort(np.random.default_rng(seed).choice(rows, MAX_ROWS, replace=False))
    features = examples.features.iloc[kept].reset_index(drop=True)
    return Examples(features, examples.target[kept], examples.categorical)


def _describe(changes: dict[str, Any]) -> str:
    if not changes:
        return "the settings as they are"
    return ", ".join(f"{name.rpartition('.')[2]} {value}" for name, value in changes.items())
