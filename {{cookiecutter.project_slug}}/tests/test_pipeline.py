"""`dvc.yaml` and the requirements against the project's files; one small run of the stages."""

from mlchassis.testing import PipelineSuite, RequirementsSuite

from {{ cookiecutter.package_name }}.project import project as own_project


class TestPipeline(PipelineSuite):
    project = own_project


class TestRequirements(RequirementsSuite):
    project = own_project
