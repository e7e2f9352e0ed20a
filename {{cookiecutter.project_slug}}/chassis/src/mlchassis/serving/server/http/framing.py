"""The framing of a request by its headers, and its ASGI scope."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Protocol
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


class BodyTarget(Protocol):
    """Receiver of a body."""

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""

    def on_message_complete(self) -> None:
        """End the request."""


class _BodyCallbacks:
    """Callbacks of a parser of one body."""

    def __init__(self, target: BodyTarget) -> None:
        self.on_body = target.on_body
        self.on_message_complete = target.on_message_complete


def parse_body(target: BodyTarget, length: int | None) -> Any:
    """Return a parser of one body.

    Args:
        target: Receiver of the body.
        length: Bytes of the body; None if it is chunked.
    """
    parser: Any = httptools.HttpRequestParser(_BodyCallbacks(target))
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    framing = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
    parser.feed_data(b"POST / HTTP/1.1\r\nConnection: close\r\n%b\r\n\r\n" % framing)
    return parser


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Return path and query of a request's target.

    Raises:
        ValueError: It is not a path and no address with one.
    """
    if target.startswith(b"/") and b"?" not in target and b"#" not in target:
        return target, b""
    parsed = httptools.parse_url(target)
    if not parsed.path and not parsed.schema:
        raise ValueError("no path")
    return parsed.path or b"/", parsed.query or b""


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
