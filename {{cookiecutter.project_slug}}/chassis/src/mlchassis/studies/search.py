"""A search for better parameters of the candidate: seeded, resumable, every trial a run in MLflow.

Trials are fitted on the training split and measured on the validation split, never on the test
split. The first one is the current configuration, so that the best is never worse.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sqlalchemy.pool import NullPool

from mlchassis.config.section import ParamsSection
from mlchassis.config.yaml_edit import set_values
from mlchassis.errors import ProjectError
from mlchassis.extensions.estimators import Dataset
from mlchassis.files import make_folder, write_text
from mlchassis.formatting import format_number
from mlchassis.registry.runs import TrialRecord
from mlchassis.registry.tracking import Tracker
from mlchassis.registry.tracking_uri import sqlite_uri
from mlchassis.studies.fitting import Problem
from mlchassis.studies.results import SearchResult
from mlchassis.studies.search_ranges import ValueRange, find_multiples, find_ranges
from mlchassis.training.trained_model import TrainingError

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True, slots=True)
class _Search:
    """A study of Optuna with all that a trial needs."""

    problem: Problem
    train: Dataset
    validation: Dataset
    ranges: Mapping[str, ValueRange]
    study: "optuna.Study"

    @property
    def finished(self) -> list[Any]:
        """Trials that ended; those that a killed process left half-way are not counted."""
        return [trial for trial in self.study.trials if trial.state.is_finished()]

    def fit_and_measure(self, settings: ParamsSection, seed: int | None = None) -> float:
        """Return the judged metric on validation of a model with these settings."""
        model = self.problem.fit(self.train, self.validation, settings, seed)
        return self.problem.measure(model, self.validation)


def search(
    problem: Problem,
    train: Dataset,
    validation: Dataset,
    tracker: Tracker,
    database: Path,
    say: Callable[[str], None],
) -> SearchResult:
    """Spend the remaining budget of trials, and train the best one again with another seed.

    Args:
        problem: The problem, with the ranges and the budget.
        train: Rows to fit.
        validation: Rows to stop a fit, and to measure it.
        tracker: MLflow tracker that logs each trial as a run.
        database: Database of the trials, so that a stopped search can continue.
        say: Callback that prints one line to the user, for each trial.

    Raises:
        NothingToStudyError: The candidate has nothing to search.
        ProjectError: No trial could be trained.
    """
    multiples = find_multiples(problem)
    ranges = find_ranges(problem.settings, multiples)
    name = name_study(problem, [train, validation], multiples)
    study = _open_study(problem, name, list(ranges), database)
    trials = _Search(problem, train, validation, ranges, study)
    while len(trials.finished) < problem.params.study.trials:
        _run_trial(trials, tracker, say)
    return _conclude(trials)


def _conclude(trials: _Search) -> SearchResult:
    """Train the best settings again, and report whether they hold."""
    values = [trial.value for trial in trials.finished]
    problem = trials.problem
    if all(value is None for value in values):
        raise ProjectError(
            f"None of the {problem.params.study.trials} trials could be trained; fix the training "
            "itself with `make repro` first."
        )
    best = _round_settings(problem.settings, trials.study.best_trial.params)
    again = trials.fit_and_measure(best, seed=problem.params.seed + 1)
    tolerance = problem.params.study.tolerance
    return SearchResult(
        metric=problem.params.judge.metric,
        trials=len(trials.finished),
        current=values[0],
        best=trials.study.best_value,
        trained_again=again,
        tolerance=tolerance,
        holds=abs(again - trials.study.best_value) <= tolerance,
        estimator=problem.params.train.candidate.kind,
        settings={name: getattr(best, name) for name in trials.ranges},
    )


def _run_trial(trials: _Search, tracker: Tracker, say: Callable[[str], None]) -> None:
    """Fit and measure one trial, log it to MLflow, and record it in the study last."""
    import optuna

    study = trials.study
    params = trials.problem.params
    number = len(trials.finished)
    # Seeded again for each trial, and blind to those that were killed: a search that was stopped
    # chooses as one that was not.
    study.sampler = optuna.samplers.TPESampler(seed=params.seed + number, constant_liar=False)
    trial = study.ask()
    settings = _choose_settings(trial, trials)
    try:
        value = trials.fit_and_measure(settings)
    except TrainingError as error:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        say(f"search: trial {number + 1} was given up: {error}")
        return
    tags = {"study": study.study_name, "trial": str(number)}
    metrics = {f"validation/{params.judge.metric}": value}
    record = TrialRecord(tags, settings.model_dump(mode="json"), metrics)
    tracker.log_trial(f"{study.study_name}-{number}", record)
    study.tell(trial, value)
    say(
        f"search: trial {number + 1} of {params.study.trials}: {params.judge.metric} "
        f"{format_number(value)}, best {format_number(study.best_value)}"
    )


def apply_choice(params_file: Path, result: SearchResult, section: type[ParamsSection]) -> None:
    """Write the chosen settings into `params.yaml`.

    Args:
        params_file: The file.
        result: Result of `search`.
        section: Parameters of the estimator, whose descriptions become comments.

    Raises:
        ProjectError: The choice did not hold when it was trained again.
    """
    check_choice(result)
    values = {}
    for name, value in result.settings.items():
        description = section.model_fields[name].description
        comment = "; ".join(filter(None, [description, "chosen by `make study`"]))
        values[f"train.{result.estimator}.{name}"] = (value, comment)
    set_params(params_file, values)


def set_params(params_file: Path, values: Mapping[str, tuple[Any, str]]) -> None:
    """Set values of `params.yaml` by their dotted names, with the comments beside them."""
    text = set_values(params_file.read_text(encoding="utf-8"), values)
    write_text(params_file, text)


def check_choice(result: SearchResult) -> None:
    """Reject a choice that another seed does not confirm.

    Raises:
        ProjectError: The choice was luck.
    """
    if not result.holds:
        raise ProjectError(
            f"The best of {result.trials} trials has {result.metric} "
            f"{format_number(result.best)}, but trained again by another seed "
            f"{format_number(result.trained_again)}, further away than "
            f"study.tolerance ({result.tolerance:g}): it was luck, so it is not taken."
        )


def _open_study(
    problem: Problem, study_name: str, names: list[str], database: Path
) -> "optuna.Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    make_folder(database.parent, private=True)
    # Without a pool no connection outlives the search.
    storage = optuna.storages.RDBStorage(sqlite_uri(database), {"poolclass": NullPool})
    study = optuna.create_study(
        storage=storage,
        study_name=study_name,
        load_if_exists=True,
        direction="maximize" if problem.metric.higher_is_better else "minimize",
    )
    states = [trial.state for trial in study.trials]
    waiting = optuna.trial.TrialState.WAITING
    if not any(state.is_finished() or state == waiting for state in states):
        study.enqueue_trial({name: getattr(problem.settings, name) for name in names})
    return study


def name_study(
    problem: Problem, datasets: Sequence[Dataset], multiples: Mapping[str, tuple[float, float]]
) -> str:
    """Name a study: trials count together where rows, ranges and everything else are equal."""
    kept = problem.params.model_dump(mode="json", by_alias=True, include={"seed", "train", "judge"})
    digest = hashlib.sha256(json.dumps([kept, multiples], sort_keys=True).encode())
    for dataset in datasets:
        features = dataset.features
        names = [features.numeric_names, features.categorical_names]
        digest.update(json.dumps(names).encode())
        for values in (dataset.target, features.numeric):
            digest.update(np.ascontiguousarray(values).tobytes())
        for column in features.categorical.T:
            digest.update(pd.util.hash_array(column).tobytes())
    return f"{problem.contract.name}-{digest.hexdigest()[:12]}"


def _choose_settings(trial: Any, trials: _Search) -> ParamsSection:
    """Let the sampler choose a value in each range."""
    for name, bounds in trials.ranges.items():
        if bounds.is_integer:
            trial.suggest_int(name, int(bounds.low), int(bounds.high), log=True)
        else:
            trial.suggest_float(name, bounds.low, bounds.high, log=True)
    return _round_settings(trials.problem.settings, trial.params)


def _round_settings(current: ParamsSection, chosen: Mapping[str, Any]) -> ParamsSection:
    """Return the settings of a trial, rounded as a person would write them."""
    rounded = {
        name: value if isinstance(value, int) else float(f"{value:.3g}")
        for name, value in chosen.items()
    }
    return current.model_copy(update=rounded)
