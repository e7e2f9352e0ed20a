"""Stage `validate`: what keeps the contract is accepted, the rest quarantined with the reason."""

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import ml_service
from mlchassis.config.params import IngestParams, Params, ValidateParams, load_params
from mlchassis.contract.model import Contract, parse_contract
from mlchassis.contract.partitions import MONTH
from mlchassis.contract.schemas import generate_rows
from mlchassis.contract.table_checks import find_reasons
from mlchassis.data import validation as validate
from mlchassis.data.shifts import Shift
from mlchassis.data.tables import coerce, read_table, read_tables, write_table
from mlchassis.data.validation import REASON, summarize_months
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.reports import read_report

ROOT = Path(ml_service.__file__).parents[2]
TEXT = """
apiVersion: v3.2.0
name: trips
version: 1.0.0
schema:
  - properties:
      - {name: trip, logicalType: string, required: true, tags: [key]}
      - {name: start, logicalType: timestamp, required: true, tags: [event_time]}
      - name: carrier
        logicalType: string
        required: true
        tags: [feature]
        enum: [{value: AA}, {value: UA}]
      - {name: distance, logicalType: number, required: true, tags: [feature]}
      - {name: minute, logicalType: integer, tags: [feature], logicalTypeOptions: {maximum: 1439}}
      - name: goal
        logicalType: string
        tags: [feature]
        logicalTypeOptions: {pattern: '[A-Z]{3}'}
        examples: [MIA]
      - {name: heat, logicalType: number, tags: [feature], logicalTypeOptions: {minimum: -40}}
      - {name: model, logicalType: string, tags: [feature], logicalTypeOptions: {maxLength: 64}}
      - {name: late, logicalType: boolean, tags: [target]}
"""
MONTHS = ("2013-01", "2013-02", "2013-03")

BROKEN: list[tuple[int, str, Any, str]] = [
    (3, "carrier", "ZZ", "carrier: enumeration"),
    (5, "distance", None, "distance: is required"),
    (7, "minute", 1440, "minute: maximum 1439"),
    (11, "goal", "Miami", "goal: pattern [A-Z]{3}"),
    (13, "heat", -41.0, "heat: minimum -40"),
    (17, "model", "x" * 65, "model: length 0 to 64"),
]


@pytest.fixture(scope="module")
def trips() -> Contract:
    return parse_contract(TEXT)


@pytest.fixture(scope="module")
def rows(trips: Contract) -> pd.DataFrame:
    """Ninety good rows, thirty in each month, two of three labeled, half of those late."""
    frame = pd.DataFrame(generate_rows(trips, 90, seed=3))
    frame["start"] = [f"{MONTHS[k // 30]}-15T00:00:00Z" for k in range(90)]
    frame["trip"] = [f"trip {k}" for k in range(90)]
    frame["late"] = [None if k % 3 == 0 else k % 2 == 0 for k in range(90)]
    return coerce(frame, trips)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "contract.yaml").write_text(TEXT)
    return Paths(tmp_path)


def store(paths: Paths, rows: pd.DataFrame) -> None:
    for position, month in enumerate(MONTHS):
        batch = rows[position * 30 : (position + 1) * 30]
        write_table(paths.raw / f"{month}.parquet", batch)


def settings(as_of: str | None = None, limit: float = 0.1) -> Params:
    changes = {
        "ingest": IngestParams(as_of=as_of),
        "validate_": ValidateParams(max_quarantined=limit),
    }
    return load_params(ROOT / "params.yaml").model_copy(update=changes)


def break_rows(rows: pd.DataFrame) -> pd.DataFrame:
    broken = rows.copy()
    for position, name, value, _ in BROKEN:
        broken.loc[position, name] = value
    return broken


def test_good_rows_are_all_accepted(paths: Paths, rows: pd.DataFrame) -> None:
    store(paths, rows)
    validate.run(paths, settings())

    accepted = read_tables(sorted(paths.accepted.iterdir()))
    pd.testing.assert_frame_equal(accepted, rows)
    assert list(paths.quarantine.iterdir()) == []


def test_each_broken_row_is_in_quarantine_with_its_reason(paths: Paths, rows: pd.DataFrame) -> None:
    store(paths, break_rows(rows))
    validate.run(paths, settings())

    quarantine = read_table(paths.quarantine / "2013-01.parquet")
    assert quarantine[REASON].tolist() == [reason for *_, reason in BROKEN]
    assert quarantine["trip"].tolist() == [rows["trip"][position] for position, *_ in BROKEN]


