"""A project with the default answers that was set up and run whole, and commands in it."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import ways_in
from bake import bake_defaults
from project_copy import find_package, make_environment
from summary import Parts

SHOWN = 60  # lines of a command's output, where it fails

# Run by the project's interpreter, in a folder that is not the project's.
SAMPLE_ROWS = """
import json, sys
import pandas as pd
from mlchassis.contract.model import load_contract
from pathlib import Path

project = Path(sys.argv[1])
features = load_contract(project / "contract.yaml").features
names = [column.name for column in features]
rows = pd.read_parquet(project / "data/splits/test.parquet", columns=names)
rows = rows.sample(40, random_state=1)
# A column of whole numbers is one of floats where values are missing: written 1999.0, not 1999.
rows = rows.astype({c.name: "Int64" for c in features if c.kind == "integer"})
rows = rows.astype(object).where(rows.notna(), None)
print(rows.to_json(orient="records", double_precision=15))
"""


def run_in(
    project: Path, *command: str, folder: Path | None = None, typed: str = "", **variables: str
) -> str:
    """Run a command with a project's environment on PATH and return what it printed.

    Args:
        project: Project whose environment is used; also the working directory unless `folder` is
            given.
        command: The command and its arguments; one that fails fails the test.
        folder: Another working directory.
        typed: Its standard input.
        variables: Environment variables.
    """
    done = subprocess.run(
        command,
        cwd=folder or project,
        env=make_environment(project / ".venv" / "bin", OMP_NUM_THREADS="1", **variables),
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-SHOWN:])
        pytest.fail(f"'{' '.join(command)[:200]}' exited {done.returncode}:\n{tail}", pytrace=False)
    return done.stdout


def run_python(project: Path, script: str, *arguments: str, typed: str = "") -> Any:
    """Run a script with the project's interpreter, outside the project; parse its last line."""
    python = str(project / ".venv" / "bin" / "python")
    command = (python, "-c", script, *arguments)
    return json.loads(
        run_in(project, *command, folder=project.parent, typed=typed).splitlines()[-1]
    )


def check_ways(project: Path, address: str, *table: str) -> str:
    """Compare the answers of every way in with the model's, to the last bit.

    Args:
        project: Project of the service and the model.
        address: Of the service.
        table: The text file that was adopted; none for the sample.

    Returns:
        How many rows were compared, how many with missing values and how many with rare words.
    """
    script = str(ways_in.__file__)
    printed = run_in(project, "python", script, find_package(project), address, *table)
    found = [line for line in printed.splitlines() if line.endswith("answers differ")]
    assert len(found) == 9
    assert all(f": 0 of {ways_in.ROWS} " in line for line in found)
    # Progress on the standard error stream may come first.
    return next(line for line in printed.splitlines() if " rows, " in line)


@dataclass(frozen=True)
class WholeRun:
    """A project, and what `make run` printed in it."""

    project: Path
    printed: str

    def read(self, name: str) -> Any:
        """Read one of the project's reports."""
        return json.loads((self.project / "reports" / f"{name}.json").read_text(encoding="utf-8"))


def run_whole(project: Path, parts: Parts) -> WholeRun:
    """Bake the defaults, set the project up and run all of it but the service.

    What is imported is compiled then: nobody waits for the first command here, as in the demo.
    """
    with parts.measure("generation"):
        bake_defaults(project)
    with parts.measure("make setup"):
        run_in(project, "make", "setup", UV_COMPILE_BYTECODE="0")
    with parts.measure("make run SERVE=0"):
        printed = run_in(project, "make", "run", "SERVE=0")
    return WholeRun(project, printed)
