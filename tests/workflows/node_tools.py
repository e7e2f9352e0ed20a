"""GitHub's evaluator of expressions: a package for Node, installed once into build/."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bake import ROOT
from node_packages import install_packages

SOURCE = Path(__file__).with_name("node")
TOOLS = ROOT / "build" / "workflow-tools"


class ExpressionError(Exception):
    """An expression that GitHub would refuse, or that names an unknown context or function."""


def install_tools() -> Path:
    """Install the package, and copy the newest scripts beside it."""
    install_packages(SOURCE, TOOLS)
    for script in SOURCE.glob("*.mjs"):
        shutil.copy(script, TOOLS)
    return TOOLS


class Expressions:
    """Evaluator of GitHub's expressions, in one process of Node."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def evaluate(self, expression: str, contexts: dict[str, Any], status: dict[str, bool]) -> Any:
        """Return the value of an expression, without its `${{ }}`.

        Raises:
            ExpressionError: GitHub would refuse it.
        """
        assert self._process.stdin
        assert self._process.stdout
        request = {"expression": expression, "contexts": contexts, "status": status}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise ExpressionError(f"{expression}: {answer['error']}")
        return answer["value"]


@contextmanager
def open_expressions() -> Iterator[Expressions]:
    """Start the evaluator, and end its process."""
    command = ["node", "evaluate.mjs"]
    with subprocess.Popen(
        command,
        cwd=install_tools(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            yield Expressions(process)
        finally:
            process.kill()
