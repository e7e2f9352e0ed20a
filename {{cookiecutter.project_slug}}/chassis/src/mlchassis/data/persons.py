"""Values of persons kept out of a model and its bundle.

A bundle goes into images and registries, from which nobody's data can be deleted: it holds no value
of a column that the contract tags `pii`.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlchassis.contract.model import Column, Contract
from mlchassis.contract.schemas import PANDAS_TYPES, generate_rows
from mlchassis.errors import ProjectError
from mlchassis.features.encoding import MISSING, Columns

_LEAST_PROPORTION = 0.01
"""Proportion of rows in which a category holds a person's value without coincidence."""
_MAX_COMPARED = 20_000


def replace_personal_values(rows: pd.DataFrame, contract: Contract, seed: int) -> pd.DataFrame:
    """Rows in which columns tagged `pii` hold values made from the contract alone.

    A column that may be empty is left empty: a made value could be somebody's all the same.
    """
    personal = [column for column in contract.features if column in contract.pii]
    if not personal:
        return rows
    # No target and no key are needed to draw values.
    made = generate_rows(replace(contract, columns=tuple(personal)), len(rows), seed)
    columns = {column.name: _make_column(column, made) for column in personal}
    return rows.assign(**{name: values.set_axis(rows.index) for name, values in columns.items()})


def _make_column(column: Column, made: list[dict[str, Any]]) -> "pd.Series[Any]":
    kind = cast("Any", PANDAS_TYPES[column.kind])
    values = [row.get(column.name) if column.required else None for row in made]
    if column.kind == "timestamp":
        times = pd.to_datetime(pd.Series(values, dtype=object), utc=True)
        return times.astype(kind)
    return pd.Series(values, dtype=kind)


def check_categories(
    contract: Contract, columns: Columns, features: Columns, allowed: Iterable[str]
) -> None:
    """Refuse a model whose categories are the values of a column tagged `pii`.

    Args:
        contract: Contract with the tags.
        columns: The training rows, column by column.
        features: Features computed from the rows.
        allowed: Columns whose values may be stored, as `export.pii_categories` lists them.

    Raises:
        ProjectError: The model would store such values.
    """
    permitted = set(allowed)
    for column in contract.features:
        if column.name in permitted or column not in contract.pii or column.kind != "string":
            continue
        stored = [
            name
            for name, values in features.items()
            if values.dtype.kind == "O" and _holds(values, columns[column.name])
        ]
        if stored:
            raise ProjectError(
                f"The column '{column.name}' is tagged pii, and the model would store its values "
                f"as categories of the feature '{stored[0]}': take the tag 'feature' from it in "
                "contract.yaml, make features.py derive something from it that names nobody, or "
                f"list '{column.name}' in export.pii_categories in params.yaml if its values may "
                "be in every bundle, image and registry."
            )


def _holds(feature: NDArray[Any], column: NDArray[Any]) -> bool:
    """True if a feature repeats a column's values row by row, ignoring case."""
    pairs = [
        (str(category).casefold(), str(value).strip().casefold())
        for category, value in zip(feature[:_MAX_COMPARED], column[:_MAX_COMPARED], strict=True)
        if value != MISSING
    ]
    if not pairs:
        return False
    return float(np.mean([value in category for category, value in pairs])) >= _LEAST_PROPORTION
