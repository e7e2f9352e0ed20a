"""Trace ids of W3C Trace Context (https://www.w3.org/TR/trace-context/)."""

import re
from collections.abc import Iterable

_TRACEPARENT = re.compile(
    rb"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-[0-9a-f]{2}"
    rb"(?P<rest>-.*)?"
)


def read_trace_id(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the trace id of the header `traceparent`; None if it is absent or invalid."""
    values = [value for name, value in headers if name == b"traceparent"]
    match = _TRACEPARENT.fullmatch(values[0]) if len(values) == 1 else None
    if match is None or not _is_valid(match):
        return None
    return match["trace"].decode("ascii")


def _is_valid(match: re.Match[bytes]) -> bool:
    if match["version"] == b"ff" or (match["version"] == b"00" and match["rest"]):
        return False
    # Ids of zeros alone mean that there is none.
    return bool(match["trace"].strip(b"0")) and bool(match["parent"].strip(b"0"))
