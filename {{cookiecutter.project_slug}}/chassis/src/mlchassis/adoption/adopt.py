"""`adopt`: from a team's files to a contract, settings and a deployed model."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import unified_diff
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from mlchassis.adoption.columns.categories import settle_categories
from mlchassis.adoption.columns.codes import settle_codes
from mlchassis.adoption.columns.dependence import ask_group, list_groups, note_dependence
from mlchassis.adoption.columns.feature_check import TellingFeatureError, check_features
from mlchassis.adoption.columns.leakage_score import find_signs
from mlchassis.adoption.columns.profile import ColumnFacts, profile
from mlchassis.adoption.columns.roles import Ask, Planned, Wishes, plan_columns, plan_target
from mlchassis.adoption.decisions import describe_decisions
from mlchassis.adoption.defaults import Setting, choose_settings, find_needs, keep_settings
from mlchassis.adoption.draft import draft_contract
from mlchassis.adoption.earlier import (
    Earlier,
    continue_formats,
    continue_wishes,
    read_earlier,
    read_formats,
)
from mlchassis.adoption.formats.composed_time import Composed, find_composed, note_composed
from mlchassis.adoption.formats.detect_source import QUERY, OpenedSource, Place, open_source
from mlchassis.adoption.formats.infer import (
    EarlierFormat,
    InferredFormat,
    TableContext,
    infer_format,
    infer_formats,
)
from mlchassis.adoption.formats.overrides import (
    ColumnOverrides,
    FormatOverrides,
    resolve_overrides,
)
from mlchassis.adoption.growth import follow_size, note_size
from mlchassis.adoption.journal import Changes, carry_out, check_committed, finish
from mlchassis.adoption.placement import (
    check_placement,
    collect_query,
    note_location,
    settle_location,
)
from mlchassis.adoption.redraft import redraft_contract, rename_contract
from mlchassis.adoption.remove_sample import (
    clear_outputs,
    is_sample_here,
    list_folders,
    remove_sample,
)
from mlchassis.adoption.split_choice import choose_split
from mlchassis.config.params import Params, parse_params
from mlchassis.config.source_params import ColumnFormat, OwnParams, TableFormat
from mlchassis.config.yaml_edit import set_pipeline, set_source, set_values
from mlchassis.contract.checks import LONGEST_NAME
from mlchassis.contract.model import Contract, load_contract, parse_contract
from mlchassis.data.splitting import split_rows
from mlchassis.data.tables import conform
from mlchassis.errors import ProjectError
from mlchassis.evaluation.metrics import encode_target
from mlchassis.features.encoding import arrange_features, columns_from_frame
from mlchassis.paths import Paths
from mlchassis.project import Workspace, choose_params_model, read_params
from mlchassis.sources.composing import compose_times
from mlchassis.sources.files import LACKING, NESTED, NOTES
from mlchassis.sources.location import SETTING
from mlchassis.sources.parsing import is_words, parse_column
from mlchassis.sources.registry import read_words
from mlchassis.sources.sql import ask_database
from mlchassis.training.leakage import rank_single_features
from mlchassis.workspace.outputs import keep_edited, refuse_foreign
from mlchassis.workspace.repository import ensure_repository

_MOST_JUDGED = 100_000
"""Rows on which single columns are compared with the target; more tell nothing new."""
_MANY_ALIKE = 0.05
"""Share of rows that equal another one, from which on a person should look."""
_ROOM_FOR_NEWER_ROWS = 0.01
"""Of ROC AUC, between what a first adoption keeps and what training accepts."""


@dataclass(frozen=True, slots=True)
class Request:
    """Options of one adoption.

    Attributes:
        place: Location of the table.
        name: Of the contract and the model; None takes it from the data.
        day_first: True to read ambiguous dates with the day first.
        force: Go on over uncommitted changes.
        formats: Format flags.
        telling: Features that alone tell the outcome of the validation data: ROC AUC by name.
        agreed: To whatever changes in the contract.
    """

    place: Place
    wishes: Wishes
    name: str | None = None
    day_first: bool = True
    force: bool = False
    agreed: bool = False
    formats: FormatOverrides = field(default_factory=FormatOverrides)
    telling: Mapping[str, float] = field(default_factory=dict)


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


def adopt(paths: Workspace, request: Request, ask: Ask, say: Callable[[str], None]) -> Adoption:
    """Profiles the data and rewrites the project for it.

    Args:
        paths: The project.
        request: Options of the adoption.
        ask: Settles doubts; gives the safe answer where nobody can be asked.
        say: Shows one line to the user.

    Returns:
        What was written, with what a person should decide next.

    Raises:
        ProjectError: The data cannot be used, or the project has changes that are not committed.
    """
    if finish(paths):
        say("adopt: finished what an interrupted run had begun")
    check_placement(paths, request.place)
    check_committed(paths, force=request.force, source=request.place.data)
    refuse_foreign(paths, list_folders(paths))
    first = is_sample_here(paths.root)
    previous = None if first else load_contract(paths.contract)
    adoption = prepare(paths, request, previous, ask)
    say(f"Decided (flags in ARGS change it; .venv/bin/python -m {paths.package} adopt --help):")
    for line in adoption.decisions:
        say(line)
    if previous is not None and not _agree(paths, request, adoption, ask, say):
        raise ProjectError(
            "Nothing was changed: the new contract was not agreed to (--yes agrees)."
        )
    changes, said = _collect_changes(paths, request, adoption)
    # All is decided and valid: from here on the project changes.
    for line in filter(None, (ensure_repository(paths.root), said)):
        say(line)
    keep_edited(paths, list_folders(paths), say)
    carry_out(paths, changes)
    return adoption


def _collect_changes(paths: Workspace, request: Request, adoption: Adoption) -> tuple[Changes, str]:
    """Return the files to write and delete, and a line about the sample's files."""
    changes, said = clear_outputs(paths), ""
    if is_sample_here(paths.root):
        removed, said = remove_sample(paths, paths.features_file, name_table(request.place))
        changes |= removed
    pipeline = changes.get("dvc.yaml") or (paths.root / "dvc.yaml").read_text(encoding="utf-8")
    task = parse_contract(adoption.contract).task
    changes |= {
        "contract.yaml": adoption.contract,
        "params.yaml": adoption.params,
        "dvc.yaml": set_pipeline(pipeline, task, adoption.source),
    }
    if adoption.query is not None:
        changes[QUERY] = adoption.query
    changes[SETTING] = None if adoption.location is None else f"{adoption.location}\n"
    return changes, said


