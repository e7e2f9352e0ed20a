"""The page about the data: a verdict, figures for anybody, and nothing from outside."""

import re
from pathlib import Path
from typing import Any

import pytest

from mlchassis.contract.model import Contract, parse_contract
from mlchassis.data.report import write_data_page
from mlchassis.data.results.validation import ValidationReport

FACTS: dict[str, Any] = {
    "rows": 100_000,
    "accepted": 99_998,
    "quarantined": 2,
    "reasons": {"<b>length</b>: minimum 0": 2},
    "duplicates": 0,
    "shifts": [],
    "accepted_shifts": [],
    "months": {
        "2013-01": {"rows": 60_000, "labeled": 1.0, "missing": 0.10, "target_mean": 0.2},
        "2013-02": {"rows": 39_998, "labeled": 0.9, "missing": 0.05, "target_mean": 0.3},
    },
    "columns": {
        "length": {
            "description": "In meters",
            "missing": {"2013-01": 0.25, "2013-02": 0.05},
            "edges": [1.0, 2.5],
            "proportions": [0.2, 0.5, 0.3],
            "typical": {"2013-01": 1.75, "2013-02": None},
        },
        "town": {
            "description": "",
            "missing": {"2013-01": 0.0, "2013-02": 0.0},
            "values": {"<script>": 0.6, "b": 0.2},
            "distinct": 12,
            "commonest": "<script>",
            "typical": {"2013-01": 0.7, "2013-02": None},
        },
        "nothing": {"description": "", "missing": {"2013-01": 1.0, "2013-02": 1.0}},
    },
}


@pytest.fixture
def trips() -> Contract:
    return parse_contract("""
apiVersion: v3.2.0
name: trips
version: 1.0.0
schema:
  - properties:
      - {name: length, logicalType: number, tags: [feature]}
      - {name: late, logicalType: boolean, tags: [target], description: More than an hour}
""")


def write(tmp_path: Path, contract: Contract, trouble: str = "", **changes: Any) -> str:
    place = tmp_path / "data.html"
    report = ValidationReport.model_validate({**FACTS, **changes})
    write_data_page(place, contract, report, trouble)
    return place.read_text()


def test_the_first_screen_says_how_much_there_is_and_how_good(
    tmp_path: Path, trips: Contract
) -> None:
    page = write(tmp_path, trips)
    first = re.sub("<[^>]+>", " ", page[page.index("<header>") : page.index("</header>")])
    assert "Validation passed" in first
    assert "100,000 rows have arrived from 2013-01 to 2013-02" in " ".join(first.split())
    # Two rows in a hundred thousand are not all.
    assert "Valid 99.998% of 100 rows, 99.998 satisfy the contract; 2 are" in " ".join(
        first.split()
    )
    # Months weigh by their rows.
    assert "Labeled 96% of 100 rows, 96 have a known outcome" in " ".join(first.split())
    assert "Base rate 24% of 100 labeled rows, 24 are &#39;late&#39; (More" in " ".join(
        first.split()
    )
    assert "Missing 8% of 100 cells, 8 are empty, most of them in nothing" in " ".join(
        first.split()
    )


def test_where_the_stage_stopped_the_page_says_why(tmp_path: Path, trips: Contract) -> None:
    page = write(tmp_path, trips, trouble="2 of 3 rows break the contract.")
    assert 'class="verdict rejected">Validation failed: no training<' in page
    assert "<p>2 of 3 rows break the contract.</p>" in page


def test_the_page_asks_nothing_of_anybody_else_and_no_value_writes_it(
    tmp_path: Path, trips: Contract
) -> None:
    page = write(tmp_path, trips)
    assert not re.search(r"(?:src|href|url|@import)\s*[=(]|https?:|<script|<b>length", page)
    assert "&lt;script&gt;" in page
    assert "&lt;b&gt;length&lt;/b&gt;: minimum 0" in page


def test_months_stand_beside_each_other(tmp_path: Path, trips: Contract) -> None:
    page = write(tmp_path, trips)
    assert "<td>length</td><td>1.75 (25.0% empty)</td><td>(5.0% empty)</td>" in page
    assert "<td>town: &lt;script&gt;</td><td>70.0%</td><td></td>" in page
    assert "<td>nothing</td><td>(100.0% empty)</td><td>(100.0% empty)</td>" in page


def test_bars_are_as_long_as_what_they_stand_for(tmp_path: Path, trips: Contract) -> None:
    page = write(tmp_path, trips)
    bar = (
        '<div class="bar"><span dir="auto">{}</span><i><i style="width:{}%"></i></i><b>{}</b></div>'
    )
    assert bar.format("1 to 2.5", "100.0", "50.0%") in page
    assert bar.format("above 2.5", "60.0", "30.0%") in page
    assert bar.format("2013-02", "66.7", "39,998") in page
    assert "10 more values" in page


