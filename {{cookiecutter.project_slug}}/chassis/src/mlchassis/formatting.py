"""Numbers as people read them, whatever their unit: proportions, seconds or millions."""

import math
from typing import Protocol

_SMALLEST_PLAIN = 1e-6
"""A smaller number has more zeros than anybody counts."""
_ROUNDING = 1e-15
"""A smaller number is the rounding error of a difference."""
_LARGEST_PLAIN = 1e15
"""A larger number has more digits than anybody counts."""
_METRICS = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "Log loss",
    "brier": "Brier score",
    "ece": "Expected calibration error",
    "accuracy": "Accuracy",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
}


class IntervalLike(Protocol):
    """A value with the ends of its confidence interval."""

    @property
    def value(self) -> float:
        """The measured value."""

    @property
    def low(self) -> float:
        """The lower end."""

    @property
    def high(self) -> float:
        """The upper end."""


def name_metric(metric: str) -> str:
    """Return the usual name of a metric; its own where a project has defined it."""
    return _METRICS.get(metric, metric)


def format_number(value: float, *, signed: bool = False) -> str:
    """Return a number with four decimals, without any from 1,000 on, or with two digits if tiny."""
    value += 0.0  # No minus before zero.
    size = abs(value)
    if size >= _LARGEST_PLAIN:
        kind = ".4g"
    elif size >= 1000:
        kind = ",.0f"
    elif size >= 100:
        kind = ".1f"
    elif size >= 0.001 or not size:
        kind = ".4f"
    else:
        kind = ".2g"
    return format(value, f"{'+' if signed else ''}{kind}")


def format_interval(interval: IntervalLike, *, signed: bool = False) -> str:
    """Return a value with its interval: `0.7196 (0.6992 to 0.7390)`."""
    value = format_number(interval.value, signed=signed)
    low = format_number(interval.low, signed=signed)
    high = format_number(interval.high, signed=signed)
    return f"{value} ({low} to {high})"


def spell_number(value: float) -> str:
    """About four digits, two of a small number; an exponent only where it would be unreadable."""
    size = abs(value)
    if size >= _LARGEST_PLAIN:
        return f"{value:.4g}"
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 0.001 or math.isnan(value):
        return f"{value:.4g}"
    if size < _ROUNDING:
        return "0"
    if size < _SMALLEST_PLAIN:
        return f"{value:.2g}"
    digits = 1 - math.floor(math.log10(size))
    return f"{value:.{digits}f}".rstrip("0")
