"""The page and the model card: from a judged bundle's facts, for people and for machines."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from {{ cookiecutter.package_name }} import release
from {{ cookiecutter.package_name }}.bundle import load_bundle
from {{ cookiecutter.package_name }}.errors import ProjectError
from {{ cookiecutter.package_name }}.judgement import RefusedError
from {{ cookiecutter.package_name }}.params import Params
from {{ cookiecutter.package_name }}.paths import Paths


def change_facts(paths: Paths, change: Callable[[dict[str, Any]], object]) -> None:
    place = paths.reports / "evaluation.json"
    facts = json.loads(place.read_text())
    change(facts)
    place.write_text(json.dumps(facts))


@pytest.fixture
def told(project: Paths, params: Params) -> Callable[[], tuple[str, str]]:
    """The page and the card."""

    def write() -> tuple[str, str]:
        release.judge(project, params)
        page, card = (path.read_text() for path in release.report(project, params))
        return page, card

    return write


def test_both_tell_the_metrics_and_every_gate(
    project: Paths, params: Params, told: Callable[[], tuple[str, str]]
) -> None:
    for text in told():
        assert "0.7 (0.6 to 0.8)" in text
        for gate in release.judge(project, params).gates:
            assert gate.name in text


def test_the_page_asks_nothing_of_anybody_else(told: Callable[[], tuple[str, str]]) -> None:
    page, _ = told()
    assert not re.search(r"(?:src|href|url|@import)\s*[=(]|https?:|<script", page)


def test_the_card_has_the_metadata_that_hugging_face_reads(
    project: Paths, told: Callable[[], tuple[str, str]]
) -> None:
    _, front, body = told()[1].split("---\n", 2)
    front_matter = yaml.safe_load(front)
    (entry,) = front_matter["model-index"]
    (result,) = entry["results"]
    name = load_bundle(project.bundle).metadata.name
    assert (entry["name"], result["dataset"]["name"]) == (name, name)
    assert result["task"]["type"] == front_matter["pipeline_tag"]
    assert front_matter["pipeline_tag"].startswith("tabular-")
    assert {"type": "roc_auc", "value": 0.7} in result["metrics"]
    assert body.strip().startswith(f"# {name}")


def test_a_refused_bundle_is_called_so(project: Paths, params: Params) -> None:
    change_facts(project, lambda facts: facts["parity"].update(max_error=1.0))
    with pytest.raises(RefusedError):
        release.judge(project, params)
    page = release.report(project, params)[0].read_text()
    assert "Must not be served: parity" in page


def test_names_in_the_data_cannot_write_the_page(
    project: Paths, told: Callable[[], tuple[str, str]]
) -> None:
    interval = {"value": 0.0, "low": -0.1, "high": 0.1}
    hostile = {"where": {"a|b": "<script>$lead"}, "rows": 600, "value": interval, "gap": interval}
    change_facts(project, lambda facts: facts.update(slices=[hostile]))
    page, card = told()
    assert "&lt;script&gt;$lead" in page
    assert "a\\|b \\<script>$lead" in card


def test_a_bundle_that_was_not_judged_has_no_report(project: Paths, params: Params) -> None:
    with pytest.raises(ProjectError, match="was not judged"):
        release.report(project, params)


def test_a_run_carries_page_and_card(project: Paths, params: Params) -> None:
    release.judge(project, params)
    run = project.var / "mlartifacts" / release.track(project, params) / "artifacts" / "report"
    assert {path.name for path in run.iterdir()} == {"report.html", "model_card.md"}
    assert (run / "report.html").read_bytes() == (project.reports / "report.html").read_bytes()


def test_curves_are_drawn_where_the_task_has_them(
    project: Paths, told: Callable[[], tuple[str, str]]
) -> None:
    assert "<svg" not in told()[0]
    points = "false_positive_rate,true_positive_rate\n0,0\n.5,1\n"
    Path(project.plots / "roc.csv").write_text(points)
    page, _ = told()
    assert '<polyline class="line" points="45.0,200.0 167.5,10.0"/>' in page
    assert "false positive rate" in page
