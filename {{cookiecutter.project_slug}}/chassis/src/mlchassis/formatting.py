"""Numbers as people read them, whatever their unit: proportions, seconds or millions."""

import math
import re
from typing import Protocol

_SMALLEST_PLAIN = 1e-6
"""A smaller number has more zeros than anybody counts."""
_ROUNDING = 1e-15
"""A smaller number is the rounding error of a difference."""
_LARGEST_PLAIN = 1e15
"""A larger number has more digits than anybody counts."""
_MOST_DIGITS = 17
"""Digits that tell any two doubles apart."""
_SPECIFICATION = re.compile(r"(.*)\.(\d+)([efg%])")
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


def refine(specification: str, value: float, limit: float) -> str:
    """Return a format in which a value differs from the limit that it is compared with.

    Args:
        specification: A format with a precision, such as `.1%`.
        value: The value.
        limit: The limit; both may be infinite or NaN.

    Returns:
        The same format, with more digits where both would look equal: 21.2% is not "above 21.2%".
    """
    parts = _SPECIFICATION.fullmatch(specification)
    if parts is None or value == limit or not (math.isfinite(value) and math.isfinite(limit)):
        return specification
    start, digits, kind = parts.groups()
    for precision in range(int(digits), _MOST_DIGITS):
        specification = f"{start}.{precision}{kind}"
        if _parse(format(value, specification)) != _parse(format(limit, specification)):
            break
    return specification


def _parse(text: str) -> float:
    return float(text.replace(",", "").rstrip("%"))


def format_number(value: float, *, signed: bool = False, limit: float | None = None) -> str:
    """Return a number with four decimals, without any from 1,000 on, or with two digits if tiny.

    Args:
        value: The number.
        signed: True to write a plus before positive numbers.
        limit: A number beside it that it is compared with, from which it must differ.
    """
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
    specification = f"{'+' if signed else ''}{kind}"
    return format(value, specification if limit is None else refine(specification, value, limit))


def format_interval(interval: IntervalLike, *, signed: bool = False) -> str:
    """Return a value with its interval: `0.7196 (0.6992 to 0.7390)`."""
    value = format_number(interval.value, signed=signed)
    low = format_number(interval.low, signed=signed)
    high = format_number(interval.high, signed=signed)
    return f"{value} ({low} to {high})"


def spell_number(value: float, limit: float | None = None) -> str:
    """About four digits, two of a small number; an exponent only where it would be unreadable.

    Args:
        value: The number.
        limit: A number beside it that it is compared with, from which it must differ.
    """
    size = abs(value)
    if size < _ROUNDING:
        return "0"
    digits = "" if math.isnan(value) else _choose_digits(size)
    text = format(value, digits if limit is None else refine(digits, value, limit))
    return text.rstrip("0") if size < 0.001 and "e" not in text else text


def spell_limited(value: float | None, limit: float | None) -> tuple[str, str]:
    """Return a value and its limit as `spell_number` spells them, empty where there is none."""
    return _spell_beside(value, limit), _spell_beside(limit, value)


def _spell_beside(value: float | None, other: float | None) -> str:
    return "" if value is None else spell_number(value, other)


def _choose_digits(size: float) -> str:
    """Return the format of a number of some size."""
    if 1000 <= size < _LARGEST_PLAIN:
        return ",.0f"
    if size >= 0.001:
        return ".4g"
    if size < _SMALLEST_PLAIN:
        return ".2g"
    return f".{1 - math.floor(math.log10(size))}f"
