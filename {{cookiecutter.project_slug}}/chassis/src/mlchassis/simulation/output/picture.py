"""Picture of a simulation: performance of three models, decisions of the monitor, promotions."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mlchassis.formatting import spell_number
from mlchassis.monitoring.results import SEVERITY
from mlchassis.printable import printable
from mlchassis.simulation.results import RetrainingResult, Scores, Simulation

_TEMPLATES = Path(__file__).with_name("templates")
_LEFT = 215
_RIGHT = 945
_TOP = 95
_BOTTOM = 310
_STRIP = 328
_DRIFT_TOP = 360
_ROW_HEIGHT = 18
_MOST_COLUMNS = 6
_TICKS = 4
_LEVELS = (68, 82)
"""Heights of the labels of events: a label takes the first one where it overlaps none."""
_CHARACTER = 6.5
"""Width of a character of a label."""
_NAMES = {
    "champion": "champion",
    "never_retrained": "never retrained",
    "fresh": "newest trained, approved or not",
}
_LINES = ("fresh", "champion", "never_retrained")
"""Lines in the order of drawing."""
_LONGEST = 32
"""Characters of a label to the left of the axes."""
_MARGIN = 60
"""Distance from the right end within which a label ends at its event."""


@dataclass(frozen=True, slots=True)
class Item:
    """A label with its place and kind, which is the class of the style."""

    label: str
    kind: str = ""
    x: float = 0
    y: float = 0
    width: float = 0
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Line:
    """Points of a model's metric."""

    kind: str
    points: str


@dataclass(frozen=True, slots=True)
class DriftRow:
    """Windows in which a column drifts."""

    label: str
    y: float
    places: list[float]


@dataclass(frozen=True, slots=True)
class Picture:
    """All that the template draws."""

    title: str
    height: float
    legend: list[Item]
    scale: list[Item]
    lines: list[Line]
    events: list[Item]
    cells: list[Item]
    drift: list[DriftRow]
    days: list[Item]
    statuses: list[Item]
    left: int = _LEFT
    right: int = _RIGHT
    bottom: int = _BOTTOM
    strip: int = _STRIP


class Axes:
    """Coordinates of days and of values of the metric."""

    def __init__(self, result: Simulation) -> None:
        self._first = date.fromisoformat(result.windows[0].start)
        last = date.fromisoformat(result.windows[-1].end)
        self._days = (last - self._first).days + 1
        values = [value for window in result.windows for value in list_values(window.scores)]
        self.low = min(values, default=0.0)
        self.high = max(values, default=1.0)
        if self.low == self.high:
            self.high += 1.0

    def place_day(self, day: str, middle: float = 0.0) -> float:
        """Return the coordinate of a day's begin, or of a later moment of it."""
        passed = (date.fromisoformat(day) - self._first).days + middle
        return round(_LEFT + (_RIGHT - _LEFT) * min(passed / self._days, 1.0), 1)

    def place_value(self, value: float) -> float:
        """Return the height of a value."""
        return round(_BOTTOM - (_BOTTOM - _TOP - 10) * (value - self.low) / self._span, 1)

    @property
    def _span(self) -> float:
        return self.high - self.low

    def list_ticks(self) -> Iterator[Item]:
        """Yield numbers along the upright axis."""
        for number in range(_TICKS + 1):
            value = self.low + self._span * number / _TICKS
            yield Item(spell_number(float(f"{value:.3g}")), y=self.place_value(value))


def list_values(scores: Scores) -> list[float]:
    """Return the values that are defined."""
    values = (scores.champion, scores.never_retrained, scores.fresh)
    return [value for value in values if value is not None]


