"""Check that all processes of the running service loaded the deployed bundle."""

import json
import time
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

from pydantic import SecretStr

from mlchassis.bundle.bundle import Pointer
from mlchassis.config.settings import ServiceSettings
from mlchassis.errors import ProjectError

_SECONDS = 5.0
"""Time limit of one request."""


def await_rollout(
    settings: ServiceSettings, pointer: Pointer, store: Path, seconds: float = 30.0
) -> str:
    """Wait until every process of this project's service answers with the deployed bundle.

    Args:
        settings: Settings of the service.
        pointer: Deployed bundle.
        store: Store of the deployed bundle; a service that serves nothing from it is another
            project's.
        seconds: Time limit; a service polls every second by default.

    Returns:
        A sentence.

    Raises:
        ProjectError: Some processes have not taken it, or cannot say so.
    """
    url = settings.url
    try:
        count = _poll(url, settings.api_key, pointer, store, seconds)
    except _HiddenError:
        return (
            f"The service at {url} does not show which bundle its processes answer with; name one "
            "of its API keys in SERVICE_API_KEY, or this host in SERVICE_ALLOWED_HOSTS."
        )
    if count is None:
        return f"No service of this project is at {url} (HOST=, PORT=): the next starts with it."
    return f"All processes of the service at {url} answer with it: {count}."


class _HiddenError(Exception):
    """The service does not show its processes to this client."""


def _poll(
    url: str, key: SecretStr | None, pointer: Pointer, store: Path, seconds: float
) -> int | None:
    """Return the number of processes once all have the bundle; None if none is of this project."""
    deadline = time.monotonic() + seconds
    while (counts := _ask(url, key)) is not None and counts.keys() != {pointer.digest}:
        if counts and not any((store / "bundles" / digest).is_dir() for digest in counts):
            return None
        if time.monotonic() >= deadline:
            served = " and ".join(f"{count} with {digest[:12]}" for digest, count in counts.items())
            raise ProjectError(
                f"After {seconds:g} s not all processes of the service at {url} answer with it "
                f"({served or 'it is not ready'}); its log says why (`bundle rejected`), or start "
                "it again if it does not poll (SERVICE_WATCH_SECONDS=0)."
            )
        time.sleep(0.1)
    return None if counts is None else counts[pointer.digest]


def _ask(url: str, key: SecretStr | None) -> dict[str, int] | None:
    """Return the processes by bundle; none if it is not ready, None where there is no service.

    Raises:
        _HiddenError: The service is ready and shows no more than that.
    """
    headers = {} if key is None else {"X-API-Key": key.get_secret_value()}
    request = Request(f"{url}/health/ready", headers=headers)  # noqa: S310 - http, as above
    try:
        # A service of this machine is not reached through a proxy.
        with build_opener(ProxyHandler({})).open(request, timeout=_SECONDS) as answer:
            document = json.load(answer)
        if document == {"status": "ready"}:
            raise _HiddenError
        return {str(digest): int(count) for digest, count in document["processes"].items()}
    except URLError as error:
        refused = isinstance(error.reason, ConnectionRefusedError)
        return None if refused or getattr(error, "code", 503) != 503 else {}
    # It accepted the connection and starts, ends or hangs.
    except OSError:
        return {}
    # A program of another kind.
    except (AttributeError, HTTPException, KeyError, TypeError, ValueError):
        return None
