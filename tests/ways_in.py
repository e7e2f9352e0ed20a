"""Compare the answers of every way in with the model's, on rows as training read them.

Runs with a project's interpreter, in its folder, beside its service: python ways_in.py PACKAGE
ADDRESS [TABLE]. TABLE is the text file that was adopted; without one, as for the sample, the rows
are written as text from what ingest stored. Prints the rows that were chosen, then a line for each
way; the exit code is 1 where an answer differs.
"""

import csv
import gzip
import importlib
import io
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROWS = 100
FEW = 3
"""Rows that are chosen for each column's missing values, and for its rarest words."""
Answers = list[list[float]]


@dataclass(frozen=True)
class Text:
    """Rows as a text file holds them.

    Attributes:
        header: The file's own names of the columns.
        cells: The cells of each row.
        delimiter: Delimiter of the cells.
        encoding: Of the file.
    """

    header: list[str]
    cells: list[list[str]]
    delimiter: str = ","
    encoding: str = "utf-8"

    def write(self, places: list[int]) -> str:
        """Return some of the columns with their header."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self.delimiter)
        writer.writerows([row[i] for i in places] for row in [self.header, *self.cells])
        return text.getvalue()


def choose_rows(rows: Any, features: Any, refused: set[int]) -> tuple[list[int], set[int]]:
    """Return the positions of rows to compare, and of those among them with a rare word.

    Chosen are rows with missing values and rare words of each column, then the first ones.
    """
    lacking: list[int] = []
    rare: list[int] = []
    for column in features:
        values = rows[column.name]
        lacking += values.isna().to_numpy().nonzero()[0][:FEW].tolist()
        if column.kind == "string":
            counts = values.map(values.value_counts()).reset_index(drop=True).dropna()
            rare += counts.astype(int).nsmallest(FEW).index.tolist()
    wanted = dict.fromkeys([*rare, *lacking, *range(len(rows))])
    kept = [position for position in wanted if position not in refused][:ROWS]
    return sorted(kept), set(rare).intersection(kept)


def write_value(value: Any, kind: str) -> Any:
    """Return a value of a table as JSON has it."""
    kinds = {"integer": int, "number": float, "boolean": bool, "string": str}
    if value is None or value != value or str(value) in ("<NA>", "NaT"):
        return None
    return value.isoformat() if kind == "timestamp" else kinds[kind](value)


def load(name: str) -> Any:
    """Return a module of the chassis, which the template's own interpreter does not have."""
    return importlib.import_module(f"mlchassis.{name}")


def load_scorer(package: str, store: Path) -> Any:
    """Return the scorer of the deployed bundle, with the features of a project's package."""
    service = importlib.import_module(f"{package}.service").service
    features = load("features.code").load_feature_code(service.features)
    bundles = load("bundle.bundle")
    pointer = bundles.read_pointer(store)
    bundle = bundles.load_bundle(store / "bundles" / pointer.digest, features)
    return load("bundle.scorer").Scorer(bundle, features)


