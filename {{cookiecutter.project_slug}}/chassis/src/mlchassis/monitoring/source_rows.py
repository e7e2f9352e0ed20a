"""Rows of the source, read once for labels and for the comparison of features."""

from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from mlchassis.config.params import Params
from mlchassis.config.source_params import SourceParams
from mlchassis.contract.model import Column, Contract
from mlchassis.project import Workspace
from mlchassis.sources.registry import read_source


@dataclass(frozen=True)
class SourceRows:
    """Source of a project, as the contract of the deployed model reads it."""

    paths: Workspace
    params: Params
    contract: Contract

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Every row, with the columns that the monitor needs, as the source writes them.

        Raises:
            SourceMissingError: The source is not on this machine.
            ProjectError: It cannot be read.
        """
        contract = self.contract
        needed = [each for each in contract.columns if each == contract.key]
        needed += [each for each in contract.columns if each in contract.features]
        if self.params.monitor.labels is None:
            needed.append(contract.target)
        unique = {column.name: column for column in needed}
        return self._read(self.params.source, tuple(unique.values()))

    def read_outcomes(self) -> pd.DataFrame:
        """Return key and target of every row of the table of labels, or of the source itself.

        Raises:
            ProjectError: The table cannot be read.
        """
        contract = self.contract
        table = self.params.monitor.labels
        if table is None:
            return self.rows
        columns = [column for column in (contract.key, contract.target) if column is not None]
        return self._read(table, tuple(columns))

    def _read(self, table: SourceParams, columns: tuple[Column, ...]) -> pd.DataFrame:
        needed = replace(self.contract, columns=columns)
        source = self.paths.project.source
        return read_source(table, needed, self.paths.root, source, [self.contract.target.name])
