"""Failures in a project's own code: the team's frames first, then file, line and function."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest

from mlchassis.errors import ProjectError
from mlchassis.features.encoding import arrange_features
from mlchassis.team_code.errors import (
    FULL_TRACEBACK,
    call_function,
    describe_failure,
    find_team_frames,
    list_frames,
)

SOURCE = """
import json


def compute_features(columns):
    return columns["carrier"]


def read(options):
    return json.loads(options)


def indirect(columns):
    return compute_features(columns)


def stop(columns):
    raise SystemExit
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of a team's package; its project is the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(FULL_TRACEBACK, raising=False)
    path = tmp_path / "src" / "own" / "features.py"
    path.parent.mkdir(parents=True)
    path.write_text(SOURCE)
    made = ModuleType("own")
    exec(compile(SOURCE, str(path), "exec"), made.__dict__)  # noqa: S102
    return made


def catch(function: Callable[..., Any], *arguments: Any) -> Exception:
    """Call a function that fails; return its error without the frame of this test."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        function(*arguments)
    traceback = caught.value.__traceback__
    assert traceback
    return caught.value.with_traceback(traceback.tb_next)


def describe(error: Exception) -> list[str]:
    """Return the lines about a failure that has some."""
    lines = describe_failure(error)
    assert lines
    return lines


def test_the_sentence_names_the_only_frame_of_the_project(module: ModuleType) -> None:
    (sentence,) = describe(catch(module.compute_features, {}))

    assert sentence.startswith(
        "src/own/features.py, line 6, in compute_features: "
        "`return columns[\"carrier\"]` raised KeyError: 'carrier'; fix it there."
    )
    assert FULL_TRACEBACK in sentence


def test_several_frames_of_the_project_are_listed_in_their_order(module: ModuleType) -> None:
    lines = describe(catch(module.indirect, {}))

    assert lines[1:3] == [
        "  src/own/features.py, line 14, in indirect: return compute_features(columns)",
        '  src/own/features.py, line 6, in compute_features: return columns["carrier"]',
    ]
    assert lines[3].startswith("src/own/features.py, line 6, in compute_features: ")


def test_an_error_in_a_library_names_the_projects_call(module: ModuleType) -> None:
    (sentence,) = describe(catch(module.read, "x"))

    assert sentence.startswith("src/own/features.py, line 10, in read: ")


@pytest.mark.parametrize(("function", "argument"), [(json.loads, "x"), (arrange_features, None)])
def test_an_error_without_the_project_in_it_has_no_sentence(
    function: Callable[..., Any], argument: Any
) -> None:
    error = catch(function, argument)

    assert describe_failure(error) is None
    assert list_frames(error)
    assert find_team_frames(error) == []


def test_an_expected_error_shows_the_frames_of_its_cause(module: ModuleType) -> None:
    error = catch(lambda: call_function(module.indirect, {}, use="a metric"))
    lines = describe(error)

    assert [line.split(":")[0] for line in lines[1:-1]][-2:] == [
        "  src/own/features.py, line 14, in indirect",
        "  src/own/features.py, line 6, in compute_features",
    ]
    assert lines[-1] == (
        "indirect(columns) of src/own/features.py failed as a metric: KeyError: 'carrier' "
        "(src/own/features.py, line 6, in compute_features); fix it there."
    )


def test_a_function_that_ends_the_process_has_failed(module: ModuleType) -> None:
    (sentence,) = describe(catch(lambda: call_function(module.stop, {}, use="a metric")))[-1:]

    assert sentence == (
        "stop(columns) of src/own/features.py failed as a metric: SystemExit "
        "(src/own/features.py, line 18, in stop); fix it there."
    )


def test_an_expected_error_of_the_chassis_is_its_sentence_alone() -> None:
    assert describe_failure(ProjectError("The table has no row.")) == ["The table has no row."]


def test_a_log_has_the_frames_of_the_project_alone(module: ModuleType) -> None:
    frames = list_frames(catch(module.read, "x"))

    assert [frame.name for frame in frames] == ["read"]


def test_a_full_traceback_follows_the_frames_of_the_project(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FULL_TRACEBACK, "1")
    error = catch(module.read, "x")
    lines = describe(error)

    assert lines[1].startswith("  src/own/features.py, line 10, in read")
    assert any("decoder.py" in line for line in lines[2:-1])
    assert lines[-1].startswith("src/own/features.py, line 10, in read: ")
    names = [frame.name for frame in list_frames(error)]
    assert names[:3] == ["read", "read", "loads"]


def test_frames_of_compiled_libraries_are_not_the_projects() -> None:
    # Cython records the relative path of its source, as if it lay in the working directory.
    error = catch(pa.array(["a"]).cast, pa.int64())
    assert find_team_frames(error) == []
