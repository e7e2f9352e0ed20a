"""Facts as JSON files."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from mlchassis.errors import ProjectError
from mlchassis.reports import load_report, read_report, write_report

FACTS = {"rows": 3, "proportion": 0.1, "name": "größe", "nothing": None, "list": [1, "a"]}


def test_facts_read_back_as_they_were_written(tmp_path: Path) -> None:
    write_report(tmp_path / "deep" / "facts.json", FACTS)

    assert read_report(tmp_path / "deep" / "facts.json") == FACTS


def test_a_report_that_is_no_json_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    write_report(path, FACTS)

    with pytest.raises(ValueError, match="not JSON compliant"):
        write_report(path, {"proportion": float("nan")})
    assert read_report(path) == FACTS


def test_a_missing_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"facts\.json is missing; run `make repro`"):
        read_report(tmp_path / "facts.json")


@pytest.mark.parametrize("content", [b"", b'{"rows": 3', b"rows: 3", b"\xff\xfe", b'"\xff"'])
def test_half_a_report_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "facts.json").write_bytes(content)

    with pytest.raises(ProjectError, match=r"facts\.json is cut short or was edited"):
        read_report(tmp_path / "facts.json")


class Facts(BaseModel):
    rows: int


@pytest.mark.parametrize("content", [None, b'{"rows": 3', b"{}"])
def test_a_report_that_cannot_be_read_names_the_command_that_writes_it(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "facts.json").write_bytes(content)

    with pytest.raises(ProjectError, match=r"^facts\.json.* run `make study`[.,]"):
        load_report(tmp_path / "facts.json", Facts, "make study")
