"""Suites of tests that a project applies to its own files.

A project inherits a suite and names its objects; pytest collects the inherited tests:

    class TestFeatures(FeatureSuite):
        project = project

A method of the same name replaces a test, `test_name = None` deselects it. A fixture is replaced
the same way. pytest and httpx2, which the suites need, are in the dependency group `dev`.
"""

from mlchassis.testing.contract_suite import ContractSuite
from mlchassis.testing.feature_suite import FeatureSuite
from mlchassis.testing.pipeline_suite import PipelineSuite
from mlchassis.testing.requirements_suite import RequirementsSuite
from mlchassis.testing.service_suite import ServiceSuite
from mlchassis.testing.source_suite import SourceSuite

__all__ = [
    "ContractSuite",
    "FeatureSuite",
    "PipelineSuite",
    "RequirementsSuite",
    "ServiceSuite",
    "SourceSuite",
]
