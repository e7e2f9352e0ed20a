"""The stages of the pipeline after `ingest` on generated rows, in a folder of their own."""

import shutil
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mlchassis.config.params import Params, TrainParams
from mlchassis.contract.model import Contract, load_contract
from mlchassis.data.ingest import store_rows
from mlchassis.project import Workspace, read_params
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
DAYS = 60
"""Days of the validation and of the test window; generated events lie within a year."""


def run_stages(workspace: Workspace, params: Params) -> None:
    """Store generated rows as `ingest` does, then run every other stage on them.

    Raises:
        ProjectError: A stage refuses what it gets.
    """
    contract = load_contract(workspace.contract)
    store_rows(workspace, params, generate_table(contract), contract)
    for module in STAGES.values():
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
    for path in (own.contract, own.params, own.behaviour):
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
        "ingest": {"until": None, "forgotten": {}},
        "validate_": {"max_quarantined": 0.0, "max_doubled": 1.0, "max_step": 1.0},
        "split": {
            "strategy": "time" if contract.event_time else "random",
            "valid_days": DAYS,
            "test_days": DAYS,
            "valid_share": 0.2,
            "test_share": 0.2,
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
    return train.model_copy(update={"candidate": train.candidate.model_copy(update=fast)})
