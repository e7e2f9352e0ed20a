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
"""Where the query of a table is written."""
_HEAD_BYTES = 4096
_SAMPLE_BYTES = 64 * 1024
_DELIMITERS = ",;\t|"
_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Place:
    """Location of a table, as a person writes it.

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
    place: Place, root: Path, formats: FormatOverrides, ask: Callable[[str, bool], bool]
) -> OpenedSource:
    """Find out how a source is opened.

    Args:
        place: Location of the table.
        root: The project's folder.
        formats: Format flags.
        ask: Settles what cannot be told.

    Raises:
        ProjectError: It is not there, cannot be opened, or nobody said what to query.
    """
    _check_secrets(place, root)
    if place.is_database:
        return OpenedSource(_open_database(place, root))
    if not place.data.startswith("s3://"):
        return inspect_files(place.data, root, formats, ask)
    remote = S3Params(kind="s3", path=place.data, endpoint=place.endpoint)
    with fetched(remote) as folder:
        found = inspect_files(str(folder), root, formats, ask)
    read = found.params.model_dump(exclude={"kind", "path"}, exclude_defaults=True)
    return OpenedSource(remote.model_copy(update=read), found.encoding)


def _check_secrets(place: Place, root: Path) -> None:
    """Refuse an address with a secret before anything of it is written or repeated."""
    for address in filter(None, (place.data, place.endpoint)):
        secret = name_secret(address)
        if secret and not (root / address).exists():
            raise ProjectError(
                f"The address {mask_secrets(mask_address(address))} holds a secret {secret}; take "
                "it out, and set it in the environment: SOURCE_PASSWORD for a database, "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for S3."
            )


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
    """Detect the `files` section of params.yaml; see `inspect_files`."""
    found = inspect_files(data, root, FormatOverrides(), lambda _question, safe: safe).params
    return FilesParams.model_validate(found.model_dump())


def inspect_files(
    data: str, root: Path, formats: FormatOverrides, ask: Callable[[str, bool], bool]
) -> OpenedSource:
    """Find out how files are opened.

    Args:
        data: A file or a folder; relative to the project's folder, or absolute.
        root: The project's folder.
        formats: Format flags.
        ask: Settles what cannot be told.

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
    """Refuse a file that is no text, or cannot be unpacked to its end.

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
        raise ProjectError(f"{path} is empty; give it the table with its header.")
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
        ProjectError: It cannot be told, or files differ in it.
    """
    if formats.encoding is not None:
        for file in files:
            check_encoding(file, formats.encoding)
        return describe_encoding(files, formats.encoding)
    found = detect_encodings(files)
    if found.certain:
        return found
    readings = [(found.name, found.words), *found.others]
    for name, words in readings:
        if name == formats.known_encoding or ask(
            f"{_list_words(words)}: are these words right (encoding {name})?", False
        ):
            return FileEncoding(name, words)
    listed = "; ".join(f"in {name} it reads {_list_words(words)}" for name, words in readings)
    raise ProjectError(
        f"{files[0].name} is not UTF-8, and its encoding cannot be told for certain: {listed}; "
        f"name the right one, such as --encoding {found.name}."
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
    """The delimiter that parts the header and the next lines into equally many cells, or none."""
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
    """New names for those that a contract cannot hold: blank, or beginning with an underscore."""
    renamed = {}
    for position, name in enumerate(names, start=1):
        bare = name.lstrip("_").strip()
        if name == "model_config":
            renamed[name] = "model config"
        elif not bare or bare != name:
            renamed[name] = bare if bare and bare not in names else f"column {position}"
    return renamed
