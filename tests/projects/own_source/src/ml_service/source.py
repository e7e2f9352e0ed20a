"""Source of the rows: a function of the project's own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd


def read_orders(options: Mapping[str, Any], root: Path) -> pd.DataFrame:
    """Read all orders that are there, with the contract's columns.

    Args:
        options: `source.options` of params.yaml.
        root: The project's folder.
    """
    files = sorted(root.glob(options["files"]))
    frames = [pd.read_json(file, precise_float=True) for file in files]
    orders = pd.concat(frames, ignore_index=True)
    return orders.assign(returned=orders["returned"] == "yes")
