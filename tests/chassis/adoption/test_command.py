"""After an adoption whose model is not served, a person reads what to do next."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import ml_service
from ml_service.features import compute_features
from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.adoption.command import (
    _note_linear,
    adopt_and_run,
    explain_failure,
    serve_linear,
)
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.config.params import load_params
from mlchassis.errors import ProjectError
from mlchassis.evaluation.gates.context import GateResult, GateVerdict
from mlchassis.evaluation.gates.judgement import Judgement
from mlchassis.project import Project, Workspace
from mlchassis.reports import write_report

ROOT = Path(ml_service.__file__).parents[2]


def write_judgement(paths: Workspace, **verdicts: GateVerdict) -> None:
    gates = tuple(
        GateResult(name=name.replace("_", " "), verdict=verdict, sentence="A finding.")
        for name, verdict in verdicts.items()
    )
    judgement = Judgement(
        digest="a" * 64, verdict="rejected", champion=None, metric="roc_auc", gates=gates
    )
    write_report(paths.judgement, judgement.model_dump(mode="json"))


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A project whose trees are the candidate, and an adoption that asks nothing."""
    paths = Workspace(tmp_path, Project(features=compute_features))
    paths.params.write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    adoption = SimpleNamespace(keeps_settings=True, open_questions=())
    monkeypatch.setattr("mlchassis.adoption.command.adopt", lambda *_: adoption)
    return paths


def run_rejected(
    paths: Workspace, monkeypatch: pytest.MonkeyPatch, *runs: Callable[[], object]
) -> str:
    """Adopt a table where each run of the pipeline fails after an effect; return the advice."""
    left = list(runs)

    def run(_paths: Workspace, *_: str) -> int:
        left.pop(0)()
        return 1

    monkeypatch.setattr("mlchassis.adoption.command.run_verb", run)
    with pytest.raises(ProjectError) as failure:
        adopt_and_run(paths, AdoptionOptions(DataLocation("t.csv"), RoleOverrides(target="t")))
    assert left == []
    return str(failure.value)


def test_a_gate_that_did_not_pass_blames_no_table(
    paths: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge() -> None:
        write_judgement(paths, calibration="rejected", size="passed", slices="not tested")

    sentence = run_rejected(paths, monkeypatch, judge)

    assert "did not pass 'calibration'." in sentence
    assert "settings in params.yaml" in sentence


def test_a_judgement_of_an_earlier_run_changes_nothing(
    paths: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_judgement(paths, better_than_linear="rejected")
    before = paths.params.read_text()

    assert "the sentence above gives the reason" in run_rejected(paths, monkeypatch, lambda: None)
    assert paths.params.read_text() == before


def test_trees_no_better_than_the_linear_model_give_way_to_it(
    paths: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def judge() -> None:
        write_judgement(paths, better_than_linear="rejected")

    sentence = run_rejected(paths, monkeypatch, judge, lambda: None)

    assert load_params(paths.params).train.candidate.kind == "linear"
    assert "nothing to fix: the linear model is as good" in capsys.readouterr().out
    # The second run stopped before the gates, so the judgement is not of the linear model.
    assert "the sentence above gives the reason" in sentence


def test_what_stopped_before_the_gates_is_fixed_first() -> None:
    assert "gives the reason; fix that, then `make run`" in explain_failure([])


def test_where_the_linear_model_is_served_the_way_back_to_trees_is_said(paths: Workspace) -> None:
    trees = load_params(paths.params).train.candidate.kind != "linear"
    if trees:
        assert _note_linear(paths) == []
    serve_linear(paths)
    (note,) = _note_linear(paths)

    assert "was not shown on this many test rows" in note
    assert "set it to trees, then `make run`" in note
