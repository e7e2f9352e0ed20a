"""Hot reload: serve a newly deployed bundle while the service runs."""

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from mlchassis.bundle.bundle import BundleError, read_pointer
from mlchassis.config.settings import ServiceSettings
from mlchassis.contract.compatibility import find_breaking_changes, join_changes
from mlchassis.contract.model import Contract
from mlchassis.errors import ProjectError
from mlchassis.serving.loading import LoadedModel, ModelHolder, load_model
from mlchassis.serving.metrics import Metrics

RETRY_SECONDS = 60.0
"""Time after which a refused bundle is loaded again."""


class HotReloader:
    """Poller of the store's pointer, which loads a newly deployed bundle.

    A new bundle is loaded and warmed up in a thread, beside the one that answers, and then takes
    its place in one assignment. One that must not be served changes nothing. It is loaded again
    from time to time, since the reason may pass: a shared folder that shows the pointer before the
    bundle, or no descriptor that is free.

    Args:
        on_swap: Called with a new model once it answers.
    """

    def __init__(
        self,
        holder: ModelHolder,
        settings: ServiceSettings,
        metrics: Metrics,
        logger: FilteringBoundLogger,
        on_swap: Callable[[LoadedModel], None],
    ) -> None:
        self._holder = holder
        self._settings = settings
        self._metrics = metrics
        self._logger = logger
        self._on_swap = on_swap
        self._seen: tuple[int, ...] | None = None
        self._retry_at = math.inf

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await asyncio.sleep(self._settings.watch_seconds)
            try:
                await self.poll()
            except Exception as error:  # noqa: BLE001 - else nobody polls, without a word
                self._logger.error("polling failed", error=type(error).__name__)

    async def poll(self) -> None:
        """Read the pointer once; load its bundle if the pointer changed, or to try it again."""
        mark = _mark(self._settings.store / "current.json")
        if mark is None or (mark == self._seen and time.monotonic() < self._retry_at):
            return
        self._seen = mark
        self._retry_at = math.inf
        try:
            fresh = await asyncio.to_thread(self._load)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the old one answers
            known = isinstance(error, ProjectError)
            reason = str(error) if known else f"Loading it failed with {type(error).__name__}."
            self._metrics.count_swap("rejected")
            self._logger.error("bundle rejected", reason=reason)
            self._retry_at = time.monotonic() + RETRY_SECONDS
            return
        if fresh is not None:
            self._holder.current = fresh
            self._on_swap(fresh)
            self._metrics.count_swap("done")
            self._logger.info("bundle swapped", **fresh.identity.model_dump())

    def _load(self) -> LoadedModel | None:
        current, pointer = self._holder.current, read_pointer(self._settings.store)
        if pointer is None or (pointer.digest, pointer.model_name, pointer.model_version) == (
            current.identity.digest,
            current.identity.name,
            current.identity.version,
        ):
            return None
        fresh = load_model(
            self._settings.store,
            current.scorer.features,
            self._settings.max_rows,
            self._settings.model_threads,
        )
        check_compatibility(current.contract, fresh.contract, fresh.identity.digest)
        return fresh


def check_compatibility(current: Contract, fresh: Contract, digest: str) -> None:
    """Refuse a bundle whose contract breaks clients of the current one.

    Raises:
        BundleError: It does; the sentence names every breaking change.
    """
    breaking = find_breaking_changes(current, fresh)
    if breaking:
        raise BundleError(
            f"Bundle {digest[:12]} has a contract that breaks today's clients: "
            f"{join_changes(breaking)}; inform them, then restart the service."
        )


def _mark(path: Path) -> tuple[int, ...] | None:
    """File identity that changes when a file is replaced; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ino, status.st_size)
