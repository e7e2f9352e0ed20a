"""A project's own metrics: functions of target, scores and weights of the rows."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from mlchassis.contract.model import Task
from mlchassis.errors import ProjectError
from mlchassis.team_code.decorators import takes_options
from mlchassis.team_code.errors import call_function
from mlchassis.team_code.signatures import Signature, check_function, describe

Floats = NDArray[np.float64]
MetricFunction = Callable[[Floats, Floats, Floats], float]

METRIC = Signature("(target: Floats, scores: Floats, weight: Floats) -> float", 3)
DECORATED_METRIC = (
    f"@metric(tasks=(…), higher_is_better=…, description=…) above `def my_metric{METRIC.text}`"
)


@dataclass(frozen=True, slots=True)
class CustomMetric:
    """A metric of a project, as the decorator `metric` makes it.

    Attributes:
        function: Target, scores and weights of the rows to a number.
        name: The name of the function, for `judge.metric` and the reports.
        tasks: The kinds of problems that have this metric.
        higher_is_better: True if a larger value is a better one.
        description: The meaning in plain words, for the reports.
    """

    function: MetricFunction
    name: str
    tasks: tuple[Task, ...]
    higher_is_better: bool
    description: str

    def __call__(self, target: Floats, scores: Floats, weight: Floats) -> float:
        """Return the value of the metric.

        Args:
            target: Shape (rows,): classes by their position, numbers of a regression.
            scores: Probability of the second of two classes, or numbers of a regression: shape
                (rows,). Probabilities of more classes: shape (rows, classes).
            weight: Of each row, shape (rows,). A resample of the bootstrap is a set of weights;
                rows that it leaves out have the weight 0.

        Raises:
            ProjectError: The function failed, or returned something that is not a number.
        """
        value = call_function(self.function, target, scores, weight, use="a metric")
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise ProjectError(
                f"{describe(self.function)} returned {type(value).__name__} as a metric; "
                "return a float."
            )
        return float(value)

    def by_groups(
        self, target: Floats, scores: Floats, groups: NDArray[np.intp]
    ) -> Callable[[Floats], float]:
        """Return the metric of these rows as a function of the weights of their groups."""
        columns = scores.shape[1]
        values = scores if columns > 2 else scores[:, columns - 1]
        return lambda weights: self(target, values, weights[groups].astype(np.float64))


@takes_options(DECORATED_METRIC)
def metric(
    *, tasks: Sequence[Task], higher_is_better: bool, description: str
) -> Callable[[MetricFunction], CustomMetric]:
    """Make a function a metric that `judge.metric` may name and reports show.

    Args:
        tasks: The kinds of problems that have it: "binary", "multiclass", "regression".
        higher_is_better: True if a larger value is a better one.
        description: The meaning in plain words, for the reports.

    Raises:
        ProjectError: A task is unknown, or the function takes other arguments.
    """

    def decorate(function: MetricFunction) -> CustomMetric:
        name = _read_name(function)
        check_function(function, "The function of @metric", name, METRIC)
        unknown = [task for task in tasks if task not in get_args(Task)]
        if isinstance(tasks, str) or unknown or not tasks:
            raise ProjectError(
                f"{describe(function)} has tasks={tasks!r:.60}; write a tuple of "
                f"{', '.join(map(repr, get_args(Task)))}."
            )
        return CustomMetric(function, name, tuple(tasks), higher_is_better, description)

    return decorate


def _read_name(function: Any) -> str:
    name = str(getattr(function, "__name__", ""))
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ProjectError(
            f"{describe(function)} cannot be used as a metric: its name is shown in reports; "
            f"write `def my_metric{METRIC.text}` with a name in small letters."
        )
    return name
