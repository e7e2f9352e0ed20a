"""`make study`: the questions one after the other, and `reports/study.json` with the answers."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from mlchassis.config.params import Params
from mlchassis.contract.model import load_contract
from mlchassis.data.tables import read_table
from mlchassis.formatting import format_interval, format_number
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.registry.tracking import connect
from mlchassis.reports import read_report
from mlchassis.studies.fitting import NothingToStudyError, Task
from mlchassis.studies.importance import measure_worth
from mlchassis.studies.presets import compare_presets, describe_presets, list_values
from mlchassis.studies.search import apply_choice, check_choice, search, set_params
from mlchassis.studies.staleness import measure_age
from mlchassis.training.export import hash_rows
from mlchassis.workspace.outputs import write_facts

STUDIES = ("worth", "age", "presets", "search")


def run_studies(
    paths: Workspace,
    params: Params,
    only: Sequence[str],
    say: Callable[[str], None],
    *,
    apply: bool,
) -> None:
    """Answers the questions of `only`, or all that can be asked of this project.

    What was answered before on the same data stays.

    Raises:
        ProjectError: A study of `only` cannot be made, or the choice of the search was luck.
    """
    own = paths.project
    contract = load_contract(paths.contract)
    task = Task(contract, params, paths.features, own.metrics, own.estimators)
    train, valid = (read_table(paths.splits / f"{name}.parquet") for name in ("train", "valid"))
    report = _begin(paths, hash_rows(train, valid))

    def ask_presets() -> dict[str, Any]:
        return compare_presets(task, task.examples(train), task.examples(valid), say)

    def ask_search() -> dict[str, Any]:
        examples = (task.examples(train), task.examples(valid))
        tracker = connect(paths, task.contract.name)
        return search(task, *examples, tracker, paths.var / "study.db", say)

    asks: dict[str, tuple[Callable[[], Any], Callable[[Any], list[str]]]] = {
        "worth": (lambda: measure_worth(task, train, valid, say), describe_worth),
        "age": (lambda: measure_age(task, _read_months(paths, task), say), describe_age),
        "presets": (ask_presets, describe_presets),
        "search": (ask_search, describe_search),
    }
    for name in only or STUDIES:
        ask, describe = asks[name]
        try:
            found = report[name] = ask()
        except NothingToStudyError as error:
            if only:
                raise
            say(f"{name}: left out. {error}")
            continue
        write_facts(paths, paths.reports / "study.json", report)
        for line in describe(found):
            say(line)
        _conclude(name, paths, found, say, apply=apply)


def _conclude(
    name: str, paths: Paths, found: dict[str, Any], say: Callable[[str], None], *, apply: bool
) -> None:
    """Check the choice of a search; write the best settings where that was asked for."""
    if name == "search":
        check_choice(found)
        if apply:
            apply_choice(paths.params, found)
            say("search: params.yaml holds the choice now; run `make run`")
    if name == "presets" and apply:
        set_params(paths.params, list_values(found))
        say("presets: params.yaml holds the best settings now")


def describe_worth(found: list[dict[str, Any]]) -> list[str]:
    """A line for each column."""
    lines = []
    for part in found:
        worth = format_interval(part["worth"], signed=True)
        costs = ""
        if part["missing"] is not None:
            costs = f", {part['missing']:.1%} missing, {part['microseconds']:.2f} µs a row"
        verdict = "" if part["shown"] else ", not shown to be worth anything"
        lines.append(f"worth: {part['column']:<24} {worth}{costs}{verdict}")
    return lines


def describe_age(found: dict[str, Any]) -> list[str]:
    """A line for each age, and what follows."""
    lines = [
        f"age: {part['months']} months old loses {format_interval(part['gap'], signed=True)}"
        for part in found["ages"]
    ]
    oldest, tried = found["max_age_months"], found["oldest_tried"]
    limit = f"loses more than {found['max_loss']:g} of {found['metric']}"
    if not oldest:
        return [*lines, f"age: a model {limit} within a month; retrain as each month arrives"]
    at_least = "at least " if oldest == tried else ""
    return [*lines, f"age: a model may become {at_least}{oldest} months old before it {limit}"]


def describe_search(found: dict[str, Any]) -> list[str]:
    """Result of the hyperparameter search as a sentence."""
    chosen = ", ".join(f"{name} {value:g}" for name, value in found["settings"].items())
    values = (
        f"{format_number(found['current'])} now, {format_number(found['best'])} in the best of "
        f"{found['trials']} trials"
    )
    again = f"{format_number(found['trained_again'])} when it is trained again by another seed"
    return [f"search: {found['metric']} is {values}, {again}: {chosen}"]


def _begin(paths: Paths, data_hash: str) -> dict[str, Any]:
    place = paths.reports / "study.json"
    old: dict[str, Any] = read_report(place) if place.exists() else {}
    return old if old.get("data_hash") == data_hash else {"data_hash": data_hash}


def _read_months(paths: Paths, task: Task) -> dict[str, pd.DataFrame]:
    target = task.contract.target.name
    months = {file.stem: read_table(file) for file in sorted(paths.accepted.glob("*.parquet"))}
    return {m: rows[rows[target].notna()].reset_index(drop=True) for m, rows in months.items()}
