"""The switches of what dependencies would report home."""

import os

import pytest

from mlchassis.telemetry import silence_telemetry

SWITCHES = {
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",
}


@pytest.mark.parametrize("before", [None, "0", "false"])
def test_every_switch_is_set_whatever_the_environment_said(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SWITCHES:
        monkeypatch.setenv(name, "")
        if before is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, before)
    silence_telemetry()

    assert {name: os.environ[name] for name in SWITCHES} == SWITCHES
