"""Smoke test of a running service: its bundle, its golden answers, its latency under load."""

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

import numpy as np
from pydantic import SecretStr

from mlchassis.bundle.bundle import Bundle, Golden, measure_error, read_bundle, read_pointer
from mlchassis.contract.model import class_name
from mlchassis.errors import ProjectError
from mlchassis.formatting import refine

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_SECONDS = 10.0
"""Time limit of one request."""
_READY_SECONDS = 60.0
_CLIENTS = 4
_REJECTED = 422

Say = Callable[[str], None]
Answer = tuple[int, Any]
"""Status and document of a response."""


@dataclass(frozen=True, slots=True)
class SmokeOptions:
    """Extent of a smoke test.

    Attributes:
        seconds: Duration of the load; 0 for none.
        p99_ms: Largest 99th percentile of the latency under load, in milliseconds.
        any_bundle: True after a rollback: the service may serve another bundle, so its golden
            answers are left to its readiness, and it may reject requests of a newer contract.
    """

    seconds: float = 0.0
    p99_ms: float = 250.0
    any_bundle: bool = False


class Client:
    """A client of one service.

    Args:
        url: Address, without a path.
        key: API key, if the service asks for one.
    """

    def __init__(self, url: str, key: SecretStr | None = None) -> None:
        refusal = ProjectError(f"URL is '{url}'; write an address, such as https://ml.example.org.")
        try:
            parts = urlsplit(url)
        except ValueError:  # Brackets that hold no address of IPv6.
            raise refusal from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise refusal
        self.url = url.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if key is not None:
            self._headers["X-API-Key"] = key.get_secret_value()
        # A service of this machine is not reached through a proxy.
        handlers = [ProxyHandler({})] if parts.hostname in _LOOPBACK else []
        self._opener: OpenerDirector = build_opener(*handlers)

    def send(self, path: str, body: Any = None) -> Answer:
        """Return status and document of a response; status 0 and a reason without one."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, self._headers)  # noqa: S310 - http or https
        try:
            with self._opener.open(request, timeout=_SECONDS) as response:
                return response.status, json.load(response)
        except HTTPError as error:
            with error:
                return error.code, error.reason
        except (URLError, OSError, HTTPException, ValueError) as error:
            return 0, str(error)

    def predict(self, request: dict[str, Any]) -> Answer:
        """Return the answer to one record."""
        return self.send("/predict", {"records": [request]})


def read_deployed(store: Path) -> Bundle:
    """Read the bundle that a store's pointer names.

    Raises:
        ProjectError: Nothing is deployed, or the bundle is not as it was deployed.
    """
    pointer = read_pointer(store)
    if pointer is None:
        raise ProjectError(f"Nothing is deployed in {store}; run `make deploy`.")
    return read_bundle(store / "bundles" / pointer.digest, pointer.digest)


def check_service(client: Client, bundle: Bundle, options: SmokeOptions, say: Say) -> None:
    """Check a running service, from the outside.

    Args:
        client: Client of the service.
        bundle: Deployed bundle.
        options: Extent of the test.
        say: Callback that prints one line to the user.

    Raises:
        ProjectError: The service is not ready, serves another bundle, answers a golden request
            otherwise than training did, fails under load or is too slow.
    """
    digest = await_ready(client, None if options.any_bundle else bundle.digest)
    say(f"ready: every process of {client.url} serves {digest[:12]}")
    requests = [golden for golden in bundle.metadata.golden if is_complete(bundle, golden)]
    if not options.any_bundle:
        say(check_golden(client, bundle, requests))
    if options.seconds and requests:
        say(check_load(client, requests, options))


def is_complete(bundle: Bundle, golden: Golden) -> bool:
    """True if a golden request has every required value; those of personal data are left out."""
    required = (c.name for c in bundle.contract.request_columns if bundle.contract.requires(c))
    return all(golden.request.get(name) is not None for name in required)


def await_ready(client: Client, digest: str | None, seconds: float = _READY_SECONDS) -> str:
    """Wait until every process serves the bundle with this digest, or the same one if None.

    Returns:
        The digest.

    Raises:
        ProjectError: Time is up.
    """
    deadline = time.monotonic() + seconds
    while True:
        status, document = client.send("/health/ready")
        served = read_digests(document) if status == 200 else []
        if len(served) == 1 and digest in (None, served[0]):
            return served[0]
        if time.monotonic() >= deadline:
            seen = " and ".join(each[:12] for each in served) or f"{status} {document}"
            wanted = "one bundle" if digest is None else digest[:12]
            raise ProjectError(
                f"After {seconds:g} s the service at {client.url} is not ready with {wanted} "
                f"({seen}); see its log. If it asks for API keys, name one in SERVICE_API_KEY."
            )
        time.sleep(0.2)


def read_digests(document: Any) -> list[str]:
    """Return the digests that a service's processes serve; none if it does not show them."""
    processes = document.get("processes") if isinstance(document, dict) else None
    return list(processes) if isinstance(processes, dict) else []


