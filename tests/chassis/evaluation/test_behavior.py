from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ml_service
from mlchassis.contract.model import parse_contract
from mlchassis.data.tables import coerce
from mlchassis.evaluation.behavior import BehaviorError, load_tests, run_tests
from mlchassis.evaluation.metrics import Floats

ROOT = Path(ml_service.__file__).parents[2]
CONTRACT = parse_contract("""
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - name: floor
        logicalType: integer
        required: true
        tags: [feature]
        logicalTypeOptions: {minimum: 0, maximum: 9}
      - name: area
        logicalType: number
        tags: [feature]
        logicalTypeOptions: {minimum: 10, maximum: 300}
      - {name: sold, logicalType: boolean, tags: [target]}
""")
TESTS = """
tests:
  - name: small
    kind: minimum_functionality
    given: {area: 20.0, floor: 9}
    below: 0.5
    proportion: 0.95
  - {name: meter, kind: invariance, change: {area: {add: 0.5}}, within: 0.02, proportion: 0.99}
  - name: larger
    kind: direction
    given: {area: 50.0}
    change: {area: 150.0}
    score: up
    proportion: 0.99
"""


@pytest.fixture
def rows() -> pd.DataFrame:
    generator = np.random.default_rng(1)
    columns = {
        "floor": generator.integers(10, size=3000),
        "area": generator.uniform(10, 300, size=3000),
        "sold": generator.choice([True, False], size=3000),
    }
    return coerce(pd.DataFrame(columns), CONTRACT)


class Model:
    """More area, less floor: a linear model whose weights differ a little from seed to seed."""

    def __init__(self, seed: int = 0, *, area: float = 0.02) -> None:
        generator = np.random.default_rng(seed)
        self.area = area * generator.uniform(0.9, 1.1)
        self.floor = -0.2 * generator.uniform(0.9, 1.1)

    def __call__(self, frame: pd.DataFrame) -> Floats:
        logit = self.area * (frame["area"] - 120) + self.floor * (frame["floor"] - 5)
        probability = 1 / (1 + np.exp(-logit.to_numpy(dtype=np.float64, na_value=0.0)))
        return np.column_stack([1 - probability, probability])


def ask(tmp_path: Path, rows: pd.DataFrame, model: Model, text: str = TESTS) -> dict[str, bool]:
    place = tmp_path / "behavior.yaml"
    place.write_text(text, encoding="utf-8")
    facts = run_tests(load_tests(place), rows, CONTRACT, model)
    assert all(test.rows >= 1000 for test in facts)
    return {test.name: test.proportion >= test.limit for test in facts}


@pytest.mark.parametrize("seed", range(20))
def test_a_model_that_behaves_passes(tmp_path: Path, rows: pd.DataFrame, seed: int) -> None:
    assert ask(tmp_path, rows, Model(seed)) == {"small": True, "meter": True, "larger": True}


def test_a_model_that_was_turned_round_is_caught(tmp_path: Path, rows: pd.DataFrame) -> None:
    found = ask(tmp_path, rows, Model(area=-0.02))
    assert found == {"small": False, "meter": True, "larger": False}


def test_a_model_that_jumps_is_caught(tmp_path: Path, rows: pd.DataFrame) -> None:
    assert not ask(tmp_path, rows, Model(area=0.5))["meter"]


def test_a_shift_stays_within_the_contract(tmp_path: Path, rows: pd.DataFrame) -> None:
    test = "name: up, kind: direction, change: {floor: {add: 1}}, score: down, proportion: 0.8"
    text = "tests: [{" + test + "}]"
    # A tenth of the rows is on the highest floor already.
    assert ask(tmp_path, rows, Model(), text) == {"up": True}
    assert ask(tmp_path, rows, Model(), text.replace("0.8", "0.95")) == {"up": False}


def test_another_class_can_be_meant(tmp_path: Path, rows: pd.DataFrame) -> None:
    text = TESTS.replace("score: up", "score: down\n    of: false")
    assert ask(tmp_path, rows, Model(), text)["larger"]


@pytest.mark.parametrize("text", ["tests:\n", "tests: []\n"])
def test_nothing_declared_is_nothing_asked(tmp_path: Path, rows: pd.DataFrame, text: str) -> None:
    assert ask(tmp_path, rows, Model(), text) == {}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("area: 20.0", "size: 20.0", "'small' sets 'size', which is not a feature"),
        ("area: 20.0", "sold: true", "'small' sets 'sold', which is not a feature"),
        ("area: 20.0", "area: 5.0", r"'small' makes rows that break .* area: minimum 10"),
        ("area: 20.0", "area: wide", r"'small' makes rows that break the contract: area: "),
        ("score: up", "score: up\n    of: maybe", "class 'maybe', which the contract does"),
        ("proportion: 0.95", "proportion: 95", "less than or equal to 1"),
        ("kind: invariance", "kind: invariant", "tests.1"),
        ("score: up", "score: sideways", "tests.2.direction.score: input should be 'up' or 'down'"),
        ("tests:", "tests: {", "cannot be read: line "),
        ("tests:", "until: 2020-99-99\ntests:", "cannot be read"),
    ],
)
def test_a_test_that_cannot_be_asked_is_named(
    tmp_path: Path, rows: pd.DataFrame, old: str, new: str, sentence: str
) -> None:
    with pytest.raises(BehaviorError, match=sentence):
        ask(tmp_path, rows, Model(), TESTS.replace(old, new))


def test_the_projects_own_tests_can_be_read() -> None:
    names = [test.name for test in load_tests(ROOT / "behavior.yaml")]
    assert len(names) == len(set(names))
