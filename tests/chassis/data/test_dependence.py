"""Rows that are not independent: planted signs are found, and chance is none."""

import numpy as np
import pandas as pd
import pytest

from mlchassis.data.dependence import find_things, measure_neighbors


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("classes", [False, True])
def test_rows_in_any_order_have_no_like_neighbors(seed: int, classes: bool) -> None:
    draw = np.random.default_rng(seed)
    target = draw.integers(3, size=800).astype(float) if classes else draw.lognormal(size=800)
    assert measure_neighbors(target, classes=classes) is None


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("classes", [False, True])
def test_rows_in_order_of_time_have_like_neighbors(seed: int, classes: bool) -> None:
    draw = np.random.default_rng(seed)
    level = np.cumsum(draw.normal(size=2000)) / 5 + draw.normal(size=2000)
    target = (level > np.median(level)).astype(float) if classes else level
    found = measure_neighbors(target, classes=classes)
    assert found is not None
    assert found > 0.1


def test_a_file_that_is_sorted_by_its_outcome_says_nothing() -> None:
    number = np.sort(np.random.default_rng(1).normal(size=500))
    assert measure_neighbors(number, classes=False) is None
    assert measure_neighbors(number[::-1], classes=False) is None
    assert measure_neighbors(np.repeat([0.0, 2.0, 1.0], 200), classes=True) is None


def make_visits(seed: int, things: int = 300, rows: int = 600) -> pd.DataFrame:
    """Draw visits, under two per patient on average, whose name and order say nothing."""
    draw = np.random.default_rng(seed)
    who = draw.integers(things, size=rows)
    return pd.DataFrame(
        {
            "s": pd.array(draw.permutation(things)[who], dtype="Int64"),
            "sex": draw.choice(["m", "f"], things)[who],
            "age": draw.integers(20, 90, rows),
            "price": pd.array(draw.integers(0, 250, rows), dtype="Int64"),
            "place": draw.choice([f"p{k}" for k in range(100)], rows),
        }
    )


@pytest.mark.parametrize("seed", range(20))
def test_what_names_a_thing_is_found_by_its_values_alone(seed: int) -> None:
    visits = make_visits(seed)
    names = {name: int(visits[name].nunique()) for name in ("s", "price", "place", "age")}
    assert list(find_things(visits, names)) == ["s"]
    # Without the thing nothing is left that repeats.
    shuffled = visits.assign(sex=visits["sex"].sample(frac=1, random_state=seed).to_numpy())
    assert find_things(shuffled, names) == {}


@pytest.mark.parametrize("seed", range(20))
def test_a_measure_in_whole_numbers_that_tells_a_category_names_no_thing(seed: int) -> None:
    draw = np.random.default_rng(seed)
    kind = draw.choice(["a", "b", "c"], 600, p=[0.4, 0.3, 0.3])
    middle = pd.Series(kind).map({"a": 100, "b": 150, "c": 200}).to_numpy()
    length = pd.array(middle + draw.integers(-20, 20, 600), dtype="Int64")
    table = pd.DataFrame({"length": length, "kind": kind})
    assert find_things(table, {"length": int(table["length"].nunique())}) == {}


def test_numbers_of_things_in_order_of_a_category_are_found() -> None:
    draw = np.random.default_rng(1)
    who = draw.integers(300, size=900)
    town = pd.Series(np.array(["a", "b", "c"]).repeat(100)[who])
    sex = pd.Series(draw.choice(["f", "m"], 300)[who])
    table = pd.DataFrame({"bird": pd.array(who, dtype="Int64"), "town": town, "sex": sex})
    assert list(find_things(table, {"bird": int(table["bird"].nunique())})) == ["bird"]