def prepare(paths: Paths, request: Request, previous: Contract | None, ask: Ask) -> Adoption:
    """Reads the data and drafts everything, without writing."""
    asked, earlier = request, read_earlier(paths, previous)
    request = replace(request, formats=continue_formats(request.formats, paths, earlier))
    opened = open_source(request.place, paths.root, request.formats, ask)
    query = collect_query(request.place, paths.root)
    words = _read_all(opened.params, query, paths.root)
    _check_target(words, request.wishes, ask)
    current = read_params(paths)
    request = replace(request, wishes=continue_wishes(request.wishes, earlier, words))
    formats = read_formats(paths, earlier, request.wishes.target)
    readings = read_columns(words, request, ask, _delimiter(opened.params), formats)
    composed = find_composed(words, readings, request.wishes.event_time)
    words, readings = _compose(words, readings, composed)
    table = parse_table(words, readings)
    known = {*formats, *(name for parts in composed.values() for name in parts)}
    coded = settle_codes(words, table, readings, request.wishes.target, request.formats, known, ask)
    if coded != readings:
        readings, table = coded, parse_table(words, coded)
    facts = profile(table, readings)
    nested = [*_note_nested(words.attrs.get(NESTED, ())), *words.attrs.get(NOTES, ())]
    del words
    formatted = _with_formats(opened.params, facts, request.formats)
    formatted = formatted.model_copy(update={"compose": composed})
    source, location = settle_location(formatted, paths.root)
    groups = list_groups(table, facts, request.wishes)
    if earlier is None:
        request = replace(request, wishes=ask_group(groups, facts, request.wishes, ask))
    planned = _plan(table, facts, request, earlier, ask)
    text = _draft_text(table, planned, request, earlier)
    contract = parse_contract(text)
    labelled = table[table[contract.target.name].notna()].reset_index(drop=True)
    continues = earlier is not None and earlier.is_continued_by(contract)
    group = _choose_group(request.wishes, current, continues=continues)
    split = choose_split(labelled, contract, group, current, keep=continues)
    settings = drafted = choose_settings(table, contract, planned, split)
    grown: list[str] = []
    if continues:
        held_out = len(split_rows(labelled, contract, split.params, split.seed)["test"])
        followed = follow_size(paths.params.read_text(encoding="utf-8"), current, held_out)
        grown = note_size(followed, current, held_out)
        settings = keep_settings(drafted, current, find_needs(table, contract, planned)) | followed
    persons, about_persons = settle_categories(contract, current.export.pii_categories, ask)
    params = set_values(paths.params.read_text(encoding="utf-8"), {**settings, **persons})
    params = set_source(params, source)
    # Before anything is written: what no verb accepts would stop every one of them.
    limit = parse_params(params, model=choose_params_model(paths)).train.max_single_feature_auc
    if earlier is None and limit < 1:
        # Newer rows move a feature a little; what is adopted now must not stop the next training.
        limit -= _ROOM_FOR_NEWER_ROWS
    try:
        check_features(labelled, contract, split, limit)
    except TellingFeatureError as found:
        if request.wishes.attended or found.name in request.telling:
            raise
        # Nobody can be asked, so it is left out, as every other feature that tells too much.
        telling = {**asked.telling, found.name: found.auc}
        return prepare(paths, replace(asked, telling=telling), previous, ask)
    pipeline = (paths.root / "dvc.yaml").read_text(encoding="utf-8")
    return Adoption(
        text,
        params,
        set_pipeline(pipeline, contract.task, source),
        query,
        source,
        (
            *_note_encoding(opened, request),
            *nested,
            *note_composed(composed),
            *grown,
            *_note_steps(drafted, contract),
            *about_persons,
            *note_dependence(labelled, contract, split.params, _list_features(groups, contract)),
            *_collect_questions(planned, contract),
            *note_location(location),
        ),
        continues,
        location,
        describe_decisions(
            source, opened.encoding, readings, planned, contract, _describe_split(params)
        ),
    )


