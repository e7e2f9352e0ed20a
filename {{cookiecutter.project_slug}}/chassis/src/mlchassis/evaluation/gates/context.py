"""Input and result of a release gate."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict

from mlchassis.config.custom_params import read_custom_limit
from mlchassis.config.params import Params
from mlchassis.contract.model import Contract
from mlchassis.evaluation.bootstrap import Interval
from mlchassis.evaluation.results import Evaluation
from mlchassis.formatting import format_number


def _read_verdict(verdict: Any) -> Any:
    """Return the present name of a verdict: judgements before 0.2.0 say "refused"."""
    return "rejected" if verdict == "refused" else verdict


GateVerdict = Annotated[Literal["passed", "rejected", "not tested"], BeforeValidator(_read_verdict)]
JudgementVerdict = Annotated[Literal["passed", "rejected"], BeforeValidator(_read_verdict)]


class GateResult(BaseModel):
    """One gate's finding.

    Attributes:
        verdict: "not tested" where too little was there to look at: that is not success.
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
        default = (
            f"The value is {format_number(value)}; {format_number(limit)} is the least allowed."
        )
        verdict: GateVerdict = "passed" if value >= limit else "rejected"
        return cls(
            name=name, value=value, limit=limit, verdict=verdict, sentence=sentence or default
        )

    @classmethod
    def at_most(cls, name: str, value: float, limit: float, sentence: str = "") -> Self:
        """Return a result that passes up to a limit; NaN does not pass. See `at_least`."""
        default = (
            f"The value is {format_number(value)}; {format_number(limit)} is the most allowed."
        )
        verdict: GateVerdict = "passed" if value <= limit else "rejected"
        return cls(
            name=name, value=value, limit=limit, verdict=verdict, sentence=sentence or default
        )


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
        evaluation: Evaluation of the bundle, as `evaluate` wrote it.
        contract: Contract in the bundle.
        latency_us: Time for one record on this machine.
    """

    evaluation: Evaluation
    contract: Contract
    params: Params
    champion: ChampionFacts | None
    latency_us: float

    def limit(self, name: str) -> float:
        """Return a limit of the project's own gates: `judge.custom.NAME` in params.yaml.

        Raises:
            ProjectError: It is not there.
        """
        return read_custom_limit(self.params.judge.custom, "judge", name, "a gate")
