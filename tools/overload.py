"""Ask the demo's service for ten times what it can answer: how long those wait whom it accepts.

The service has one core, h2load the other one: it asks at a steady rate, whatever the answers are.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, CalledProcessError, run
from tempfile import TemporaryDirectory

from demo import PROJECT, read_question
from project_copy import make_environment
from service import ServiceError, serve

SERVICE_CORE, LOAD_CORE = 0, 1
CLIENTS = 40
EXCESS = 10


@dataclass(frozen=True)
class Outcome:
    """Responses within a number of seconds."""

    accepted: Sequence[float]
    refused: Sequence[float]
    seconds: float

    def describe(self) -> str:
        """A row of a table: accepted and refused a second, p50 and p99 of what was accepted."""
        cuts = statistics.quantiles(self.accepted, n=100)
        pace = f"{len(self.accepted) / self.seconds:,.0f}, {len(self.refused) / self.seconds:,.0f}"
        return f"{pace} | {cuts[49]:.2f}, {cuts[98]:.2f}"


@contextmanager
def serve_on_a_core(limit: int) -> Iterator[str]:
    """The demo's service on its core, and this process on the other one."""
    environment = make_environment(SERVICE_MAX_CONCURRENCY=str(limit))
    os.sched_setaffinity(0, {SERVICE_CORE})
    with serve(PROJECT, DEVNULL, environment) as address:
        os.sched_setaffinity(0, {LOAD_CORE})
        yield address


def ask(address: str, body: Path, clients: int, rate: float | None, seconds: int) -> Outcome:
    """Ask with so many clients; each at its part of the rate, or at once again without one."""
    log = body.with_suffix(".log")
    log.unlink(missing_ok=True)
    command = ["h2load", "--h1", f"--clients={clients}", f"--data={body}", f"--log-file={log}"]
    command += ["--header=content-type: application/json", f"--duration={seconds}"]
    command += [f"--rps={rate / clients:.3f}"] if rate else []
    run([*command, f"{address}/predict"], check=True, stdout=DEVNULL)
    lines = [line.split("\t") for line in log.read_text(encoding="utf-8").splitlines()]
    took: dict[str, list[float]] = {"200": [], "503": []}
    for _, status, microseconds, *_ in lines:
        took[status].append(int(microseconds) / 1000)
    return Outcome(took["200"], took["503"], seconds)


def measure(limit: int, rows: int, seconds: int) -> str:
    """One row of the table: alone at a tenth of what can be answered, and at ten times as much."""
    with serve_on_a_core(limit) as address, TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        records = read_question(address)["records"][:1] * rows
        body.write_text(json.dumps({"records": records}), encoding="utf-8")
        most = len(ask(address, body, limit, None, seconds).accepted) / seconds
        alone = ask(address, body, 1, most / EXCESS, seconds)
        flooded = ask(address, body, CLIENTS, EXCESS * most, seconds)
    return f"| {limit} | {rows} | {alone.describe()} | {flooded.describe()} |"


def main() -> int:
    """Measure every combination, and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="make bench-overload", description=__doc__)
    parser.add_argument("--limits", type=int, nargs="+", default=[1, 2, 4], help="allowed at once")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 100], help="rows a request")
    parser.add_argument("--seconds", type=int, default=6, help="of each measurement")
    options = parser.parse_args()
    if not shutil.which("h2load"):
        print("error: h2load is not on PATH; apt-get install nghttp2-client", file=sys.stderr)
        return 1
    pair = "accepted, rejected a second | p50, p99, ms"
    print(f"| allowed at once | rows | alone: {pair} | {EXCESS} times: {pair} |")
    print("| --- " * 6 + "|")
    try:
        for limit in options.limits:
            for rows in options.rows:
                print(measure(limit, rows, options.seconds), flush=True)
    except (CalledProcessError, OSError, ServiceError) as error:
        print(f"error: {error}; `make demo` makes the project that is served", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
