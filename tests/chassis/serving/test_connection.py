"""Limits of a connection, tried against the real process with raw bytes."""

import asyncio
import json
import re
import resource
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from mlchassis.serving.server.http.connection import Connection
from mlchassis.serving.server.http.limits import (
    ConnectionLimits,
    count_accepts,
    count_connections,
)

JSON = "Content-Type: application/json"
MEGABYTE = 1024 * 1024


@contextmanager
def connect(url: str) -> Iterator[socket.socket]:
    """A connection to a service."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 0)
    with socket.create_connection(address, timeout=30) as connection:
        yield connection


def write_head(*lines: str, target: str = "POST /predict") -> bytes:
    return "\r\n".join([f"{target} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


def read_all(connection: socket.socket) -> bytes:
    """Read until the service closes; a reset fails the test."""
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def read_response(connection: socket.socket) -> tuple[int, Any]:
    """Read one response: its status and its JSON body."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        assert part, received
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(re.findall(rb"(?i)content-length: (\d+)", head)[0])
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1]), json.loads(body)


def read_memory(process: int) -> int:
    """Resident memory of a process in bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) * 1024


def is_closed(connection: socket.socket) -> bool:
    """True once the service has closed a connection; waits for that."""
    with suppress(ConnectionError):
        read_all(connection)
    return True


def test_an_oversized_body_gets_its_problem(start: Callable[..., Any]) -> None:
    url = start().wait_until_serving()
    body = b"x" * (12 * MEGABYTE)
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    for framing, content in (
        (f"Content-Length: {len(body)}", body),
        ("Transfer-Encoding: chunked", chunk),
    ):
        for _ in range(3):
            with connect(url) as connection:
                connection.sendall(write_head(JSON, framing))
                connection.sendall(content)
                head, _, document = read_all(connection).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 413 ")
            assert b"\r\nconnection: close" in head.lower()
            assert json.loads(document)["type"] == "/docs#body-too-large"


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("Content-Type: text/plain",), 415),
        ((JSON, "Content-Encoding: gzip"), 415),
        ((JSON,), 401),
    ],
    ids=["type", "encoding", "key"],
)
@pytest.mark.parametrize("expects", [False, True], ids=["sends", "expects 100"])
def test_an_early_refusal_reaches_a_client_that_still_sends(
    start: Callable[..., Any], tmp_path: Path, lines: tuple[str, ...], status: int, *, expects: bool
) -> None:
    changes = {}
    if status == 401:
        keys = tmp_path / "keys"
        keys.write_text("0" * 64 + "\n")
        changes["API_KEYS_FILE"] = str(keys)
    url = start(**changes).wait_until_serving()
    size = MEGABYTE
    extra = ("Expect: 100-continue",) if expects else ()
    with connect(url) as connection:
        connection.sendall(write_head(*lines, f"Content-Length: {size}", *extra))
        if not expects:
            connection.sendall(b"x" * size)
        received = read_all(connection)
    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nconnection: close" in received.lower()


def test_a_client_that_expects_100_gets_it(
    start: Callable[..., Any], rows: list[dict[str, Any]]
) -> None:
    url = start().wait_until_serving()
    body = json.dumps({"records": rows}).encode()
    with connect(url) as connection:
        connection.sendall(write_head(JSON, f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        status, answer = read_response(connection)
    assert status == 200
    assert len(answer["predictions"]) == len(rows)


UPGRADE = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
"""Headers of a client that would rather speak HTTP/2, such as Java's."""


