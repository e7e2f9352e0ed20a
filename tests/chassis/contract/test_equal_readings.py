"""Every way in answers a row as the model answers it in the table that training read.

Tables are drawn with a contract and a format of their own, written as files, and read as training
reads them. A model is fitted on those rows. Requests and whole files then carry the same rows.
"""

import base64
import csv
import io
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
import yaml
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from mlchassis.batch.scoring import score_files
from mlchassis.bundle import scorer as scoring
from mlchassis.bundle.bundle import deploy_bundle
from mlchassis.config.settings import ServiceSettings
from mlchassis.config.source_params import ColumnFormat, FilesParams, TableFormat
from mlchassis.contract.cells import normalize_text
from mlchassis.contract.model import Column, Contract, parse_contract
from mlchassis.contract.table_checks import find_reasons
from mlchassis.data.tables import coerce
from mlchassis.features.code import FeatureCode
from mlchassis.serving.app import create_app
from mlchassis.serving.loading import LoadedModel, load_model
from mlchassis.serving.logs.operational import make_logger
from mlchassis.serving.protocols.open_inference import DATATYPES
from mlchassis.sources.parsing import parse_column
from mlchassis.sources.registry import read_source

FEATURES = FeatureCode(dict, digest="0" * 64)
"""Each column as it is."""

TABLES = int(os.environ.get("WAYS_TABLES", "6"))
CELLS = int(os.environ.get("WAYS_CELLS", "90"))
ROWS = 30

BundleMaker = Callable[..., Path]
Answers = list[list[float]]


@dataclass(frozen=True)
class Table:
    """A table as somebody keeps it.

    Attributes:
        contract: Contract of its columns; the last one is the target.
        formats: Format of the table.
        header: Names in the file.
        cells: Text of each row.
        values: Values of the cells, None for a missing value.
        line_end: Of its lines.
    """

    contract: str
    formats: TableFormat
    header: list[str]
    cells: list[list[str]]
    values: list[list[Any]]
    line_end: str

    def write_lines(self, rows: Sequence[Sequence[str]]) -> str:
        """Rows in the table's delimiter and quotes."""
        text = io.StringIO(newline="")
        escape = self.formats.escape
        csv.writer(
            text,
            delimiter=self.formats.delimiter,
            escapechar=escape,
            doublequote=escape is None,
            lineterminator=self.line_end,
        ).writerows(rows)
        return text.getvalue()

    def write_file(self, path: Path) -> None:
        """The file with its header."""
        text = self.write_lines([self.header, *self.cells])
        path.write_bytes(text.encode(self.formats.encoding))

    def write_body(self, *, header: bool) -> bytes:
        """The same without the target, as a request in CSV."""
        rows = [self.header, *self.cells] if header else self.cells
        return self.write_lines([row[:-1] for row in rows]).encode()


# How text is written; each writer is the opposite of what `cells` reads, on its own.
AFFIXES = ("%", "\u20ac", "$", "kg", "EUR")
DATES = ("ISO8601", "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%d-%b-%Y", "%d.%m.%Y %H:%M", "%d.%m.%y")
WORDS = ("EU", "NA", "None", "null", "00501", "501", "1E5", "e", "true", "2024-01-31", "a b", "-")
MARKED = ("a,b", "c;d", 'say "x"', "e|f", "back\\slash", "it's", "two\nlines", "#1", "sep=,")
ACCENTED = ("B\u00e4r", "\u00c9", "na\u00efve", "\u00df")
ENCODINGS = ("utf-8-sig", "utf-8", "cp1252", "latin-1", "utf-16", "ascii")
NAMES = ("schema", "class", "copy", "row", "reason", "index", "month", "prediction", "records")
ODD_NAMES = ("a,b", "c;d", 'x "y"', "a/b", "50%", "gr\u00f6\u00dfe", "A B", "$", "~1", "two\nlines")


