"""No skew between the service's own log and the raw data, for every kind of column."""

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from mlchassis.bundle.bundle import deploy_bundle, load_deployed, read_pointer
from mlchassis.config.params import Params
from mlchassis.config.settings import ServiceSettings
from mlchassis.config.source_params import FilesParams
from mlchassis.monitoring.prediction_log import LogFacts, read_log
from mlchassis.monitoring.results import Skew
from mlchassis.monitoring.skew import SkewCheck, read_raw
from mlchassis.monitoring.source_rows import SourceRows
from mlchassis.project import Project, Workspace
from mlchassis.serving.app import create_app
from mlchassis.serving.loading import load_model
from mlchassis.serving.logs.operational import make_logger
from mlchassis.testing.bundle import make_bundle

CONTRACT = """
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - {name: order_id, logicalType: string, required: true, tags: [key]}
      - {name: size, logicalType: number, tags: [feature]}
      - {name: pieces, logicalType: integer, tags: [feature]}
      - {name: gift, logicalType: boolean, tags: [feature]}
      - {name: shop, logicalType: string, tags: [feature]}
      - {name: packed_at, logicalType: timestamp, tags: [feature]}
      - {name: returned, logicalType: boolean, tags: [target]}
"""
ROWS = 10_000
REQUEST_ROWS = 500


def compute_features(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    features = dict(columns)
    features["size_per_piece"] = columns["size"] / columns["pieces"]
    features["hour"] = np.mod(columns["packed_at"], 86400) / 3600
    return features


def draw_orders() -> pd.DataFrame:
    """Orders with missing values, long numbers and text beyond ASCII."""
    draw = np.random.default_rng(70)
    start = pd.Timestamp("2024-03-01", tz="UTC")
    orders = pd.DataFrame(
        {
            "order_id": [f"K-{number}" for number in range(ROWS)],
            "size": np.exp(draw.normal(0, 8, ROWS)),
            "pieces": draw.integers(1, 2**40, ROWS),
            "gift": draw.random(ROWS) < 0.5,
            "shop": draw.choice(["north", "süd", "Ost & West", '"q", x'], ROWS),
            "packed_at": start + pd.to_timedelta(draw.integers(0, 10**13, ROWS), unit="us"),
            "returned": draw.random(ROWS) < 0.5,
        }
    ).astype({"pieces": "Int64", "gift": "boolean"})
    for name in ("size", "pieces", "gift", "shop", "packed_at"):
        orders.loc[draw.random(ROWS) < 0.05, name] = None
    return orders


def request_predictions(
    workspace: Workspace, settings: ServiceSettings, rows: pd.DataFrame
) -> None:
    """Have all rows predicted by the service, which logs them."""
    model = load_model(settings.store, workspace.features, max_rows=settings.max_rows)
    app = create_app(settings, model, make_logger(io.StringIO()))
    inputs = rows.drop(columns="returned").astype({"packed_at": object})
    inputs["packed_at"] = inputs["packed_at"].map(pd.Timestamp.isoformat, na_action="ignore")
    records = inputs.astype(object).where(inputs.notna(), None).to_dict("records")
    with TestClient(app) as client:
        for first in range(0, ROWS, REQUEST_ROWS):
            body = {"instances": records[first : first + REQUEST_ROWS]}
            response = client.post("/invocations", json=body)
            assert response.status_code == 200, response.text


def test_rows_that_the_service_logs_have_the_features_of_their_raw_data(
    fixed_params: Params, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path, Project(compute_features))
    bundle_path = make_bundle(tmp_path / "bundle", CONTRACT, workspace.features)
    deploy_bundle(bundle_path, workspace.store, "orders", "1", workspace.features)
    settings = ServiceSettings(
        store=workspace.store,
        log_directory=workspace.predictions,
        max_rows=REQUEST_ROWS,
        allowed_hosts=("testserver",),
    )
    rows = draw_orders()
    request_predictions(workspace, settings, rows)
    rows.to_csv(tmp_path / "raw.csv", index=False)

    pointer = read_pointer(workspace.store)
    assert pointer is not None
    bundle = load_deployed(workspace.store, pointer.digest, workspace.features)
    source = FilesParams(kind="files", path="raw.csv")
    params = fixed_params.model_copy(update={"source": source})
    raw = read_raw(SourceRows(workspace, params, bundle.contract))
    check = SkewCheck(bundle, workspace.features, raw, ROWS)
    now = datetime.now(UTC)
    for chunk in read_log(workspace.predictions, bundle.contract, now, LogFacts()):
        check.add(chunk)
    assert check.compare("") == Skew(rows=ROWS)
