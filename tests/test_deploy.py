"""The compose files of a generated project bound what its service can take."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bake import PAYLOAD

CHASSIS = PAYLOAD / "chassis" / "src"


@pytest.fixture(params=["compose", "release"])
def service(project: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The service of a compose file."""
    text = (project / "deploy" / f"{request.param}.yaml").read_text(encoding="utf-8")
    described: dict[str, Any] = yaml.safe_load(text)["services"]["service"]
    return described


def test_memory_processes_and_open_files_are_limited(service: dict[str, Any]) -> None:
    assert service["mem_limit"] == "1g"
    assert service["pids_limit"] == 256
    assert service["ulimits"]["nofile"] == {"soft": 4096, "hard": 4096}


def test_the_service_answers_to_listed_hosts_alone(service: dict[str, Any]) -> None:
    default = service["environment"]["SERVICE_ALLOWED_HOSTS"]
    hosts = default.removeprefix("${SERVICE_ALLOWED_HOSTS:-").removesuffix("}").split(",")
    assert {"localhost", "127.0.0.1", "service"} <= set(hosts)
    assert "*" not in hosts


def test_the_port_is_published_to_this_machine_alone(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_the_service_has_time_to_finish_its_requests(service: dict[str, Any]) -> None:
    text = (CHASSIS / "mlchassis" / "config" / "settings.py").read_text(encoding="utf-8")
    defaults = dict(re.findall(r"(shutdown_delay|drain)_seconds: \w+ = Field\(([\d.]+)", text))
    needed = sum(map(float, defaults.values()))
    assert len(defaults) == 2
    assert float(service["stop_grace_period"].removesuffix("s")) > needed + 5


def test_the_digests_of_api_keys_reach_the_service(service: dict[str, Any]) -> None:
    # Empty where none are set, which asks for no key.
    assert service["environment"]["SERVICE_API_KEYS"] == "${SERVICE_API_KEYS:-}"


@pytest.mark.parametrize("name", ["compose", "release", "stack"])
def test_logs_of_containers_are_rotated(name: str, project: Path) -> None:
    text = (project / "deploy" / f"{name}.yaml").read_text(encoding="utf-8")
    services = yaml.safe_load(text)["services"]
    assert {each["logging"]["driver"] for each in services.values()} == {"local"}
