"""A prediction as a line of the log."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from mlchassis.contract.model import Contract
from mlchassis.features.encoding import pick_values
from mlchassis.serving.protocols.decoding import are_plain, define_record
from mlchassis.serving.protocols.messages import ModelIdentity
from mlchassis.serving.protocols.types import Prediction, PredictRequest

LOG_FORMAT = 1


class LogLine(msgspec.Struct, gc=False):
    """Fields of a prediction-log line, in order."""

    format: int
    time: str
    request_id: str
    row: int
    key: Any
    event_time: Any
    inputs: Any
    prediction: Any
    probabilities: Any
    digest: str
    model_version: str
    contract_version: str
    trace_id: str | msgspec.UnsetType = msgspec.UNSET


class LineWriter:
    """Writer of one model's log lines, without personal columns."""

    def __init__(self, contract: Contract, identity: ModelIdentity) -> None:
        loggable = {c.name: i for i, c in enumerate(contract.request_columns)}
        for column in contract.pii:
            loggable.pop(column.name, None)
        inputs = [c.name for c in contract.features if c.name in loggable]
        self._inputs = name_values(inputs)
        self._pick = pick_values([loggable[name] for name in inputs])
        self._key, self._time = (
            None if c is None else loggable.get(c.name) for c in (contract.key, contract.event_time)
        )
        self._origin = (identity.digest, identity.version, identity.contract_version)
        self._encoder = msgspec.json.Encoder()

    def write(self, requests: Sequence[PredictRequest], predictions: Sequence[Prediction]) -> bytes:
        """A line per row of all these requests, each with its line end."""
        time, key, moment = datetime.now(UTC).isoformat(), self._key, self._time
        remaining = iter(predictions)
        return self._encoder.encode_lines(
            [
                LogLine(
                    LOG_FORMAT,
                    time,
                    request.request_id,
                    i,
                    None if key is None else row[key],
                    None if moment is None else row[moment],
                    self._inputs(*self._pick(row)),
                    prediction.prediction,
                    prediction.probabilities or None,
                    *self._origin,
                    request.trace_id or msgspec.UNSET,
                )
                for request in requests
                for i, (row, prediction) in enumerate(zip(request.rows, remaining, strict=False))
            ]
        )


def name_values(names: Sequence[str]) -> Callable[..., Any]:
    """A function of as many values, which gives what JSON shows as an object of these names."""
    if are_plain(names):
        record: Callable[..., Any] = define_record("Named", dict.fromkeys(names, (Any,)))
        return record
    return lambda *values: dict(zip(names, values, strict=True))


def list_values(named: Any) -> Sequence[Any]:
    """The values that were named."""
    return tuple(named.values()) if isinstance(named, dict) else msgspec.structs.astuple(named)
