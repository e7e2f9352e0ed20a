import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from mlchassis.config.settings import ServiceSettings
from mlchassis.serving.batching.deadline import BodyReader
from mlchassis.serving.problems import OVERLOADED, ProblemError

MOST_BYTES = ServiceSettings.model_fields["max_body_bytes"].default


def test_a_body_is_refused_while_it_streams(
    app: FastAPI, exchange: type[Any], settings: ServiceSettings
) -> None:
    chunk = b" " * 10_000
    allowed = settings.max_body_bytes // len(chunk)
    flood = asyncio.run(exchange(app, [chunk] * 1000).run())
    assert flood.status == 413
    assert flood.headers["connection"] == "close"
    assert flood.received == allowed + 1


def test_incomplete_bodies_share_a_limit_which_whole_ones_pass() -> None:
    reader = BodyReader(max_bytes=100, seconds=60.0, max_held=150)

    async def scenario() -> list[Any]:
        go = asyncio.Event()

        def send(chunk: bytes, *, more: bool) -> Any:
            messages = [{"type": "http.request", "body": chunk, "more_body": more}]

            async def receive() -> Any:
                if messages:
                    return messages.pop()
                await go.wait()
                return {"type": "http.request", "body": b"", "more_body": False}

            return receive

        first = asyncio.create_task(reader.read(send(b"a" * 80, more=True)))
        await asyncio.sleep(0)
        with pytest.raises(ProblemError) as refusal:
            await reader.read(send(b"b" * 80, more=True))
        assert (refusal.value.kind, refusal.value.headers["Connection"]) == (OVERLOADED, "close")
        whole = await reader.read(send(b"c" * 80, more=False))
        go.set()
        return [whole, await first, await reader.read(send(b"d" * 80, more=True))]

    assert asyncio.run(scenario()) == [b"c" * 80, b"a" * 80, b"d" * 80]


@pytest.mark.parametrize("length", [b"%d" % (MOST_BYTES + 1), b"9" * 30, b"9" * 5000])
def test_a_body_that_says_it_is_too_large_is_not_read(
    app: FastAPI, exchange: type[Any], length: bytes
) -> None:
    refused = asyncio.run(exchange(app, [b"{}"], [(b"content-length", length)]).run())
    assert (refused.status, refused.received) == (413, 0)


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/json; charset=utf8; charset=latin-1",
        "application/json; charset",
        "application/json; charset=rot13",
        "text/csv; charset=utf8",
        "",
        "/",
    ],
)
def test_another_media_type_is_refused(client: TestClient, media_type: str) -> None:
    answer = client.post("/predict", content=b"{}", headers={"Content-Type": media_type})
    assert answer.status_code == 415


PREDICTIONS = (
    *("/predict", "/invocations", "/v1/models/the-model:predict", "/v2/models/the-model/infer"),
    "/v2/models/the-model/versions/3/infer",
)


@pytest.mark.parametrize("path", PREDICTIONS)
def test_a_missing_or_plain_media_type_is_refused(client: TestClient, path: str) -> None:
    # What a page of another site can send without a preflight request.
    assert client.post(path, content=b"{}").status_code == 415
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = client.post(path, content=b"{}", headers={"Content-Type": media_type})
        assert answer.status_code == 415
        assert "send the header `Content-Type: application/json`" in answer.json()["detail"]


def test_a_compressed_body_is_refused(client: TestClient) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert client.post("/predict", content=b"{}", headers=headers).status_code == 415


def test_a_body_in_parts_is_put_together(app: FastAPI, exchange: type[Any]) -> None:
    answer = asyncio.run(exchange(app, [b'{"rec', b'ords":', b"[]}"]).run())
    assert answer.document["errors"][0]["pointer"] == "/records"


@pytest.mark.parametrize(
    "media_type",
    [
        *(
            "application/json",
            "Application/JSON; charset=UTF-8",
            'application/json;charset="utf-8"',
        ),
        *(
            "application/json; charset=utf8",
            "application/json ; charset=UTF_8;",
            "application/json;",
        ),
        *("application/json; charset=us-ascii", "application/json; odata=none; charset=Utf8"),
    ],
)
def test_json_in_utf_8_is_read(client: TestClient, media_type: str) -> None:
    answer = client.post("/predict", content=b"[]", headers={"Content-Type": media_type})
    assert answer.status_code == 422