class Project:
    """A project: its rows as training read them, their text, its deployed model."""

    def __init__(self, package: str, address: str, table: Path | None) -> None:
        self.address = address
        paths = load("paths").Paths(Path.cwd())
        self.contract = load("contract.model").load_contract(paths.contract)
        params = load("config.params").load_params(paths.params).source
        rows = self.read_rows(paths, params if table else None)
        refused = set(load("contract.table_checks").find_reasons(rows, self.contract).index)
        kept, self.rare = choose_rows(rows, self.contract.features, refused)
        self.rows = rows.iloc[kept].reset_index(drop=True)
        self.text = read_text(table, params, kept) if table else self.write_text()
        rename = params.rename if table else {}
        names = [rename.get(name, name) for name in self.text.header]
        requested = {c.name for c in self.contract.request_columns}
        self.places = [i for i, name in enumerate(names) if name in requested]
        self.scorer = load_scorer(package, paths.store)

    def read_rows(self, paths: Any, params: Any) -> Any:
        """Return every row of a table in its order, or those that ingest stored."""
        tables = load("data.tables")
        if params is None:
            return tables.read_tables(sorted(paths.raw.glob("*.parquet")))
        read = load("sources.registry").read_source(params, self.contract, paths.root)
        return tables.coerce(read, self.contract)

    def write_text(self) -> Text:
        """Return the typed rows as text."""
        columns = self.contract.columns
        values = [
            [write_value(row[c.name], c.kind) for c in columns]
            for row in self.rows.to_dict("records")
        ]
        cells = [["" if value is None else str(value) for value in row] for row in values]
        return Text([c.name for c in columns], cells)

    def post(self, path: str, body: Any, media_type: str = "application/json") -> Any:
        """Return the service's answer."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the service of the test
            f"{self.address}{path}", data=content, headers={"Content-Type": media_type}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as a client would send them."""
        return [
            {c.name: write_value(row[c.name], c.kind) for c in self.contract.features}
            for row in self.rows.to_dict("records")
        ]

    def predict(self) -> Answers:
        """Return the answers of `/predict`."""
        found = self.post("/predict", {"records": self.records()})["predictions"]
        return [list(p.get("probabilities", {"": p["prediction"]}).values()) for p in found]

    def infer(self) -> Answers:
        """Return the answers of the Open Inference Protocol."""
        records = self.records()
        datatypes = load("serving.protocols.open_inference").DATATYPES
        tensors = [
            {
                "name": column.name,
                "shape": [len(records)],
                "datatype": datatypes[column.kind][0],
                "data": [record[column.name] for record in records],
            }
            for column in self.contract.features
        ]
        path = f"/v2/models/{self.contract.name}/infer"
        outputs = self.post(path, {"inputs": tensors})["outputs"]
        named = {output["name"]: output["data"] for output in outputs}
        scores = [data for name, data in named.items() if name != "prediction"]
        return [list(row) for row in zip(*(scores or named.values()), strict=True)]

    def invoke(self, body: Any, media_type: str = "application/json") -> Answers:
        """Return the answers of `/invocations`."""
        found = self.post("/invocations", body, media_type)["predictions"]
        return [list(row.values())[1:] or list(row.values()) for row in found]

    def predict_v1(self) -> Answers:
        """Return the answers of KServe's protocol V1."""
        path = f"/v1/models/{self.contract.name}:predict"
        found = self.post(path, {"instances": self.records()})["predictions"]
        return [list(row.values())[1:] or list(row.values()) for row in found]

    def ask_registered(self) -> Answers:
        """Return the answers of the registry's champion."""
        mlflow = importlib.import_module("mlflow")
        mlflow.set_tracking_uri(f"sqlite:///{Path.cwd()}/var/mlflow.db")
        model = mlflow.pyfunc.load_model(f"models:/{self.contract.name}@champion")
        features = [column.name for column in self.contract.features]
        return self.read_answers(model.predict(self.rows[features]))

    def score(self, path: Path) -> Answers:
        """Return the answers of `make score`."""
        output = path.with_name(f"{path.name}.answers.parquet")
        command = ["make", "score", f"INPUT={path}", f"OUTPUT={output}"]
        subprocess.run(command, check=True, stdout=sys.stderr)
        return self.read_answers(importlib.import_module("pandas").read_parquet(output))

    def read_answers(self, answers: Any) -> Answers:
        """Return the scores of a frame of answers."""
        names = self.contract.outputs[1:] or self.contract.outputs
        found: Answers = answers[list(names)].to_numpy().tolist()
        return found

    def answer(self) -> Iterator[tuple[str, Answers]]:
        """Yield each way with its answers."""
        records = self.records()
        split = {"columns": list(records[0]), "data": [list(r.values()) for r in records]}
        yield "/predict", self.predict()
        yield "/v1", self.predict_v1()
        yield "/v2", self.infer()
        yield "/invocations, dataframe_split", self.invoke({"dataframe_split": split})
        yield "/invocations, dataframe_records", self.invoke({"dataframe_records": records})
        yield "/invocations, CSV", self.invoke(self.text.write(self.places).encode(), "text/csv")
        yield "registered model", self.ask_registered()
        with TemporaryDirectory() as folder:
            text = Path(folder, "rows.csv")
            every = list(range(len(self.text.header)))
            text.write_bytes(self.text.write(every).encode(self.text.encoding))
            yield "score, CSV", self.score(text)
            typed = Path(folder, "typed.parquet")
            self.rows.to_parquet(typed, index=False)
            yield "score, Parquet", self.score(typed)


def read_text(table: Path, params: Any, kept: list[int]) -> Text:
    """Return some rows of a table's own text."""
    raw = table.read_bytes()
    text = (gzip.decompress(raw) if table.suffix == ".gz" else raw).decode(params.encoding)
    lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=params.delimiter))
    cells = [lines[position + 1] for position in kept]
    return Text(lines[0], cells, params.delimiter, params.encoding)


def main(package: str, address: str, table: str | None = None) -> int:
    """Print how many answers of each way differ from the model's."""
    project = Project(package, address, Path(table) if table else None)
    expected = project.scorer.score_frame(project.rows).scores.tolist()
    lacking = project.rows[[column.name for column in project.contract.features]].isna()
    missing = int(lacking.any(axis=1).sum())
    rare = len(project.rare)
    print(
        f"{len(expected)} rows, {missing} with missing values, {rare} with rare words", flush=True
    )
    wrong = 0
    for name, found in project.answer():
        differing = len(expected) - sum(map(list.__eq__, expected, found))
        differing += abs(len(expected) - len(found))
        print(f"{name}: {differing} of {len(expected)} answers differ")
        wrong += differing
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
