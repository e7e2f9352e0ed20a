import base64
import hashlib
import json
import re
from dataclasses import replace
from typing import Any

from fastapi.testclient import TestClient

from ml_service.features import compute_features
from mlchassis.bundle.column_reference import CategoricalReference
from mlchassis.bundle.scorer import Scorer
from mlchassis.config.settings import ServiceSettings
from mlchassis.contract.model import Column, Contract
from mlchassis.features.code import load_feature_code
from mlchassis.serving.app import create_app
from mlchassis.serving.loading import LoadedModel
from mlchassis.serving.ui.page import describe

FEATURES = load_feature_code(compute_features)


def read_facts(page: str) -> Any:
    (found,) = re.findall(r'<script type="application/json" id="facts">(.*?)</script>', page)
    return json.loads(found)


def test_the_form_has_every_feature_with_its_limits_and_an_example(
    client: TestClient, contract: Contract
) -> None:
    facts = read_facts(client.get("/").text)
    assert [column["name"] for column in facts["columns"]] == [c.name for c in contract.features]
    for shown, column in zip(facts["columns"], contract.features, strict=True):
        assert (shown["kind"], shown["minimum"]) == (column.kind, column.minimum)
        assert (facts["example"].get(column.name) is None) == (not column.examples)


def test_words_that_training_saw_are_suggested_unless_they_tell_of_a_person(
    model: LoadedModel, contract: Contract
) -> None:
    word = Column("a word", "string", False, "", (), frozenset({"feature"}))
    bundle = model.scorer.bundle
    shares = {"seen": 0.7, "also seen": 0.3}
    reference = {word.name: CategoricalReference(missing=0, shares=shares)}
    seen = replace(bundle, metadata=bundle.metadata.model_copy(update={"reference": reference}))

    def suggest(word: Column) -> list[list[str]]:
        own = replace(contract, columns=(*contract.columns, word))
        scorer = Scorer(replace(seen, contract=own), FEATURES)
        columns = describe(replace(model, scorer=scorer))["columns"]
        return [column["suggestions"] for column in columns if column["suggestions"]]

    assert suggest(word) == [["also seen", "seen"]]
    assert suggest(replace(word, roles=word.roles | {"pii"})) == []


def test_the_card_names_metrics_as_people_do(model: LoadedModel) -> None:
    bundle = model.scorer.bundle
    metrics = {"roc_auc": 0.71234, "ece": 0.02, "cost_of_a_call": 1.5}
    metadata = bundle.metadata.model_copy(update={"validation_metrics": metrics})
    scorer = Scorer(replace(bundle, metadata=metadata), FEATURES)
    card = describe(replace(model, scorer=scorer))["card"]
    assert card["ROC AUC (validation)"] == "0.7123"
    assert card["Expected calibration error (validation)"] == "0.02"
    assert card["cost_of_a_call (validation)"] == "1.5"


def test_the_example_is_answered(client: TestClient) -> None:
    example = read_facts(client.get("/").text)["example"]
    answer = client.post("/predict", json={"records": [example], "explain": True})
    assert answer.status_code == 200


def test_the_page_may_run_its_own_script_and_style_and_nothing_else(client: TestClient) -> None:
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.search(r' (style|on\w+)="', answer.text)
    addresses = set(re.findall(r"https?://[^\s\"')]+", answer.text))
    assert addresses == {"http://www.w3.org/2000/svg"}


def test_a_description_cannot_leave_its_place(
    settings: ServiceSettings, model: LoadedModel
) -> None:
    text = "</script><script>alert(1)</script><!--"
    bundle = model.scorer.bundle
    hostile = replace(bundle, contract=replace(bundle.contract, description=text))
    app = create_app(settings, replace(model, scorer=Scorer(hostile, FEATURES)))
    page = TestClient(app).get("/").text
    assert "alert(1)</script>" not in page
    assert read_facts(page)["purpose"] == text
