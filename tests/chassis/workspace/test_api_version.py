"""The API version in a project's pyproject.toml, beside that of the chassis."""

from pathlib import Path

import pytest

from mlchassis.errors import ProjectError
from mlchassis.workspace import api_version
from mlchassis.workspace.api_version import API, check_api


def write(root: Path, text: str) -> None:
    (root / "pyproject.toml").write_text(text)


def test_the_api_of_the_chassis_is_supported(tmp_path: Path) -> None:
    write(tmp_path, f"[tool.mlchassis]\napi = {API}\n")
    check_api(tmp_path)


def test_an_older_project_is_told_to_make_the_changes(tmp_path: Path) -> None:
    write(tmp_path, "[tool.mlchassis]\napi = 0\n")
    with pytest.raises(ProjectError, match=r"api = 0`, and version .* the changes under Breaking"):
        check_api(tmp_path)


def test_a_newer_project_is_told_to_upgrade(tmp_path: Path) -> None:
    write(tmp_path, f"[tool.mlchassis]\napi = {API + 1}\n")
    with pytest.raises(ProjectError, match=r"run `make upgrade-chassis` with a newer chassis"):
        check_api(tmp_path)


def test_a_range_of_versions_is_supported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_version, "API", 3)
    monkeypatch.setattr(api_version, "OLDEST_API", 2)
    for api in (2, 3):
        write(tmp_path, f"[tool.mlchassis]\napi = {api}\n")
        check_api(tmp_path)
    for api in (1, 4):
        write(tmp_path, f"[tool.mlchassis]\napi = {api}\n")
        with pytest.raises(ProjectError, match="supports 2 to 3"):
            check_api(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "[tool.mlchassis]\n", "[tool.mlchassis]\napi = true\n", '[tool.mlchassis]\napi = "1"\n'],
)
def test_a_project_that_names_none_is_told_what_to_write(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ProjectError, match=r"names no API version .* `\[tool\.mlchassis\]`"):
        check_api(tmp_path)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, "[tool\n")
    with pytest.raises(ProjectError, match=r"pyproject\.toml is not valid TOML"):
        check_api(tmp_path)


def test_a_folder_without_the_file_is_left_alone(tmp_path: Path) -> None:
    check_api(tmp_path)
