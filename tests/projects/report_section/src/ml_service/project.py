"""The composition root of training, with a custom section of the model report."""

from mlchassis import Project, ReportContext, ReportSection
from mlchassis.reporting import Table, Text

from .features import compute_features


def describe_rows(context: ReportContext) -> ReportSection:
    """Report how large the test split is."""
    rows = context.evaluation.rows
    return ReportSection(
        title="Size of the test split",
        blocks=[
            Text("The intervals of this report get narrower with more rows."),
            Table(("split", "rows"), [("test", f"{rows:,}")]),
        ],
        after="slices",
    )


project = Project(features=compute_features, report_sections=[describe_rows])
