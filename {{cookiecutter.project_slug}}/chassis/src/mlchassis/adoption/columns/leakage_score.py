"""Signs that a column is known only after the event, beside its ROC AUC."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlchassis.adoption.columns.plan import ColumnPlan, RoleOverrides
from mlchassis.adoption.columns.profile import ColumnFacts
from mlchassis.adoption.columns.target import choose_leakage_auc, plan_target
from mlchassis.adoption.draft import draft_contract
from mlchassis.contract.model import parse_contract
from mlchassis.data.tables import coerce
from mlchassis.evaluation.metrics import Floats, encode_target
from mlchassis.features.encoding import arrange_features, columns_from_frame
from mlchassis.training.leakage import find_formula, rank_single_features

_MAX_SCORED_ROWS = 100_000
"""Rows on which single columns are scored; more show nothing new."""
_MAX_ROWS = 5000
"""Rows on which formulas are tried; more show nothing new."""
_MAJORITY = 0.5
_MIN_EQUAL_GAPS = 0.995
"""Proportion of the rows in which two columns are both empty or both filled."""


def find_leakage_signs(
    table: pd.DataFrame,
    facts: Mapping[str, ColumnFacts],
    leakage_scores: Mapping[str, float],
    overrides: RoleOverrides,
    event_time: str | None,
) -> dict[str, str]:
    """Find columns that are probably filled in after the event.

    Args:
        table: All rows.
        facts: Profiles by column.
        leakage_scores: Leakage score by column: ROC AUC of the column alone.
        overrides: Decisions made by flags.
        event_time: Column of the event's time, if there is one.

    Returns:
        Reason to suspect each column, as the middle of a sentence.
    """
    columns = [
        name
        for name, column in facts.items()
        if name not in (overrides.target, event_time, overrides.group, overrides.key)
        and column.kind
        and not column.constant
    ]
    signs = find_late_times(table, columns, facts, event_time)
    leakage_auc = choose_leakage_auc(plan_target(facts[overrides.target], overrides))
    suspected = [name for name in columns if leakage_scores.get(name, 0.5) >= leakage_auc]
    signs = find_equal_gaps(table, columns, [*signs, *suspected]) | signs
    return (
        find_operands(table, columns, facts, plan_target(facts[overrides.target], overrides))
        | signs
    )


def find_late_times(
    table: pd.DataFrame,
    columns: Sequence[str],
    facts: Mapping[str, ColumnFacts],
    event_time: str | None,
) -> dict[str, str]:
    """Find times that lie after the event in most rows."""
    if event_time is None or facts[event_time].kind != "timestamp":
        return {}
    signs = {}
    for name in columns:
        if facts[name].kind == "timestamp":
            late = (table[name] > table[event_time])[
                table[name].notna() & table[event_time].notna()
            ]
            if len(late) and late.mean() > _MAJORITY:
                signs[name] = f"it lies after '{event_time}' in {late.mean():.0%} of its rows"
    return signs


def find_equal_gaps(
    table: pd.DataFrame, columns: Sequence[str], suspected: Sequence[str]
) -> dict[str, str]:
    """Find columns that are empty in exactly the rows in which a suspected one is."""
    gaps = {name: table[name].isna().to_numpy() for name in columns}
    some = {name: gap for name, gap in gaps.items() if 0.01 <= gap.mean() <= 0.99}
    signs: dict[str, str] = {}
    for known in [name for name in suspected if name in some]:
        rare = min(some[known].mean(), 1 - some[known].mean())
        for name, gap in some.items():
            differing = float((gap != some[known]).mean())
            if name not in suspected and differing <= min(1 - _MIN_EQUAL_GAPS, rare / 20):
                signs.setdefault(
                    name, f"it is empty in the same rows as '{known}', which is suspected"
                )
    return signs


def find_operands(
    table: pd.DataFrame,
    columns: Sequence[str],
    facts: Mapping[str, ColumnFacts],
    target: ColumnPlan,
) -> dict[str, str]:
    """Find columns whose sum, difference, product or ratio is the target, or decides it."""
    if len(target.classes) > 2:
        return {}
    name, regression = target.facts.name, not target.classes and target.kind != "boolean"
    rows = table[table[name].notna()]
    rows = rows.sample(min(len(rows), _MAX_ROWS), random_state=0)
    kinds = ("integer", "number", "timestamp")
    numbers = {other: _to_floats(rows[other]) for other in columns if facts[other].kind in kinds}
    outcome = rows[name] if regression or not target.classes else rows[name] == target.classes[-1]
    operands = find_formula(numbers, _to_floats(outcome), numbers=regression)
    if not operands or set(columns) <= set(operands):
        # Without them nothing would be left: the problem itself may be a formula.
        return {}
    listed = " and ".join(f"'{operand}'" for operand in sorted(operands))
    how = "give" if regression else "decide"
    sign = f"{listed} together {how} '{name}' exactly (sum, difference or ratio)"
    return dict.fromkeys(operands, sign)


def _to_floats(values: "pd.Series[Any]") -> Floats:
    """Numbers, seconds of times, or 0 and 1; NaN where there is no value."""
    if pd.api.types.is_datetime64_any_dtype(values):
        values = (values - values.min()) / pd.Timedelta(seconds=1)
    return np.asarray(values.astype("Float64").to_numpy(na_value=np.nan), dtype=np.float64)


def score_leakage(
    table: pd.DataFrame, facts: Mapping[str, ColumnFacts], overrides: RoleOverrides
) -> dict[str, float]:
    """Leakage score of each column: its ROC AUC alone, on held-out rows."""
    target = plan_target(facts[overrides.target], overrides)
    columns = [
        ColumnPlan(column, column.kind, ("feature",), "")
        for name, column in facts.items()
        if name != overrides.target
        and column.kind
        and not column.constant
        and not column.has_unique_strings
    ]
    if not columns:
        return {}
    contract = parse_contract(draft_contract("leakage", "1.0.0", "it", [target, *columns], {}))
    rows = table[table[overrides.target].notna()]
    rows = rows.sample(min(len(rows), _MAX_SCORED_ROWS), random_state=0)
    rows = coerce(rows, contract)
    outcome = encode_target(rows[overrides.target].to_numpy(), contract.classes)
    matrix = columns_from_frame(contract, rows)
    half = len(rows) // 2
    train, held_out = (
        arrange_features({name: values[part] for name, values in matrix.items()})
        for part in (slice(None, half), slice(half, None))
    )
    classes = len(contract.classes)
    return rank_single_features(train, outcome[:half], held_out, outcome[half:], classes)
