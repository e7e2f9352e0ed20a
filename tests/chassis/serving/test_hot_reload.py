import asyncio
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi import FastAPI

from ml_service.features import compute_features
from mlchassis.bundle.bundle import Bundle, deploy_bundle, write_bundle
from mlchassis.config.settings import ServiceSettings
from mlchassis.contract.model import Contract
from mlchassis.features.code import FeatureCode, load_feature_code
from mlchassis.serving import hot_reload
from mlchassis.serving.app import create_app
from mlchassis.serving.loading import LoadedModel, load_model
from mlchassis.serving.logs.operational import make_logger
from mlchassis.serving.metrics import Metrics

FEATURES = load_feature_code(compute_features)

Deploy = Callable[..., str]

PATIENCE = 20.0  # seconds


@pytest.fixture
def settings(settings: ServiceSettings, store: Path, tmp_path: Path) -> ServiceSettings:
    own = Path(shutil.copytree(store, tmp_path / "deployed"))
    return settings.model_copy(update={"store": own, "watch_seconds": 0.0})


@pytest.fixture
def app(settings: ServiceSettings, operational_log: Any) -> FastAPI:
    return create_app(
        settings,
        load_model(settings.store, FEATURES, settings.max_rows),
        make_logger(operational_log),
    )


@pytest.fixture
def deploy(
    settings: ServiceSettings, model: LoadedModel, contract_text: str, tmp_path: Path
) -> Deploy:
    """Deploy a changed bundle; return its digest."""

    def deploy_changed(
        contract: str = contract_text, features: FeatureCode = FEATURES, **changes: Any
    ) -> str:
        bundle: Bundle = model.scorer.bundle
        path = tmp_path / "fresh"
        write_bundle(path, bundle.model, contract, bundle.metadata.model_copy(update=changes))
        return deploy_bundle(path, settings.store, "the-model", "4", features).digest

    return deploy_changed


def poll(app: FastAPI) -> str:
    """Poll the store once; return the version that answers then."""
    asyncio.run(app.state.hot_reloader.poll())
    return str(app.state.holder.current.identity.version)


def test_a_deployed_bundle_takes_the_place_of_the_old_one(
    app: FastAPI, deploy: Deploy, rows: list[dict[str, Any]], exchange: type[Any]
) -> None:
    body = json.dumps({"records": rows}).encode()
    assert poll(app) == "3"
    digest = deploy(threshold=0.9)
    assert poll(app) == "4"
    answer = asyncio.run(exchange(app, [body]).run()).document
    assert (answer["model"]["version"], answer["model"]["digest"]) == ("4", digest)


def test_what_the_service_says_of_itself_changes_with_the_model(
    app: FastAPI, deploy: Deploy, contract_text: str
) -> None:
    document = yaml.safe_load(contract_text)
    name = next(iter(app.openapi()["components"]["schemas"]["Record"]["properties"]))
    column = next(c for c in document["schema"][0]["properties"] if c["name"] == name)
    column["description"] = "Now otherwise"
    deploy(yaml.safe_dump(document, sort_keys=False))
    assert poll(app) == "4"
    fields = app.openapi()["components"]["schemas"]["Record"]["properties"]
    assert fields[name]["description"] == "Now otherwise"


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda path: (path / "model.onnx").write_bytes(b"?"), "does not match its SHA-256"),
        (lambda path: (path / "contract.yaml").unlink(), "lacks contract.yaml"),
    ],
)
def test_a_broken_bundle_is_refused_and_the_old_one_answers_on(
    app: FastAPI,
    deploy: Deploy,
    settings: ServiceSettings,
    operational_log: Any,
    break_it: Callable[[Path], None],
    sentence: str,
) -> None:
    digest = deploy(threshold=0.9)
    break_it(settings.store / "bundles" / digest)
    assert [poll(app), poll(app)] == ["3", "3"]
    # Judged once, not at every poll.
    assert operational_log.getvalue().count(sentence) == 1


def test_golden_requests_that_lie_are_refused(
    app: FastAPI, deploy: Deploy, model: LoadedModel, operational_log: Any
) -> None:
    golden = model.scorer.bundle.metadata.golden
    lie = golden[0].model_copy(update={"scores": [score + 0.1 for score in golden[0].scores]})
    deploy(golden=[lie, *golden[1:]])
    assert poll(app) == "3"
    assert "golden request 0" in operational_log.getvalue()


