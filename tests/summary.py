"""Summary of the long tests: one line each, shown before pytest's closing line."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Parts:
    """The lines of the summary."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        """Add a line to the summary."""
        self.lines.append(line)

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Note what a part took, and if it failed: a failure of the background shows late."""
        started = time.perf_counter()
        failed = True
        try:
            yield
            failed = False
        finally:
            seconds = time.perf_counter() - started
            self.note(f"{part}: {'failed after ' if failed else ''}{seconds:.1f} s")
