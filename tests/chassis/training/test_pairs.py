"""Pairs of columns whose values go together."""

import numpy as np
import pytest

from mlchassis.bundle.relations import LIFTS, MIN_ROWS, PairRelation, find_levels
from mlchassis.training.daily_reference import pairs
from mlchassis.training.daily_reference.pairs import CodedColumn, find_pairs

ROWS = 6000
DAYS = np.arange(ROWS) * 60 // ROWS
ORDINARY = int(np.searchsorted(LIFTS, 1.0))


def make_column(name: str, cells: np.ndarray, *, is_categorical: bool = True) -> CodedColumn:
    return CodedColumn(name, cells, int(cells.max()) + 2, is_categorical)


def draw_cells(seed: int, size: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, size, ROWS)


def list_columns(found: tuple[PairRelation, ...]) -> list[tuple[str, str]]:
    return [pair.columns for pair in found]


def test_related_columns_are_found_and_independent_ones_are_not() -> None:
    model = draw_cells(1)
    columns = [
        make_column("manufacturer", model // 3),
        make_column("model", model),
        make_column("origin", draw_cells(2)),
        make_column("seats", model + 1, is_categorical=False),
        make_column("weight", model + 2, is_categorical=False),
    ]
    found = list_columns(find_pairs(columns, DAYS))
    assert ("manufacturer", "model") in found
    assert ("model", "seats") in found
    assert not any("origin" in names for names in found)
    # Numbers that belong together are found by their residuals.
    assert ("seats", "weight") not in found


@pytest.mark.parametrize(
    "columns",
    [
        [],
        [make_column("alone", draw_cells(3))],
        [make_column("constant", np.zeros(ROWS, dtype=int)), make_column("other", draw_cells(4))],
    ],
)
def test_without_related_columns_there_is_no_pair(columns: list[CodedColumn]) -> None:
    assert find_pairs(columns, DAYS) == ()


def test_columns_that_agree_on_one_day_alone_are_not_related() -> None:
    # Each day has its own two values: known days tell nothing of another one.
    columns = [make_column("batch", DAYS), make_column("lot", DAYS)]
    assert find_pairs(columns, DAYS) == ()


def test_the_level_of_a_row_comes_from_other_blocks_of_days() -> None:
    model = draw_cells(5)
    is_odd = (DAYS >= 10) & (DAYS < 13)
    maker = np.where(is_odd, 1 - model // 3, model // 3)
    (pair,) = find_pairs([make_column("maker", maker), make_column("model", model)], DAYS)
    counts = pair.signal.counts
    assert counts.sum(axis=1).tolist() == [100] * 60
    # By the counts of all days, the combinations of these three would not be as rare as that.
    assert counts[10:13, 0].tolist() == [100] * 3
    assert counts[:10, 0].sum() + counts[13:, 0].sum() == 0


def test_a_combination_of_few_rows_looks_like_one_that_never_occurred() -> None:
    counts = np.full((4, 4), 40)
    counts[0, 0] = 0
    never = find_levels(counts)[0, 0]
    counts[0, 0] = MIN_ROWS - 1
    assert find_levels(counts)[0, 0] == never
    counts[0, 0] = MIN_ROWS
    assert find_levels(counts)[0, 0] > never


def test_a_combination_of_rare_values_is_ordinary() -> None:
    counts = np.zeros((3, 3), dtype=np.int64)
    counts[0, 0] = 5000
    counts[1, 0] = 1
    counts[0, 1] = 1
    assert find_levels(counts)[1, 1] == ORDINARY


def test_pairs_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    model = draw_cells(6)
    columns = [make_column(f"c{number:02d}", model) for number in range(40)]
    assert 20 <= len(find_pairs(columns, DAYS)) <= pairs.MAX_PAIRS
    monkeypatch.setattr(pairs, "MAX_LINES", 180)
    assert len(find_pairs(columns, DAYS)) == 3


def test_rows_without_a_day_are_divided_by_their_position() -> None:
    model = draw_cells(7)
    columns = [make_column("maker", model // 3), make_column("model", model)]
    (pair,) = find_pairs(columns, np.zeros(ROWS, dtype=int))
    assert pair.signal.counts.sum() == ROWS
    assert pair.signal.counts[0, :2].sum() == 0
