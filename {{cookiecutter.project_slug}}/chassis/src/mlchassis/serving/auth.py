"""API keys: with a file of their digests, every path but health asks for one.

A key must be random and long, as `openssl rand -hex 32` gives one: its SHA-256 may be kept.
A line of the file is the hexadecimal digest (`printf %s KEY | sha256sum`) and perhaps a name.
"""

import hashlib
import hmac
import re
from collections.abc import Collection
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from mlchassis.errors import ProjectError
from mlchassis.serving.problems import KEY_MISSING, KEY_REFUSED, ProblemError, render_problem

OPEN_PATHS = frozenset(
    {"/health", "/health/live", "/health/ready", "/ping", "/v2/health/live", "/v2/health/ready"}
)
"""What asks for no key: an orchestrator has none, and learns nothing but that the service runs."""
_LINE = re.compile(r"([0-9a-f]{64})(?:\s.*)?")


class KeyGuard:
    """ASGI middleware that lets nothing pass without a key, but for `OPEN_PATHS`.

    Args:
        digests: Hexadecimal SHA-256 digests of the keys.
        door: Refuses who asks for the page without a key, as something that can take one.
    """

    def __init__(self, app: ASGIApp, digests: Collection[str], door: ASGIApp) -> None:
        self._app, self._door, self._digests = app, door, tuple(digests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on or refuses it."""
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        asks = scope["type"] == "http" and path not in OPEN_PATHS
        key = _read_key(scope) if asks else None
        if not asks or (key is not None and self._knows(key)):
            answer = self._app
        elif key is not None:
            answer = render_problem(ProblemError(KEY_REFUSED, "The key is not known."), scope)
        elif (scope["method"], path) == ("GET", "/"):
            answer = self._door
        else:
            detail = "Send it as Authorization: Bearer KEY, or as X-API-Key."
            problem = ProblemError(KEY_MISSING, detail, {"WWW-Authenticate": "Bearer"})
            answer = render_problem(problem, scope)
        await answer(scope, receive, send)

    def _knows(self, key: bytes) -> bool:
        offered = hashlib.sha256(key).hexdigest()
        # All are compared, each in constant time: how long it takes says nothing.
        return any([hmac.compare_digest(offered, digest) for digest in self._digests])  # noqa: C419


def load_digests(path: Path) -> frozenset[str]:
    """Reads the file of digests.

    Raises:
        ProjectError: It cannot be read, holds no digest, or holds something else.
    """
    advice = "name a file with a SHA-256 digest per line in SERVICE_API_KEYS_FILE, or unset it."
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        raise ProjectError(f"The file of API keys, {path}, cannot be read; {advice}") from None
    found = set()
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("#"):
            match = _LINE.fullmatch(line.strip())
            if match is None:
                raise ProjectError(f"{path}, line {number}, is no SHA-256 digest; {advice}")
            found.add(match[1])
    if not found:
        raise ProjectError(f"The file of API keys, {path}, holds none; {advice}")
    return frozenset(found)


def _read_key(scope: Scope) -> bytes | None:
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            return bytes(value)
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return bytes(value[7:].strip())
    return None
