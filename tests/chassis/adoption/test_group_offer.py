"""Questions and notes of adoption on dependent rows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ml_service
from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.adoption.prepare import Adoption, prepare
from mlchassis.config.params import parse_params
from mlchassis.paths import Paths

ROOT = Path(ml_service.__file__).parents[2]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A project with visits of patients, two each, whose outcomes drift along the file."""
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    draw = np.random.default_rng(1)
    who = draw.integers(400, size=900)
    level = np.cumsum(draw.normal(size=900)) / 3
    pd.DataFrame(
        {
            "s": draw.permutation(400)[who] + 1000,
            "sex": draw.choice(["m", "f"], 400)[who],
            "weight": draw.normal(70, 9, 900).round(1),
            "ill": np.where(level + draw.normal(size=900) > np.median(level), "yes", "no"),
        }
    ).to_csv(tmp_path / "visits.csv", index=False)
    return Paths(tmp_path)


def adopt(paths: Paths, *, together: bool) -> tuple[Adoption, list[str]]:
    asked: list[str] = []

    def answer(question: str, safe: bool) -> bool:
        asked.append(question)
        return together if "stay together" in question else safe

    options = AdoptionOptions(DataLocation("visits.csv"), RoleOverrides(target="ill"))
    return prepare(paths, options, None, answer), asked


def test_a_random_split_is_said_with_what_speaks_against_it(paths: Paths) -> None:
    adoption, asked = adopt(paths, together=False)
    assert parse_params(adoption.params).split.strategy == "random"
    assert any(question.startswith("'s' repeats (2.") for question in asked)
    notes = " ".join(adoption.open_questions)
    assert "rows are split at random, which is right only if future rows" in notes
    assert "neighboring rows of the file have similar outcomes (autocorrelation 0." in notes
    assert "run again with --group 's'" in notes


def test_who_says_that_rows_belong_together_gets_a_split_by_them(paths: Paths) -> None:
    adoption, _ = adopt(paths, together=True)
    split = parse_params(adoption.params).split
    assert (split.strategy, split.group) == ("group", "s")
    assert not any("at random" in question for question in adoption.open_questions)


def test_names_of_things_that_repeat_at_times_are_offered_whatever_else_is_known(
    paths: Paths,
) -> None:
    draw = np.random.default_rng(2)
    birds = [f"N{number}A{side}" for number in range(110) for side in (1, 2)]
    table = pd.DataFrame(
        {
            "Individual ID": draw.choice(birds, 300),
            "weight": draw.normal(70, 9, 300).round(1),
            "ill": draw.choice(["yes", "no"], 300),
        }
    )
    table.to_csv(paths.root / "visits.csv", index=False)
    assert 1.2 < len(table) / table["Individual ID"].nunique() < 2

    notes = " ".join(adopt(paths, together=False)[0].open_questions)
    assert "run again with --group 'Individual ID'" in notes
