"""An adoption as it will be: contract, settings and questions, before anything is written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from mlchassis.adoption.columns.categories import settle_categories
from mlchassis.adoption.columns.dependence import ask_group, list_groups, note_dependence
from mlchassis.adoption.columns.feature_check import TellingFeatureError, check_features
from mlchassis.adoption.columns.leakage_score import find_signs, suspect
from mlchassis.adoption.columns.roles import Ask, Planned, Wishes, plan_columns
from mlchassis.adoption.decisions import (
    collect_questions,
    describe_decisions,
    note_encoding,
    note_steps,
)
from mlchassis.adoption.defaults import Setting, choose_settings, find_needs, keep_settings
from mlchassis.adoption.draft import draft_contract
from mlchassis.adoption.earlier import Earlier, continue_formats, continue_wishes, read_earlier
from mlchassis.adoption.files.placement import note_location
from mlchassis.adoption.formats.composed_time import note_composed
from mlchassis.adoption.growth import follow_size, note_size
from mlchassis.adoption.redraft import redraft_contract, rename_contract
from mlchassis.adoption.request import Request, name_table
from mlchassis.adoption.split_choice import SplitChoice, choose_split
from mlchassis.adoption.table import ReadTable, open_words, read_table
from mlchassis.config.params import Params, parse_params
from mlchassis.config.source_params import OwnParams
from mlchassis.config.yaml_edit import set_pipeline, set_source, set_values
from mlchassis.contract.model import Contract, parse_contract
from mlchassis.data.splitting import split_rows
from mlchassis.paths import Paths
from mlchassis.project import choose_params_model, read_params

_ROOM_FOR_NEWER_ROWS = 0.01
"""Of ROC AUC, between what a first adoption keeps and what training accepts."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """Files to write, and decisions left to a person.

    Attributes:
        keeps_settings: True if the settings are those of an earlier adoption.
        location: Location of the table, if it exists only on this machine.
        decisions: The table of what was decided, line by line.
    """

    contract: str
    params: str
    pipeline: str
    query: str | None
    source: OwnParams
    open_questions: tuple[str, ...]
    keeps_settings: bool = False
    location: str | None = None
    decisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Draft:
    """The contract as drafted, with the rows that it is about.

    Attributes:
        groups: Columns that may name what several rows are about, with rows for each value.
        labelled: The rows with an outcome.
        continues: True if an earlier contract was changed rather than drafted.
    """

    planned: tuple[Planned, ...]
    text: str
    contract: Contract
    groups: dict[str, float]
    labelled: pd.DataFrame
    continues: bool


@dataclass(frozen=True, slots=True)
class _Settings:
    """The settings as chosen, as the text of params.yaml.

    Attributes:
        drafted: Those that the table alone would get, by their dotted names.
        notes: Questions about them.
    """

    split: SplitChoice
    drafted: dict[str, Setting]
    text: str
    notes: tuple[str, ...]


def prepare(paths: Paths, request: Request, previous: Contract | None, ask: Ask) -> Adoption:
    """Read the data and draft everything, without writing.

    Raises:
        ProjectError: The data cannot be used.
    """
    telling = dict(request.telling)
    while True:
        try:
            return _prepare(paths, replace(request, telling=telling), previous, ask)
        except TellingFeatureError as found:
            if request.wishes.attended or found.name in telling:
                raise
            # Nobody can be asked, so it is left out, as every other feature that tells too much.
            telling[found.name] = found.auc


def _prepare(paths: Paths, request: Request, previous: Contract | None, ask: Ask) -> Adoption:
    earlier = read_earlier(paths, previous)
    request = replace(request, formats=continue_formats(request.formats, paths, earlier))
    opened, query, words = open_words(paths, request, ask)
    request = replace(request, wishes=continue_wishes(request.wishes, earlier, words))
    table = read_table(paths, opened, query, words, request, earlier, ask)
    del words
    groups = list_groups(table.rows, table.facts, request.wishes)
    if earlier is None:
        wishes = ask_group(groups, table.facts, request.wishes, ask)
        request = replace(request, wishes=wishes)
    draft = _draft(table, request, earlier, groups, ask)
    settings = _choose_settings(paths, request, table, draft, ask)
    # Before anything is written: what no verb accepts would stop every one of them.
    limit = parse_params(
        settings.text, model=choose_params_model(paths)
    ).train.max_single_feature_auc
    if earlier is None and limit < 1:
        # Newer rows move a feature a little; what is adopted now must not stop the next training.
        limit -= _ROOM_FOR_NEWER_ROWS
    check_features(draft.labelled, draft.contract, settings.split, limit)
    return _describe(paths, request, table, draft, settings)


def _draft(
    table: ReadTable,
    request: Request,
    earlier: Earlier | None,
    groups: dict[str, float],
    ask: Ask,
) -> _Draft:
    """Decide what each column is for, and draft the contract."""
    planned = _plan(table, request, earlier, ask)
    text = _draft_text(table.rows, planned, request, earlier)
    contract = parse_contract(text)
    labelled = table.rows[table.rows[contract.target.name].notna()].reset_index(drop=True)
    continues = earlier is not None and earlier.is_continued_by(contract)
    return _Draft(planned, text, contract, groups, labelled, continues)


def _choose_settings(
    paths: Paths, request: Request, table: ReadTable, draft: _Draft, ask: Ask
) -> _Settings:
    """Choose the split and every setting that depends on the table."""
    written = paths.params.read_text(encoding="utf-8")
    current = read_params(paths)
    contract, continues = draft.contract, draft.continues
    group = _choose_group(request.wishes, current, continues=continues)
    split = choose_split(draft.labelled, contract, group, current, keep=continues)
    settings = drafted = choose_settings(table.rows, contract, draft.planned, split)
    grown: list[str] = []
    if continues:
        held_out = len(split_rows(draft.labelled, contract, split.params, split.seed)["test"])
        followed = follow_size(written, current, held_out)
        grown = note_size(followed, current, held_out)
        needs = find_needs(table.rows, contract, draft.planned)
        settings = keep_settings(drafted, current, needs) | followed
    persons, about_persons = settle_categories(contract, current.export.pii_categories, ask)
    text = set_source(set_values(written, {**settings, **persons}), table.source)
    notes = (*grown, *note_steps(drafted, contract), *about_persons)
    return _Settings(split, drafted, text, notes)


def _describe(
    paths: Paths, request: Request, table: ReadTable, draft: _Draft, settings: _Settings
) -> Adoption:
    """Put together what is to be written, and what a person should decide."""
    contract = draft.contract
    pipeline = (paths.root / "dvc.yaml").read_text(encoding="utf-8")
    groups = _list_features(draft.groups, contract)
    questions = (
        *note_encoding(table.opened, request),
        *table.notes,
        *note_composed(table.composed),
        *settings.notes,
        *note_dependence(draft.labelled, contract, settings.split.params, groups),
        *collect_questions(draft.planned, contract),
        *note_location(table.location),
    )
    split = _describe_split(settings.text)
    encoding = table.opened.encoding
    return Adoption(
        contract=draft.text,
        params=settings.text,
        pipeline=set_pipeline(pipeline, contract.task, table.source),
        query=table.query,
        source=table.source,
        open_questions=questions,
        keeps_settings=draft.continues,
        location=table.location,
        decisions=describe_decisions(
            table.source, encoding, table.formats, draft.planned, contract, split
        ),
    )


def _plan(
    table: ReadTable, request: Request, earlier: Earlier | None, ask: Ask
) -> tuple[Planned, ...]:
    wishes = request.wishes
    suspicion = {**suspect(table.rows, table.facts, wishes), **request.telling}
    roles, reasons = (earlier.roles, earlier.reasons) if earlier else ({}, {})

    def look(event_time: str | None) -> dict[str, str]:
        return find_signs(table.rows, table.facts, suspicion, wishes, event_time)

    return plan_columns(table.facts, suspicion, wishes, roles, ask, reasons, look)


def _draft_text(
    table: pd.DataFrame,
    planned: tuple[Planned, ...],
    request: Request,
    earlier: Earlier | None,
) -> str:
    """The text of the contract: a new one, or that of an earlier adoption with what changed."""
    if earlier:
        return redraft_contract(rename_contract(earlier.text, request.name), planned, table)
    name = request.name or name_table(request.place)
    return draft_contract(name, "1.0.0", request.place.name, planned, {})


def _list_features(groups: Mapping[str, float], contract: Contract) -> dict[str, float]:
    features = {column.name for column in contract.features}
    return {name: rows for name, rows in groups.items() if name in features}


def _choose_group(wishes: Wishes, current: Params, *, continues: bool) -> str | None:
    """The column whose rows stay together: by a flag, else as the last time."""
    if continues and wishes.group is None and current.split.strategy == "group":
        return current.split.group
    return wishes.group


def _describe_split(params: str) -> str:
    """The strategy of the split, with the reason that stands beside it in params.yaml."""
    found = re.search(r"^  strategy: *(\w+) *(?:# (?:.*?; )?(.*))?$", params, re.MULTILINE)
    return " - ".join(filter(None, found.groups())) if found else ""
