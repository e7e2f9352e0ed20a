"""Draft of an adoption: contract, settings and questions, before anything is written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from mlchassis.adoption.columns.categories import choose_pii_categories
from mlchassis.adoption.columns.dependence import ask_group, list_groups, note_dependence
from mlchassis.adoption.columns.feature_check import LeakyFeatureError, check_features
from mlchassis.adoption.columns.leakage_score import find_leakage_signs, score_leakage
from mlchassis.adoption.columns.plan import Ask, ColumnPlan, RoleOverrides
from mlchassis.adoption.columns.roles import plan_columns
from mlchassis.adoption.decisions import (
    collect_questions,
    describe_decisions,
    note_duplicates,
    note_encoding,
    note_shifts,
)
from mlchassis.adoption.defaults import (
    Setting,
    choose_settings,
    find_required_limits,
    keep_settings,
    measure_duplicates,
)
from mlchassis.adoption.draft import draft_contract
from mlchassis.adoption.earlier import (
    EarlierAdoption,
    continue_formats,
    continue_roles,
    read_earlier,
)
from mlchassis.adoption.files.placement import note_location
from mlchassis.adoption.formats.composed_time import note_composed
from mlchassis.adoption.growth import TableSize, adapt_to_size, note_adaptation
from mlchassis.adoption.options import AdoptionOptions, name_table
from mlchassis.adoption.redraft import redraft_contract, rename_contract
from mlchassis.adoption.split_choice import SplitChoice, choose_split
from mlchassis.adoption.table import ReadTable, read_source_text, read_table
from mlchassis.config.params import Params, parse_params
from mlchassis.config.source_params import OwnParams
from mlchassis.config.yaml_edit import set_source, set_values
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
        local_path: Location of the table, if it exists only on this machine.
        decisions: The table of what was decided, line by line.
    """

    contract: str
    params: str
    query: str | None
    source: OwnParams
    open_questions: tuple[str, ...]
    keeps_settings: bool = False
    local_path: str | None = None
    decisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Draft:
    """The contract as drafted, with the rows that it is about.

    Attributes:
        groups: Columns that may name what several rows are about, with rows for each value.
        labeled: The rows with an outcome.
        continues: True if an earlier contract was changed rather than drafted.
    """

    plans: tuple[ColumnPlan, ...]
    text: str
    contract: Contract
    groups: dict[str, float]
    labeled: pd.DataFrame
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


def prepare(
    paths: Paths, options: AdoptionOptions, previous: Contract | None, ask: Ask
) -> Adoption:
    """Read the data and draft everything, without writing.

    Raises:
        ProjectError: The data cannot be used.
    """
    leaky_features = dict(options.leaky_features)
    while True:
        try:
            return _prepare(paths, replace(options, leaky_features=leaky_features), previous, ask)
        except LeakyFeatureError as error:
            if options.overrides.attended or error.name in leaky_features:
                raise
            # Without a terminal it is left out, as every other suspected leak.
            leaky_features[error.name] = error.auc


def _prepare(
    paths: Paths, options: AdoptionOptions, previous: Contract | None, ask: Ask
) -> Adoption:
    earlier = read_earlier(paths, previous)
    options = replace(options, formats=continue_formats(options.formats, paths, earlier))
    opened, query, strings = read_source_text(paths, options, ask)
    options = replace(options, overrides=continue_roles(options.overrides, earlier, strings))
    table = read_table(paths, opened, query, strings, options, earlier, ask)
    del strings
    groups = list_groups(table.rows, table.facts, options.overrides)
    if earlier is None:
        overrides = ask_group(groups, table.facts, options.overrides, ask)
        options = replace(options, overrides=overrides)
    draft = _draft(table, options, earlier, groups, ask)
    settings = _choose_settings(paths, options, table, draft, ask)
    # Parameters that no verb accepts must be rejected before they are written.
    limit = parse_params(
        settings.text, model=choose_params_model(paths)
    ).train.max_single_feature_auc
    if earlier is None and limit < 1:
        # Newer rows move a feature a little; what is adopted now must not stop the next training.
        limit -= _ROOM_FOR_NEWER_ROWS
    check_features(draft.labeled, draft.contract, settings.split, limit)
    return _describe(options, table, draft, settings)


def _draft(
    table: ReadTable,
    options: AdoptionOptions,
    earlier: EarlierAdoption | None,
    groups: dict[str, float],
    ask: Ask,
) -> _Draft:
    """Decide what each column is for, and draft the contract."""
    plans = _plan(table, options, earlier, ask)
    text = _draft_text(table.rows, plans, options, earlier)
    contract = parse_contract(text)
    labeled = table.rows[table.rows[contract.target.name].notna()].reset_index(drop=True)
    continues = earlier is not None and earlier.is_continued_by(contract)
    return _Draft(plans, text, contract, groups, labeled, continues)


