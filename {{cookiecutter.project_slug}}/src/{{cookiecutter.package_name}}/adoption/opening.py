"""How a table's files are to be opened: encoding, delimiter, names that the contract can hold."""

import codecs
import csv
from dataclasses import dataclass
from pathlib import Path

from ..errors import ProjectError
from ..source_params import FilesParams, OwnParams, S3Params, SqlParams
from ..sources.files import check_beginning, check_names, is_csv, list_files, open_packed, read_sep
from ..sources.s3 import fetched
from ..sources.sql import resolve_url

QUERY = "source.sql"
"""Where the query of a table is written."""
_SAMPLE_BYTES = 64 * 1024
_BLOCK = 1 << 20
_DELIMITERS = ",;\t|"
_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table lies, as a person says it.

    Attributes:
        data: A file, a folder, s3://BUCKET/KEY, or the address of a database.
        query: A `.sql` file, for a database.
        table: Or a table of it.
        incremental: Column of the event time, for a database that is asked for new months alone.
        endpoint: Of S3-compatible storage that is not Amazon's.
    """

    data: str
    query: str | None = None
    table: str | None = None
    incremental: str | None = None
    endpoint: str | None = None

    @property
    def is_database(self) -> bool:
        """Whether it is an address that is none of S3's."""
        return "://" in self.data and not self.data.startswith("s3://")

    @property
    def name(self) -> str:
        """What the table is called there."""
        if self.is_database:
            return self.table or Path(self.query or QUERY).stem
        return self.data.rstrip("/").rpartition("/")[2]


def open_source(place: Place, root: Path) -> OwnParams:
    """What params.yaml is to say about a source.

    Raises:
        ProjectError: It is not there, or nobody said what to ask the database for.
    """
    if place.is_database:
        return _open_database(place, root)
    if not place.data.startswith("s3://"):
        return open_files(place.data, root)
    remote = S3Params(kind="s3", path=place.data, endpoint=place.endpoint)
    with fetched(remote) as folder:
        found = open_files(str(folder), root)
    return remote.model_copy(update=found.model_dump(include={"encoding", "delimiter", "rename"}))


def _open_database(place: Place, root: Path) -> SqlParams:
    if (place.query is None) == (place.table is None):
        raise ProjectError(
            "Say what to ask the database for: --query orders.sql, or --table orders for all of "
            "a table."
        )
    resolve_url(place.data, root)
    query = place.query or QUERY
    return SqlParams(kind="sql", url=place.data, query=query, incremental=place.incremental)


def draft_query(place: Place, root: Path) -> str | None:
    """The query for a whole table of a database; None where the table lies elsewhere."""
    if place.table is None or not place.is_database:
        return None
    quote = resolve_url(place.data, root).get_dialect()().identifier_preparer.quote
    return f"SELECT *\nFROM {'.'.join(map(quote, place.table.split('.')))}\n"


def open_files(data: str, root: Path) -> FilesParams:
    """What params.yaml says about files: as found by looking at them.

    Args:
        data: A file or a folder; relative to the project's folder, or absolute.
        root: The project's folder.

    Raises:
        ProjectError: There is no such file, or its header cannot be used.
    """
    if data.startswith("~/"):
        data = str(Path(data).expanduser())  # Not every shell does it behind `DATA=`.
    files = [file for file in list_files(root / data) if is_csv(file)]
    if not files:
        return FilesParams(kind="files", path=data)
    encoding = next((e for e in map(_detect_encoding, files) if e != "utf-8-sig"), "utf-8-sig")
    with open_packed(files[0]) as stream:
        raw = stream.read(_SAMPLE_BYTES)
    sample = raw.decode(encoding, errors="replace")
    if not sample.strip():
        raise ProjectError(f"{files[0]} is empty; give it the table with its header.")
    if raw.startswith((b"[", b"{")) or (b"\0" in raw and encoding != "utf-16"):
        raise ProjectError(f"{files[0]} is no CSV file; save the table as CSV or Parquet.")
    lines = sample.splitlines()[:50]
    lines = lines[:-1] if len(lines) > 2 else lines  # The last one may be cut.
    named = read_sep(files[0], encoding)
    if named:
        lines[0] = ""
    agreed = named or detect_delimiter(lines)
    check_beginning(files[0], lines, agreed or _DELIMITERS)
    delimiter = agreed or ","
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    header = next(filter(None, rows), [])
    names = [name.strip() for name in header]
    if len(names) == 1:
        raise ProjectError(
            f"{files[0]} reads as a single column, '{names[0][:60]}'; its first line must name the "
            "columns, parted by commas, semicolons, tabs or |."
        )
    check_names(names, files[0])
    return FilesParams(
        kind="files",
        path=data,
        encoding=encoding,
        delimiter=delimiter,
        rename=rename_impossible(names),
    )


def detect_delimiter(lines: list[str]) -> str:
    """The delimiter that parts the header and the next lines into equally many cells, or none."""
    best, most = "", 1
    for delimiter in _DELIMITERS:
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
        width = len(rows[0]) if rows else 0
        agree = sum(len(row) == width for row in rows)
        if width > most and agree > 0.8 * len(rows):
            best, most = delimiter, width
    return best


def rename_impossible(names: list[str]) -> dict[str, str]:
    """New names for those that a contract cannot hold: blank, or beginning with an underscore."""
    renamed = {}
    for position, name in enumerate(names, start=1):
        bare = name.lstrip("_").strip()
        if name == "model_config":
            renamed[name] = "model config"
        elif not bare or bare != name:
            renamed[name] = bare if bare and bare not in names else f"column {position}"
    return renamed


def _detect_encoding(path: Path) -> str:
    with open_packed(path) as stream:
        bom = stream.read(2)
    if bom in _BOMS:
        return _BOMS[bom]
    # Windows' own superset of Latin-1 leaves a few bytes without a meaning.
    candidates = ("utf-8-sig", "cp1252")
    return next((name for name in candidates if _decodes(path, name)), "latin-1")


def _decodes(path: Path, encoding: str) -> bool:
    with open_packed(path) as stream:
        try:
            for _ in codecs.iterdecode(iter(lambda: stream.read(_BLOCK), b""), encoding):
                pass
        except UnicodeDecodeError:
            return False
    return True
