"""Stage `ingest`: append-only months, which stay as they arrived."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import ml_service
from ml_service.project import project as own_project
from mlchassis.config.params import IngestParams, Params, load_params
from mlchassis.contract.model import parse_contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.data import ingest
from mlchassis.data.tables import coerce, read_table
from mlchassis.errors import ProjectError
from mlchassis.project import Workspace
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
      - {name: distance, logicalType: number, tags: [feature]}
      - {name: temperature, logicalType: number, tags: [feature]}
      - {name: late, logicalType: boolean, tags: [target]}
      - {name: duration, logicalType: number, tags: [leakage]}
"""
Offer = Callable[[pd.DataFrame], None]


@pytest.fixture
def paths(tmp_path: Path) -> Workspace:
    (tmp_path / "contract.yaml").write_text(TEXT)
    return Workspace(tmp_path, own_project)


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Set the rows that the source offers from now on."""
    return lambda rows: monkeypatch.setattr(ingest, "read_source", lambda *_: rows)


def as_of(month: str | None) -> Params:
    params = load_params(ROOT / "params.yaml")
    return params.model_copy(update={"ingest": IngestParams(as_of=month)})


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Ten rows in each of the first four months of 2013."""
    contract = parse_contract(TEXT)
    frame = pd.DataFrame(generate_rows(contract, 40, seed=3)).assign(late=True, duration=1.0)
    frame["start"] = [f"2013-0{k // 10 + 1}-{k % 10 + 1:02d}T06:30:00+00:00" for k in range(40)]
    frame["trip"] = [f"trip {k}" for k in range(40)]
    frame["temperature"] = frame["temperature"].where(frame.index % 4 > 0)
    return coerce(frame, contract)


def stored(paths: Workspace) -> dict[str, int]:
    return {path.stem: len(read_table(path)) for path in sorted(paths.raw.iterdir())}


def snapshot(paths: Workspace) -> dict[str, tuple[bytes, int]]:
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in paths.raw.iterdir()}


def test_every_month_that_has_arrived_is_stored_and_the_others_are_counted(
    paths: Workspace, offer: Offer, rows: pd.DataFrame
) -> None:
    offer(rows)
    ingest.run(paths, as_of("2013-03"))

    assert stored(paths) == {"2013-01": 10, "2013-02": 10, "2013-03": 10}
    assert read_report(paths.reports / "ingest.json") == {
        "offered": 40,
        "arrived": 30,
        "not_yet_arrived": 10,
        "months": {"2013-01": 10, "2013-02": 10, "2013-03": 10},
        "added": {},
        "left_out": [],
        "read_as_missing": {},
    }


def test_no_month_is_left_out_when_none_is_the_last(
    paths: Workspace, offer: Offer, rows: pd.DataFrame
) -> None:
    offer(rows)
    ingest.run(paths, as_of(None))

    assert sum(stored(paths).values()) == 40


def test_a_month_that_comes_again_the_same_is_left_untouched(
    paths: Workspace, offer: Offer, rows: pd.DataFrame
) -> None:
    offer(rows)
    ingest.run(paths, as_of("2013-03"))
    before = snapshot(paths)
    offer(rows.sample(frac=1, random_state=1))
    ingest.run(paths, as_of("2013-03"))

    assert snapshot(paths) == before


