"""The framing of a request by its headers, and its ASGI scope."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote

import httptools
import msgspec

_PIECE = 16 * 1024
"""Bytes that are parsed at once, so that limits hold within one read."""


class FramingError(ValueError):
    """Headers that leave open where a request ends."""


class Framing(msgspec.Struct, frozen=True):
    """The way in which the body of a request arrives.

    Attributes:
        length: Bytes of the body; None if it is chunked.
        expects_continue: True if the client waits for 100 before it sends its body.
    """

    length: int | None
    expects_continue: bool


def read_framing(headers: Sequence[tuple[bytes, bytes]], version: str) -> Framing:
    """Read what the headers say about the body.

    Raises:
        FramingError: The transfer encoding is one that HTTP/1.1 servers differ about.
    """
    length: int | None = 0
    expects_continue = False
    for name, value in headers:
        if name == b"content-length":
            # The parser has checked the digits.
            length = int(value) if len(value) < 19 else None
        elif name == b"transfer-encoding":
            if version != "1.1" or value.strip().lower() != b"chunked":
                raise FramingError("unknown transfer encoding")
            length = None
        elif name == b"expect" and value.lower() == b"100-continue":
            expects_continue = version == "1.1"
    return Framing(length, expects_continue)


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Return path and query of a request's target.

    Raises:
        ValueError: It is not a path and no address with one.
    """
    if target.startswith(b"/") and b"?" not in target and b"#" not in target:
        return target, b""
    parsed = httptools.parse_url(target)
    if not parsed.path:
        raise ValueError("no path")
    return parsed.path, parsed.query or b""


def decode_path(path: bytes) -> str:
    """Return the path that routes match.

    Raises:
        UnicodeDecodeError: It has bytes that must be escaped.
    """
    text = path.decode("ascii")
    return unquote(text) if "%" in text else text


def split_read(data: bytes) -> Iterator[bytes]:
    """Split what was read into pieces; nearly always there is one."""
    if len(data) <= _PIECE:
        yield data
        return
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]


def read_address(transport: asyncio.BaseTransport, name: str) -> tuple[str, int] | None:
    """Return host and port of one end of a connection; None for a socket without them."""
    address: Any = transport.get_extra_info(name)
    return (str(address[0]), int(address[1])) if isinstance(address, tuple) else None
