"""The service: answers to good rows and to bad ones, on a small bundle made from the contract."""

from mlchassis.testing import ServiceSuite

from {{ cookiecutter.package_name }}.service import service as own_service


class TestService(ServiceSuite):
    service = own_service
