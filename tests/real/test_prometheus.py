"""Alert rules and dashboard in a real Prometheus, which scrapes a real service."""

import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest
import yaml

from demo import read_question
from project_copy import make_environment
from servers import running
from service import ServiceError, fetch, find_port, serve
from summary import Parts
from whole_run import WholeRun

WITHIN = 60.0  # seconds for anything that is waited for
PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
INTERVAL = "1s"


def find_program(name: str) -> str:
    """Return the path of a program; a missing one fails the test."""
    path = shutil.which(name)
    assert path, f"{name} is missing; on Debian: apt-get install prometheus prometheus-alertmanager"
    return path


def check(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [find_program(str(command[0])), *map(str, command[1:])],
        capture_output=True,
        text=True,
        check=False,
    )


def await_result(read: Callable[[], Any], what: str) -> Any:
    """Call `read` until it returns something, and return that."""
    deadline = time.monotonic() + WITHIN
    while True:
        with suppress(ServiceError, OSError):
            if result := read():
                return result
        assert time.monotonic() < deadline, f"after {WITHIN:.0f} s still not: {what}"
        time.sleep(0.2)


@pytest.fixture
def monitoring(project: Path, tmp_path: Path) -> Path:
    """A copy of a generated project's folder for Prometheus, to be edited."""
    return Path(shutil.copytree(project / "deploy" / "prometheus", tmp_path / "prometheus"))


def read_rules(folder: Path) -> Any:
    return yaml.safe_load((folder / "alerts.yml").read_text(encoding="utf-8"))


def find_tests(folder: Path) -> list[Path]:
    tests = sorted(folder.glob("*_test.yml"))
    assert len(tests) == 2
    return tests


def write_yaml(path: Path, document: Any) -> None:
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


