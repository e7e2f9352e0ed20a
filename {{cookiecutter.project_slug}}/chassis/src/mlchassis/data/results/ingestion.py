"""Shape of `reports/ingest.json`."""

from typing import ClassVar

from mlchassis.reports import ReportPart, StageReport


class RowCounts(ReportPart):
    """Rows of the source, those that it no longer offers among them.

    Attributes:
        offered: All rows.
        arrived: Rows of months that have arrived.
        not_yet_arrived: Rows of later months.
        months: Rows that have arrived, by month.
    """

    offered: int
    arrived: int
    not_yet_arrived: int
    months: dict[str, int]


class IngestReport(RowCounts, StageReport):
    """Facts about the rows that `ingest` stored.

    Attributes:
        added: Rows added to a stored month, by month.
        left_out: Sentences about what reading left out.
        read_as_missing: Cells that count as missing, by column and by their text.
    """

    file: ClassVar[str] = "ingest.json"

    added: dict[str, int]
    left_out: list[str]
    read_as_missing: dict[str, dict[str, int]]
