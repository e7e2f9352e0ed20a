"""Changes to `params.yaml` and `dvc.yaml` that keep every comment that is still true."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from mlchassis.config.source_params import OwnParams
from mlchassis.contract.model import Task
from mlchassis.errors import ProjectError
from mlchassis.printable import printable

_COMMENT_COLUMN = 31
SOURCE_REPORT = "reports/source.json"
"""Names and digests of a source's files, which change when the files do."""
_SOURCE_LINES = re.compile(
    rf"      - \$\{{source\.\w+\}}\n|      - {SOURCE_REPORT}\n|    always_changed: true\n"
)
_CURVES = {
    "classes": (
        "roc.csv: {cache: false, x: false_positive_rate, y: true_positive_rate, title: ROC}",
        (
            "precision_recall.csv: "
            "{cache: false, x: recall, y: precision, title: Precision and recall}"
        ),
    ),
    "numbers": ("residuals.csv: {cache: false, x: predicted, y: residual, title: Residuals}",),
}


def set_values(text: str, settings: Mapping[str, tuple[Any, str]]) -> str:
    """Sets values by their dotted names, and the comments beside them.

    Raises:
        ProjectError: A name is not there.
    """
    lines, path, left = text.splitlines(), list[str](), dict(settings)
    for number, line in enumerate(lines):
        found = re.match(r"( *)([\w-]+):(.*)", line)
        if not found:
            continue
        del path[len(found[1]) // 2 :]
        path.append(found[2])
        name = ".".join(path)
        if name in left:
            value, comment = left.pop(name)
            lines[number] = f"{found[1]}{found[2]}: {_scalar(value)}".ljust(_COMMENT_COLUMN - 1)
            lines[number] += f" # {printable(comment)}"
    if left:
        raise ProjectError(
            f"params.yaml lacks '{next(iter(left))}', which the table needs; restore the file from "
            "git."
        )
    return "\n".join(lines) + "\n"


def set_source(text: str, source: OwnParams) -> str:
    """Replaces the section that says where rows come from."""
    given = source.model_dump(mode="json", exclude_defaults=True)
    block = yaml.safe_dump(given, sort_keys=False, allow_unicode=True, width=110)
    body = "".join(f"  {line}\n" for line in block.splitlines())
    head = "source:\n  # How the files are read, as `make adopt` found them.\n"
    section = re.compile(r"^source:.*\n(?:[ #].*\n)*", re.MULTILINE)
    changed, count = section.subn(lambda _: head + body, text)
    if count != 1:
        raise ProjectError("params.yaml has no section 'source'; restore the file from git.")
    return changed


def set_pipeline(text: str, task: Task, source: OwnParams) -> str:
    """Makes `dvc.yaml` watch the source, and expect the curves that a task has.

    `make repro` describes the source's files in a report, which DVC compares: the files themselves
    may lie on one machine alone. Whether a server has new rows is to be asked each time.
    """
    watched = {"files": f"      - {SOURCE_REPORT}\n", "sql": "      - ${source.query}\n", "s3": ""}
    always = "" if source.kind == "files" else "    always_changed: true\n"
    text = _SOURCE_LINES.sub("", text)
    text = text.replace("    deps:\n", f"{always}    deps:\n{watched[source.kind]}", 1)
    lines = [
        line
        for line in text.splitlines(keepends=True)
        if not re.match(r" *- reports/plots/(roc|precision_recall|residuals)\.csv:", line)
    ]
    curves = _CURVES["numbers" if task == "regression" else "classes"]
    place = next(
        (n for n, line in enumerate(lines) if "reports/plots/calibration.csv:" in line), len(lines)
    )
    return "".join(
        [*lines[:place], *(f"      - reports/plots/{curve}\n" for curve in curves), *lines[place:]]
    )


def _scalar(value: Any) -> str:
    text: str = yaml.safe_dump(value, allow_unicode=True, width=100_000, default_flow_style=True)
    return text.splitlines()[0]
