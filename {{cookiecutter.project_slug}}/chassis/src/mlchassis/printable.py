"""Text from data, clients and files, made safe to print.

A value may hold escape sequences, line breaks or signs that turn the direction of writing: printed
as they are, they rewrite what stands on a terminal or in a log. Everything that prints a value
prints what `printable` returns.
"""

import unicodedata
from typing import Any

_JOINERS = "\u200c\u200d"
"""They join letters or keep them apart, in Persian, Hindi and emoji."""
_SELECTORS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
"""They choose a form of the sign before them, in emoji and Japanese names."""
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Letters, marks and symbols that show as nothing: two values with and without them look equal."""

PERSONAL = "a value that is not repeated here"
"""Placeholder of a cell of a column tagged `pii` in an error message."""
_LONGEST_REASON = 120
LONGEST_VALUE = 60
"""Characters of a value that an error message repeats."""


def printable(value: Any) -> str:
    """Return the text of a value with every control character written as its escape."""
    text = value if isinstance(value, str) else str(value)
    if text.isascii() and text.isprintable():
        return text
    before = ("", *text)
    return "".join(
        sign if _is_safe(sign, previous) else _escape(sign)
        for previous, sign in zip(before, text, strict=False)
    )


def show_value(value: Any) -> str:
    """Return a value for an error message: printable, quoted, and shortened."""
    text = printable(value)
    shown = text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
    return f"'{shown}'"


def show_cell(value: Any, *, personal: bool) -> str:
    """Return a cell for an error message; one of a person's column is not repeated."""
    return PERSONAL if personal else show_value(value)


def describe_refusal(error: Exception, *, personal: bool) -> str:
    """Return why a library refused a column's values, in parentheses; empty for a person's.

    Libraries repeat the value that they refuse, some over several lines.
    """
    # Pydantic lists what it found apart from the value.
    listed = getattr(error, "errors", None)
    if callable(listed):
        return f" ({printable(listed(include_input=False, include_url=False)[0]['msg'])})"
    first = printable(str(error).strip().partition("\n")[0])
    if personal or not first:
        return ""
    return f" ({first if len(first) <= _LONGEST_REASON else first[: _LONGEST_REASON - 1] + '…'})"


def _is_safe(sign: str, before: str) -> bool:
    if sign in _FILLERS:
        return False
    if sign in _SELECTORS or sign in _JOINERS:
        return _can_be_changed(before) or (sign in _JOINERS and before in _SELECTORS)
    # Spaces of other widths are harmless; line and paragraph separators are.
    return sign.isprintable() or unicodedata.category(sign) == "Zs"


def _can_be_changed(sign: str) -> bool:
    """True if a joiner or selector after the character can change its appearance."""
    if sign.isascii() or sign in _JOINERS:
        return False
    return sign.isprintable() and sign not in _SELECTORS | _FILLERS


def _escape(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")