def write_number(value: Decimal, form: ColumnFormat, affix: str) -> str:
    whole, _, fraction = format(abs(value), "f").partition(".")
    if form.thousands is not None:
        whole = group(whole, form)
    digits = whole + (form.decimal + fraction if fraction else "")
    number = f"{affix}{digits}" if affix == "$" else f"{digits} {affix}".rstrip()
    if value >= 0:
        return number
    styles = {"minus": f"-{number}", "parentheses": f"({number})", "trailing": f"{number}-"}
    if affix and form.negative == "minus":
        return f"-{digits} {affix}"
    return styles[form.negative]


def group(whole: str, form: ColumnFormat) -> str:
    mark = form.thousands or ""
    rest, parts = whole[:-3], [whole[-3:]]
    size = 2 if form.grouping == "indian" else 3
    while rest:
        parts.insert(0, rest[-size:])
        rest = rest[:-size]
    return mark.join(parts)


def write_time(value: datetime, form: ColumnFormat) -> str:
    (date,) = form.dates or ("ISO8601",)
    seconds = int(value.timestamp())
    whole = {"epoch_s": f"{seconds}", "epoch_ms": f"{seconds * 1000}"}
    if date == "ISO8601":
        return value.isoformat()
    return whole[date] if date in whole else value.strftime(date)


@st.composite
def draw_number_format(draw: st.DrawFn) -> ColumnFormat:
    decimal, thousands = draw(
        st.sampled_from([(".", None), (",", None), (",", "."), (".", ","), (".", "'"), (",", " ")])
    )
    return ColumnFormat(
        decimal=decimal,
        thousands=thousands,
        grouping=draw(st.sampled_from(["western", "indian"])) if thousands else "western",
        affixes=(draw(st.sampled_from(AFFIXES)),) if draw(st.booleans()) else (),
        negative=draw(st.sampled_from(["minus", "parentheses", "trailing"])),
        missing=draw(st.sampled_from([(), ("-",), ("k.A.", "-999")])),
    )


@st.composite
def draw_format(draw: st.DrawFn, kind: str) -> ColumnFormat:
    """Draw a format for a column of some type."""
    missing = draw(st.sampled_from([(), ("-",), ("k.A.",)]))
    if draw(st.integers(0, 3)) == 0:
        return ColumnFormat(missing=missing)
    if kind in ("number", "integer"):
        return draw(draw_number_format())
    if kind == "boolean":
        words = [((), ()), (("ja",), ("nein",)), (("X",), ("O",)), (("2",), ("1",))]
        true, false = draw(st.sampled_from(words))
        return ColumnFormat(true=true, false=false, missing=missing)
    if kind == "timestamp":
        date = draw(st.sampled_from([*DATES, "epoch_s", "epoch_ms"]))
        return ColumnFormat(dates=(date,), newest_year=2040 if "%y" in date else None)
    return ColumnFormat(missing=missing)


def draw_value(chance: Random, kind: str, form: ColumnFormat, words: Sequence[str]) -> Any:
    """Draw the value of a cell that is not missing."""
    if kind == "number":
        return Decimal(chance.randint(-(10**8), 10**8)).scaleb(-chance.randint(0, 4))
    if kind == "integer":
        return Decimal(chance.randint(-9, 9) * 10 ** chance.randint(0, 17) + chance.randint(0, 9))
    if kind == "boolean":
        return chance.random() < 0.5
    if kind == "string":
        return chance.choice(words)
    # A date format without hours means midnight.
    step = 1440 if form.dates and "%" in form.dates[0] and "%H" not in form.dates[0] else 1
    minutes = chance.randint(0, 40 * 365 * 1440)
    return datetime(2000, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes - minutes % step)


def write_value(value: Any, kind: str, form: ColumnFormat, affix: str) -> str:
    if kind in ("number", "integer"):
        return write_number(value, form, affix)
    if kind == "boolean":
        given = form.true if value else form.false
        return given[0] if given else str(value)
    return write_time(value, form) if kind == "timestamp" else str(value)


