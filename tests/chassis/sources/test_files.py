"""Files of one table are aligned by name, whatever their format and order of columns."""

import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from mlchassis.config.source_params import FilesParams
from mlchassis.contract.model import Contract, parse_contract
from mlchassis.errors import ProjectError
from mlchassis.sources.files import MISSING_COLUMNS, NOTES, list_files, open_file, read_chunks
from mlchassis.sources.parsing import MISSING_COUNTS
from mlchassis.sources.registry import read_as_text, read_source

IDS = [1541815603606036480 + 3 * number for number in range(1200)]


def contract(**kinds: str) -> Contract:
    columns = [
        {"name": name, "logicalType": kind, "tags": ["feature"]} for name, kind in kinds.items()
    ]
    target = {"name": "y", "logicalType": "boolean", "tags": ["target"]}
    document = {
        "apiVersion": "v3.0.2",
        "kind": "DataContract",
        "id": "x",
        "name": "x",
        "version": "1.0.0",
        "status": "active",
        "schema": [{"name": "x", "properties": [*columns, target]}],
    }
    return parse_contract(yaml.safe_dump(document))


def source(path: Path, **settings: Any) -> FilesParams:
    return FilesParams(kind="files", path=str(path), **settings)


def test_columns_in_another_order_are_aligned_and_further_ones_left_out(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b,y\n1,x,true\n")
    (tmp_path / "2.csv").write_text("y,new,b,a\nfalse,0,z,2\n")
    rows = read_source(source(tmp_path), contract(a="integer", b="string"), tmp_path)

    assert rows.to_dict("list") == {"a": [1, 2], "b": ["x", "z"], "y": [True, False]}
    (note,) = rows.attrs[NOTES]
    assert note.startswith("'new' is in 2.csv and not in 1.csv; it was left out: to use it, add")
    words = read_as_text(source(tmp_path), tmp_path)
    assert list(words) == ["a", "b", "y"]
    assert words.attrs[NOTES] == rows.attrs[NOTES]


def test_a_file_that_lacks_a_needed_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,y\n1,true\n")
    (tmp_path / "2.csv").write_text("y\nfalse\n")

    with pytest.raises(ProjectError, match=r"2\.csv lacks the column 'a', which other files"):
        read_source(source(tmp_path), contract(a="integer"), tmp_path)


def test_a_column_that_a_file_lacks_is_left_out_of_words_and_noted(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,y\n1,true\n")
    (tmp_path / "2.csv").write_text("y\nfalse\n")
    words = read_as_text(source(tmp_path), tmp_path)

    assert list(words) == ["y"]
    assert words.attrs[MISSING_COLUMNS] == {"a": "2.csv"}
    assert "'a' is in 1.csv and not in 2.csv" in words.attrs[NOTES][0]


def test_folders_of_partitions_are_columns(tmp_path: Path) -> None:
    for region in ("1", "new york", None):
        frame = pd.DataFrame({"a": [1], "y": [True], "region": [region]})
        frame.to_parquet(tmp_path, partition_cols=["region"], index=False)
    rows = read_source(source(tmp_path), contract(a="integer", region="string"), tmp_path)

    assert sorted(rows["region"].dropna()) == ["1", "new york"]
    assert rows["region"].isna().sum() == 1
    assert "region" in read_as_text(source(tmp_path), tmp_path)


def test_files_of_partitions_are_named_with_their_folders(tmp_path: Path) -> None:
    for region, text in ((1, "a,y\n1,true\n"), (2, "a,y,new\n1,true,0\n")):
        folder = tmp_path / "kind=x" / f"region={region}"
        folder.mkdir(parents=True)
        (folder / "part.csv").write_text(text)
    notes = read_as_text(source(tmp_path), tmp_path).attrs[NOTES]

    assert notes[0].startswith(
        "'new' is in kind=x/region=2/part.csv and not in kind=x/region=1/part.csv; it was left out"
    )


def test_large_integers_stay_exact_in_every_format(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": pd.array([*IDS[:-1], None], dtype="Int64"), "y": True})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    for name in ("a.csv", "a.parquet"):
        rows = read_source(source(tmp_path / name), contract(a="integer"), tmp_path)

        assert rows["a"].dropna().tolist() == IDS[:-1]
        assert read_as_text(source(tmp_path / name), tmp_path)["a"].nunique() == len(IDS) - 1


def write_column(folder: Path, values: pa.Array) -> FilesParams:
    table = pa.table({"a": values, "y": pa.array([True] * len(values))})
    pq.write_table(table, folder / "a.parquet")
    return source(folder / "a.parquet")


ID = uuid.UUID("12345678123456781234567812345678")
READ: list[tuple[pa.Array, str, list[Any]]] = [
    (pa.array([1, 2**63 - 1], pa.uint64()), "integer", [1, 2**63 - 1]),
    (pa.array([255], pa.uint8()), "integer", [255]),
    (pa.array([Decimal("1.10"), Decimal("-3.25")]), "number", [1.1, -3.25]),
    (pa.array([Decimal(10**19 + 1)], pa.decimal128(38, 0)), "string", ["10000000000000000001"]),
    (pa.array([0.5], pa.float16()), "number", [0.5]),
    (pa.array(["x", None, "x"]).dictionary_encode(), "string", ["x", None, "x"]),
    (pa.array([7, 7]).dictionary_encode(), "integer", [7, 7]),
    (pa.array([ID.bytes], pa.uuid()), "string", [str(ID)]),
    (pa.array(["x"], pa.large_string()), "string", ["x"]),
    (pa.array([None, None]), "integer", [None, None]),
    (pa.array([19753], pa.date32()), "timestamp", [pd.Timestamp("2024-01-31", tz="UTC")]),
    (
        pa.array([1706659200123456789], pa.timestamp("ns", "Europe/Berlin")),
        "timestamp",
        [pd.Timestamp("2024-01-31 00:00:00.123456", tz="UTC")],
    ),
]


@pytest.mark.parametrize(("values", "kind", "expected"), READ)
def test_types_of_parquet_are_read_exactly(
    tmp_path: Path, values: pa.Array, kind: str, expected: list[Any]
) -> None:
    rows = read_source(write_column(tmp_path, values), contract(a=kind), tmp_path)

    assert [None if pd.isna(cell) else cell for cell in rows["a"]] == expected


REFUSED: list[tuple[pa.Array, str, str]] = [
    (pa.array([2**63], pa.uint64()), "integer", r"9223372036854775808 in the column 'a', which is"),
    (
        pa.array([b"\xff" * 16], pa.binary(16)),
        "string",
        r"column 'a' of type fixed_size_binary\[16",
    ),
    (pa.array([b"\xff"]), "string", "column 'a' of type binary"),
    (pa.array([Decimal(10**19)]), "integer", "'10000000000000000000' in row 1"),
    (pa.array([1001]), "string", "column 'a' holds the number 1001 in row 1"),
    (pa.array([1.0, 1.5]), "integer", "column 'a' holds the number 1.5 in row 2"),
    (pa.array([True]), "number", "column 'a' holds the boolean True in row 1"),
]


@pytest.mark.parametrize(("values", "kind", "sentence"), REFUSED)
def test_what_no_contract_can_hold_is_refused_by_its_column(
    tmp_path: Path, values: pa.Array, kind: str, sentence: str
) -> None:
    with pytest.raises(ProjectError, match=sentence):
        read_source(write_column(tmp_path, values), contract(a=kind), tmp_path)


def test_a_name_twice_in_parquet_is_refused(tmp_path: Path) -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(table, tmp_path / "a.parquet")

    with pytest.raises(ProjectError, match="2 columns named 'a'"):
        read_as_text(source(tmp_path / "a.parquet"), tmp_path)


def test_two_columns_are_not_renamed_to_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("_a,a\n1,2\n")

    with pytest.raises(ProjectError, match="2 columns named 'a'"):
        read_as_text(source(tmp_path / "a.csv", rename={"_a": "a"}), tmp_path)


@pytest.mark.parametrize("index", [pd.RangeIndex(10, 40, 10), pd.Index(["x", "y", "z"])])
def test_an_index_of_pandas_is_a_column_if_it_has_a_name(tmp_path: Path, index: Any) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3]}, index=index)
    frame.to_parquet(tmp_path / "a.parquet")
    assert list(read_as_text(source(tmp_path / "a.parquet"), tmp_path)) == ["a"]
    frame.rename_axis("id").to_parquet(tmp_path / "b.parquet")
    assert read_as_text(source(tmp_path / "b.parquet"), tmp_path)["id"].tolist() == list(index)


