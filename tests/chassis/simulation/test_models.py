"""Scores of answers: one number, or the probabilities in the contract's order of classes."""

import numpy as np
import pytest

from mlchassis.contract.model import parse_contract
from mlchassis.simulation.models import read_scores
from mlchassis.simulation.service import Answer

CONTRACT = """
apiVersion: v3.2.0
name: orders
version: 1.0.0
schema:
  - properties:
      - {{name: size, logicalType: number, tags: [feature]}}
      - {}
"""
NUMBER = "{name: days_kept, logicalType: number, tags: [target]}"
GRADES = (
    "{name: grade, logicalType: string, tags: [target], "
    "enum: [{value: low}, {value: middle}, {value: high}]}"
)


def test_numbers_are_their_own_scores() -> None:
    answers = [Answer("answered", 2), Answer("answered", 0.5)]
    scores = read_scores(answers, parse_contract(CONTRACT.format(NUMBER)))
    np.testing.assert_array_equal(scores, [[2.0], [0.5]])


def test_probabilities_have_the_order_of_the_contract() -> None:
    given = {"high": 0.7, "low": 0.1, "middle": 0.2}
    contract = parse_contract(CONTRACT.format(GRADES))
    scores = read_scores([Answer("answered", "high", given)], contract)
    assert contract.classes == ("low", "middle", "high")
    assert scores.tolist() == [pytest.approx([0.1, 0.2, 0.7])]
