"""`adopt` as a command: who is asked, and what follows once the project is rewritten."""

import subprocess
import sys
from dataclasses import replace

from ..errors import ProjectError
from ..params import load_params
from ..paths import Paths
from ..reports import read_report
from ..terminal import confirm, echo
from .adopt import Request, adopt
from .changes import carry_out
from .opening import Place
from .overrides import FormatOverrides
from .patching import set_values
from .plan import Wishes


def adopt_and_run(
    paths: Paths,
    place: Place,
    wishes: Wishes,
    formats: FormatOverrides,
    *,
    name: str | None,
    day_first: bool,
    yes: bool,
    force: bool,
) -> None:
    """Adopts a table, runs everything on it, and says what a person should decide next."""
    wishes = replace(wishes, attended=sys.stdin.isatty())
    request = Request(place, wishes, name, day_first, force, yes, formats)
    questions = adopt(paths, request, ask_at_terminal, echo)
    code = run_verb(paths, "study", "--only", "presets", "--apply") or run_verb(paths, "run")
    if code and _may_serve_linear(paths):
        serve_linear(paths)
        echo(
            "adopt: the linear model is as good as the trees, so it is judged instead "
            "(train.candidate.kind in params.yaml)"
        )
        code = run_verb(paths, "run")
    echo("Decide next, then commit:")
    for question in questions:
        echo(f"  - {question}")
    if code:
        raise ProjectError(
            "The project is rewritten for the table, but its model is not deployed: what stopped "
            "it is above; mend that, then `make run`."
        )


def run_verb(paths: Paths, *arguments: str) -> int:
    """Run a verb in a process of its own, since this one has loaded the features of before.

    Returns:
        Its exit code; it has said why it is not 0.
    """
    package = __package__.partition(".")[0]
    return subprocess.call([sys.executable, "-m", package, *arguments], cwd=paths.root)


def ask_at_terminal(question: str, safe: bool) -> bool:
    """Asks whoever sits there; without a terminal, what is safe is the answer."""
    return confirm(question, default=safe) if sys.stdin.isatty() else safe


def serve_linear(paths: Paths) -> None:
    """Makes the linear model the candidate."""
    settings = {
        "train.candidate.kind": (
            "linear",
            "trees | linear; linear, since it is as good as trees on the test window",
        ),
        "export.tolerance": (
            1.0e-4,
            "largest error of the graph; a linear model's sums are of single precision there",
        ),
    }
    text = set_values(paths.params.read_text(encoding="utf-8"), settings)
    carry_out(paths, {"params.yaml": text})


def _may_serve_linear(paths: Paths) -> bool:
    """Return True if the trees were rejected for being no better than the linear model."""
    if load_params(paths.params).train.candidate.kind == "linear":
        return False
    if not (paths.reports / "judgement.json").exists():
        return False
    gates = read_report(paths.reports / "judgement.json")["gates"]
    return any(
        gate["name"] == "better than linear" and gate["verdict"] == "refused" for gate in gates
    )
