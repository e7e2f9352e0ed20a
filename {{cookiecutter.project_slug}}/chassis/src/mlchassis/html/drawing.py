"""Geometry of charts: the coordinates that the templates write into SVG."""

import math
from dataclasses import dataclass, replace

from mlchassis.formatting import spell_number
from mlchassis.html.blocks import Bars, Curve, Timeline, TimelinePoint

_LEFT = 45
"""Left end of the axes."""
_LABEL_LENGTH = 8
"""Characters of a number for which there is room beside an axis."""
_TIMELINE_LABELS = 7
"""Labels below a timeline that do not overlap."""
_DOTTED = 20
"""Points of a curve that are drawn each: a line through one point shows nothing."""
_BOTTOM = 200
_WIDTH = 245


@dataclass(frozen=True, slots=True)
class Tick:
    """A number beside an axis.

    Attributes:
        place: Coordinate along the axis.
        label: The number.
        anchor: SVG's `text-anchor`.
    """

    place: str
    label: str
    anchor: str = "end"


@dataclass(frozen=True, slots=True)
class CurveShape:
    """Points of a curve and of the diagonal, and numbers along both axes.

    Attributes:
        dots: Coordinates of the points; empty if they are too many to be told apart.
    """

    line: str
    dots: list[tuple[str, str]]
    diagonal: str
    across: list[Tick]
    up: list[Tick]


@dataclass(frozen=True, slots=True)
class PointShape:
    """Coordinates of one period; None where there is nothing to draw.

    Attributes:
        center: Middle of the period.
        left: Begin of its limit.
        limit: Height of its limit.
        low: Lower end of its interval.
        high: Upper end.
        value: Height of its value.
        is_above: True if the value is above its limit.
    """

    label: str
    center: str
    left: str
    limit: str | None
    low: str | None
    high: str | None
    value: str | None
    is_above: bool


@dataclass(frozen=True, slots=True)
class TimelineShape:
    """Numbers along the upright axis, width of a period, and the periods."""

    scale: list[Tick]
    width: str
    points: list[PointShape]


def measure_bars(block: Bars) -> list[tuple[str, str, str]]:
    """Return label, width in percent of the longest, and caption of each bar."""
    sizes = [abs(length) if math.isfinite(length) else 0.0 for _, length, _ in block.bars]
    longest = max(sizes, default=0.0) or 1.0
    return [
        (label, f"{100 * size / longest:.1f}", caption)
        for (label, _, caption), size in zip(block.bars, sizes, strict=True)
    ]


def draw_curve(curve: Curve) -> CurveShape:
    """Return the coordinates of a curve in a square that holds 0, the points and, maybe, 1."""
    finite = [point for point in curve.points if all(map(math.isfinite, point))]
    values = [value for point in finite for value in point]
    low = min([0.0, *values])
    high = max([float(curve.proportions), *values])
    span = high - low or 1.0

    def place_across(x: float) -> str:
        return f"{_LEFT + _WIDTH * (x - low) / span:.1f}"

    def place_up(y: float) -> str:
        return f"{_BOTTOM - 190 * (y - low) / span:.1f}"

    def join(points: list[tuple[float, float]]) -> str:
        return " ".join(f"{place_across(x)},{place_up(y)}" for x, y in points)

    ticks = [(low, "middle"), (low + span / 2, "middle"), (high, "end")]
    return CurveShape(
        line=join(finite),
        dots=[(place_across(x), place_up(y)) for x, y in finite if len(finite) <= _DOTTED],
        diagonal=join([(low, low), (high, high)]) if curve.diagonal else "",
        across=[Tick(place_across(value), _label(value), anchor) for value, anchor in ticks],
        up=[Tick(place_up(value), _label(value)) for value, _ in ticks],
    )


def draw_timeline(timeline: Timeline) -> TimelineShape:
    """Return the coordinates of a timeline from zero to its largest number."""
    points = timeline.points
    numbers = [n for p in points for n in (p.value, p.limit, p.low, p.high) if n is not None]
    top = max(numbers, default=0.0) or 1.0
    width = _WIDTH / max(1, len(points))
    step = math.ceil(len(points) / _TIMELINE_LABELS)
    return TimelineShape(
        scale=[Tick(_find_height(value, top), _label(value)) for value in (0.0, top / 2, top)],
        width=f"{width:.1f}",
        points=[
            _draw_point(
                # The newest period always has its label.
                point if (len(points) - 1 - number) % step == 0 else replace(point, label=""),
                _LEFT + width * number,
                width,
                top,
            )
            for number, point in enumerate(points)
        ],
    )


def _draw_point(point: TimelinePoint, left: float, width: float, top: float) -> PointShape:
    def find(value: float | None) -> str | None:
        return None if value is None else _find_height(value, top)

    exceeds = point.limit is not None and point.value is not None and point.value > point.limit
    return PointShape(
        label=point.label,
        center=f"{left + width / 2:.1f}",
        left=f"{left:.1f}",
        limit=find(point.limit),
        low=find(point.low),
        high=find(point.high),
        value=find(point.value),
        is_above=exceeds,
    )


def _find_height(value: float, top: float) -> str:
    return f"{_BOTTOM - 185 * value / top:.1f}"


def _label(value: float) -> str:
    """Return three digits of a number, with an exponent if there is no room for its zeros."""
    short = f"{value:.3g}"
    plain = spell_number(float(short))
    if len(plain) <= _LABEL_LENGTH and "e" not in plain:
        return plain
    digits, _, exponent = f"{value:.2e}".partition("e")
    return f"{float(digits):g}e{int(exponent)}"
