"""A custom estimator, metric and gate, each in a project that is run whole."""

import json
import shutil
from pathlib import Path

import pytest

from bake import PAYLOAD, bake_defaults
from demo import read_question
from project_copy import link_environment, make_environment
from projects.custom_models import EXAMPLES, lay_over, list_install, write_orders
from service import fetch, serve
from summary import Parts
from whole_run import WholeRun, run_in

PAGE = PAYLOAD / "docs" / "extending.md"


@pytest.fixture(scope="module")
def adopted(whole_run: WholeRun, tmp_path_factory: pytest.TempPathFactory, parts: Parts) -> Path:
    """A project that adopted the table, with the packages of the whole run's."""
    folder = tmp_path_factory.mktemp("orders")
    project = folder / "ml-service"
    bake_defaults(project)
    link_environment(whole_run.project / ".venv", project / ".venv")
    write_orders(folder / "orders.csv")
    with parts.measure("adoption for the examples of models"):
        run_in(project, "make", "adopt", f"DATA={folder / 'orders.csv'}", "TARGET=returned")
    return project


def copy_adopted(adopted: Path, whole_run: WholeRun, copy: Path) -> Path:
    """Copy the adopted project with links to the whole run's packages: links to links fail."""
    shutil.copytree(adopted, copy, symlinks=True, ignore=shutil.ignore_patterns(".venv"))
    link_environment(whole_run.project / ".venv", copy / ".venv")
    return copy


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_own_model_metric_or_gate_reaches_a_served_prediction(
    name: str, adopted: Path, whole_run: WholeRun, tmp_path: Path, parts: Parts
) -> None:
    example = EXAMPLES[name]
    project = copy_adopted(adopted, whole_run, tmp_path / "ml-service")
    lay_over(example, project)
    if example.requirements:
        with parts.measure(f"example {name}: packages"):
            run_in(project, *list_install(example, project))

    with parts.measure(f"example {name}: make run"):
        printed = run_in(project, "make", "run", "SERVE=0")

    assert example.prints in printed
    assert example.shown in (project / "reports" / "report.html").read_text(encoding="utf-8")
    facts = json.loads((project / "reports" / "evaluation.json").read_text())
    assert set(facts["baselines"]) == {"prior", "linear"}
    with (tmp_path / "log").open("wb") as log, serve(project, log, make_environment()) as address:
        answer = fetch(f"{address}/predict", read_question(address))
    assert len(answer["predictions"]) == 1
    assert answer["model"]["digest"] == facts["digest"]
    shutil.rmtree(project)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_about_extending_shows_the_code_of_each_example(name: str) -> None:
    page = PAGE.read_text(encoding="utf-8").replace("<package>", "ml_service")
    blocks = [part.split("\n```", 1)[0] for part in page.split("```yaml\n")[1:]]
    settings = [line.strip() for block in blocks for line in block.splitlines()]

    for file in EXAMPLES[name].code:
        assert f"```python\n{file.read_text(encoding='utf-8')}```" in page, file.name
    for text in EXAMPLES[name].changes.values():
        assert {line.strip() for line in text.splitlines()} <= set(settings)
