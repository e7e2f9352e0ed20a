"""Counts of the log: by day, by column, and the losses of the deployed model."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlchassis.bundle.bundle import Bundle
from mlchassis.bundle.daily_counts import DailyReference
from mlchassis.contract.model import Column
from mlchassis.monitoring.counting import LogCounter, LogCounts, read_values
from mlchassis.monitoring.labels import Labels
from mlchassis.monitoring.prediction_log import LogFacts, read_log

NOW = datetime(2024, 6, 1, tzinfo=UTC)
CountLog = Callable[..., LogCounts]


@pytest.fixture
def count_log(monitored_bundle: Bundle, daily_reference: DailyReference) -> CountLog:
    """Function that counts a folder's log."""

    def count(folder: Path, labels: Labels, chunk_rows: int = 1000) -> LogCounts:
        counter = LogCounter(monitored_bundle, daily_reference, labels)
        facts = LogFacts()
        for chunk in read_log(folder, monitored_bundle.contract, NOW, facts, chunk_rows):
            counter.add(chunk)
        return counter.counts

    return count


def test_counts_do_not_depend_on_the_size_of_chunks(
    tmp_path: Path,
    make_rows: Callable[..., pd.DataFrame],
    write_log: Callable[..., Path],
    count_log: CountLog,
) -> None:
    write_log(tmp_path, make_rows(3, seed=1))
    whole = count_log(tmp_path, {})
    parts = count_log(tmp_path, {}, chunk_rows=7)
    assert whole.rows == parts.rows
    for name in ("size", "price", "season", "shop"):
        for day, counts in whole.features[name].items():
            assert counts.tolist() == parts.features[name][day].tolist()
            assert counts.sum() == 200


def test_columns_of_persons_are_not_counted(
    tmp_path: Path,
    make_rows: Callable[..., pd.DataFrame],
    write_log: Callable[..., Path],
    count_log: CountLog,
) -> None:
    write_log(tmp_path, make_rows(1, seed=1))
    assert sorted(count_log(tmp_path, {}).features) == ["price", "season", "shop", "size"]


def test_losses_are_joined_by_key_and_count_labeled_rows_alone(
    tmp_path: Path,
    make_rows: Callable[..., pd.DataFrame],
    write_log: Callable[..., Path],
    count_log: CountLog,
) -> None:
    rows = make_rows(1, seed=1)
    write_log(tmp_path, rows)
    labeled = rows[:50]
    labels = dict(zip(labeled["order_id"], labeled["returned"].astype(float), strict=True))
    (day,) = count_log(tmp_path, {**labels, "another": 1.0}).losses.values()
    positive = 1 / (1 + np.exp(-(labeled["size"] - 50) / 10))
    assert (day.answered, day.labeled) == (200, 50)
    assert day.loss == pytest.approx(((positive - labeled["returned"]) ** 2).sum())
    assert day.estimated / day.answered == pytest.approx(0.21, abs=0.02)


def test_answers_of_another_model_have_no_loss_and_their_inputs_count(
    tmp_path: Path,
    make_rows: Callable[..., pd.DataFrame],
    write_log: Callable[..., Path],
    count_log: CountLog,
) -> None:
    write_log(tmp_path, make_rows(1, seed=1), digest="f" * 64)
    counts = count_log(tmp_path, {})
    assert counts.prediction == {}
    assert counts.losses == {}
    assert counts.features["size"]["2024-01-01"].sum() == 200


def test_a_column_that_an_older_contract_lacked_is_not_missing(
    tmp_path: Path,
    make_rows: Callable[..., pd.DataFrame],
    write_log: Callable[..., Path],
    count_log: CountLog,
) -> None:
    write_log(
        tmp_path, make_rows(1, seed=1), "old", inputs={"size": 50.0}, contract_version="1.0.0"
    )
    counts = count_log(tmp_path, {})
    assert counts.features["size"]["2024-01-01"].sum() == 200
    assert "price" not in counts.features


def test_values_of_another_type_are_left_out() -> None:
    roles = frozenset({"feature"})
    number = Column("size", "number", False, "", (), roles)  # type: ignore[arg-type]
    values, readable = read_values(number, [1, "two", None, 2.5])
    assert readable == [True, False, True, True]
    assert values.tolist() == pytest.approx([1, np.nan, 2.5], nan_ok=True)
