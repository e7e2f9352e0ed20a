"""A search for better parameters of the candidate: seeded, resumable, every trial a run in MLflow.

Trials are fitted on the train window and measured on the validation window, never on the test
window. The first one is the configuration that is there, so that the best is never worse.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.pool import NullPool

from mlchassis.config.params import CandidateParams
from mlchassis.config.yaml_edit import set_values
from mlchassis.errors import ProjectError
from mlchassis.files import make_folder, replacing
from mlchassis.formatting import format_number
from mlchassis.registry.runs import TrialRecord
from mlchassis.registry.tracking import Tracker
from mlchassis.registry.tracking_uri import sqlite_uri
from mlchassis.studies.fitting import NothingToStudyError, Task
from mlchassis.training.estimators import Examples, TrainingError

if TYPE_CHECKING:
    import optuna

_MEANINGS = {
    "learning_rate": "shrinkage per tree",
    "leaves": "leaves per tree",
    "min_rows_per_leaf": "rows",
    "feature_share": "share of features offered to each tree",
}


def search(
    task: Task,
    train: Examples,
    valid: Examples,
    tracker: Tracker,
    database: Path,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Spends what is left of the budget of trials, and trains the best one again by another seed.

    Args:
        task: The problem, with the ranges and the budget.
        train: Rows to fit.
        valid: Rows to stop a fit, and to measure it.
        tracker: MLflow tracker that logs each trial as a run.
        database: Database of the trials, so that a stopped search can continue.
        say: Shows one line to the user, for each trial.

    Raises:
        NothingToStudyError: A linear candidate has nothing to search.
        ProjectError: No trial could be trained.
    """
    kind = task.params.train.candidate.kind
    if kind != "trees":
        raise NothingToStudyError(
            f"train.candidate.kind is '{kind}', which has nothing to search: leave the study "
            "'search' out, or choose trees in params.yaml."
        )
    found = _open_study(task, train, database)
    while len(_finished(found)) < task.params.study.trials:
        _try(task, train, valid, tracker, found, say)
    measured = [trial.value for trial in _finished(found) if trial.value is not None]
    if not measured:
        raise ProjectError(
            f"None of the {task.params.study.trials} trials could be trained; fix the training "
            "itself with `make repro` first."
        )
    wish, best = task.params.study, _settings(task, found.best_trial.params)
    again = task.measure(task.fit(train, valid, best, seed=task.params.seed + 1), valid)
    return {
        "metric": task.params.judge.metric,
        "trials": len(_finished(found)),
        "current": measured[0],
        "best": found.best_value,
        "trained_again": again,
        "tolerance": wish.tolerance,
        "holds": abs(again - found.best_value) <= wish.tolerance,
        "settings": {name: getattr(best, name) for name in wish.search},
    }


def _try(
    task: Task,
    train: Examples,
    valid: Examples,
    tracker: Tracker,
    found: "optuna.Study",
    say: Callable[[str], None],
) -> None:
    """One trial: fitted, measured, written into MLflow, and told to the study last."""
    import optuna

    number, name = len(_finished(found)), task.params.judge.metric
    # Seeded again for each trial, and blind to those that were killed: a search that was stopped
    # chooses as one that was not.
    seed = task.params.seed + number
    found.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=False)
    trial = found.ask()
    settings = _choose(trial, task)
    try:
        value = task.measure(task.fit(train, valid, settings), valid)
    except TrainingError as error:
        found.tell(trial, state=optuna.trial.TrialState.PRUNED)
        say(f"search: trial {number + 1} was given up: {error}")
        return
    tags = {"study": found.study_name, "trial": str(number)}
    record = TrialRecord(tags, settings.model_dump(mode="json"), {f"valid/{name}": value})
    tracker.log_trial(f"{found.study_name}-{number}", record)
    found.tell(trial, value)
    say(
        f"search: trial {number + 1} of {task.params.study.trials}: {name} "
        f"{format_number(value)}, best {format_number(found.best_value)}"
    )


def apply_choice(params_file: Path, found: dict[str, Any]) -> None:
    """Writes what was found into `params.yaml`.

    Raises:
        ProjectError: The choice did not hold when it was trained again.
    """
    check_choice(found)
    values = {
        f"train.candidate.{name}": (value, f"{_MEANINGS[name]}; chosen by `make study`")
        for name, value in found["settings"].items()
    }
    set_params(params_file, values)


def set_params(params_file: Path, values: Mapping[str, tuple[Any, str]]) -> None:
    """Set values of `params.yaml` by their dotted names, with the comments beside them."""
    text = set_values(params_file.read_text(encoding="utf-8"), values)
    with replacing(params_file) as scratch:
        scratch.write_text(text, encoding="utf-8")


def check_choice(found: dict[str, Any]) -> None:
    """Stops where another seed gives another model.

    Raises:
        ProjectError: The choice was luck.
    """
    if not found["holds"]:
        raise ProjectError(
            f"The best of {found['trials']} trials has {found['metric']} "
            f"{format_number(found['best'])}, but trained again by another seed "
            f"{format_number(found['trained_again'])}, further away than "
            f"study.tolerance ({found['tolerance']:g}): it was luck, so it is not taken."
        )


def _open_study(task: Task, train: Examples, database: Path) -> "optuna.Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    make_folder(database.parent, private=True)
    # Without a pool no connection outlives the search.
    storage = optuna.storages.RDBStorage(sqlite_uri(database), {"poolclass": NullPool})
    higher = task.metric.higher_is_better
    found = optuna.create_study(
        storage=storage,
        study_name=_name(task, train),
        load_if_exists=True,
        direction="maximize" if higher else "minimize",
    )
    if not _finished(found) and not found.get_trials(states=(optuna.trial.TrialState.WAITING,)):
        base = task.params.train.candidate
        found.enqueue_trial({name: getattr(base, name) for name in task.params.study.search})
    return found


def _name(task: Task, train: Examples) -> str:
    """Trials count together where rows, ranges and everything else are the same."""
    kept = task.params.model_dump(mode="json", by_alias=True, include={"seed", "train", "judge"})
    about = {"params": kept, "search": task.params.study.search, "rows": len(train.target)}
    sums = [float(train.target.sum()), *map(float, train.features.select_dtypes("number").sum())]
    digest = hashlib.sha256(json.dumps([about, sums], sort_keys=True).encode()).hexdigest()
    return f"{task.contract.name}-{digest[:12]}"


def _finished(found: "optuna.Study") -> list[Any]:
    """Trials that a killed process left half-way are not counted."""
    return [trial for trial in found.trials if trial.state.is_finished()]


def _choose(trial: Any, task: Task) -> CandidateParams:
    base = task.params.train.candidate
    for name, (least, most) in task.params.study.search.items():
        value = getattr(base, name)
        if isinstance(value, int):
            low = max(2, round(least * value))
            trial.suggest_int(name, low, max(low, round(most * value)), log=True)
        else:
            trial.suggest_float(name, least * value, min(1.0, most * value), log=True)
    return _settings(task, trial.params)


def _settings(task: Task, chosen: dict[str, Any]) -> CandidateParams:
    """The settings of a trial, rounded as a person would write them."""
    rounded = {n: v if isinstance(v, int) else float(f"{v:.3g}") for n, v in chosen.items()}
    return task.params.train.candidate.model_copy(update=rounded)
