"""Blocks of a document: paragraphs, tables and charts, in sections below a lead."""

from collections.abc import Sequence
from dataclasses import dataclass

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    words: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header; a table that is `folded` shows itself when asked."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    folded: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through points, beside the diagonal where that means something.

    Attributes:
        proportions: True if both axes reach from 0 to 1 at least.
    """

    title: str
    across: str
    up: str
    points: Points
    diagonal: bool = False
    proportions: bool = True


@dataclass(frozen=True, slots=True)
class Bars:
    """Quantities beside one another: label, length and what is written beside it.

    Lengths are drawn as proportions of the largest of the block, whatever their sign.
    """

    title: str
    bars: Sequence[tuple[str, float, str]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """One period of a timeline; a value of None leaves a gap.

    Attributes:
        low: Lower end of the value's interval, or None.
        high: Upper end.
        limit: Largest value without an alarm, or None.
    """

    label: str
    value: float | None
    limit: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """Values of consecutive periods, with their limits; a value above its limit is marked."""

    title: str
    points: Sequence[TimelinePoint]
    note: str = ""


Block = Text | Table | Curve | Bars | Timeline


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Lead:
    """The first screen: what it is about, a verdict, a few words, and figures for anybody.

    Attributes:
        tiles: A figure, and what it means.
        banner: A warning above all of it; empty if there is none.
    """

    heading: str
    verdict: str
    good: bool
    words: Sequence[str]
    tiles: Sequence[tuple[str, str]]
    banner: str = ""
