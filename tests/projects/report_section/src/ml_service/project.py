"""The composition root of training, with an own section of the model report."""

from mlchassis import Project, ReportContext, ReportSection
from mlchassis.reporting import Table, Text

from .features import compute_features


def describe_rows(context: ReportContext) -> ReportSection:
    """Report how large the test window is."""
    rows = context.evaluation["rows"]
    return ReportSection(
        title="Size of the test window",
        blocks=[
            Text("The intervals of this report get narrower with more rows."),
            Table(("window", "rows"), [("test", f"{rows:,}")]),
        ],
        after="slices",
    )


project = Project(features=compute_features, report_sections=[describe_rows])
