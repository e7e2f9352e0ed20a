"""Judgement of a bundle: its evaluation against the gates and the champion.

Pure: facts in, a judgement out; `gates` has what is asked.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from mlchassis.errors import ProjectError
from mlchassis.evaluation.gates.context import GateContext, GateResult
from mlchassis.evaluation.gates.gates import GATES
from mlchassis.extensions.gates import CustomGate
from mlchassis.extensions.signatures import describe_place

Verdict = Literal["passed", "refused"]


class RefusedError(ProjectError):
    """At least one gate refuses the bundle."""


class Judgement(BaseModel):
    """A verdict on one bundle, against one champion.

    Attributes:
        digest: The judged bundle's digest.
        champion: Digest of the champion it was compared with, or None.
        metric: The metric by which the models were compared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    verdict: Verdict
    champion: str | None
    metric: str
    gates: tuple[GateResult, ...]

    @property
    def refusals(self) -> tuple[GateResult, ...]:
        """The gates that refuse."""
        return tuple(gate for gate in self.gates if gate.verdict == "refused")

    @property
    def summary(self) -> str:
        """Number of gates by verdict: "12 gates passed, 2 not tested"."""
        counts = Counter(gate.verdict for gate in self.gates)
        every = "all " if counts["passed"] == len(self.gates) else ""
        parts = [f"{every}{counts['passed']} gate{'s' if counts['passed'] != 1 else ''} passed"]
        parts += [f"{counts[v]} {v}" for v in ("refused", "not tested") if counts[v]]
        return ", ".join(parts)


def judge(context: GateContext, custom: Sequence[CustomGate] = ()) -> Judgement:
    """Check a bundle's evaluation by every gate.

    Raises:
        ProjectError: `judge.metric` names what was not measured.
    """
    metric = context.params.judge.metric
    if metric not in context.facts["metrics"]:
        raise ProjectError(
            f"params.yaml: judge.metric is '{metric}', which was not measured; known are: "
            f"{', '.join(context.facts['metrics'])}."
        )
    built_in = [gate for find in GATES for gate in find(context)]
    gates = (*built_in, *(_ask_gate(gate, context) for gate in custom))
    return Judgement(
        digest=context.facts["digest"],
        verdict="refused" if any(gate.verdict == "refused" for gate in gates) else "passed",
        champion=context.champion.digest if context.champion else None,
        metric=metric,
        gates=gates,
    )


def _ask_gate(gate: CustomGate, context: GateContext) -> GateResult:
    result = gate(context)
    if not isinstance(result, GateResult):
        raise ProjectError(
            f"{describe_place(gate.function)} returned {type(result).__name__} as a gate; write "
            f"`{gate.signature}`, and return GateResult.at_least(name, value, limit)."
        )
    return result
