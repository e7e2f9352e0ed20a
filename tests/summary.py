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
        """Note what a part took, if it came to its end."""
        started = time.perf_counter()
        yield
        self.note(f"{part}: {time.perf_counter() - started:.1f} s")
