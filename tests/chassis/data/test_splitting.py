"""Stage `split`: splits that follow one another, and an account of every row."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ml_service
from mlchassis.config.params import Params, SplitParams, load_params
from mlchassis.contract.checks import ContractError
from mlchassis.contract.model import Contract, parse_contract
from mlchassis.data import splitting as split
from mlchassis.data.results.ingestion import IngestReport
from mlchassis.data.results.splits import SplitReport
from mlchassis.data.results.validation import ValidationReport
from mlchassis.data.splitting import (
    account_rows,
    check_splits,
    describe_split,
    describe_splits,
    split_rows,
)
from mlchassis.data.tables import coerce, read_table, write_table
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.reports import read_report

ROOT = Path(ml_service.__file__).parents[2]
TEXT = """
apiVersion: v3.2.0
name: visits
version: 1.0.0
schema:
  - properties:
      - {name: visit, logicalType: string, tags: [key]}
      - {name: start, logicalType: timestamp, required: true, tags: [event_time]}
      - {name: patient, logicalType: string, tags: [feature]}
      - {name: stay, logicalType: boolean, tags: [target]}
"""
DAYS = 100


@pytest.fixture(scope="module")
def visits() -> Contract:
    return parse_contract(TEXT)


@pytest.fixture(scope="module")
def rows(visits: Contract) -> pd.DataFrame:
    """Ten rows on each of a hundred days, of two hundred patients."""
    start = pd.date_range("2013-01-01", periods=DAYS * 10, freq="144min", tz="UTC")
    size = range(len(start))
    columns = {
        "visit": [f"v{k}" for k in size],
        "start": start,
        "patient": [f"p{k * 7 % 200}" for k in size],
        "stay": [k % 3 == 0 for k in size],
    }
    return coerce(pd.DataFrame(columns), visits)


def settings(**changes: Any) -> SplitParams:
    usual = {
        "strategy": "time",
        "validation_days": 20,
        "test_days": 30,
        "validation_proportion": 0.2,
        "test_proportion": 0.3,
        "group": None,
        "min_rows": 10,
    }
    return SplitParams.model_validate(usual | changes)


def test_splits_by_time_are_whole_days_counted_back_from_the_last(
    rows: pd.DataFrame, visits: Contract
) -> None:
    splits = split_rows(rows, visits, settings(), seed=1)

    assert {name: len(part) for name, part in splits.items()} == {
        "train": 500,
        "validation": 200,
        "test": 300,
    }
    edges = [splits[name]["start"].min().isoformat() for name in ("validation", "test")]
    assert edges == ["2013-02-20T00:00:00+00:00", "2013-03-12T00:00:00+00:00"]


def test_every_split_by_time_is_later_than_the_one_before(
    rows: pd.DataFrame, visits: Contract
) -> None:
    shuffled = rows.sample(frac=1, random_state=1).reset_index(drop=True)
    splits = split_rows(shuffled, visits, settings(), seed=1)

    assert splits["train"]["start"].max() < splits["validation"]["start"].min()
    assert splits["validation"]["start"].max() < splits["test"]["start"].min()


@pytest.mark.parametrize(
    "params", [settings(), settings(strategy="random"), settings(strategy="group", group="patient")]
)
def test_every_row_is_in_exactly_one_window(
    rows: pd.DataFrame, visits: Contract, params: SplitParams
) -> None:
    splits = split_rows(rows, visits, params, seed=1)
    keys = pd.concat(splits.values())["visit"]

    assert sorted(keys) == sorted(rows["visit"])
    assert all(len(part) > 100 for part in splits.values())


def test_the_rows_of_a_group_stay_together(rows: pd.DataFrame, visits: Contract) -> None:
    splits = split_rows(rows, visits, settings(strategy="group", group="patient"), seed=1)
    groups = [set(part["patient"]) for part in splits.values()]

    assert groups[0] & groups[1] == groups[0] & groups[2] == groups[1] & groups[2] == set()


@pytest.mark.parametrize("strategy", ["random", "group"])
def test_proportions_are_kept_and_follow_from_the_seed(
    rows: pd.DataFrame, visits: Contract, strategy: str
) -> None:
    params = settings(strategy=strategy, group="patient")
    first, again, other = (split_rows(rows, visits, params, seed) for seed in (1, 1, 2))

    assert len(first["test"]) / len(rows) == pytest.approx(0.3, abs=0.08)
    assert len(first["validation"]) / len(rows) == pytest.approx(0.2, abs=0.08)
    pd.testing.assert_frame_equal(first["test"], again["test"])
    assert not first["test"].equals(other["test"])


def without(contract: Contract, role: str) -> Contract:
    columns = [replace(column, roles=column.roles - {role}) for column in contract.columns]
    return replace(contract, columns=tuple(columns))


@pytest.mark.parametrize("strategy", ["random", "group"])
@pytest.mark.parametrize("lost", ["nothing", "key"])
def test_a_row_stays_in_its_split_when_rows_come_and_go(
    rows: pd.DataFrame, visits: Contract, strategy: str, lost: str
) -> None:
    params, contract = settings(strategy=strategy, group="patient"), without(visits, lost)
    all_splits = split_rows(rows, contract, params, seed=1)
    shuffled = rows.sample(frac=0.4, random_state=1).reset_index(drop=True)
    for name, part in split_rows(shuffled, contract, params, seed=1).items():
        assert len(part) > 40
        assert set(part["visit"]) <= set(all_splits[name]["visit"])


def test_equal_rows_are_in_one_window(rows: pd.DataFrame, visits: Contract) -> None:
    twice = pd.concat([rows, rows], ignore_index=True)
    splits = split_rows(twice, without(visits, "key"), settings(strategy="random"), seed=1)
    assert {count for w in splits.values() for count in w["visit"].value_counts()} == {2}


def make_categories(sizes: tuple[int, ...], rows: int) -> tuple[pd.DataFrame, Contract]:
    """Columns of few words, by which the outcome is more or less likely."""
    feature = {"logicalType": "string", "required": True, "tags": ["feature"]}
    columns: list[dict[str, Any]] = [{"name": f"c{k}", **feature} for k in range(len(sizes))]
    columns.append({"name": "y", "logicalType": "boolean", "tags": ["target"]})
    document = {"apiVersion": "v3.2.0", "version": "1.0.0", "schema": [{"properties": columns}]}
    contract = parse_contract(json.dumps(document))
    draw = np.random.default_rng(0)
    codes = [draw.integers(size, size=rows) for size in sizes]
    likely = 1 / (1 + np.exp(0.3 - 0.5 * codes[0] + 0.3 * codes[1]))
    words: dict[str, Any] = {f"c{k}": [f"w{code}" for code in codes[k]] for k in range(len(sizes))}
    return coerce(pd.DataFrame(words | {"y": draw.random(rows) < likely}), contract), contract


@pytest.mark.parametrize("order", ["as drawn", "by outcome"])
@pytest.mark.parametrize("sizes", [(4, 5, 3, 2, 6), (3, 2), (4, 5, 3)])
def test_few_categories_keep_the_odds_of_the_outcome_in_every_window(
    sizes: tuple[int, ...], order: str
) -> None:
    rows, contract = make_categories(sizes, 20_000)
    if order == "by outcome":
        rows = rows.sort_values("y", kind="stable", ignore_index=True)
    splits = split_rows(rows, contract, settings(strategy="random", test_proportion=0.2), seed=1)
    for by in (["c0"], ["c1"], ["c0", "c1"]):
        odds = [part.groupby(by)["y"].agg(["mean", "count"]) for part in splits.values()]
        for one, other in ((odds[0], odds[1]), (odds[0], odds[2])):
            error = np.sqrt(0.25 / one["count"] + 0.25 / other["count"])
            assert list(one.index) == list(other.index)
            assert ((one["mean"] - other["mean"]).abs() < 6 * error).all()
    proportions = {name: len(part) / len(rows) for name, part in splits.items()}
    assert proportions == pytest.approx({"train": 0.6, "validation": 0.2, "test": 0.2}, abs=0.03)


def test_the_outcome_of_a_row_does_not_move_it(rows: pd.DataFrame, visits: Contract) -> None:
    contract = without(visits, "key")
    other = rows.assign(stay=~rows["stay"])
    for params in (settings(strategy="random"), settings(strategy="group", group="patient")):
        before, after = (split_rows(table, contract, params, 1) for table in (rows, other))
        assert [list(w["visit"]) for w in before.values()] == [
            list(w["visit"]) for w in after.values()
        ]


def test_rows_without_a_group_are_no_group(rows: pd.DataFrame, visits: Contract) -> None:
    lost = rows.assign(patient=rows["patient"].mask(rows.index % 2 == 0))
    # Their records are equal as well: nothing is known of them.
    splits = split_rows(lost, visits, settings(strategy="group", group="patient"), seed=1)
    assert all(part["patient"].isna().sum() > 50 for part in splits.values())


def test_a_group_that_is_the_target_is_refused(rows: pd.DataFrame, visits: Contract) -> None:
    with pytest.raises(ProjectError, match=r"split\.group is 'stay', which is the target"):
        split_rows(rows, visits, settings(strategy="group", group="stay"), seed=1)


def test_what_decides_a_split_is_told_where_time_does_not(visits: Contract) -> None:
    by_key, by_group = settings(strategy="random"), settings(strategy="group", group="patient")
    assert describe_split(visits, settings(), 1) is None
    assert describe_split(visits, by_key, 1) == "seed 1, validation 0.2, test 0.3, by visit"
    told = {
        describe_split(visits, by_key, 1),
        describe_split(visits, by_key, 2),
        describe_split(visits, by_group, 1),
        describe_split(visits, settings(strategy="random", test_proportion=0.4), 1),
        describe_split(without(visits, "key"), by_key, 1),
    }
    assert len(told) == 5


def test_a_strategy_without_its_column_is_refused(rows: pd.DataFrame, visits: Contract) -> None:
    with pytest.raises(ProjectError, match="no column tagged event_time; choose 'random' or"):
        split_rows(rows, without(visits, "event_time"), settings(), seed=1)
    with pytest.raises(ProjectError, match=r"split\.group names no column"):
        split_rows(rows, visits, settings(strategy="group"), seed=1)
    with pytest.raises(ContractError, match="no column 'patent'; did you mean 'patient'"):
        split_rows(rows, visits, settings(strategy="group", group="patent"), seed=1)


def test_a_small_split_is_refused(rows: pd.DataFrame, visits: Contract) -> None:
    splits = split_rows(rows, visits, settings(), seed=1)

    check_splits(splits, visits, settings(min_rows=200))
    with pytest.raises(
        ProjectError,
        match=r"The validation split holds 200 rows, fewer than .* raise split.validation_days in",
    ):
        check_splits(splits, visits, settings(min_rows=201))


@pytest.mark.parametrize("name", split.SPLITS)
def test_a_split_without_one_of_the_classes_is_refused(
    rows: pd.DataFrame, visits: Contract, name: str
) -> None:
    splits = split_rows(rows, visits, settings(), seed=1)
    splits[name] = splits[name][~splits[name]["stay"]]

    with pytest.raises(ProjectError) as refusal:
        check_splits(splits, visits, settings())
    assert f"The {name} split has no row of class true of 'stay'; bring" in str(refusal.value)
    assert re.search(WIDENING[name], str(refusal.value))


WIDENING = {
    "train": r"lower split\.validation_days and split\.test_days in params\.yaml\.$",
    "validation": r"raise split\.validation_days in params\.yaml\.$",
    "test": r"raise split\.test_days in params\.yaml\.$",
}


@pytest.mark.parametrize(("earlier", "later"), [("train", "validation"), ("validation", "test")])
def test_splits_that_overlap_in_time_are_refused(
    rows: pd.DataFrame, visits: Contract, earlier: str, later: str
) -> None:
    splits = split_rows(rows, visits, settings(), seed=1)
    late = splits[later].iloc[[0]].assign(visit="another")
    splits[earlier] = pd.concat([splits[earlier], late])

    with pytest.raises(ProjectError, match=f"The {earlier} split reaches to .* splits must"):
        check_splits(splits, visits, settings())


def test_a_row_in_two_splits_is_refused(rows: pd.DataFrame, visits: Contract) -> None:
    params = settings(strategy="random")
    splits = split_rows(rows, visits, params, seed=1)
    shared = splits["test"].iloc[[0]]
    splits["train"] = pd.concat([splits["train"], shared])

    with pytest.raises(ProjectError, match=f"The row '{shared['visit'].iloc[0]}' is in two"):
        check_splits(splits, visits, params)


@pytest.mark.parametrize(
    ("changes", "units", "setting"),
    [
        ({"test_days": 4}, "4 days", "split.test_days"),
        ({"strategy": "group", "group": "clinic"}, "1 group by 'clinic'", "split.test_proportion"),
    ],
)
def test_a_test_split_of_few_days_or_groups_is_refused(
    rows: pd.DataFrame, visits: Contract, changes: dict[str, Any], units: str, setting: str
) -> None:
    clinic = replace(visits.column("patient"), name="clinic", roles=frozenset())
    contract = replace(visits, columns=(*visits.columns, clinic))
    days = changes.get("test_days", 30)
    splits = split_rows(rows.assign(clinic="c1"), contract, settings(test_days=days), seed=1)
    params = settings(**changes)

    with pytest.raises(ProjectError, match=f"holds only {units}, .* raise {setting} in params"):
        check_splits(splits, contract, params)


INGEST = IngestReport(
    offered=100,
    arrived=80,
    not_yet_arrived=20,
    months={"2013-01": 80},
    added={},
    left_out=[],
    read_as_missing={},
)
VALIDATION = ValidationReport(
    rows=80,
    accepted=75,
    quarantined=5,
    reasons={"stay: minimum 0": 5},
    duplicates=0,
    shifts=[],
    accepted_shifts=[],
    months={},
    columns={},
)


def test_the_account_says_where_every_row_went() -> None:
    account = account_rows(INGEST, VALIDATION, unlabeled=15, used=60)

    assert account.spell() == [
        ("offered", "100"),
        ("not yet arrived", "20"),
        ("quarantined", "5"),
        ("unlabeled", "15"),
        ("used", "60"),
    ]


@pytest.mark.parametrize(
    ("ingest", "validation", "used"),
    [
        ({}, {}, 59),
        ({}, {}, 61),
        ({"offered": 101}, {}, 60),
        ({}, {"quarantined": 4}, 60),
        ({}, {"accepted": 74}, 60),
        ({"offered": 99}, {"accepted": 74}, 60),
    ],
)
def test_an_account_that_does_not_add_up_is_refused(
    ingest: dict[str, int], validation: dict[str, int], used: int
) -> None:
    with pytest.raises(ProjectError, match="rows were lost or doubled between the stages"):
        account_rows(
            INGEST.model_copy(update=ingest),
            VALIDATION.model_copy(update=validation),
            unlabeled=15,
            used=used,
        )


def test_splits_are_described_by_their_rows_times_and_target(
    rows: pd.DataFrame, visits: Contract
) -> None:
    splits = split_rows(rows, visits, settings(), seed=1)
    facts = describe_splits(splits, visits).test

    assert (facts.rows, facts.begin) == (300, "2013-03-12T00:00:00+00:00")
    assert facts.until == splits["test"]["start"].max().isoformat()
    assert facts.target_mean == pytest.approx(1 / 3, abs=0.01)


def test_the_stage_writes_labeled_rows_and_accounts_for_the_others(
    tmp_path: Path, rows: pd.DataFrame, visits: Contract
) -> None:
    paths = Paths(tmp_path)
    paths.contract.write_text(TEXT)
    unlabeled = rows.assign(stay=rows["stay"].mask(rows.index % 10 == 0))
    write_table(paths.accepted / "a.parquet", unlabeled[:400])
    write_table(paths.accepted / "b.parquet", unlabeled[400:])
    INGEST.model_copy(update={"offered": 1007, "not_yet_arrived": 4}).write(paths.reports)
    VALIDATION.model_copy(update={"accepted": 1000, "quarantined": 3}).write(paths.reports)
    params: Params = load_params(ROOT / "params.yaml").model_copy(update={"split": settings()})
    split.run(paths, params)

    written = {name: read_table(paths.splits / f"{name}.parquet") for name in split.SPLITS}
    assert {name: len(part) for name, part in written.items()} == {
        "train": 450,
        "validation": 180,
        "test": 270,
    }
    report = read_report(paths.reports / "split.json")
    assert report["account"] == {
        "offered": 1007,
        "not_yet_arrived": 4,
        "quarantined": 3,
        "unlabeled": 100,
        "used": 900,
    }
    assert SplitReport.load(paths.reports).splits == describe_splits(written, visits)
