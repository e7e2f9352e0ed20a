"""The command `monitor`: its exit code and the outputs of its step."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from mlchassis.cli import app as cli
from mlchassis.monitoring import monitor as verb
from mlchassis.monitoring.results import EXIT_CODES, Status


@pytest.mark.parametrize("status", list(EXIT_CODES))
def test_a_step_has_the_status_as_output_and_as_exit_code(
    status: Status, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    report = SimpleNamespace(status=status, sentence="Two\nlines.")
    monkeypatch.setattr(verb, "monitor", lambda *_: report)
    paths = SimpleNamespace(reports=tmp_path)
    monkeypatch.setattr(cli, "read_project", lambda: (paths, None))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    done = CliRunner().invoke(cli.app, ["monitor"])
    assert done.exit_code == EXIT_CODES[status], done.output
    lines = (tmp_path / "outputs").read_text().splitlines()
    assert lines[:2] == [f"status<<{lines[2]}", status]
    assert lines[3:6] == [f"sentence<<{lines[6]}", "Two", "lines."]