def draw_cells(
    chance: Random, kind: str, form: ColumnFormat, table: TableFormat, *, required: bool
) -> list[tuple[str, Any]]:
    """A column: the text of its cells, and what they mean."""
    declared = [*form.missing, *table.missing]
    encodable = [word for word in (*WORDS, *MARKED, *ACCENTED) if can_encode(word, table)]
    words = [word for word in encodable if word not in declared]
    affix = form.affixes[0] if form.affixes else ""
    nothing = ["", *declared, *([] if kind == "string" else ["NA", "null", "N/A", "?"])]
    blanks = [around for around in (" {}", "{}  ", "\u00a0{}\u00a0") if can_encode(around, table)]
    cells = []
    for _ in range(ROWS):
        value, text = None, chance.choice(nothing)
        if required or chance.random() < 0.8:
            value = draw_value(chance, kind, form, words)
            text = write_value(value, kind, form, affix)
        around = chance.choice(blanks) if chance.random() < 0.2 else "{}"
        cells.append((around.format(text), value))
    return cells


def can_encode(text: str, table: TableFormat) -> bool:
    try:
        text.encode(table.encoding)
    except UnicodeEncodeError:
        return False
    return True


@st.composite
def draw_table(draw: st.DrawFn) -> Table:
    """A table with a contract and a format."""
    chance = Random(draw(st.integers(0, 2**32)))
    plain = TableFormat(
        encoding=draw(st.sampled_from(ENCODINGS)),
        delimiter=draw(st.sampled_from([",", ";", "\t", "|"])),
        escape=draw(st.sampled_from([None, None, None, "\\"])),
        missing=draw(st.sampled_from([(), ("EU",), ("k.A.", "501")])),
    )
    known = [name for name in (*NAMES, *ODD_NAMES) if can_encode(name, plain)]
    random = st.text("abxyz .,;'\"#%", min_size=1, max_size=6).map(normalize_text).filter(bool)
    names = draw(
        st.lists(st.one_of(st.sampled_from(known), random), min_size=2, max_size=6, unique=True)
    )
    kinds = ["number", "integer", "boolean", "string", "timestamp"]
    properties, columns, formats, rename = [], [], {}, {}
    for name in names:
        kind, required = draw(st.sampled_from(kinds)), draw(st.booleans())
        form = draw(draw_format(kind))
        affixes = tuple(affix for affix in form.affixes if can_encode(affix, plain))
        form = form.model_copy(update={"affixes": affixes})
        formats[name] = form
        if draw(st.integers(0, 3)) == 0:
            rename[f"_{name}"] = name
        columns.append(draw_cells(chance, kind, form, plain, required=required))
        properties.append(
            {"name": name, "logicalType": kind, "required": required, "tags": ["feature"]}
        )
    target = {"name": "the target", "logicalType": "boolean", "tags": ["target"]}
    columns.append([(word, word == "yes") for word in ["yes", "no"] * (ROWS // 2)])
    schema = [{"name": "drawn", "properties": [*properties, target]}]
    document = {"apiVersion": "v3.2.0", "version": "1.0.0", "name": "drawn", "schema": schema}
    written = {name: source for source, name in rename.items()}
    return Table(
        contract=yaml.safe_dump(document, allow_unicode=True),
        formats=plain.model_copy(update={"columns": formats, "rename": rename}),
        header=[written.get(name, name) for name in names] + ["the target"],
        cells=[[text for text, _ in row] for row in zip(*columns, strict=True)],
        values=[[value for _, value in row] for row in zip(*columns, strict=True)],
        line_end=draw(st.sampled_from(["\n", "\r\n"])),
    )


def train_rows(table: Table, folder: Path) -> pd.DataFrame:
    """The table's rows as training reads them from its file."""
    contract = parse_contract(table.contract)
    params = FilesParams(kind="files", path="table.csv", **table.formats.model_dump())
    return coerce(read_source(params, contract, folder), contract)


def check_values(table: Table, rows: pd.DataFrame, contract: Contract) -> None:
    """Training reads what the cells were made to mean."""
    for column, values in zip(contract.features, zip(*table.values, strict=False), strict=False):
        found = [None if pd.isna(value) else value for value in rows[column.name]]
        meant = [
            float(v) if isinstance(v, Decimal) and column.kind == "number" else v for v in values
        ]
        assert found == meant, column.name


class Ways:
    """All ways in to one model, each with the rows of its table."""

    def __init__(self, table: Table, rows: pd.DataFrame, model: LoadedModel, folder: Path) -> None:
        self.table, self.rows, self.model, self.folder = table, rows, model, folder
        self.contract = model.contract
        config = ServiceSettings(log_directory=folder / "log", allowed_hosts=("*",))
        self.client = TestClient(create_app(config, model, make_logger(io.StringIO())))

    def records(self, *, as_written: bool) -> list[dict[str, Any]]:
        """The rows as JSON; text as it stands in the file, or as training read it."""
        records = []
        for position, row in enumerate(self.rows.to_dict("records")):
            record = {c.name: as_json(row[c.name], c) for c in self.contract.features}
            if as_written:
                cells = zip(self.contract.features, self.table.cells[position], strict=False)
                record |= {c.name: text for c, text in cells if c.kind == "string"}
            records.append(record)
        return records

    def post(self, path: str, body: Any, media_type: str = "application/json") -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.client.post(path, content=content, headers={"Content-Type": media_type})
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    def predict(self, *, as_written: bool) -> Answers:
        found = self.post("/predict", {"records": self.records(as_written=as_written)})
        return [list(p["probabilities"].values()) for p in found["predictions"]]

    def infer(self, *, encoded: bool) -> Answers:
        records = self.records(as_written=encoded)
        tensors = [self._tensor(c, records, encoded=encoded) for c in self.contract.features]
        outputs = self.post("/v2/models/drawn/infer", {"inputs": tensors})["outputs"]
        data = [t["data"] for t in outputs if t["name"] != "prediction"]
        return [list(row) for row in zip(*data, strict=True)]

    def _tensor(
        self, column: Column, records: list[dict[str, Any]], *, encoded: bool
    ) -> dict[str, Any]:
        datatype = DATATYPES[column.kind][0]
        tensor: dict[str, Any] = {
            "name": column.name,
            "shape": [len(records)],
            "datatype": datatype,
        }
        data = [record[column.name] for record in records]
        if encoded and datatype == "BYTES":
            tensor["parameters"] = {"content_type": "base64"}
            data = [v if v is None else base64.b64encode(v.encode()).decode() for v in data]
        return {**tensor, "shape": [len(data)], "data": data}

    def invoke(self, path: str, form: str) -> Answers:
        records = self.records(as_written=True)
        split = {"columns": list(records[0]), "data": [list(r.values()) for r in records]}
        body = {form: split if form == "dataframe_split" else records}
        return self._flat(self.post(path, body))

    def invoke_csv(self, *, header: bool) -> Answers:
        media_type = f"text/csv; header={'present' if header else 'absent'}"
        body = self.table.write_body(header=header)
        return self._flat(self.post("/invocations", body, media_type))

    def _flat(self, document: Any) -> Answers:
        return [list(row.values())[1:] for row in document["predictions"]]

    def score(self, name: str) -> Answers:
        output = self.folder / f"{name}.answers.parquet"
        found = score_files(str(self.folder / name), output, self.model.scorer, lambda _: None)
        assert (found.scored, found.quarantined) == (ROWS, 0)
        answers: Answers = pd.read_parquet(output).iloc[:, -2:].to_numpy().tolist()
        return answers

    def registered(self) -> Answers:
        features = [column.name for column in self.contract.features]
        frame = self.rows[features].copy()
        for position, column in enumerate(self.contract.features):
            if column.kind == "string":
                frame[column.name] = [row[position] for row in self.table.cells]
        answers = scoring._Pyfunc(self.model.scorer).predict(frame)
        found: Answers = answers.iloc[:, 1:].to_numpy().tolist()
        return found

    def all(self) -> Iterator[tuple[str, Answers]]:
        """Each way's name and answers."""
        self.rows.to_parquet(self.folder / "table.parquet", index=False)
        yield "/predict", self.predict(as_written=False)
        yield "/predict, text as written", self.predict(as_written=True)
        yield "/v2", self.infer(encoded=False)
        yield "/v2, Base64", self.infer(encoded=True)
        for form in ("dataframe_split", "dataframe_records", "instances"):
            yield f"/invocations, {form}", self.invoke("/invocations", form)
        yield "/v1", self.invoke("/v1/models/drawn:predict", "instances")
        yield "/invocations, CSV", self.invoke_csv(header=True)
        yield "/invocations, CSV without a header", self.invoke_csv(header=False)
        yield "score, CSV", self.score("table.csv")
        yield "score, Parquet", self.score("table.parquet")
        yield "registered model", self.registered()


def as_json(value: Any, column: Column) -> Any:
    types: Mapping[str, Any] = {"integer": int, "number": float, "boolean": bool, "string": str}
    if pd.isna(value):
        return None
    return value.isoformat() if column.kind == "timestamp" else types[column.kind](value)


@pytest.fixture(scope="module")
def open_ways(bundle_maker: BundleMaker) -> Any:
    """Fit a model on a table as training reads it, and prepare every protocol for it."""

    @contextmanager
    def opened(table: Table) -> Iterator[Ways]:
        with TemporaryDirectory() as scratch:
            folder = Path(scratch)
            table.write_file(folder / "table.csv")
            rows = train_rows(table, folder)
            place = folder / "bundle"
            with warnings.catch_warnings():
                # It may say that a model of chance converges slowly.
                warnings.simplefilter("ignore")
                bundle = bundle_maker(place, table.contract, FEATURES, table.formats, rows)
            deploy_bundle(bundle, folder / "store", "drawn", "1", FEATURES)
            ways = Ways(table, rows, load_model(folder / "store", FEATURES, ROWS), folder)
            with ways.client:
                yield ways

    return opened


@settings(
    max_examples=TABLES,
    deadline=None,
    derandomize=TABLES < 10,
    phases=[Phase.generate],  # Each example fits a model.
    suppress_health_check=[*HealthCheck],
)
@given(table=draw_table())
def test_every_way_in_answers_as_the_model_does_on_the_rows_that_training_read(
    open_ways: Any, table: Table
) -> None:
    with open_ways(table) as ways:
        check_values(table, ways.rows, ways.contract)
        expected = ways.model.scorer.score_frame(ways.rows).scores.tolist()
        differing = [name for name, answers in ways.all() if answers != expected]
        assert differing == []


EVERY_KIND = """
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - name: number
        logicalType: number
        tags: [feature]
        logicalTypeOptions: {minimum: -1000000.5, maximum: 1000000}
      - {name: integer, logicalType: integer, tags: [feature]}
      - {name: boolean, logicalType: boolean, tags: [feature]}
      - {name: text, logicalType: string, required: true, tags: [feature], examples: [a, b]}
      - name: listed
        logicalType: string
        tags: [feature]
        enum: [{value: NA}, {value: 'B\u00e4r'}]
      - {name: time, logicalType: timestamp, tags: [feature]}
      - {name: the target, logicalType: boolean, tags: [target]}
"""
ONE_COLUMN = """
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - {name: x, logicalType: number, tags: [feature]}
      - {name: the target, logicalType: boolean, tags: [target]}
"""
GERMAN = TableFormat(
    encoding="utf-8",
    delimiter=";",
    missing=("k.A.",),
    columns={
        "number": ColumnFormat(
            decimal=",", thousands=".", affixes=("%", "\u20ac"), negative="parentheses"
        ),
        "integer": ColumnFormat(thousands="'", missing=("-1",)),
        "boolean": ColumnFormat(true=("ja", "2"), false=("nein",)),
        "time": ColumnFormat(dates=("%d.%m.%Y", "ISO8601"), newest_year=2030),
    },
)
PLAIN = TableFormat(encoding="utf-8")
GOOD = {
    "number": "1",
    "integer": "2",
    "boolean": "",
    "text": "a",
    "listed": "NA",
    "time": "2024-01-31",
}
SAMPLES = (
    *(
        "1.234,5",
        "1,234.5",
        "1.234",
        "12,5 %",
        "\u20ac 7",
        "(3)",
        "3-",
        "-3",
        "\u22123",
        "+3",
        "3e2",
    ),
    *(
        "1e400",
        "-1e400",
        "inf",
        "NaN",
        "nan",
        "NA",
        "k.A.",
        " k.A. ",
        "",
        " ",
        "\u00a0",
        "?",
        "null",
    ),
    *("9223372036854775807", "9223372036854775808", "9007199254740993", "1'000", "1'00", "7.0"),
    *("7.5", "-1", "0", "1", "2", "ja", "JA", "nein", "true", "yes", "0.1", "1000000.1", "0x10"),
    *(
        "31.01.2024",
        "2024-01-31",
        "2024-01-31T10:00:00+02:00",
        "31.01.24",
        "30.02.2024",
        "20240131",
    ),
    *("2024-01-31T10:00:00Z", "10000-01-01", "0001-01-01T00:00:00+14:00", "B\u00e4r", "Ba\u0308r"),
    *(
        "\u200bB\u00e4r\ufeff",
        "\u0661\u0662",
        "x" * 256,
        "x" * 257,
        "a\nb",
        'a"b',
        "a;b",
        "a\u0000b",
    ),
)


@dataclass(frozen=True)
class Case:
    """A cell in one of the columns above."""

    column: str
    text: str

    @property
    def row(self) -> dict[str, str]:
        return GOOD | {self.column: self.text}


def draw_case() -> st.SearchStrategy[Case]:
    text = st.one_of(
        st.sampled_from(SAMPLES),
        st.text("0123456789.,'-+()eE% \u20ac", max_size=10),
        st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=5),
    )
    return st.builds(Case, st.sampled_from(sorted(GOOD)), text)


@pytest.fixture(scope="module", params=[PLAIN, GERMAN], ids=["plain", "German"])
def fixed_model(
    request: pytest.FixtureRequest,
    bundle_maker: BundleMaker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[LoadedModel, TestClient]]:
    """A model of the contract with every kind, whose table is written in a fixed format."""
    folder = tmp_path_factory.mktemp("fixed")
    bundle = bundle_maker(folder / "bundle", EVERY_KIND, FEATURES, request.param)
    deploy_bundle(bundle, folder / "store", "fixed", "1", FEATURES)
    model = load_model(folder / "store", FEATURES, 10)
    config = ServiceSettings(log_directory=folder / "log", allowed_hosts=("*",))
    with TestClient(create_app(config, model, make_logger(io.StringIO()))) as client:
        yield model, client


def judge_as_training(model: LoadedModel, row: Mapping[str, str]) -> list[float] | None:
    """The model's answer to a row as training reads it; None where training does not take it."""
    formats, columns = model.scorer.bundle.metadata.formats, {}
    for column in model.contract.features:
        values = pd.Series([row[column.name] or None], dtype="str")
        columns[column.name], invalid = parse_column(
            values, column.kind, formats.column(column.name)
        )
        if invalid.any():
            return None
    frame = pd.DataFrame(columns)
    features = replace(model.contract, columns=model.contract.features)
    if len(find_reasons(frame, features)):
        return None
    scores: list[float] = model.scorer.score_frame(frame).scores[0].tolist()
    return scores


def write_rows(rows: Sequence[Mapping[str, str]], delimiter: str) -> bytes:
    table = io.StringIO(newline="")
    writer = csv.writer(table, delimiter=delimiter)
    writer.writerows([list(GOOD), *([row[name] for name in GOOD] for row in rows)])
    return table.getvalue().encode()


@pytest.mark.one_python
@settings(
    max_examples=CELLS,
    derandomize=CELLS < 1000,
    deadline=None,
    suppress_health_check=[*HealthCheck],
)
@example(case=Case("time", "0001-01-01T00:00:00+14:00"))
@example(case=Case("integer", "1e" + "9" * 30))
@given(case=draw_case())
def test_a_cell_in_a_request_is_taken_as_training_takes_it(
    fixed_model: tuple[LoadedModel, TestClient], case: Case
) -> None:
    model, client = fixed_model
    delimiter = model.scorer.bundle.metadata.formats.delimiter
    headers = {"Content-Type": "text/csv"}
    body = write_rows([case.row], delimiter)
    answer = client.post("/invocations", content=body, headers=headers)
    assert answer.status_code in (200, 400, 422), answer.text
    found = None
    if answer.status_code == 200:
        found = list(answer.json()["predictions"][0].values())[1:]
    assert found == judge_as_training(model, case.row)


@pytest.mark.one_python
@settings(
    max_examples=max(1, CELLS // 30),
    derandomize=CELLS < 1000,
    deadline=None,
    suppress_health_check=[*HealthCheck],
)
@given(cases=st.lists(draw_case(), min_size=20, max_size=40))
def test_cells_in_a_file_are_taken_as_training_takes_them(
    fixed_model: tuple[LoadedModel, TestClient],
    cases: list[Case],
) -> None:
    model, _ = fixed_model
    delimiter = model.scorer.bundle.metadata.formats.delimiter
    expected = {i: judge_as_training(model, case.row) for i, case in enumerate(cases)}
    with TemporaryDirectory() as scratch:
        source, output = Path(scratch, "in.csv"), Path(scratch, "out.parquet")
        source.write_bytes(write_rows([case.row for case in cases], delimiter))
        score_files(str(source), output, model.scorer, lambda _: None)
        answers = pd.read_parquet(output).set_index("row")
        broken = pd.read_parquet(output.with_suffix(".quarantine.parquet")).set_index("row")
    assert set(broken.index) == {i for i, scores in expected.items() if scores is None}
    for position, scores in zip(answers.index, answers.iloc[:, 1:].to_numpy(), strict=True):
        # Sums of a linear model depend on how many rows there are, in their last bit.
        assert scores.tolist() == pytest.approx(expected[position], rel=0, abs=1e-6)


@pytest.mark.one_python
@pytest.mark.parametrize("column", ["text", "listed", "time"])
@pytest.mark.parametrize("text", SAMPLES)
def test_text_in_json_is_taken_as_training_takes_it(
    fixed_model: tuple[LoadedModel, TestClient], column: str, text: str
) -> None:
    model, client = fixed_model
    record = {"text": "a", column: text}
    answer = client.post("/predict", json={"records": [record]})
    if column == "time" and answer.status_code == 422:
        return  # JSON has one way to write a time; a table may have others.
    found = None
    if answer.status_code == 200:
        found = list(answer.json()["predictions"][0]["probabilities"].values())
    assert found == judge_as_training(model, dict.fromkeys(GOOD, "") | record)


@pytest.mark.parametrize("header", ["present", "absent"])
def test_no_line_of_a_request_of_one_column_is_lost(
    bundle_maker: BundleMaker, tmp_path: Path, header: str
) -> None:
    bundle = bundle_maker(tmp_path / "bundle", ONE_COLUMN, FEATURES)
    deploy_bundle(bundle, tmp_path / "store", "one", "1", FEATURES)
    model = load_model(tmp_path / "store", FEATURES, 10)
    config = ServiceSettings(log_directory=tmp_path / "log", allowed_hosts=("*",))
    with TestClient(create_app(config, model, make_logger(io.StringIO()))) as client:

        def ask(*lines: str) -> Any:
            names = ["x"] if header == "present" else []
            body = "".join(f"{line}\r\n" for line in [*names, *lines]).encode()
            headers = {"Content-Type": f"text/csv; header={header}"}
            return client.post("/invocations", content=body, headers=headers)

        assert len(ask("1", '""', "2").json()["predictions"]) == 3
        refused = ask("1", "", "2")
        assert refused.status_code == 422
        assert "blank" in refused.json()["detail"]
