"""Blocks of a document as a page that holds all it shows, or as Markdown."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mlchassis.html.blocks import Block, Lead, Section, Table, Text
from mlchassis.html.drawing import draw_curve, draw_timeline, measure_bars
from mlchassis.printable import printable

_TEMPLATES = Path(__file__).with_name("templates")
_MARKUP = re.compile(r"[\\`*_\[\]<>!#|]")
_BLOCK_START = re.compile(r"^(\s*\d*)([-+=.)~])(?=[\s=~-]|$)")
"""Characters that begin a list or code, or underline a heading, at the start of a line."""


def render_page(title: str, lead: Lead, sections: Sequence[Section]) -> str:
    """Return a whole HTML page without any address outside."""
    template = _make_environment().get_template("page.html")
    return template.render(title=title, lead=lead, sections=sections)


def _make_environment() -> Environment:
    """Return templates that escape all they are given, and know no missing name."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_show,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = _name_kind
    environment.globals.update(
        draw_curve=draw_curve, draw_timeline=draw_timeline, measure_bars=measure_bars
    )
    return environment


def _show(value: object) -> object:
    """Return a value without control characters; what a template made stays."""
    return value if hasattr(value, "__html__") else _one_line(str(value))


def _name_kind(block: Block) -> str:
    """Return the name of the macro that renders a block."""
    kind = next(kind for kind in get_args(Block) if isinstance(block, kind))
    return str(kind.__name__).lower()


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


def _one_line(words: str) -> str:
    """Line breaks and tabs become spaces; other control characters show as their escapes."""
    return printable(re.sub(r"[\r\n\t]+", " ", words))
