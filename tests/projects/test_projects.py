"""Every extension point by a tiny project that is run whole: pipeline, judge, serve, predict."""

import json
import shutil
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from bake import PAYLOAD
from demo import read_question
from project_copy import make_environment
from projects.example import EXAMPLES, Example, copy_adopted, lay_over
from service import fetch, serve
from summary import Parts
from whole_run import WholeRun, run_in

PAGE = PAYLOAD / "docs" / "extending.md"


def check_service(example: Example, project: Path, log: Path) -> None:
    """Ask the example's service for a prediction and for its own routes."""
    digest = json.loads((project / "reports" / "evaluation.json").read_text())["digest"]
    with log.open("wb") as output, serve(project, output, make_environment()) as address:
        answer = fetch(f"{address}/predict", read_question(address))
        assert len(answer["predictions"]) == 1
        assert answer["model"]["digest"] == digest
        for request in example.requests:
            with urlopen(address + request.path, timeout=30) as response:  # noqa: S310
                assert request.body in response.read().decode()
                assert request.header in {name.lower() for name in response.headers}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_project_runs_whole(
    name: str,
    adopted: Path,
    whole_run: WholeRun,
    table: Path,
    tmp_path: Path,
    parts: Parts,
) -> None:
    example = EXAMPLES[name]
    project = copy_adopted(adopted, whole_run.project / ".venv", tmp_path / "ml-service")
    lay_over(example, project, table)

    with parts.measure(f"example {name}: make run"):
        printed = run_in(project, "make", "run", "SERVE=0")

    assert example.prints in printed
    assert "judge: " in printed
    for file, text in example.files.items():
        assert text in (project / file).read_text(encoding="utf-8")
    check_service(example, project, tmp_path / "log")
    shutil.rmtree(project)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_about_extending_shows_the_code_of_each_example(name: str) -> None:
    page = PAGE.read_text(encoding="utf-8").replace("<package>", "ml_service")
    blocks = [part.split("\n```", 1)[0] for part in page.split("```yaml\n")[1:]]
    settings = [yaml.safe_load(block) for block in blocks]

    for file in EXAMPLES[name].code:
        assert f"```python\n{file.read_text(encoding='utf-8')}```" in page, file.name
    for changes in EXAMPLES[name].changes.values():
        assert changes in settings
