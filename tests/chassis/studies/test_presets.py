"""Presets: the better alternative is chosen on the validation split, and written down."""

import numpy as np
import pandas as pd
import pytest

from mlchassis.config.params import Params, load_params
from mlchassis.contract.model import Contract, parse_contract
from mlchassis.data.tables import coerce
from mlchassis.features.code import FeatureCode
from mlchassis.project import Workspace
from mlchassis.studies.fitting import Problem
from mlchassis.studies.presets import compare_presets, list_values
from mlchassis.studies.results import Presets
from mlchassis.studies.search import __package__ as study
from mlchassis.studies.search import set_params

FEATURES = FeatureCode(dict, digest="0" * 64)
"""Each column as it is."""

PACKAGE = str(study).partition(".")[0]

CONTRACT = parse_contract("""
apiVersion: v3.2.0
version: 1.0.0
name: prices
schema:
  - properties:
      - {name: size, logicalType: number, required: true, tags: [feature]}
      - {name: shop, logicalType: string, required: true, tags: [feature]}
      - {name: price, logicalType: number, required: true, tags: [target]}
""")


def draw_rows(seed: int, rows: int = 1500) -> pd.DataFrame:
    """Prices whose logarithm is a sum; each of 100 shops has a level of its own."""
    draw = np.random.default_rng(seed)
    levels = np.random.default_rng(0).normal(size=100)
    size, shop = draw.normal(size=rows), draw.integers(0, 100, rows)
    price = np.exp(5 + 1.2 * size + levels[shop] + 0.3 * draw.normal(size=rows))
    frame = pd.DataFrame({"size": size, "shop": [f"shop {n}" for n in shop], "price": price})
    return coerce(frame, CONTRACT)


@pytest.fixture
def problem(fixed_params: Params) -> Problem:
    """The settings that `adopt` might draft, and the columns as they are for features."""
    trees = fixed_params.train.trees.model_copy(
        update={"learning_rate": 0.1, "min_rows_per_leaf": 200, "max_trees": 2000}
    )
    train = fixed_params.train.model_copy(update={"trees": trees, "min_category_count": 100})
    judge = fixed_params.judge.model_copy(update={"metric": "rmse"})
    return Problem(
        CONTRACT, fixed_params.model_copy(update={"train": train, "judge": judge}), FEATURES
    )


@pytest.fixture
def found(problem: Problem) -> Presets:
    train, validation = (problem.make_dataset(draw_rows(seed)) for seed in (1, 2))
    return compare_presets(problem, train, validation, print)


def test_the_alternative_that_is_better_on_validation_is_chosen(found: Presets) -> None:
    values = [trial.value for trial in found.tried]

    assert found.metric == "rmse"
    assert found.best == min(values) < 0.8 * values[0]
    assert found.settings["candidate.target_scale"] == "log"
    assert int(found.settings["min_category_count"] or 0) < 100
    assert int(found.settings["trees.min_rows_per_leaf"] or 0) < 200
    # Each setting is tried with the best of those before it.
    assert len(values) <= 10


def test_the_choice_is_the_same_again(problem: Problem, found: Presets) -> None:
    train, validation = (problem.make_dataset(draw_rows(seed)) for seed in (1, 2))
    assert compare_presets(problem, train, validation, lambda _: None) == found


def test_the_choice_is_written_into_the_parameters(project: Workspace, found: Presets) -> None:
    set_params(project.params, list_values(found))
    section = load_params(project.params).train

    assert section.candidate.target_scale == "log"
    assert section.min_category_count == found.settings["min_category_count"]


def test_classes_have_no_logarithm_and_numbers_alone_no_categories(problem: Problem) -> None:
    text = CONTRACT_OF_CLASSES
    contract: Contract = parse_contract(text)
    draw = np.random.default_rng(1)
    frames = [
        coerce(pd.DataFrame({"size": size, "late": size + draw.normal(size=400) > 0}), contract)
        for size in draw.normal(size=(2, 400))
    ]
    binary = Problem(contract, problem.params, FEATURES)
    train, validation = map(binary.make_dataset, frames)
    found = compare_presets(binary, train, validation, lambda _: None)

    assert found.metric == "log_loss"
    names = {name for trial in found.tried for name in trial.changes}
    assert names == {"trees.min_rows_per_leaf", "trees.leaves"}


CONTRACT_OF_CLASSES = """
apiVersion: v3.2.0
version: 1.0.0
name: classes
schema:
  - properties:
      - {name: size, logicalType: number, required: true, tags: [feature]}
      - {name: late, logicalType: boolean, required: true, tags: [target]}
"""
