"""Where rows come from: whatever there is, turned into the contract's columns."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..contract import Contract
from ..errors import ProjectError
from ..params import SourceParams
from .files import read_files
from .sample import read_sample  # sample-only

_READERS: Mapping[str, Callable[[Any, Contract, Path], pd.DataFrame]] = {
    "files": read_files,
    "sample": read_sample,  # sample-only
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
    return _READERS[params.kind](params, contract, root)
