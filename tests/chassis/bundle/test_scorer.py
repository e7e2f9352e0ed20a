"""Scoring: one row as in a batch, golden requests, and answers in the contract's words."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_service.features import compute_features
from mlchassis.bundle.bundle import Bundle, BundleError, Golden, load_bundle
from mlchassis.bundle.scorer import Answers, Scorer, load_pyfunc
from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.errors import ProjectError
from mlchassis.features.code import FeatureCode, load_feature_code
from mlchassis.features.encoding import Columns

OWN = load_feature_code(compute_features)
# Those of the fixture mixed_features.
FEATURES = FeatureCode(dict, "0" * 64)


@pytest.fixture(scope="module")
def bundle(bundle_path: Path) -> Bundle:
    return load_bundle(bundle_path, OWN)


@pytest.fixture(scope="module")
def scorer(bundle: Bundle) -> Scorer:
    return Scorer(bundle, OWN)


def changed(bundle: Bundle, **metadata: Any) -> Bundle:
    return Bundle(
        bundle.path,
        bundle.digest,
        bundle.metadata.model_copy(update=metadata),
        bundle.contract,
        bundle.model,
    )


def test_one_row_is_answered_as_in_a_batch(scorer: Scorer, contract: Contract) -> None:
    rows = generate_rows(contract, 60, seed=2)
    together = scorer.score_rows(rows)
    alone = [scorer.score_rows([row]) for row in rows]

    # Sums of float32 numbers are taken in another order for another number of rows.
    np.testing.assert_allclose(
        np.concatenate([answers.scores for answers in alone]), together.scores, atol=1e-6
    )
    assert [a.values[0] for a in alone] == pytest.approx(together.values.tolist(), abs=1e-6)


def test_rows_and_frames_are_answered_alike(scorer: Scorer, contract: Contract) -> None:
    rows = generate_rows(contract, 60, seed=2)
    frame = pd.DataFrame(rows).reindex(columns=[column.name for column in contract.features])

    np.testing.assert_array_equal(scorer.score_frame(frame).scores, scorer.score_rows(rows).scores)


def test_every_row_gets_a_probability_for_each_class(mixed_bundle: Bundle) -> None:
    scores = (
        Scorer(mixed_bundle, FEATURES)
        .score_rows(generate_rows(mixed_bundle.contract, 60, seed=2))
        .scores
    )

    assert scores.shape == (60, 2)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert ((scores >= 0) & (scores <= 1)).all()


def test_a_binary_answer_is_positive_from_the_threshold_on(mixed_bundle: Bundle) -> None:
    rows = generate_rows(mixed_bundle.contract, 60, seed=2)
    probabilities = Scorer(mixed_bundle, FEATURES).score_rows(rows).scores[:, 1]
    # The second one is met exactly, by the first row.
    for threshold in (0.0, float(probabilities[0]), 0.45, 1.0):
        answers = Scorer(changed(mixed_bundle, threshold=threshold), FEATURES).score_rows(rows)
        expected = [bool(p >= threshold) for p in probabilities]
        assert answers.values.tolist() == expected


def test_without_a_threshold_the_most_likely_class_is_the_answer(mixed_bundle: Bundle) -> None:
    answers = Scorer(
        changed(mixed_bundle, threshold=None, classes=["a", "b"]), FEATURES
    ).score_rows(generate_rows(mixed_bundle.contract, 60, seed=2))

    assert answers.values.tolist() == ["ab"[k] for k in answers.scores.argmax(axis=1)]
    assert len(set(answers.values)) == 2


def test_a_regression_answers_with_numbers_and_no_probabilities() -> None:
    answers = Answers(np.array([1.5, 2.5]), None)

    np.testing.assert_array_equal(answers.scores, [[1.5], [2.5]])


def test_the_golden_requests_of_a_good_bundle_are_answered_as_in_training(scorer: Scorer) -> None:
    scorer.check_golden()


@pytest.mark.parametrize("wrong", [0.001, float("nan")])
@pytest.mark.parametrize("position", [0, -1])
def test_an_answer_that_differs_from_trainings_is_refused(
    bundle: Bundle, wrong: float, position: int
) -> None:
    golden = list(bundle.metadata.golden)
    entry = golden[position]
    golden[position] = Golden(request=entry.request, scores=[s + wrong for s in entry.scores])

    with pytest.raises(BundleError, match="serving computes otherwise than training"):
        Scorer(changed(bundle, golden=golden), OWN).check_golden()


def test_a_feature_computed_otherwise_is_refused(mixed_bundle: Bundle) -> None:
    def shift(columns: Columns) -> Columns:
        return {**columns, "size": columns["size"] * 1.5}

    Scorer(mixed_bundle, FEATURES).check_golden()
    with pytest.raises(BundleError, match="golden request"):
        Scorer(mixed_bundle, FeatureCode(shift, FEATURES.digest)).check_golden()


def test_features_that_the_model_does_not_take_are_refused(
    mixed_bundle: Bundle,
) -> None:
    names = list(reversed(mixed_bundle.metadata.numeric_features))
    scorer = Scorer(changed(mixed_bundle, numeric_features=names), FEATURES)

    with pytest.raises(BundleError, match=r"features\.py gives other features"):
        scorer.score_rows(generate_rows(mixed_bundle.contract, 1, seed=2))


def test_mlflows_caller_may_leave_out_optional_columns(
    mixed_bundle: Bundle, mixed_bundle_path: Path
) -> None:
    model = load_pyfunc(str(mixed_bundle_path), FEATURES)
    rows = generate_rows(mixed_bundle.contract, 20, seed=2)
    bare = [{name: row[name] for name in ("size", "shop")} for row in rows]
    answers = Scorer(mixed_bundle, FEATURES).score_rows(bare)
    frame = model.predict(pd.DataFrame(bare))

    assert frame["prediction"].tolist() == answers.values.tolist()
    np.testing.assert_array_equal(frame.iloc[:, 1:].to_numpy(), answers.scores)
    assert list(frame.columns[1:]) == ["probability_false", "probability_true"]


def test_mlflows_caller_is_refused_what_breaks_the_contract_but_a_comparison_is_not(
    mixed_bundle: Bundle, mixed_bundle_path: Path
) -> None:
    model = load_pyfunc(str(mixed_bundle_path), FEATURES)
    rows = pd.DataFrame(generate_rows(mixed_bundle.contract, 3, seed=2))
    rows.loc[2, "size"] = None

    with pytest.raises(ProjectError, match="Row 2: 'size': "):
        model.predict(rows)
    assert len(model.get_raw_model().answer(rows)) == 3


def test_golden_answers_of_another_shape_are_refused(bundle: Bundle) -> None:
    golden = [entry.model_copy(update={"scores": []}) for entry in bundle.metadata.golden]
    with pytest.raises(BundleError, match="golden request 0 is answered with"):
        Scorer(changed(bundle, golden=golden), OWN).check_golden()
