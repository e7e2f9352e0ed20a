"""After an adoption whose model is not served, a person reads what to do next."""

import json
from pathlib import Path

import ml_service
from mlchassis.adoption.command import (
    _list_rejecting,
    _note_linear,
    explain_failure,
    serve_linear,
)
from mlchassis.config.params import load_params
from mlchassis.paths import Paths

ROOT = Path(ml_service.__file__).parents[2]


def make_project(folder: Path) -> Paths:
    paths = Paths(folder)
    paths.params.write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    paths.reports.mkdir()
    verdicts = {"calibration": "rejected", "size": "passed", "slices": "not tested"}
    gates = [{"name": name, "verdict": verdict} for name, verdict in verdicts.items()]
    (paths.reports / "judgement.json").write_text(json.dumps({"gates": gates}))
    return paths


def test_a_gate_that_did_not_pass_blames_no_table(tmp_path: Path) -> None:
    sentence = explain_failure(_list_rejecting(make_project(tmp_path)))

    assert "did not pass 'calibration'." in sentence
    assert "settings in params.yaml" in sentence


def test_what_stopped_before_the_gates_is_fixed_first(tmp_path: Path) -> None:
    assert "gives the reason; fix that, then `make run`" in explain_failure([])


def test_where_the_linear_model_is_served_the_way_back_to_trees_is_said(tmp_path: Path) -> None:
    paths = make_project(tmp_path)
    trees = load_params(paths.params).train.candidate.kind != "linear"
    if trees:
        assert _note_linear(paths) == []
    serve_linear(paths)
    (note,) = _note_linear(paths)

    assert "was not shown on this many test rows" in note
    assert "set it to trees, then `make run`" in note
