"""Names from a bucket never leave the folder that its objects are copied to."""

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote
from xml.sax.saxutils import escape

import pytest

from mlchassis.config.source_params import S3Params
from mlchassis.confinement import NameLeavesFolderError, place_inside
from mlchassis.errors import ProjectError
from mlchassis.sources.s3 import fetched

ReadBucket = Callable[[list[str]], list[str]]
OUTSIDE = [
    "",
    ".",
    "..",
    "../a.csv",
    "a/../../b.csv",
    "a/..",
    "./a.csv",
    "a//b.csv",
    "/etc/passwd",
    "a/",
    "..\\a.csv",
    "C:\\a.csv",
    "a\x00.csv",
    "a\nb.csv",
    "a\x1b[2K.csv",
    "a\u202eb.csv",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_could_leave_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(NameLeavesFolderError, match="could leave the folder") as caught:
        place_inside(tmp_path, name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "name", ["a.csv", "x/y/z.csv", "...", "..a", "ä b.csv", ".hidden", "-rf", "~"]
)
def test_an_ordinary_name_lies_inside(name: str, tmp_path: Path) -> None:
    assert place_inside(tmp_path, name) == tmp_path / name


def test_a_link_inside_does_not_lead_out(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(NameLeavesFolderError):
        place_inside(folder, "link/a.csv")


LISTING = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>a/c/</Prefix>
<KeyCount>{count}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>"""
KEY = """<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>
<ETag>"0"</ETag><Size>4</Size><StorageClass>STANDARD</StorageClass></Contents>"""


@contextmanager
def bucket(keys: list[str]) -> Iterator[str]:
    """A server of the S3 protocol that lists whatever keys it likes, and serves each of them."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.respond(404 if unquote(self.path).rstrip("/") == "/b/a/c" else 200, b"x\n1\n")

        def do_GET(self) -> None:
            if "list-type" in self.path:
                listed = "".join(KEY.format(key=escape(key)) for key in keys)
                self.respond(200, LISTING.format(count=len(keys), keys=listed).encode())
            else:
                self.respond(200, b"x\n1\n")

        def respond(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"0"')
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def read_bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ReadBucket:
    """Copy a bucket with these keys into a folder, and return the names of the files there."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def read(keys: list[str]) -> list[str]:
        with bucket(keys) as endpoint:
            params = S3Params(kind="s3", path="s3://b/a/c", endpoint=endpoint, region="eu-west-1")
            with fetched(params) as folder:
                return sorted(
                    p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()
                )

    return read


def test_the_keys_of_an_honest_bucket_are_copied(
    read_bucket: ReadBucket,
) -> None:
    assert read_bucket(["a/c/one.csv", "a/c/x/two.csv"]) == ["one.csv", "x/two.csv"]


@pytest.mark.parametrize(
    "key", ["a/c/../../escaped.csv", "a/c/x/../../../escaped.csv", "a/c/..\\escaped.csv"]
)
def test_a_key_that_leaves_the_folder_is_refused_and_nothing_is_written_outside(
    key: str, read_bucket: ReadBucket, tmp_path: Path
) -> None:
    with pytest.raises(ProjectError, match=r"s3://b/a/c cannot be read: the name .* could leave"):
        read_bucket(["a/c/one.csv", key])
    assert not [p for p in tmp_path.rglob("*") if "escaped" in p.name]
