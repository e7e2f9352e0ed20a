"""A project's feature function, with the digest by which bundles recognize it."""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlchassis.errors import ProjectError
from mlchassis.features.encoding import Columns, FeatureMatrix, arrange_features
from mlchassis.team_code.errors import spell_error
from mlchassis.team_code.signatures import Signature, describe

FeatureFunction = Callable[[Mapping[str, NDArray[Any]]], Mapping[str, NDArray[Any]]]
"""Named columns, each of shape (rows,), to named features, each of shape (rows,)."""
FEATURE_SIGNATURE = Signature("(columns) -> dict of named features", 1)

FEATURES_ABI = 1
"""Raised whenever `columns` encodes the same columns or features as other numbers."""


@dataclass(frozen=True, slots=True)
class FeatureCode:
    """The code from columns to features.

    Attributes:
        compute: The project's function.
        digest: SHA-256 over the module that defines it and the version of the encoding around it.
    """

    compute: FeatureFunction
    digest: str

    def arrange(self, columns: Columns) -> FeatureMatrix:
        """Compute the features of some rows, as the matrices that a model takes.

        Raises:
            ProjectError: The function called `sys.exit`, which would end the service.
        """
        try:
            return arrange_features(self.compute(columns))
        except SystemExit as error:
            raise ProjectError(
                f"{describe(self.compute)} ends the process with {spell_error(error)}; raise an "
                "error that names what is wrong instead."
            ) from error


def load_feature_code(compute: FeatureFunction) -> FeatureCode:
    """Return a feature function with its digest.

    Raises:
        ProjectError: It is not a function of a module with a file.
    """
    source = inspect.getsourcefile(compute) if inspect.isfunction(compute) else None
    if source is None:
        raise ProjectError(
            f"features is {describe(compute)}, which is not a function of a module; pass the "
            "function `compute_features(columns)` of features.py to Project and Service."
        )
    content = f"{FEATURES_ABI}\n".encode() + Path(source).read_bytes()
    return FeatureCode(compute, hashlib.sha256(content).hexdigest())
