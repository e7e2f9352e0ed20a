"""Contract check of logged rows."""

import json
from collections.abc import Callable
from typing import Any

import pandas as pd

from mlchassis.contract.model import Contract
from mlchassis.monitoring.prediction_log import LoggedRow
from mlchassis.monitoring.quality import QualityCheck, summarize_quality
from mlchassis.monitoring.results import Quality

INPUTS = {"size": 50.0, "price": 20.0, "season": 1.0, "shop": "north"}


def make_row(version: str = "2.0.0", **inputs: Any) -> LoggedRow:
    given = {**INPUTS, **inputs}
    return LoggedRow("2024-01-01", "K", given, True, None, "0" * 64, version, "")


def check(contract: Contract, rows: list[LoggedRow]) -> Quality:
    quality = QualityCheck(contract)
    quality.add(rows)
    return summarize_quality(quality.days, ["2024-01-01"])


def test_valid_rows_have_no_reason(shop_contract: Contract) -> None:
    found = check(shop_contract, [make_row(), make_row(price=None)])
    assert found == Quality(rows=2, invalid=0, reasons={}, lacking=[])


def test_invalid_rows_are_counted_by_the_first_rule_they_break(shop_contract: Contract) -> None:
    rows = [make_row(), make_row(size=-5000.0), make_row(size=None), make_row(size=None)]
    found = check(shop_contract, rows)
    assert (found.rows, found.invalid) == (4, 3)
    assert found.reasons["size: is required"] == 2


def test_a_value_of_another_type_is_one_invalid_row(shop_contract: Contract) -> None:
    rows = [make_row() for _ in range(9)]
    rows[4] = make_row(price="twenty")
    found = check(shop_contract, rows)
    assert (found.invalid, list(found.reasons)) == (
        1,
        ["a value has another type than its column"],
    )


def test_a_column_that_rows_lack_is_named(shop_contract: Contract) -> None:
    row = make_row()
    del row.inputs["shop"]
    assert check(shop_contract, [row]).lacking == ["shop"]


def test_rows_of_another_contract_version_are_not_checked(shop_contract: Contract) -> None:
    found = check(shop_contract, [make_row("1.0.0", size=None)])
    assert found.rows == 0


def test_generated_rows_satisfy_the_contract(
    shop_contract: Contract, make_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = make_rows(1, seed=1)[list(INPUTS)].astype(object)
    records: list[dict[str, Any]] = json.loads(rows.to_json(orient="records"))
    assert check(shop_contract, [make_row(**record) for record in records]).proportion == 0
