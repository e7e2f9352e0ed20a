"""Encoders of categories: lookups that end in a default for what training hardly saw, or never.

Rare categories share one value, and so do categories that training never saw: what a model has
learned about the rare is the best it can say about the unseen. Each encoder is a table of numbers,
so the exported graph holds it exactly.
"""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import TargetEncoder
from sklearn.utils.validation import check_is_fitted

from mlchassis.contract.model import Task

_FOLDS = 5
_TARGET_TYPES: dict[Task, str] = {
    "binary": "binary",
    "multiclass": "multiclass",
    "regression": "continuous",
}


class LookupEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped base
    """Numbers for the categories of one column.

    Attributes:
        table_: Numbers of each category: tuples of equal length.
        default_: The numbers of every other category.
    """

    table_: dict[str, tuple[float, ...]]
    default_: tuple[float, ...]

    def transform(self, values: Any) -> NDArray[np.float32]:
        """Return the numbers of a column of shape (rows, 1), as shape (rows, numbers)."""
        check_is_fitted(self, "table_")
        codes, categories = pd.factorize(_flatten(values))
        numbers = [self.table_.get(str(name), self.default_) for name in categories]
        return np.array(numbers, dtype=np.float32).reshape(-1, len(self.default_))[codes]


class CategoryEncoder(LookupEncoder):
    """A code for each frequent category, and one for all others.

    Args:
        min_count: Rows; categories seen less often share the code of the unseen ones.
    """

    def __init__(self, min_count: int = 1) -> None:
        self.min_count = min_count

    def fit(self, values: Any, _target: Any = None) -> Self:
        """Number the frequent categories of a column, shape (rows, 1), in the order of names."""
        counts = pd.Series(_flatten(values)).value_counts()
        frequent = sorted(str(name) for name in counts.index[counts >= self.min_count])
        self.table_ = {name: (float(code),) for code, name in enumerate(frequent)}
        self.default_ = (float(len(frequent)),)
        return self


class MeanEncoder(LookupEncoder):
    """The mean target of each category, shrunk towards that of all rows; of classes, one each.

    The rows that are fitted get means of other folds: a mean that holds a row's own target would
    tell it. Source: Micci-Barreca, A preprocessing scheme for high-cardinality categorical
    attributes (2001), as scikit-learn's `TargetEncoder` computes it.

    Args:
        task: Task of the target.
        seed: Of the folds.
    """

    def __init__(self, task: Task = "regression", seed: int = 0) -> None:
        self.task = task
        self.seed = seed

    def fit(self, values: Any, target: Any) -> Self:
        """Learn the means of a column, shape (rows, 1)."""
        self.fit_transform(values, target)
        return self

    def fit_transform(self, values: Any, target: Any = None, **_: Any) -> NDArray[np.float32]:
        """Learn the means; return those of the other folds, shape (rows, 1 or classes)."""
        folds = KFold if self.task == "regression" else StratifiedKFold
        encoder = TargetEncoder(
            target_type=_TARGET_TYPES[self.task],
            cv=folds(_FOLDS, shuffle=True, random_state=self.seed),
        )
        column = _flatten(values).reshape(-1, 1)
        folded = encoder.fit_transform(column, target)
        (categories,) = encoder.categories_
        means = np.column_stack(encoder.encodings_).astype(np.float32)
        self.table_ = {
            str(name): tuple(map(float, row)) for name, row in zip(categories, means, strict=True)
        }
        overall = np.atleast_1d(encoder.target_mean_).astype(np.float32)
        self.default_ = tuple(map(float, overall))
        return np.asarray(folded, dtype=np.float32)


def _flatten(values: Any) -> NDArray[np.object_]:
    return np.asarray(values, dtype=object).reshape(-1)