def test_every_row_is_accepted_or_in_quarantine(paths: Paths, rows: pd.DataFrame) -> None:
    store(paths, break_rows(rows))
    validate.run(paths, settings())
    kept = [*paths.accepted.iterdir(), *paths.quarantine.iterdir()]
    keys = read_tables(kept)["trip"]
    report = read_report(paths.reports / "validation.json")

    assert sorted(keys) == sorted(rows["trip"])
    assert (report["rows"], report["accepted"], report["quarantined"]) == (90, 84, 6)
    assert report["reasons"] == {reason: 1 for *_, reason in BROKEN}


def test_a_key_that_comes_twice_over_two_months_is_found(paths: Paths, rows: pd.DataFrame) -> None:
    keys = rows["trip"].mask(rows.index == 70, rows["trip"][2])
    store(paths, rows.assign(trip=keys))
    validate.run(paths, settings())
    quarantined = read_tables(sorted(paths.quarantine.iterdir()))

    assert quarantined[REASON].tolist() == ["trip: is there twice"] * 2


def test_too_many_broken_rows_stop_it_after_the_quarantine_was_written(
    paths: Paths, rows: pd.DataFrame
) -> None:
    store(paths, break_rows(rows))

    with pytest.raises(ProjectError, match=r"6 of 90 rows \(6\.7%\) break the contract, above"):
        validate.run(paths, settings(limit=0.06))
    assert len(read_table(paths.quarantine / "2013-01.parquet")) == 6
    assert read_report(paths.reports / "validation.json")["quarantined"] == 6


def test_the_page_is_written_also_when_it_stops_and_says_why(
    paths: Paths, rows: pd.DataFrame
) -> None:
    store(paths, break_rows(rows))
    with pytest.raises(ProjectError, match="break the contract, above") as stopped:
        validate.run(paths, settings(limit=0.06))
    page = (paths.reports / "data.html").read_text()
    assert "Validation failed" in page
    assert str(stopped.value) in html.unescape(page)
    validate.run(paths, settings())
    assert "Validation passed" in (paths.reports / "data.html").read_text()


def test_a_proportion_at_the_limit_passes(paths: Paths, rows: pd.DataFrame) -> None:
    store(paths, break_rows(rows))

    validate.run(paths, settings(limit=6 / 90))


def test_months_that_have_not_arrived_are_left_out(paths: Paths, rows: pd.DataFrame) -> None:
    store(paths, rows)
    validate.run(paths, settings(as_of="2013-02"))

    assert [path.stem for path in sorted(paths.accepted.iterdir())] == ["2013-01", "2013-02"]
    assert read_report(paths.reports / "validation.json")["rows"] == 60


def test_no_month_at_all_is_said_so(paths: Paths, rows: pd.DataFrame) -> None:
    store(paths, rows)

    with pytest.raises(ProjectError, match=r"No month up to 2012-01 is in data/raw"):
        validate.run(paths, settings(as_of="2012-01"))


@pytest.mark.parametrize("change", ["missing", "more", "type"])
def test_a_table_that_is_another_as_a_whole_stops_it(
    paths: Paths, rows: pd.DataFrame, change: str
) -> None:
    changed = {
        "missing": rows.drop(columns="distance"),
        "more": rows.assign(unknown=1),
        "type": rows.assign(distance=rows["distance"].astype("string")),
    }
    store(paths, changed[change])

    with pytest.raises(ProjectError, match="The table breaks the contract as a whole"):
        validate.run(paths, settings())


def test_the_report_describes_each_month(paths: Paths, rows: pd.DataFrame, trips: Contract) -> None:
    store(paths, rows)
    validate.run(paths, settings())
    months = read_report(paths.reports / "validation.json")["months"]

    assert list(months) == list(MONTHS)
    assert months["2013-01"]["rows"] == 30
    assert months["2013-01"]["labeled"] == pytest.approx(20 / 30)
    assert months["2013-01"]["target_mean"] == pytest.approx(0.5)
    cells = rows[:30][[column.name for column in trips.features]].isna().to_numpy()
    assert months["2013-01"]["missing"] == pytest.approx(cells.mean())


