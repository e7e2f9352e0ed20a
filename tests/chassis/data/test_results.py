"""Reports of the data stages: the file of each, and mistakes in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlchassis.data.results.ingestion import IngestReport
from mlchassis.data.results.splits import SplitReport
from mlchassis.data.results.validation import (
    CategoryFacts,
    ColumnFacts,
    NumberFacts,
    ValidationReport,
)
from mlchassis.errors import ProjectError
from mlchassis.reports import StageReport, format_report

INGEST: dict[str, Any] = {
    "offered": 9,
    "arrived": 7,
    "not_yet_arrived": 2,
    "months": {"2013-01": 7},
    "added": {"2013-01": 1},
    "left_out": ["1 file is empty"],
    "read_as_missing": {"length": {"n/a": 2}},
}
VALIDATION: dict[str, Any] = {
    "rows": 7,
    "accepted": 6,
    "quarantined": 1,
    "reasons": {"length: minimum 0": 1},
    "duplicates": 0,
    "shifts": [],
    "accepted_shifts": ["'late' in 2013-01: it doubled"],
    "months": {
        "2013-01": {"rows": 3, "labeled": 1.0, "missing": 0.0, "target_mean": 0.5},
        "2013-02": {
            "rows": 3,
            "labeled": 1.0,
            "missing": 0.0,
            "target_proportions": {"a": 0.7, "b": 0.2, "c": 0.1},
        },
        "2013-03": {"rows": 3, "labeled": 0.0, "missing": 0.1},
    },
    "columns": {
        "length": {
            "description": "In meters",
            "missing": {"2013-01": 0.0},
            "edges": [1.0, 2.5],
            "proportions": [0.2, 0.5, 0.3],
            "typical": {"2013-01": 1.75, "2013-02": None},
        },
        "town": {
            "description": "",
            "missing": {"2013-01": 0.0},
            "values": {"a": 0.6, "b": 0.2},
            "distinct": 12,
            "commonest": "a",
            "typical": {"2013-01": None},
        },
        "nothing": {"description": "", "missing": {"2013-01": 1.0}},
    },
}
SPLIT: dict[str, Any] = {
    "account": {"offered": 9, "not_yet_arrived": 2, "quarantined": 1, "unlabeled": 1, "used": 5},
    "splits": {
        "train": {
            "rows": 3,
            "from": "2013-01-01T00:00:00+00:00",
            "until": "2013-01-31T00:00:00+00:00",
            "target_mean": 0.5,
        },
        "validation": {"rows": 1, "target_proportions": {"a": 1.0}},
        "test": {"rows": 1},
    },
    "explanation": "Rows are split by time.",
}
REPORTS: list[tuple[type[StageReport], dict[str, Any]]] = [
    (IngestReport, INGEST),
    (ValidationReport, VALIDATION),
    (SplitReport, SPLIT),
]


@pytest.mark.parametrize(("model", "content"), REPORTS)
def test_a_report_is_written_as_it_was_read(
    model: type[StageReport], content: dict[str, Any], tmp_path: Path
) -> None:
    model.model_validate(content).write(tmp_path)
    text = (tmp_path / model.file).read_text()

    assert text == format_report(content)
    model.load(tmp_path).write(tmp_path)
    assert (tmp_path / model.file).read_text() == text


def test_columns_are_read_by_their_kind() -> None:
    columns = ValidationReport.model_validate(VALIDATION).columns
    kinds = {name: type(facts) for name, facts in columns.items()}

    assert kinds == {"length": NumberFacts, "town": CategoryFacts, "nothing": ColumnFacts}


def edit(content: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> str:
    """The text of a report after a change."""
    copy: dict[str, Any] = json.loads(json.dumps(content))
    change(copy)
    return json.dumps(copy)


@pytest.mark.parametrize(
    ("model", "text", "sentence"),
    [
        (
            ValidationReport,
            edit(VALIDATION, lambda report: report.pop("quarantined")),
            r"validation\.json: quarantined: field required",
        ),
        (
            ValidationReport,
            edit(VALIDATION, lambda report: report.update(accepted="many")),
            r"validation\.json: accepted: input should be a valid integer",
        ),
        (
            ValidationReport,
            edit(VALIDATION, lambda report: report["columns"]["length"].update(edges=None)),
            r"validation\.json: columns\.length\.numbers\.edges: input should be a valid list",
        ),
        (
            SplitReport,
            edit(SPLIT, lambda report: report["splits"].pop("test")),
            r"split\.json: splits\.test: field required",
        ),
        (
            SplitReport,
            edit(SPLIT, lambda report: report["splits"]["train"].update({"from": 2013})),
            r"split\.json: splits\.train\.from: input should be a valid string",
        ),
        (
            IngestReport,
            edit(INGEST, lambda report: report.update(month={})),
            r"ingest\.json: month: extra inputs are not permitted",
        ),
        (SplitReport, "[]", r"split\.json: the file: input should be a valid dictionary"),
    ],
)
def test_a_mistake_in_a_report_is_named_with_its_key(
    model: type[StageReport], text: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / model.file).write_text(text)

    with pytest.raises(ProjectError, match=rf"^{sentence}.*; delete it and run `make repro`\.$"):
        model.load(tmp_path)
