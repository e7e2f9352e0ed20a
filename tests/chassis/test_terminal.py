"""Terminal output: no control characters, no line breaks from values, no secrets."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import ml_service
from ml_service.features import compute_features
from mlchassis.cli.app import app
from mlchassis.cli.launch import Composition
from mlchassis.features.code import load_feature_code
from mlchassis.printable import LONGEST_VALUE, printable, show_value
from mlchassis.terminal import confirm, echo, fail, open_progress

OWN = Composition("ml_service.project:project", "ml_service.service:service")
FEATURES = load_feature_code(compute_features)

HOSTILE = [
    "\x1b]0;owned title\x07",
    "\x1b[2K\r  the same answer",
    "line\nrow 7, answered FORGED by version 99",
    "\x9b31mred",
    "a\u2028b\u2029c\x85d\x0bd\x0c",
    "invoice\u202etxt.exe\u2066\u2069\u200f",
    "back\x08space\x7f\x00",
    "\ud800 lone",
]


def is_clean(text: str) -> bool:
    return all(sign.isprintable() or sign in "\n\xa0\u3000" for sign in text)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_is_printed_as_its_escapes(
    value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    echo(f"column {value}")
    fail(f"column {value}")
    shown = capsys.readouterr()
    for stream in (shown.out, shown.err):
        assert len(stream.splitlines()) == 1
        assert is_clean(stream.replace("\x1b[31m", "").replace("\x1b[0m", ""))


def test_words_of_any_script_stay_as_they_are() -> None:
    text = "Größe, naïve, 東京, 🎉, 12\xa0000 €, שלום"
    assert printable(text) == text


INVISIBLE = ["\u115f", "\u1160", "\u3164", "\uffa0", "\u2800", "\u034f", "\u17b4", "\u180b"]


@pytest.mark.parametrize("sign", [*INVISIBLE, "\ufe0f", "\U000e0101", "\u200d", "\u200c"])
def test_a_sign_that_shows_as_nothing_is_printed_as_its_escape(sign: str) -> None:
    escape = sign.encode("unicode_escape").decode()
    assert printable(f"ad{sign}min") == f"ad{escape}min"
    assert printable(sign) == escape
    assert printable(f"ü{sign}{sign}").count(escape) >= 1


def test_signs_that_change_the_letter_before_them_stay() -> None:
    text = "❤️, ❤️\u200d🔥, 👩\u200d🔬, نمی\u200cشود, 葛\U000e0100"
    assert printable(text) == text


def test_a_value_in_an_error_is_quoted_and_short() -> None:
    assert show_value("a\nb") == r"'a\nb'"
    assert len(show_value("x" * 1000)) == LONGEST_VALUE + 2


def test_a_question_is_printed_without_control_characters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert confirm("Leave 'a\x1b[2K\rb' out?", default=False)
    assert is_clean(capsys.readouterr().out)


def test_an_error_about_a_table_is_printed_without_control_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(ml_service.__file__).parents[2]
    for name in ("params.yaml", "contract.yaml", "dvc.yaml"):
        (tmp_path / name).write_bytes((root / name).read_bytes())
    name = "a\x1b]0;pwn\x07"
    pd.DataFrame([[1, 2], [3, 4]], columns=[name, name]).to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, ["adopt", "t.csv", name, "--force"], obj=OWN)
    assert shown.exit_code == 1
    assert "2 columns named" in shown.stderr
    assert is_clean(shown.output)


def test_trace_prints_what_a_client_sent_as_escapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle_path: Path
) -> None:
    """A record with forged lines in a value: nothing of it reaches the terminal raw."""
    from mlchassis.bundle.bundle import deploy_bundle, load_bundle

    bundle = load_bundle(bundle_path, FEATURES)
    pointer = deploy_bundle(bundle_path, tmp_path / "deployed", bundle.metadata.name, "1", FEATURES)
    golden = bundle.metadata.golden[0]
    words = [c.name for c in bundle.contract.features if c.kind == "string"]
    forged = "A\x1b]0;owned\x07\x1b[2K\r  the same answer to 0.0e+00\nrow 7, answered FORGED"
    inputs = {**dict.fromkeys(c.name for c in bundle.contract.features), **golden.request}
    inputs |= dict.fromkeys(words, forged)
    entry = {
        "format": 1,
        "time": "2026-01-01T00:00:00+00:00\x1b[2K",
        "request_id": "abc",
        "row": 0,
        "inputs": inputs,
        "prediction": 1.0,
        "probabilities": None,
        "digest": pointer.digest,
        "model_version": "1\x1b[2K",
        "contract_version": "1\n2",
    }
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions/a.jsonl").write_text(json.dumps(entry) + "\n")
    monkeypatch.setenv("SERVICE_STORE", str(tmp_path / "deployed"))
    monkeypatch.setenv("SERVICE_LOG_DIRECTORY", str(tmp_path / "predictions"))
    shown = CliRunner().invoke(app, ["replay", "abc"], obj=OWN)
    assert shown.stdout
    assert is_clean(shown.stdout)
    assert not any(line.startswith("row 7") for line in shown.stdout.splitlines())


def test_a_traceback_shows_no_variables() -> None:
    assert app.pretty_exceptions_show_locals is False


@pytest.mark.parametrize("terminal", [True, False])
def test_a_progress_bar_is_shown_only_in_a_terminal(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    with open_progress() as bar:
        bar.advance(bar.add_task("rows", total=2))
    assert ("rows" in stream.getvalue()) is terminal
