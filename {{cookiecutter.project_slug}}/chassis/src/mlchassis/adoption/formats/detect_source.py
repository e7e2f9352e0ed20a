"""Source detection: encoding, delimiter, and column names that the contract accepts."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlchassis.adoption.formats.encodings import (
    FileEncoding,
    check_encoding,
    describe_encoding,
    detect_encodings,
    find_utf16,
)
from mlchassis.adoption.formats.overrides import FormatOverrides
from mlchassis.config.source_params import FilesParams, OwnParams, S3Params, SqlParams
from mlchassis.contract.cells import normalize_text
from mlchassis.errors import ProjectError
from mlchassis.masking import mask_address, mask_secrets, name_secret
from mlchassis.sources.delimited import (
    PACKED_SUFFIXES,
    check_beginning,
    check_names,
    find_escaped_quote,
    open_packed,
    read_sep,
)
from mlchassis.sources.files import is_csv, list_files, readable
from mlchassis.sources.s3 import fetched
from mlchassis.sources.sql import resolve_url

QUERY = "source.sql"
"""File of the query that reads a table."""
_HEAD_BYTES = 4096
_SAMPLE_BYTES = 64 * 1024
_DELIMITERS = ",;\t|"
_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class DataLocation:
    """Location of a table, as a person writes it.

    Attributes:
        data: A file, a folder, s3://BUCKET/KEY, or the URL of a database.
        query: A `.sql` file, for a database.
        table: Or a table of it.
        incremental: Column of the event time, for a database from which only new months are read.
        endpoint: Of S3-compatible storage that is not Amazon's.
    """

    data: str
    query: str | None = None
    table: str | None = None
    incremental: str | None = None
    endpoint: str | None = None

    @property
    def is_database(self) -> bool:
        """True if it is a URL of a database rather than of S3."""
        return "://" in self.data and not self.data.startswith("s3://")

    @property
    def name(self) -> str:
        """Name of the table."""
        if self.is_database:
            return self.table or Path(self.query or QUERY).stem
        return self.data.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class OpenedSource:
    """Detected source settings, and notes on its files.

    Attributes:
        params: The section `source` of params.yaml, without the formats of columns.
        encoding: Of its CSV files; None where there are none.
    """

    params: OwnParams
    encoding: FileEncoding | None = None


def open_source(
    location: DataLocation, root: Path, formats: FormatOverrides, ask: Callable[[str, bool], bool]
) -> OpenedSource:
    """Detect the settings that open a source.

    Args:
        location: Location of the table.
        root: The project's folder.
        formats: Format flags.
        ask: Callback for the user's answer where the encoding is ambiguous.

    Raises:
        ProjectError: It does not exist or cannot be opened, or a database has no query or table.
    """
    _check_secrets(location, root)
    if location.is_database:
        return OpenedSource(_open_database(location, root))
    if not location.data.startswith("s3://"):
        return inspect_files(location.data, root, formats, ask)
    remote = S3Params(kind="s3", path=location.data, endpoint=location.endpoint)
    with fetched(remote) as folder:
        inspected = inspect_files(str(folder), root, formats, ask)
    read = inspected.params.model_dump(exclude={"kind", "path"}, exclude_defaults=True)
    return OpenedSource(remote.model_copy(update=read), inspected.encoding)


def _check_secrets(location: DataLocation, root: Path) -> None:
    """Reject an address with a secret before any part of it is written or repeated."""
    for address in filter(None, (location.data, location.endpoint)):
        secret = name_secret(address)
        if secret and not (root / address).exists():
            raise ProjectError(
                f"The address {mask_secrets(mask_address(address))} holds a secret {secret}; take "
                "it out, and set it in the environment: SOURCE_PASSWORD for a database, "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for S3."
            )


def _open_database(location: DataLocation, root: Path) -> SqlParams:
    if (location.query is None) == (location.table is None):
        raise ProjectError(
            "A database needs a query or a table: add --query orders.sql, or --table orders for "
            "all of a table."
        )
    resolve_url(location.data, root)
    query = location.query or QUERY
    return SqlParams(kind="sql", url=location.data, query=query, incremental=location.incremental)


def draft_query(location: DataLocation, root: Path) -> str | None:
    """Return the query for a whole table of a database; None for other sources."""
    if location.table is None or not location.is_database:
        return None
    quote = resolve_url(location.data, root).get_dialect()().identifier_preparer.quote
    return f"SELECT *\nFROM {'.'.join(map(quote, location.table.split('.')))}\n"


def open_files(data: str, root: Path) -> FilesParams:
    """Detect the `files` section of params.yaml; see `inspect_files`."""
    params = inspect_files(data, root, FormatOverrides(), lambda _question, safe: safe).params
    return FilesParams.model_validate(params.model_dump())


def inspect_files(
    data: str, root: Path, formats: FormatOverrides, ask: Callable[[str, bool], bool]
) -> OpenedSource:
    """Detect the settings that open files.

    Args:
        data: A file or a folder; relative to the project's folder, or absolute.
        root: The project's folder.
        formats: Format flags.
        ask: Callback for the user's answer where the encoding is ambiguous.

    Raises:
        ProjectError: There is no such file, or its header cannot be used.
    """
    if data.startswith("~/"):
        data = str(Path(data).expanduser())  # Not every shell does it behind `DATA=`.
    files = [file for file in list_files(root / data) if is_csv(file)]
    if not files:
        return OpenedSource(FilesParams(kind="files", path=data))
    for file in files:
        with readable(file):
            _check_is_text(file, data)
    encoding = _choose_encoding(files, formats, ask)
    delimiter, names = _read_header(files[0], encoding.name, formats.separator)
    check_names(names, files[0])
    params = FilesParams(
        kind="files",
        path=data,
        encoding=encoding.name,
        delimiter=delimiter,
        rename=rename_impossible(names),
    )
    if any(find_escaped_quote(file, params) for file in files):
        params = params.model_copy(update={"escape": "\\"})
    return OpenedSource(params, encoding)


def _check_is_text(path: Path, data: str) -> None:
    """Reject a file that is not text, or cannot be unpacked to its end.

    Raises:
        ProjectError: It is of another format.
    """
    with open_packed(path) as stream:
        head = stream.read(_HEAD_BYTES)
        while path.suffix.lower() in PACKED_SUFFIXES and stream.read(_SAMPLE_BYTES):
            pass
    if head.startswith(_SQLITE):
        raise ProjectError(
            f"{path.name} is a SQLite database; run again with DATA=sqlite:///{data} and "
            'ARGS="--table NAME", or with --query and a file that holds the query.'
        )
    if not head.strip():
        raise ProjectError(
            f"{path} is empty; export the table again with its header, or delete it."
        )
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff")) or find_utf16(head) is not None
    if head.startswith((b"[", b"{", b"PK\x03\x04", b"%PDF", b"PAR1")) or (
        b"\0" in head and not wide
    ):
        raise ProjectError(f"{path} is not a CSV file; save the table as CSV or Parquet.")


def _choose_encoding(
    files: Sequence[Path], formats: FormatOverrides, ask: Callable[[str, bool], bool]
) -> FileEncoding:
    """The encoding of all files.

    Raises:
        ProjectError: It is not certain, or files differ in it.
    """
    if formats.encoding is not None:
        for file in files:
            check_encoding(file, formats.encoding)
        return describe_encoding(files, formats.encoding)
    detected = detect_encodings(files)
    if detected.certain:
        return detected
    candidates = [(detected.name, detected.words), *detected.others]
    for name, words in candidates:
        if name == formats.known_encoding or ask(
            f"{_list_words(words)}: are these words right (encoding {name})?", False
        ):
            return FileEncoding(name, words)
    listed = "; ".join(f"in {name} it reads {_list_words(words)}" for name, words in candidates)
    raise ProjectError(
        f"{files[0].name} is not UTF-8, and its encoding is not certain: {listed}; "
        f"name the right one, such as --encoding {detected.name}."
    )


def _list_words(words: Sequence[str]) -> str:
    return ", ".join(f"'{word:.40}'" for word in words[:3])


def _read_header(path: Path, encoding: str, delimiter: str | None) -> tuple[str, list[str]]:
    """The delimiter of a file and its column names."""
    with open_packed(path) as stream:
        sample = stream.read(_SAMPLE_BYTES).decode(encoding, errors="replace")
    lines = sample.splitlines()[:50]
    lines = lines[:-1] if len(lines) > 2 else lines  # The last one may be cut.
    named = read_sep(path, encoding)
    if named:
        lines[0] = ""
    agreed = delimiter or named or detect_delimiter(lines)
    check_beginning(path, lines, agreed or _DELIMITERS)
    rows = csv.reader(lines, delimiter=agreed or ",", skipinitialspace=True)
    header = next(filter(None, rows), [])
    names = [normalize_text(name) for name in header]
    if len(names) == 1 and delimiter is None:
        raise ProjectError(
            f"{path} reads as a single column, '{names[0][:60]}'; its first line must name the "
            "columns, separated by commas, semicolons, tabs or |; name another delimiter with "
            "--delimiter."
        )
    return agreed or ",", names


def detect_delimiter(lines: list[str]) -> str:
    """Return the delimiter that splits header and rows into equally many cells, or none."""
    best, most = "", 1
    for delimiter in _DELIMITERS:
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
        width = len(rows[0]) if rows else 0
        # Some tools write an index, but no name for it.
        agree = max(sum(len(row) == width + more for row in rows) for more in (0, 1))
        if width > most and agree > 0.8 * len(rows):
            best, most = delimiter, width
    return best


def rename_impossible(names: list[str]) -> dict[str, str]:
    """Return new names for those that a contract rejects: blank, or with a leading underscore."""
    renamed = {}
    for position, name in enumerate(names, start=1):
        bare = name.lstrip("_").strip()
        if name == "model_config":
            renamed[name] = "model config"
        elif not bare or bare != name:
            renamed[name] = bare if bare and bare not in names else f"column {position}"
    return renamed
