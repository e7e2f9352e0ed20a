"""The command `adopt`: questions at the terminal, and the run of the rewritten project."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

from mlchassis.adoption.adopt import adopt
from mlchassis.adoption.files.journal import apply_changes
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.adoption.prepare import Adoption
from mlchassis.config.yaml_edit import set_values
from mlchassis.errors import ProjectError
from mlchassis.evaluation.gates.judgement import load_judgement
from mlchassis.evaluation.plausibility import spell_implausible
from mlchassis.evaluation.results import load_evaluation
from mlchassis.paths import Paths
from mlchassis.project import Workspace, read_params
from mlchassis.terminal import confirm, echo

_OTHER_METRICS = {"roc_auc": "pr_auc", "pr_auc": "roc_auc", "rmse": "mae", "log_loss": "accuracy"}
"""Metric that may distinguish two models, for each metric that does not."""


def adopt_and_run(paths: Workspace, options: AdoptionOptions) -> None:
    """Adopt a table, run everything on it, and list the decisions that remain for a person."""
    overrides = replace(options.overrides, attended=sys.stdin.isatty())
    options = replace(options, overrides=overrides)
    adoption = adopt(paths, options, ask_at_terminal, echo)
    rejecting: list[str] = []
    code = choose_presets(paths, adoption)
    if not code:
        code, rejecting = _run_pipeline(paths)
    if "better than linear" in rejecting and not _is_linear(paths):
        serve_linear(paths)
        echo(
            "adopt: nothing to fix: the linear model is as good as the trees, so it is trained and "
            "judged instead (train.candidate.kind in params.yaml)"
        )
        code, rejecting = _run_pipeline(paths)
    echo("Decide next, then commit:")
    for question in (*adoption.open_questions, *_note_linear(paths), *_note_quality(paths)):
        echo(f"  - {question}")
    if code:
        raise ProjectError(explain_failure(rejecting))


def _run_pipeline(paths: Workspace) -> tuple[int, list[str]]:
    """Run everything.

    Returns:
        The exit code, and the names of the gates that rejected the bundle; none where something
        stopped before the gates, whatever an earlier run was judged.
    """
    before = _find_judgement_time(paths)
    code = run_verb(paths, "run")
    if not code or _find_judgement_time(paths) == before:
        return code, []
    judgement = load_judgement(paths.judgement)
    return code, [gate.name for gate in judgement.rejections] if judgement else []


def _note_quality(paths: Paths) -> list[str]:
    """Warn of an implausibly good model, whether or not it passed the gates."""
    path = paths.reports / "evaluation.json"
    if not path.exists():
        return []
    warning = spell_implausible(load_evaluation(path).implausible)
    return [warning] if warning else []


def choose_presets(paths: Workspace, adoption: Adoption) -> int:
    """Let the study choose settings, unless an earlier adoption or a person has chosen them.

    Returns:
        The exit code of the study.
    """
    if adoption.keeps_settings:
        return 0
    code = run_verb(paths, "study", "--only", "presets", "--apply")
    # Noted as the adoption's own change, the settings do not stand in the way of the next one.
    apply_changes(paths, {"params.yaml": paths.params.read_text(encoding="utf-8")})
    return code


def explain_failure(rejecting: Sequence[str]) -> str:
    """Advice on a table whose model was rejected.

    Args:
        rejecting: Names of the gates that did not pass; empty where something stopped before them.
    """
    adopted = "The project is rewritten for the table, but its model is not deployed"
    if not rejecting:
        return f"{adopted}: the sentence above gives the reason; fix that, then `make run`."
    names = ", ".join(f"'{name}'" for name in rejecting)
    return (
        f"{adopted}: it did not pass {names}. The table may be in order: a gate "
        "fails for too few rows, for a column that is known only afterwards, or for a limit that "
        "does not suit the problem. The sentences above name the settings in params.yaml; change "
        "what applies, then `make run`."
    )


def _note_linear(paths: Paths) -> list[str]:
    """Note on how to return to trees if the linear model is served."""
    if not _is_linear(paths):
        return []
    metric = read_params(paths).judge.metric
    note = (
        f"params.yaml: train.candidate.kind is linear. That trees are better by {metric} was not "
        "shown on this many test rows; with more rows, or another judge.metric such as "
        f"{_OTHER_METRICS.get(metric, 'mae')}, it may be: set it to trees, then `make run`"
    )
    return [note]


def _find_judgement_time(paths: Paths) -> int | None:
    """Modification time of the existing judgement, or None."""
    return paths.judgement.stat().st_mtime_ns if paths.judgement.exists() else None


def run_verb(paths: Workspace, *arguments: str) -> int:
    """Run a verb in a process of its own, since this one has loaded the old features.

    Returns:
        Its exit code; it prints the reason if that is not 0.
    """
    return subprocess.call([sys.executable, "-m", paths.package, *arguments], cwd=paths.root)


def ask_at_terminal(question: str, safe: bool) -> bool:
    """Prompt the user; without a terminal, return the safe answer."""
    return confirm(question, default=safe) if sys.stdin.isatty() else safe


def serve_linear(paths: Paths) -> None:
    """Make the linear model the candidate."""
    settings = {
        "train.candidate.kind": (
            "linear",
            "trees | linear; linear, since it is as good as trees on the test split",
        ),
        # What was as good as the trees is the baseline, which is fitted on the plain scale.
        "train.candidate.target_scale": ("plain", "plain | log; plain, as the baseline is"),
        "export.tolerance": (
            1.0e-4,
            "largest error of the graph; a linear model's sums are of single precision there",
        ),
    }
    text = set_values(paths.params.read_text(encoding="utf-8"), settings)
    apply_changes(paths, {"params.yaml": text})


def _is_linear(paths: Paths) -> bool:
    """True if the linear model is the candidate."""
    return read_params(paths).train.candidate.kind == "linear"
