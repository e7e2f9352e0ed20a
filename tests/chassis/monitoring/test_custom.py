"""A project's own monitors: called with the facts of production, and named where they are wrong."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest

import ml_service
from ml_service.features import compute_features
from mlchassis import CustomSignal, MonitorContext, Project, monitor
from mlchassis.bundle.bundle import Bundle
from mlchassis.config.params import MonitorParams, Params
from mlchassis.errors import ProjectError
from mlchassis.extensions.checks import check_project
from mlchassis.monitoring.custom import run_monitors
from mlchassis.monitoring.results import LogSummary, Quality, Skew, Window

PAGE = Path(ml_service.__file__).resolve().parents[2] / "docs" / "monitoring.md"


@monitor
def quiet(context: MonitorContext) -> CustomSignal:
    return CustomSignal(name="quiet", status="ok", sentence=f"{len(context.windows)} windows.")


@pytest.fixture
def context(
    monitored_bundle: Bundle,
    fixed_params: Params,
    make_rows: Callable[..., pd.DataFrame],
    write_log: Callable[..., Path],
    tmp_path: Path,
) -> MonitorContext:
    """Facts on a log of ten days, of which seven are the newest window."""
    write_log(tmp_path, make_rows(10, seed=1))
    window = Window(start="2024-01-04", end="2024-01-10", rows=1400, enough=True)
    quality = Quality(rows=1400, invalid=0, reasons={}, lacking=[])
    log = LogSummary(rows=2000, torn=0, foreign=0, undated=0, versions={"2.0.0": 2000})
    now = datetime(2024, 6, 1, tzinfo=UTC)
    return MonitorContext(
        windows=[window],
        quality=quality,
        skew=Skew(rows=1000),
        log=log,
        bundle=monitored_bundle,
        params=fixed_params,
        folder=tmp_path,
        now=now,
    )


def test_a_monitor_reads_the_rows_of_the_newest_window(context: MonitorContext) -> None:
    days = [row.day for row in context.read_newest()]
    assert (len(days), min(days), max(days)) == (1400, "2024-01-04", "2024-01-10")
    assert list(replace(context, windows=[]).read_newest()) == []


@pytest.mark.parametrize(("limit", "status"), [(0.9, "ok"), (0.1, "watch")])
def test_the_monitor_of_the_documentation_works(
    limit: float, status: str, context: MonitorContext
) -> None:
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile("\n".join(code), str(PAGE), "exec"), names)  # noqa: S102 - code of the page
    own = context.params.model_copy(
        update={"monitor": MonitorParams(custom={"max_positive_answers": limit})}
    )
    monitors = [names["positive_answers"]]
    check_project(Project(compute_features, monitors=monitors), "project.py", ())
    (signal,) = run_monitors(monitors, replace(context, params=own))
    assert signal.status == status
    assert re.fullmatch(r"\d\d% of 1,400 answers are positive\.", signal.sentence)


def test_a_limit_that_params_lack_is_one_sentence(context: MonitorContext) -> None:
    with pytest.raises(ProjectError, match=r"params.yaml: monitor.custom has no 'max_late'"):
        context.limit("max_late")


def test_a_monitor_that_fails_is_named_with_its_file_and_line(context: MonitorContext) -> None:
    @monitor
    def broken(context: MonitorContext) -> CustomSignal:
        raise KeyError("shop")

    with pytest.raises(ProjectError, match=r"failed as a monitor: KeyError: 'shop'") as failure:
        run_monitors([broken], context)
    assert re.search(r" \(\S*test_custom.py, line \d+, in broken\); fix it", str(failure.value))


def test_a_status_that_is_none_is_named_with_its_function(context: MonitorContext) -> None:
    @monitor
    def red(context: MonitorContext) -> CustomSignal:
        return CustomSignal(name="red", status=cast("Any", "red"), sentence="x")

    with pytest.raises(ProjectError, match=r"red\(.*failed as a monitor.*'ok', 'watch', 'retrain"):
        run_monitors([red], context)


def test_a_monitor_that_returns_something_else_is_rejected(context: MonitorContext) -> None:
    @monitor
    def words(context: MonitorContext) -> Any:
        return "watch"

    with pytest.raises(ProjectError, match=r"words\(.* returned str as a monitor; write `def my_"):
        run_monitors([words], context)


def test_a_function_of_another_shape_is_rejected_when_it_is_decorated() -> None:
    with pytest.raises(ProjectError, match=r"@monitor is pair\(.*test_custom.py; it must be a fun"):
        monitor(cast("Any", pair))


def pair(first: float, second: float) -> float:
    return first + second


@pytest.mark.parametrize(
    ("monitors", "sentence"),
    [
        (
            [pair],
            r"project.py: monitors\[0\] is pair\(.*; write @monitor above `def my_monitor\(co",
        ),
        (quiet, r"project.py: monitors is .*; pass a list"),
        ([quiet, quiet], r"project.py: monitors\[1\] has the name 'quiet', which is taken"),
    ],
)
def test_a_project_with_a_wrong_monitor_is_rejected_at_the_start(
    monitors: Any, sentence: str
) -> None:
    with pytest.raises(ProjectError, match=sentence):
        check_project(Project(compute_features, monitors=monitors), "project.py", ())
