"""Categories as codes: one code for each frequent category, one for all others.

Rare categories share the last code, and so do categories that training never saw: what a model has
learned about the rare is the best it can say about the unseen.
"""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted


class CategoryEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped base
    """Codes of one column of strings.

    Attributes:
        categories_: The frequent categories in the order of their codes, sorted by name; the code
            of all others is their number.

    Args:
        min_count: Rows; categories seen less often share the code of the unseen ones.
    """

    def __init__(self, min_count: int = 1) -> None:
        self.min_count = min_count

    def fit(self, values: Any, _target: Any = None) -> Self:
        """Count the categories of a column, shape (rows, 1)."""
        counts = _as_series(values).value_counts()
        self.categories_ = sorted(str(name) for name in counts.index[counts >= self.min_count])
        self.n_features_in_ = 1
        return self

    def transform(self, values: Any) -> NDArray[np.float64]:
        """Return the codes of a column, shape (rows, 1)."""
        check_is_fitted(self, "categories_")
        codes = {name: float(code) for code, name in enumerate(self.categories_)}
        other = float(len(self.categories_))
        known: NDArray[Any] = _as_series(values).map(codes).to_numpy(dtype=np.float64)
        return np.where(np.isnan(known), other, known).reshape(-1, 1)


def _as_series(values: Any) -> "pd.Series[Any]":
    return pd.Series(np.asarray(values, dtype=object).reshape(-1), dtype=object)
