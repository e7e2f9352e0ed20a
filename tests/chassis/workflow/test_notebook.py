"""The notebooks run on this project's own contract and champion, and hold none of its data."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pandas as pd
import pytest

import ml_service
from mlchassis.config.params import Params
from mlchassis.contract.model import Contract
from mlchassis.data.tables import write_table
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths, find_project
from mlchassis.project import Workspace
from mlchassis.workflow import release

NOTEBOOKS = sorted((Path(ml_service.__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture
def promoted(
    project: Workspace, params: Params, labeled_rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> Paths:
    """A project with a champion; what Jupyter writes for its user stays inside."""
    write_table(project.accepted / "all.parquet", labeled_rows)
    release.judge(project, params)
    release.register(project, params)
    release.promote(project, None, "a test")
    shutil.rmtree(project.bundle)  # The champion is the registry's, whatever was trained since.
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(project.root / "var" / name.lower()))
    return project


def run(notebook: Path, paths: Paths) -> list[str]:
    """Run a copy inside a project, and return the output of its cells."""
    place = paths.root / "notebooks"
    place.mkdir(exist_ok=True)
    document = nbformat.read(shutil.copy(notebook, place), as_version=4)
    nbclient.execute(document, cwd=str(place), timeout=600)
    outputs = [output for cell in document.cells for output in cell.get("outputs", ())]
    return [output["data"]["text/plain"] for output in outputs if "data" in output]


@pytest.mark.one_python
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_on_the_projects_rows_and_champion(
    notebook: Path, promoted: Paths, contract: Contract, labeled_rows: pd.DataFrame
) -> None:
    shown = run(notebook, promoted)

    assert f"{contract.name}, {contract.task}: {len(labeled_rows):,} rows" in shown[0]
    assert "Answers(" in shown[-1]


SCRIPT = """
import sys
import pandas as pd
from ml_service.features import compute_features
from mlchassis import Contract, Scorer, load_champion
from mlchassis.features.code import load_feature_code

bundle = load_champion()
assert isinstance(bundle.contract, Contract)
scorer = Scorer(bundle, load_feature_code(compute_features))
answers = scorer.score_frame(pd.read_parquet("../data/accepted/all.parquet"))
print(len(answers.values), "typer" in sys.modules, "mlchassis.cli" in sys.modules)
"""


@pytest.mark.one_python
def test_the_champion_scores_rows_without_the_command_line(
    promoted: Paths, labeled_rows: pd.DataFrame
) -> None:
    folder = promoted.root / "notebooks"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(len(labeled_rows)), "False", "False"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_holds_no_output(notebook: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    ran = [c["id"] for c in cells if c["cell_type"] == "code" and c["execution_count"]]
    kept = [c["id"] for c in cells if c.get("outputs") or c.get("attachments")]

    assert ran + kept == [], "clear the notebook's outputs, and save it"


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS


@pytest.mark.one_python
def test_a_notebook_outside_a_project_and_one_before_the_first_run_say_so(
    project: Workspace, tmp_path: Path
) -> None:
    inside = project.root / "notebooks"
    inside.mkdir()
    assert find_project(inside).root == project.root
    with pytest.raises(ProjectError, match="is in no project"):
        find_project(tmp_path)
    with pytest.raises(ProjectError, match="no champion; run `make promote`"):
        release.load_champion(project)
