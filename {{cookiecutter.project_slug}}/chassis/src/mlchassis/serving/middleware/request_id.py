"""Request ids: the client's `X-Request-ID` if it is safe, else a random one."""

import random
import re
from collections.abc import Iterable

REQUEST_ID_HEADER = b"x-request-id"
_SAFE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


def choose_request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the client's request id if it is harmless, else a new one."""
    offered = next((value for name, value in headers if name == REQUEST_ID_HEADER), None)
    if offered is not None and _SAFE_ID.fullmatch(offered):
        return offered.decode("ascii")
    return f"{random.getrandbits(128):032x}"
