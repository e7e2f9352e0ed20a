"""The access log: a line per request, written once per turn of the event loop."""

import asyncio
from collections.abc import Mapping
from itertools import groupby
from typing import Any

import msgspec
from structlog.typing import FilteringBoundLogger

from mlchassis.serving.auth import HEALTH_PATHS

_QUIET = HEALTH_PATHS | {"/metrics"}


class AccessEntry(msgspec.Struct, frozen=True, gc=False):
    """One request that was answered.

    Attributes:
        method: Its method, or `unknown`.
        route: The pattern of its path, or `unknown`.
        fields: Its own fields: request id, status (0 where the client left before), milliseconds
            from its headers to the end of its response, and further ones.
    """

    method: str
    route: str
    fields: Mapping[str, Any]


class AccessLog:
    """Collect entries, and write them at the end of a turn of the event loop.

    Most of the cost of a line is the event's: what all lines of a batch share is rendered once.
    """

    def __init__(self, logger: FilteringBoundLogger, *, enabled: bool) -> None:
        self._logger = logger
        self._enabled = enabled
        self._entries: list[AccessEntry] = []

    def add(self, entry: AccessEntry) -> None:
        """Log a request, unless its route is one that machines poll."""
        if not self._enabled or entry.route in _QUIET:
            return
        if not self._entries:
            asyncio.get_running_loop().call_soon(self._write)
        self._entries.append(entry)

    def _write(self) -> None:
        entries = self._entries
        self._entries = []
        for (method, route), group in groupby(entries, lambda entry: (entry.method, entry.route)):
            lines = [entry.fields for entry in group]
            self._logger.info("request", method=method, route=route, lines=lines)
