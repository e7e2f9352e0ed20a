"""Input and result of a release gate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from mlchassis.config.params import Params
from mlchassis.evaluation.bootstrap import Interval

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
    contract_version: str
    gain: Interval | None = None
    rows: int = 0
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class GateContext:
    """All that a gate may look at.

    Attributes:
        facts: Evaluation of the bundle, as `evaluate` wrote it.
        contract_version: Version of the contract in the bundle.
        microseconds: Time for one record on this machine.
    """

    facts: Mapping[str, Any]
    contract_version: str
    params: Params
    champion: ChampionFacts | None
    microseconds: float
