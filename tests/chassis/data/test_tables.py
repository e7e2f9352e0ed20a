"""Parquet files of contract rows: what is written reads back, and what cannot be is named."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from mlchassis.contract.model import Contract, parse_contract
from mlchassis.contract.schemas import generate_rows
from mlchassis.data.tables import coerce, read_table, read_tables, write_table
from mlchassis.errors import ProjectError

SMALL = """
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - {name: moment, logicalType: timestamp, required: true, tags: [event_time]}
      - {name: count, logicalType: integer, tags: [feature]}
      - {name: size, logicalType: number, tags: [feature]}
      - {name: word, logicalType: string, tags: [feature]}
      - {name: answer, logicalType: boolean, tags: [target]}
"""


@pytest.fixture(scope="module")
def small() -> Contract:
    return parse_contract(SMALL)


def offer(**changes: Any) -> pd.DataFrame:
    columns = {
        "moment": ["2013-01-01T00:00:00Z", "2013-01-02T05:00:00+05:00"],
        "count": [1, None],
        "size": [0.5, None],
        "word": ["a", None],
        "answer": [True, None],
        "further": [1, 2],
    }
    return pd.DataFrame(columns | changes)


def test_coercing_gives_the_contracts_columns_in_nullable_types(small: Contract) -> None:
    frame = coerce(offer()[["further", "word", "answer", "size", "count", "moment"]], small)

    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        "moment": "datetime64[us, UTC]",
        "count": "Int64",
        "size": "Float64",
        "word": "string",
        "answer": "boolean",
    }
    assert frame.isna().sum().tolist() == [0, 1, 1, 1, 1]
    assert [moment.isoformat() for moment in frame["moment"]] == [
        "2013-01-01T00:00:00+00:00",
        "2013-01-02T00:00:00+00:00",
    ]


def test_coercing_twice_changes_nothing_more(small: Contract) -> None:
    once = coerce(offer(), small)

    pd.testing.assert_frame_equal(coerce(once, small), once)


def test_a_missing_column_is_named(small: Contract) -> None:
    with pytest.raises(ProjectError, match="The source lacks the column 'size'"):
        coerce(offer().drop(columns="size"), small)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"count": [1.5, 2]}, "column 'count' is not an integer"),
        ({"count": ["one", "two"]}, "column 'count' is not an integer"),
        ({"size": ["1,5", "2"]}, "column 'size' is not a number"),
        ({"answer": ["yes", "no"]}, "column 'answer' is not a boolean"),
        ({"moment": ["yesterday", "today"]}, "column 'moment' is not a timestamp"),
        ({"moment": [1376569800, 1376569801]}, "column 'moment' is not a timestamp"),
        ({"moment": ["2013-01-01T00:00:00", "2013-01-02"]}, "column 'moment' is not a timestamp"),
        # pandas by itself would take these for 1, "1" and true.
        ({"size": [True, False]}, "column 'size' is not a number"),
        ({"count": [1, True]}, "column 'count' is not an integer"),
        ({"word": [1, 2]}, "column 'word' is not a string"),
        ({"word": ["a", [1]]}, "column 'word' is not a string"),
        ({"answer": [1, 0]}, "column 'answer' is not a boolean"),
        ({"count": [2**70, 1]}, "column 'count' is not an integer"),
    ],
)
def test_a_column_of_another_type_is_named(
    small: Contract, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ProjectError, match=sentence):
        coerce(offer(**changes), small)


def test_a_table_reads_back_as_it_was_written(tmp_path: Path, contract: Contract) -> None:
    names = [column.name for column in contract.columns]
    rows = pd.DataFrame(generate_rows(contract, 50, seed=1)).reindex(columns=names)
    frame = coerce(rows, contract)
    write_table(tmp_path / "rows.parquet", frame)

    pd.testing.assert_frame_equal(read_table(tmp_path / "rows.parquet"), frame)


def test_the_same_table_gives_the_same_bytes(tmp_path: Path, small: Contract) -> None:
    for name in ("a", "b"):
        write_table(tmp_path / name, coerce(offer(), small))

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    # Neither the library's version nor an index of its own is written beside the rows.
    assert pq.read_schema(tmp_path / "a").metadata is None


def test_several_tables_are_read_one_below_the_other(tmp_path: Path, small: Contract) -> None:
    frame = coerce(offer(), small)
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        write_table(path, frame)

    pd.testing.assert_frame_equal(read_tables(paths), pd.concat([frame, frame], ignore_index=True))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"rows\.parquet is missing; run `make repro`"):
        read_table(tmp_path / "rows.parquet")


@pytest.mark.parametrize("keep", [0, 10, 100])
def test_half_a_file_is_named(tmp_path: Path, small: Contract, keep: int) -> None:
    path = tmp_path / "rows.parquet"
    write_table(path, coerce(offer(), small))
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(ProjectError, match=r"rows\.parquet is not a whole Parquet file"):
        read_table(path)


def test_no_file_at_all_is_said_so() -> None:
    with pytest.raises(ProjectError, match="There is no table to read; run `make repro`"):
        read_tables([])


@pytest.mark.parametrize("tag", ["", ", pii"])
def test_a_refused_time_repeats_no_value_and_no_address_of_a_library(tag: str) -> None:
    contract = parse_contract(SMALL.replace("tags: [event_time]", f"tags: [event_time{tag}]"))
    with pytest.raises(ProjectError) as refused:
        coerce(offer(moment=["Person 1 Realname", "2013-01-01T00:00:00Z"]), contract)
    sentence = str(refused.value)
    assert "Realname" not in sentence
    assert "pydantic" not in sentence
    assert "\n" not in sentence


def test_a_refused_number_of_a_person_is_not_repeated() -> None:
    contract = parse_contract(
        SMALL.replace(
            "logicalType: integer, tags: [feature]", "logicalType: integer, tags: [feature, pii]"
        )
    )
    with pytest.raises(ProjectError) as refused:
        coerce(offer(count=[4711.5, None]), contract)
    assert "column 'count' is not an integer as the contract says; fix" in str(refused.value)