def change_value(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(distance=rows["distance"] + (rows.index == 3))


def lose_value(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(temperature=rows["temperature"].mask(rows.index == 1))


def drop_row(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.drop(index=3)


def double_row(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows, rows.iloc[[3]]])


@pytest.mark.parametrize("change", [change_value, lose_value, drop_row, double_row])
def test_a_month_that_comes_again_with_other_content_is_refused(
    paths: Workspace,
    offer: Offer,
    rows: pd.DataFrame,
    change: Callable[[pd.DataFrame], pd.DataFrame],
) -> None:
    offer(rows)
    ingest.run(paths, as_of("2013-03"))
    before = snapshot(paths)
    offer(change(rows))

    with pytest.raises(ProjectError, match="offers 2013-01 again with other content"):
        ingest.run(paths, as_of("2013-03"))
    assert snapshot(paths) == before


def test_the_newest_month_may_grow_and_says_so(
    paths: Workspace, offer: Offer, rows: pd.DataFrame
) -> None:
    offer(rows[:25])
    ingest.run(paths, as_of("2013-03"))
    offer(rows)
    said = ingest.run(paths, as_of("2013-04"))

    assert stored(paths) == {"2013-01": 10, "2013-02": 10, "2013-03": 10, "2013-04": 10}
    assert "5 rows were added to 2013-03" in said
    assert read_report(paths.reports / "ingest.json")["added"] == {"2013-03": 5}
    pd.testing.assert_frame_equal(
        read_table(paths.raw / "2013-03.parquet"), rows[20:30].reset_index(drop=True)
    )


def test_a_stored_row_of_the_newest_month_stays_as_it_arrived(
    paths: Workspace, offer: Offer, rows: pd.DataFrame
) -> None:
    offer(rows[:25])
    ingest.run(paths, as_of("2013-03"))
    offer(rows.assign(distance=rows["distance"] + (rows.index == 22)))

    with pytest.raises(ProjectError, match=r"2013-03 again .*\(1 of 5 stored rows are changed or"):
        ingest.run(paths, as_of("2013-03"))


def test_rows_that_come_late_for_an_older_month_are_refused(
    paths: Workspace, offer: Offer, rows: pd.DataFrame
) -> None:
    offer(rows.drop(index=3))
    ingest.run(paths, as_of("2013-03"))
    offer(rows)

    with pytest.raises(
        ProjectError, match=r"2013-01 again .*\(1 of its rows are new, and later months"
    ):
        ingest.run(paths, as_of("2013-03"))


@pytest.mark.parametrize("change", ["grow", "reorder", "repeat", "change", "lose"])
def test_a_table_without_time_may_grow(
    paths: Workspace, offer: Offer, rows: pd.DataFrame, change: str
) -> None:
    paths.contract.write_text(TEXT.replace("required: true, tags: [event_time]", "tags: [slice]"))
    offer(rows[:30])
    ingest.run(paths, as_of(None))
    before = read_table(paths.raw / "all.parquet")
    offered = {
        "grow": rows,
        "reorder": rows[:30].iloc[::-1],
        "repeat": pd.concat([rows[:30], rows[:2]]),
        "change": rows.assign(temperature=None),
        "lose": rows[1:],
    }
    offer(offered[change])

    if change in ("change", "lose"):
        with pytest.raises(ProjectError, match="offers the table again with other content"):
            ingest.run(paths, as_of(None))
    else:
        ingest.run(paths, as_of(None))
    after = read_table(paths.raw / "all.parquet")
    added = {"grow": 10, "repeat": 2}.get(change, 0)
    pd.testing.assert_frame_equal(after[:30], before)
    assert len(after) == 30 + added
    assert read_report(paths.reports / "ingest.json")["arrived"] == 30 + added


def test_what_a_killed_run_left_half_written_is_no_part_of_what_arrived(
    paths: Workspace, offer: Offer, rows: pd.DataFrame
) -> None:
    paths.raw.mkdir(parents=True)
    (paths.raw / ".2013-01.parquet-a1b2c3d4.partial").write_bytes(b"PAR1 and not much more")
    offer(rows)
    ingest.run(paths, as_of("2013-01"))

    assert [path.name for path in paths.raw.iterdir()] == ["2013-01.parquet"]


def test_a_hidden_file_of_a_person_is_no_scratch_file(
    paths: Workspace, offer: Offer, rows: pd.DataFrame
) -> None:
    paths.raw.mkdir(parents=True)
    kept = [paths.raw / ".notes-20241128", paths.raw / ".2013-01.parquet-original"]
    for path in kept:
        path.touch()
    offer(rows)
    ingest.run(paths, as_of("2013-01"))

    assert [path for path in kept if not path.exists()] == []


def test_a_month_that_is_gone_upstream_stays(
    paths: Workspace, offer: Offer, rows: pd.DataFrame
) -> None:
    offer(rows)
    ingest.run(paths, as_of("2013-02"))
    offer(rows[10:])
    ingest.run(paths, as_of("2013-03"))

    assert stored(paths) == {"2013-01": 10, "2013-02": 10, "2013-03": 10}


def test_what_stays_although_it_is_gone_upstream_is_counted(
    paths: Workspace, offer: Offer, rows: pd.DataFrame
) -> None:
    offer(rows)
    ingest.run(paths, as_of("2013-02"))
    offer(rows[10:])
    ingest.run(paths, as_of("2013-03"))
    report = read_report(paths.reports / "ingest.json")

    assert report["months"] == {"2013-01": 10, "2013-02": 10, "2013-03": 10}
    assert (report["offered"], report["arrived"], report["not_yet_arrived"]) == (40, 30, 10)


def test_lowering_and_raising_the_last_month_keeps_what_arrived(
    paths: Workspace, offer: Offer, rows: pd.DataFrame
) -> None:
    offer(rows)
    ingest.run(paths, as_of("2013-04"))
    before = snapshot(paths)
    ingest.run(paths, as_of("2013-01"))
    assert snapshot(paths) == before
    assert read_report(paths.reports / "ingest.json")["arrived"] == 10
    ingest.run(paths, as_of("2013-04"))

    assert snapshot(paths) == before
    assert read_report(paths.reports / "ingest.json")["not_yet_arrived"] == 0


def test_a_source_that_begins_later_is_said_so(
    paths: Workspace, offer: Offer, rows: pd.DataFrame
) -> None:
    offer(rows)

    with pytest.raises(ProjectError, match=r"begins with 2013-01; raise ingest\.as_of"):
        ingest.run(paths, as_of("2012-12"))


def test_an_empty_source_is_said_so(paths: Workspace, offer: Offer, rows: pd.DataFrame) -> None:
    offer(rows[:0])

    with pytest.raises(ProjectError, match="The source offers no row at all"):
        ingest.run(paths, as_of("2013-03"))


def test_a_missing_column_stops_before_anything_is_stored(
    paths: Workspace, offer: Offer, rows: pd.DataFrame
) -> None:
    offer(rows.drop(columns="distance"))

    with pytest.raises(ProjectError, match="The source lacks the column 'distance'"):
        ingest.run(paths, as_of("2013-03"))
    assert not paths.raw.exists()


@pytest.mark.parametrize("name", ["duration", "distance"])
def test_a_stored_month_of_another_contract_is_refused(
    paths: Workspace, offer: Offer, rows: pd.DataFrame, name: str
) -> None:
    offer(rows)
    ingest.run(paths, as_of("2013-03"))
    paths.contract.write_text(TEXT.replace(f"name: {name},", "name: another,"))
    offer(rows.assign(another=rows[name]))

    with pytest.raises(ProjectError, match="offers 2013-01 again with other content"):
        ingest.run(paths, as_of("2013-03"))
