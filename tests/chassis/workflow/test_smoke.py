"""The smoke test passes on a sound service and names what is wrong with every other one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlchassis.bundle.bundle import Bundle
from mlchassis.config.settings import ServiceSettings
from mlchassis.errors import ProjectError
from mlchassis.workflow import smoke
from mlchassis.workflow.smoke import Client, SmokeOptions, check_service, read_deployed

pytestmark = pytest.mark.one_python
CLOSED = "http://127.0.0.1:1"


@pytest.fixture
def client(start: Callable[..., Any]) -> Client:
    """A client of a running service."""
    return Client(start().wait_until_serving())


@pytest.fixture
def bundle(settings: ServiceSettings) -> Bundle:
    """The deployed bundle."""
    return read_deployed(settings.store)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke.await_ready, "__defaults__", (0.5,))


def change_golden(bundle: Bundle) -> Bundle:
    """Return the bundle as if training had given another answer to its last golden request."""
    *others, last = bundle.metadata.golden
    scores = [score + 0.01 for score in last.scores]
    golden = [*others, last.model_copy(update={"scores": scores})]
    return replace(bundle, metadata=bundle.metadata.model_copy(update={"golden": golden}))


def fail(client: Client, bundle: Bundle, options: SmokeOptions) -> str:
    """Run a smoke test that must fail, and return its sentence."""
    with pytest.raises(ProjectError) as failure:
        check_service(client, bundle, options, lambda line: None)
    return str(failure.value)


def test_a_sound_service_passes(client: Client, bundle: Bundle) -> None:
    lines: list[str] = []
    check_service(client, bundle, SmokeOptions(0.5, p99_ms=5000), lines.append)
    ready, golden, load = lines
    assert bundle.digest[:12] in ready
    count = len(bundle.metadata.golden)
    assert f"{count} of {count} requests" in golden
    assert "99th percentile" in load


def test_a_service_with_another_bundle_fails_unless_any_is_accepted(
    client: Client, bundle: Bundle
) -> None:
    other = replace(bundle, digest="4" * 64)
    sentence = fail(client, other, SmokeOptions())
    assert "is not ready with 444444444444" in sentence
    assert bundle.digest[:12] in sentence
    check_service(client, other, SmokeOptions(any_bundle=True), lambda line: None)


def test_an_answer_other_than_trainings_fails(client: Client, bundle: Bundle) -> None:
    sentence = fail(client, change_golden(bundle), SmokeOptions())
    assert f"golden request {len(bundle.metadata.golden) - 1}" in sentence


def test_a_slow_service_fails(client: Client, bundle: Bundle) -> None:
    assert "above the limit of 0 ms" in fail(client, bundle, SmokeOptions(0.1, p99_ms=0))


def test_a_service_that_is_gone_fails(bundle: Bundle) -> None:
    assert "is not ready" in fail(Client(CLOSED), bundle, SmokeOptions())


def test_failed_requests_under_load_are_counted(bundle: Bundle) -> None:
    with pytest.raises(ProjectError, match="4 failed, the first with status 0"):
        smoke.check_load(Client(CLOSED), bundle.metadata.golden, SmokeOptions(1e-6))


@pytest.mark.parametrize("url", ["ml.example.org", "http://[::1", "http://[x]"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ProjectError, match="write an address"):
        Client(url)


def test_without_a_deployed_bundle_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="run `make deploy`"):
        read_deployed(tmp_path)
