"""Write a table of a package as CSV: packed text, a data frame of R, or an answer of a database.

Runs with an adopted project's interpreter, which has pandas. Text stays as it is written, but a
name that occurs twice gets a number, since `make adopt` refuses it. Data frames are pickles, so
they are read only from packages whose digests are pinned.
"""

import argparse
import bz2
import csv
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

Rows = Iterable[Sequence[object]]


def main() -> None:
    """Write the columns that are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--drop", action="append", default=[], help="a column that is left out")
    parser.add_argument("--exclude", metavar="COLUMN=VALUE", help="rows that are left out")
    parser.add_argument("--query", help="SQL whose answer is the table")
    chosen = parser.parse_args()
    header, rows = read_table(chosen.source, chosen.query)
    missing = set(chosen.drop).difference(header)
    if missing:
        raise SystemExit(f"error: {chosen.source.name} has no column '{min(missing)}' to drop.")
    if chosen.exclude:
        column, _, value = chosen.exclude.partition("=")
        place = header.index(column)
        rows = [row for row in rows if row[place] != value]
    kept = [position for position, name in enumerate(header) if name not in chosen.drop]
    with chosen.target.open("w", encoding="utf-8", newline="") as output:
        writer = csv.writer(output)
        writer.writerow([header[position] for position in kept])
        writer.writerows([row[position] for position in kept] for row in rows)


def read_table(source: Path, query: str | None) -> tuple[Sequence[str], Rows]:
    """Return the names of the columns, and the rows."""
    if query is not None:
        return read_database(source, query)
    if source.name.endswith(".pkl.compress"):
        return read_frame(pd.read_pickle(source, compression="xz"))  # noqa: S301 - its digest is pinned
    raw = source.read_bytes()
    text = (bz2.decompress(raw) if source.suffix == ".bz2" else raw).decode("utf-8-sig")
    header, *rows = csv.reader(text.splitlines())
    return number_names(header), rows


def number_names(header: Sequence[str]) -> list[str]:
    """Return names of which none occurs twice, as pandas makes them: `score`, `score.1`."""
    seen = [header[:position].count(name) for position, name in enumerate(header)]
    return [f"{name}.{n}" if n else name for name, n in zip(header, seen, strict=True)]


def read_database(source: Path, query: str) -> tuple[Sequence[str], Rows]:
    """Return the answer of a SQLite file."""
    connection = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    try:
        cursor = connection.execute(query)
        return [column[0] for column in cursor.description], cursor.fetchall()
    finally:
        connection.close()


def read_frame(frame: pd.DataFrame) -> tuple[Sequence[str], Rows]:
    """Return a data frame of R without the names that R gives its rows; nothing for NA."""
    frame = frame.drop(columns="rownames", errors="ignore").astype(object)
    return list(frame.columns), frame.where(frame.notna(), None).itertuples(index=False, name=None)


if __name__ == "__main__":
    main()