def render_picture(result: Simulation) -> str:
    """Render a simulation as SVG."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: printable(value) if isinstance(value, str) else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("picture.svg").render(shape=draw_picture(result))


def draw_picture(result: Simulation) -> Picture:
    """Return the shapes of a picture."""
    axes = Axes(result)
    drift = list(_draw_drift(result, axes))
    direction = "larger" if result.higher_is_better else "smaller"
    return Picture(
        title=f"{result.name}: {result.metric} in production by window ({direction} is better)",
        height=_DRIFT_TOP + _ROW_HEIGHT * len(drift) + 40,
        legend=[
            Item(label, kind, x=_LEFT + 130.0 * place)
            for place, (kind, label) in enumerate(_NAMES.items())
        ],
        scale=list(axes.list_ticks()),
        lines=[_draw_line(kind, result, axes) for kind in _LINES],
        events=_draw_events(result, axes),
        cells=list(_draw_cells(result, axes)),
        drift=drift,
        days=list(_draw_days(result, axes)),
        statuses=[
            Item(status, status, x=_LEFT + 90.0 * place) for place, status in enumerate(SEVERITY)
        ],
    )


def _draw_line(kind: str, result: Simulation, axes: Axes) -> Line:
    length = _count_days(result)
    points = [
        f"{axes.place_day(window.start, length / 2)},{axes.place_value(value)}"
        for window in result.windows
        if (value := getattr(window.scores, kind)) is not None
    ]
    # The round cap of a line without a length is a dot.
    return Line(kind, " ".join(points * 2 if len(points) == 1 else points))


def _count_days(result: Simulation) -> int:
    """Count the days of a window."""
    first = result.windows[0]
    return (date.fromisoformat(first.end) - date.fromisoformat(first.start)).days + 1


def _draw_events(result: Simulation, axes: Axes) -> list[Item]:
    """Return retrainings and faults in the order of time."""
    events: list[tuple[str, str, str]] = [
        *((each.day, _name_retraining(each), each.outcome) for each in result.retrainings),
        *((fault.day, fault.name, "fault") for fault in result.faults),
    ]
    ends = dict.fromkeys(_LEVELS, 0.0)
    return [
        _draw_event(label, kind, axes.place_day(day), ends) for day, label, kind in sorted(events)
    ]


def _name_retraining(retraining: RetrainingResult) -> str:
    if retraining.outcome == "promoted":
        return f"version {retraining.version} promoted"
    return f"{retraining.as_of} {retraining.outcome.replace('_', ' ')}"


def _draw_event(label: str, kind: str, x: float, ends: dict[int, float]) -> Item:
    """Return an event with its label on the first level that has room, else without a label.

    Args:
        label: The label.
        kind: Kind of the event.
        x: Coordinate of its day.
        ends: End of the last label of each level; updated.
    """
    is_last = x > _RIGHT - _MARGIN
    length = _CHARACTER * len(label)
    begin = x - length if is_last else x - length / 2
    anchor = "end" if is_last else "middle"
    for level, end in ends.items():
        if begin > end:
            ends[level] = begin + length
            return Item(label, kind, x, level, anchor=anchor)
    return Item("", kind, x, max(ends), anchor=anchor)


def _draw_cells(result: Simulation, axes: Axes) -> Iterator[Item]:
    length = _count_days(result)
    for window in result.windows:
        x = axes.place_day(window.start)
        width = round(axes.place_day(window.start, length) - x - 1, 1)
        yield Item(f"{window.end}: {window.sentence}", window.status, x, width=width)


def _draw_drift(result: Simulation, axes: Axes) -> Iterator[DriftRow]:
    """Yield the columns, or pairs of related ones, that drift most often."""
    middle = _count_days(result) / 2
    counts = Counter(name for window in result.windows for name in window.drifting)
    for number, (name, _) in enumerate(counts.most_common(_MOST_COLUMNS)):
        places = [axes.place_day(w.start, middle) for w in result.windows if name in w.drifting]
        label = _shorten(f"drift: {name}")
        yield DriftRow(label, _DRIFT_TOP + _ROW_HEIGHT * number, places)


def _shorten(label: str) -> str:
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"


def _draw_days(result: Simulation, axes: Axes) -> Iterator[Item]:
    for start in _thin_out([window.start for window in result.windows]):
        yield Item(start[5:], x=axes.place_day(start))


def _thin_out(days: Sequence[str]) -> Sequence[str]:
    """Return at most ten of the days, evenly spaced."""
    return days[:: len(days) // 10 + 1]
