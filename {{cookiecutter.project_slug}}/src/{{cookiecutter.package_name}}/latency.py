"""How long a bundle takes for one record, as the service asks it: features, then the graph."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from .scoring import Scorer

ROUNDS = 7


def measure_latency(scorer: Scorer, clock: Callable[[], int] = time.perf_counter_ns) -> float:
    """Microseconds for one record on this machine: the best round's median.

    Whatever else the machine does makes a round slower and never faster, so the best one says most
    about the bundle.

    Args:
        scorer: Answers the bundle's own golden requests, one at a time.
        clock: Nanoseconds.
    """
    records = [[golden.request] for golden in scorer.bundle.metadata.golden]
    scorer.score_rows(records[0])

    def ask(record: list[dict[str, Any]]) -> int:
        begin = clock()
        scorer.score_rows(record)
        return clock() - begin

    return min(statistics.median(map(ask, records)) for _ in range(ROUNDS)) / 1000
