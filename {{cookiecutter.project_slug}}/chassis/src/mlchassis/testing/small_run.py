"""The stages of the pipeline after `ingest` on generated rows, in a folder of their own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mlchassis.config.params import Params, TrainParams
from mlchassis.contract.model import Contract, load_contract
from mlchassis.data.ingest import store_rows
from mlchassis.errors import ProjectError
from mlchassis.project import Project, Workspace, read_params
from mlchassis.team_code.importing import load_object
from mlchassis.testing.rows import complete_rows, make_table

STAGES: Mapping[str, str] = {
    "validate": "mlchassis.data.validation",
    "split": "mlchassis.data.splitting",
    "train": "mlchassis.training.train",
    "export": "mlchassis.training.export",
    "evaluate": "mlchassis.evaluation.evaluate",
}
"""The module of each stage, in their order."""
ROWS = 1500
WIDE_ROWS = 600
"""Rows of a table with more than `WIDE` features."""
WIDE = 100
_CHILD = f"import sys; from {__name__} import main; main(*sys.argv[1:])"
"""Program of a run in a process of its own."""
DAYS = 60
"""Days of the validation and of the test split; generated events lie within a year."""


@dataclass(frozen=True, slots=True)
class SmallRun:
    """A folder for a run of the stages on generated rows.

    Attributes:
        workspace: Copies of the files that the stages read.
        params: The project's parameters, with limits for few rows.
    """

    workspace: Workspace
    params: Params

    @classmethod
    def prepare(cls, own: Workspace, root: Path) -> "SmallRun":
        """Copy a project's files into a new folder."""
        workspace = prepare_workspace(own, root)
        return cls(workspace, small_params(own, load_contract(own.contract)))


def kill_run(own: Workspace, run: SmallRun, stage: str) -> Iterator[str]:
    """Start a run in another process and kill it in a stage; yield a sentence if it ends before."""
    source = str(own.features_file.parents[1])
    path = os.pathsep.join([source, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", _CHILD, find_reference(own), own.root, run.workspace.root]
    with subprocess.Popen(
        list(map(str, command)),
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        last = ""
        for line in process.stdout or ():
            last = line.strip() or last
            if last == stage:
                process.kill()
                return
    yield f"A run on generated rows ends before the stage '{stage}': {last}"


def find_reference(own: Workspace) -> str:
    """Return the reference "package.module:name" of a workspace's project.

    Raises:
        ProjectError: No module of the package holds it.
    """
    for module in list(sys.modules):
        if module.partition(".")[0] == own.package:
            for name, value in vars(sys.modules[module]).items():
                if value is own.project:
                    return f"{module}:{name}"
    raise ProjectError(
        f"No module of {own.package} holds the tested project; import it from project.py."
    )


def main(reference: str, root: str, folder: str) -> None:
    """Run the stages on generated rows in a prepared folder, and print each one's name before."""
    project = load_object(reference, Project)
    own = Workspace(Path(root), project)
    params = small_params(own, load_contract(own.contract))
    run_stages(Workspace(Path(folder), project), params, lambda name: print(name, flush=True))  # noqa: T201


def run_stages(
    workspace: Workspace, params: Params, before: Callable[[str], None] = lambda _: None
) -> None:
    """Store generated rows as `ingest` does, then run every other stage on them.

    Args:
        workspace: A prepared folder.
        params: Its parameters.
        before: Called with the name of each stage before it runs.

    Raises:
        ProjectError: A stage refuses what it gets.
    """
    contract = load_contract(workspace.contract)
    store_rows(workspace, params, generate_table(contract), contract)
    for name, module in STAGES.items():
        before(name)
        stage: Callable[[Workspace, Params], str] = import_module(module).run
        stage(workspace, params)


def generate_table(contract: Contract) -> pd.DataFrame:
    """Return a typed table of a contract whose key is free text."""
    count = WIDE_ROWS if len(contract.features) > WIDE else ROWS
    rows = complete_rows(contract, count, seed=31)
    if contract.key is not None:
        for position, row in enumerate(rows):
            row[contract.key.name] = f"row {position}"
    return make_table(contract, rows)


def prepare_workspace(own: Workspace, root: Path) -> Workspace:
    """Copy what the stages read of a project into another folder."""
    root.mkdir(parents=True)
    for path in (own.contract, own.params, own.behavior):
        if path.exists():
            shutil.copy(path, root / path.name)
    made = Workspace(root, own.project)
    made.contract.write_text(_free_key(own.contract), encoding="utf-8")
    return made


def _free_key(contract: Path) -> str:
    """Return the text of a contract whose key is any text: no key can be drawn from a pattern."""
    document = yaml.safe_load(contract.read_text(encoding="utf-8"))
    for column in document["schema"][0]["properties"]:
        if "key" in column.get("tags", ()):
            for option in ("logicalTypeOptions", "enum", "examples"):
                column.pop(option, None)
            column["logicalType"] = "string"
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False)


def small_params(own: Workspace, contract: Contract) -> Params:
    """Return a project's parameters, with limits for few rows of which nothing can be learned."""
    params = read_params(own)
    wanted: Mapping[str, Mapping[str, Any]] = {
        "ingest": {"as_of": None, "forgotten": {}},
        "validate_": {"max_quarantined": 0.0, "max_duplicates": 1.0, "max_shift": 1.0},
        "split": {
            "strategy": "time" if contract.event_time else "random",
            "validation_days": DAYS,
            "test_days": DAYS,
            "validation_proportion": 0.2,
            "test_proportion": 0.2,
            "min_rows": 1,
        },
        "train": {"max_single_feature_auc": 1.0, "min_category_count": 20},
        "export": {"pii_categories": tuple(column.name for column in contract.pii)},
        "evaluate": {"resamples": 20, "min_slice_rows": 50},
    }
    sections = {
        name: getattr(params, name).model_copy(update=changes) for name, changes in wanted.items()
    }
    sections["train"] = _hasten(sections["train"])
    return params.model_copy(update=sections)


def _hasten(train: TrainParams) -> TrainParams:
    """Return the parameters of training with steps that are large enough to end soon."""
    fast = {"learning_rate": 0.5, "max_trees": 2000, "patience": 5, "min_rows_per_leaf": 20}
    return train.model_copy(update={"trees": train.trees.model_copy(update=fast)})
