"""CSV files are read as text, and refused by the line where they are not regular."""

import bz2
import csv
import gzip
import io
import lzma
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlchassis.config.source_params import TableFormat
from mlchassis.errors import ProjectError
from mlchassis.sources import delimited
from mlchassis.sources.delimited import read_csv, read_layout

PLAIN = TableFormat()


def write(folder: Path, text: str, encoding: str = "utf-8", name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def read(path: Path, form: TableFormat = PLAIN) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = pa.concat_tables(read_csv(path, form)).to_pydict()
    return columns


@pytest.mark.parametrize("head", ["zip, code", 'size "in"', "two\nlines", "col\u00a0"])
def test_every_cell_is_text_whatever_the_name_of_its_column(tmp_path: Path, head: str) -> None:
    quoted = head.replace('"', '""')
    path = write(tmp_path, f'"{quoted}",x\n06335,1\n1e5,NA\n')

    assert read(path) == {head.strip(): ["06335", "1e5"], "x": ["1", "NA"]}


def test_line_breaks_in_quotes_are_read_in_large_files(tmp_path: Path) -> None:
    remarks = ["line\n" * (number % 40) + "end" for number in range(20_000)]
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["n", "remark"], *enumerate(remarks)])

    assert path.stat().st_size > 1 << 20
    assert read(path)["remark"] == remarks


IRREGULAR = [
    ("name,x,late\nSmith, J,50.0,0\nBond,1,1\n", "line 2 has 4 cells, but the header names 3"),
    ("a,b\n1,2\n\n1,2,3\n", "line 4 has 3 cells, but the header names 2"),
    ("a,b\n1,2\n3\n4,5\n", "line 3 has 1 cell, but"),
    ('a,b\n1,"x\ny"\n3\n', "line 4 has 1 cell, but"),
    (
        "city,x\n'Rome, IT',1\nParis,2\n",
        "line 2 has 3 cells.*put cells that hold a ',' into quotes",
    ),
    ("a,b,c\n1,2,3\n4,5", "line 3 has 2 cells"),
    ('a,b\n1,2\n3,"4\n5,6\n', "quote that opens in or after line 3 is never closed"),
    ('a,b\n1,"2', "quote that opens in or after line 2 is never closed"),
    ("a,b,a\n1,2,3\n", "2 columns named 'a'"),
    ("a,b, a\n1,2,3\n", "2 columns named 'a'"),
    ("a,,\n1,2,3\n", "2 columns named ''"),
]


