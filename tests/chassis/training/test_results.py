"""Reports of the stages `train` and `export`: the file of each, and mistakes in it."""

from pathlib import Path
from typing import Any

import pytest

from mlchassis.errors import ProjectError
from mlchassis.reports import StageReport, format_report, write_report
from mlchassis.training.results import ExportReport, TrainingReport

TRAINING: dict[str, Any] = {
    "single_feature_auc": {"length": 0.7, "town": 0.5},
    "validation": {
        "prior": {"roc_auc": 0.5},
        "linear": {"roc_auc": 0.6},
        "candidate": {"roc_auc": 0.7},
    },
    "estimators": {"candidate": {"file": "candidate.json", "sha256": "0" * 64}},
}
EXPORT: dict[str, Any] = {
    "digest": "a" * 64,
    "bytes": 900_000,
    "tolerance": 1e-05,
    "parity": {
        "test_rows": {"max_error": 2e-07, "rows": 570},
        "edge_cases": {"max_error": 3e-07, "rows": 130},
    },
}


@pytest.mark.parametrize(("model", "content"), [(TrainingReport, TRAINING), (ExportReport, EXPORT)])
def test_a_report_is_written_as_it_was_read(
    model: type[StageReport], content: dict[str, Any], tmp_path: Path
) -> None:
    write_report(tmp_path / model.file, content)
    model.load(tmp_path).write(tmp_path)

    assert (tmp_path / model.file).read_text() == format_report(content)


def test_the_parity_of_a_graph_is_its_largest_error() -> None:
    assert ExportReport.model_validate(EXPORT).parity.max_error == 3e-07


@pytest.mark.parametrize(
    ("model", "content", "sentence"),
    [
        (
            ExportReport,
            {**EXPORT, "digest": None},
            r"export\.json: digest: input should be a valid string",
        ),
        (
            ExportReport,
            {**EXPORT, "parity": {"test_rows": EXPORT["parity"]["test_rows"]}},
            r"export\.json: parity\.edge_cases: field required",
        ),
        (
            TrainingReport,
            {**TRAINING, "estimators": {"candidate": {"file": "candidate.json"}}},
            r"training\.json: estimators\.candidate\.sha256: field required",
        ),
    ],
)
def test_a_mistake_in_a_report_is_named_with_its_key(
    model: type[StageReport], content: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    write_report(tmp_path / model.file, content)

    with pytest.raises(ProjectError, match=rf"^{sentence}.*; delete it and run `make repro`\.$"):
        model.load(tmp_path)
