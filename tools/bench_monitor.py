"""Compare the monitor's drift tests with Evidently's on the same windows of a project's rows.

Each project must have been run whole: build/demo, and others that are named. Prints Markdown tables
with false alarms of unchanged windows, and detection by fault and number of rows.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from bake import ROOT
from bench.__main__ import describe_machine
from bench.setting import BenchError
from environments import CommandError, install
from project_copy import make_environment

FOLDER = ROOT / "build" / "bench-monitor"
SCRIPTS = ROOT / "tools" / "drift"
EVIDENTLY = FOLDER / "evidently"
DEMO = ROOT / "build" / "demo"
DOCUMENT = ROOT / "docs" / "drift.md"
MARKS = ("<!-- figures: begin -->\n", "<!-- figures: end -->\n")
USUAL_SIZE = 1000
UNCHANGED = ("unchanged", "unchanged, later")
DAYS = 7
NORMAL_QUANTILE = 1.96
"""Of an interval with 95 % confidence."""
TOOLS: dict[str, Sequence[str]] = {
    "own": ("own", "columns", "whole"),
    "evidently": ("evidently",),
}
"""Files of alarms that the script of each tool writes."""
HALF = 0.5
"""Proportion of columns above which Evidently calls a dataset drifted."""


@dataclass(frozen=True)
class Rule:
    """A rule by which a window alarms.

    Attributes:
        title: Its name in the tables.
        tool: Name of the alarms that it reads.
        half: True if half of the columns must alarm.
        counts_faults: False if it is shown for unchanged windows alone.
    """

    title: str
    tool: str
    half: bool = False
    counts_faults: bool = True

    def has_alarm(self, drifting: int, columns: int) -> bool:
        """Return whether a window alarms in which so many of its columns drift."""
        return drifting >= HALF * columns if self.half else drifting > 0


RULES = (
    Rule("this template", "own"),
    Rule("the same, days of the window in the reference", "whole", counts_faults=False),
    Rule("the same, each column alone", "columns"),
    Rule("Evidently, any column", "evidently"),
    Rule("Evidently, half of the columns", "evidently", half=True),
)


@dataclass(frozen=True)
class Project:
    """A project that has been run whole.

    Attributes:
        root: Its folder.
        days: Days of a window.
    """

    root: Path
    days: int

    @classmethod
    def parse(cls, text: str) -> "Project":
        """Read `FOLDER` or `FOLDER:DAYS`."""
        root, _, days = text.partition(":")
        return cls(Path(root).resolve(), int(days or DAYS))


@dataclass(frozen=True)
class Result:
    """Windows of a project, and who alarms in which.

    Attributes:
        facts: Contents of `windows.json`.
        alarms: For each tool, the number of drifting columns of each window (`count`), and whether
            the broken one is among them (`broken`).
    """

    project: Project
    facts: dict[str, Any]
    alarms: dict[str, list[dict[str, Any]]]

    @property
    def rules(self) -> list[Rule]:
        """Rules whose alarms there are."""
        return [rule for rule in RULES if rule.tool in self.alarms]

    @property
    def faults(self) -> list[str]:
        """Faults of the windows, in their order."""
        kinds = dict.fromkeys(window["kind"] for window in self.facts["windows"])
        return [kind for kind in kinds if kind not in UNCHANGED]

    @property
    def sizes(self) -> list[int]:
        """Numbers of rows of the windows."""
        return sorted({window["size"] for window in self.facts["windows"]})

    def count(self, rule: Rule, kind: str, size: int) -> tuple[int, int]:
        """Return how many windows alarm, with a fault because of its column, and all of them."""
        columns = len(self.facts["columns"])
        chosen = [
            rule.has_alarm(alarm["count"], columns) and (not window["column"] or alarm["broken"])
            for window, alarm in zip(self.facts["windows"], self.alarms[rule.tool], strict=True)
            if (window["kind"], window["size"]) == (kind, size)
        ]
        return sum(chosen), len(chosen)


def main() -> int:
    """Draw and test the windows of each project, and print the tables."""
    parser = argparse.ArgumentParser(prog="make bench-monitor", description=__doc__)
    parser.add_argument(
        "projects",
        nargs="*",
        type=Project.parse,
        default=[Project(DEMO, DAYS)],
        metavar="FOLDER[:DAYS]",
        help=f"a project, and the days of a window ({DAYS} if left out)",
    )
    parser.add_argument("--windows", type=int, default=200, help="unchanged windows")
    parser.add_argument("--seeds", type=int, default=20, help="windows of each fault and size")
    parser.add_argument(
        "--no-evidently",
        dest="tools",
        action="store_const",
        const=["own"],
        default=list(TOOLS),
        help="test this template alone",
    )
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT.name}")
    chosen = parser.parse_args()
    try:
        if "evidently" in chosen.tools:
            install(ROOT / "requirements" / "bench-evidently.txt", EVIDENTLY)
        results = [run(project, chosen, chosen.tools) for project in chosen.projects]
    except (BenchError, CommandError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    text = "\n".join([f"{describe_machine()}.\n", *(render(result) for result in results)])
    print(text)
    if chosen.write:
        write_document(text)
    return 0


def run(project: Project, chosen: argparse.Namespace, tools: Sequence[str]) -> Result:
    """Draw and test the windows of one project."""
    folder = FOLDER / project.root.name
    folder.mkdir(parents=True, exist_ok=True)
    python = project.root / ".venv" / "bin" / "python"
    if not (project.root / "models" / "bundle").exists():
        raise BenchError(f"{project.root} has no bundle; run `make run SERVE=0` there.")
    counts = [f"--days={project.days}", f"--windows={chosen.windows}", f"--seeds={chosen.seeds}"]
    start(python, "draw_windows.py", folder, *counts, root=project.root).finish()
    scripts = [
        start(
            EVIDENTLY / "bin" / "python" if tool == "evidently" else python,
            f"{tool}_alarms.py",
            folder,
            root=project.root,
        )
        for tool in tools
    ]
    for script in scripts:
        script.finish()
    return read_result(project, tools)


def read_result(project: Project, tools: Sequence[str]) -> Result:
    """Return the windows and alarms that the scripts have written."""
    folder = FOLDER / project.root.name
    read = {
        name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("windows", *(name for tool in tools for name in TOOLS[tool]))
    }
    return Result(project, read.pop("windows"), read)


@dataclass(frozen=True)
class Script:
    """A script that runs."""

    name: str
    process: "subprocess.Popen[str]"

    def finish(self) -> None:
        """Wait for its end.

        Raises:
            BenchError: It failed.
        """
        output, _ = self.process.communicate()
        if self.process.returncode:
            raise BenchError(f"{self.name} failed:\n{output[-2000:]}")


def start(python: Path, name: str, folder: Path, *options: str, root: Path) -> Script:
    """Start a script in a project's folder, with an interpreter of another environment."""
    process = subprocess.Popen(
        [str(python), str(SCRIPTS / name), str(folder), *options],
        cwd=root,
        env=make_environment(OMP_NUM_THREADS="1", DO_NOT_TRACK="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    return Script(name, process)


def render(result: Result) -> str:
    """Return the tables of one project."""
    facts = result.facts
    days = result.project.days
    return "\n".join(
        [
            f"**{facts['name']}**: {facts['rows']:,} rows of {facts['days']} days, "
            f"{len(facts['columns'])} columns, windows of {days} days.",
            "",
            "| rule | " + " | ".join(UNCHANGED) + " |",
            "| --- |" + " --- |" * len(UNCHANGED),
            *(
                f"| {rule.title} | "
                + " | ".join(show_rate(*result.count(rule, kind, USUAL_SIZE)) for kind in UNCHANGED)
                + " |"
                for rule in result.rules
            ),
            "",
            "| fault | rule | " + " | ".join(f"{size:,} rows" for size in result.sizes) + " |",
            "| --- | --- |" + " --- |" * len(result.sizes),
            *(
                render_fault(result, fault, rule)
                for fault in result.faults
                for rule in result.rules
                if rule.counts_faults
            ),
            "",
        ]
    )


def render_fault(result: Result, fault: str, rule: Rule) -> str:
    """Return a row: how often a fault is detected in windows of each size."""
    cells = []
    for size in result.sizes:
        detected, windows = result.count(rule, fault, size)
        cells.append(f"{detected / windows:.0%}")
    return f"| {fault} | {rule.title} | {' | '.join(cells)} |"


def show_rate(alarms: int, windows: int) -> str:
    """Return a proportion with its interval (Wilson)."""
    rate = alarms / windows
    square = NORMAL_QUANTILE**2 / windows
    center = (rate + square / 2) / (1 + square)
    width = (
        NORMAL_QUANTILE * sqrt(rate * (1 - rate) / windows + square / windows / 4) / (1 + square)
    )
    return (
        f"{rate:.1%} of {windows} ({max(0.0, center - width):.1%} to "
        f"{min(1.0, center + width):.1%})"
    )


def write_document(text: str) -> None:
    """Put the tables where the document keeps its figures."""
    begin, end = MARKS
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    DOCUMENT.write_text(f"{before}{begin}{text}{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
