"""A project is baked from the tracked files alone, wherever the template lies."""

from pathlib import Path

import pytest

from bake import PAYLOAD, ROOT, BakeError, copy_template, list_tracked


def test_only_tracked_files_are_copied(template: Path) -> None:
    copied = {str(path.relative_to(template)) for path in template.rglob("*") if path.is_file()}
    assert copied == set(list_tracked())


def test_caches_beside_the_payload_are_never_baked(project: Path) -> None:
    names = {path.name for path in project.rglob("*")}
    assert names.isdisjoint({"__pycache__", ".mypy_cache", ".ruff_cache", ".venv", ".git"})


def test_every_file_of_the_payload_is_baked(project: Path) -> None:
    tracked = [Path(name) for name in list_tracked() if name.startswith(PAYLOAD.name)]
    package = "{{cookiecutter.package_name}}"
    expected = {
        str(name.relative_to(PAYLOAD.name)).replace(package, "ml_service") for name in tracked
    }
    assert expected == {
        str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()
    }


def test_files_keep_their_mode(project: Path) -> None:
    package = "{{cookiecutter.package_name}}"
    for name in list_tracked():
        if name.startswith(PAYLOAD.name):
            relative = str(Path(name).relative_to(PAYLOAD.name)).replace(package, "ml_service")
            assert (project / relative).stat().st_mode == (ROOT / name).stat().st_mode, name


def test_no_jinja_is_left_in_a_project(project: Path) -> None:
    left = [
        str(path.relative_to(project))
        for path in project.rglob("*")
        if path.is_file() and b"cookiecutter." in path.read_bytes()
    ]
    assert left == []


def test_a_folder_that_is_no_checkout_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bake.ROOT", tmp_path)
    with pytest.raises(BakeError, match="not a git checkout"):
        copy_template(tmp_path / "copy")
