"""Training/serving skew: features of logged rows, compared with those of their raw data.

The rows of the log that the deployed model answered are found in the source by their key. The
features are computed twice by the same code: from the values that the service logged, and from the
values that training would read. Equal values give equal features, to the last bit.
"""

import heapq
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlchassis.bundle.bundle import Bundle
from mlchassis.contract.checks import name_kind
from mlchassis.contract.model import Column, Contract
from mlchassis.data.tables import coerce
from mlchassis.errors import ProjectError
from mlchassis.features.code import FeatureCode
from mlchassis.features.encoding import FeatureMatrix, columns_from_frame, columns_from_rows
from mlchassis.monitoring.labels import has_labels, spell_key
from mlchassis.monitoring.prediction_log import LoggedRow
from mlchassis.monitoring.results import FeatureSkew, Skew
from mlchassis.monitoring.source_rows import SourceRows
from mlchassis.sources.location import SourceMissingError

_Ranked = tuple[str, int, int, str, LoggedRow]
"""Day, a number that depends on the key alone, order of reading, spelled key, and the row."""


@dataclass(frozen=True, slots=True)
class RawRows:
    """Rows of the source.

    Attributes:
        table: Key and features in the types of the contract.
        places: Position of each spelled key that occurs once.
        statement: Reason why there are none; else empty.
        violation: Sentence on a table that does not fit the contract; else empty.
    """

    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    places: Mapping[str, int] = field(default_factory=dict)
    statement: str = ""
    violation: str = ""


def read_raw(source: SourceRows) -> RawRows:
    """Read the key and the features of every row of the source.

    Raises:
        ProjectError: The source is there and cannot be read.
    """
    contract = source.contract
    key = contract.key
    if key is None or not has_labels(contract):
        return RawRows(statement="The contract has no key that is logged, so raw data has no row.")
    columns = [each for each in contract.columns if each == key or each in contract.features]
    needed = replace(contract, columns=tuple(columns))
    try:
        rows = source.rows
    except SourceMissingError as missing:
        return RawRows(statement=f"The source is not on this machine ({missing})")
    try:
        table = coerce(rows, needed)
    except ProjectError as error:
        return RawRows(violation=str(error))
    table = table[table[key.name].notna() & ~table[key.name].duplicated(keep=False)]
    keys = [spell_key(value, key) for value in table[key.name].to_list()]
    return RawRows(table, {spelled: place for place, spelled in enumerate(keys)})


class SkewCheck:
    """Comparison of the newest rows of the log that the raw data has.

    Args:
        bundle: The deployed bundle.
        features: The feature code, of the same digest.
        raw: Rows of the source.
        most: Largest number of rows to compare.
    """

    def __init__(self, bundle: Bundle, features: FeatureCode, raw: RawRows, most: int) -> None:
        self._bundle = bundle
        self._features = features
        self._raw = raw
        self._most = most
        self._newest: list[_Ranked] = []
        self._seen = 0

    def add(self, rows: Sequence[LoggedRow]) -> None:
        """Keep the newest of these rows and of those before."""
        key = self._bundle.contract.key
        if key is None or not self._raw.places:
            return
        for row in rows:
            self._seen += 1
            is_full = len(self._newest) >= self._most
            if row.digest != self._bundle.digest or (is_full and row.day < self._newest[0][0]):
                continue
            spelled = spell_key(row.key, key)
            if spelled in self._raw.places:
                # A checksum chooses rows of one day without regard to the order of keys.
                ranked = (row.day, zlib.crc32(spelled.encode()), self._seen, spelled, row)
                (heapq.heappushpop if is_full else heapq.heappush)(self._newest, ranked)

    def compare(self, since: str) -> Skew:
        """Compare the kept rows from a day on."""
        if self._raw.statement or self._raw.violation:
            return Skew(
                statement=self._raw.statement,
                violations=[self._raw.violation] if self._raw.violation else [],
            )
        ranked = [entry for entry in sorted(self._newest) if entry[0] >= since]
        if not ranked:
            return Skew(statement="No key of the newest windows is in the source yet.")
        contract = self._bundle.contract
        violations = find_violations([entry[4] for entry in ranked], contract)
        if violations:
            return Skew(rows=len(ranked), violations=violations)
        keys = [entry[3] for entry in ranked]
        places = [self._raw.places[key] for key in keys]
        recomputed = columns_from_frame(contract, self._raw.table.iloc[places])
        # The log has no columns of persons, so they are taken from the raw data on both sides.
        personal = {column.name: recomputed[column.name] for column in _list_personal(contract)}
        logged = columns_from_rows(contract, [entry[4].inputs for entry in ranked])
        served = self._features.arrange({**logged, **personal})
        return compare_features(served, self._features.arrange(recomputed), keys)


def _list_personal(contract: Contract) -> list[Column]:
    return [column for column in contract.features if column in contract.pii]


def find_violations(rows: Sequence[LoggedRow], contract: Contract) -> list[str]:
    """Return a sentence for each column that logged rows lack, or have in another type."""
    violations = []
    for column in contract.features:
        if column in contract.pii:
            continue
        name = column.name
        lacking = sum(name not in row.inputs for row in rows)
        if lacking:
            violations.append(f"{lacking:,} of {len(rows):,} logged rows lack the column '{name}'.")
        mistyped = sum(not _has_type(row.inputs.get(name), column) for row in rows)
        if mistyped:
            violations.append(
                f"{mistyped:,} of {len(rows):,} logged rows have a value in '{name}' that is not "
                f"{name_kind(column.kind)}."
            )
    return violations


def _has_type(value: Any, column: Column) -> bool:
    if value is None:
        return True
    return isinstance(value, str) == (column.kind in ("string", "timestamp"))


def compare_features(served: FeatureMatrix, raw: FeatureMatrix, keys: Sequence[str]) -> Skew:
    """Compare the features of the same rows, feature by feature.

    Args:
        served: From the log.
        raw: From the raw data.
        keys: Key of each row.
    """
    served_names = (*served.numeric_names, *served.categorical_names)
    if served_names != (*raw.numeric_names, *raw.categorical_names):
        return Skew(
            rows=len(keys),
            violations=["The features of the log have other names or types than the raw data's."],
        )
    is_nan = np.isnan(served.numeric) & np.isnan(raw.numeric)
    numbers: NDArray[np.bool_] = (served.numeric != raw.numeric) & ~is_nan
    words: NDArray[np.bool_] = served.categorical != raw.categorical
    differs = np.hstack([numbers, words])
    counts = differs.sum(axis=0)
    features = [
        FeatureSkew(
            feature=served_names[place],
            rows=int(counts[place]),
            example=keys[int(differs[:, place].argmax())],
        )
        for place in np.argsort(-counts, kind="stable")
        if counts[place]
    ]
    return Skew(rows=len(keys), mismatched=int(differs.any(axis=1).sum()), features=features)
