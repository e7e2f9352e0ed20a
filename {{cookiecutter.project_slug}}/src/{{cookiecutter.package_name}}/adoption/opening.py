"""How a table's files are to be opened: encoding, delimiter, names that the contract can hold."""

import codecs
import csv
from pathlib import Path

from ..errors import ProjectError
from ..params import FilesParams
from ..sources.files import check_names, is_csv, list_files, open_packed

_SAMPLE_BYTES = 64 * 1024
_BLOCK = 1 << 20
_DELIMITERS = ",;\t|"
_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def open_files(data: str, root: Path) -> FilesParams:
    """What params.yaml says about files: as found by looking at them.

    Args:
        data: A file or a folder; relative to the project's folder, or absolute.
        root: The project's folder.

    Raises:
        ProjectError: There is no such file, or its header cannot be used.
    """
    files = [file for file in list_files(root / data) if is_csv(file)]
    if not files:
        return FilesParams(kind="files", path=data)
    encoding = next((e for e in map(_detect_encoding, files) if e != "utf-8-sig"), "utf-8-sig")
    with open_packed(files[0]) as stream:
        sample = stream.read(_SAMPLE_BYTES).decode(encoding, errors="replace")
    if not sample.strip():
        raise ProjectError(f"{files[0]} is empty; give it the table with its header.")
    delimiter = detect_delimiter(sample)
    header = next(csv.reader(sample.splitlines(), delimiter=delimiter, skipinitialspace=True))
    names = [name.strip() for name in header]
    check_names(names, files[0])
    return FilesParams(
        kind="files",
        path=data,
        encoding=encoding,
        delimiter=delimiter,
        rename=rename_impossible(names),
    )


def detect_delimiter(sample: str) -> str:
    """The delimiter that parts the header and the next lines into equally many cells."""
    lines = sample.splitlines()[:50]
    lines = lines[:-1] if len(lines) > 2 else lines  # The last one may be cut.
    best, most = ",", 1
    for delimiter in _DELIMITERS:
        rows = list(csv.reader(lines, delimiter=delimiter))
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
