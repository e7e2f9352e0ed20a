"""Parameters of estimators, and the ranges in which `make study` searches them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from mlchassis.config.fields import Count, Positive
from mlchassis.config.section import ParamsSection


@dataclass(frozen=True, slots=True)
class SearchRange:
    """Search range of a numeric parameter: `Annotated[int, SearchRange(0.5, 2)]`.

    Attributes:
        low: Lowest multiple of the value in params.yaml.
        high: Highest multiple; limits `ge` and `le` of the field hold too.
    """

    low: float
    high: float


class PriorParams(ParamsSection):
    """Parameters of the baseline `prior`: none."""


class LinearParams(ParamsSection):
    """Parameters of the linear model, which is a baseline too."""

    inverse_regularization: Positive
    max_iterations: Count


class TreesParams(ParamsSection):
    """Parameters of gradient-boosted trees.

    Attributes:
        categories: Encoding of columns with many categories: codes that LightGBM splits natively,
            or the mean target of each category, learned on other folds.
    """

    categories: Literal["native", "means"] = "native"
    learning_rate: Annotated[Positive, SearchRange(0.5, 3), Field(description="shrinkage per tree")]
    max_trees: Count
    patience: Count
    leaves: Annotated[int, SearchRange(0.25, 2), Field(ge=2, description="leaves per tree")]
    min_rows_per_leaf: Annotated[Count, SearchRange(0.1, 3), Field(description="rows")]
    feature_proportion: Annotated[
        float,
        SearchRange(0.5, 2.5),
        Field(gt=0, le=1, description="proportion of features offered to each tree"),
    ]
    threads: Count
