"""`make study`: the studies one after the other, with their results in `reports/study.json`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mlchassis.config.params import Params
from mlchassis.contract.model import load_contract
from mlchassis.data.tables import hash_rows, read_table
from mlchassis.formatting import format_interval, format_number
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.registry.tracking import connect
from mlchassis.reports import load_report
from mlchassis.studies.fitting import NothingToStudyError, Problem
from mlchassis.studies.importance import measure_importance
from mlchassis.studies.presets import compare_presets, describe_presets, list_values
from mlchassis.studies.results import (
    ColumnImportance,
    Presets,
    SearchResult,
    Staleness,
    StudyReport,
)
from mlchassis.studies.search import apply_choice, check_choice, search, set_params
from mlchassis.studies.staleness import measure_staleness
from mlchassis.workspace.outputs import write_facts

STUDIES = ("permutation_importance", "staleness", "presets", "search")


@dataclass(frozen=True, slots=True)
class _Inputs:
    """Inputs of the studies of one project."""

    paths: Workspace
    problem: Problem
    train: pd.DataFrame
    validation: pd.DataFrame
    say: Callable[[str], None]


def run_studies(
    paths: Workspace,
    params: Params,
    only: Sequence[str],
    say: Callable[[str], None],
    *,
    apply: bool,
) -> None:
    """Run the studies of `only`, or all that this project allows.

    Results of earlier runs on the same data stay.

    Raises:
        ProjectError: A study of `only` cannot be made, or the choice of the search was luck.
    """
    inputs = _read_inputs(paths, params, say)
    report = _begin_report(paths, hash_rows(inputs.train, inputs.validation))
    for name in only or STUDIES:
        run, describe = _STUDIES[name]
        try:
            result = run(inputs)
        except NothingToStudyError as error:
            if only:
                raise
            say(f"{name}: left out. {error}")
            continue
        report = report.model_copy(update={name: result})
        facts = report.model_dump(mode="json", exclude_unset=True)
        write_facts(paths, paths.reports / "study.json", facts)
        for line in describe(result):
            say(line)
        _conclude(name, inputs, result, apply=apply)


def _read_inputs(paths: Workspace, params: Params, say: Callable[[str], None]) -> _Inputs:
    own = paths.project
    contract = load_contract(paths.contract)
    problem = Problem(contract, params, paths.features, own.metrics, own.estimators)
    train, validation = (
        read_table(paths.splits / f"{name}.parquet") for name in ("train", "validation")
    )
    return _Inputs(paths, problem, train, validation, say)


def _run_importance(inputs: _Inputs) -> list[ColumnImportance]:
    return measure_importance(inputs.problem, inputs.train, inputs.validation, inputs.say)


def _run_staleness(inputs: _Inputs) -> Staleness:
    return measure_staleness(inputs.problem, _read_months(inputs), inputs.say)


def _run_presets(inputs: _Inputs) -> Presets:
    problem = inputs.problem
    train, validation = map(problem.make_dataset, (inputs.train, inputs.validation))
    return compare_presets(problem, train, validation, inputs.say)


def _run_search(inputs: _Inputs) -> SearchResult:
    problem = inputs.problem
    train, validation = map(problem.make_dataset, (inputs.train, inputs.validation))
    tracker = connect(inputs.paths, problem.contract.name)
    database = inputs.paths.var / "study.db"
    return search(problem, train, validation, tracker, database, inputs.say)


def _conclude(name: str, inputs: _Inputs, result: Any, *, apply: bool) -> None:
    """Check the choice of a search; write the best settings where that was asked for."""
    params_file = inputs.paths.params
    if name == "search":
        check_choice(result)
        if apply:
            apply_choice(params_file, result, type(inputs.problem.settings))
            inputs.say("search: params.yaml holds the choice now; run `make run`")
    if name == "presets" and apply:
        set_params(params_file, list_values(result))
        inputs.say("presets: params.yaml holds the best settings now")


def describe_importance(result: Sequence[ColumnImportance]) -> list[str]:
    """Return the unit of the numbers, and a line for each column."""
    lines = ["importance: how much worse judge.metric becomes when the column is shuffled"]
    for part in result:
        importance = format_interval(part.importance, signed=True)
        costs = ""
        if part.missing is not None:
            costs = f", {part.missing:.1%} missing, {part.microseconds:.2f} µs a row"
        verdict = "" if part.shown else ", not significant"
        lines.append(f"importance: {part.column:<24} {importance}{costs}{verdict}")
    return lines


def describe_staleness(result: Staleness) -> list[str]:
    """Return a line for each age, and the conclusion."""
    lines = [
        f"staleness: {part.months} months old loses {format_interval(part.gap, signed=True)}"
        for part in result.ages
    ]
    oldest = result.max_age_months
    limit = f"loses more than {result.max_loss:g} of {result.metric}"
    if not oldest:
        soon = result.ages[0].months
        span = f"{soon} months" if soon > 1 else "a month"
        return [*lines, f"staleness: a model {limit} within {span}; retrain as each month arrives"]
    at_least = "at least " if oldest == result.oldest_tried else ""
    return [
        *lines,
        f"staleness: a model may become {at_least}{oldest} months old before it {limit}",
    ]


def describe_search(result: SearchResult) -> list[str]:
    """Return the result of the hyperparameter search as a sentence."""
    chosen = ", ".join(f"{name} {value:g}" for name, value in result.settings.items())
    now = (
        "cannot be measured now, since training fails"
        if result.current is None
        else f"is {format_number(result.current)} now"
    )
    best = f"{format_number(result.best)} in the best of {result.trials} trials"
    again = f"{format_number(result.trained_again)} when it is trained again by another seed"
    return [f"search: {result.metric} {now}, {best}, {again}: {chosen}"]


_STUDIES: Mapping[str, tuple[Callable[[_Inputs], Any], Callable[[Any], list[str]]]] = {
    "permutation_importance": (_run_importance, describe_importance),
    "staleness": (_run_staleness, describe_staleness),
    "presets": (_run_presets, describe_presets),
    "search": (_run_search, describe_search),
}
"""Function that makes each study, and function that describes its result."""


def _begin_report(paths: Paths, data_hash: str) -> StudyReport:
    """Return the results of earlier studies of the same rows."""
    place = paths.reports / "study.json"
    if place.exists():
        earlier = load_report(place, StudyReport, "make study")
        if earlier.data_hash == data_hash:
            return earlier
    return StudyReport(data_hash=data_hash)


def _read_months(inputs: _Inputs) -> dict[str, pd.DataFrame]:
    """Read the labeled rows of each month."""
    target = inputs.problem.contract.target.name
    months = {}
    for file in sorted(inputs.paths.accepted.glob("*.parquet")):
        rows = read_table(file)
        months[file.stem] = rows[rows[target].notna()].reset_index(drop=True)
    return months
