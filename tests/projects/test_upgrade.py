"""`make upgrade-chassis` in a project that is set up: requirements, packages and tests follow."""

from pathlib import Path

import pytest

from project_copy import make_environment
from releases import Repository, edit_every_team_file, publish_releases, start_project
from summary import Parts
from whole_run import run_in

# A small package that no other needs.
NEW_PACKAGE = "toolz"
# Modules are compiled when they are imported: compiling all of them, twice, takes longer.
COMPILE = "0"


@pytest.fixture
def set_up(tmp_path: Path, config: Path, parts: Parts) -> Repository:
    """A project of the first release, set up, in which the team edited every file of its own."""
    releases = publish_releases(tmp_path / "ml-template", config, requirement=NEW_PACKAGE)
    project = start_project(releases, config, tmp_path)
    edit_every_team_file(project)
    with parts.measure("setup of the project to upgrade"):
        run_in(project.folder, "make", "setup", UV_COMPILE_BYTECODE=COMPILE)
    run_in(project.folder, "make", "format")
    project.run("git", "commit", "--all", "--allow-empty", "--quiet", "--message", "Format")
    return project


def test_an_upgrade_locks_installs_and_tests_what_the_new_chassis_needs(
    set_up: Repository, tmp_path: Path, parts: Parts
) -> None:
    source = f"file://{tmp_path / 'ml-template'}@v2"
    edited = set_up.folder / "chassis" / "src" / "mlchassis" / "paths.py"
    whole = edited.read_text()
    edited.write_text(f"{whole}# Edited.\n")
    refused = set_up.fail("make", "upgrade-chassis", f"FROM={source}", **make_environment())
    assert "(changed: src/mlchassis/paths.py)" in refused
    edited.write_text(whole)

    with parts.measure("upgrade of the chassis, with lock, setup and test"):
        command = ("make", "upgrade-chassis", f"FROM={source}")
        printed = run_in(set_up.folder, *command, UV_COMPILE_BYTECODE=COMPILE)

    assert "chassis: version 0.2.0 is now 0.3.0\n" in printed
    assert "breaking, 0.3.0: Sources take two arguments.\n" in printed
    assert "requirements: compiling pyproject.toml with `make lock`\n" in printed
    assert printed.index("make lock") < printed.index("setup: group train, ")
    assert " passed" in printed.splitlines()[-1]
    for group in ("train", "dev"):
        requirements = set_up.folder / "requirements" / f"{group}.txt"
        assert f"\n{NEW_PACKAGE}==" in requirements.read_text()
    run_in(set_up.folder, "python", "-c", f"import mlchassis.added, {NEW_PACKAGE}")
    changed = set_up.run("git", "diff", "--name-only", "HEAD").split()
    assert {name.partition("/")[0] for name in changed} == {
        "chassis",
        "pyproject.toml",
        "requirements",
    }