def test_a_bundle_of_other_feature_code_is_refused(
    app: FastAPI,
    deploy: Deploy,
    operational_log: Any,
    rows: list[dict[str, Any]],
    exchange: type[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deploy(features=FeatureCode(compute_features, "0" * 64), features_digest="0" * 64)
    assert poll(app) == "3"
    assert "was trained with another features.py" in operational_log.getvalue()
    body = json.dumps({"records": rows}).encode()
    assert asyncio.run(exchange(app, [body]).run()).document["model"]["version"] == "3"


def test_a_bundle_whose_contract_todays_clients_do_not_keep_is_refused(
    app: FastAPI, deploy: Deploy, contract: Contract, contract_text: str, operational_log: Any
) -> None:
    name = contract.features[0].name
    document = yaml.safe_load(contract_text)
    (column,) = (c for c in document["schema"][0]["properties"] if c["name"] == name)
    digests = []
    for required in (False, True):
        column["required"] = required
        digests.append(deploy(yaml.safe_dump(document)))
        poll(app)
    assert app.state.holder.current.identity.digest == digests[0]
    said = operational_log.getvalue()
    shown = json.dumps(name)[1:-1]
    assert f"column '{shown}' is now required; inform them, then restart the service." in said


def test_a_pointer_that_cannot_be_read_or_is_gone_changes_nothing(
    app: FastAPI, settings: ServiceSettings, operational_log: Any
) -> None:
    pointer = settings.store / "current.json"
    pointer.write_bytes(b"{")
    assert poll(app) == "3"
    assert "not a pointer to a bundle" in operational_log.getvalue()
    pointer.unlink()
    assert poll(app) == "3"


def test_the_document_has_the_title_and_the_version_of_the_new_contract(
    app: FastAPI, deploy: Deploy, contract_text: str
) -> None:
    document = yaml.safe_load(contract_text)
    document |= {"version": "9.8.7", "description": {"purpose": "Now otherwise"}}
    deploy(yaml.safe_dump(document, sort_keys=False), contract_version="9.8.7")
    before = app.openapi()["info"]
    assert poll(app) == "4"
    info = app.openapi()["info"]
    assert (info["title"], info["version"]) == (before["title"], "9.8.7")
    assert info["description"] == "Now otherwise"


def test_a_refused_bundle_is_tried_again_later(
    app: FastAPI, deploy: Deploy, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A shared folder may show the pointer before the bundle, and files may have run out.
    place = settings.store / "bundles" / deploy(threshold=0.9)
    place.rename(settings.store / "late")
    assert poll(app) == "3"
    (settings.store / "late").rename(place)
    assert poll(app) == "3"
    monkeypatch.setattr(hot_reload, "RETRY_SECONDS", 0.0)
    (settings.store / "current.json").touch()
    place.rename(settings.store / "late")
    assert poll(app) == "3"
    (settings.store / "late").rename(place)
    assert [poll(app), poll(app)] == ["4", "4"]


def test_polling_goes_on_after_a_swap_that_failed_halfway(
    settings: ServiceSettings, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where the folder of the shared metrics is full.
    log = io.StringIO()
    model = load_model(settings.store, FEATURES, settings.max_rows)
    app = create_app(settings.model_copy(update={"watch_seconds": 0.001}), model, make_logger(log))
    show = Metrics.show_model
    failures = [OSError("SECRET")]

    def fail_once(metrics: Metrics, shown: LoadedModel) -> None:
        if failures:
            raise failures.pop()
        show(metrics, shown)

    monkeypatch.setattr(Metrics, "show_model", fail_once)

    async def scenario() -> None:
        async with app.router.lifespan_context(app):
            deploy(threshold=0.9)
            while failures:
                await asyncio.sleep(0.001)
            digest = deploy(threshold=0.8)
            async with asyncio.timeout(PATIENCE):
                while app.state.holder.current.identity.digest != digest:
                    await asyncio.sleep(0.001)

    asyncio.run(scenario())
    assert '"error":"OSError"' in log.getvalue()
    assert "SECRET" not in log.getvalue()