@pytest.mark.parametrize("expects", [False, True], ids=["sends", "expects 100"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_body_behind_an_offer_of_http_2_is_read(
    start: Callable[..., Any], rows: list[dict[str, Any]], *, chunked: bool, expects: bool
) -> None:
    url = start().wait_until_serving()
    body = json.dumps({"records": rows}).encode()
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    extra = ("Expect: 100-continue",) if expects else ()
    with connect(url) as connection:
        connection.sendall(write_head(JSON, framing, *UPGRADE, *extra))
        if expects:
            assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(sent[:50])
        # What follows is another protocol's or another request; the connection ends before it.
        connection.sendall(sent[50:] + write_head(target="GET /version"))
        head, _, document = read_all(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nconnection: close" in head
    assert len(json.loads(document)["predictions"]) == len(rows)


@pytest.mark.parametrize(
    ("body", "status"), [(b"zz\r\n", 400), (b"300001\r\n" + b"x" * 0x300001 + b"\r\n", 413)]
)
def test_limits_hold_for_a_body_behind_an_offer_of_http_2(
    start: Callable[..., Any], body: bytes, status: int
) -> None:
    url = start().wait_until_serving()
    with connect(url) as connection:
        connection.sendall(write_head(JSON, "Transfer-Encoding: chunked", *UPGRADE) + body)
        answer, problem = read_response(connection)
    assert (answer, problem["status"]) == (status, status)


@pytest.mark.parametrize(
    ("request_line", "lines"),
    [
        ("GET /health/live HTTP/1.0", ()),
        ("GET /health/live HTTP/1.1", ("Connection: close",)),
        ("GET /health/live HTTP/1.1", UPGRADE),
    ],
)
def test_the_last_response_of_a_connection_says_so(
    start: Callable[..., Any], request_line: str, lines: tuple[str, ...]
) -> None:
    url = start().wait_until_serving()
    with connect(url) as connection:
        connection.sendall("\r\n".join([request_line, "Host: localhost", *lines, "", ""]).encode())
        received = read_all(connection)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.count(b"\r\nconnection: close\r\n") == 1


def test_an_address_without_a_path_is_that_of_the_page(start: Callable[..., Any]) -> None:
    url = start().wait_until_serving()
    with connect(url) as connection:
        connection.sendall(write_head("Connection: close", target=f"GET {url}"))
        assert read_all(connection).startswith(b"HTTP/1.1 200 ")


def test_a_refusal_of_the_server_names_the_proxys_prefix(start: Callable[..., Any]) -> None:
    url = start(ROOT_PATH="/models/orders").wait_until_serving()
    with connect(url) as connection:
        connection.sendall(b"no HTTP\r\n\r\n")
        assert read_response(connection)[1]["type"] == "/models/orders/docs#request-rejected"


def test_a_request_that_is_not_http_is_counted(start: Callable[..., Any]) -> None:
    url = start().wait_until_serving()
    with connect(url) as connection:
        connection.sendall(b"no HTTP\r\n\r\n")
        assert read_response(connection)[0] == 400
    with connect(url) as connection:
        connection.sendall(write_head("Connection: close", target="GET /metrics"))
        metrics = read_all(connection).decode()
    assert 'service_requests_total{method="unknown",route="unknown",status="400"} 1.0' in metrics


def test_trailers_without_end_are_refused_and_not_kept(start: Callable[..., Any]) -> None:
    service = start()
    url = service.wait_until_serving()
    head = write_head("Transfer-Encoding: chunked", target="GET /version")
    for flood in (b"a:b\r\n" * 13_000, b"a" * 65_000):
        before = read_memory(service.process.pid)
        with connect(url) as connection, suppress(ConnectionError):
            connection.sendall(head + b"0\r\n" + (b"" if b":" in flood else b"t: "))
            for _ in range(185):
                connection.sendall(flood)
            assert is_closed(connection)
        assert read_memory(service.process.pid) - before < 8 * MEGABYTE


def test_headers_beyond_64_kib_are_refused_however_they_are_written(
    start: Callable[..., Any],
) -> None:
    url = start().wait_until_serving()
    for size, status in ((40_000, 200), (180_000, 400)):
        with connect(url) as connection:
            line = "X-Large: " + "x" * size
            connection.sendall(write_head(line, target="GET /health/live"))
            assert read_response(connection)[0] == status


@pytest.mark.one_python
@pytest.mark.parametrize(
    "request_head",
    [
        b"POST /predict HTTP/1.0\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        write_head(JSON, "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
        write_head(JSON, "Transfer-Encoding: chunked", "Content-Length: 3") + b"0\r\n\r\n",
        b"no HTTP\r\n\r\n",
    ],
    ids=["1.0", "gzip", "length and chunks", "no HTTP"],
)
def test_framing_that_servers_differ_about_is_refused(
    start: Callable[..., Any], request_head: bytes
) -> None:
    url = start().wait_until_serving()
    with connect(url) as connection:
        connection.sendall(request_head)
        status, problem = read_response(connection)
        assert (status, problem["type"]) == (400, "/docs#request-rejected")
        assert is_closed(connection)


def test_a_malformed_request_waits_for_the_responses_before_it(start: Callable[..., Any]) -> None:
    url = start().wait_until_serving()
    with connect(url) as connection:
        connection.sendall(write_head(target="GET /health/live") * 2 + b"no HTTP\r\n\r\n")
        received = read_all(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"200", b"400"]


@pytest.mark.one_python
def test_silent_and_slow_connections_are_closed(start: Callable[..., Any]) -> None:
    url = start(DEADLINE_SECONDS="0.3").wait_until_serving()
    beginnings = (b"", b"GET /health/live HTTP/1.1\r\nX: ", b"\r\n")
    for beginning in beginnings:
        with connect(url) as connection:
            connection.sendall(beginning)
            end = time.monotonic() + 20
            with suppress(ConnectionError):
                connection.settimeout(0.05)
                while time.monotonic() < end:
                    # It never rests for long, so that only the whole counts.
                    connection.sendall(b"\r\n" if beginning == b"\r\n" else b"x" * bool(beginning))
                    with suppress(TimeoutError):
                        if connection.recv(1000) == b"":
                            break
            assert time.monotonic() < end


@pytest.mark.one_python
def test_a_body_that_no_route_reads_is_bounded_in_time(start: Callable[..., Any]) -> None:
    url = start(DEADLINE_SECONDS="0.3").wait_until_serving()
    with connect(url) as connection:
        connection.sendall(write_head("Content-Length: 1000", target="GET /health/live"))
        assert read_response(connection)[0] == 200
        end = time.monotonic() + 20
        with suppress(ConnectionError):
            while time.monotonic() < end:
                connection.sendall(b"x")
                connection.settimeout(0.1)
                with suppress(TimeoutError):
                    if connection.recv(1000) == b"":
                        break
        assert time.monotonic() < end


@dataclass
class SlowService:
    """A server in this process that answers each request with as many bytes, and its client."""

    size: int
    status: int = 200
    cancels: bool = False
    state: ServerState = field(default_factory=ServerState)
    requests: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests += 1
        if self.cancels:
            raise asyncio.CancelledError
        headers = [(b"content-length", str(self.size).encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * self.size})

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[socket.socket]:
        """A connection of which the kernel buffers only a few kilobytes."""
        config = Config(self, log_config=None, lifespan="off", timeout_keep_alive=1)
        limits = ConnectionLimits(
            max_connections=10,
            max_accepts=10,
            read_seconds=0.2,
            message_seconds=0.2,
            send_seconds=0.2,
            linger_bytes=0,
        )
        loop = asyncio.get_running_loop()
        with socket.socket() as listener, socket.socket() as client:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            listener.bind(("127.0.0.1", 0))
            make = partial(Connection, config, self.state, {}, limits)
            server = await loop.create_server(make, sock=listener)
            client.setblocking(False)
            await loop.sock_connect(client, listener.getsockname())
            while not self.state.connections:
                await asyncio.sleep(0)
            yield client
            server.close()

    async def is_rid_of_its_client(self, seconds: float) -> bool:
        """True once the connection is gone; waits so long for that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.state.connections:
                    await asyncio.sleep(0.05)
        return not self.state.connections


@pytest.mark.parametrize("lines", [(), ("Connection: close",)], ids=["kept", "last"])
def test_a_client_that_does_not_read_its_response_is_cut_off(lines: tuple[str, ...]) -> None:
    async def ask() -> None:
        service = SlowService(150_000)
        async with service.connect() as client:
            await asyncio.get_running_loop().sock_sendall(client, write_head(*lines))
            assert not await service.is_rid_of_its_client(1)
            assert await service.is_rid_of_its_client(4)

    asyncio.run(asyncio.wait_for(ask(), 20))


def test_a_client_that_reads_slowly_but_steadily_gets_its_whole_response() -> None:
    async def ask() -> None:
        service = SlowService(400_000)
        received = 0
        async with service.connect() as client:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, write_head())
            # Longer than an idle connection is kept.
            while received < service.size:
                part = await loop.sock_recv(client, 8192)
                assert part, received
                received += len(part)
                await asyncio.sleep(0.04)

    asyncio.run(asyncio.wait_for(ask(), 20))


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_sends_none(status: int) -> None:
    async def ask() -> None:
        async with SlowService(5, status).connect() as client:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, write_head() + write_head("Connection: close"))
            received = b""
            while part := await loop.sock_recv(client, 65536):
                received += part
            assert received.count(b"HTTP/1.1 %d " % status) == 2
            assert b"xxxxx" not in received

    asyncio.run(asyncio.wait_for(ask(), 20))


def test_a_cancelled_request_ends_its_connection() -> None:
    async def ask() -> None:
        async with SlowService(5, cancels=True).connect() as client:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, write_head())
            assert await loop.sock_recv(client, 65536) == b""

    asyncio.run(asyncio.wait_for(ask(), 20))


def test_further_requests_wait_until_their_client_reads() -> None:
    async def ask() -> None:
        service = SlowService(150_000)
        async with service.connect() as client:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, write_head() * 19 + write_head("Connection: close"))
            await asyncio.sleep(0.5)
            assert service.requests == 1
            while await loop.sock_recv(client, 65536):
                pass
            assert service.requests == 20

    asyncio.run(asyncio.wait_for(ask(), 20))


@pytest.mark.one_python
def test_connections_beyond_the_limit_get_503_and_health_answers_again(
    start: Callable[..., Any],
) -> None:
    service = start(descriptors=256)
    url = service.wait_until_serving()
    with ExitStack() as stack:
        held = [stack.enter_context(connect(url)) for _ in range(260)]
        refused = [read_refusal(connection) for connection in held[165:200]]
        assert 503 in refused
        assert service.output.count("out of system resource") < 5
        stack.close()
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with suppress(OSError, AssertionError), connect(url) as connection:
                connection.sendall(write_head(target="GET /health/live"))
                if read_response(connection)[0] == 200:
                    return
            time.sleep(0.1)
        raise AssertionError("health does not answer again")


def read_refusal(connection: socket.socket) -> int:
    """Status of a connection that was refused; 0 if it was reset."""
    with suppress(OSError, AssertionError):
        connection.settimeout(0.5)
        return read_response(connection)[0]
    return 0


def test_the_limit_of_connections_leaves_descriptors_for_files() -> None:
    assert count_connections(256) == 170
    assert count_connections(resource.RLIM_INFINITY) == 10_000


@pytest.mark.parametrize("descriptors", [256, 1024, 65_536])
def test_two_turns_of_accepted_connections_fit_beside_those_that_are_open(
    descriptors: int,
) -> None:
    most = count_connections(descriptors) + count_connections(descriptors) // 10
    assert most + 2 * count_accepts(descriptors) + 16 < descriptors
