"""Input and result of a release gate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from mlchassis.config.params import Params
from mlchassis.contract.model import Contract
from mlchassis.errors import ProjectError
from mlchassis.evaluation.bootstrap import Interval
from mlchassis.formatting import format_number

GateVerdict = Literal["passed", "refused", "not tested"]


class GateResult(BaseModel):
    """One gate's finding.

    Attributes:
        verdict: "not tested" where too little was there to look at: that is no success.
        value: Measured value; None if the gate measures nothing.
        low: Lower end of the value's interval, where it has one.
        high: Upper end of it.
        limit: Limit for the value, or for the pessimistic end of its interval.
        sentence: The finding, for a person.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    verdict: GateVerdict
    sentence: str

    @classmethod
    def at_least(cls, name: str, value: float, limit: float, sentence: str = "") -> Self:
        """Return a result that passes from a limit on; NaN does not pass.

        Args:
            name: Of the gate, for the judgement and the report.
            value: The measured value.
            limit: The least value that passes.
            sentence: The finding, for a person; by default it has value and limit.
        """
        said = f"The value is {format_number(value)}; {format_number(limit)} is the least allowed."
        verdict: GateVerdict = "passed" if value >= limit else "refused"
        return cls(name=name, value=value, limit=limit, verdict=verdict, sentence=sentence or said)

    @classmethod
    def at_most(cls, name: str, value: float, limit: float, sentence: str = "") -> Self:
        """Return a result that passes up to a limit; NaN does not pass. See `at_least`."""
        said = f"The value is {format_number(value)}; {format_number(limit)} is the most allowed."
        verdict: GateVerdict = "passed" if value <= limit else "refused"
        return cls(name=name, value=value, limit=limit, verdict=verdict, sentence=sentence or said)


@dataclass(frozen=True, slots=True)
class ChampionFacts:
    """The champion, and how the candidate compares with it on rows that neither has seen.

    Attributes:
        gain: Improvement over the champion; None if the two could not be compared.
        rows: Number of rows that they were compared on.
        obstacle: Why they could not be compared: a sentence.
    """

    version: str
    digest: str
    contract: Contract
    gain: Interval | None = None
    rows: int = 0
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class GateContext:
    """All that a gate may look at.

    Attributes:
        facts: Evaluation of the bundle, as `evaluate` wrote it.
        contract: Contract in the bundle.
        microseconds: Time for one record on this machine.
    """

    facts: Mapping[str, Any]
    contract: Contract
    params: Params
    champion: ChampionFacts | None
    microseconds: float

    def limit(self, name: str) -> float:
        """Return a limit of the project's own gates: `judge.custom.NAME` in params.yaml.

        Raises:
            ProjectError: It is not there.
        """
        custom = self.params.judge.custom
        if name not in custom:
            raise ProjectError(
                f"params.yaml: judge.custom has no '{name}', which a gate of the project needs; "
                "add it, with its unit and reason beside it."
            )
        return custom[name]
