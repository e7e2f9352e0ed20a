"""`features.py`: a pure function that gives one row what it gives a million."""

from mlchassis.testing import FeatureSuite

from {{ cookiecutter.package_name }}.project import project as own_project


class TestFeatures(FeatureSuite):
    project = own_project
