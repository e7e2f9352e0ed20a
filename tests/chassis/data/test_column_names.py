"""Columns may have any name that a contract can hold, in every stage."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import ml_service
from ml_service.project import project as own_project
from mlchassis.config.params import IngestParams, Params, load_params
from mlchassis.config.source_params import FilesParams
from mlchassis.contract.cells import normalize_text
from mlchassis.contract.model import parse_contract
from mlchassis.data import ingest
from mlchassis.data import splitting as split
from mlchassis.data import validation as validate
from mlchassis.data.tables import read_table, read_tables
from mlchassis.project import Workspace

ROOT = Path(ml_service.__file__).parents[2]
ROWS = 300
AWKWARD = [
    *("month", "reason", "row", "index", "level_0", "column", "check", "failure_case", "name"),
    *("schema", "schema_context", "class", "values", "size", "shape", "count", "all", "mean", "T"),
    *("a/b", 'x"y', "x'y", "50%", "{a}", "a,b", "a;b", "two\nlines", "a b", "ünïcode", "日付"),
    *("prediction", "probability", "file", "position", "window", "since", "year", "copy", "model"),
    *("None", "NaN", "true", "1", "1.0", "-", "?", "#", "@", "$x", "x.y", "x:y", "self", "dtype"),
]
names = st.one_of(
    st.sampled_from(AWKWARD),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8),
)


def is_allowed(name: str) -> bool:
    return name == normalize_text(name) and not name.startswith("_") and name != "model_config"


def describe(columns: list[str]) -> str:
    """A contract whose key, time, target and features have these names."""
    key, time, target, *features = columns
    properties = [
        {"name": key, "logicalType": "string", "required": True, "tags": ["key"]},
        {"name": time, "logicalType": "timestamp", "required": True, "tags": ["event_time"]},
        {"name": target, "logicalType": "boolean", "tags": ["target"]},
        *(
            {
                "name": name,
                "logicalType": "number",
                "tags": ["feature"],
                "logicalTypeOptions": {"maximum": 1e6},
            }
            for name in features
        ),
    ]
    document = {
        "apiVersion": "v3.2.0",
        "name": "names",
        "version": "1.0.0",
        "schema": [{"properties": properties}],
    }
    return yaml.safe_dump(document, allow_unicode=True)


def make_table(columns: list[str]) -> pd.DataFrame:
    """Rows of three months; one row breaks the contract."""
    key, time, target, *features = columns
    draw = np.random.default_rng(1)
    frame = pd.DataFrame({name: draw.normal(size=ROWS) for name in features})
    frame.insert(0, key, [f"k{number}" for number in range(ROWS)])
    frame.insert(1, time, pd.date_range("2024-01-01", periods=ROWS, freq="7h", tz="UTC"))
    frame.insert(2, target, draw.random(ROWS) < 0.5)
    frame.loc[5, features[0]] = 1e7
    return frame


def choose_params(path: Path, columns: list[str], strategy: str) -> Params:
    params = load_params(ROOT / "params.yaml")
    strategy_params = {
        "strategy": strategy,
        "group": columns[4],
        "validation_days": 20,
        "test_days": 20,
    }
    changes = {
        "source": FilesParams(kind="files", path=str(path)),
        "ingest": IngestParams(as_of=None),
        "split": params.split.model_copy(update={**strategy_params, "min_rows": 10}),
    }
    return params.model_copy(update=changes)


@pytest.mark.one_python
@pytest.mark.parametrize("first", range(0, len(AWKWARD), 12))
def test_awkward_names_go_through_the_stages(first: int) -> None:
    # Others are the key, the time and the target each time.
    check_stages([*AWKWARD[first:], *AWKWARD[:first]], "time")


@settings(max_examples=8, deadline=None)
@given(
    st.lists(names.filter(is_allowed), min_size=5, max_size=9, unique=True),
    st.sampled_from(["time", "group", "random"]),
)
def test_any_names_go_through_the_stages(columns: list[str], strategy: str) -> None:
    check_stages(columns, strategy)


def check_stages(columns: list[str], strategy: str) -> None:
    with TemporaryDirectory() as folder:
        paths = Workspace(Path(folder), own_project)
        text = describe(columns)
        contract = parse_contract(text)
        paths.contract.write_text(text, encoding="utf-8")
        table = make_table(columns)
        table.to_csv(paths.root / "rows.csv", index=False)
        params = choose_params(paths.root / "rows.csv", columns, strategy)
        ingest.run(paths, params)
        validate.run(paths, params)
        split.run(paths, params)

        quarantine = read_table(paths.quarantine / "2024-01.parquet")
        accepted = read_tables(sorted(paths.accepted.iterdir()))
        assert list(accepted) == columns
        assert list(quarantine) == [*columns, validate.REASON]
        assert quarantine[columns[3]].tolist() == [1e7]
        for column in contract.features:
            expected = table[column.name].drop(index=5).tolist()
            assert accepted[column.name].tolist() == expected
        splits = read_tables(sorted(paths.splits.iterdir()))
        assert sorted(splits[columns[0]]) == sorted(accepted[columns[0]])
