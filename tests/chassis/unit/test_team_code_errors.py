"""Failures in a project's own code: the sentence names its file, line and function."""

from pathlib import Path
from types import ModuleType

import pytest

from mlchassis.team_code.errors import FULL_TRACEBACK, describe_team_error

SOURCE = """
import json


def compute_features(columns):
    return columns["carrier"]


def read(options):
    return json.loads(options)
"""


def load(path: Path) -> ModuleType:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SOURCE)
    module = ModuleType("own")
    exec(compile(SOURCE, str(path), "exec"), module.__dict__)  # noqa: S102
    return module


def test_the_sentence_names_the_frame_of_the_project(tmp_path: Path) -> None:
    module = load(tmp_path / "src" / "own" / "features.py")
    with pytest.raises(KeyError) as caught:
        module.compute_features({})

    sentence = describe_team_error(caught.value, tmp_path)

    assert sentence is not None
    assert sentence.startswith(
        "src/own/features.py, line 6, in compute_features: "
        "`return columns[\"carrier\"]` raised KeyError: 'carrier'"
    )
    assert FULL_TRACEBACK in sentence


def test_an_error_in_a_library_names_the_projects_call(tmp_path: Path) -> None:
    module = load(tmp_path / "src" / "own" / "source.py")
    with pytest.raises(ValueError, match="Expecting value") as caught:
        module.read("x")

    sentence = describe_team_error(caught.value, tmp_path)

    assert sentence is not None
    assert sentence.startswith("src/own/source.py, line 10, in read: ")


def test_an_error_without_the_project_in_it_has_no_sentence(tmp_path: Path) -> None:
    module = load(tmp_path / "chassis" / "src" / "mlchassis" / "features.py")
    with pytest.raises(KeyError) as caught:
        module.compute_features({})

    assert describe_team_error(caught.value, tmp_path) is None


def test_a_full_traceback_is_shown_where_a_variable_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FULL_TRACEBACK, "1")
    module = load(tmp_path / "src" / "own" / "features.py")
    with pytest.raises(KeyError) as caught:
        module.compute_features({})

    assert describe_team_error(caught.value, tmp_path) is None
