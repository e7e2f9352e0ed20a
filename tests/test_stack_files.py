"""The files of a generated project's local stack: each service is bounded, closed and silent."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

FILES = ("compose.yaml", "stack.yaml")
WRITABLE = {"storage"}
"""Services whose file system is not read-only."""
TOO_NEW = {"name", "develop", "start_interval", "required", "env_file"}
"""Keys, or new forms of them, that docker-compose 1.29 does not know."""
PINNED = re.compile(r"\$\{STACK_[A-Z]+_IMAGE:-[\w./-]+:[^:}]*\d[^:}]*\}")
SECRET = re.compile(r"(PASSWORD|SECRET|KEY|ROOT_USER)(_ID|_KEY)?$")
REFERENCE = re.compile(r"\$\{STACK_\w+:\?[^}]+\}")
SILENT = {
    "grafana": {
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_NEWS_NEWS_FEED_ENABLED": "false",
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
        "GF_SECURITY_DISABLE_GRAVATAR": "true",
        "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",
    },
    "storage": {"MINIO_UPDATE": "off", "MINIO_CALLHOME_ENABLE": "off"},
}
"""Variables that turn telemetry and update checks off."""


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def deploy(project: Path) -> Path:
    return project / "deploy"


@pytest.fixture
def services(deploy: Path) -> dict[str, Any]:
    """All services of the stack, by name."""
    files = [load(deploy / name)["services"] for name in FILES]
    assert files[0].keys().isdisjoint(files[1]), "a service is defined twice"
    return copy.deepcopy({name: service for file in files for name, service in file.items()})


def find_rights(name: str, service: dict[str, Any]) -> Iterator[str]:
    """Yield what a service may do or take without need."""
    for limit in ("mem_limit", "pids_limit"):
        if limit not in service:
            yield f"{name} has no {limit}"
    if service.get("cap_drop") != ["ALL"]:
        yield f"{name} keeps capabilities"
    if service.get("security_opt") != ["no-new-privileges"]:
        yield f"{name} may get new privileges"
    if not service.get("read_only") and name not in WRITABLE:
        yield f"{name} may write into its image"
    if any(not port.startswith("127.0.0.1:") for port in service.get("ports", [])):
        yield f"{name} is reached from other machines"


def find_secrets(name: str, service: dict[str, Any]) -> Iterator[str]:
    """Yield variables with a password in the file itself."""
    for variable, value in service.get("environment", {}).items():
        if SECRET.search(variable) and not REFERENCE.fullmatch(value):
            yield f"{name} has a password of its own in {variable}"
        if re.search(r"://[^/@]*:[^/@]*@", value):
            yield f"{name} has a password in the address {variable}"


def find_faults(name: str, service: dict[str, Any], root: Path) -> list[str]:
    """List what is wrong with a service of the project at `root`."""
    faults = [*find_rights(name, service), *find_secrets(name, service)]
    dockerfile = root / service["build"]["dockerfile"] if "build" in service else None
    checked = dockerfile is not None and "\nHEALTHCHECK " in dockerfile.read_text("utf-8")
    if not checked and not service.get("healthcheck", {}).get("test"):
        faults.append(f"{name} has no health check")
    if dockerfile is None and not PINNED.fullmatch(service["image"]):
        faults.append(f"{name} has an image without a pinned version")
    return faults


def list_keys(document: Any) -> Iterator[str]:
    """Yield each key of a document, at every depth."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield key
            yield from list_keys(value)
    elif isinstance(document, list):
        for value in document:
            yield from list_keys(value)


def test_every_service_is_checked_limited_and_closed(
    services: dict[str, Any], project: Path
) -> None:
    assert services.keys() == {
        *("service", "database", "storage", "mlflow"),
        *("prometheus", "alertmanager", "grafana"),
    }
    assert [f for name in services for f in find_faults(name, services[name], project)] == []