def _choose_settings(
    paths: Paths, options: AdoptionOptions, table: ReadTable, draft: _Draft, ask: Ask
) -> _Settings:
    """Choose the split and every setting that depends on the table."""
    written = paths.params.read_text(encoding="utf-8")
    current = read_params(paths)
    contract, continues = draft.contract, draft.continues
    group = _choose_group(options.overrides, current, continues=continues)
    split = choose_split(draft.labeled, contract, group, current, keep=continues)
    settings = drafted = choose_settings(table.rows, contract, draft.plans, split)
    grown: list[str] = []
    if continues:
        size = _measure_size(draft, split)
        followed = adapt_to_size(written, current, size, drafted)
        grown = note_adaptation(followed, current, size.test)
        required_limits = find_required_limits(table.rows, contract, draft.plans)
        settings = keep_settings(drafted, current, required_limits) | followed
    persons, about_persons = choose_pii_categories(contract, current.export.pii_categories, ask)
    text = set_source(set_values(written, {**settings, **persons}), table.source)
    notes = (
        *grown,
        *note_duplicates(measure_duplicates(table.rows, contract)),
        *note_shifts(drafted, contract),
        *about_persons,
    )
    return _Settings(split, drafted, text, notes)


def _measure_size(draft: _Draft, split: SplitChoice) -> TableSize:
    splits = split_rows(draft.labeled, draft.contract, split.params, split.seed)
    return TableSize(len(draft.labeled), len(splits["validation"]), len(splits["test"]))


def _describe(
    options: AdoptionOptions, table: ReadTable, draft: _Draft, settings: _Settings
) -> Adoption:
    """Put together what is to be written, and what a person should decide."""
    contract = draft.contract
    groups = _list_features(draft.groups, contract)
    questions = (
        *note_encoding(table.opened, options),
        *table.notes,
        *note_composed(table.composed),
        *settings.notes,
        *note_dependence(draft.labeled, contract, settings.split.params, groups),
        *collect_questions(draft.plans, contract),
        *note_location(table.local_path),
    )
    split = _describe_split(settings.text)
    encoding = table.opened.encoding
    return Adoption(
        contract=draft.text,
        params=settings.text,
        query=table.query,
        source=table.source,
        open_questions=questions,
        keeps_settings=draft.continues,
        local_path=table.local_path,
        decisions=describe_decisions(
            table.source, encoding, table.formats, draft.plans, contract, split
        ),
    )


def _plan(
    table: ReadTable, options: AdoptionOptions, earlier: EarlierAdoption | None, ask: Ask
) -> tuple[ColumnPlan, ...]:
    overrides = options.overrides
    leakage_scores = {**score_leakage(table.rows, table.facts, overrides), **options.leaky_features}
    roles, reasons = (earlier.roles, earlier.reasons) if earlier else ({}, {})

    def find_signs(event_time: str | None) -> dict[str, str]:
        return find_leakage_signs(table.rows, table.facts, leakage_scores, overrides, event_time)

    return plan_columns(table.facts, leakage_scores, overrides, roles, ask, reasons, find_signs)


def _draft_text(
    table: pd.DataFrame,
    plans: tuple[ColumnPlan, ...],
    options: AdoptionOptions,
    earlier: EarlierAdoption | None,
) -> str:
    """The text of the contract: a new one, or that of an earlier adoption with what changed."""
    if earlier:
        return redraft_contract(rename_contract(earlier.text, options.name), plans, table)
    name = options.name or name_table(options.location)
    return draft_contract(name, "1.0.0", options.location.name, plans, {})


def _list_features(groups: Mapping[str, float], contract: Contract) -> dict[str, float]:
    features = {column.name for column in contract.features}
    return {name: rows for name, rows in groups.items() if name in features}


def _choose_group(overrides: RoleOverrides, current: Params, *, continues: bool) -> str | None:
    """The column whose rows stay together: by a flag, else as the last time."""
    if continues and overrides.group is None and current.split.strategy == "group":
        return current.split.group
    return overrides.group


def _describe_split(params: str) -> str:
    """The strategy of the split, with the reason that stands beside it in params.yaml."""
    match = re.search(r"^  strategy: *(\w+) *(?:# (?:.*?; )?(.*))?$", params, re.MULTILINE)
    return " - ".join(filter(None, match.groups())) if match else ""
