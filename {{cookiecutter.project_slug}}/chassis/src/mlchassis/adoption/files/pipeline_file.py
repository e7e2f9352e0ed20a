"""Edits of `dvc.yaml`: the source that it watches, and the curves that a task has."""

from collections.abc import Collection
from typing import Any

from mlchassis.config.source_params import OwnParams
from mlchassis.config.yaml_edit import insert_items, insert_line_before, remove_items, remove_key
from mlchassis.contract.model import Task

SOURCE_REPORT = "reports/source.json"
"""Names and digests of a source's files, which change when the files do."""
_QUERY = "${source.query}"
_DEPENDENCIES = ("stages", "ingest", "deps")
_ALWAYS_CHANGED = ("stages", "ingest", "always_changed")
_PLOTS = ("stages", "evaluate", "plots")
_CURVES = {
    "roc": "roc.csv: {cache: false, x: false_positive_rate, y: true_positive_rate, title: ROC}",
    "precision_recall": (
        "precision_recall.csv: {cache: false, x: recall, y: precision, title: Precision and recall}"
    ),
    "residuals": "residuals.csv: {cache: false, x: predicted, y: residual, title: Residuals}",
}


def set_pipeline(text: str, task: Task, source: OwnParams, removed: Collection[str] = ()) -> str:
    """Make `dvc.yaml` watch the source, and expect the curves that a task has.

    `make repro` describes the source's files in a report, which DVC compares: the files themselves
    may lie on one machine alone. A server is asked for new rows each time.

    Args:
        text: Of `dvc.yaml`.
        task: Task of the contract.
        source: Section `source` of `params.yaml`.
        removed: Files on which the stage `ingest` no longer depends.
    """
    watched = {"files": [SOURCE_REPORT], "sql": [_QUERY], "s3": []}[source.kind]
    obsolete = {SOURCE_REPORT, *removed}
    text = remove_key(text, _ALWAYS_CHANGED)
    text = remove_items(text, _DEPENDENCIES, lambda item: item in obsolete or _is_setting(item))
    text = insert_items(text, _DEPENDENCIES, watched, before=lambda _: True)
    if source.kind != "files":
        text = insert_line_before(text, _DEPENDENCIES, "always_changed: true")
    return _set_curves(text, task)


def _is_setting(item: Any) -> bool:
    return isinstance(item, str) and item.startswith("${source.")


def _set_curves(text: str, task: Task) -> str:
    names = ("residuals",) if task == "regression" else ("roc", "precision_recall")
    text = remove_items(text, _PLOTS, lambda item: _name_plot(item) in _CURVES)
    curves = [f"reports/plots/{_CURVES[name]}" for name in names]
    return insert_items(text, _PLOTS, curves, lambda item: _name_plot(item) == "calibration")


def _name_plot(item: Any) -> str:
    path = item if isinstance(item, str) else next(iter(item))
    return path.removeprefix("reports/plots/").removesuffix(".csv")