def _check_target(words: pd.DataFrame, wishes: Wishes, ask: Ask) -> None:
    """Refuse a table without the target.

    Raises:
        ProjectError: No file, or not every one, has the column.
    """
    lacking = words.attrs.get(LACKING, {})
    if wishes.target in lacking:
        raise ProjectError(
            f"{lacking[wishes.target]} lacks the target '{wishes.target}', which other files of "
            "the folder have; add it to the file, or take the file out of the folder, and run "
            "`make adopt` again."
        )
    if wishes.target not in words:
        # The plan refuses it with a hint; nothing needs to be read for that.
        plan_columns(dict.fromkeys(map(str, words), _NOTHING), {}, wishes, {}, ask)


def _plan(
    table: pd.DataFrame,
    facts: Mapping[str, ColumnFacts],
    request: Request,
    earlier: Earlier | None,
    ask: Ask,
) -> tuple[Planned, ...]:
    wishes = request.wishes
    suspicion = {**suspect(table, facts, wishes), **request.telling}
    roles, reasons = (earlier.roles, earlier.reasons) if earlier else ({}, {})

    def look(event_time: str | None) -> dict[str, str]:
        return find_signs(table, facts, suspicion, wishes, event_time)

    return plan_columns(facts, suspicion, wishes, roles, ask, reasons, look)


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


def _choose_group(wishes: Wishes, current: Params, *, continues: bool) -> str | None:
    """The column whose rows stay together: by a flag, else as the last time."""
    if continues and wishes.group is None and current.split.strategy == "group":
        return current.split.group
    return wishes.group


def _describe_split(params: str) -> str:
    """The strategy of the split, with the reason that stands beside it in params.yaml."""
    found = re.search(r"^  strategy: *(\w+) *(?:# (?:.*?; )?(.*))?$", params, re.MULTILINE)
    return " - ".join(filter(None, found.groups())) if found else ""


def _read_all(opened: OwnParams, query: str | None, root: Path) -> pd.DataFrame:
    """A profile is of all rows, whichever months are stored."""
    if opened.kind != "sql":
        return read_words(opened, root)
    whole = opened.model_copy(update={"incremental": None})
    return read_words(whole, root) if query is None else ask_database(whole, query, root)


