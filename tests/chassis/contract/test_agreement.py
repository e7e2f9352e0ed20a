"""Requests, tables and MLflow's callers are judged alike, whatever the contract, whatever the row.

Rows are drawn that keep a contract and that break it in every way, as JSON writes them. The route
of the service, `/invocations`, a table before training and the registered model must take the same
ones, and whoever takes one must answer it alike.
"""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ml_service.features import compute_features
from mlchassis.bundle.bundle import deploy_bundle
from mlchassis.bundle.scorer import Scorer
from mlchassis.config.settings import ServiceSettings
from mlchassis.contract.model import Column, Contract, parse_contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.contract.table_checks import find_reasons
from mlchassis.data.tables import coerce
from mlchassis.errors import ProjectError
from mlchassis.features.code import FeatureCode, load_feature_code
from mlchassis.registry import tracking
from mlchassis.serving.app import create_app
from mlchassis.serving.loading import load_model
from mlchassis.serving.logs.operational import make_logger

Row = dict[str, Any]
BundleMaker = Callable[[Path, str, FeatureCode], Path]
AS_THEY_ARE = FeatureCode(dict, digest="0" * 64)

CONTRACTS = int(os.environ.get("AGREEMENT_CONTRACTS", "3"))

EVERY_FORM = """
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - {name: the key, logicalType: string, required: true, tags: [key]}
      - {name: when, logicalType: timestamp, required: true, tags: [event_time]}
      - {name: copy, logicalType: number, required: true, tags: [feature]}
      - name: model_dump
        logicalType: number
        tags: [feature]
        logicalTypeOptions: {minimum: -0.5, maximum: 1.0e+6}
      - {name: index, logicalType: integer, tags: [feature]}
      - name: model year
        logicalType: integer
        required: true
        tags: [feature]
        logicalTypeOptions: {minimum: 0.5, maximum: 2.0}
      - name: class
        logicalType: integer
        tags: [feature]
        enum: [{value: 1}, {value: 7}]
      - {name: schema, logicalType: boolean, tags: [feature]}
      - {name: records, logicalType: boolean, required: true, tags: [feature]}
      - {name: note, logicalType: string, tags: [feature]}
      - name: größe
        logicalType: string
        required: true
        tags: [feature]
        logicalTypeOptions: {minLength: 2, maxLength: 4}
      - name: a/b, c "d"
        logicalType: string
        tags: [feature]
        logicalTypeOptions: {pattern: '\\d+|[a-c].?'}
        examples: ['12', a-]
      - name: word
        logicalType: string
        tags: [feature]
        enum: [{value: 'NO'}, {value: "a\\n"}, {value: ''}, {value: '1'}]
      - {name: opened, logicalType: timestamp, required: true, tags: [feature]}
      - {name: closed, logicalType: timestamp, tags: [feature]}
      - {name: answer, logicalType: boolean, tags: [target]}
"""
# Every kind of value that JSON has, and what its neighbors take differently.
ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 1.0, 1.5, -0.0, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**70),
    *(1e308, -1e308, math.inf, -math.inf, [], [1], {}, {"a": 1}),
    *("", " ", "a", "aa", "aaaa", "aaaaa", "\n", "é", "\U0001f6eb" * 4, "\U0001f6eb" * 5, "a\0b"),
    *(
        "1",
        "1.5",
        "true",
        "null",
        "nan",
        "NaN",
        "<NA>",
        "(missing)",
        "x" * 256,
        "x" * 257,
        "\ud800",
    ),
    # Dialects of regular expressions differ on these.
    *("12", "12\n", "\n12", "١٢", "a-", "a-\n", "ab12", "12ab", "b\r"),
]
TIMES: list[Any] = [
    *("2013-08-15T12:30:00+00:00", "2013-08-15T12:30:00Z", "1900-01-01T00:00:00-11:00"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1600-02-29t00:00:00.123456z"),
    *("2013-08-15 12:30:00+02:00", "2013-08-15T12:30Z", "2013-08-15T12:30:00.123456789Z"),
    *(
        "2013-08-15T12:30:00",
        "2013-08-15",
        "20130815T123000Z",
        "2013-02-30T00:00:00Z",
        "1376569800",
    ),
    *("2013-08-15T24:00:00Z", "2016-12-31T23:59:60Z", "2013-W33-4T00:00:00Z", " 2013-08-15T12:30Z"),
    *("2013-08-15T12:30:00+23:59", "2013-08-15T12:30:00+24:00", "yesterday", 1376569800),
]


@dataclass(frozen=True)
class Doors:
    """A model behind everything through which a row can come to it."""

    contract: Contract
    client: TestClient
    registered: Any
    scorer: Scorer

    def ask(self, path: str, rows: Sequence[Row]) -> list[list[float] | None]:
        """The service's answer to each row, or None where it refuses."""
        field = {"/predict": "records", "/invocations": "dataframe_records"}[path]
        return [self._ask(path, {field: [row]}) for row in rows]

    def _ask(self, path: str, body: Any) -> list[float] | None:
        content = json.dumps(body)
        said = self.client.post(path, content=content, headers={"content-type": "application/json"})
        assert said.status_code in (200, 400, 422), (said.text, content)
        if said.status_code != 200:
            return None
        (found,) = said.json()["predictions"]
        probabilities = found.get("probabilities") if isinstance(found, dict) else None
        return [*probabilities.values()] if probabilities else []

    def ask_registered(self, rows: Sequence[Row]) -> list[list[float] | None]:
        """Scores of `models:/NAME@champion` for each row alone, or None."""
        from mlflow.exceptions import MlflowException

        features = {column.name for column in self.contract.features}
        # A frame without columns has no rows.
        everything_absent = {self.contract.features[0].name: None}
        answers: list[list[float] | None] = []
        for row in rows:
            features_alone = {n: v for n, v in row.items() if n in features}
            try:
                answer = self.registered.predict(
                    pd.DataFrame([features_alone or everything_absent])
                )
            except (ProjectError, MlflowException, UnicodeEncodeError):
                answers.append(None)  # A frame cannot even hold half a character.
            else:
                answers.append(answer.iloc[0, 1:].tolist())
        return answers

    def ask_table(self, rows: Sequence[Row]) -> list[list[float] | None]:
        """The scorer's answer to each row of a table that `validate` accepts, or None."""
        answers: list[list[float] | None] = [None] * len(rows)
        kept = {
            position: table
            for position, row in enumerate(rows)
            if (table := self._table(row)) is not None
        }
        table = pd.concat(kept.values(), keys=kept).reset_index(level=1, drop=True)
        # Keys may come again, and what no request holds need not be there.
        asked = self.contract.request_columns
        columns = (
            replace(c, roles=c.roles - {"key"}, required=c.required and c in asked)
            for c in self.contract.columns
        )
        lenient = replace(self.contract, columns=tuple(columns))
        table = table.drop(index=find_reasons(table, lenient).index)
        if len(table):
            for position, scores in zip(
                table.index, self.scorer.score_frame(table).scores, strict=True
            ):
                answers[position] = scores.tolist()
        return answers

    def _table(self, row: Row) -> pd.DataFrame | None:
        columns = {
            c.name: pd.Series([row.get(c.name)], dtype=object) for c in self.contract.columns
        }
        try:
            return coerce(pd.DataFrame(columns), self.contract)
        except ProjectError:
            return None


@pytest.fixture(scope="module")
def open_doors(
    bundle_maker: BundleMaker,
    load_registered: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    """Serve a contract and register it, with a model that takes its columns as they are."""

    @contextmanager
    def opened(text: str, features: FeatureCode) -> Iterator[Doors]:
        place = tmp_path_factory.mktemp("doors")
        bundle = bundle_maker(place / "bundle", text, features)
        deploy_bundle(bundle, place / "store", "agreeing", "1", features)
        config = ServiceSettings(
            store=place / "store", log_directory=place / "log", allowed_hosts=("*",)
        )
        model = load_model(config.store, features, max_rows=1)
        app = create_app(config, model, make_logger(io.StringIO()))
        with TestClient(app, raise_server_exceptions=False) as client:
            signature = tracking._signature(model.contract)
            registered = load_registered(bundle, features, signature, place / "mlflow")
            yield Doors(model.contract, client, registered, model.scorer)

    return opened


def check_agreement(doors: Doors, rows: Sequence[Row]) -> int:
    """Check that protocols agree on verdicts and answers; return the count of accepted rows."""
    expected = doors.ask_table(rows)
    found = {
        "/predict": doors.ask("/predict", rows),
        "/invocations": doors.ask("/invocations", rows),
        "registered": doors.ask_registered(rows),
    }
    differ = [
        (door, row, f"table {known}, {door} {said}")
        for door, answers in found.items()
        for row, known, said in zip(rows, expected, answers, strict=True)
        if (known is None) != (said is None) or (known and said and not agree(known, said))
    ]
    assert differ == []
    return sum(answer is not None for answer in expected)


def agree(known: Sequence[float], said: Sequence[float]) -> bool:
    return len(known) == len(said) and np.allclose(known, said, rtol=0, atol=1e-6)


def limits(column: Column) -> list[Any]:
    """Values at the column's limits, and just beyond."""
    found: list[Any] = []
    for limit in (column.minimum, column.maximum):
        if limit is not None:
            found += [limit, math.nextafter(limit, -math.inf), math.nextafter(limit, math.inf)]
            found += [math.floor(limit) + step for step in (-1, 0, 1)]
    return found


def candidates(column: Column) -> list[Any]:
    """Values that the contract names, those at its limits, and those of every kind."""
    times = TIMES if column.kind == "timestamp" else TIMES[:1]
    return [*(column.values or ()), *column.examples, *limits(column), *ODD, *times]


def form(column: Column) -> tuple[Any, ...]:
    """Key of the rules that a column is validated by."""
    given = (column.values, column.pattern, column.minimum, column.maximum, column.max_length)
    return (column.kind, column.required, *(value is None for value in given))


def vary_each(contract: Contract, step: int = 1) -> list[Row]:
    """A good row with one field changed, to every `step`th value, for a column of each form."""
    (good,) = generate_rows(contract, 1, seed=1)
    alike = {form(column): column for column in contract.features}
    return [good | {c.name: value} for c in alike.values() for value in candidates(c)[::step]] + [
        {name: value for name, value in good.items() if name != column.name}
        for column in alike.values()
    ]


@pytest.mark.one_python
def test_every_door_takes_the_same_rows_of_this_projects_contract(
    open_doors: Any, contract_text: str
) -> None:
    with open_doors(contract_text, load_feature_code(compute_features)) as doors:
        rows = vary_each(doors.contract, step=4)
        assert 0 < check_agreement(doors, rows) < len(rows)
        unknown = [row | {"unknown to the contract": 1} for row in rows[:1]]
        assert doors.ask("/predict", unknown) == [None]


@pytest.mark.one_python
def test_every_door_takes_the_same_rows_of_a_contract_with_every_form_of_column(
    open_doors: Any,
) -> None:
    with open_doors(EVERY_FORM, AS_THEY_ARE) as doors:
        rows = vary_each(doors.contract)
        assert 0 < check_agreement(doors, rows) < len(rows)
        document = doors.client.get("/openapi.json").json()
        offered = document["paths"]["/invocations"]["post"]["requestBody"]["content"]
        names, values = csv.reader(io.StringIO(offered["text/csv"]["example"]))
        record = offered["application/json"]["schema"]["examples"][0]["dataframe_records"][0]
        assert dict(zip(names, values, strict=True)) == {n: str(v) for n, v in record.items()}


NAMES = st.one_of(
    st.sampled_from(
        ["schema", "copy", "class", "records", "model_dump", "größe", 'a/b.c "d"', "A B"]
    ),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
).filter(lambda name: bool(name.strip()) and not name.startswith("_") and name != "model_config")
PATTERNS = {r"\d+|[a-c].?": ["12", "a-"], r"[A-Z]{3}": ["MIA"], r"\S+@\S+\.\w+": ["a@b.org"]}
WORDS = st.text(st.characters(codec="utf-8"), max_size=6)


@st.composite
def draw_column(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A feature of any kind, with any of the options that its kind has."""
    kind = draw(st.sampled_from(["number", "integer", "boolean", "string", "timestamp"]))
    column: dict[str, Any] = {"name": name, "logicalType": kind, "tags": ["feature"]}
    column["required"] = draw(st.booleans())
    ranges = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2, unique=True).map(sorted)
    if kind in ("number", "integer") and draw(st.booleans()):
        low, high = draw(ranges)
        options = {"minimum": low, "maximum": high + 2}
        column["logicalTypeOptions"] = {n: v for n, v in options.items() if draw(st.booleans())}
    elif kind in ("string", "integer") and draw(st.booleans()):
        listed = WORDS if kind == "string" else st.integers(-(2**63), 2**63 - 1)
        values = draw(st.lists(listed, min_size=1, max_size=4, unique=True))
        column["enum"] = [{"value": value} for value in values]
    elif kind == "string" and draw(st.booleans()):
        pattern = draw(st.sampled_from(sorted(PATTERNS)))
        column |= {"logicalTypeOptions": {"pattern": pattern}, "examples": PATTERNS[pattern]}
    elif kind == "string":
        shortest = draw(st.integers(0, 4))
        options = {"minLength": shortest, "maxLength": shortest + draw(st.integers(0, 4))}
        column["logicalTypeOptions"] = {n: v for n, v in options.items() if draw(st.booleans())}
    return column


@st.composite
def draw_contract(draw: st.DrawFn) -> str:
    """The text of a contract with a handful of features."""
    names = draw(st.lists(NAMES, min_size=2, max_size=7, unique=True))
    features = [draw(draw_column(name)) for name in names[1:]]
    target = {"name": names[0], "logicalType": "boolean", "tags": ["target"]}
    document = {
        "apiVersion": "v3.2.0",
        "version": "1.0.0",
        "name": "drawn",
        "schema": [{"name": "drawn", "properties": [*features, target]}],
    }
    return yaml.safe_dump(document, allow_unicode=True)


def any_value(column: Column) -> st.SearchStrategy[Any]:
    """Values of the column's kind, and of all others."""
    kinds: Mapping[str, st.SearchStrategy[Any]] = {
        "number": st.floats(allow_nan=False),
        "integer": st.integers(-(2**65), 2**65),
        "boolean": st.booleans(),
        "string": st.one_of(st.text(max_size=6), st.text("abc1٣-@.\n", max_size=6)),
        "timestamp": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    }
    return st.one_of(st.sampled_from(candidates(column)), kinds[column.kind])


@st.composite
def draw_case(draw: st.DrawFn) -> tuple[str, list[Row]]:
    """A contract, and rows of it of which one field or two are anything."""
    text = draw(draw_contract())
    contract = parse_contract(text)
    rows = generate_rows(contract, 40, seed=5)
    fields = st.one_of([st.tuples(st.just(c.name), any_value(c)) for c in contract.features])
    changes = draw(st.lists(st.lists(fields, max_size=2), min_size=len(rows), max_size=len(rows)))
    return text, [row | dict(changed) for row, changed in zip(rows, changes, strict=True)]


@pytest.mark.one_python
@settings(
    max_examples=CONTRACTS,
    deadline=None,
    derandomize=CONTRACTS < 10,
    # Each example fits a model: what differs is short enough without shrinking.
    phases=[Phase.generate],
    suppress_health_check=[*HealthCheck],
)
@given(case=draw_case())
def test_every_door_takes_the_same_rows_of_any_contract(
    open_doors: Any, case: tuple[str, list[Row]]
) -> None:
    text, rows = case
    with open_doors(text, AS_THEY_ARE) as doors:
        good = generate_rows(doors.contract, 20, seed=3)
        assert check_agreement(doors, good) == len(good)
        check_agreement(doors, rows)
