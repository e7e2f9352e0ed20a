"""The source: the contract's columns and types, and at least one row."""

from mlchassis.testing import SourceSuite

from {{ cookiecutter.package_name }}.project import project as own_project


class TestSource(SourceSuite):
    project = own_project
