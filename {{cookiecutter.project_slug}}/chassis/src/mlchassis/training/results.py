"""Shapes of `reports/training.json` and `reports/export.json`."""

from typing import ClassVar

from mlchassis.reports import ReportPart, StageReport


class EstimatorFile(ReportPart):
    """The file of a fitted estimator in `models/`, and its SHA-256."""

    file: str
    sha256: str


class ValidationMetrics(ReportPart):
    """Metrics on the validation split, by model."""

    prior: dict[str, float]
    linear: dict[str, float]
    candidate: dict[str, float]


class TrainingReport(StageReport):
    """Facts about the fitted models.

    Attributes:
        single_feature_auc: ROC AUC of each feature alone, the best one first.
        estimators: Files of the fitted models, by model.
    """

    file: ClassVar[str] = "training.json"

    single_feature_auc: dict[str, float]
    validation: ValidationMetrics
    estimators: dict[str, EstimatorFile]


class ParityFacts(ReportPart):
    """Largest error of the exported graph on some rows, and their number."""

    max_error: float
    rows: int


class GraphParity(ReportPart):
    """The graph against the trained model, by kind of rows."""

    test_rows: ParityFacts
    edge_cases: ParityFacts

    @property
    def max_error(self) -> float:
        """Largest error on any rows."""
        return max(self.test_rows.max_error, self.edge_cases.max_error)


class ExportReport(StageReport):
    """Facts about the exported bundle.

    Attributes:
        digest: Digest of the bundle.
        bytes: Size of the graph.
        tolerance: Largest error that is allowed.
    """

    file: ClassVar[str] = "export.json"

    digest: str
    bytes: int
    tolerance: float
    parity: GraphParity
