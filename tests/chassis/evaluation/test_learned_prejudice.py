"""A whole project about people: a model that learned a prejudice of its rows is rejected for it."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.adoption.prepare import prepare
from mlchassis.paths import Paths
from mlchassis.reports import read_report

STAGES = ("ingest", "validate", "split", "train", "export", "evaluate")


@pytest.fixture
def loans(orders: Paths, tmp_path: Path) -> Paths:
    """Loans that men were granted more easily, as `make adopt` drafts them; sex is marked."""
    paths = Paths(tmp_path / "project")
    shutil.copytree(orders.root, paths.root, ignore=shutil.ignore_patterns(".dvc"))
    draw = np.random.default_rng(1)
    income, man = draw.normal(size=6000), draw.random(6000) < 0.5
    days = pd.Timestamp("2013-01-01") + pd.to_timedelta(np.arange(6000) // 20, unit="D")
    pd.DataFrame(
        {
            "asked_at": days,
            "income": (income * 10 + 50).round(2),
            "sex": np.where(man, "m", "f"),
            "granted": income + 1.5 * man + draw.normal(scale=0.5, size=6000) > 0.75,
        }
    ).to_csv(paths.root / "loans.csv", index=False)
    paths.contract.unlink()
    adoption = prepare(
        paths,
        AdoptionOptions(DataLocation("loans.csv"), RoleOverrides(target="granted")),
        None,
        lambda _, safe: safe,
    )
    assert any("'sex'" in question for question in adoption.open_questions)
    marked, count = re.subn(
        r"(name: sex\n.*(?:\n.*){0,3}?tags: \[feature, slice)", r"\1, sensitive", adoption.contract
    )
    assert count == 1, adoption.contract
    paths.contract.write_text(marked)
    paths.params.write_text(adoption.params)
    return paths


@pytest.mark.one_python
def test_a_model_that_learned_to_favor_men_is_rejected_and_the_page_shows_it(
    loans: Paths, run_verbs: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    done = run_verbs(loans, *STAGES)
    assert done.returncode == 0, done.stderr
    found = read_report(loans.reports / "evaluation.json")["fairness"]
    rate = next(gap for gap in found["disparities"] if gap["kind"] == "rate")
    assert [part["where"] for part in rate["groups"]] == [{"sex": "m"}, {"sex": "f"}]

    said = " ".join(run_verbs(loans, "judge").stderr.split())
    assert re.search(r"groups: rate: The rate differs most between sex m \(.*\) and sex f \(", said)
    assert re.search(
        r"counterfactual flip rate: sex: .*get another answer when sex alone is changed", said
    )
    assert run_verbs(loans, "report").returncode == 0
    page = (loans.reports / "report.html").read_text()
    assert "Rejected by: " in page
    assert "Fairness" in page
