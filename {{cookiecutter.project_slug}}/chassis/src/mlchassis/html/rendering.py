"""Blocks of a document as a page that holds all it shows, or as Markdown."""

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from mlchassis.printable import printable

Points = Sequence[tuple[float, float]]

_MARKUP = re.compile(r"[\\`*_\[\]<>!#|]")
_BLOCK_START = re.compile(r"^(\s*\d*)([-+=.)~])(?=[\s=~-]|$)")
"""What begins a list or code, or underlines a heading, where it stands first in a line."""


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
    """A line through points, beside the diagonal where that means something."""

    title: str
    across: str
    up: str
    points: Points
    diagonal: bool = False


@dataclass(frozen=True, slots=True)
class Bars:
    """Quantities beside one another: label, length and what is written beside it.

    Lengths are drawn as shares of the largest of the block, whatever their sign.
    """

    title: str
    bars: Sequence[tuple[str, float, str]]
    note: str = ""


Block = Text | Table | Curve | Bars


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


def spell_number(value: float) -> str:
    """About four digits, and no exponent that a layman would stumble on."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 0.001 else f"{round(value, 4) + 0.0:g}"


def render_page(title: str, lead: Lead, sections: Sequence[Section]) -> str:
    """A whole HTML page without any address outside."""
    template = Template(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    body = "".join(
        f"<section><h2>{escape_html(section.title)}</h2>"
        f"{''.join(map(_as_html, section.blocks))}</section>"
        for section in sections
    )
    return template.substitute(title=escape_html(title), lead=_render_lead(lead), body=body)


def _render_lead(lead: Lead) -> str:
    tiles = "".join(
        f'<div class="tile"><b>{escape_html(big)}</b><span>{escape_html(small)}</span></div>'
        for big, small in lead.tiles
    )
    banner = f'<p class="banner">{escape_html(lead.banner)}</p>' if lead.banner else ""
    return (
        f"{banner}<h1>{escape_html(lead.heading)}</h1>"
        f'<span class="verdict {"passed" if lead.good else "refused"}">'
        f"{escape_html(lead.verdict)}</span>"
        f"{''.join(f'<p>{escape_html(words)}</p>' for words in lead.words)}"
        f'<div class="tiles">{tiles}</div>'
    )


def render_markdown(sections: Sequence[Section]) -> str:
    """The same in Markdown; curves and bars are left to the page."""
    parts = []
    for section in sections:
        parts.append(f"## {escape_markdown(section.title)}")
        for block in section.blocks:
            if isinstance(block, Text):
                parts.append(escape_markdown(block.words))
            elif isinstance(block, Table):
                lines = [list(map(escape_markdown, row)) for row in (block.header, *block.rows)]
                # Escaped, it would no longer make a table of the lines.
                lines.insert(1, ["---"] * len(block.header))
                parts.append("\n".join(f"| {' | '.join(row)} |" for row in lines))
    return "\n\n".join(parts) + "\n"


def escape_markdown(words: str) -> str:
    """Return a text that Markdown shows as it is: no link, image, heading, list, table or HTML."""
    escaped = _MARKUP.sub(r"\\\g<0>", _one_line(words))
    return _BLOCK_START.sub(r"\1\\\2", escaped)


def escape_html(words: str) -> str:
    """Return a text that a page shows as it is, without control characters."""
    return html.escape(_one_line(words))


def _one_line(words: str) -> str:
    """Line breaks and tabs become spaces; other control characters show as their escapes."""
    return printable(re.sub(r"[\r\n\t]+", " ", words))


def _as_html(block: Block) -> str:
    if isinstance(block, Text):
        return f"<p>{escape_html(block.words)}</p>" if block.words else ""
    if isinstance(block, Curve):
        return _draw(block)
    if isinstance(block, Bars):
        return _draw_bars(block)
    head = "".join(f"<th>{escape_html(name)}</th>" for name in block.header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape_html(cell)}</td>" for cell in row) + "</tr>"
        for row in block.rows
    )
    table = f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'
    if not block.folded:
        return table
    return f"<details><summary>{escape_html(block.folded)}</summary>{table}</details>"


def _draw_bars(block: Bars) -> str:
    longest = max((abs(length) for _, length, _ in block.bars), default=0.0) or 1.0
    bars = "".join(
        f'<div class="bar"><span>{escape_html(label)}</span>'
        f'<i><i style="width:{100 * abs(length) / longest:.1f}%"></i></i>'
        f"<b>{escape_html(said)}</b></div>"
        for label, length, said in block.bars
    )
    note = f"<p>{escape_html(block.note)}</p>" if block.note else ""
    return f"<figure><figcaption>{escape_html(block.title)}</figcaption>{note}{bars}</figure>"


def _draw(curve: Curve) -> str:
    """A curve as SVG that takes the colours of the page; on its left is room for six digits."""
    across, up = zip(*curve.points, strict=True)
    low, high = min(0.0, *across, *up), max(1.0, *across, *up)
    span = high - low

    def place(x: float, y: float) -> str:
        return f"{45 + 245 * (x - low) / span:.1f},{200 - 190 * (y - low) / span:.1f}"

    line = " ".join(place(x, y) for x, y in curve.points if math.isfinite(x + y))
    diagonal = f'<polyline class="grid" points="{place(low, low)} {place(high, high)}"/>'
    ticks = "".join(
        f'<text x="{place(value, low).split(",")[0]}" y="216" text-anchor="{anchor}">{said}</text>'
        f'<text x="40" y="{place(low, value).split(",")[1]}" text-anchor="end">{said}</text>'
        for value, anchor in ((low, "middle"), (low + span / 2, "middle"), (high, "end"))
        for said in [spell_number(float(f"{value:.3g}"))]
    )
    return (
        f'<figure><figcaption>{escape_html(curve.title)}</figcaption><svg viewBox="-15 0 315 240" '
        f'role="img" aria-label="{escape_html(curve.title)}">'
        f'<path class="axes" d="M45 10V200H290"/>'
        f'{diagonal if curve.diagonal else ""}<polyline class="line" points="{line}"/>{ticks}'
        f'<text x="167" y="234" text-anchor="middle">{escape_html(curve.across)}</text>'
        f'<text transform="translate(-5 105) rotate(-90)" text-anchor="middle">'
        f"{escape_html(curve.up)}</text></svg></figure>"
    )
