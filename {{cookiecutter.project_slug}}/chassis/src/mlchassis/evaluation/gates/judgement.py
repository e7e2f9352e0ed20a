"""Judgement of a bundle: its evaluation against the gates and the champion.

`judge` is pure: facts in, a judgement out; `gates` has what is asked.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from mlchassis.errors import ProjectError
from mlchassis.evaluation.gates.context import GateContext, GateResult, JudgementVerdict
from mlchassis.evaluation.gates.gates import GATES
from mlchassis.extensions.gates import GATE, CustomGate
from mlchassis.reports import load_report
from mlchassis.team_code.signatures import describe


class RejectedError(ProjectError):
    """At least one gate rejects the bundle."""


class Judgement(BaseModel):
    """A verdict on one bundle, against one champion.

    Attributes:
        digest: The judged bundle's digest.
        champion: Digest of the champion it was compared with, or None.
        metric: The metric by which the models were compared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    verdict: JudgementVerdict
    champion: str | None
    metric: str
    gates: tuple[GateResult, ...]

    @property
    def rejections(self) -> tuple[GateResult, ...]:
        """The gates that reject the bundle."""
        return tuple(gate for gate in self.gates if gate.verdict == "rejected")

    @property
    def summary(self) -> str:
        """Number of gates by verdict: "12 gates passed, 2 not tested"."""
        counts = Counter(gate.verdict for gate in self.gates)
        every = "all " if counts["passed"] == len(self.gates) else ""
        parts = [f"{every}{counts['passed']} gate{'s' if counts['passed'] != 1 else ''} passed"]
        parts += [
            f"{counts[verdict]} {verdict}"
            for verdict in ("rejected", "not tested")
            if counts[verdict]
        ]
        return ", ".join(parts)


def load_judgement(path: Path) -> Judgement | None:
    """Read a judgement and validate it; None if there is none.

    Raises:
        ProjectError: The file is cut short, or was edited so that a fact is not usable.
    """
    return load_report(path, Judgement, "make judge") if path.exists() else None


def judge(context: GateContext, custom: Sequence[CustomGate] = ()) -> Judgement:
    """Check a bundle's evaluation by every gate.

    Raises:
        ProjectError: `judge.metric` names what was not measured.
    """
    metric = context.params.judge.metric
    if metric not in context.evaluation.metrics:
        raise ProjectError(
            f"params.yaml: judge.metric is '{metric}', which was not measured; known are: "
            f"{', '.join(context.evaluation.metrics)}."
        )
    built_in = [gate for find in GATES for gate in find(context)]
    gates = (*built_in, *(_ask_gate(gate, context) for gate in custom))
    return Judgement(
        digest=context.evaluation.digest,
        verdict="rejected" if any(gate.verdict == "rejected" for gate in gates) else "passed",
        champion=context.champion.digest if context.champion else None,
        metric=metric,
        gates=gates,
    )


def _ask_gate(gate: CustomGate, context: GateContext) -> GateResult:
    result = gate(context)
    if not isinstance(result, GateResult):
        raise ProjectError(
            f"{describe(gate.function)} returned {type(result).__name__} as a gate; write "
            f"`def my_gate{GATE.text}`, and return GateResult.at_least(name, value, limit)."
        )
    return result
