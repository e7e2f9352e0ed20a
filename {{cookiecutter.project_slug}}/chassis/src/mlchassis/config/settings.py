"""Typed, frozen settings from environment variables.

Every serving setting is a variable with the prefix `SERVICE_`, so `max_rows` is SERVICE_MAX_ROWS.
"""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mlchassis.errors import ProjectError

Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^/\s,*]+)$")]
"""Value of a browser's header Origin: a scheme and a host, without a path."""
HostName = Annotated[
    str, Field(pattern=r"^(\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])$")
]
"""Value of a Host header without its port; `*.example.org` for subdomains, `*` for every name."""
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound to
"""Hosts that stand for every address of the machine, with the one that its clients use."""


_MIN_HELD_BYTES = 64 * 1024 * 1024
"""Several large bodies may arrive at once, even where few are answered at once."""


def _check_network(value: str) -> str:
    ip_network(value, strict=False)
    return value


Network = Annotated[str, AfterValidator(_check_network)]
"""An IP address, or a network such as 10.0.0.0/8."""


def _check_path(value: object) -> object:
    if value == "":
        raise ValueError("a path is never empty, which would mean the current folder")
    return value


NonEmptyPath = Annotated[Path, BeforeValidator(_check_path)]
Bytes = Annotated[int, Field(le=2**40)]
Threads = Annotated[int, Field(ge=0, le=256)]
"""Far more than a machine has cores: each is started at once."""
Seconds = Annotated[float, Field(le=24 * 3600, allow_inf_nan=False)]


def _split_commas(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


class ServiceSettings(BaseSettings):
    """Settings of the service.

    Attributes:
        store: Folder of deployed bundles, with the pointer to the served one.
        log_directory: Folder of the prediction log, which every process writes in segments.
        log_segment_bytes: Size from which on a process starts another segment.
        host: Address to listen on; 0.0.0.0 in a container, where the engine guards the port.
        port: Port to listen on; 0 takes a free one and says which.
        workers: Processes that answer, each with a model, a log file and limits of its own.
        max_body_bytes: Largest body of a request, enforced while it streams. All bodies that are
            incomplete hold as much as `max_concurrency` of them at most, or 64 MiB.
        max_rows: Most records in one request.
        max_concurrency: Predictions in progress; one more is refused at once, so that those
            accepted stay fast.
        deadline_seconds: Time to receive a body and to answer it.
        inline_bytes: Largest body answered on the event loop itself. Handing a small one to a
            thread costs more than its prediction, but work on the loop cannot be interrupted: its
            size is what bounds it. Larger ones go to a thread and keep the deadline; 0 sends all.
        model_threads: Threads of ONNX Runtime for one call; more help large batches alone.
        watch_seconds: Interval at which the deployed bundle is polled; 0 for never.
        api_keys_file: File of SHA-256 digests of the keys that clients may send, one a line, read
            again when it changes; without it and `api_keys`, no key is asked for.
        api_keys: The same digests as a value, for platforms that set variables alone; a change
            needs a restart.
        shutdown_delay_seconds: Time after SIGTERM in which the service reports that it is not ready
            and still takes requests, so that clients can turn elsewhere.
        drain_seconds: Time that accepted requests get to finish after SIGTERM.
        root_path: Prefix under which a proxy offers the service, such as /models/orders: OpenAPI
            names it as the server's address. It does not matter whether the proxy takes it away.
        cors_origins: Origins whose pages may call the service from a browser, parted by commas,
            such as https://shop.example.org; * for all. Empty: none but its own.
        allowed_hosts: Names that the service answers to, parted by commas: values of the Host
            header without a port, `*.example.org` for subdomains, `*` for every name. `host` is
            one of them unless it stands for every address. Health answers to every name.
        trusted_proxies: Addresses or networks of proxies, parted by commas, whose headers
            X-Forwarded-For and X-Forwarded-Proto name the client. Empty: such headers are ignored.
        api_key: Key that `make deploy` sends to a service with API keys, to ask which bundle its
            processes answer with.
        access_log: One log line per request; health and metrics are left out either way.
    """

    model_config = SettingsConfigDict(
        env_prefix="SERVICE_", frozen=True, extra="forbid", protected_namespaces=()
    )

    store: NonEmptyPath = Path("var/deployed")
    log_directory: NonEmptyPath = Path("var/predictions")
    log_segment_bytes: Bytes = Field(64 * 1024 * 1024, ge=1)
    host: str = Field("127.0.0.1", min_length=1)
    port: int = Field(8000, ge=0, le=65535)
    workers: int = Field(1, ge=1, le=256)
    max_body_bytes: Bytes = Field(2 * 1024 * 1024, ge=1)
    max_rows: int = Field(1000, ge=1, le=10_000_000)
    max_concurrency: int = Field(64, ge=1, le=100_000)
    deadline_seconds: Seconds = Field(10.0, gt=0)
    inline_bytes: Bytes = Field(64 * 1024, ge=0)
    model_threads: Threads = 1
    watch_seconds: Seconds = Field(1.0, ge=0)
    api_keys_file: NonEmptyPath | None = None
    api_keys: SecretStr | None = None
    shutdown_delay_seconds: Seconds = Field(1.0, ge=0)
    drain_seconds: int = Field(10, ge=0, le=24 * 3600)
    root_path: str = Field("", pattern=r"^(/[A-Za-z0-9._~-]+)*$")
    cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_split_commas)] = ()
    allowed_hosts: Annotated[tuple[HostName, ...], NoDecode, BeforeValidator(_split_commas)] = (
        "localhost",
        "127.0.0.1",
        "[::1]",
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_split_commas)] = ()
    api_key: SecretStr | None = None
    access_log: bool = True

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every name that the service answers to."""
        if self.host in _EVERY_ADDRESS:
            return self.allowed_hosts
        return (*self.allowed_hosts, _bracket(self.host))

    @property
    def max_held_bytes(self) -> int:
        """Most bytes of bodies that are incomplete: as many as may be answered at once."""
        return max(_MIN_HELD_BYTES, self.max_concurrency * self.max_body_bytes)

    @property
    def url(self) -> str:
        """Address of the service for a client on this machine."""
        return f"http://{_bracket(_EVERY_ADDRESS.get(self.host, self.host))}:{self.port}"


def _bracket(host: str) -> str:
    """Return a host as addresses name it: an IPv6 address stands in brackets."""
    return f"[{host}]" if ":" in host else host


def load_service_settings(**overrides: Any) -> ServiceSettings:
    """Read the environment; what is given here comes before it.

    Raises:
        ProjectError: A value is not allowed; the sentence names its variable.
    """
    try:
        return ServiceSettings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        name = f"SERVICE_{first['loc'][0]}".upper()
        reason = first["msg"].lower().removeprefix("value error, ")
        raise ProjectError(
            f"{name} is {str(first['input'])[:80]!r}: {reason}; correct or unset it."
        ) from None
