"""Requests that nobody should send, to the real process, byte by byte as they are written here.

None may be answered with 5xx or with something that is not JSON, none may leave a trace of a
failure in the log, and what was refused is never repeated whole.
"""

import gzip
import http.client
import json
import os
import random
import select
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import example_record
from mlchassis.serving.protocols.open_inference import DATATYPES

pytestmark = pytest.mark.one_python

GENERATED = int(os.environ.get("HOSTILE_EXAMPLES", "300"))
MARK = "do-not-repeat-me-" * 20
JSON = "application/json"
INFER = "/v2/models/the-model/infer"
PREDICTIONS = (
    *("/predict", "/invocations", INFER, "/v2/models/the-model/versions/3/infer"),
    "/v1/models/the-model:predict",
)
PATHS = (
    *PREDICTIONS,
    *("/", "/docs", "/openapi.json", "/metrics", "/ping", "/health", "/version"),
    *("/health/live", "/health/ready", "/v2", "/v2/health/live", "/v2/health/ready"),
    *("/v2/models/the-model", "/v2/models/the-model/ready", "/v2/models/the-model/versions/3"),
    *("/v2/models/the-model/versions/3/ready", "/v1/models", "/v1/models/the-model"),
)
# What may stand where a value is expected; most of it is not JSON.
VALUES = {
    "NaN": b"NaN",
    "infinity": b"Infinity",
    "minus infinity": b"-Infinity",
    "NaN as text": b'"NaN"',
    "infinity as text": b'"-Infinity"',
    "an overflowing number": b"1e400",
    "an overflowing negative number": b"-1e400",
    "an underflowing number": b"1e-400",
    "the largest number": b"1.7976931348623157e308",
    "the smallest number": b"5e-324",
    "minus zero": b"-0.0",
    "one more than 64 bits": b"9223372036854775808",
    "one less than 64 bits": b"-9223372036854775809",
    "an integer of 400 digits": b"9" * 400,
    "an integer of 5,000 digits": b"9" * 5000,
    "an integer of a million digits": b"9" * 1_000_000,
    "an exponent of 5,000 digits": b"1e" + b"9" * 5000,
    "a thousand decimals": b"0." + b"1" * 1000,
    "hexadecimal": b"0x10",
    "a leading zero": b"01",
    "a leading plus": b"+1",
    "no digit before the point": b".5",
    "no digit after the point": b"5.",
    "underscores": b"1_000",
    "a number as text": b'"1"',
    "true": b"true",
    "null": b"null",
    "undefined": b"undefined",
    "None": b"None",
    "nothing": b"",
    "an empty string": b'""',
    "a blank": b'" "',
    "a long word": f'"{MARK}"'.encode(),
    "a megabyte": b'"' + MARK.encode() * 3000 + b'"',
    "a lone surrogate": rb'"\ud800"',
    "surrogates in the wrong order": rb'"\udc00\ud800"',
    "an escaped zero": rb'"\u0000"',
    "a raw zero": b'"\0"',
    "a raw line end": b'"a\nb"',
    "a noncharacter": rb'"\uffff"',
    "an overlong encoding": b'"\xc0\xaf"',
    "a cut character": b'"\xe2\x82"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "Latin-1": b'"M\xfcnchen"',
    "a reversed text": '"\u202egnp.exe"'.encode(),
    "many combining marks": ('"a' + "\u0301" * 1000 + '"').encode(),
    "a cut escape": rb'"\u12"',
    "an unknown escape": rb'"\x41"',
    "single quotes": b"'a'",
    "an unfinished string": b'"' + MARK.encode(),
    "an injection into SQL": b'"\'; DROP TABLE answers; --"',
    "an injection into a log": b'"a\\r\\n{\\"event\\": \\"forged\\"}"',
    "a template": b'"' + b"{" * 2 + b'7*7}} ${jndi:ldap://x} %s%n"',
    "a path": b'"../../../etc/passwd"',
    "an impossible date": b'"2013-02-30T25:61:00Z"',
    "a distant date": b'"9999-12-31T23:59:59-23:59"',
    "the year zero": b'"0000-01-01T00:00:00Z"',
    "a list": b"[1]",
    "an empty list": b"[]",
    "an object": b'{"a": NaN}',
    "an object with a mark": json.dumps({MARK: MARK}).encode(),
    "fifty lists": b"[" * 50 + b"]" * 50,
    "a thousand lists": b"[" * 1000 + b"]" * 1000,
    "a hundred thousand lists": b"[" * 100_000 + b"]" * 100_000,
    "ten thousand objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "a hundred thousand numbers": b"[" + b"1," * 100_000 + b"1]",
}
BODIES = {
    "nothing": b"",
    "a blank": b" \n",
    "an empty object": b"{}",
    "an empty list": b"[]",
    "null": b"null",
    "true": b"true",
    "a number": b"1",
    "a string": f'"{MARK}"'.encode(),
    "NaN alone": b"NaN",
    "a cut object": b'{"records": [{"a"',
    "a cut word": b"nul",
    "two documents": b"{}{}",
    "a word after the end": b"{} x",
    "a comma too many": b'{"records": [],}',
    "a comment": b'{/* */"records": []}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"records": []}'.encode("utf-16"),
    "UTF-32": '{"records": []}'.encode("utf-32"),
    "zeros": b"\0" * 1000,
    "every byte": bytes(range(256)),
    "gzip": gzip.compress(b"{}"),
    "open lists": b"[" * 200_000,
    "open objects": b'{"a":' * 200_000,
    "no records": b'{"records": [], "instances": [], "inputs": []}',
    "records that are null": b'{"records": null, "instances": null, "inputs": null}',
    "records that are an object": b'{"records": {}, "instances": {}, "inputs": {}}',
    "records that are numbers": b'{"records": [1], "instances": [1], "inputs": [1]}',
    "records twice": b'{"records": [{}], "records": [], "inputs": [], "inputs": [{}]}',
    "1,001 records": b'{"records": [' + b"{}," * 1000 + b"{}]}",
    "a hundred thousand records": b'{"records": [' + b"{}," * 100_000 + b"{}]}",
    "a hundred thousand names": b"{"
    + b",".join(b'"%d": 0' % number for number in range(100_000))
    + b"}",
    "an unknown name": json.dumps({MARK: 1}).encode(),
    "an unknown name of a megabyte": b'{"' + MARK.encode() * 3000 + b'": 1}',
    "a prototype": b'{"__proto__": {"x": 1}, "constructor": 1}',
    "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "YAML": b"records:\n  - !!python/object/apply:os.system [ls]\n",
    "a pickle": b"\x80\x04cos\nsystem\n(S'ls'\ntR.",
    "a form": b"records=1&records=2",
}
SPLITS = {
    "no columns": b'{"data": [[1]]}',
    "no data": b'{"columns": ["a"]}',
    "null": b"null",
    "columns that are a word": b'{"columns": "ab", "data": [[1, 2]]}',
    "columns that are numbers": b'{"columns": [1, NaN], "data": [[1, 2]]}',
    "a column twice": b'{"columns": ["a", "a"], "data": [[1, 2]]}',
    "a long row": b'{"columns": ["a"], "data": [[1, 2]]}',
    "a row that is an object": b'{"columns": ["a"], "data": [{"a": 1}]}',
    "a row that is a word": b'{"columns": ["a"], "data": ["1"]}',
    "an unknown column": json.dumps({"columns": [MARK], "data": [[1]]}).encode(),
    "an index and more": b'{"columns": [], "data": [], "index": [], "dtype": "O"}',
    "no rows": b'{"columns": [], "data": []}',
    "a million empty rows": b'{"columns": [], "data": [' + b"[]," * 500_000 + b"[]]}",
}
TABLES = {
    "nothing": b"",
    "blank lines": b"\n\n\r\n",
    "a header alone": b"a,b\n",
    "an open quotation mark": b'a,b\n"1,2\n',
    "a quotation mark within": b'a,b\n1"1,2\n',
    "zeros": b"a,b\n\0,\0\n",
    "a column twice": b"a,a\n1,2\n",
    "a long line": b"a\n1,2\n",
    "a short line": b"a,b\n1\n",
    "carriage returns alone": b"a,b\r1,2\r",
    "UTF-16": "a,b\n1,2\n".encode("utf-16"),
    "Latin-1": b"a\nM\xfcnchen\n",
    "a field of a megabyte": b"a\n" + MARK.encode() * 3000 + b"\n",
    "a hundred thousand columns": b"a," * 100_000 + b"a\n",
    "a hundred thousand lines": b"a\n" + b"1\n" * 100_000,
    "a formula": b"a\n=cmd|' /C calc'!A0\n",
}
SHAPES = (
    *(b"[]", b"[-1]", b"[0]", b"[2]", b"[1, 2]", b"[1, 1, 1]", b"[1.0]", b"[true]", b"[null]"),
    *(b'"1"', b"null", b"1", b"{}", b"[1e400]", b"[99999999999999999999]", b"[1, -1]", b"[[1]]"),
)
DATATYPES_SENT = (b'"FP65"', b'"fp64"', b"null", b"1", b"[]", f'"{MARK}"'.encode(), b'"BOOL"')
MEDIA_TYPES = (
    *("", " ", ";", "/", "text/plain", "text/html", "application/xml", "multipart/form-data"),
    *("application/x-www-form-urlencoded", "application/octet-stream", "application/json;"),
    *("application/json; charset=utf-16", "application/json; charset=latin-1", "application/jsonx"),
    *("text/csv; header=maybe", "text/csv; delimiter=x", "application/json; charset=" + "x" * 5000),
    *("application/json; a" * 500, 'application/json; charset="utf-8', "application/json;;;="),
    *("application/json, text/csv", "text/csv; charset=utf-7", "*/*", "application/" + "x" * 5000),
)
HEADERS = {
    "a request id with a line end": b"X-Request-ID: a\r\nInjected: 1",
    "a request id with a bare line end": b"X-Request-ID: a\nInjected: 1",
    "a request id of 7 KB": b"X-Request-ID: " + b"x" * 7000,
    "a request id that is empty": b"X-Request-ID:",
    "a request id in Latin-1": b"X-Request-ID: \xfc\xff",
    "a request id with a zero": b"X-Request-ID: a\0b",
    "two request ids": b"X-Request-ID: a\r\nX-Request-ID: b",
    "a compressed body": b"Content-Encoding: gzip",
    "an unknown encoding": b"Content-Encoding: x, y",
    "binary tensors": b"Inference-Header-Content-Length: 10",
    "an upgrade to HTTP/2": b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AA",
    "an upgrade to a web socket": b"Connection: Upgrade\r\nUpgrade: websocket",
    "an expectation": b"Expect: the-unexpected",
    "a strange wish": b"Accept: image/png;q=NaN\r\nAccept-Encoding: zz",
    "a range": b"Range: bytes=0-18446744073709551615",
    "a length that is negative": b"Content-Length: -1",
    "a length that is a word": b"Content-Length: many",
    "a length with an exponent": b"Content-Length: 1e3",
    "a length of 5,000 digits": b"Content-Length: " + b"9" * 5000,
    "a length of 64 bits": b"Content-Length: 18446744073709551615",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 3",
    "a length and chunks": b"Content-Length: 2\r\nTransfer-Encoding: chunked",
    "an unknown transfer": b"Transfer-Encoding: gzip, identity",
    "a header without a name": b": x",
    "a header without a colon": b"nonsense",
    "a header with a blank": b"X Y: 1",
    "a folded header": b"X-Y: 1\r\n  2",
    "a large header": b"X-Y: " + b"x" * 100_000,
    "five thousand headers": b"\r\n".join(b"X-%d: 1" % number for number in range(5000)),
    "a forwarded address": b"X-Forwarded-For: " + MARK.encode() + b"\r\nX-Forwarded-Proto: NaN",
    "another host": b"Host: [::1]:99999/",
}
LINES = {
    "an unknown method": b"BREW /predict HTTP/1.1",
    "a small method": b"post /predict HTTP/1.1",
    "TRACE": b"TRACE /predict HTTP/1.1",
    "CONNECT": b"CONNECT 127.0.0.1:22 HTTP/1.1",
    "OPTIONS for all": b"OPTIONS * HTTP/1.1",
    "a long method": b"X" * 10_000 + b" / HTTP/1.1",
    "a long path": b"GET /" + b"a" * 30_000 + b" HTTP/1.1",
    "a path with the mark": b"GET /" + MARK.encode() + b" HTTP/1.1",
    "a zero": b"GET /%00 HTTP/1.1",
    "bad UTF-8": b"GET /%ff%fe HTTP/1.1",
    "a bad escape": b"GET /%zz HTTP/1.1",
    "a way up": b"GET /../../etc/passwd HTTP/1.1",
    "an escaped way up": b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1",
    "two slashes": b"GET //predict// HTTP/1.1",
    "a slash at the end": b"GET /predict/ HTTP/1.1",
    "another address": b"GET http://example.com/predict HTTP/1.1",
    "a raw byte": b"GET /\xff HTTP/1.1",
    "a long query": b"GET /health/live?" + b"a=1&" * 5000 + b" HTTP/1.1",
    "no path": b"GET  HTTP/1.1",
    "no version": b"GET /",
    "an old version": b"GET /health/live HTTP/1.0",
    "a version to come": b"GET / HTTP/9.9",
    "HTTP/2": b"PRI * HTTP/2.0",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a model's name of 5 KB": b"GET /v2/models/" + b"x" * 5000 + b" HTTP/1.1",
    "a model's name of escapes": b"GET /v2/models/%0d%0aInjected:%201/ready HTTP/1.1",
    "a model's version below zero": b"GET /v2/models/the-model/versions/-1 HTTP/1.1",
}


