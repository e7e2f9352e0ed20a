"""Facts as JSON files."""

from pathlib import Path

import pytest

from mlchassis.errors import ProjectError
from mlchassis.reports import read_report, write_report

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


@pytest.mark.parametrize("text", ["", '{"rows": 3', "rows: 3"])
def test_half_a_report_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "facts.json").write_text(text)

    with pytest.raises(ProjectError, match=r"facts\.json is cut short or was edited"):
        read_report(tmp_path / "facts.json")
