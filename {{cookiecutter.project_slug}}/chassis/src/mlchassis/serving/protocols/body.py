"""The body of a request, within limits that hold while it arrives."""

import re
from collections.abc import Mapping, Sequence

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from mlchassis.serving.problems import (
    BODY_TOO_LARGE,
    OVERLOADED,
    RETRY_SOON,
    UNSUPPORTED_MEDIA_TYPE,
    ProblemError,
)

_CLOSE = {"Connection": "close"}
"""With what is left of a refused body unread, the connection cannot be used again."""
_PARAMETER = re.compile(rb';\s*(?:([^\s;="]+)=("[^"\\]*"|[^\s;"]*)\s*)?')
_CHARSETS = frozenset(
    {
        "utf8",
        "u8",
        "cp65001",
        "unicode11utf8",
        "unicode20utf8",
        "xunicode20utf8",
        "ascii",
        "usascii",
    }
)
"""Names of UTF-8, and of ASCII, which is part of it; without what stands between the letters."""
_CSV_PARAMETERS = {"charset", "header"}


class ContentType(msgspec.Struct, frozen=True):
    """The header Content-Type.

    Attributes:
        media_type: In lower case and without parameters.
        parameters: Values as sent, by name in lower case.
    """

    media_type: bytes
    parameters: Mapping[str, str] = msgspec.field(default_factory=dict)


def check_headers(scope: Scope, max_bytes: int, media_types: Sequence[bytes]) -> ContentType:
    """Return the content type of a body, before a byte of it is read.

    A page in a browser can send a body without a type to any address, without being asked by the
    browser whether it may; so every request has to name one.

    Raises:
        ProblemError: The type is missing or not read here, or the body is compressed or too large.
    """
    content_type: ContentType | None = None
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = _read_content_type(value, media_types)
        elif name == b"content-encoding" and value.strip().lower() != b"identity":
            raise ProblemError(
                UNSUPPORTED_MEDIA_TYPE, "Compressed bodies are not read; send them plain.", _CLOSE
            )
        elif name == b"content-length" and exceeds(value, max_bytes):
            raise reject_large_body(max_bytes)
        elif name == b"inference-header-content-length":
            raise ProblemError(
                UNSUPPORTED_MEDIA_TYPE, "Tensors are read as JSON, not as binary data.", _CLOSE
            )
    if content_type is None:
        raise ProblemError(
            UNSUPPORTED_MEDIA_TYPE,
            f"The header Content-Type is missing; send {media_types[0].decode()}.",
            _CLOSE,
        )
    return content_type


class HeldBytes(msgspec.Struct):
    """Bytes of all bodies that are incomplete.

    Clients that send slowly would else fill the memory, each with a body that is small enough.

    Attributes:
        limit: Most bytes; the request that exceeds it is refused.
        count: Bytes now.
    """

    limit: int
    count: int = 0


async def read_body(receive: Receive, max_bytes: int, held: HeldBytes) -> bytes:
    """Read the body, and stop when it exceeds the limit.

    Raises:
        ProblemError: The body is larger than `max_bytes`, or all incomplete ones hold too much.
        ClientDisconnect: The client went away.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk = message.get("body", b"")
            if size + len(chunk) > max_bytes:
                raise reject_large_body(max_bytes)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks) if len(chunks) > 1 else chunk
            size += len(chunk)
            held.count += len(chunk)
            if held.count > held.limit:
                raise _hold_too_much()
    finally:
        held.count -= size


def _read_content_type(value: bytes, allowed: Sequence[bytes]) -> ContentType:
    if value in allowed:
        return ContentType(value)
    media_type = value.partition(b";")[0].strip().lower()
    parameters = _read_parameters(value.strip()[len(media_type) :].strip())
    if media_type not in allowed or parameters is None or not _is_utf8(parameters):
        names = b" or ".join(allowed).decode()
        detail = (
            f"Only {names} in UTF-8 is read here; send the header "
            f"`Content-Type: {allowed[0].decode()}`, if the body is of that type."
        )
        raise ProblemError(UNSUPPORTED_MEDIA_TYPE, detail, _CLOSE)
    if media_type == b"text/csv" and set(parameters) - _CSV_PARAMETERS:
        # RFC 4180 knows these two; another one, such as a delimiter, would change the cells.
        raise ProblemError(
            UNSUPPORTED_MEDIA_TYPE,
            "text/csv is read with the parameters charset and header alone; leave others out.",
            _CLOSE,
        )
    return ContentType(media_type, parameters)


def _read_parameters(text: bytes) -> dict[str, str] | None:
    """Return the parameters of a media type; None if they are malformed or repeated."""
    parameters: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _PARAMETER.match(text, position)
        name = match and (match[1] or b"").decode("latin-1").lower()
        if match is None or name in parameters:
            return None
        if name:
            parameters[name] = match[2].decode("latin-1").strip('"')
        position = match.end()
    return parameters


def _is_utf8(parameters: Mapping[str, str]) -> bool:
    charset = parameters.get("charset")
    return charset is None or re.sub(r"[-_. ]", "", charset.lower()) in _CHARSETS


def exceeds(length: bytes, max_bytes: int) -> bool:
    """Return True if a Content-Length is larger than a limit."""
    # Python refuses to read numbers of thousands of digits; nineteen are too many bytes anyway.
    return length.isdigit() and (len(length) > 18 or int(length) > max_bytes)


def _hold_too_much() -> ProblemError:
    detail = "Too many bodies are on their way; send them faster, or fewer at once."
    return ProblemError(OVERLOADED, detail, {**RETRY_SOON, **_CLOSE})


def reject_large_body(max_bytes: int) -> ProblemError:
    """Return the problem with a body of more than `max_bytes`."""
    return ProblemError(
        BODY_TOO_LARGE, f"A body may have {max_bytes} bytes; send fewer records at once.", _CLOSE
    )
