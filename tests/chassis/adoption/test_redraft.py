"""The same data change nothing; newer data change what they demand."""

import difflib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import ml_service
from mlchassis.adoption.adopt import _agree
from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.adoption.prepare import Adoption, prepare
from mlchassis.config.params import load_params
from mlchassis.contract.compatibility import find_breaking_changes
from mlchassis.contract.model import Contract, load_contract, parse_contract
from mlchassis.contract.table_checks import frame_schema
from mlchassis.paths import Paths
from mlchassis.sources.registry import read_source

pytestmark = pytest.mark.one_python
ROOT = Path(ml_service.__file__).parents[2]
ROWS = 400
TABLES = int(os.environ.get("ADOPTION_TABLES", "10"))
"""Tables of chance that are adopted four times each."""


def answer_safely(question: str, safe: bool) -> bool:
    return safe


def make_project(folder: Path) -> Paths:
    folder.mkdir(exist_ok=True)
    for name in ("params.yaml", "dvc.yaml", "contract.yaml"):
        (folder / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    return Paths(folder)


def adopt(paths: Paths, table: pd.DataFrame, *, again: bool = False, **overrides: Any) -> Adoption:
    """Draft for a table as the files on disk define, and write the draft."""
    table.to_csv(paths.root / "table.csv", index=False)
    options = AdoptionOptions(
        DataLocation("table.csv"), RoleOverrides(**{"target": "late", **overrides})
    )
    previous = load_contract(paths.contract) if again else None
    adoption = prepare(paths, options, previous, answer_safely)
    paths.contract.write_text(adoption.contract, encoding="utf-8")
    paths.params.write_text(adoption.params, encoding="utf-8")
    return adoption


def list_changes(old: str, new: str) -> list[str]:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm="")
    return [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")]


def make_trips(rows: int = ROWS, seed: int = 1) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    speed = draw.normal(50, 10, rows)
    late = speed + draw.normal(0, 10, rows) > 55
    columns = {
        "trip_id": [f"T{number}" for number in range(1000, 1000 + rows)],
        "gender": draw.choice(["f", "m"], rows),
        **{f"kind {k}": draw.choice(["a", "b", "c"], rows) for k in range(5)},
        "speed": speed.round(2),
        "stops": draw.integers(0, 9, rows),
        "city": [f"town {number}" for number in draw.integers(0, 80, rows)],
        "telephone": [f"+49 30 {number}" for number in draw.integers(10**6, 10**7, rows)],
        "cause": np.where(late, "traffic", "none"),
    }
    return pd.DataFrame({**columns, "late": np.where(late, "yes", "no")})


def test_the_same_data_change_nothing(paths: Paths) -> None:
    first = adopt(paths, make_trips())
    second = adopt(paths, make_trips(), again=True)

    assert second == replace(first, keeps_settings=True)
    assert len(parse_contract(first.contract).slices) == 3
    asked = " ".join(second.open_questions)
    assert all(f"'{name}': " in asked for name in ("gender", "telephone", "cause"))


def test_a_flag_of_the_first_time_holds_the_second_time(paths: Paths) -> None:
    table = make_trips().assign(late=np.random.default_rng(2).integers(0, 4, ROWS))
    flags: dict[str, Any] = {"task": "regression", "features": frozenset({"cause", "kind 0"})}
    first = adopt(paths, table, **flags)

    assert parse_contract(first.contract).task == "regression"
    assert adopt(paths, table, again=True).contract == first.contract
    assert adopt(paths, table, again=True, **flags).contract == first.contract


@pytest.mark.parametrize("positive", ["yes", "no"])
def test_the_positive_class_stays_whichever_becomes_rarer(paths: Paths, positive: str) -> None:
    table = make_trips()
    adopt(paths, table, positive=positive)
    flipped = table.assign(late=table["late"].map({"yes": "no", "no": "yes"}))
    again = adopt(paths, flipped, again=True)

    assert parse_contract(again.contract).classes[-1] == positive


def test_an_answer_at_the_terminal_is_not_asked_for_again(paths: Paths) -> None:
    first = adopt(paths, make_trips(), attended=True)
    second = adopt(paths, make_trips(), again=True)

    for adoption in (first, second):
        asked = " ".join(adoption.open_questions)
        assert "'telephone': " not in asked
        assert "'cause': " not in asked


def test_what_a_person_wrote_stays_as_it_is(paths: Paths) -> None:
    adopt(paths, make_trips())
    text = paths.contract.read_text(encoding="utf-8")
    text = text.replace("      # ", "      #  by hand: ", 1)
    text = text.replace("status: draft", "status: active")
    column = text.index("- name: speed")
    limits = text.index("logicalTypeOptions", column)
    end = text.index("\n", limits)
    by_hand = "description: In km/h\n        logicalTypeOptions: {minimum: 0, maximum: 300}  # law"
    text = text[:limits] + by_hand + text[end:]
    paths.contract.write_text(text, encoding="utf-8")
    params = paths.params.read_text(encoding="utf-8")
    params = params.replace("cost_false_negative: 1.0", "cost_false_negative: 9.5")
    paths.params.write_text(params, encoding="utf-8")
    again = adopt(paths, make_trips(), again=True)

    assert load_contract(paths.contract).column("speed").maximum == 300
    assert list_changes(text, again.contract) == []
    assert list_changes(params, again.params) == []


def test_newer_data_change_what_they_break_and_nothing_else(paths: Paths) -> None:
    table = make_trips()
    adopt(paths, table)
    before = paths.contract.read_text(encoding="utf-8")
    newer = table.copy()
    newer.loc[0, "kind 0"] = "d"
    newer.loc[1, "speed"] = 1e4
    newer.loc[2, "kind 1"] = None
    newer["added"] = np.random.default_rng(3).normal(size=ROWS)
    again = adopt(paths, newer.drop(columns="kind 2"), again=True)
    old, new = parse_contract(before), parse_contract(again.contract)

    assert new.column("kind 0").values == ("a", "b", "c", "d")
    assert (new.column("speed").maximum or 0) >= 1e4
    assert new.column("speed").minimum == old.column("speed").minimum
    assert not new.column("kind 1").required
    assert new.version == "2.0.0"
    touched = {"kind 0", "kind 1", "kind 2", "speed", "added"}
    assert [c for c in new.columns if c.name not in touched] == [
        c for c in old.columns if c.name not in touched
    ]


def test_fewer_rows_narrow_nothing(paths: Paths) -> None:
    table = make_trips()
    first = adopt(paths, table)

    assert adopt(paths, table[table["kind 0"] != "c"], again=True).contract == first.contract


def test_digits_and_whole_numbers_keep_the_kind_that_they_had(paths: Paths) -> None:
    table = make_trips().assign(zip=[f"{number:05}" for number in range(ROWS)])
    first = adopt(paths, table)
    large = table.assign(zip=table["zip"].astype(int) + 10_000, speed=table["speed"].round())
    again = adopt(paths, large.astype({"speed": int}), again=True)
    kinds = [{c.name: c.kind for c in parse_contract(a.contract).columns} for a in (first, again)]

    assert kinds[0] == kinds[1]
    assert kinds[0]["zip"] == "string"


def test_formats_that_a_flag_or_a_person_chose_stay(paths: Paths) -> None:
    table = make_trips().assign(paid=["01/02/2020", "03/04/2021"] * (ROWS // 2))
    table.to_csv(paths.root / "table.csv", index=False)
    options = AdoptionOptions(
        DataLocation("table.csv"), RoleOverrides(target="late", event_time="none"), day_first=False
    )
    first = prepare(paths, options, None, answer_safely)
    assert "%m/%d/%Y" in first.params
    text = first.params.replace("  columns:\n", "  columns:\n    kind 0:\n      missing: [b]\n")
    paths.params.write_text(text, encoding="utf-8")
    paths.contract.write_text(first.contract, encoding="utf-8")
    again = adopt(paths, table, again=True)

    source = load_params(paths.params).source
    assert source.kind == "files"
    assert source.columns["paid"].dates == ("%m/%d/%Y",)
    assert source.columns["kind 0"].missing == ("b",)
    assert not parse_contract(again.contract).column("kind 0").required


def test_another_target_takes_the_roles_of_the_first_one_away(paths: Paths) -> None:
    adopt(paths, make_trips())
    again = adopt(paths, make_trips(), again=True, target="gender")
    contract = parse_contract(again.contract)

    assert contract.target.name == "gender"
    assert "target" not in contract.column("late").roles


COLUMNS = st.dictionaries(
    st.text(st.sampled_from("abcXYZ _.-'\"#:üß%"), min_size=1, max_size=8).filter(
        lambda name: name.strip() == name and name[0].isalpha()
    ),
    st.sampled_from(["number", "positive", "count", "few", "many", "flag", "date", "year"]),
    min_size=1,
    max_size=6,
)


def make_column(kind: str, rows: int, draw: np.random.Generator) -> Any:
    missing = draw.random(rows) < draw.choice([0.0, 0.1])
    made: dict[str, Any] = {
        "number": draw.normal(0, 10.0 ** draw.integers(-3, 6), rows),
        "positive": np.exp(draw.normal(2, 1, rows)),
        "count": draw.poisson(2, rows),
        "few": draw.choice(["red", "green", "blue sky"], rows),
        "many": [f"w{number}" for number in draw.integers(0, 300, rows)],
        "flag": draw.choice([0, 1], rows),
        "date": pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 900, rows), unit="D"),
        "year": draw.integers(1990, 2015, rows),
    }
    values = pd.Series(made[kind])
    whole = kind in ("count", "year", "flag")
    return values.astype("Int64" if whole else object).mask(missing) if missing.any() else values


def find_broken(paths: Paths, contract: Contract) -> Any:
    source = load_params(paths.params).source
    assert source.kind == "files"
    rows = read_source(source, contract, paths.root)
    return frame_schema(contract).validate(rows, lazy=True)


@given(COLUMNS, st.integers(0, 2**16), st.sampled_from(["yes/no", "number", "classes"]))
@settings(
    max_examples=TABLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
def test_adopting_again_is_stable_for_any_table(
    tmp_path_factory: pytest.TempPathFactory, columns: dict[str, str], seed: int, target: str
) -> None:
    draw = np.random.default_rng(seed)
    rows, grown = 300, 330
    made = {name: make_column(kind, grown, draw) for name, kind in columns.items()}
    answers = {
        "yes/no": draw.choice(["yes", "no"], grown),
        "number": draw.normal(size=grown).round(4),
        "classes": draw.choice(["x", "y", "z"], grown),
    }
    table = pd.DataFrame({**made, "size": draw.normal(size=grown), "late": answers[target]})
    paths = make_project(tmp_path_factory.mktemp("project"))
    flags: dict[str, Any] = {"event_time": "none"}
    first = adopt(paths, table[:rows], **flags)
    second = adopt(paths, table[:rows], again=True)
    assert second == replace(first, keeps_settings=True), "the same data"

    third = adopt(paths, table, again=True)
    find_broken(paths, parse_contract(third.contract))
    before, after = parse_contract(first.contract), parse_contract(third.contract)
    assert [c.name for c in after.columns] == [c.name for c in before.columns]
    for old, new in zip(before.columns, after.columns, strict=True):
        demanded = list_demands(old, table[old.name])
        found = [f for f in FIELDS if getattr(old, f) != getattr(new, f)]
        assert found == demanded, old.name
    assert (after.version != before.version) == (first.contract != third.contract)
    assert adopt(paths, table[:rows], again=True).contract == third.contract, "fewer rows"


FIELDS = ("kind", "required", "examples", "roles", "minimum", "maximum", "max_length", "values")


def list_demands(old: Any, values: "pd.Series[Any]") -> list[str]:
    """The fields that the values of a grown table break."""
    present = values.dropna()
    broken = {"required": old.required and len(present) < len(values)}
    if old.kind in ("integer", "number"):
        broken["minimum"] = old.minimum is not None and present.min() < old.minimum
        broken["maximum"] = old.maximum is not None and present.max() > old.maximum
    if old.kind == "string" and old.max_length is not None:
        broken["max_length"] = present.str.len().max() > old.max_length
    if old.values is not None and "target" not in old.roles:
        broken["values"] = not set(present) <= set(old.values)
    return [field for field in FIELDS if broken.get(field)]


def adopt_aloud(paths: Paths, table: pd.DataFrame) -> list[str]:
    """Lines that an adoption shows before it asks for agreement."""
    previous = load_contract(paths.contract)
    table.to_csv(paths.root / "table.csv", index=False)
    options = AdoptionOptions(DataLocation("table.csv"), RoleOverrides(target="late"), agreed=True)
    adoption = prepare(paths, options, previous, answer_safely)
    lines: list[str] = []
    assert _agree(paths, options, adoption, answer_safely, lines.append)
    return lines


def test_a_breaking_change_is_announced_before_anything_is_written(paths: Paths) -> None:
    table = make_trips()
    adopt(paths, table)
    assert not [line for line in adopt_aloud(paths, table) if "breaks clients" in line]
    table["added"] = np.random.default_rng(3).normal(size=ROWS)
    (line,) = (line for line in adopt_aloud(paths, table) if "breaks clients" in line)
    assert line.startswith("Contract 2.0.0 breaks clients of 1.0.0: column 'added' is now required")
    assert "gate `contract`" in line


def test_a_table_that_lost_its_gaps_makes_no_optional_column_required(paths: Paths) -> None:
    table = make_trips()
    holed = table.copy()
    holed.loc[2, "kind 1"] = None
    adopt(paths, holed)
    old = load_contract(paths.contract)
    assert not old.column("kind 1").required
    new = parse_contract(adopt(paths, table, again=True).contract)
    assert find_breaking_changes(old, new) == ()
