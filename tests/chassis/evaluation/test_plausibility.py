"""The warning about a model that is too good, and the columns that it names."""

import numpy as np
import pandas as pd
import pytest

from mlchassis.evaluation.metrics import Floats, metrics_for
from mlchassis.evaluation.plausibility import find_implausible, rank_columns, spell_implausible
from mlchassis.evaluation.results import Implausible


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"roc_auc": 0.985, "log_loss": 0.1}, "roc_auc"),
        ({"roc_auc": 0.97}, None),
        ({"r2": 0.93, "rmse": 1.0}, "r2"),
        ({"r2": 0.85}, None),
        ({"roc_auc": float("nan")}, None),
    ],
)
def test_a_quality_that_is_seldom_honest_is_found(
    metrics: dict[str, float], expected: str | None
) -> None:
    assert find_implausible(metrics) == expected


@pytest.mark.one_python
@pytest.mark.parametrize("more", [2, 200])
@pytest.mark.parametrize("seed", range(3))
def test_the_columns_that_carry_most_are_named(seed: int, more: int) -> None:
    draw = np.random.default_rng(seed)
    names = [f"n{k}" for k in range(more)]
    rows = pd.DataFrame({name: draw.normal(size=800) for name in ("a", "b", *names)})
    target = 3 * rows["a"].to_numpy() + 2 * rows["b"].to_numpy()

    def score(asked: pd.DataFrame) -> Floats:
        return (3 * asked["a"] + 2 * asked["b"] + 0.01 * asked["n1"]).to_numpy()[:, None]

    metric = metrics_for("regression")["r2"]
    found = rank_columns(rows, list(rows.columns), metric, target, score, seed)
    assert found == ["a", "b"]


def test_the_warning_names_both_explanations_and_what_to_do() -> None:
    assert spell_implausible(None) == ""
    found = Implausible(metric="roc_auc", value=0.997, columns=["end", "event", "r_jail_in"])
    assert spell_implausible(found) == (
        "roc_auc 0.997 is implausibly high: either this problem is easy, or a column holds the "
        "answer. 'end', 'event', 'r_jail_in' carry most: if one of them is known only after the "
        "event, tag it leakage in contract.yaml, or adopt the table again with --leakage"
    )
    shown = spell_implausible(found.model_copy(update={"data": "validation"}))
    assert shown.startswith("roc_auc 0.997 on the validation data is implausibly high: ")
