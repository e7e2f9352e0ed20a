"""Far more requests than the service can answer: some are answered, the rest refused at once.

`OVERLOAD_ANSWERS` says how many are to be answered; `pytest --log-cli-level=INFO` shows what they
took. No time is asserted: that depends on what else the machine does.
"""

import asyncio
import json
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ANSWERS = int(os.environ.get("OVERLOAD_ANSWERS", "100"))
LIMIT = 4
CLIENTS = 10 * LIMIT
MOST_GROWTH = 16 * 1024  # KiB that the service may grow by: far more than buffers, less than a leak
LOGGER = logging.getLogger(__name__)
Seen = list[tuple[int, bool, float]]  # status, whether it says when to come again, seconds


def read_memory(process: int) -> int:
    """The resident memory of a process in KiB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0])


async def ask_on(port: int, request: bytes, seen: Seen, enough: Callable[[], bool]) -> None:
    """Send request after request over one connection, whatever the response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while not enough():
        started = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(re.findall(rb"content-length: (\d+)", head)[0]))
        taken = time.perf_counter() - started
        seen.append((int(head[9:12]), b"retry-after: " in head, taken))
    writer.close()
    await writer.wait_closed()


async def overload(port: int, request: bytes, clients: int, answers: int, refusals: int) -> Seen:
    """Send requests until the given numbers were answered and rejected."""
    seen: Seen = []

    counts: Counter[int] = Counter()

    def enough() -> bool:
        # Looks only at what is new: the one who asks must not be what is slow.
        counts.update(status for status, _, _ in seen[counts.total() :])
        return counts[200] >= answers and counts.total() - counts[200] >= refusals

    async with asyncio.timeout(120 + ANSWERS), asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(ask_on(port, request, seen, enough))
    return seen


def report(name: str, seen: Seen) -> None:
    for status in sorted({status for status, _, _ in seen}):
        took = sorted(seconds * 1000 for found, _, seconds in seen if found == status)
        p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
        LOGGER.info("%s: %d %d times, p50 %.1f, p99 %.1f ms", name, status, len(took), p50, p99)


def test_what_is_too_much_is_refused_and_what_is_accepted_is_answered_and_logged(
    start: Callable[..., Any],
    rows: list[dict[str, Any]],
    read_log: Callable[[], list[dict[str, Any]]],
) -> None:
    service = start(MAX_CONCURRENCY=str(LIMIT), ACCESS_LOG="false")
    port = urlsplit(service.wait_until_serving()).port or 0
    body = json.dumps({"records": rows}).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    alone = asyncio.run(overload(port, request, 1, ANSWERS, 0))
    asyncio.run(overload(port, request, CLIENTS, 20, 20))
    before, logged = read_memory(service.process.pid), len(read_log())
    seen = asyncio.run(overload(port, request, CLIENTS, ANSWERS, 9 * ANSWERS))
    growth = read_memory(service.process.pid) - before
    report("alone", alone)
    report(f"{CLIENTS} at once, {LIMIT} allowed", seen)
    LOGGER.info("memory: %.0f MiB, then %+.1f MiB", before / 1024, growth / 1024)
    assert {status for status, _, _ in alone} == {200}
    assert {(status, again) for status, again, _ in seen} == {(200, False), (503, True)}
    answered = sum(status == 200 for status, _, _ in seen)
    assert len(read_log()) - logged == answered * len(rows)
    assert growth < MOST_GROWTH
