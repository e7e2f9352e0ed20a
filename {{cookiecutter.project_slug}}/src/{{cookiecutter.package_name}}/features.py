"""Columns to features: the file to edit first.

One pure function serves a million rows in training and a single row in the API. It sees the
contract's feature columns as NumPy arrays (numbers as float64 with NaN for missing, strings as
objects with `(missing)`), and returns named features: float arrays become numeric features, object
arrays categorical ones. It imports NumPy alone. A bundle carries the digest of this file and is
rejected under any other, so a change here means: train again.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MINUTES_PER_DAY = 24 * 60
DATA_YEAR = 2013


def compute_features(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Derive the model's features from the contract's columns.

    Args:
        columns: Every feature column of the contract, each of shape (rows,).

    Returns:
        Named features, each of shape (rows,), in the order in which the model takes them.
    """
    features = dict(columns)
    departure, arrival = columns["departure_minute"], columns["arrival_minute"]
    angle = 2 * np.pi * departure / MINUTES_PER_DAY
    heading = np.radians(columns["wind_direction"])
    # Arrival is in the destination's own time, so this is the block time plus the zones between.
    block = np.mod(arrival - departure, MINUTES_PER_DAY)
    features |= {
        "departure_sin": np.sin(angle),
        "departure_cos": np.cos(angle),
        "block_minutes": block,
        "block_speed": columns["distance"] / np.maximum(block, 1),
        "is_weekend": np.where(columns["weekday"] >= 6, 1.0, 0.0),
        "aircraft_age": DATA_YEAR - columns["aircraft_year"],
        "dew_point_spread": columns["temperature"] - columns["dew_point"],
        "wind_from_east": columns["wind_speed"] * np.sin(heading),
        "wind_from_north": columns["wind_speed"] * np.cos(heading),
    }
    del features["wind_direction"], features["aircraft_year"]
    return features
