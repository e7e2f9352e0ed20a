"""`make bench`: every server in one run, the same model, the same rows, the same two cores."""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bake import ROOT, BakeError
from bench.measure import (
    CONNECTIONS,
    Material,
    measure,
    read_material,
    say,
    summarize,
    write_bodies,
)
from bench.servers import SERVERS
from bench.setting import FOLDER, PROJECT, BenchError, freeze_model, make_environments, measure_size
from environments import CommandError

BATCH = Path(__file__).with_name("batch.py")
DOCUMENT = ROOT / "docs" / "benchmarks.md"
MARKS = ("<!-- figures: begin -->\n", "<!-- figures: end -->\n")
Results = Mapping[str, Mapping[str, Any]]
Runs = dict[str, list[dict[str, float]]]


def run(names: list[str], repetitions: int, seconds: float, minutes: float) -> Results:
    """Measure each server repeatedly, in turns, so that a slow minute of the machine meets all.

    Args:
        names: Servers to measure.
        repetitions: Runs of each server.
        seconds: Duration of each measurement.
        minutes: Time for all runs; a round that would exceed it is not begun.

    Raises:
        BenchError: A server could not be measured in any round.
    """
    freeze_model()
    make_environments(names)
    material = read_material()
    for name in names:
        write_bodies(name, material)
    runs: Runs = {name: [] for name in names}
    started = time.monotonic()
    for number in range(1, repetitions + 1):
        measure_round(f"{number}/{repetitions}", runs, material, seconds)
        elapsed = time.monotonic() - started
        if elapsed * (number + 1) / number > 60 * minutes:
            say(f"{number} of {repetitions} rounds fit into {minutes:g} minutes")
            break
    sizes = {name: measure_size(SERVERS[name].environment) for name in names}
    return {
        name: {**summarize(runs[name]), "size": sizes[name], "runs": len(runs[name])}
        for name in names
    }


def measure_round(label: str, runs: Runs, material: Material, seconds: float) -> None:
    """Measure each server once; one that fails in one round may still succeed in another.

    Raises:
        BenchError: A server has failed in each round so far.
    """
    for name in runs:
        try:
            figures = measure(name, material, seconds)
        except BenchError as error:
            if not runs[name]:
                raise
            say(f"{label} {name}: left out of this round: {error}")
            continue
        runs[name].append(figures)
        one, hundred = (f"{figures[f'{size} per_second']:.0f}" for size in (1, 100))
        say(f"{label} {name}: {one} and {hundred} requests/s")


def describe_machine() -> str:
    """The machine in a line."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":")[1].strip() for line in info if "model name" in line), "CPU")
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores of {model}, {platform.system()}, Python "
        f"{platform.python_version()}, {time.strftime('%Y-%m-%d')}; load before the run {load:.1f}"
    )


def render(results: Results, remark: str) -> str:
    """The tables in Markdown, each figure with its spread and as a ratio to the echo app."""
    lines = [remark, ""]
    for size in (1, 100):
        key = f"{size} per_second"
        least = results["echo"][key]["median"] if "echo" in results else None
        lines += [
            f"{size} row{'s' * (size > 1)} a request:",
            "",
            "| server | requests/s (least to greatest) | to the echo app | CPU a request, µs "
            "| p50, p99 at full load, ms | p50, p99 at half load, ms |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for name, figures in results.items():
            pace = figures[key]
            ratio = f"{pace['median'] / least:.3g}" if least else ""
            full, half = (
                ", ".join(f"{figures[f'{size} {at}{q}']['median']:.3g}" for q in ("p50", "p99"))
                for at in ("", "half ")
            )
            spread = f"{pace['median']:,.0f} ({pace['least']:,.0f} to {pace['greatest']:,.0f})"
            work = f"{figures[f'{size} work']['median']:,.0f}"
            lines.append(
                f"| {SERVERS[name].title} | {spread} | {ratio} | {work} | {full} | {half} |"
            )
        lines.append("")
    lines += [
        "| server | first answer after, s | memory, MB | installed packages, MB |",
        "| --- | --- | --- | --- |",
    ]
    for name, figures in results.items():
        start, memory = figures["cold start"]["median"], figures["memory"]["median"]
        lines.append(
            f"| {SERVERS[name].title} | {start:.2f} | {memory:.0f} | {figures['size']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def count_runs(results: Results) -> str:
    """Number of runs of each server, as a range if they differ."""
    counts = [figures["runs"] for figures in results.values()]
    least = min(counts)
    most = max(counts)
    return f"{least}" if least == most else f"{least} to {most}"


def write_document(text: str) -> None:
    """Put the tables where the document keeps its figures."""
    begin, end = MARKS
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    DOCUMENT.write_text(f"{before}{begin}{text}{end}{after}", encoding="utf-8")


def main() -> int:
    """Measure, print the tables, and write them into the documentation where asked to."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    parser.add_argument("--minutes", type=float, default=20, help="time for all runs")
    parser.add_argument("--only", nargs="+", choices=SERVERS, default=list(SERVERS))
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT.name}")
    parser.add_argument("--note", default="", help="a remark to stand above the figures")
    parser.add_argument("--batch", action="store_true", help="whole files instead of servers")
    options = parser.parse_args()
    missing = [program for program in ("wrk", "taskset") if not shutil.which(program)]
    try:
        if options.batch:
            freeze_model()
            return subprocess.call([PROJECT / ".venv/bin/python", BATCH, FOLDER / "model"])
        if missing:
            raise BenchError(
                f"{missing[0]} is not on PATH; on Debian: apt-get install {missing[0]}"
            )
        if (os.cpu_count() or 1) < 2:
            raise BenchError("the server and the load need a core each; this machine has one")
        machine = describe_machine()
        results = run(options.only, options.repetitions, options.seconds, options.minutes)
        remark = (
            f"{machine}. Medians of {count_runs(results)} runs, "
            f"{CONNECTIONS} connections, {options.seconds:g} s each. {options.note}"
        ).strip()
    except (BakeError, BenchError, CommandError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    (FOLDER / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    text = render(results, remark)
    print(text)
    if options.write:
        write_document(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