_NOTHING = ColumnFacts("", None, ColumnFormat(), "", 0, 0, 0)


def _answer_safely(_question: str, safe: bool) -> bool:
    return safe


def read_columns(
    words: pd.DataFrame,
    request: Request,
    ask: Ask = _answer_safely,
    delimiter: str = ",",
    earlier: Mapping[str, EarlierFormat] = MappingProxyType({}),
) -> dict[str, InferredFormat]:
    """Infer each column's format; a target with classes that are no integers becomes text."""
    overrides = resolve_overrides(request.formats, list(map(str, words)))
    target, task = request.wishes.target, request.wishes.task
    context = TableContext(
        request.day_first,
        ask,
        delimiter,
        missing=overrides.missing,
        target=target,
        # --month-first asks for times to be read in another way.
        earlier={
            name: one for name, one in earlier.items() if request.day_first or one[0] != "timestamp"
        },
    )
    inferred = infer_formats(words, context, overrides.columns)
    two = words[target].nunique() == 2
    as_text = {
        "number": two if task is None else task != "regression",
        "timestamp": True,
        # Which of the two is to be found is said by the word that stands there.
        "boolean": request.wishes.positive is not None,
    }
    if as_text.get(str(inferred[target].kind), False):
        inferred[target] = infer_format(
            words[target], context=context, overrides=ColumnOverrides(text=True)
        )
    return inferred


def _delimiter(source: OwnParams) -> str:
    return "," if source.kind == "sql" else source.delimiter


def parse_table(words: pd.DataFrame, readings: Mapping[str, InferredFormat]) -> pd.DataFrame:
    """Every column in its kind."""
    columns = {}
    for name, reading in readings.items():
        kind = reading.kind or "string"
        columns[name], _ = parse_column(words[name], kind, reading.form)
        if not is_words(columns[name]) and kind in ("integer", "number"):
            columns[name] = columns[name].astype("Int64" if kind == "integer" else "Float64")
    return pd.DataFrame(columns)


def suspect(
    table: pd.DataFrame, facts: Mapping[str, ColumnFacts], wishes: Wishes
) -> dict[str, float]:
    """Leakage score of each column: its ROC AUC alone, on held-out rows."""
    target = plan_target(facts[wishes.target], wishes)
    columns = [
        Planned(column, column.kind, ("feature",), "")
        for name, column in facts.items()
        if name != wishes.target and column.kind and not column.constant and not column.unique_words
    ]
    if not columns:
        return {}
    contract = parse_contract(draft_contract("suspicion", "1.0.0", "it", [target, *columns], {}))
    rows = table[table[wishes.target].notna()]
    rows = rows.sample(min(len(rows), _MOST_JUDGED), random_state=0)
    rows = conform(rows, contract)
    answer = encode_target(rows[wishes.target].to_numpy(), contract.classes)
    matrix = columns_from_frame(contract, rows)
    half = len(rows) // 2
    seen, offered = (
        arrange_features({name: values[part] for name, values in matrix.items()})
        for part in (slice(None, half), slice(half, None))
    )
    classes = len(contract.classes)
    return rank_single_features(seen, answer[:half], offered, answer[half:], classes)


def name_table(place: Place) -> str:
    """A name for the contract and the model, from that of the table."""
    stem = place.name.split(".")[-1 if place.table else 0]
    name = "".join(c if c.isalnum() and c.isascii() else "_" for c in stem.lower()).strip("_")
    return name[:LONGEST_NAME] or "table"


def _agree(
    paths: Paths, request: Request, adoption: Adoption, ask: Ask, say: Callable[[str], None]
) -> bool:
    old = paths.contract.read_text(encoding="utf-8")
    new, names = adoption.contract.splitlines(), ("contract.yaml", "its new draft")
    lines = list(unified_diff(old.splitlines(), new, *names, n=1, lineterm=""))
    if not lines:
        say("contract.yaml: the data says what it says already; no change")
        return True
    for line in lines:
        say(line)
    return request.agreed or ask("Change contract.yaml so, and the settings that follow?", False)


def _with_formats(
    opened: OwnParams, facts: Mapping[str, ColumnFacts], formats: FormatOverrides
) -> OwnParams:
    plain = ColumnFormat()
    odd = {name: column.form for name, column in facts.items() if column.form != plain}
    missing = resolve_overrides(formats, list(facts)).missing
    return opened.model_copy(update={"columns": odd, "missing": missing})


