"""The command `compact-log`: the folder of the settings and the retention of the parameters."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from mlchassis.cli import app as cli
from mlchassis.config.params import MonitorParams
from mlchassis.prediction_log.segments import name_host


@pytest.mark.parametrize("days", [None, 7])
def test_the_folder_of_the_service_is_compacted_and_old_rows_go_as_params_allow(
    days: int | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.mkdir()
    for day in ("2020-01-01", datetime.now(UTC).date().isoformat()):
        name = f"{day.replace('-', '')}T000000Z-{name_host()}-7-01234567.jsonl"
        line = {
            "format": 1,
            "time": f"{day}T00:00:00+00:00",
            "request_id": "r",
            "row": 0,
            "key": None,
            "event_time": None,
            "inputs": {},
            "prediction": 1.0,
            "probabilities": None,
            "digest": "d",
            "model_version": "1",
            "contract_version": "1.0.0",
        }
        (log / name).write_text(json.dumps(line) + "\n")
    params = SimpleNamespace(monitor=MonitorParams(retention_days=days))
    monkeypatch.setattr(cli, "read_project", lambda: (None, params))
    monkeypatch.setenv("SERVICE_LOG_DIRECTORY", str(log))
    done = CliRunner().invoke(cli.app, ["compact-log"])
    expired = 0 if days is None else 1
    assert done.output == (
        f"compacted 2 segments into 2 Parquet files in {log}; 0 are in use, {expired} files were "
        "too old\n"
    )
    assert len(list(log.glob("*.parquet"))) == 2 - expired
    assert not list(log.glob("*.jsonl"))
