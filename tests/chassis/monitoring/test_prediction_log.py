"""The reader takes every whole line of every segment, whatever else lies there."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from mlchassis.contract.model import Contract
from mlchassis.monitoring.prediction_log import LogFacts, LoggedRow, find_day, read_log

NOW = datetime(2024, 6, 1, tzinfo=UTC)
Write = Callable[..., Path]
MakeRows = Callable[..., pd.DataFrame]


def read_all(folder: Path, contract: Contract) -> tuple[list[LoggedRow], LogFacts]:
    facts = LogFacts()
    chunks = list(read_log(folder, contract, NOW, facts, chunk_rows=150))
    assert max(map(len, chunks), default=0) <= 150
    return [row for chunk in chunks for row in chunk], facts


def test_segments_of_several_workers_and_hosts_are_read_once(
    tmp_path: Path, shop_contract: Contract, make_rows: MakeRows, write_log: Write
) -> None:
    write_log(tmp_path, make_rows(1, seed=1), "worker-1")
    write_log(tmp_path, make_rows(1, seed=2), "worker-2")
    write_log(tmp_path / "other-host", make_rows(1, seed=3), "worker-1")
    rows, facts = read_all(tmp_path, shop_contract)
    assert facts.rows == 600
    assert len({row.key for row in rows}) == 600


def test_a_torn_last_line_costs_no_other_row(
    tmp_path: Path, shop_contract: Contract, make_rows: MakeRows, write_log: Write
) -> None:
    path = write_log(tmp_path, make_rows(1, seed=1))
    path.write_bytes(path.read_bytes()[:-40])
    write_log(tmp_path, make_rows(1, seed=2), "b")
    _, facts = read_all(tmp_path, shop_contract)
    assert (facts.rows, facts.torn) == (399, 1)


def test_lines_that_forget_blanked_are_skipped(
    tmp_path: Path, shop_contract: Contract, make_rows: MakeRows, write_log: Write
) -> None:
    path = write_log(tmp_path, make_rows(1, seed=1))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = b" " * (len(lines[3]) - 1) + b"\n"
    path.write_bytes(b"".join(lines))
    _, facts = read_all(tmp_path, shop_contract)
    assert (facts.rows, facts.torn, facts.foreign) == (199, 0, 0)


def test_rows_of_older_contract_versions_are_read_and_counted(
    tmp_path: Path, shop_contract: Contract, make_rows: MakeRows, write_log: Write
) -> None:
    write_log(tmp_path, make_rows(1, seed=1), "old", contract_version="1.4.0")
    write_log(tmp_path, make_rows(1, seed=2), "new")
    _, facts = read_all(tmp_path, shop_contract)
    assert facts.versions == {"2.0.0": 200, "1.4.0": 200}


def test_a_line_of_another_format_or_without_a_field_is_counted(
    tmp_path: Path, shop_contract: Contract, make_rows: MakeRows, write_log: Write
) -> None:
    write_log(tmp_path, make_rows(1, seed=1), format=2)
    (tmp_path / "b.jsonl").write_text('{"format": 1}\n[]\n"text"\n')
    rows, facts = read_all(tmp_path, shop_contract)
    assert (rows, facts.rows, facts.foreign) == ([], 0, 203)


def test_rows_of_a_clock_that_jumped_or_without_a_time_are_in_no_window(
    tmp_path: Path, shop_contract: Contract, make_rows: MakeRows, write_log: Write
) -> None:
    far = make_rows(1, seed=1, start=datetime(2099, 1, 1, tzinfo=UTC))
    write_log(tmp_path, far, "jumped")
    write_log(tmp_path, make_rows(1, seed=2), "undated", event_time=None)
    write_log(tmp_path, make_rows(1, seed=3), "right")
    rows, facts = read_all(tmp_path, shop_contract)
    assert facts.undated == 400
    assert {row.day for row in rows} == {"2024-01-01"}


@pytest.mark.parametrize("field", ["time", "digest", "contract_version"])
def test_a_line_whose_field_is_no_text_is_counted(
    tmp_path: Path, shop_contract: Contract, make_rows: MakeRows, write_log: Write, field: str
) -> None:
    for value in (None, 2, ["2.0.0"]):
        write_log(tmp_path, make_rows(1, seed=1), **{field: value})
    rows, facts = read_all(tmp_path, shop_contract)
    assert (rows, facts.foreign, facts.newest) == ([], 600, "")


def test_a_response_of_a_clock_that_jumped_is_not_the_newest(
    tmp_path: Path, shop_contract: Contract, make_rows: MakeRows, write_log: Write
) -> None:
    write_log(tmp_path, make_rows(1, seed=1), time="2036-02-07T06:28:16+00:00")
    write_log(tmp_path, make_rows(1, seed=2), time="2024-05-20T00:00:00+00:00")
    assert read_all(tmp_path, shop_contract)[1].newest == "2024-05-20T00:00:00+00:00"


def test_an_empty_or_missing_folder_has_no_row(tmp_path: Path, shop_contract: Contract) -> None:
    assert read_all(tmp_path / "none", shop_contract) == ([], LogFacts())


def test_the_day_is_that_of_utc() -> None:
    assert find_day("2024-05-01T23:30:00-02:00") == "2024-05-02"
    assert find_day("2024-05-01T23:30:00") == "2024-05-01"
    assert [find_day(value) for value in (None, "yesterday", "")] == ["", "", ""]