@pytest.mark.parametrize(
    ("name", "change", "fault"),
    [
        ("grafana", {"healthcheck": {}}, "has no health check"),
        ("mlflow", {"healthcheck": {}}, "has no health check"),
        ("database", {"mem_limit": None}, "has no mem_limit"),
        ("storage", {"pids_limit": None}, "has no pids_limit"),
        ("mlflow", {"ports": ["5000:5000"]}, "is reached from other machines"),
        ("grafana", {"ports": ["0.0.0.0:3000:3000"]}, "is reached from other machines"),
        ("prometheus", {"cap_drop": None}, "keeps capabilities"),
        ("alertmanager", {"security_opt": None}, "may get new privileges"),
        ("service", {"read_only": None}, "may write into its image"),
        ("database", {"image": "postgres:17.11"}, "has an image without a pinned version"),
        ("storage", {"image": "${STACK_STORAGE_IMAGE:-a/b:latest}"}, "without a pinned version"),
        ("database", {"environment": {"POSTGRES_PASSWORD": "mlflow"}}, "password of its own"),
        ("mlflow", {"environment": {"PGPASSWORD": "${PASSWORD:-mlflow}"}}, "password of its own"),
        ("mlflow", {"environment": {"URI": "postgresql://a:b@c/d"}}, "password in the address"),
    ],
)
def test_a_fault_is_found(
    services: dict[str, Any], project: Path, name: str, change: dict[str, Any], fault: str
) -> None:
    changed = services[name] | change
    changed = {key: value for key, value in changed.items() if value is not None}
    found = find_faults(name, changed, project)
    assert [fault in text for text in found] == [True]


@pytest.mark.parametrize("name", FILES)
def test_an_older_compose_reads_the_files(deploy: Path, name: str) -> None:
    assert TOO_NEW.isdisjoint(list_keys(load(deploy / name)))


def test_telemetry_is_off(services: dict[str, Any], deploy: Path) -> None:
    for name, variables in SILENT.items():
        assert variables.items() <= services[name]["environment"].items()
    dockerfile = (deploy / "mlflow" / "Dockerfile").read_text(encoding="utf-8")
    assert {"MLFLOW_DISABLE_TELEMETRY=true", "DO_NOT_TRACK=true"} <= set(dockerfile.split())


def test_the_stacks_prometheus_differs_by_its_hosts_alone(
    services: dict[str, Any], deploy: Path
) -> None:
    single, stack = (
        load(deploy / "prometheus" / f"{name}.yml") for name in ("prometheus", "stack")
    )
    (target,) = stack["scrape_configs"][0]["static_configs"][0]["targets"]
    (manager,) = stack["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert (target, manager) == ("service:8000", "alertmanager:9093")
    assert {"service", "alertmanager"} <= services.keys()
    text = json.dumps(stack)
    for host in ("service", "alertmanager"):
        text = text.replace(f'"{host}:', '"127.0.0.1:')
    assert json.loads(text) == single


def test_the_webhook_that_the_stack_replaces_is_the_files_own(
    services: dict[str, Any], deploy: Path
) -> None:
    config = load(deploy / "prometheus" / "alertmanager.yml")
    url = config["receivers"][0]["webhook_configs"][0]["url"]
    service = services["alertmanager"]
    assert service["environment"]["WEBHOOK"] == f"${{STACK_ALERT_WEBHOOK:-{url}}}"
    assert f"s|{url}|" in service["command"][0]


def test_grafana_finds_its_data_source_and_dashboard(
    services: dict[str, Any], deploy: Path
) -> None:
    (source,) = load(deploy / "grafana/datasources/prometheus.yaml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    (provider,) = load(deploy / "grafana/dashboards/service.yaml")["providers"]
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    shown = f"{provider['options']['path']}/service.json"
    assert mounts["./grafana/service.json"] == shown
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == shown
    for kind in ("datasources", "dashboards"):
        assert mounts[f"./grafana/{kind}"] == f"/etc/grafana/provisioning/{kind}"
    for host in (name for name in mounts if name.startswith("./")):
        assert (deploy / host).exists()
