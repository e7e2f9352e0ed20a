from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pytest
from fastapi.testclient import TestClient

from mlchassis.bundle.bundle import Bundle
from mlchassis.bundle.column_reference import NumericReference
from mlchassis.bundle.scorer import Answers, Scorer
from mlchassis.contract.model import Column, Contract, Role
from mlchassis.contract.schemas import generate_rows
from mlchassis.features.code import FeatureCode
from mlchassis.features.encoding import Columns, columns_from_rows
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.protocols import explanation
from mlchassis.serving.protocols.explanation import MOST_ROWS, explain_answers
from mlchassis.training.reference import describe_columns

FEATURE: frozenset[Role] = frozenset({"feature"})
SHOP = Contract(
    "shop",
    "1.0.0",
    "",
    (
        Column("size", "number", True, "", (), FEATURE),
        Column("color", "string", False, "", (), FEATURE),
        Column("price", "number", False, "", (), frozenset({"target"})),
    ),
)


FEATURES = FeatureCode(dict, digest="0" * 64)


class Known(Scorer):
    """A model of the size alone, of which it gives a tenth."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle, FEATURES)
        self.calls = 0

    def score(self, columns: Columns) -> Answers:
        self.calls += 1
        found = np.nan_to_num(columns["size"]) / 10
        return Answers(found, None)


def test_only_the_input_that_the_model_uses_moves_the_answer(model: LoadedModel) -> None:
    seen = columns_from_rows(SHOP, generate_rows(SHOP, count=200, seed=1))
    reference = describe_columns(seen, SHOP)
    bundle = model.scorer.bundle
    metadata = bundle.metadata.model_copy(update={"reference": reference})
    scorer = Known(replace(bundle, contract=SHOP, metadata=metadata))
    rows = generate_rows(SHOP, count=5, seed=11)
    answers = scorer.score_rows(rows)
    scorer.calls = 0
    found = explain_answers(scorer, columns_from_rows(SHOP, rows), answers)
    assert scorer.calls == 1
    assert isinstance(reference["size"], NumericReference)
    usual = np.array(reference["size"].quantiles)[[2, 6, 10, 14, 18]].mean()
    for row, explained in zip(rows, found, strict=True):
        first, other = explained["effects"]
        assert (first["input"], other["input"]) == ("size", "color")
        assert first["effect"] == pytest.approx((row["size"] - usual) / 10)
        assert other["effect"] == pytest.approx(0)


def test_a_wide_table_is_explained_in_blocks_of_inputs(
    model: LoadedModel,
    contract: Contract,
    rows: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scorer = model.scorer
    columns = columns_from_rows(contract, rows)
    answers = scorer.score(columns)
    whole = explain_answers(scorer, columns, answers)
    sizes: list[int] = []
    score = scorer.score

    def measure(replaced: Columns) -> Answers:
        sizes.append(sum(map(len, replaced.values())))
        return score(replaced)

    monkeypatch.setattr(scorer, "score", measure)
    # Each input is replaced by six values at most.
    limit = 2 * 6 * len(rows) * len(columns)
    monkeypatch.setattr(explanation, "BLOCK_CELLS", limit)
    for block, one in zip(explain_answers(scorer, columns, answers), whole, strict=True):
        expected = {each["input"]: each["effect"] for each in one["effects"]}
        found = {each["input"]: each["effect"] for each in block["effects"]}
        assert found == pytest.approx(expected)
    assert len(sizes) > 1
    assert max(sizes) <= limit


def test_a_model_without_usual_values_has_no_effects(model: LoadedModel) -> None:
    bundle = model.scorer.bundle
    required = tuple(replace(c, required=True) for c in bundle.contract.columns)
    metadata = bundle.metadata.model_copy(update={"reference": {}})
    bare = replace(bundle, contract=replace(bundle.contract, columns=required), metadata=metadata)
    scorer = Scorer(bare, model.scorer.features)
    columns = columns_from_rows(bare.contract, [bundle.metadata.golden[0].request])
    (found,) = explain_answers(scorer, columns, scorer.score(columns))
    assert found["effects"] == []


def test_every_input_is_named_once_the_largest_effect_first(
    model: LoadedModel, contract: Contract, rows: list[dict[str, Any]]
) -> None:
    scorer = model.scorer
    columns = columns_from_rows(contract, rows)
    for explained in explain_answers(scorer, columns, scorer.score(columns)):
        sizes = [abs(found["effect"]) for found in explained["effects"]]
        assert sizes == sorted(sizes, reverse=True)
        names = {found["input"] for found in explained["effects"]}
        assert names == {column.name for column in contract.features}


def test_an_explained_answer_is_the_answer(
    mixed_client: TestClient, mixed_rows: list[dict[str, Any]]
) -> None:
    plain, explained = (
        mixed_client.post("/predict", json={"records": mixed_rows, **extra}).json()["predictions"]
        for extra in ({}, {"explain": True})
    )
    for one, other in zip(plain, explained, strict=True):
        assert other.pop("explanation")["effects"]
        assert one == other


def test_more_rows_than_can_be_explained_are_refused(
    mixed_client: TestClient, mixed_rows: list[dict[str, Any]]
) -> None:
    many = {"records": mixed_rows[:1] * (MOST_ROWS + 1), "explain": True}
    answer = mixed_client.post("/predict", json=many)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/explain"
    # What the document calls valid is taken, and nothing else.
    document = mixed_client.get("/openapi.json").json()
    schema = {**document["components"]["schemas"]["PredictRequest"], **document}
    for body in (many, {**many, "explain": False}, {**many, "records": mixed_rows[:1] * MOST_ROWS}):
        valid = jsonschema.Draft202012Validator(schema).is_valid(body)
        assert valid == (mixed_client.post("/predict", json=body).status_code == 200)