def _compose(
    words: pd.DataFrame, readings: dict[str, InferredFormat], composed: Composed
) -> tuple[pd.DataFrame, dict[str, InferredFormat]]:
    """Add the times that are made of several columns, as every ingest will."""
    forms = {name: reading.form for name, reading in readings.items()}
    rows = compose_times(words, TableFormat(columns=forms, compose=composed))
    times = dict.fromkeys(composed, InferredFormat("timestamp", ColumnFormat()))
    return rows, readings | times


def _collect_questions(planned: tuple[Planned, ...], contract: Contract) -> tuple[str, ...]:
    questions = [*_note_outcomes(planned), *_note_lists(contract)]
    questions += [f"'{c.facts.name}': {c.question}" for c in planned if c.question]
    questions += _group_notes(planned)
    costs = "what the two kinds of error cost, and "
    return (
        *questions,
        "contract.yaml: descriptions, units and true limits, which no data can tell",
        f"params.yaml: {costs if contract.task == 'binary' else ''}the gates' limits",
    )


def _list_features(groups: Mapping[str, float], contract: Contract) -> dict[str, float]:
    features = {column.name for column in contract.features}
    return {name: rows for name, rows in groups.items() if name in features}


def _note_encoding(opened: OpenedSource, request: Request) -> list[str]:
    encoding = opened.encoding
    if encoding is None or not encoding.words or request.formats.encoding is not None:
        return []
    words = ", ".join(f"'{word:.40}'" for word in encoding.words)
    note = (
        f"the file is not UTF-8; it was read as {encoding.name}, which gives {words}: if these "
        "words are wrong, run again with --encoding"
    )
    return [note]


def _note_outcomes(planned: Sequence[Planned]) -> list[str]:
    """Note on rows without an outcome."""
    (facts,) = (column.facts for column in planned if column.has("target"))
    missing = facts.rows - facts.present
    note = (
        f"'{facts.name}': {missing:,} of {facts.rows:,} rows have no outcome and are not used; if "
        "an empty cell means an outcome, such as none or 0, write that into the table"
    )
    return [note] if missing else []


def _note_lists(contract: Contract) -> list[str]:
    """Note on columns that accept only the categories seen so far."""
    names = [f"'{c.name}'" for c in contract.columns if c.values and c != contract.target]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    note = (
        f"contract.yaml: {', '.join(names[:5])}{more}: only the words that are listed are "
        "accepted; remove 'enum' where others may come"
    )
    return [note] if names else []


def _note_nested(names: Sequence[str]) -> list[str]:
    listed = ", ".join(f"'{name}'" for name in names)
    why = "lists or structs, which are not read; if they tell something, give it columns of its own"
    return [f"{listed}: {why}"] if names else []


def _note_steps(settings: Mapping[str, Setting], contract: Contract) -> list[str]:
    """Rows that come twice and columns that change abruptly, both in the table as adopted."""
    known: Mapping[str, list[str]] = settings["validate.known_steps"][0]
    repeated = settings["validate.max_doubled"]
    notes = []
    if repeated[0] > _MANY_ALIKE:
        notes.append(f"rows: {repeated[1]}; if a join doubled them, fix the join")
    for name, months in known.items():
        words = contract.column(name).kind == "string"
        cause = "its categories were renamed" if words else "its unit or meaning changed"
        when = ", ".join(months[:3])
        if name == contract.target.name:
            notes.append(
                f"'{name}', the outcome, changes abruptly in {when} (see its chart in "
                "reports/data.html): if what is recorded changed then, keep the rows of one side "
                "alone"
            )
            continue
        notes.append(f"'{name}' changes abruptly in {when}: if {cause} then, fix the source")
    return notes


def _group_notes(planned: tuple[Planned, ...]) -> list[str]:
    """Notes on inferred formats: one line for all columns with the same one."""
    alike: dict[str, list[str]] = {}
    for column in planned:
        if column.facts.note and column.facts.kind:
            alike.setdefault(column.facts.note, []).append(f"'{column.facts.name}'")
    return [
        f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}: {note}"
        for note, names in alike.items()
    ]
