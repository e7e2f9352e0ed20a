"""The body of a request, within limits that hold while it arrives."""

from collections.abc import Sequence

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from .problems import BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, ProblemError

_CLOSE = {"Connection": "close"}
"""With what is left of a refused body unread, the connection cannot be used again."""


def check_headers(
    scope: Scope, max_bytes: int, media_types: Sequence[bytes], *, required: bool = True
) -> bytes:
    """Refuses what its headers already condemn, before a byte of the body is read.

    Returns:
        The media type; the first of `media_types` where it may be missing and is.
    """
    media_type: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"content-type":
            media_type = _read_media_type(value, media_types)
        elif name == b"content-encoding" and value.strip().lower() != b"identity":
            raise ProblemError(
                UNSUPPORTED_MEDIA_TYPE, "Compressed bodies are not read; send them plain.", _CLOSE
            )
        elif name == b"content-length" and _exceeds(value, max_bytes):
            raise _too_large(max_bytes)
        elif name == b"inference-header-content-length":
            raise ProblemError(
                UNSUPPORTED_MEDIA_TYPE, "Tensors are read as JSON, not as binary data.", _CLOSE
            )
    if media_type is None and required:
        raise ProblemError(
            UNSUPPORTED_MEDIA_TYPE,
            f"The header Content-Type is missing; send {media_types[0].decode()}.",
            _CLOSE,
        )
    return media_type or media_types[0]


async def read_body(receive: Receive, max_bytes: int) -> bytes:
    """Collects the body, and stops where it grows beyond the limit.

    Raises:
        ProblemError: The body is larger than `max_bytes`.
        ClientDisconnect: The client went away.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks) if len(chunks) > 1 else chunk


def _read_media_type(value: bytes, allowed: Sequence[bytes]) -> bytes:
    media_type, _, parameters = value.partition(b";")
    media_type = media_type.strip().lower()
    charset = parameters.strip().lower().replace(b'"', b"")
    if media_type not in allowed or charset not in {b"", b"charset=utf-8"}:
        names = b" or ".join(allowed).decode()
        raise ProblemError(UNSUPPORTED_MEDIA_TYPE, f"Only {names} in UTF-8 is read here.", _CLOSE)
    return media_type


def _exceeds(length: bytes, max_bytes: int) -> bool:
    # Python refuses to read numbers of thousands of digits; nineteen are too many bytes anyway.
    return length.isdigit() and (len(length) > 18 or int(length) > max_bytes)


def _too_large(max_bytes: int) -> ProblemError:
    return ProblemError(
        BODY_TOO_LARGE, f"A body may have {max_bytes} bytes; send fewer records at once.", _CLOSE
    )
