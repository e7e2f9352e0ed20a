"""Codes that are found by values are read as text at adoption, unless somebody says otherwise."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ml_service
from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.formats.overrides import FormatOverrides
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.adoption.prepare import Adoption, prepare
from mlchassis.contract.model import load_contract, parse_contract
from mlchassis.paths import Paths

ROOT = Path(ml_service.__file__).parents[2]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A project with ratings of lectures: `s` students and `d` lecturers by number, `p` a place."""
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    draw = np.random.default_rng(3)
    student, lecturer, place = (draw.integers(0, n, 8000) for n in (400, 300, 40))
    load = draw.integers(0, 30, 8000)
    rating = (
        draw.normal(0, 0.8, 400)[student]
        + draw.normal(0, 0.8, 300)[lecturer]
        + draw.normal(0, 0.8, 40)[place]
        + load / 20
        + draw.normal(size=8000)
    )
    table = {"s": student + 1, "d": lecturer + 1000, "p": place + 1, "load": load}
    pd.DataFrame({**table, "y": rating.round(2)}).to_csv(tmp_path / "ratings.csv", index=False)
    return Paths(tmp_path)


def adopt(paths: Paths, formats: FormatOverrides | None = None) -> Adoption:
    formats = formats or FormatOverrides()
    options = AdoptionOptions(
        DataLocation("ratings.csv"), RoleOverrides(target="y"), formats=formats
    )
    previous = load_contract(paths.contract) if paths.contract.exists() else None
    return prepare(paths, options, previous, lambda _, safe: safe)


def read_kinds(adoption: Adoption) -> dict[str, str]:
    return {column.name: column.kind for column in parse_contract(adoption.contract).columns}


def test_a_code_of_few_values_becomes_text_and_one_of_many_is_noted(paths: Paths) -> None:
    adoption = adopt(paths)
    kinds = read_kinds(adoption)
    notes = " ".join(adoption.open_questions)

    assert kinds == {
        "s": "integer",
        "d": "integer",
        "p": "string",
        "load": "integer",
        "y": "number",
    }
    assert "if it is a magnitude, --number 'p'" in notes + adoption.contract
    assert "--category 's' makes it a category" in notes + adoption.contract


def test_a_flag_or_an_earlier_adoption_decides_instead(paths: Paths) -> None:
    adoption = adopt(paths, FormatOverrides(number=frozenset({"p"})))
    assert read_kinds(adoption)["p"] == "integer"

    paths.contract.write_text(adoption.contract, encoding="utf-8")
    (paths.root / "params.yaml").write_text(adoption.params, encoding="utf-8")
    assert read_kinds(adopt(paths))["p"] == "integer"
