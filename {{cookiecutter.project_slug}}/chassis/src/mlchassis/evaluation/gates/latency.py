"""Latency of one record in a bundle: features, then the graph."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from mlchassis.bundle.scorer import Scorer

ROUNDS = 7
"""Rounds of a batch: each asks about every golden request."""
BATCHES = 6
PAUSE = 0.1
"""Seconds before the second batch, twice as many before each further one."""


def measure_latency(
    scorer: Scorer,
    enough: float = 0.0,
    clock: Callable[[], int] = time.perf_counter_ns,
    wait: Callable[[float], None] = time.sleep,
) -> float:
    """Microseconds for one record on this machine: the best of several batches.

    Whatever else the machine does makes a request slower and never faster. So the fastest time of
    each record counts, and their median. A batch that is too slow is repeated later, when what
    kept the machine busy may have ended.

    Args:
        scorer: Scorer of the bundle's own golden requests, one at a time.
        enough: Microseconds; a batch that is as fast needs no further one.
        clock: Nanoseconds.
        wait: Function that waits for so many seconds.
    """
    records = [[golden.request] for golden in scorer.bundle.metadata.golden]
    scorer.score_rows(records[0])

    def ask(record: list[dict[str, Any]]) -> int:
        begin = clock()
        scorer.score_rows(record)
        return clock() - begin

    def measure_batch() -> float:
        rounds = [[ask(record) for record in records] for _ in range(ROUNDS)]
        fastest = [min(times) for times in zip(*rounds, strict=True)]
        return float(statistics.median(fastest))

    best = measure_batch() / 1000
    for batch in range(BATCHES - 1):
        if best <= enough:
            break
        wait(PAUSE * 2**batch)
        best = min(best, measure_batch() / 1000)
    return best
