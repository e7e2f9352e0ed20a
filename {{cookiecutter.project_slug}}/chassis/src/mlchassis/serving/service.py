"""The objects that a team passes to the service."""

from dataclasses import dataclass

from mlchassis.features.code import FeatureFunction


@dataclass(frozen=True, slots=True)
class Service:
    """The composition root of serving.

    Attributes:
        features: The function from columns to features.
    """

    features: FeatureFunction
