"""Where rows come from: whatever there is, turned into the contract's columns."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..contract import Contract
from ..errors import ProjectError
from ..source_params import OwnParams, SampleParams, SourceParams
from .files import read_files
from .parsing import parse_columns
from .s3 import read_objects
from .sample import read_sample  # sample-only
from .sql import read_rows

_READERS: Mapping[str, Callable[[Any, Path], pd.DataFrame]] = {
    "files": read_files,
    "s3": read_objects,
    "sample": read_sample,  # sample-only
    "sql": read_rows,
}


def read_source(params: SourceParams, contract: Contract, root: Path) -> pd.DataFrame:
    """All rows that the configured source offers, with the contract's column names.

    Args:
        params: Which source, and how it is read.
        contract: What the columns are to become.
        root: The project's folder, from which relative paths count.

    Raises:
        ProjectError: The source is not there or lacks what it should have.
    """
    if params.kind not in _READERS:
        raise ProjectError(
            f"params.yaml: this project has no source '{params.kind}'; known are "
            f"{', '.join(_READERS)}."
        )
    rows = _READERS[params.kind](params, root)
    return rows if isinstance(params, SampleParams) else parse_columns(rows, params, contract)


def read_words(params: OwnParams, root: Path) -> pd.DataFrame:
    """Every row as the source writes it: words, or columns that have a kind already.

    Raises:
        ProjectError: The source is not there, is broken, or is no table.
    """
    return _READERS[params.kind](params, root)
