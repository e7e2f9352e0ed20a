import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ml_service.features import compute_features
from mlchassis.batch.replay import ReplayError, replay_request
from mlchassis.bundle.bundle import deploy_bundle
from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.errors import ProjectError
from mlchassis.features.code import load_feature_code
from mlchassis.prediction_log.compaction import compact_log
from mlchassis.prediction_log.segments import name_host
from mlchassis.serving.loading import load_model
from mlchassis.serving.protocols.predict import PredictProtocol
from mlchassis.serving.protocols.types import RawRequest

FEATURES = load_feature_code(compute_features)


@pytest.fixture
def store(bundle_path: Path, tmp_path: Path) -> Path:
    place = tmp_path / "deployed"
    deploy_bundle(bundle_path, place, "the-model", "3", FEATURES)
    return place


@pytest.fixture
def logged(store: Path, contract: Contract, tmp_path: Path) -> Path:
    """A log in which request `mine` has two rows, behind a torn line."""
    served = load_model(store, FEATURES, max_rows=5)
    body = json.dumps({"records": generate_rows(contract, count=2, seed=3)}).encode()
    lines = served.answer(PredictProtocol(), RawRequest(body, "mine")).log_lines
    folder = tmp_path / "predictions"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(b'{"request_id":"mine"\n' + lines)
    (folder / "b.jsonl").write_bytes(lines.replace(b'"mine"', b'"mine2"'))
    return folder


def change(folder: Path, **changes: Any) -> None:
    path = folder / "a.jsonl"
    lines = [json.loads(line) | changes for line in path.read_text().splitlines()[1:]]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_every_stage_of_every_row_is_shown_and_the_answer_comes_out_again(
    store: Path, logged: Path, contract: Contract
) -> None:
    lines = list(replay_request(store, logged, "mine", FEATURES))
    assert [line for line in lines if line.startswith("row ")][1].startswith("row 1, answered 20")
    assert lines.count("  the same answer to the bit") == 2
    for stage in ("input", "column", "feature", "answered", "now"):
        assert any(line.startswith(f"  {stage} ") for line in lines)
    for column in contract.features:
        shown = f"  input     {column.name} "
        assert sum(line.startswith(shown) for line in lines) == 2


def test_a_request_in_compacted_and_nested_segments_is_found(store: Path, logged: Path) -> None:
    segment = logged / "host-2" / f"20130101T000000Z-{name_host()}-7-01234567.jsonl"
    segment.parent.mkdir()
    (logged / "a.jsonl").rename(segment)
    before = list(replay_request(store, logged, "mine", FEATURES))
    compact_log(logged, None, datetime.now(UTC))
    assert not segment.exists()
    assert list(replay_request(store, logged, "mine", FEATURES)) == before


def test_another_answer_is_a_failure(store: Path, logged: Path, contract: Contract) -> None:
    if not contract.classes:
        change(logged, prediction=1e9)
    else:
        change(logged, probabilities={"x": 1.0}, prediction=contract.classes[0])
        change(logged, probabilities=dict.fromkeys(map(str, contract.classes), 2.0))
    with pytest.raises((ReplayError, KeyError)):
        list(replay_request(store, logged, "mine", FEATURES))


def test_an_unknown_request_is_refused_with_what_to_do(store: Path, logged: Path) -> None:
    with pytest.raises(ProjectError, match="X-Request-ID"):
        list(replay_request(store, logged, "min", FEATURES))


def test_a_bundle_that_is_gone_is_refused(store: Path, logged: Path) -> None:
    change(logged, digest="0" * 64)
    with pytest.raises(ProjectError, match="make deploy"):
        list(replay_request(store, logged, "mine", FEATURES))


@pytest.mark.parametrize(
    ("change_line", "place"),
    [
        (lambda line: line.pop("digest"), "digest: field required"),
        (lambda line: line.update(row="first"), "row: input should"),
        (lambda line: line.update(inputs=[1]), "inputs: input should"),
        (lambda line: line.update(probabilities={"x": "much"}), r"probabilities\.x: input should"),
    ],
)
def test_a_line_that_no_service_wrote_is_named(
    store: Path, logged: Path, change_line: Callable[[dict[str, Any]], object], place: str
) -> None:
    line = json.loads((logged / "a.jsonl").read_text().splitlines()[1])
    change_line(line)
    (logged / "foreign.jsonl").write_text(json.dumps(line) + "\n")
    sentence = rf"^A line in .* about request 'mine' is not of a service \({place}.*; look"
    with pytest.raises(ProjectError, match=sentence):
        list(replay_request(store, logged, "mine", FEATURES))
