"""Numbers that other columns predict."""

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from mlchassis.bundle.cells import Cells
from mlchassis.bundle.daily_counts import DailyReference
from mlchassis.bundle.relations import NumberRelation
from mlchassis.training.daily_reference import numbers
from mlchassis.training.daily_reference.numbers import (
    RelatedColumns,
    divide_residuals,
    find_numbers,
)
from mlchassis.training.daily_reference.pairs import CodedColumn

ROWS = 6000
DAYS = np.arange(ROWS) * 60 // ROWS
Values = dict[str, np.ndarray]
Describe = Callable[..., DailyReference]
MakeWeather = Callable[..., pd.DataFrame]


def draw(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, ROWS)


def find(values: Values, strings: Values | None = None) -> dict[str, NumberRelation]:
    coded = {
        name: CodedColumn(name, cells, int(cells.max()) + 2, is_categorical=True)
        for name, cells in (strings or {}).items()
    }
    return {each.column: each for each in find_numbers(RelatedColumns(values, coded, DAYS))}


def test_a_number_is_predicted_by_products_of_others() -> None:
    first = draw(1)
    second = draw(2)
    found = find({"area": (first + 5) * (second + 5), "width": first, "height": second})
    area = found["area"]
    assert area.prediction.linear.keys() == {"width", "height"}
    cells = area.assign({"area": np.full(1, 5.0), "width": np.zeros(1), "height": np.zeros(1)}, {})
    assert cells.tolist() == [0]


def test_a_prediction_survives_the_sorted_keys_of_a_bundle() -> None:
    values = {"area": (draw(1) + 5) * (draw(2) + 5), "width": draw(1), "height": draw(2)}
    relation = find(values)["area"]
    text = json.dumps(relation.model_dump(mode="json"), sort_keys=True)
    again = NumberRelation.model_validate_json(text)
    assert again.assign(values, {}).tolist() == relation.assign(values, {}).tolist()


def test_a_number_is_predicted_by_a_category() -> None:
    city = np.random.default_rng(3).integers(0, 8, ROWS)
    distance = np.arange(8)[city] ** 2 * 100.0 + draw(4)
    found = find({"distance": distance, "noise": draw(5)}, {"city": city})
    assert found["distance"].names == ("distance", "city")
    assert "noise" not in found


def test_the_partner_is_the_column_that_moves_the_prediction_most() -> None:
    strong = draw(6)
    weak = draw(7)
    found = find({"sum": 3 * strong + weak, "strong": strong, "weak": weak})
    assert found["sum"].names == ("sum", "strong")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"alone": draw(8)},
        {"first": draw(9), "second": draw(10)},
        {"constant": np.full(ROWS, 3.0), "other": draw(11)},
        {"empty": np.full(ROWS, np.nan), "other": draw(12)},
        {"few": np.where(np.arange(ROWS) < 4, draw(13), np.nan), "other": draw(14)},
        {"huge": draw(15).clip(-1.5, 1.5) * 1e308, "other": draw(16)},
    ],
)
def test_without_related_columns_nothing_is_found(values: Values) -> None:
    assert find(values) == {}


def test_residuals_come_from_days_that_the_fit_has_not_seen() -> None:
    # A new value each day: the fit of other days cannot know its effect.
    effect = np.random.default_rng(17).normal(0, 1, 60)
    assert find({"number": effect[DAYS]}, {"day": DAYS}) == {}


def test_residuals_are_counted_by_day_and_a_missing_number_has_none() -> None:
    first = draw(18)
    other = first * 2 + draw(19) / 10
    other[:50] = np.nan
    found = find({"first": first, "other": other})
    counts = found["other"].signal.counts
    assert counts.sum(axis=1).tolist() == [100] * 60
    assert counts[:, -1].tolist() == [50] + [0] * 59


def test_a_missing_predictor_is_no_reason_for_an_error() -> None:
    first = draw(20)
    gone = np.where(draw(21) > 1.5, np.nan, first)
    found = find({"first": first, "gone": gone})
    cells = found["first"].assign({"first": first[:3], "gone": np.full(3, np.nan)}, {})
    assert cells.max() < found["first"].signal.cells.size - 1


def test_ranges_ignore_what_is_too_small_to_matter() -> None:
    cells = divide_residuals(np.linspace(-1e-9, 1e-9, 100))
    assert cells.edges == (0.005,)
    assert cells.assign(np.array([0.0, 1e-12, 0.1, np.nan])).tolist() == [0, 0, 1, 2]


def test_relations_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    first = draw(22)
    values = {f"n{number:02d}": first + draw(number) / 10 for number in range(18)}
    found = find(values)
    assert len(found) == numbers.MAX_RELATIONS
    assert all(len(each.prediction.linear) == numbers.MAX_NUMBERS for each in found.values())
    monkeypatch.setattr(numbers, "MAX_LINES", 120)
    assert len(find(values)) == 2


def test_the_reference_does_not_depend_on_threads(
    describe_flights: Describe, make_weather: MakeWeather, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = make_weather(60, seed=2)
    used: set[int] = set()

    def divide(residuals: np.ndarray) -> Cells:
        used.update(library["num_threads"] for library in threadpool_info())
        return divide_residuals(residuals)

    monkeypatch.setattr(numbers, "divide_residuals", divide)
    texts = set()
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            texts.add(describe_flights(rows).model_dump_json())
    assert used == {1}
    assert len(texts) == 1


@pytest.mark.parametrize("names", [["model"], ["temperature"], ["note"], ["gate", "fee", "note"]])
def test_a_table_without_related_columns_has_a_reference(
    names: list[str], describe_flights: Describe, make_weather: MakeWeather
) -> None:
    reference = describe_flights(make_weather(20, seed=3), names)
    assert list(reference.features) == names
    assert reference.relations.every == ()


def test_words_alone_have_pairs_and_no_number(
    describe_flights: Describe, make_weather: MakeWeather
) -> None:
    reference = describe_flights(make_weather(20, seed=4), ["manufacturer", "model", "gate"])
    assert [pair.columns for pair in reference.relations.pairs] == [("manufacturer", "model")]
    assert reference.relations.numbers == ()