def check_golden(client: Client, bundle: Bundle, requests: Sequence[Golden]) -> str:
    """Compare the service's answers to golden requests with training's own.

    Raises:
        ProjectError: An answer differs by more than the bundle's tolerance, or there is none.
    """
    for position, golden in enumerate(requests):
        status, document = client.predict(golden.request)
        if status != 200:
            raise ProjectError(
                f"The service at {client.url} answers golden request {position} with {status} "
                f"({document}); see its log."
            )
        actual = read_scores(bundle, document["predictions"][0])
        error = measure_error(np.array(golden.scores), np.array(actual), bundle.metadata.unit)
        # Written so that NaN, which compares false with everything, is refused too.
        if not error.max() <= bundle.metadata.tolerance:
            raise ProjectError(
                f"The service at {client.url} answers golden request {position} with {actual}, "
                f"but training answered {golden.scores}; roll back."
            )
    total = len(bundle.metadata.golden)
    return f"golden answers: {len(requests)} of {total} requests, each as in training"


def read_scores(bundle: Bundle, prediction: dict[str, Any]) -> list[float]:
    """Return a prediction's scores in the order of the bundle: probabilities, or one number."""
    if bundle.metadata.task == "regression":
        return [float(prediction["prediction"])]
    probabilities = prediction["probabilities"]
    return [float(probabilities[class_name(label)]) for label in bundle.metadata.classes]


def check_load(client: Client, requests: Sequence[Golden], options: SmokeOptions) -> str:
    """Send requests from several clients for some seconds.

    Raises:
        ProjectError: A response is missing or an error, or the 99th percentile is above its limit.
    """
    deadline = time.monotonic() + options.seconds
    order = list(requests)
    with ThreadPoolExecutor(_CLIENTS) as clients:
        parts = [
            clients.submit(_send_until, client, order[start:] + order[:start], deadline)
            for start in range(_CLIENTS)
        ]
    sent = [each for part in parts for each in part.result()]
    answered = {200, _REJECTED} if options.any_bundle else {200}
    failed = [status for status, _ in sent if status not in answered]
    if failed:
        raise ProjectError(
            f"Of {len(sent):,} requests in {options.seconds:g} s, {len(failed):,} failed, the "
            f"first with status {failed[0]} (0: no response); see the log of {client.url}."
        )
    p99 = float(np.percentile([milliseconds for _, milliseconds in sent], 99))
    if p99 > options.p99_ms:
        shown = f"{p99:{refine('.0f', p99, options.p99_ms)}}"
        raise ProjectError(
            f"The 99th percentile of {len(sent):,} requests to {client.url} is {shown} ms, above "
            f"the limit of {options.p99_ms:g} ms (--p99-ms); give it more CPU, or roll back."
        )
    return f"load: {len(sent):,} requests in {options.seconds:g} s, 99th percentile {p99:.0f} ms"


def _send_until(
    client: Client, requests: Sequence[Golden], deadline: float
) -> list[tuple[int, float]]:
    """Send requests one after another; return status and milliseconds of each."""
    sent = []
    for golden in cycle(requests):
        started = time.perf_counter()
        status, _ = client.predict(golden.request)
        sent.append((status, 1000 * (time.perf_counter() - started)))
        if time.monotonic() >= deadline:
            break
    return sent