def test_cells_that_count_as_missing_are_counted_over_all_files(tmp_path: Path) -> None:
    for name in ("1.csv", "2.csv"):
        (tmp_path / name).write_text("a,b,y\n1,NA,true\n<1,,true\n\\N,x,true\n")
    params = source(tmp_path, columns={"a": {"missing": ["<1"]}})
    rows = read_source(params, contract(a="integer", b="string"), tmp_path)

    assert rows.attrs[MISSING_COUNTS] == {"a": {"<1": 2, "\\N": 2}}
    assert rows["b"].dropna().tolist() == ["NA", "x"] * 2


def test_a_cell_that_cannot_be_read_is_named_by_file_and_row(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,y\n1,true\n")
    (tmp_path / "2.csv").write_text("a,y\n1,true\nmany,true\n")

    with pytest.raises(ProjectError, match=r"column 'a' holds 'many' in row 2 of 2\.csv \(1 such"):
        read_source(source(tmp_path), contract(a="integer"), tmp_path)


def test_hidden_folders_are_no_part_of_a_table_and_delta_is_refused(tmp_path: Path) -> None:
    (tmp_path / "_temporary").mkdir()
    (tmp_path / "_temporary" / "x.csv").write_text("b\n1\n")
    (tmp_path / "A.CSV").write_text("a\n1\n")
    assert [path.name for path in list_files(tmp_path)] == ["A.CSV"]
    (tmp_path / "_delta_log").mkdir()

    with pytest.raises(ProjectError, match="is a Delta table"):
        list_files(tmp_path)


@pytest.mark.parametrize(("name", "content"), [
    ("a.parquet", b"PAR1 and no more"),
    ("a.csv.gz", b"\x1f\x8b\x08\x00 no gzip"),
    ("a.csv.xz", b"no xz"),
    ("a.csv.bz2", b"no bz2"),
])  # fmt: skip
def test_a_broken_file_is_refused_by_its_path(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ProjectError, match=f"{name} cannot be read"):
        read_as_text(source(tmp_path / name), tmp_path)


def test_a_file_is_read_in_chunks(tmp_path: Path) -> None:
    frame = pd.DataFrame({"_a": np.arange(1000), "b": ["", "x"] * 500})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    for name in ("a.csv", "a.parquet"):
        params = source(tmp_path / name, rename={"_a": "a"})
        chunks = list(read_chunks(open_file(tmp_path / name, tmp_path, params), params, 300))

        assert [chunk.num_rows for chunk in chunks] == [300, 300, 300, 100]
        assert chunks[0].column_names == ["a", "b"]
        assert [str(cell) for cell in chunks[3].to_pydict()["a"]] == [*map(str, range(900, 1000))]
        assert chunks[0]["b"].null_count == 150