def test_what_is_odd_is_listed(tmp_path: Path, trips: Contract) -> None:
    page = write(tmp_path, trips, duplicates=7, shifts=["'length' in 2013-02: it doubled"])
    assert "7 rows equal an earlier one in every column." in page
    assert "&#39;length&#39; in 2013-02: it doubled" in page
    clean = write(tmp_path, trips, quarantined=0, reasons={})
    assert "none is in quarantine" in clean
    assert "No column changes abruptly" in clean


def test_other_targets_have_no_proportion_and_no_rows_are_no_error(
    tmp_path: Path, trips: Contract
) -> None:
    empty = write(tmp_path, trips, rows=0, accepted=0, quarantined=0, months={}, columns={})
    assert "Valid 0%" in empty
    assert "Base rate" not in empty


def test_rows_without_a_time_are_not_told_by_months(tmp_path: Path, trips: Contract) -> None:
    page = write(tmp_path, trips, months={"all": FACTS["months"]["2013-01"]})
    assert re.findall("<h2>([^<]+)</h2>", page) == [
        *("Rows", "Quarantine, duplicates and abrupt shifts", "Distributions", "Columns")
    ]
    assert "from one month to the next" not in page


def test_months_weigh_by_their_rows_in_the_proportion_of_empty_cells(
    tmp_path: Path, trips: Contract
) -> None:
    page = write(tmp_path, trips)
    # A quarter of 60,000 rows, and a 20th of 39,998.
    assert "In meters; empty in 17.0% of the rows" in page
    short = {"2013-01": {**FACTS["months"]["2013-01"], "rows": 2}}
    months = {**FACTS["months"], **short}
    town = {**FACTS["columns"]["town"], "missing": {"2013-01": 1.0, "2013-02": 0.1}}
    columns = {"length": {**FACTS["columns"]["length"]}, "town": town}
    first = " ".join(write(tmp_path, trips, months=months, columns=columns).split())
    assert "most of them in town" in first


def test_months_weigh_by_their_labels_in_the_base_rate(tmp_path: Path, trips: Contract) -> None:
    full = {"rows": 1000, "labeled": 1.0, "missing": 0.0, "target_mean": 0.2}
    newest = {"rows": 1000, "labeled": 0.01, "missing": 0.0, "target_mean": 1.0}
    page = write(tmp_path, trips, months={"2013-01": full, "2013-02": newest})
    # 210 of 1,010 labeled rows.
    assert "Base rate 21%" in page


def test_columns_that_are_left_out_are_named_with_their_reason(tmp_path: Path) -> None:
    contract = parse_contract("""
apiVersion: v3.2.0
name: trips
version: 1.0.0
schema:
  - properties:
      - {name: length, logicalType: number, tags: [feature]}
      - {name: late, logicalType: boolean, tags: [target]}
      - {name: arrival, logicalType: number, tags: [leakage]}
      - {name: driver, logicalType: string, tags: [pii], description: Whole name}
      - name: remark
        logicalType: string
        customProperties: [{property: reason, value: "sentences: <left> out"}]
""")
    page = write(tmp_path, contract)
    assert "<td>remark</td><td>sentences: &lt;left&gt; out</td>" in page
    assert "<td>arrival</td><td>known only after the event</td>" in page
    assert "<td>driver</td><td>about a person</td>" in page
    assert "Columns that are left out" not in write(tmp_path, parse_contract(ALL_USED))


ALL_USED = """
apiVersion: v3.2.0
name: trips
version: 1.0.0
schema:
  - properties:
      - {name: length, logicalType: number, tags: [feature]}
      - {name: late, logicalType: boolean, tags: [target]}
"""


def test_the_chart_of_the_outcome_comes_first(tmp_path: Path, trips: Contract) -> None:
    page = write(tmp_path, trips)
    assert page.index("Proportion of late: true") < page.index("With a known outcome")
    proportions = {"a": 0.7, "b": 0.3}
    months = {
        m: {"rows": 9, "labeled": 1.0, "missing": 0.0, "target_proportions": proportions}
        for m in "12"
    }
    page = write(tmp_path, trips, months=months)
    assert "Proportion of late: a" in page
    assert page.index("Proportion of late: b") < page.index("With a known outcome")


def test_abrupt_shifts_that_are_accepted_stay_visible(tmp_path: Path, trips: Contract) -> None:
    page = write(
        tmp_path, trips, shifts=[], accepted_shifts=["'late' in 2013-02: 97% of the outcomes"]
    )
    assert "These abrupt shifts are accepted" in page
    assert "97% of the outcomes" in page
    assert "No column changes abruptly" not in page


def test_the_name_of_a_column_is_shown_as_it_is(tmp_path: Path, trips: Contract) -> None:
    name = "<script>alert(1)</script>"
    columns = {name: FACTS["columns"]["town"], **FACTS["columns"]}
    page = write(tmp_path, trips, columns=columns, shifts=[f"'{name}' in 2013-02: it doubled"])
    assert "<script>" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3
