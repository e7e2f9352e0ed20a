"""Settings follow from the table: its size, its time, and what it has of each outcome."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.adoption.prepare import Adoption, prepare
from mlchassis.config.params import Params, parse_params
from mlchassis.contract.model import load_contract, parse_contract
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths

pytestmark = pytest.mark.one_python


def adopt(paths: Paths, table: pd.DataFrame) -> tuple[Adoption, Params]:
    table.to_csv(paths.root / "table.csv", index=False)
    options = AdoptionOptions(DataLocation("table.csv"), RoleOverrides(target="late"))
    adoption = prepare(paths, options, None, lambda _, safe: safe)
    return adoption, parse_params(adoption.params)


def make_rows(rows: int, features: int = 3, **columns: Any) -> pd.DataFrame:
    draw = np.random.default_rng(1)
    sizes = {f"size {k}": draw.normal(size=rows).round(3) for k in range(features)}
    return pd.DataFrame({**sizes, "late": draw.choice(["a", "b"], rows), **columns})


def test_outcomes_that_are_not_known_yet_set_the_limit_of_age(paths: Paths) -> None:
    days = pd.date_range("2020-01-01", "2021-12-31")
    table = make_rows(len(days), day=days)
    table.loc[table["day"] > "2021-10-01", "late"] = None
    adoption, params = adopt(paths, table)

    # The newest month begins 61 days after the newest outcome.
    assert params.judge.max_staleness_days == 92
    assert "61 days in the table as adopted" in adoption.params
    said = " ".join(adoption.open_questions)
    assert "'late': 91 of 731 rows have no outcome and are not used; if an empty cell" in said


def test_slices_may_be_small_where_the_table_is(paths: Paths) -> None:
    assert adopt(paths, make_rows(600))[1].evaluate.min_slice_rows == 30
    assert adopt(paths, make_rows(8000))[1].evaluate.min_slice_rows == 80


def test_a_wide_table_may_take_longer(paths: Paths) -> None:
    narrow, wide = (adopt(paths, make_rows(400, k))[1].judge.max_latency_us for k in (3, 100))

    assert narrow == 5120
    assert wide == 9000


def test_a_table_that_is_too_small_is_refused_before_anything_changes(paths: Paths) -> None:
    with pytest.raises(ProjectError, match="60 rows with an outcome, too few"):
        adopt(paths, make_rows(60))


def test_a_feature_that_tells_the_outcome_of_newer_rows_is_left_out_or_asked_about_first(
    paths: Paths,
) -> None:
    days = pd.date_range("2020-01-01", periods=1500)
    table = make_rows(1500, day=days)
    known = table["late"] == "a"
    chance = np.random.default_rng(3).random(1500) < 0.5
    newer = np.arange(1500) > 800
    table["state"] = np.where(np.where(newer, known, chance | (known & chance)), "p", "q")
    table.to_csv(paths.root / "table.csv", index=False)
    attended = AdoptionOptions(
        DataLocation("table.csv"), RoleOverrides(target="late", attended=True)
    )
    with pytest.raises(ProjectError, match=r"run again with --leakage 'state' if .*--feature"):
        prepare(paths, attended, None, lambda _, safe: safe)
    alone = adopt(paths, table)[0]
    assert [column.name for column in parse_contract(alone.contract).leakage] == ["state"]
    assert "--feature 'state'" in " ".join(alone.open_questions)
    options = AdoptionOptions(
        DataLocation("table.csv"), RoleOverrides(target="late", features=frozenset({"state"}))
    )
    prepare(paths, options, None, lambda _, safe: safe)


def test_closed_lists_are_named(paths: Paths) -> None:
    colors = np.random.default_rng(2).choice(["red", "blue"], 400)
    said = " ".join(adopt(paths, make_rows(400, color=colors))[0].open_questions)

    assert "contract.yaml: 'color': only the listed categories are accepted" in said


def test_a_table_that_outgrew_a_limit_raises_it_and_keeps_the_others(paths: Paths) -> None:
    days = pd.date_range("2020-01-01", "2021-12-31")
    table = make_rows(len(days), day=days)
    adoption, before = adopt(paths, table)
    for name, text in (("contract.yaml", adoption.contract), ("params.yaml", adoption.params)):
        (paths.root / name).write_text(text.replace("max_trees: 2000", "max_trees: 77"))
    table.loc[table["day"] > "2021-10-01", "late"] = None
    table.to_csv(paths.root / "table.csv", index=False)
    options = AdoptionOptions(DataLocation("table.csv"), RoleOverrides(target="late"))
    previous = load_contract(paths.contract)
    after = parse_params(prepare(paths, options, previous, lambda _, safe: safe).params)

    assert (before.judge.max_staleness_days, after.judge.max_staleness_days) == (14, 92)
    assert after.train.trees.max_trees == 77
    assert after.evaluate == before.evaluate


def test_an_honest_column_may_tell_one_class_of_several(paths: Paths) -> None:
    draw = np.random.default_rng(5)
    kind = draw.integers(0, 3, 600)
    bill = np.where(kind == 0, 38.8, 48.0) + draw.normal(0, 3.2, 600)
    mark = np.where(kind == 1, 1.0, 0.0) + draw.normal(0, 0.01, 600)
    table = make_rows(600, bill=bill, mark=mark).assign(late=np.array(["a", "b", "c"])[kind])
    contract = parse_contract(adopt(paths, table)[0].contract)

    assert "bill" in {column.name for column in contract.features}
    assert [column.name for column in contract.leakage] == ["mark"]


def write_adoption(paths: Paths, adoption: Adoption) -> None:
    (paths.root / "contract.yaml").write_text(adoption.contract, encoding="utf-8")
    (paths.root / "params.yaml").write_text(adoption.params, encoding="utf-8")


def adopt_again(paths: Paths, table: pd.DataFrame) -> tuple[Adoption, Params]:
    table.to_csv(paths.root / "table.csv", index=False)
    options = AdoptionOptions(DataLocation("table.csv"), RoleOverrides(target="late"))
    previous = load_contract(paths.contract)
    adoption = prepare(paths, options, previous, lambda _, safe: safe)
    return adoption, parse_params(adoption.params)


def test_settings_follow_a_table_that_has_grown_and_say_so(paths: Paths) -> None:
    table = make_rows(20_000)
    first, before = adopt(paths, table[:600])
    write_adoption(paths, first)
    grown, after = adopt_again(paths, table)

    assert (before.evaluate.min_slice_rows, before.evaluate.calibration_bins) == (30, 5)
    assert (after.evaluate.min_slice_rows, after.evaluate.calibration_bins) == (253, 10)
    assert after.judge.max_calibration_error < before.judge.max_calibration_error
    (note,) = [q for q in grown.open_questions if "follows the size" in q]
    assert note.startswith("params.yaml follows the size of the table (5,06")
    assert "evaluate.min_slice_rows 30 → 253" in note
    assert (before.split.min_rows, after.split.min_rows) == (75, 500)
    assert (before.train.min_category_count, after.train.min_category_count) == (2, 40)
    assert "half of what 20,000 rows should give" in grown.params
    assert "`make study ONLY=presets APPLY=1` tries them again" in note

    write_adoption(paths, grown)
    again, _ = adopt_again(paths, table)
    assert again.params == grown.params
    assert not any("follows the size" in question for question in again.open_questions)


def test_a_setting_that_somebody_changed_does_not_follow(paths: Paths) -> None:
    table = make_rows(20_000)
    first, _ = adopt(paths, table[:600])
    mine = first.params.replace("min_slice_rows: 30", "min_slice_rows: 45")
    mine = mine.replace("min_rows: 75", "min_rows: 76")
    mine = mine.replace("min_category_count: 2 ", "min_category_count: 3 ")
    write_adoption(paths, replace(first, params=mine))
    _, after = adopt_again(paths, table)

    assert after.evaluate.min_slice_rows == 45
    assert after.split.min_rows == 76
    assert after.train.min_category_count == 3
    assert after.evaluate.calibration_bins == 10


def test_a_table_of_about_the_same_size_changes_no_setting(paths: Paths) -> None:
    table = make_rows(1000)
    first, _ = adopt(paths, table[:600])
    write_adoption(paths, first)
    adoption, _ = adopt_again(paths, table)

    assert adoption.params == first.params


def test_the_limit_of_age_follows_a_table_that_has_grown(paths: Paths) -> None:
    days = pd.date_range("2010-01-01", "2011-05-31")
    sparse = make_rows(len(days), day=days)
    sparse.loc[sparse["day"] > "2011-04-15", "late"] = None
    first, before = adopt(paths, sparse)
    write_adoption(paths, first)
    dense = make_rows(4 * len(days), day=days.repeat(4))
    _, after = adopt_again(paths, dense)

    assert before.judge.max_staleness_days > 14
    assert after.judge.max_staleness_days == 14


def test_the_least_rows_of_a_window_stay_within_the_windows_of_the_split(paths: Paths) -> None:
    table = make_rows(20_000)
    first, _ = adopt(paths, table[:600])
    narrow = first.params.replace("validation_proportion: 0.25", "validation_proportion: 0.02")
    write_adoption(paths, replace(first, params=narrow))
    _, after = adopt_again(paths, table)

    assert after.split.validation_proportion == 0.02
    assert 150 < after.split.min_rows < 250
