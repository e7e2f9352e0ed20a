"""Text from data, clients and files, made safe to print.

A value may hold escape sequences, line breaks or signs that turn the direction of writing: printed
as they are, they rewrite what stands on a terminal or in a log. Everything that prints a value
prints what `printable` returns.
"""

import unicodedata
from typing import Any

_JOINERS = "\u200c\u200d"
"""They join letters or keep them apart, in Persian, Hindi and emoji."""

LONGEST_VALUE = 60
"""Characters of a value that an error message repeats."""


def printable(value: Any) -> str:
    """Return the text of a value with every control character written as its escape."""
    text = value if isinstance(value, str) else str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(sign if _is_safe(sign) else _escape(sign) for sign in text)


def show_value(value: Any) -> str:
    """Return a value for an error message: printable, quoted, and shortened."""
    text = printable(value)
    shown = text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
    return f"'{shown}'"


def _is_safe(sign: str) -> bool:
    # Spaces of other widths are no danger; line and paragraph separators are.
    return sign.isprintable() or sign in _JOINERS or unicodedata.category(sign) == "Zs"


def _escape(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")
