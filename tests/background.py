"""Work that begins before its result is wanted, beside the other tests."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Job(Generic[T]):
    """Work that is done once: by the background, or where its result is wanted first."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._begun = threading.Lock()
        self._outcome: Future[T] = Future()

    def run(self) -> None:
        """Do the work unless it has begun; keep its result or its error."""
        if not self._begun.acquire(blocking=False):
            return
        try:
            self._outcome.set_result(self._work())
        except BaseException as error:  # `pytest.fail` raises no Exception
            self._outcome.set_exception(error)

    def result(self) -> T:
        """Return the result of the work, which is done here unless it has begun elsewhere.

        Raises:
            BaseException: The error of the work.
        """
        self.run()
        return self._outcome.result()


class Background:
    """Threads that do jobs in the order in which they were added."""

    def __init__(self, threads: int = 1) -> None:
        self._executor = ThreadPoolExecutor(threads)

    def add(self, work: Callable[[], T]) -> Job[T]:
        """Add work to the end of the queue."""
        job = Job(work)
        self._executor.submit(job.run)
        return job

    def close(self) -> None:
        """Wait for the jobs that have begun, and drop the rest."""
        self._executor.shutdown(cancel_futures=True)