def test_the_configurations_and_the_tests_of_the_alerts_pass(monitoring: Path) -> None:
    commands: list[list[str | Path]] = [
        ["promtool", "check", "config", monitoring / "prometheus.yml", monitoring / "stack.yml"],
        ["promtool", "test", "rules", *find_tests(monitoring)],
        ["amtool", "check-config", monitoring / "alertmanager.yml"],
    ]
    for command in commands:
        done = check(*command)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_pages_setting_for_an_api_key_is_one_of_prometheus(
    monitoring: Path, project: Path, tmp_path: Path
) -> None:
    page = (project / "docs" / "alerts.md").read_text(encoding="utf-8")
    (setting,) = re.findall(r"`(authorization: .*?)`", page)
    key = tmp_path / "key"
    key.write_text("made-up", encoding="utf-8")
    authorization = yaml.safe_load(setting)
    authorization["authorization"]["credentials_file"] = str(key)
    config = yaml.safe_load((monitoring / "prometheus.yml").read_text(encoding="utf-8"))
    config["scrape_configs"][0] |= authorization
    write_yaml(monitoring / "prometheus.yml", config)
    done = check("promtool", "check", "config", monitoring / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_test_that_fails_without_it(monitoring: Path) -> None:
    rules = read_rules(monitoring)
    alerts = rules["groups"][0]["rules"]
    for alert in alerts:
        expression = alert["expr"]
        alert["expr"] = "vector(1) < 0"
        write_yaml(monitoring / "alerts.yml", rules)
        done = check("promtool", "test", "rules", *find_tests(monitoring))
        assert done.returncode, f"no test notices that {alert['alert']} never fires"
        alert["expr"] = expression


def test_an_alert_that_always_fires_is_noticed(monitoring: Path) -> None:
    rules = read_rules(monitoring)
    for alert in rules["groups"][0]["rules"]:
        expression = alert["expr"]
        alert["expr"] = 'up{job="service"} >= 0'
        write_yaml(monitoring / "alerts.yml", rules)
        done = check("promtool", "test", "rules", *find_tests(monitoring))
        assert done.returncode, f"no test notices that {alert['alert']} always fires"
        alert["expr"] = expression


class Webhook(HTTPServer):
    """Receiver of Alertmanager's notifications."""

    def __init__(self, port: int) -> None:
        self.received: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", port), WebhookHandler)


class WebhookHandler(BaseHTTPRequestHandler):
    """Receiver that stores the notifications that arrive."""

    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(json.loads(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""


@contextmanager
def listening(webhook: Webhook) -> Iterator[Webhook]:
    thread = threading.Thread(target=webhook.serve_forever)
    thread.start()
    try:
        yield webhook
    finally:
        webhook.shutdown()
        thread.join()
        webhook.server_close()


@dataclass
class Stack:
    """A service, the Prometheus that scrapes it, and the receiver of its alerts."""

    service: str
    prometheus: str
    webhook: Webhook
    stop_service: Callable[[], None]

    def query(self, expression: str) -> list[Any]:
        """Return the samples of a PromQL expression."""
        parameters = urlencode({"query": expression})
        try:
            return list(fetch(f"{self.prometheus}/api/v1/query?{parameters}")["data"]["result"])
        except HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from None


def configure(source: Path, folder: Path, ports: dict[str, int]) -> Path:
    """Copy the configuration, with the ports of this test, short intervals and short delays."""
    shutil.copytree(source, folder)
    config = (folder / "prometheus.yml").read_text(encoding="utf-8")
    config = config.replace("127.0.0.1:8000", f"127.0.0.1:{ports['service']}")
    config = config.replace("127.0.0.1:9093", f"127.0.0.1:{ports['alertmanager']}")
    config = config.replace("15s", INTERVAL)
    (folder / "prometheus.yml").write_text(config, encoding="utf-8")
    receiver = (folder / "alertmanager.yml").read_text(encoding="utf-8")
    receiver = receiver.replace("127.0.0.1:9099", f"127.0.0.1:{ports['webhook']}")
    receiver = receiver.replace("group_wait: 10s", "group_wait: 0s")
    (folder / "alertmanager.yml").write_text(receiver, encoding="utf-8")
    rules = (folder / "alerts.yml").read_text(encoding="utf-8")
    # Prometheus first scrapes some 6 s after its start, and nothing is to fire before that.
    (folder / "alerts.yml").write_text(re.sub(r"for: \d+m", "for: 15s", rules), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def stack(
    whole_run: WholeRun, parts: Parts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("monitoring")
    project = whole_run.project
    ports = {"prometheus": find_port(), "alertmanager": find_port(), "webhook": find_port()}
    environment = make_environment(project / ".venv" / "bin")
    with parts.measure("service, Prometheus and Alertmanager"), ExitStack() as everything:
        log = everything.enter_context((folder / "service.log").open("wb"))
        service = everything.enter_context(ExitStack())
        address = service.enter_context(serve(project, log, environment))
        ports["service"] = int(address.rpartition(":")[2])
        place = configure(project / "deploy" / "prometheus", folder / "prometheus", ports)
        webhook = everything.enter_context(listening(Webhook(ports["webhook"])))
        alertmanager: list[str | Path] = [
            find_program("prometheus-alertmanager"),
            f"--config.file={place / 'alertmanager.yml'}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{ports['alertmanager']}",
            "--cluster.listen-address=",
        ]
        prometheus: list[str | Path] = [
            find_program("prometheus"),
            f"--config.file={place / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{ports['prometheus']}",
        ]
        logs = folder / "alertmanager.log", folder / "prometheus.log"
        everything.enter_context(running(alertmanager, ports["alertmanager"], logs[0]))
        everything.enter_context(running(prometheus, ports["prometheus"], logs[1]))
        yield Stack(address, f"http://127.0.0.1:{ports['prometheus']}", webhook, service.close)


def read_expressions(project: Path) -> list[tuple[str, str]]:
    """Return the panel and the query of each target of the dashboard."""
    dashboard = json.loads((project / "deploy/grafana/service.json").read_text(encoding="utf-8"))
    return [
        (
            panel["title"],
            target["expr"].replace("$__rate_interval", "15s").replace("$job", "service"),
        )
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]


def test_each_panel_of_the_dashboard_shows_a_number(stack: Stack, whole_run: WholeRun) -> None:
    question = read_question(stack.service)
    expressions = read_expressions(whole_run.project)
    assert len(expressions) > 10

    def read_shown() -> list[str]:
        fetch(f"{stack.service}/predict", question)
        return [
            panel
            for panel, expression in expressions
            if any(sample["value"][1] != "NaN" for sample in stack.query(expression))
        ]

    await_result(lambda: len(read_shown()) == len(expressions), f"all panels; only {read_shown()}")


def test_each_metric_of_the_alerts_is_one_of_the_service(stack: Stack, whole_run: WholeRun) -> None:
    rules = (whole_run.project / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8")
    names = set(re.findall(r"\bservice_[a-z_]+", rules))
    fetch(f"{stack.service}/predict", read_question(stack.service))
    assert len(names) > 4
    await_result(
        lambda: (
            names <= {sample["metric"]["__name__"] for sample in stack.query('{job="service"}')}
        ),
        f"metrics {sorted(names)}",
    )


def test_a_service_that_stops_reaches_the_webhook_as_an_alert(stack: Stack) -> None:
    await_result(lambda: stack.query('up{job="service"} == 1'), "the service is scraped")
    assert stack.webhook.received == []
    stack.stop_service()
    (notification, *_) = await_result(lambda: stack.webhook.received, "a notification")
    (alert,) = notification["alerts"]
    assert alert["labels"]["alertname"] == "ServiceDown"
    assert alert["status"] == "firing"
    assert "roll back" in alert["annotations"]["action"]