def test_a_month_without_labels_has_no_mean(rows: pd.DataFrame, trips: Contract) -> None:
    unlabeled = rows[:30].assign(**{MONTH: "2013-01"})
    unlabeled[trips.target.name] = pd.NA

    assert summarize_months(unlabeled, trips)["2013-01"].target_mean is None


def test_a_row_that_breaks_two_rules_is_counted_once(rows: pd.DataFrame, trips: Contract) -> None:
    broken = rows.copy()
    broken.loc[4, "carrier"] = "ZZ"
    broken.loc[4, "distance"] = -1.0

    assert find_reasons(broken, trips).index.tolist() == [4]


def test_a_feature_in_another_unit_stops_it_until_somebody_lists_the_month(
    paths: Paths, trips: Contract
) -> None:
    frame = pd.DataFrame(generate_rows(trips, 600, seed=3))
    months = [f"2013-0{k // 100 + 1}" for k in range(600)]
    frame["start"] = [f"{month}-15T00:00:00Z" for month in months]
    frame["trip"] = [f"trip {k}" for k in range(600)]
    frame["late"] = True
    frame["distance"] = frame["distance"].abs() / [
        1 if month < "2013-06" else 60 for month in months
    ]
    for month, batch in coerce(frame, trips).groupby(pd.Series(months)):
        write_table(paths.raw / f"{month}.parquet", batch)
    params = settings()

    with pytest.raises(
        ProjectError, match=r"'distance' in 2013-06: its median is .*accepted_shifts"
    ):
        validate.run(paths, params)
    assert len(read_report(paths.reports / "validation.json")["shifts"]) == 1
    known = params.validate_.model_copy(update={"accepted_shifts": {"distance": ("2013-06",)}})
    validate.run(paths, params.model_copy(update={"validate_": known}))
    report = read_report(paths.reports / "validation.json")
    assert report["shifts"] == []
    assert len(report["accepted_shifts"]) == 1


def test_shifts_are_searched_once(
    paths: Paths, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches: list[int] = []

    def find_none(months: Mapping[str, pd.DataFrame], *_: object) -> list[Shift]:
        searches.append(len(months))
        return []

    monkeypatch.setattr(validate, "find_shifts", find_none)
    store(paths, rows)
    validate.run(paths, settings())
    assert searches == [3]


def test_an_outcome_that_changes_abruptly_stops_it_until_somebody_lists_the_month(
    paths: Paths, trips: Contract
) -> None:
    frame = pd.DataFrame(generate_rows(trips, 600, seed=3))
    months = [f"2013-0{k // 100 + 1}" for k in range(600)]
    frame["start"] = [f"{month}-15T00:00:00Z" for month in months]
    frame["trip"] = [f"trip {k}" for k in range(600)]
    frame["late"] = [
        k % 3 == 0 or (month >= "2013-05" and k % 50 != 1) for k, month in enumerate(months)
    ]
    for month, batch in coerce(frame, trips).groupby(pd.Series(months)):
        write_table(paths.raw / f"{month}.parquet", batch)
    params = settings()

    with pytest.raises(
        ProjectError, match=r"'late' in 2013-05: .*'true', before 34%.*accepted_shifts"
    ):
        validate.run(paths, params)
    known = params.validate_.model_copy(update={"accepted_shifts": {"late": ("2013-05",)}})
    validate.run(paths, params.model_copy(update={"validate_": known}))


@pytest.mark.parametrize(("copies", "stops"), [(1, False), (2, True)])
def test_rows_that_a_join_doubled_stop_it_although_no_key_tells_them_apart(
    paths: Paths, rows: pd.DataFrame, copies: int, stops: bool
) -> None:
    paths.contract.write_text(
        TEXT.replace("      - {name: trip, logicalType: string, required: true, tags: [key]}\n", "")
    )
    january = rows[:30].drop(columns="trip").drop_duplicates()
    write_table(paths.raw / "2013-01.parquet", pd.concat([january] * copies, ignore_index=True))

    if not stops:
        validate.run(paths, settings())
        return
    validate.check_duplicates(50, 100, limit=0.5)
    with pytest.raises(ProjectError, match=r"\(50\.0%\) equal an earlier row in every column"):
        validate.run(paths, settings())
