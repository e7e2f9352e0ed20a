import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_service.features import compute_features
from mlchassis.bundle.bundle import BundleError, write_bundle
from mlchassis.bundle.scorer import Answers, Scorer
from mlchassis.contract.model import Contract
from mlchassis.errors import ProjectError
from mlchassis.features.code import load_feature_code
from mlchassis.features.encoding import Columns
from mlchassis.serving.loading import AnswerError, BatchResponse, LoadedModel, load_model
from mlchassis.serving.protocols.predict import PredictProtocol
from mlchassis.serving.protocols.types import RawRequest

FEATURES = load_feature_code(compute_features)


def ask(model: LoadedModel, rows: list[dict[str, Any]]) -> BatchResponse:
    return model.answer(PredictProtocol(), RawRequest(json.dumps({"records": rows}).encode(), "r"))


@pytest.fixture
def copied_store(store: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(store, tmp_path / "deployed"))


def test_an_answer_says_what_the_scorer_says(
    model: LoadedModel, rows: list[dict[str, Any]]
) -> None:
    expected = model.scorer.score_rows(rows)
    document = json.loads(ask(model, rows).bodies[0])
    found = document["predictions"]
    assert [answer["prediction"] for answer in found] == expected.values.tolist()
    if expected.probabilities is not None:
        probabilities = [list(answer["probabilities"].values()) for answer in found]
        assert probabilities == expected.probabilities.tolist()
    assert document["model"] == model.identity.model_dump()


def test_absent_and_null_are_answered_alike(
    model: LoadedModel, contract: Contract, rows: Any
) -> None:
    optional = [column.name for column in contract.features if not column.required]
    absent = {name: value for name, value in rows[0].items() if name not in optional}
    null = {**absent, **dict.fromkeys(optional)}
    first, second = (json.loads(ask(model, [row]).bodies[0]) for row in (absent, null))
    assert first == second


def test_a_personal_column_is_left_out_of_the_log(model: LoadedModel, rows: Any) -> None:
    contract = model.contract
    personal = {contract.features[0].name, *([contract.key.name] if contract.key else [])}
    columns = tuple(
        replace(column, roles=column.roles | {"pii"}) if column.name in personal else column
        for column in contract.columns
    )
    bundle = replace(model.scorer.bundle, contract=replace(contract, columns=columns))
    guarded = replace(model, scorer=Scorer(bundle, FEATURES))
    (line,) = ask(guarded, rows[:1]).log_lines.splitlines()
    logged = json.loads(line)
    assert logged["key"] is None
    assert contract.features[0].name not in logged["inputs"]
    assert len(logged["inputs"]) == len(contract.features) - 1


def test_an_answer_that_is_no_number_is_never_given(model: LoadedModel, rows: Any) -> None:
    class Broken(Scorer):
        def score(self, columns: Columns) -> Answers:
            return Answers(np.array([np.nan]), np.array([[np.nan, np.nan]]))

    broken = replace(model, scorer=Broken(model.scorer.bundle, model.scorer.features))
    with pytest.raises(AnswerError):
        ask(broken, rows[:1])


def test_an_empty_store_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="make run"):
        load_model(tmp_path, FEATURES, max_rows=1)


@pytest.mark.parametrize("name", ["model.onnx", "bundle.json", "contract.yaml"])
def test_one_changed_byte_in_a_deployed_bundle_is_refused(copied_store: Path, name: str) -> None:
    (path,) = copied_store.glob(f"bundles/*/{name}")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=name):
        load_model(copied_store, FEATURES, max_rows=1)


def test_another_bundle_in_the_place_of_the_deployed_one_is_refused(
    copied_store: Path, model: LoadedModel, contract_text: str
) -> None:
    bundle = model.scorer.bundle
    other = bundle.metadata.model_copy(update={"name": "another"})
    write_bundle(copied_store / "bundles" / bundle.digest, bundle.model, contract_text, other)
    with pytest.raises(BundleError, match="not the one that was deployed"):
        load_model(copied_store, FEATURES, max_rows=1)


def test_a_bundle_whose_golden_answers_differ_is_refused(
    tmp_path: Path, model: LoadedModel, contract_text: str
) -> None:
    bundle = model.scorer.bundle
    first, *others = bundle.metadata.golden
    lie = first.model_copy(update={"scores": [score + 0.25 for score in first.scores]})
    metadata = bundle.metadata.model_copy(update={"golden": [lie, *others]})
    digest = write_bundle(tmp_path / "fresh", bundle.model, contract_text, metadata)
    (tmp_path / "bundles").mkdir()
    (tmp_path / "fresh").rename(tmp_path / "bundles" / digest)
    pointer = {"digest": digest, "model_name": "m", "model_version": "1", "deployed_at": "now"}
    (tmp_path / "current.json").write_text(json.dumps(pointer), encoding="utf-8")
    with pytest.raises(BundleError, match="golden"):
        load_model(tmp_path, FEATURES, max_rows=1)
