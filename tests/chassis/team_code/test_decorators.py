"""Decorators of the extension points, written with or without parentheses by mistake."""

import re
from collections.abc import Callable
from typing import Any, cast

import pytest

import mlchassis
from mlchassis.errors import ProjectError

HERE = r"^\S*test_decorators\.py, line \d+, in write_\w+: "


def hit_rate(target: Any, scores: Any, weight: Any) -> float:
    return 0.0


def write_alone() -> Any:
    return cast("Any", mlchassis.metric)(hit_rate)


def write_positional() -> Any:
    return cast("Any", mlchassis.metric)(("binary",), True, "hits")


def write_gate() -> Any:
    return cast("Any", mlchassis.gate)()


def write_monitor() -> Any:
    return cast("Any", mlchassis.monitor)(name="answers")


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (
            write_alone,
            r"@metric is written without its options by name for .hit_rate.; write @metric",
        ),
        (write_positional, r"@metric is written without its options by name; write @metric\("),
        (write_gate, r"@gate is written with parentheses, which it .*; write @gate above"),
        (write_monitor, r"@monitor is written with parentheses, .*; write @monitor above `def my"),
    ],
)
def test_a_decorator_in_the_wrong_form_is_rejected(write: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ProjectError) as failure:
        write()
    assert re.search(HERE + sentence, str(failure.value))