@pytest.mark.parametrize(("text", "sentence"), IRREGULAR)
def test_a_file_whose_rows_do_not_match_its_header_is_refused_by_the_line(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(ProjectError, match=sentence):
        read(write(tmp_path, text))


@pytest.mark.parametrize(("text", "line"), [("x\n1\n\n2\n", 3), ("x\r\n1\r\n2\r\n\r\n", 4)])
def test_a_blank_line_in_a_table_of_one_column_is_refused(
    tmp_path: Path, text: str, line: int
) -> None:
    with pytest.raises(ProjectError, match=f'line {line} is blank.*write "" for a missing value'):
        read(write(tmp_path, text))


def test_an_empty_cell_in_a_table_of_one_column_is_a_row(tmp_path: Path) -> None:
    assert read(write(tmp_path, 'x\n1\n""\n  \n2\n')) == {"x": ["1", "", "", "2"]}


@pytest.mark.parametrize("quoted", ["", '"5" ""'])
def test_a_header_that_comes_again_is_refused(tmp_path: Path, quoted: str) -> None:
    text = f"a,bc\n1,x{quoted}\n\ufeffa, bc\n3,y\n"
    with pytest.raises(ProjectError, match=r"row 2 is the header again.*delete"):
        read(write(tmp_path, text))


def test_a_word_that_is_a_columns_name_is_a_cell(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a,b\n1,b\na,2\n"))["b"] == ["b", "2"]


@pytest.mark.parametrize("rule", ["---,-----", "--,--"])
def test_a_line_of_dashes_below_the_header_is_refused(tmp_path: Path, rule: str) -> None:
    with pytest.raises(ProjectError, match="row 1 is a line of dashes"):
        read(write(tmp_path, f"a,b\n{rule}\n1,2\n"))


def test_a_wrong_row_far_down_is_named_by_its_line(tmp_path: Path) -> None:
    rows = "".join(f"{number},x\n" for number in range(200_000))
    with pytest.raises(ProjectError, match="line 200002 has 3 cells"):
        read(write(tmp_path, f"a,b\n{rows}1,2,3\n{rows}"))


def test_an_index_without_a_name_is_left_out(tmp_path: Path) -> None:
    text = '"age","area"\n"1",44,"100.5"\n"2",45,"99"\n'

    assert read(write(tmp_path, text)) == {"age": ["44", "45"], "area": ["100.5", "99"]}
    assert read_layout(tmp_path / "a.csv", PLAIN).surplus == "first"


def test_a_delimiter_at_the_end_of_every_row_makes_no_column(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n1,2,\n1,4,\n")

    assert read(path) == {"a": ["1", "1"], "b": ["2", "4"]}
    assert read_layout(path, PLAIN).surplus == "last"


@pytest.mark.parametrize("text", ["a,b\n1,2,3\n1,4,5\n", "a,b\nSmith, J,1\nBond, M,2\n"])
def test_a_surplus_cell_that_is_no_index_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ProjectError, match="line 2 has 3 cells"):
        read(write(tmp_path, text))


@pytest.mark.parametrize(
    ("encoding", "line"), [("utf-8", 3), ("ascii", 2), ("utf-16", None), ("cp1252", None)]
)
def test_bytes_that_are_not_in_the_encoding_are_refused_by_the_line(
    tmp_path: Path, encoding: str, line: int | None
) -> None:
    text = "city,x\nM\u00fcnchen,1\nKln,2\n".encode("utf-8" if line else encoding)
    text = text.replace(b"Kln", b"K\xf6ln") if line else text
    (tmp_path / "a.csv").write_bytes(text)
    form = TableFormat(encoding=encoding)
    if line is None:
        assert read(tmp_path / "a.csv", form)["city"] == ["M\u00fcnchen", "Kln"]
        return
    with pytest.raises(ProjectError, match=f"is not in {encoding}: line {line} holds bytes"):
        read(tmp_path / "a.csv", form)


def test_a_byte_far_down_is_named_by_its_line(tmp_path: Path) -> None:
    rows = "x,München\n" * 300_000
    (tmp_path / "a.csv").write_bytes(f"a,b\n{rows}".encode() + b"x,M\xfcnchen\n")

    with pytest.raises(ProjectError, match="line 300002 holds bytes"):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "utf-16-le"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_make_no_difference(
    tmp_path: Path, encoding: str, line_end: str
) -> None:
    text = line_end.join(["städt;x", "Köln;1,5", '"a;""b""";2', ""])
    form = TableFormat(encoding=encoding, delimiter=";")

    assert read(write(tmp_path, text, encoding), form) == {
        "städt": ["Köln", 'a;"b"'],
        "x": ["1,5", "2"],
    }


@pytest.mark.parametrize("name", ["a.CSV.GZ", "a.tsv.bz2", "a.txt.xz", "a.Tsv"])
def test_packed_files_are_read_whatever_their_suffix_looks_like(tmp_path: Path, name: str) -> None:
    packers: dict[str, Any] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    with packers.get(name.lower().split(".")[-1], open)(tmp_path / name, "wb") as stream:
        stream.write(b"a,b\n1,x\n")

    assert read(tmp_path / name) == {"a": ["1"], "b": ["x"]}


def test_backslash_quoting_is_read_where_it_is_declared(tmp_path: Path) -> None:
    text = 'name,x\n"St. \\"P\\"",\\N\n\\N,"a\\\\b"\n'
    form = TableFormat(escape="\\")

    assert read(write(tmp_path, text), form) == {
        "name": ['St. "P"', "\\N"],
        "x": ["\\N", "a\\b"],
    }


@pytest.mark.parametrize("text", ['"St. \\"P\\"",1', '"a","5\\" disk"', '"a" ,x\n"5\\" disk",1'])
def test_a_backslash_before_a_quote_is_refused_by_the_line(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, f"a,b\n1,2\n{text}\n")

    with pytest.raises(ProjectError, match=f"line {2 + len(text.splitlines())} has a backslash"):
        read(path)


@pytest.mark.parametrize(
    "text",
    ['"C:\\dir\\",1', '"{""a"": ""x\\""y\\"" z""}",1', '5\\" disk,1', '"abc" ,"x\\"'],
)
def test_backslashes_of_other_cells_are_text(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, f"a,b\n{text}\n")

    assert [cells[0].strip() for cells in read(path).values()] == [
        cell.strip() for cell in next(csv.reader([text]))
    ]


def test_blanks_between_delimiter_and_quote_are_no_part_of_a_cell(tmp_path: Path) -> None:
    assert read(write(tmp_path, 'a,  "b"\n1,  "x, y"\n')) == {"a": ["1"], "b": ["x, y"]}


def test_a_header_alone_has_columns_and_no_rows(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a,b\n")) == {"a": [], "b": []}


def test_a_cell_may_be_longer_than_a_block(tmp_path: Path) -> None:
    long = "x" * (5 << 20)

    assert read(write(tmp_path, f"a,b\n1,{long}\n2,y\n"))["b"] == [long, "y"]


def test_chunks_hold_the_rows_in_order(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n" + "".join(f"{number},x\n" for number in range(1000)))
    chunks = [chunk.to_pydict()["a"] for chunk in read_csv(path, PLAIN, 300)]

    assert [*map(len, chunks)] == [300, 300, 300, 100]
    assert [cell for chunk in chunks for cell in chunk] == [*map(str, range(1000))]


def expect(text: str) -> list[list[str]] | None:
    """Rows by Python's parser, None where their widths differ."""
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    return rows if all(len(row) == 2 for row in rows) else None


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(alphabet='a"",,\n\r ', max_size=30))
def test_both_parsers_give_the_same_cells(tmp_path: Path, body: str) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(f"a,b\n{body}".encode())

    def attempt(regular: bool) -> Any:
        original = delimited._is_regular
        try:
            if not regular:
                delimited._is_regular = lambda *_: False
            columns = read(path)
            return [[cell.strip() for cell in columns[name]] for name in ("a", "b")]
        except ProjectError as error:
            return str(error)
        finally:
            delimited._is_regular = original

    assert attempt(regular=True) == attempt(regular=False)