@dataclass(frozen=True)
class Case:
    """One request, as the bytes that are sent.

    Attributes:
        cut: True if it stops in the middle, so that nothing comes until the sender hangs up.
    """

    name: str
    request: bytes
    cut: bool = False


def post(path: str, body: bytes, media_type: str = JSON, *extra: bytes) -> bytes:
    sized = any(line.lower().startswith((b"content-length", b"transfer-")) for line in extra)
    length = [] if sized else [b"Content-Length: %d" % len(body)]
    kind = f"Content-Type: {media_type}".encode()
    return b"\r\n".join(
        [f"POST {path} HTTP/1.1".encode(), b"Host: localhost", kind, *length, *extra, b"", body]
    )


def write_forms(
    record: Mapping[str, bytes], contract: Contract
) -> Iterator[tuple[str, str, bytes]]:
    """Each way to send one record whose values are JSON already: its name, its path, its body."""
    kinds = {column.name: column.kind for column in contract.request_columns}
    names = [json.dumps(name).encode() for name in record]
    values = list(record.values())
    one = b"{" + b",".join(b": ".join(pair) for pair in zip(names, values, strict=True)) + b"}"
    split = b'{"columns": [%s], "data": [[%s]]}' % (b",".join(names), b",".join(values))
    columns = b",".join(b"%s: [%s]" % pair for pair in zip(names, values, strict=True))
    tensors = b",".join(
        b'{"name": %s, "datatype": "%s", "shape": [1], "data": [%s]}'
        % (json.dumps(name).encode(), DATATYPES[kinds[name]][0].encode(), value)
        for name, value in record.items()
    )
    yield "records", "/predict", b'{"records": [%s]}' % one
    yield "explained", "/predict", b'{"explain": true, "records": [%s]}' % one
    yield "split", "/invocations", b'{"dataframe_split": %s}' % split
    yield "frame", "/invocations", b'{"dataframe_records": [%s]}' % one
    yield "instances", "/invocations", b'{"instances": [%s]}' % one
    yield "inputs", "/invocations", b'{"inputs": {' + columns + b"}}"
    yield "tensors", INFER, b'{"inputs": [%s]}' % tensors


