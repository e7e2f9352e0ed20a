"""`contract.yaml`: its examples and its rules, in requests and in tables."""

from mlchassis.testing import ContractSuite

from {{ cookiecutter.package_name }}.project import project as own_project


class TestContract(ContractSuite):
    project = own_project
