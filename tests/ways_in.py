"""Compare the answers of every way in with the model's, on rows as training read them.

Runs with an adopted project's interpreter, in its folder, beside its service: python ways_in.py
PACKAGE ADDRESS TABLE. Prints a line for each way; the exit code is 1 where an answer differs.
"""

import csv
import gzip
import importlib
import io
import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROWS = 50
Answers = list[list[float]]


class Project:
    """An adopted project: its rows as training read them, its table's text, its deployed model."""

    def __init__(self, package: str, address: str, table: Path) -> None:
        self.package, self.address = package, address
        paths = self.load("paths").Paths(Path.cwd())
        self.contract = self.load("contract").load_contract(paths.contract)
        params = self.load("params").load_params(paths.params).source
        read = self.load("sources").read_source(params, self.contract, paths.root)
        rows = self.load("tables").conform(read, self.contract)
        refused = set(self.load("pipeline.validate").find_reasons(rows, self.contract).index)
        kept = [position for position in range(len(rows)) if position not in refused][:ROWS]
        self.rows = rows.iloc[kept].reset_index(drop=True)
        raw = table.read_bytes()
        text = (gzip.decompress(raw) if table.suffix == ".gz" else raw).decode(params.encoding)
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=params.delimiter))
        names = [params.rename.get(name, name) for name in lines[0]]
        self.delimiter, self.encoding = params.delimiter, params.encoding
        self.header = lines[0]
        self.cells = [lines[position + 1] for position in kept]
        self.requested = {c.name for c in self.contract.request_columns}
        self.places = [i for i, name in enumerate(names) if name in self.requested]
        pointer = self.load("bundle").read_pointer(paths.store)
        bundle = self.load("bundle").load_bundle(paths.store / "bundles" / pointer.digest)
        self.scorer = self.load("scoring").Scorer(bundle)

    def load(self, name: str) -> Any:
        """Return a module of the project."""
        return importlib.import_module(f"{self.package}.{name}")

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
        kinds = {"integer": int, "number": float, "boolean": bool, "string": str}

        def write(value: Any, kind: str) -> Any:
            if value is None or value != value or str(value) in ("<NA>", "NaT"):
                return None
            return value.isoformat() if kind == "timestamp" else kinds[kind](value)

        return [
            {c.name: write(row[c.name], c.kind) for c in self.contract.features}
            for row in self.rows.to_dict("records")
        ]

    def write(self, places: list[int]) -> str:
        """Return the rows' own text, some columns of it, with its header."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self.delimiter)
        writer.writerows([row[i] for i in places] for row in [self.header, *self.cells])
        return text.getvalue()

    def predict(self) -> Answers:
        """Return the answers of `/predict`."""
        found = self.post("/predict", {"records": self.records()})["predictions"]
        return [list(p.get("probabilities", {"": p["prediction"]}).values()) for p in found]

    def infer(self) -> Answers:
        """Return the answers of the Open Inference Protocol."""
        records = self.records()
        datatypes = self.load("serving.open_inference").DATATYPES
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

    def score(self, path: Path) -> Answers:
        """Return the answers of batch scoring."""
        output = path.with_name(f"{path.name}.answers.parquet")
        self.load("bulk").score_files(str(path), output, self.scorer, lambda _: None)
        answers = importlib.import_module("pandas").read_parquet(output)
        names = self.contract.outputs[1:] or self.contract.outputs
        found: Answers = answers[list(names)].to_numpy().tolist()
        return found

    def answer(self) -> Iterator[tuple[str, Answers]]:
        """Yield each way with its answers."""
        records = self.records()
        split = {"columns": list(records[0]), "data": [list(r.values()) for r in records]}
        yield "/predict", self.predict()
        yield "/v2", self.infer()
        yield "/invocations, dataframe_split", self.invoke({"dataframe_split": split})
        yield "/invocations, CSV", self.invoke(self.write(self.places).encode(), "text/csv")
        with TemporaryDirectory() as folder:
            text = Path(folder, "rows.csv")
            text.write_bytes(self.write(list(range(len(self.header)))).encode(self.encoding))
            yield "score, CSV", self.score(text)
            typed = Path(folder, "typed.parquet")
            self.rows.to_parquet(typed, index=False)
            yield "score, Parquet", self.score(typed)


def main(package: str, address: str, table: str) -> int:
    """Print how many answers of each way differ from the model's."""
    project = Project(package, address, Path(table))
    expected = project.scorer.score_frame(project.rows).scores.tolist()
    wrong = 0
    for name, found in project.answer():
        differing = len(expected) - sum(map(list.__eq__, expected, found))
        differing += abs(len(expected) - len(found))
        print(f"{name}: {differing} of {len(expected)} answers differ")
        wrong += differing
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
