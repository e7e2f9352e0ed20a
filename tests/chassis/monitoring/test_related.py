"""Related columns: a break is seen although each column alone looks ordinary."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mlchassis.bundle.bundle import Bundle
from mlchassis.bundle.daily_counts import DailyReference
from mlchassis.config.params import MonitorParams
from mlchassis.monitoring.counting import LogCounter, LogCounts
from mlchassis.monitoring.drift.windows import Reference, compare_window, list_windows
from mlchassis.monitoring.prediction_log import LoggedRow
from mlchassis.monitoring.results import RelatedTest, Window

LOGGED = ["temperature", "dew_point", "humidity", "manufacturer", "model", "gate", "fee", "note"]
PARAMS = MonitorParams(draws=400)
FIRST = 100
"""First day of the window: the temperature is neither the lowest nor the highest."""
Compare = Callable[..., Window]
MakeWeather = Callable[..., pd.DataFrame]


def log_rows(rows: pd.DataFrame) -> list[LoggedRow]:
    """The rows as the reader of the log returns them, answered by another model."""
    inputs = rows[[name for name in LOGGED if name in rows]].astype(object)
    records = inputs.where(inputs.notna(), None).to_dict("records")
    fields = [{str(name): value for name, value in record.items()} for record in records]
    days = rows["departed_at"].dt.strftime("%Y-%m-%d")
    return [
        LoggedRow(day, key, record, False, None, "f" * 64, "1.0.0", "")
        for day, key, record in zip(days, rows["flight_id"], fields, strict=True)
    ]


def count_rows(bundle: Bundle, reference: DailyReference, rows: pd.DataFrame) -> LogCounts:
    counter = LogCounter(bundle, reference, {})
    counter.add(log_rows(rows))
    return counter.counts


@pytest.fixture
def compare(weather_bundle: Bundle, weather_reference: DailyReference) -> Compare:
    """Function that compares the newest window of some rows."""

    def run(
        rows: pd.DataFrame,
        ignore: tuple[str, ...] = (),
        reference: DailyReference = weather_reference,
    ) -> Window:
        counts = count_rows(weather_bundle, reference, rows)
        days = list_windows(list(counts.rows), PARAMS)[-1]
        read = Reference.read(reference, ["pilot", "license", *ignore])
        return compare_window(days, counts, read, PARAMS, seed=1)[0]

    return run


def list_named(window: Window) -> set[str]:
    return {name for test in window.related_alarms for name in test.columns}


def to_celsius(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(temperature=(rows["temperature"] - 32) / 1.8)


def swap_manufacturers(rows: pd.DataFrame) -> pd.DataFrame:
    swapped = {"AIRBUS": "BOEING", "BOEING": "AIRBUS"}
    return rows.assign(manufacturer=rows["manufacturer"].replace(swapped))


def test_a_changed_unit_that_looks_like_another_season_is_detected(
    compare: Compare, make_weather: MakeWeather
) -> None:
    window = compare(to_celsius(make_weather(7, seed=60, first=FIRST)))
    assert "temperature" not in {test.column for test in window.alarms}
    assert {"temperature", "dew_point"} <= list_named(window)
    assert window.drifts


def test_a_swap_of_equally_common_categories_is_detected(
    compare: Compare, make_weather: MakeWeather
) -> None:
    window = compare(swap_manufacturers(make_weather(7, seed=61, first=FIRST)))
    assert window.alarms == []
    (test,) = window.related_alarms
    assert test.columns == ("manufacturer", "model")
    assert test.unusual > 0.99
    assert test.unusual_before == 0


def test_a_shift_of_half_a_deviation_is_detected(
    compare: Compare, make_weather: MakeWeather
) -> None:
    rows = make_weather(7, seed=62, first=FIRST)
    window = compare(rows.assign(dew_point=rows["dew_point"] + 10))
    assert "dew_point" not in {test.column for test in window.alarms}
    assert "dew_point" in list_named(window)


@pytest.mark.parametrize("seed", range(5))
def test_rows_like_those_of_the_reference_fit(
    seed: int, compare: Compare, make_weather: MakeWeather
) -> None:
    window = compare(make_weather(7, seed=70 + seed, first=20 + 25 * seed))
    assert len(window.related) >= 4
    assert window.related_alarms == []


def test_an_alarm_names_both_columns(compare: Compare, make_weather: MakeWeather) -> None:
    window = compare(to_celsius(make_weather(7, seed=63, first=FIRST)))
    sentences = [test.sentence for test in window.related_alarms]
    assert any("'temperature' no longer fits 'dew_point' (" in text for text in sentences)


def test_ignored_columns_are_not_named(compare: Compare, make_weather: MakeWeather) -> None:
    broken = to_celsius(make_weather(7, seed=64, first=FIRST))
    named = {
        name for test in compare(broken, ignore=("temperature",)).related for name in test.columns
    }
    assert "temperature" not in named
    assert "manufacturer" in named


def test_columns_of_persons_have_no_relation(weather_reference: DailyReference) -> None:
    read = {name for relation in weather_reference.relations.every for name in relation.columns}
    assert {"temperature", "dew_point", "humidity", "manufacturer", "model"} <= read
    assert not read & {"pilot", "license"}


def test_too_few_rows_are_not_tested(compare: Compare, make_weather: MakeWeather) -> None:
    rows = make_weather(7, seed=65, first=FIRST)
    # Enough rows, and too few that have the number.
    sparse = rows.assign(temperature=rows["temperature"].where(np.arange(len(rows)) % 3 == 0))
    tested = [test.columns for test in compare(sparse).related]
    assert ("manufacturer", "model") in tested
    assert "temperature" not in [columns[0] for columns in tested]
    assert compare(rows.sample(499, random_state=1)).related == []


def test_rows_without_a_column_or_with_another_type_are_not_counted(
    weather_bundle: Bundle, weather_reference: DailyReference, make_weather: MakeWeather
) -> None:
    rows = make_weather(1, seed=66, first=FIRST)
    older = count_rows(weather_bundle, weather_reference, rows.drop(columns="model"))
    assert ("manufacturer", "model") not in older.relations
    mistyped = rows.assign(model=rows["model"].where(rows.index > 9, 7).astype(object))
    counts = count_rows(weather_bundle, weather_reference, mistyped)
    (counted,) = counts.relations["manufacturer", "model"].values()
    assert counted.sum() == len(rows) - 10


def test_a_bundle_of_an_older_version_has_no_related_columns(
    compare: Compare, weather_reference: DailyReference, make_weather: MakeWeather
) -> None:
    text = weather_reference.model_dump_json(exclude={"relations"})
    older = DailyReference.model_validate_json(text)
    rows = make_weather(7, seed=67, first=FIRST)
    window = compare(to_celsius(rows), reference=older)
    assert older.relations.every == ()
    assert (window.related, window.related_alarms) == ([], [])
    assert window.tests != []


def test_results_survive_json() -> None:
    test = RelatedTest(
        columns=("size", "shop"), value=0.3, limit=0.1, unusual=0.4, unusual_before=0.01
    )
    window = Window(start="2024-01-01", end="2024-01-07", rows=1000, enough=True, related=[test])
    assert Window.model_validate_json(window.model_dump_json()) == window
