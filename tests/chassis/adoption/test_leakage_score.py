"""Signs of columns that are filled in after the event: planted ones are found, others are not."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ml_service
from mlchassis.adoption.columns.leakage_score import find_leakage_signs, score_leakage
from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.adoption.columns.profile import profile
from mlchassis.adoption.columns.target import choose_leakage_auc, plan_target
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.inference.models import InferredFormat
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.adoption.prepare import prepare
from mlchassis.config.source_params import ColumnFormat
from mlchassis.contract.model import Kind, parse_contract
from mlchassis.paths import Paths

ROOT = Path(ml_service.__file__).parents[2]
KINDS: dict[str, Kind] = {
    "at": "timestamp",
    "booked": "timestamp",
    "size": "number",
    "price": "number",
    "count": "integer",
    "color": "string",
    "returned": "boolean",
}


def make_orders(seed: int, rows: int = 1500) -> pd.DataFrame:
    """Draw orders that know nothing of their outcome, with gaps of each column's own."""
    draw = np.random.default_rng(seed)
    at = pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(
        draw.uniform(0, 200, rows), unit="D"
    )
    size = draw.normal(50, 10, rows)
    table = pd.DataFrame(
        {
            "at": at,
            "booked": at - pd.to_timedelta(draw.exponential(3, rows), unit="D"),
            "size": size,
            "price": draw.gamma(2, 10, rows),
            "count": pd.array(draw.poisson(3, rows), dtype="Int64"),
            "color": draw.choice(["red", "green"], rows),
            "returned": draw.random(rows) < 1 / (1 + np.exp((50 - size) / 5)),
        }
    )
    for name in ("booked", "size", "price", "color"):
        table[name] = table[name].mask(draw.random(rows) < 0.1)
    return table


def look(table: pd.DataFrame, leakage_scores: dict[str, float] | None = None) -> dict[str, str]:
    kinds = {str(name): KINDS.get(str(name), "number") for name in table}
    kinds |= {str(name): "timestamp" for name in table if str(table[name].dtype)[:8] == "datetime"}
    facts = profile(
        table, {name: InferredFormat(kind, ColumnFormat()) for name, kind in kinds.items()}
    )
    return find_leakage_signs(
        table, facts, leakage_scores or {}, RoleOverrides(target="returned"), "at"
    )


@pytest.mark.parametrize("seed", range(20))
def test_honest_columns_show_no_sign(seed: int) -> None:
    assert look(make_orders(seed), {"size": 0.8}) == {}


@pytest.mark.parametrize("seed", range(3))
def test_a_time_after_the_event_is_found(seed: int) -> None:
    table = make_orders(seed)
    late = table.assign(refunded=(table["at"] + pd.Timedelta(days=2)).where(table["returned"]))
    assert look(late) == {"refunded": "it lies after 'at' in 100% of its rows"}


@pytest.mark.parametrize("seed", range(3))
def test_a_column_with_the_gaps_of_a_suspected_one_is_found(seed: int) -> None:
    table = make_orders(seed)
    draw = np.random.default_rng(seed)
    reason = pd.Series(draw.normal(size=len(table))).where(table["returned"].to_numpy())
    late = table.assign(refund=reason, days=reason * 0 + draw.poisson(5, len(table)))
    found = look(late, {"refund": 0.99})
    assert found == {"days": "it is empty in the same rows as 'refund', which is suspected"}


@pytest.mark.parametrize("seed", range(3))
def test_two_columns_whose_difference_decides_are_found(seed: int) -> None:
    table = make_orders(seed)
    draw = np.random.default_rng(seed)
    planned = draw.uniform(0, 1000, len(table))
    taken = planned + np.where(table["returned"], 20, 5) + draw.normal(size=len(table))
    found = look(table.assign(planned=planned, taken=taken))
    assert set(found) == {"planned", "taken"}
    assert "'planned' and 'taken' together decide 'returned' exactly" in found["taken"]


def test_summands_of_a_number_are_asked_about_at_adoption(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    casual, registered = draw.poisson(40, 900), draw.poisson(150, 900)
    table = pd.DataFrame(
        {
            "temperature": (casual / 4 + draw.normal(size=900)).round(1),
            "wind": draw.normal(size=900).round(2),
            "casual": casual,
            "registered": registered,
            "rentals": casual + registered,
        }
    )
    paths = Paths(tmp_path)
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    table.to_csv(tmp_path / "bikes.csv", index=False)
    asked: list[str] = []

    def answer(question: str, safe: bool) -> bool:
        asked.append(question)
        return safe

    adoption = prepare(
        paths,
        AdoptionOptions(DataLocation("bikes.csv"), RoleOverrides(target="rentals")),
        None,
        answer,
    )
    contract = parse_contract(adoption.contract)
    roles: dict[str, Any] = {column.name: set(column.roles) for column in contract.columns}
    assert roles["casual"] == roles["registered"] == {"leakage"}
    assert "feature" in roles["wind"]
    assert any("together give 'rentals' exactly" in question for question in asked)
    assert any("--feature 'casual'" in question for question in adoption.open_questions)


def make_classes(seed: int, rows: int = 1500) -> pd.DataFrame:
    """Draw three kinds of customers; each column tells something of them, and none tells all."""
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 3, rows)
    return pd.DataFrame(
        {
            "size": kind + draw.normal(0, 1.5, rows),
            "price": draw.gamma(2, 10, rows),
            "color": np.where(
                draw.random(rows) < 0.3, "red", np.array(["blue", "green", "red"])[kind]
            ),
            # An honest column may tell one class nearly always.
            "length": np.where(kind == 0, 20.0, 30.0) + draw.normal(0, 3.3, rows),
            "returned": np.array(["keeps", "returns", "swaps"])[kind],
        }
    )


def suspect_classes(table: pd.DataFrame) -> dict[str, float]:
    """Return how well each column tells one class, where that is suspicious."""
    words = ("color", "code", "returned")
    readings = {
        str(name): InferredFormat("string" if name in words else "number", ColumnFormat())
        for name in table
    }
    facts = profile(table, readings)
    overrides = RoleOverrides(target="returned")
    found = score_leakage(table, facts, overrides)
    limit = choose_leakage_auc(plan_target(facts["returned"], overrides))
    return {name: value for name, value in found.items() if value >= limit}


@pytest.mark.parametrize("seed", range(20))
def test_honest_columns_tell_no_class_of_several_exactly(seed: int) -> None:
    assert suspect_classes(make_classes(seed)) == {}


@pytest.mark.parametrize("label", ["keeps", "returns", "swaps"])
def test_a_column_that_marks_one_class_of_several_is_suspected(label: str) -> None:
    table = make_classes(1)
    marked = table["returned"] == label
    fee = pd.Series(np.random.default_rng(1).gamma(2, 5, len(table))).where(marked)
    code = pd.Series(np.where(marked, "R7", "-"))
    found = suspect_classes(table.assign(fee=fee, code=code))
    assert found == {"fee": pytest.approx(1), "code": pytest.approx(1)}
