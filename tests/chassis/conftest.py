"""Fixtures for all folders: the contract, a small bundle, and the modules in `fixtures`."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import ml_service
from ml_service.features import compute_features
from mlchassis.bundle.bundle import Bundle, load_bundle
from mlchassis.config.params import JudgeParams, Params, load_params
from mlchassis.contract.model import Contract, parse_contract
from mlchassis.features.code import FeatureCode, load_feature_code
from mlchassis.testing.bundle import make_bundle

# One fixture of a session serves all folders. A conftest per folder would make it once per folder.
pytest_plugins = (
    "fixtures.monitoring",
    "fixtures.pipeline",
    "fixtures.service",
    "fixtures.settings",
    "fixtures.weather",
)

ROOT = Path(ml_service.__file__).parents[2]

# A contract of the tests' own: this project's may have no number, or no required column.
MIXED = """
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - name: size
        logicalType: number
        required: true
        tags: [feature]
        logicalTypeOptions: {minimum: 0, maximum: 100}
      - {name: price, logicalType: number, tags: [feature]}
      - {name: pieces, logicalType: integer, tags: [feature]}
      - {name: shop, logicalType: string, required: true, tags: [feature]}
      - {name: color, logicalType: string, tags: [feature], enum: [{value: red}, {value: blue}]}
      - {name: gift, logicalType: boolean, tags: [feature]}
      - {name: returned, logicalType: boolean, tags: [target]}
"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the settings of the shell that runs the tests."""
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "SERVICE_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def contract_text() -> str:
    return (ROOT / "contract.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def contract(contract_text: str) -> Contract:
    return parse_contract(contract_text)


@pytest.fixture
def fixed_params() -> Params:
    """This project's parameters, with the costs and limits for which the tests' facts are made."""
    own = load_params(ROOT / "params.yaml")
    limits = JudgeParams(
        metric="roc_auc",
        min_gain=0.0,
        max_regression=0.005,
        max_calibration_error=0.08,
        max_slice_regression=0.25,
        max_contamination=0.1,
        max_excess_cost=0.001,
        max_staleness_days=14,
        max_latency_us=5000.0,
    )
    costs = {"cost_false_positive": 1.0, "cost_false_negative": 3.0}
    return own.model_copy(update={"judge": limits, "train": own.train.model_copy(update=costs)})


@pytest.fixture(scope="session")
def bundle_path(contract_text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle for this project's contract; leave it as it is."""
    path = tmp_path_factory.mktemp("bundles") / "bundle"
    return make_bundle(path, contract_text, load_feature_code(compute_features))


@pytest.fixture(scope="session")
def mixed_contract() -> Contract:
    """A contract with numbers, strings and required columns, whatever this project predicts."""
    return parse_contract(MIXED)


@pytest.fixture(scope="session")
def mixed_features() -> FeatureCode:
    """Features of the mixed contract: its columns as they are."""
    return FeatureCode(dict, "0" * 64)


@pytest.fixture(scope="session")
def mixed_bundle_path(
    mixed_features: FeatureCode, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A small bundle for the mixed contract; leave it as it is."""
    return make_bundle(tmp_path_factory.mktemp("mixed") / "bundle", MIXED, mixed_features)


@pytest.fixture
def mixed_bundle(mixed_bundle_path: Path, mixed_features: FeatureCode) -> Bundle:
    """The bundle for the mixed contract."""
    return load_bundle(mixed_bundle_path, mixed_features)


@pytest.fixture(scope="session")
def bundle_maker() -> Callable[..., Path]:
    """The function, since a test cannot import what is here."""
    return make_bundle
