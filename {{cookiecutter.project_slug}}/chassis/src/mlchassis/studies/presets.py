"""A few alternatives to the candidate's settings, compared on the validation split.

Each setting is tried in turn with the best of those before it, so that a dozen fits at most are
needed. The test split is never touched.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd

from mlchassis.config.params import TrainParams
from mlchassis.evaluation.metrics import Metric, metrics_for
from mlchassis.extensions.estimators import Dataset
from mlchassis.studies.fitting import Problem
from mlchassis.studies.results import Presets, PresetTrial, Setting
from mlchassis.training.estimators.lightgbm import MANY_CATEGORIES
from mlchassis.training.trained_model import TrainingError

MAX_ROWS = 100_000
"""Rows that are fitted; more of them rarely change which alternative is better."""
_LEAF_ROWS = (5, 20)
_LEAVES = (7, 63)
_CATEGORY_COUNTS = (2, 10, 50)
_SKEWED = 1.0
_BUILT_IN = ("trees", "linear")

_MEANINGS = {
    "candidate.target_scale": "plain | log",
    "trees.min_rows_per_leaf": "rows",
    "trees.leaves": "leaves per tree",
    "min_category_count": "rows; rarer categories are treated as one, and unseen ones like them",
    "trees.categories": "native | means",
}


def compare_presets(
    problem: Problem, train: Dataset, validation: Dataset, say: Callable[[str], None]
) -> Presets:
    """Try the alternatives and return what was tried, and the settings that were best.

    Args:
        problem: The problem, with the settings that are there.
        train: Rows to fit.
        validation: Rows to stop a fit, and to measure it.
        say: Callback that prints one line to the user, for each alternative.

    Raises:
        TrainingError: The settings that are there cannot be trained, nor any alternative.
    """
    name, metric = _choose_metric(problem)
    fitted = _sample(train, problem.params.seed)
    section = problem.params.train
    best: float | None = None
    tried: list[PresetTrial] = []
    for changes in _alternatives(problem, fitted):
        wanted = _change(section, changes)
        if tried and wanted == section:
            continue
        try:
            value = _measure(problem, wanted, fitted, validation, metric)
        except TrainingError as error:
            say(f"presets: {_describe(changes)} cannot be trained: {error}")
            continue
        tried.append(PresetTrial(changes=changes, value=value))
        say(f"presets: {name} {value:.6g} with {_describe(changes)}")
        if best is None or (value > best if metric.higher_is_better else value < best):
            best = value
            section = wanted
    if best is None:
        raise TrainingError("No alternative could be trained; the lines above say why.")
    return Presets(metric=name, tried=tried, best=best, settings=_read_settings(section))


def list_values(result: Presets) -> dict[str, tuple[Any, str]]:
    """Return the chosen settings as values of `params.yaml`, each with its comment."""
    return {
        f"train.{name}": (value, f"{_MEANINGS[name]}; the best of those tried on validation")
        for name, value in result.settings.items()
    }


def describe_presets(result: Presets) -> list[str]:
    """Return a line with the best settings and their value."""
    chosen = ", ".join(
        f"{name.rpartition('.')[2]} {value}" for name, value in result.settings.items()
    )
    return [f"presets: {result.metric} is {result.best:.6g} on validation with {chosen}"]


def _choose_metric(problem: Problem) -> tuple[str, Metric]:
    """Choose a loss that counts every row: ranks and proportions of few rows are too coarse."""
    metrics = metrics_for(problem.contract.task, custom=problem.metrics)
    judged = problem.params.judge.metric
    if problem.contract.task != "regression":
        return "log_loss", metrics["log_loss"]
    name = "rmse" if judged == "r2" else judged
    return name, metrics[name]


def _alternatives(problem: Problem, train: Dataset) -> Iterator[dict[str, Setting]]:
    """Yield changes to the settings: first none, then those that matter most."""
    yield {}
    kind = problem.params.train.candidate.kind
    if kind == "trees":
        for rows in _LEAF_ROWS:
            yield {"trees.min_rows_per_leaf": rows}
    if kind in _BUILT_IN and train.features.categorical_names:
        for count in _CATEGORY_COUNTS:
            yield {"min_category_count": count}
    if kind == "trees":
        yield from _alternatives_of_trees(train)
    # Last: whether it helps shows only once the model can follow the data.
    if _has_log_scale(problem, train):
        yield {"candidate.target_scale": "log"}


def _alternatives_of_trees(train: Dataset) -> Iterator[dict[str, Setting]]:
    categories = pd.DataFrame(train.features.categorical)
    if (categories.nunique() > MANY_CATEGORIES).any():
        yield {"trees.categories": "means"}
    for leaves in _LEAVES:
        yield {"trees.leaves": leaves}


def _has_log_scale(problem: Problem, train: Dataset) -> bool:
    if problem.contract.task != "regression" or train.target.min() < 0:
        return False
    return float(cast("Any", pd.Series(train.target).skew())) > _SKEWED


def _change(section: TrainParams, changes: Mapping[str, Setting]) -> TrainParams:
    """Return the parameters of training with values changed by their dotted names."""
    for name, value in changes.items():
        inner, _, key = name.rpartition(".")
        if inner:
            changed = getattr(section, inner).model_copy(update={key: value})
            section = section.model_copy(update={inner: changed})
        else:
            section = section.model_copy(update={key: value})
    return section


def _read_settings(section: TrainParams) -> dict[str, Setting]:
    """Return the values that alternatives may change, by their dotted names."""
    document = section.model_dump()
    settings = {}
    for name in _MEANINGS:
        inner, _, key = name.rpartition(".")
        settings[name] = document[inner][key] if inner else document[key]
    return settings


def _measure(
    problem: Problem, section: TrainParams, train: Dataset, validation: Dataset, metric: Metric
) -> float:
    changed = problem.params.model_copy(update={"train": section})
    model = replace(problem, params=changed).fit(train, validation)
    scores = np.asarray(model.predict(validation.features))
    return metric.prepare(validation.target, scores)(np.ones_like(validation.target))


def _sample(dataset: Dataset, seed: int) -> Dataset:
    """Return at most `MAX_ROWS` rows, in their order."""
    rows = len(dataset.target)
    if rows <= MAX_ROWS:
        return dataset
    kept = np.sort(np.random.default_rng(seed).choice(rows, MAX_ROWS, replace=False))
    matrix = replace(
        dataset.features,
        numeric=dataset.features.numeric[kept],
        categorical=dataset.features.categorical[kept],
    )
    return replace(dataset, features=matrix, target=dataset.target[kept])


def _describe(changes: Mapping[str, Setting]) -> str:
    if not changes:
        return "the settings as they are"
    return ", ".join(f"{name.rpartition('.')[2]} {value}" for name, value in changes.items())
