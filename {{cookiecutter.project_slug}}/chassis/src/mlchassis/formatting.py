"""Numbers as people read them, whatever their unit: shares, seconds or millions."""

from collections.abc import Mapping


def format_number(value: float, *, signed: bool = False) -> str:
    """Return a number with four decimals, without any from 1,000 on, or with two digits if tiny."""
    size = abs(value)
    if size >= 1000:
        kind = ",.0f"
    elif size >= 100:
        kind = ".1f"
    elif size >= 0.001 or not size:
        kind = ".4f"
    else:
        kind = ".2g"
    return format(value, f"{'+' if signed else ''}{kind}")


def format_interval(found: Mapping[str, float], *, signed: bool = False) -> str:
    """Return a value with its interval: `0.7196 (0.6992 to 0.7390)`."""
    value, low, high = (
        format_number(found[name], signed=signed) for name in ("value", "low", "high")
    )
    return f"{value} ({low} to {high})"
