"""A time limit for all bodies that are being read, by one timer: most need none."""

import asyncio

from starlette.types import Receive

from mlchassis.serving.protocols.body import HeldBytes, read_body


class BodyReader:
    """Read bodies within limits of size and time.

    `asyncio.timeout` costs a timer for each request, a tenth of a prediction. Here, all requests
    have the same limit, so the oldest one is the first that exceeds it.

    Args:
        max_bytes: Largest body.
        seconds: Time for one body.
        max_held: Most bytes of all bodies that are incomplete.
    """

    def __init__(self, max_bytes: int, seconds: float, max_held: int) -> None:
        self._max_bytes = max_bytes
        self._held = HeldBytes(max_held)
        self._seconds = seconds
        self._expiries: dict[asyncio.Task[object], float] = {}
        self._overdue: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def read(self, receive: Receive) -> bytes:
        """Return a request's body.

        Raises:
            ProblemError: It is too large, or incomplete ones fill the memory.
            TimeoutError: It does not arrive in time.
            ClientDisconnect: The client went away.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("A body is read within a task.")
        self._expiries[task] = loop.time() + self._seconds
        if self._timer is None or self._loop is not loop:
            self._loop = loop
            self._timer = loop.call_later(self._seconds, self._cancel_overdue, loop)
        try:
            return await read_body(receive, self._max_bytes, self._held)
        except asyncio.CancelledError:
            if task not in self._overdue or task.uncancel() > 0:
                raise
            raise TimeoutError from None
        finally:
            self._overdue.discard(task)
            self._expiries.pop(task, None)

    def _cancel_overdue(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self._timer = None
        for task, expiry in list(self._expiries.items()):
            if expiry > now:
                self._timer = loop.call_at(expiry, self._cancel_overdue, loop)
                return
            del self._expiries[task]
            self._overdue.add(task)
            task.cancel()
