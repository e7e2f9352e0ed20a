"""API keys: where digests of keys are set, every path but health and `/docs` requires a key.

A key must be random and long, as `openssl rand -hex 32` makes one: then its SHA-256 may be kept.
A line of SERVICE_API_KEYS_FILE, or of the variable SERVICE_API_KEYS itself, is the hexadecimal
digest (`printf %s KEY | sha256sum`) and perhaps a name. The `-` that sha256sum prints behind a
digest is not a name.
"""

import hashlib
import hmac
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from mlchassis.config.settings import ServiceSettings
from mlchassis.errors import ProjectError
from mlchassis.serving.problems import KEY_MISSING, KEY_REJECTED, ProblemError, render_problem

HEALTH_PATHS = frozenset(
    {"/health", "/health/live", "/health/ready", "/ping", "/v2/health/live", "/v2/health/ready"}
)
"""Health endpoints: an orchestrator has no key. Without one they report a status alone."""
PAGE_PATHS = frozenset({"/docs", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"})
"""Swagger UI without the OpenAPI document, which it fetches with a key that is typed in."""
OPEN_PATHS = HEALTH_PATHS | PAGE_PATHS
"""Paths that need no key."""
RELOAD_SECONDS = 1.0
"""Least time between two looks at the file."""
_LINE = re.compile(r"([0-9a-fA-F]{64})(?:\s+(.*))?")
_EMPTY = hashlib.sha256(b"").hexdigest()
_WRITABLE_BY_OTHERS = 0o022
_NAME_LENGTH = 64
_STANDARD_INPUT = "-"
"""Printed by sha256sum in place of a file's name."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One line of the file.

    Attributes:
        digest: Hexadecimal SHA-256 of the key.
        name: Name in the access log; the beginning of the digest where the file has none.
    """

    digest: str
    name: str


class KeySet:
    """Keys that stay as they are.

    Args:
        keys: Entries that are accepted.
    """

    def __init__(self, keys: tuple[ApiKey, ...]) -> None:
        self._keys = keys

    def find(self, key: bytes) -> ApiKey | None:
        """Return the entry of a key; None if it is unknown."""
        offered = hashlib.sha256(key).hexdigest()
        # Every digest is compared in constant time: the duration does not depend on the match.
        matches = [entry for entry in self._keys if hmac.compare_digest(offered, entry.digest)]
        return matches[0] if matches else None


class KeyStore(KeySet):
    """The keys of a file, read again when the file changes.

    A changed file that cannot be used leaves the keys as they were and is reported in the log.

    Args:
        path: File of digests.
        logger: Logger of the service.

    Raises:
        ProjectError: The file cannot be used.
    """

    def __init__(self, path: Path, logger: FilteringBoundLogger) -> None:
        self._path = path
        self._logger = logger
        self._identity = _identify(path)
        super().__init__(load_keys(path))
        self._checked = time.monotonic()
        self._warn_of_mode()

    def find(self, key: bytes) -> ApiKey | None:
        """Return the entry of a key; None if it is unknown."""
        if time.monotonic() - self._checked >= RELOAD_SECONDS:
            self.refresh()
        return super().find(key)

    def refresh(self) -> None:
        """Read the file again if it was replaced or edited."""
        self._checked = time.monotonic()
        identity = _identify(self._path)
        if identity == self._identity:
            return
        self._identity = identity
        try:
            self._keys = load_keys(self._path)
        except ProjectError as error:
            self._logger.error("api keys rejected", reason=str(error))
            return
        self._logger.info("api keys reloaded", keys=len(self._keys))
        self._warn_of_mode()

    def _warn_of_mode(self) -> None:
        # It may be replaced or deleted at any moment; the next look sees that.
        with suppress(OSError):
            if self._path.stat().st_mode & _WRITABLE_BY_OTHERS:
                self._logger.warning("api keys writable by others", file=str(self._path))


class KeyGuard:
    """ASGI middleware that passes requests on with a known key, or to `OPEN_PATHS`.

    The key's name becomes a field of the access log's line; a rejected request's line has the
    client's address. `scope["anonymous"]` is True for a request without a known key.

    Args:
        keys: Keys of the clients.
        login_page: Answer to a browser that opens the page without a key.
    """

    def __init__(self, app: ASGIApp, keys: KeySet, login_page: ASGIApp) -> None:
        self._app = app
        self._keys = keys
        self._login_page = login_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it."""
        answer = self._app if scope["type"] != "http" else self._choose_answer(scope)
        await answer(scope, receive, send)

    def _choose_answer(self, scope: Scope) -> ASGIApp:
        key = _read_key(scope)
        entry = None if key is None else self._keys.find(key)
        path = local_path(scope)
        if entry is not None:
            scope["log_fields"]["key"] = entry.name
            return self._app
        if path in OPEN_PATHS:
            scope["anonymous"] = True
            return self._app
        if scope.get("client"):
            scope["log_fields"]["client"] = scope["client"][0]
        if key is None and (scope["method"], path) == ("GET", "/"):
            return self._login_page
        return render_problem(_rejection(key), scope)


def local_path(scope: Scope) -> str:
    """Return the path of a request without the prefix of a proxy."""
    path: str = scope.get("path", "")
    return path.removeprefix(scope.get("root_path", ""))


def open_keys(settings: ServiceSettings, logger: FilteringBoundLogger) -> KeySet | None:
    """Return the keys of the settings; None where no key is asked for.

    Raises:
        ProjectError: Both settings are set, or the one that is set cannot be used.
    """
    if settings.api_keys and settings.api_keys_file:
        raise ProjectError(
            "SERVICE_API_KEYS and SERVICE_API_KEYS_FILE are both set; unset one of them."
        )
    if settings.api_keys_file:
        return KeyStore(settings.api_keys_file, logger)
    if settings.api_keys:
        advice = "write a SHA-256 digest per line into SERVICE_API_KEYS, or unset it."
        return KeySet(_parse_keys(settings.api_keys.get_secret_value(), "SERVICE_API_KEYS", advice))
    return None


def load_keys(path: Path) -> tuple[ApiKey, ...]:
    """Read the file of digests.

    Raises:
        ProjectError: It cannot be read, holds no digest, or holds something else.
    """
    advice = "name a file with a SHA-256 digest per line in SERVICE_API_KEYS_FILE, or unset it."
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise ProjectError(f"The file of API keys, {path}, cannot be read; {advice}") from None
    return _parse_keys(text, str(path), advice)


def _parse_keys(text: str, source: str, advice: str) -> tuple[ApiKey, ...]:
    keys = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not line.startswith("#"):
            try:
                keys.append(_parse_line(line.strip()))
            except ValueError as error:
                raise ProjectError(f"{source}, line {number}, {error}; {advice}") from None
    if not keys:
        raise ProjectError(f"{source} holds no API key; {advice}")
    return tuple(keys)


def _parse_line(line: str) -> ApiKey:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError("is not a SHA-256 digest")
    digest = match[1].lower()
    if digest == _EMPTY:
        raise ValueError("is the digest of an empty key, which every client could send")
    name = "" if match[2] == _STANDARD_INPUT else match[2]
    return ApiKey(digest, (name or digest[:8])[:_NAME_LENGTH])


def _identify(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is replaced or edited; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _rejection(key: bytes | None) -> ProblemError:
    if key is not None:
        return ProblemError(KEY_REJECTED, "The key is not known.")
    detail = "Send it as Authorization: Bearer KEY, or as X-API-Key."
    return ProblemError(KEY_MISSING, detail, {"WWW-Authenticate": "Bearer"})


def _read_key(scope: Scope) -> bytes | None:
    """Return the key of `X-API-Key`, else of `Authorization`, which may be for a proxy."""
    bearer: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            return bytes(value)
        if bearer is None and name == b"authorization" and value[:7].lower() == b"bearer ":
            bearer = bytes(value[7:].strip())
    return bearer
