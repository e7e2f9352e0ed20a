"""Picture and tables of a simulation."""

import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import Any

import pytest

from mlchassis.simulation.output.picture import Item, draw_picture, render_picture
from mlchassis.simulation.output.table import list_lines, render_table
from mlchassis.simulation.results import Simulation

REQUESTS = {
    "sent": 700,
    "rejected": 20,
    "unanswered": 0,
    "wrong": 90,
    "wrong_without_faults": 80,
}
SVG = "{http://www.w3.org/2000/svg}"


RELATED = [("size", "price"), ("a very long name of a column", "another one")]


def make_window(start: str, end: str, champion: float | None, **changes: Any) -> dict[str, Any]:
    return {
        "start": start,
        "end": end,
        "versions": ["1"],
        "requests": {
            "sent": 700,
            "rejected": 20,
            "unanswered": 0,
            "wrong": 90,
            "wrong_without_faults": 80,
        },
        "scores": {"champion": champion, "never_retrained": 0.6, "fresh": 0.8},
        "status": "ok",
        "sentence": "No signal <exceeds> its limit.",
        "drift": [],
        "related": [],
        "skewed": False,
        "performance_alarm": False,
        **changes,
    }


@pytest.fixture
def result() -> Simulation:
    """Three weeks, the second with drift, and a promotion after it."""
    return Simulation.model_validate(
        {
            "name": "orders",
            "metric": "roc_auc",
            "higher_is_better": True,
            "start": "2024-02",
            "seed": 0,
            "rows_per_day": 100,
            "label_delay_days": 3,
            "windows": [
                make_window("2024-03-01", "2024-03-07", 0.7),
                make_window("2024-03-08", "2024-03-14", None, status="watch", drift=["size"]),
                make_window("2024-03-15", "2024-03-21", 0.75, versions=["1", "2"], related=RELATED),
            ],
            "retrainings": [
                {
                    "day": "2024-03-15",
                    "as_of": "2024-02",
                    "outcome": "promoted",
                    "sentence": "Version 2 is the champion now.",
                    "version": "2",
                }
            ],
        }
    )


def test_the_picture_has_lines_decisions_promotions_and_drift(result: Simulation) -> None:
    root = ET.fromstring(render_picture(result))  # noqa: S314 - made by the code under test
    words = [element.text or "" for element in root.iter(f"{SVG}text")]
    assert {"version 2 promoted", "never retrained", "ok", "watch"} <= set(words)
    drifts = [word for word in words if word.startswith("drift: ")]
    assert drifts == ["drift: size", "drift: size / price", "drift: a very long name of a co…"]
    lines = {line.get("class"): line.get("points", "") for line in root.iter(f"{SVG}polyline")}
    assert len(lines["line never_retrained"].split()) == 3
    assert len(lines["line champion"].split()) == 2  # An undefined value is left out.
    strip = [
        cell.get("class")
        for cell in root.iter(f"{SVG}rect")
        if cell.find(f"{SVG}title") is not None
    ]
    assert strip == ["ok", "watch", "ok"]


def test_a_larger_value_is_higher_and_a_later_day_further_right(result: Simulation) -> None:
    picture = draw_picture(result)
    champion = next(line for line in picture.lines if line.kind == "champion")
    (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in champion.points.split())
    assert x1 < x2
    assert y2 < y1
    (event,) = picture.events
    assert picture.cells[2].x == event.x


def test_tables_list_windows_retrainings_and_reasons(result: Simulation) -> None:
    lines = list(list_lines(result))
    assert lines[1].split()[:5] == ["2024-03-01", "to", "2024-03-07", "1", "680"]
    assert lines[-1] == "2024-03-15: retrain up to 2024-02: Version 2 is the champion now."
    text = render_table(result)
    assert (
        "| 2024-03-08 to 2024-03-14 | 1 | 680 of 700 | 90 |  | 0.6000 | 0.8000 | watch | size |"
        in text
    )
    assert "| 2024-03-15 | 2024-02 | promoted |" in text


def test_labels_of_events_do_not_overlap(result: Simulation) -> None:
    first = result.retrainings[0]
    monthly = [
        first.model_copy(update={"day": f"{window.start[:8]}{day:02d}"})
        for window in result.windows
        for day in (2, 3, 4, 5, 28)
    ]
    events = draw_picture(result.model_copy(update={"retrainings": tuple(monthly)})).events
    assert len(events) == len(monthly)
    labeled = [event for event in events if event.label]
    assert labeled
    for level in {event.y for event in labeled}:
        ends = [_find_ends(event) for event in labeled if event.y == level]
        assert all(end <= begin for (_, end), (begin, _) in pairwise(sorted(ends)))


def _find_ends(event: Item) -> tuple[float, float]:
    """The left and the right end of a label whose characters are 6 wide."""
    length = 6 * len(event.label)
    begin = event.x - length if event.anchor == "end" else event.x - length / 2
    return begin, begin + length


def test_a_single_window_is_visible(result: Simulation) -> None:
    single = result.model_copy(update={"windows": result.windows[:1]})
    champion = next(line for line in draw_picture(single).lines if line.kind == "champion")
    first, second = champion.points.split()
    assert first == second
    assert "stroke-linecap: round" in render_picture(single)
