"""Training/serving skew: no mismatch in equal rows, and every planted one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from mlchassis.bundle.bundle import Bundle
from mlchassis.config.params import Params
from mlchassis.config.source_params import FilesParams
from mlchassis.contract.model import Column, Contract
from mlchassis.features.code import load_feature_code
from mlchassis.monitoring.prediction_log import LogFacts, read_log
from mlchassis.monitoring.results import Skew
from mlchassis.monitoring.skew import RawRows, SkewCheck, read_raw
from mlchassis.monitoring.source_rows import SourceRows
from mlchassis.project import Project, Workspace

NOW = datetime(2024, 6, 1, tzinfo=UTC)
Check = Callable[..., Skew]


def compute_features(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {
        "price_per_size": columns["price"] / columns["size"],
        "season": np.round(columns["season"]),
        "age": columns["age"],
        "shop": columns["shop"],
        "is_north": (columns["shop"] == "north").astype(float),
    }


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A project with features of numbers, strings and a column of persons."""
    return Workspace(tmp_path / "project", Project(compute_features))


@pytest.fixture
def read_csv(workspace: Workspace, fixed_params: Params) -> Callable[..., RawRows]:
    """Function that writes raw data as a CSV file and reads them as the monitor does."""

    def read(rows: pd.DataFrame, contract: Contract) -> RawRows:
        workspace.root.mkdir(exist_ok=True)
        rows.to_csv(workspace.root / "raw.csv", index=False)
        source = FilesParams(kind="files", path="raw.csv")
        params = fixed_params.model_copy(update={"source": source})
        return read_raw(SourceRows(workspace, params, contract))

    return read


@pytest.fixture
def check(
    workspace: Workspace,
    monitored_bundle: Bundle,
    read_csv: Callable[..., RawRows],
    write_log: Callable[..., Path],
    tmp_path: Path,
) -> Check:
    """Function that logs rows and compares them with raw data."""

    def run(
        logged: pd.DataFrame, raw: pd.DataFrame, *, most: int = 10_000, since: str = "", **line: Any
    ) -> Skew:
        write_log(tmp_path / "log", logged, **line)
        found = read_csv(raw, monitored_bundle.contract)
        skew = SkewCheck(monitored_bundle, load_feature_code(compute_features), found, most)
        contract = monitored_bundle.contract
        for chunk in read_log(tmp_path / "log", contract, NOW, LogFacts(), chunk_rows=777):
            skew.add(chunk)
        return skew.compare(since)

    return run


@pytest.mark.one_python
def test_ten_thousand_logged_rows_have_the_features_of_their_raw_data(
    check: Check, make_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = make_rows(50, seed=60)
    # The log and the raw data are in another order, and each has rows that the other lacks.
    more = pd.concat([rows, make_rows(5, seed=61)]).sample(frac=1, random_state=1)
    assert check(rows, more) == Skew(rows=10_000)


@pytest.mark.one_python
def test_each_planted_difference_among_ten_thousand_rows_is_found(
    check: Check, make_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = make_rows(50, seed=62)
    logged = rows.copy()
    present = rows.index[rows["price"].notna()]
    logged.loc[present[:37], "price"] *= 1.001
    logged.loc[present[30], "price"] = np.nan
    logged.loc[9_000, "shop"] = "nowhere"
    found = check(logged, rows)
    assert (found.rows, found.mismatched, found.violations) == (10_000, 38, [])
    assert [(each.feature, each.rows) for each in found.features] == [
        ("price_per_size", 37),
        ("is_north", 1),
        ("shop", 1),
    ]
    assert found.features[2].example == "K-62-9000"


@pytest.mark.one_python
def test_the_newest_rows_that_the_raw_data_has_are_compared(
    check: Check, make_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = make_rows(10, seed=63)
    logged = rows.assign(season=rows["season"] + 5)
    # Raw data of the last two days are not there yet; the three days before fill the number.
    logged.loc[1000:, "season"] = rows["season"][1000:]
    raw = rows[:1600]
    assert check(logged, raw, most=600) == Skew(rows=600)
    assert check(logged[:0], raw, most=601).mismatched == 1
    assert check(logged[:0], raw, since="2024-01-08") == Skew(rows=200)


def test_columns_of_persons_are_not_compared(
    check: Check, make_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = make_rows(1, seed=64)
    assert check(rows.assign(age=0), rows) == Skew(rows=200)


def test_answers_of_another_model_and_ambiguous_keys_are_not_compared(
    check: Check, make_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = make_rows(1, seed=65)
    twice = pd.concat([rows, rows[:50].assign(price=1.0)])
    assert check(rows, twice) == Skew(rows=150)
    assert check(rows.assign(shop="x"), twice, digest="f" * 64) == Skew(rows=150)


def test_a_logged_column_that_lacks_or_has_another_type_is_schema_skew(
    check: Check, make_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = make_rows(1, seed=66)
    inputs = {"size": 50.0, "price": "twenty", "season": 1.0}
    assert check(rows, rows, inputs=inputs).violations == [
        "200 of 200 logged rows have a value in 'price' that is not a number.",
        "200 of 200 logged rows lack the column 'shop'.",
    ]


def test_raw_data_of_another_schema_are_a_violation(
    check: Check, make_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = make_rows(1, seed=67)
    (sentence,) = check(rows, rows.drop(columns="season")).violations
    assert sentence.startswith("The source lacks the column 'season'")


def test_without_a_source_or_a_common_key_nothing_is_compared(
    check: Check,
    make_rows: Callable[..., pd.DataFrame],
    workspace: Workspace,
    fixed_params: Params,
    shop_contract: Contract,
) -> None:
    rows = make_rows(1, seed=68)
    found = check(rows, make_rows(1, seed=69))
    assert found == Skew(statement="No key of the newest windows is in the source yet.")
    source = FilesParams(kind="files", path="gone.csv")
    params = fixed_params.model_copy(update={"source": source})
    missing = read_raw(SourceRows(workspace, params, shop_contract))
    assert missing.statement.startswith("The source is not on this machine (gone.csv")
    keyless = replace(shop_contract, columns=tuple(map(drop_key, shop_contract.columns)))
    assert "no key that is logged" in read_raw(SourceRows(workspace, params, keyless)).statement


def drop_key(column: Column) -> Column:
    return replace(column, roles=column.roles - {"key"})
