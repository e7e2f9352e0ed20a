"""Asks the running service whether all its processes took what was deployed."""

import json
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from mlchassis.bundle.bundle import Pointer
from mlchassis.config.settings import ServiceSettings
from mlchassis.errors import ProjectError

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - asked, not bound to


def await_rollout(
    settings: ServiceSettings, pointer: Pointer, store: Path, seconds: float = 30.0
) -> str:
    """Waits until every process of this project's service answers with what was deployed.

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
    url = f"http://{_EVERYWHERE.get(settings.host, settings.host)}:{settings.port}"
    deadline = time.monotonic() + seconds
    while (found := _ask(url)) is not None and found.keys() != {pointer.digest}:
        if found and not any((store / "bundles" / digest).is_dir() for digest in found):
            found = None
            break
        if time.monotonic() >= deadline:
            served = " and ".join(f"{count} with {digest[:12]}" for digest, count in found.items())
            raise ProjectError(
                f"After {seconds:g} s not all processes of the service at {url} answer with it "
                f"({served or 'it is not ready'}); its log says why (`bundle refused`), or start "
                "it again if it does not poll (SERVICE_WATCH_SECONDS=0)."
            )
        time.sleep(0.1)
    if found is None:
        return f"No service of this project is at {url} (HOST=, PORT=): the next starts with it."
    return f"All processes of the service at {url} answer with it: {found[pointer.digest]}."


def _ask(url: str) -> dict[str, int] | None:
    """The processes by bundle; none if the service is not ready, None where there is none."""
    try:
        # Where a service of this machine listens is no business of a proxy's.
        with build_opener(ProxyHandler({})).open(f"{url}/health/ready", timeout=5) as answer:
            return dict(json.load(answer)["processes"])
    except URLError as error:
        refused = isinstance(error.reason, ConnectionRefusedError)
        return None if refused or getattr(error, "code", 503) != 503 else {}
    except (KeyError, TypeError, ValueError):
        return None
