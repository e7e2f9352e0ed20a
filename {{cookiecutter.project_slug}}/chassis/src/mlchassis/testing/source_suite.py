"""Checks of a project's source: it offers the contract's columns, and rows that can be typed."""

import os
from collections.abc import Iterator

import pandas as pd
import pytest

from mlchassis.config.source_params import FilesParams, SourceParams, SqlParams
from mlchassis.contract.model import Contract
from mlchassis.data.tables import coerce
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.project import Workspace, read_params
from mlchassis.sources.files import list_files
from mlchassis.sources.location import OFFLINE, SourceMissingError, locate
from mlchassis.sources.registry import read_source
from mlchassis.testing.checks import ProjectSuite, require

MOST_MEGABYTES = 100
"""Size of files that a test still reads."""


class SourceSuite(ProjectSuite):
    """Tests of where a project's rows come from, skipped where the table is not on this machine."""

    @pytest.fixture(scope="class")
    @classmethod
    def rows(cls, paths: Paths, contract: Contract) -> pd.DataFrame:
        """All rows of the source; replace it by a sample where reading takes long."""
        params = read_params(Workspace(paths.root, cls.project)).source
        reason = find_obstacle(params, paths)
        if reason:
            pytest.skip(reason)
        return read_source(params, contract, paths.root, cls.project.source)

    def test_the_source_offers_rows(self, rows: pd.DataFrame) -> None:
        """A table without rows trains nothing."""
        require([] if len(rows) else ["The source offers no row; see `source` in params.yaml."])

    def test_the_source_offers_every_column_of_the_contract(
        self, rows: pd.DataFrame, contract: Contract
    ) -> None:
        """The contract lists what a row is; further columns are left behind."""
        require(find_absent(rows, contract))

    def test_the_columns_have_the_types_of_the_contract(
        self, rows: pd.DataFrame, contract: Contract
    ) -> None:
        """`ingest` stores typed columns, or nothing at all."""
        require(find_untyped(rows, contract))


def find_obstacle(params: SourceParams, paths: Paths) -> str:
    """Return why a test cannot read the source; empty if it can."""
    if isinstance(params, FilesParams):
        return _find_missing_files(params, paths)
    is_local = isinstance(params, SqlParams) and params.url.startswith("sqlite")
    if params.kind != "custom" and not is_local:
        return f"params.yaml: source.kind is '{params.kind}'; tests ask no server."
    return ""


def _find_missing_files(params: FilesParams, paths: Paths) -> str:
    if os.environ.get(OFFLINE):
        return f"{OFFLINE} is set, so the source is not read."
    try:
        place = locate(params.path, paths.root)
        files = list_files(place)
    except SourceMissingError as missing:
        return f"The source is not on this machine: {missing}"
    megabytes = sum(file.stat().st_size for file in files) / 1e6
    if megabytes > MOST_MEGABYTES:
        return f"The source has {megabytes:.0f} MB; replace the fixture `rows` by a sample of it."
    return ""


def find_absent(rows: pd.DataFrame, contract: Contract) -> Iterator[str]:
    """Yield a sentence for each column of the contract that the source lacks."""
    for column in contract.columns:
        if column.name not in rows.columns:
            yield (
                f"The source lacks the column '{column.name}', which contract.yaml lists; add it "
                "to the source, or remove it from the contract."
            )


def find_untyped(rows: pd.DataFrame, contract: Contract) -> Iterator[str]:
    """Yield a sentence for each column that cannot be stored as its type."""
    for column in contract.columns:
        if column.name in rows.columns:
            alone = Contract(contract.name, contract.version, "", (column,))
            try:
                coerce(rows[[column.name]], alone)
            except ProjectError as error:
                yield str(error)