def list_values(contract: Contract) -> Iterator[Case]:
    """Every value for the first number and the first word of the contract, in every form."""
    example = {name: json.dumps(v).encode() for name, v in example_record(contract).items()}
    first: dict[bool, str] = {}
    for column in contract.features:
        first.setdefault(column.is_numeric, column.name)
    for place in first.values():
        for name, value in VALUES.items():
            for form, path, body in write_forms({**example, place: value}, contract):
                yield Case(f"{name} in {place}, {form}", post(path, body))
            table = f"{place}\n".encode() + value + b"\n"
            yield Case(f"{name} in {place}, CSV", post("/invocations", table, "text/csv"))


def list_bodies() -> Iterator[Case]:
    """Every body, header and kind of chunk, to each path that predicts."""
    chunks = (b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n", b"f" * 40 + b"\r\n{}", b"2\r\n{", b"2\r\n{}xx")
    for path in PREDICTIONS:
        for name, body in BODIES.items():
            yield Case(f"{name} to {path}", post(path, body))
        for kind in MEDIA_TYPES:
            yield Case(f"{path} as {kind!r:.40}", post(path, b"{}", kind))
        for name, header in HEADERS.items():
            cut = "a length" in name or "transfer" in name
            yield Case(f"{name} to {path}", post(path, b"{}", JSON, header), cut)
        yield Case(f"a cut body to {path}", post(path, b"{", JSON, b"Content-Length: 99"), cut=True)
        for chunk in chunks:
            chunked = post(path, chunk, JSON, b"Transfer-Encoding: chunked")
            yield Case(f"chunks {chunk[:4]!r} to {path}", chunked, cut=True)


def list_frames(contract: Contract) -> Iterator[Case]:
    """Frames, tables and tensors that are none."""
    for name, split in SPLITS.items():
        body = b'{"dataframe_split": %s}' % split
        yield Case(f"{name} in a split", post("/invocations", body))
    for name, table in TABLES.items():
        yield Case(f"{name} in CSV", post("/invocations", table, "text/csv"))
    column = json.dumps(contract.features[0].name).encode()
    kind = b'"%s"' % DATATYPES[contract.features[0].kind][0].encode()
    for shape, datatype in [(s, kind) for s in SHAPES] + [(b"[1]", d) for d in DATATYPES_SENT]:
        described = b'"name": %s, "shape": %s, "datatype": %s' % (column, shape, datatype)
        body = b'{"inputs": [{' + described + b', "data": [1]}]}'
        yield Case(f"a tensor {shape.decode()} of {datatype.decode():.20}", post(INFER, body))


def list_lines() -> Iterator[Case]:
    """Every method to every path, and lines that no client would begin with."""
    for path in PATHS:
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
            line = f"{method} {path}?q=NaN HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
            yield Case(f"{method} {path}", line.encode())
    for name, first in LINES.items():
        yield Case(name, first + b"\r\nHost: localhost\r\n\r\n", cut=name == "CONNECT")


def exchange_bytes(
    address: tuple[str, int], request: bytes, *, cut: bool = False, patience: float | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Send bytes until they are gone or an answer comes; (0, {}, b"") where none does.

    Args:
        address: Host and port.
        request: The bytes.
        cut: True to close the sending half at once.
        patience: Seconds without an answer after which to close it.
    """
    with socket.create_connection(address, timeout=60) as connection:
        view = memoryview(request)
        with suppress(ConnectionError):
            while view and not select.select([connection], [], [], 0)[0]:
                view = view[connection.send(view[:65536]) :]
            if patience is not None:
                cut = not select.select([connection], [], [], patience)[0]
            if cut:
                connection.shutdown(socket.SHUT_WR)
        method = request.partition(b" ")[0].decode("latin-1")
        answer = http.client.HTTPResponse(connection, method=method)
        try:
            answer.begin()
            body = answer.read()
        except (ConnectionError, http.client.BadStatusLine):
            return 0, {}, b""
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, body


def check_answer(name: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Check an answer by the rules that the service promises for all of them."""
    assert status < 500, (name, status, body[:300])
    assert "injected" not in headers, name
    if status >= 400:
        assert headers["content-type"] == "application/problem+json", name
        assert len(headers["x-request-id"]) <= 128, name
        assert MARK.encode() not in body, name
        assert len(body) < 10_000, name
    if body and "json" in headers["content-type"]:
        document = json.loads(body, parse_constant=lambda word: pytest.fail(f"{name}: {word}"))
        if status >= 400:
            assert {"type", "title", "status", "detail", "request_id"} <= set(document), name
            assert document["status"] == status, name
            document["detail"].encode()  # no lone surrogate among it


@pytest.fixture
def service(start: Callable[..., Any]) -> Any:
    running = start()
    url = urlsplit(running.wait_until_serving())
    running.address = (url.hostname, url.port)
    return running


def check_log(service: Any) -> None:
    """Nothing failed: neither a traceback nor a line that says so."""
    assert service.process.poll() is None
    assert service.errors == ""
    entries = [json.loads(line) for line in service.output.splitlines()]
    assert {entry["level"] for entry in entries} <= {"info", "warning"}, entries[-3:]
    assert "Traceback" not in service.output
    assert MARK not in service.output
    assert "forged" not in service.output


def test_no_request_of_the_table_is_answered_wrongly(service: Any, contract: Contract) -> None:
    cases = [*list_values(contract), *list_bodies(), *list_frames(contract), *list_lines()]
    assert len({case.request for case in cases}) >= 365
    statuses: Counter[int] = Counter()
    for case in cases:
        status, headers, body = exchange_bytes(service.address, case.request, cut=case.cut)
        if status:
            check_answer(case.name, status, headers, body)
        else:
            # Who hangs up, or is told off while still sending, may hear nothing.
            assert case.cut or "large" in case.name or "five thousand" in case.name, case.name
        statuses[status] += 1
    assert statuses[200] >= 20
    assert statuses[400] > 50
    assert statuses[422] > 200
    check_log(service)


AMBIGUOUS = {
    "no host": b"GET /version HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /version HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "180 kB of headers": b"GET /version HTTP/1.1\r\nHost: localhost\r\n"
    + b"X-Y: %s\r\n" % (b"x" * 18_000) * 10
    + b"\r\n",
    "chunks in HTTP/1.0": b"POST /predict HTTP/1.0\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "compressed chunks": post(
        "/predict", b"2\r\n{}\r\n0\r\n\r\n", JSON, b"Transfer-Encoding: gzip, chunked"
    ),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_head_is_a_bad_request(service: Any, name: str) -> None:
    status, headers, body = exchange_bytes(service.address, AMBIGUOUS[name])
    check_answer(name, status, headers, body)
    assert (status, headers["connection"]) == (400, "close")


def read_peak(process: int) -> int:
    """Bytes of memory that a process has had at most."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process had at most")
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_64_megabytes_costs_next_to_no_memory(service: Any, *, chunked: bool) -> None:
    size = 64 * 1024 * 1024
    word = b'{"records": [{"a": "' + b"x" * size + b'"}]}'
    request = post("/predict", word)
    if chunked:
        parts = (word[at : at + 65536] for at in range(0, len(word), 65536))
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        request = post("/predict", body, JSON, b"Transfer-Encoding: chunked")
    # What any first request costs is not the large one's.
    exchange_bytes(service.address, post("/predict", b'{"records": ["' + b"x" * 100_000 + b'"]}'))
    before = read_peak(service.process.pid)
    answers = [exchange_bytes(service.address, request)[0] for _ in range(3)]
    assert set(answers) <= {413, 0}
    assert 413 in answers
    assert read_peak(service.process.pid) - before < 10 * 1024 * 1024
    check_log(service)


def test_a_body_that_comes_slowly_is_refused_in_time(start: Callable[..., Any]) -> None:
    url = urlsplit(start(DEADLINE_SECONDS="0.3").wait_until_serving())
    for path in PREDICTIONS:
        with socket.create_connection(
            (url.hostname or "", url.port or 0), timeout=60
        ) as connection:
            connection.sendall(post(path, b"{", JSON, b"Content-Length: 1000"))
            with suppress(ConnectionError):
                while not select.select([connection], [], [], 0.05)[0]:
                    connection.send(b" ")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            check_answer(path, answer.status, dict(answer.headers), answer.read())
            assert (answer.status, answer.headers["connection"]) == (408, "close")


def test_no_generated_request_is_answered_wrongly(service: Any, contract: Contract) -> None:
    names = [column.name for column in contract.request_columns]
    example = example_record(contract)
    anything = st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.sampled_from(names),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(names), inner),
        max_leaves=20,
    )
    records = st.lists(
        st.dictionaries(st.sampled_from(names), anything).map(lambda some: {**example, **some}),
        max_size=3,
    )
    forms = st.one_of(
        st.fixed_dictionaries({"records": records | anything}, optional={"explain": anything}),
        *(
            st.fixed_dictionaries({form: records | anything})
            for form in ("dataframe_split", "dataframe_records", "instances", "inputs")
        ),
        st.fixed_dictionaries(
            {
                "inputs": st.lists(
                    st.fixed_dictionaries(
                        {
                            k: anything | st.sampled_from(names)
                            for k in ("name", "shape", "datatype", "data")
                        }
                    )
                )
            },
            optional={"outputs": anything, "id": anything},
        ),
        anything,
    )
    bodies = forms.map(lambda found: json.dumps(found, ensure_ascii=True).encode()) | st.binary()
    kinds = st.sampled_from([JSON, JSON, JSON, "text/csv"])

    @settings(
        max_examples=GENERATED,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(path=st.sampled_from(PREDICTIONS), body=bodies, kind=kinds)
    def ask(path: str, body: bytes, kind: str) -> None:
        status, headers, content = exchange_bytes(service.address, post(path, body, kind))
        assert status in {200, 400, 413, 415, 422}
        check_answer(repr(body), status, headers, content)

    ask()
    check_log(service)


TOKENS = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b"%",
        b"%00",
        b"../",
        b"//",
        b"?",
        b"#",
    ),
    *(b"\xff", b"\xed\xa0\x80", b"HTTP/1.0", b"HTTP/2.0", b"Host: x\r\n", b"Host: localhost\r\n"),
    *(b"Content-Length: 0\r\n", b"Content-Length: 7\r\n", b"Content-Length: -1\r\n"),
    *(
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Expect: 100-continue\r\n",
    ),
    *(
        b"Connection: close\r\n",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
        b"Content-Type: text/csv\r\n",
    ),
    *(
        b"X-Y: " + b"y" * 20_000 + b"\r\n",
        b"X-API-Key: x\r\n",
        b"traceparent: 00-x\r\n",
        b"Origin: null\r\n",
    ),
    *(b"NaN", b"null", b"[[", b"{}", b'"', b"\\u", b"1e999", b"0\r\n\r\n", b"ffffffffffffffff\r\n"),
)
LARGEST = 30_000


def mutate(chance: random.Random, request: bytes) -> bytes:
    """Change a request in one to three places."""
    for _ in range(chance.randint(1, 3)):
        start = chance.randrange(len(request) + 1)
        if chance.random() < 0.2:
            # Heads are short beside bodies, and are what a server reads first.
            start = min(start, chance.randrange(request.find(b"\r\n\r\n") + 2 or 1))
        end = start + chance.choice((0, 0, 1, 1, 2, 8, 40))
        middle = chance.choice(
            (b"", request[start:end] * 2, chance.choice(TOKENS), chance.randbytes(3))
        )
        request = request[:start] + middle + request[end:]
    return request


def test_no_mutated_request_is_answered_wrongly(service: Any, contract: Contract) -> None:
    chance = random.Random(20261128)  # the same requests in every run
    record = {name: json.dumps(value).encode() for name, value in example_record(contract).items()}
    bases = [post(path, body) for _, path, body in write_forms(record, contract)]
    cases = [*list_bodies(), *list_frames(contract), *list_lines()]
    others = [case.request for case in cases if len(case.request) < LARGEST]
    statuses: Counter[int] = Counter()
    before = read_peak(service.process.pid)
    for number in range(GENERATED):
        request = mutate(chance, chance.choice(bases if number % 2 else others))
        status, headers, body = exchange_bytes(service.address, request, patience=0.05)
        if status:
            check_answer(repr(request[:300]), status, headers, body)
        statuses[status] += 1
    assert {200, 400, 404, 405, 415, 421, 422} <= set(statuses)
    # What is left without an answer stops in the middle.
    assert statuses[0] < GENERATED / 2, statuses
    assert read_peak(service.process.pid) - before < 50 * 1024 * 1024
    assert exchange_bytes(service.address, bases[0])[0] == 200
    check_log(service)
