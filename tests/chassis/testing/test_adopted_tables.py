"""A project that has adopted a table passes its own tests, whatever the table holds."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.adoption.files.pipeline_file import set_pipeline
from mlchassis.adoption.files.project_module import remove_source
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.adoption.prepare import Adoption, prepare
from mlchassis.contract.model import load_contract, parse_contract
from mlchassis.paths import Paths

MakeProject = Callable[[list[dict[str, Any]]], Any]
ROWS = 300
PLACEHOLDER = [
    {"name": "x", "logicalType": "number", "tags": ["feature"]},
    {"name": "answer", "logicalType": "boolean", "tags": ["target"]},
]
"""Columns of the contract that the adoption replaces."""


def make_words(draw: np.random.Generator, words: str, count: int = ROWS) -> list[str]:
    return [str(word) for word in draw.choice(words.split(), count)]


def make_tables() -> dict[str, pd.DataFrame]:
    draw = np.random.default_rng(3)
    answer = make_words(draw, "yes no")
    numbers = draw.normal(size=(ROWS, 60)).round(3)
    color = make_words(draw, "red green blue")
    days = pd.date_range("2020-01-01", periods=ROWS).strftime("%d.%m.%Y")
    return {
        "no event time": pd.DataFrame({"size": numbers[:, 0], "color": color, "answer": answer}),
        "words alone": pd.DataFrame(
            {"color": color, "shape": make_words(draw, "round flat"), "answer": answer}
        ),
        "one column": pd.DataFrame({"size": numbers[:, 0], "answer": answer}),
        "no number column": pd.DataFrame({"ordered": days, "color": color, "answer": answer}),
        "many columns": pd.DataFrame(numbers, columns=[f"m{k}" for k in range(60)]).assign(
            answer=answer
        ),
    }


TABLES = make_tables()


def adopt(project: Any, *, again: bool = False) -> Adoption:
    """Draft the project's files for its table, as `make adopt` does, and write them."""
    paths = Paths(project.root)
    previous = load_contract(paths.contract) if again else None
    header = (project.root / "table.csv").read_text(encoding="utf-8").partition("\n")[0]
    event_time = "ordered" if "ordered" in header.split(",") else None
    options = AdoptionOptions(
        DataLocation("table.csv"), RoleOverrides(target="answer", event_time=event_time)
    )
    adoption = prepare(paths, options, previous, lambda _question, safe: safe)
    paths.contract.write_text(adoption.contract, encoding="utf-8")
    paths.params.write_text(adoption.params, encoding="utf-8")
    pipeline = paths.root / "dvc.yaml"
    module = f"src/{project.package}/source.py"
    task = parse_contract(adoption.contract).task
    text = set_pipeline(pipeline.read_text(encoding="utf-8"), task, adoption.source, [module])
    pipeline.write_text(text, encoding="utf-8")
    return adoption


@pytest.mark.one_python
@pytest.mark.parametrize("name", TABLES)
def test_an_adopted_table_passes_the_projects_own_tests(
    name: str, make_project: MakeProject
) -> None:
    project = make_project(PLACEHOLDER)
    TABLES[name].to_csv(project.root / "table.csv", index=False)
    first = adopt(project)
    package = project.root / "src" / project.package
    code = package / "project.py"
    code.write_text(remove_source(code.read_text(encoding="utf-8")), encoding="utf-8")
    (package / "source.py").unlink()
    pipeline = (project.root / "dvc.yaml").read_text(encoding="utf-8")

    outcomes = project.run()
    assert outcomes.failed == {}
    assert outcomes.skipped == {}

    second = adopt(project, again=True)
    assert second.contract == first.contract
    assert second.params == first.params
    assert (project.root / "dvc.yaml").read_text(encoding="utf-8") == pipeline
