"""Reference of a column: its values in the training rows, without a row among them."""

from typing import Annotated, Literal

from pydantic import Field

from mlchassis.bundle.record import BundleRecord

_Proportion = Annotated[float, Field(ge=0, le=1)]


class NumericReference(BundleRecord):
    """Numbers of a column in the training rows.

    Attributes:
        missing: Proportion of the rows without a number.
        quantiles: Quantiles of the numbers, at equal steps from the smallest to the largest; empty
            where there is no number, and for a column tagged `pii`.
    """

    kind: Literal["numeric"] = "numeric"
    missing: _Proportion
    quantiles: tuple[float, ...] = ()


class CategoricalReference(BundleRecord):
    """Categories of a column in the training rows.

    Attributes:
        missing: Proportion of the rows without a category.
        shares: Proportions of the commonest categories among all rows; empty for a column tagged
            `pii`.
    """

    kind: Literal["categorical"] = "categorical"
    missing: _Proportion
    shares: dict[str, _Proportion] = Field(default_factory=dict)


ColumnReference = Annotated[NumericReference | CategoricalReference, Field(discriminator="kind")]
"""Reference of a column of either kind."""
