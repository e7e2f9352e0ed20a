"""A team's own table goes through pipeline, verbs and API, and no trace of the sample is left."""

import json
import shutil
from pathlib import Path

import pytest

import adoption_tables
from demo import read_question
from project_copy import copy_project, link_environment, make_environment
from service import fetch, serve
from summary import Parts
from whole_run import WholeRun, check_ways, run_in

TABLES = {
    "breast_cancer.csv": ("target", "binary"),
    "diabetes.csv": ("target", "regression"),
    "wine.csv": ("target", "multiclass"),
    "digits.csv": ("target", "multiclass"),
    "nasty.csv.gz": ("returned", "binary"),
    "crowd.csv": ("fraud", "binary"),
}
OPTIONS = {"crowd.csv": "--group customer"}
EXPLORED = ("diabetes.csv", "nasty.csv.gz")
"""Tables in whose projects the notebook is run; it takes seconds, and the others are similar."""
CLONED = "wine.csv"
"""The table whose project a second person clones."""
TRACES = r"\bflight\|nycflights\|departure_minute"


@pytest.fixture(scope="module")
def tables(whole_run: WholeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    python = str(whole_run.project / ".venv" / "bin" / "python")
    run_in(whole_run.project, python, str(adoption_tables.__file__), str(folder))
    return folder


def adopt(whole_run: WholeRun, table: Path, folder: Path, *arguments: str) -> Path:
    """Copy the project that has run the sample, and adopt a table in it."""
    project = copy_project(whole_run.project, folder / "ml-service")
    target = TABLES[table.name][0]
    command = ("make", "adopt", f"DATA={table}", f"TARGET={target}")
    run_in(project, *command, f"ARGS={OPTIONS.get(table.name, '')}", *arguments)
    return project


def check_clone(project: Path, environment: Path, clone: Path, table: Path) -> None:
    """Run the verbs of the job `pipeline` in a clone, and those of a colleague."""
    run_in(project, "sh", "-c", f"! git grep --cached -F '{table.parent}'")
    commit(project)
    run_in(project, "git", "clone", "--quiet", str(project), str(clone))
    link_environment(environment, clone / ".venv")

    # As shipped, a runner reaches neither the table nor the remote, which is a folder elsewhere.
    said = run_in(clone, "make", "rows", SOURCE_OFFLINE="1")
    assert "rows: none, since params.yaml leaves open where the table lies" in said
    said = run_in(clone, "sh", "-c", "make repro; test $? -eq 2")
    assert "error: The source is not on this machine" in said

    remote = str(project / "var" / "dvc-remote")
    run_in(project, "make", "push")
    run_in(clone, "python", "-m", "dvc", "remote", "modify", "--local", "local", "url", remote)
    said = run_in(clone, "make", "rows", SOURCE_OFFLINE="1")
    assert "rows: pulled, since SOURCE_OFFLINE is set" in said
    run_in(clone, "make", "repro", SOURCE_OFFLINE="1")
    run_in(clone, "make", "judge")
    said = run_in(clone, "make", "run", "SERVE=0")
    assert "repro: going on from data/raw, without the source: params.yaml leaves open" in said
    assert "is deployed" in said
    said = run_in(clone, "make", "run", "SERVE=0", SOURCE_PATH=str(table))
    assert "without the source" not in said
    assert "Running stage" not in said
    # Stages find the environment of the project, whatever is on PATH.
    run_in(
        clone, "env", "PATH=/usr/bin:/bin", ".venv/bin/python", "-m", "dvc", "repro", "-fs", "split"
    )


COUNT_GROUPS = """
import pandas as pd
parts = [pd.read_parquet(f"data/splits/{name}.parquet") for name in ("train", "validation", "test")]
groups = [set(part["customer"]) for part in parts]
rare = [part["fraud"].sum() for part in parts]
print(sum(map(len, groups)), len(set.union(*groups)), parts[0].shape[1], *rare)
"""


def check_crowd(project: Path) -> None:
    """Hold each customer to one window, and each window to some of the rare class."""
    printed = run_in(project, "python", "-c", COUNT_GROUPS)
    in_windows, groups, columns, *rare = map(int, printed.split())
    assert in_windows == groups == 625
    assert columns == 500
    assert min(rare) >= 1
    assert sum(rare) == 100
    assert "  metric: pr_auc" in (project / "params.yaml").read_text()


def explore(project: Path, home: Path) -> None:
    """Run the project's notebook as Jupyter does, with no folder of its user's."""
    folders = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    homes = [f"{folder}={home}" for folder in folders]
    run_in(project, "env", *homes, "jupyter", "execute", "notebooks/explore.ipynb")


@pytest.mark.parametrize("name", TABLES)
def test_a_table_reaches_a_served_prediction(
    name: str, whole_run: WholeRun, tables: Path, tmp_path: Path, parts: Parts
) -> None:
    with parts.measure(f"adopt {name}, to its deployed model"):
        project = adopt(whole_run, tables / name, tmp_path)
    facts = json.loads((project / "reports" / "evaluation.json").read_text())
    with (tmp_path / "log").open("wb") as log, serve(project, log, make_environment()) as address:
        answer = fetch(f"{address}/predict", read_question(address))
        check_ways(project, address, str(tables / name))

    assert facts["task"] == TABLES[name][1]
    assert answer["model"]["digest"] == facts["digest"]
    assert answer["model"]["name"] == name.split(".")[0]
    assert len(answer["predictions"]) == 1
    if name == "crowd.csv":
        check_crowd(project)
    if name in EXPLORED:
        explore(project, tmp_path / "jupyter")
    with parts.measure(f"the project's own tests after adopt {name}"):
        run_in(project, "pytest")
    run_in(project, "git", "add", "--all")
    run_in(project, "sh", "-c", f"! git grep --cached -il '{TRACES}'")
    if name == CLONED:
        check_clone(project, whole_run.project / ".venv", tmp_path / "clone", tables / name)
    shutil.rmtree(project)


def commit(project: Path) -> None:
    me = ("-c", "user.name=Somebody", "-c", "user.email=somebody@localhost")
    run_in(project, "git", "add", "--all")
    run_in(project, "git", *me, "commit", "--quiet", "--message", "Adopt")


def test_more_rows_meet_the_champion_and_other_columns_ask_first(
    whole_run: WholeRun, tables: Path, tmp_path: Path
) -> None:
    table = tmp_path / "breast_cancer.csv"
    header, *lines = (tables / "breast_cancer.csv").read_text().splitlines()
    first = [line for number, line in enumerate(lines) if number % 9]
    table.write_text("\n".join([header, *first]))
    project = adopt(whole_run, table, tmp_path)
    commit(project)

    # Without a time, too, it is known which rows of the larger table the champion has not seen.
    table.write_text("\n".join([header, *lines]))
    command = f"make adopt DATA={table} TARGET=target"
    run_in(project, "sh", "-c", f"{command} ARGS=--yes; true")
    judgement = json.loads((project / "reports" / "judgement.json").read_text())
    split = json.loads((project / "reports" / "split.json").read_text())
    (gate,) = [g for g in judgement["gates"] if g["name"] == "not worse than champion"]
    assert f"(version 1) on {split['splits']['test']['rows']} rows" in gate["sentence"]
    commit(project)

    before = (project / "contract.yaml").read_text()
    grown = [f"{header},added", *(f"{line},{number}.5" for number, line in enumerate(lines))]
    table.write_text("\n".join(grown))
    said = run_in(project, "sh", "-c", f"{command}; test $? -eq 2")

    assert "+      - name: added" in said
    assert "Nothing was changed" in said
    assert (project / "contract.yaml").read_text() == before
    # The gates refuse it: a row is another one with another column, so it may have been seen.
    said = run_in(project, "sh", "-c", f"{command} ARGS=--yes; test $? -eq 2")
    assert "The champion saw other rows" in said
    assert "version: 2.0.0" in (project / "contract.yaml").read_text()
