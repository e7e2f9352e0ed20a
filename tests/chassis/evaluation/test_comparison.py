from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import ml_service
from ml_service.features import compute_features
from mlchassis.bundle.bundle import Bundle, load_bundle
from mlchassis.config.params import Params, load_params
from mlchassis.contract.model import Column, Contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.evaluation.comparison import (
    Challenge,
    NotComparableError,
    answer_rows,
    measure_gain,
    unseen_rows,
)
from mlchassis.features.code import load_feature_code

FEATURES = load_feature_code(compute_features)

ROOT = Path(ml_service.__file__).parents[2]


MOMENT = Column("moment", "timestamp", True, "", (), frozenset({"event_time"}))
LATE = Column("late", "boolean", False, "", (), frozenset({"target"}))


@pytest.fixture
def own(bundle_path: Path) -> Bundle:
    """A bundle for this project's contract."""
    return load_bundle(bundle_path, FEATURES)


@pytest.fixture
def bundle(own: Bundle) -> Bundle:
    """One whose rows have a time and two classes, whatever this project's have."""
    columns = (*own.contract.features, MOMENT, LATE)
    metadata = own.metadata.model_copy(update={"classes": [False, True]})
    return replace(own, contract=replace(own.contract, columns=columns), metadata=metadata)


def trained_on(bundle: Bundle, data_hash: str, seen_until: str | None) -> Bundle:
    changes = {"data_hash": data_hash, "seen_until": seen_until}
    return replace(bundle, metadata=bundle.metadata.model_copy(update=changes))


@pytest.fixture
def rows() -> pd.DataFrame:
    days = pd.date_range("2013-08-01", periods=31, tz="UTC")
    late = [True, False] * 15 + [True]
    return pd.DataFrame({MOMENT.name: days, LATE.name: late})


@pytest.fixture
def window_rows(contract: Contract) -> pd.DataFrame:
    return pd.DataFrame(generate_rows(contract, count=5, seed=1))


def test_models_of_the_same_data_are_compared_on_the_whole_window(
    bundle: Bundle, rows: pd.DataFrame
) -> None:
    assert len(unseen_rows(rows, bundle, bundle)) == 31


def test_rows_that_the_champion_saw_are_left_out(bundle: Bundle, rows: pd.DataFrame) -> None:
    candidate = trained_on(bundle, "1", "2013-07-31T23:00:00+00:00")
    champion = trained_on(bundle, "2", "2013-08-10T00:00:00+00:00")
    unseen = unseen_rows(rows, candidate, champion)
    assert len(unseen) == 21
    assert unseen.iloc[0, 0] == pd.Timestamp("2013-08-11", tz="UTC")


def test_without_a_time_it_cannot_be_told_what_the_champion_saw(
    bundle: Bundle, rows: pd.DataFrame
) -> None:
    candidate = trained_on(bundle, "1", "2013-07-31T23:00:00+00:00")
    with pytest.raises(NotComparableError, match="saw other rows"):
        unseen_rows(rows, candidate, trained_on(bundle, "2", None))


def test_where_the_same_split_decides_no_row_of_the_window_was_seen(
    bundle: Bundle, rows: pd.DataFrame
) -> None:
    candidate, champion = (
        replace(found, metadata=found.metadata.model_copy(update={"split": "seed 1, by visit"}))
        for found in (trained_on(bundle, number, None) for number in "12")
    )
    assert len(unseen_rows(rows, candidate, champion)) == 31
    changed = champion.metadata.model_copy(update={"split": "seed 2, by visit"})
    with pytest.raises(NotComparableError, match="go back to its seed and split"):
        unseen_rows(rows, candidate, replace(champion, metadata=changed))


def test_too_few_new_rows_are_no_ground_for_a_verdict(
    bundle: Bundle, rows: pd.DataFrame, tmp_path: Path
) -> None:
    params = load_params(ROOT / "params.yaml")
    params = params.model_copy(update={"split": params.split.model_copy(update={"min_rows": 32})})
    with pytest.raises(NotComparableError, match="Only 31 rows"):
        measure_gain(Challenge(bundle, bundle, FEATURES), rows, params, tmp_path)


def test_few_days_or_one_class_are_no_ground_for_a_verdict(
    bundle: Bundle, rows: pd.DataFrame, fixed_params: Params, tmp_path: Path
) -> None:
    by_time = fixed_params.split.model_copy(update={"strategy": "time", "group": None})
    params = fixed_params.model_copy(update={"split": by_time})
    many = pd.concat([rows] * params.split.min_rows, ignore_index=True)
    moment, late = rows.columns
    few = many[many[moment] < rows[moment][6]]
    for found, said in ((few, "from 6 days"), (many[many[late]], "none of class False")):
        with pytest.raises(NotComparableError, match=said):
            measure_gain(Challenge(bundle, bundle, FEATURES), found, params, tmp_path)


def test_a_champion_with_another_target_is_not_compared(
    bundle: Bundle, rows: pd.DataFrame, tmp_path: Path
) -> None:
    params = load_params(ROOT / "params.yaml")
    other = replace(bundle, metadata=bundle.metadata.model_copy(update={"classes": ["a", "b"]}))
    with pytest.raises(NotComparableError, match="another target"):
        measure_gain(Challenge(bundle, other, FEATURES), rows, params, tmp_path)


@pytest.mark.one_python
def test_a_version_whose_own_code_fails_is_called_by_its_name(
    own: Bundle, window_rows: pd.DataFrame, tmp_path: Path
) -> None:
    metadata = own.metadata.model_copy(update={"features_digest": "f" * 64})
    other = replace(own, path=tmp_path / "model" / "data" / "bundle", metadata=metadata)
    # Its features are of other code, and no code came along.
    with pytest.raises(NotComparableError, match=r"^Version 7's features\.py is another one"):
        answer_rows(other, window_rows, tmp_path, "Version 7's", FEATURES)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("{}")
    with pytest.raises(NotComparableError, match=r"^Version 7's own code cannot answer the test"):
        answer_rows(other, window_rows, tmp_path, "Version 7's", FEATURES)
