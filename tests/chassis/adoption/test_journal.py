"""An adoption is whole or not begun, wherever it is killed, and takes nobody's own work."""

import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from mlchassis.adoption.files import journal as changes
from mlchassis.adoption.files.journal import apply_changes, check_committed, finish_interrupted
from mlchassis.cli.commands import open_project, use_composition
from mlchassis.cli.launch import Composition
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths

CHANGES = {
    "data/raw": None,
    "contract.yaml": "new",
    "src/code.py": "new",
    "source.sql": "SELECT 1",
    "src/old.py": None,
    "absent": None,
}
MOMENTS = 2 * (2 + 2 * 3 + 3 + 2)
"""Before and after each step: a note, three texts and another note, all written and renamed, and
three deletions between."""
AFTER = {
    "params.yaml": "kept",
    "contract.yaml": "new",
    "src/code.py": "new",
    "source.sql": "SELECT 1",
}


class Killed(BaseException):
    """Simulated kill, which nothing in between handles."""


def make_project(root: Path) -> Paths:
    texts = (
        "params.yaml",
        "contract.yaml",
        "src/code.py",
        "src/old.py",
        "data/raw/2013-01.parquet",
    )
    for name in texts:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("kept" if name == "params.yaml" else "old")
    (root / ".gitignore").write_text("/var/\n/data/\n")
    me = ("-c", "user.name=Somebody", "-c", "user.email=somebody@localhost")
    for arguments in (("init", "-q"), ("add", "--all"), (*me, "commit", "-qm", "Start")):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    return Paths(root)


def read_all(paths: Paths) -> dict[str, str]:
    """Every file but git's and the notes."""
    files = [path for path in paths.root.rglob("*") if path.is_file()]
    names = {str(path.relative_to(paths.root)): path for path in files}
    odd = (".git", "var/")
    return {name: path.read_text() for name, path in names.items() if not name.startswith(odd)}


def kill_at(moment: int, patch: pytest.MonkeyPatch) -> None:
    """Kill the process at a given point: before or after each write and each deletion."""
    passed = iter(range(moment))

    def live_on() -> None:
        if next(passed, None) is None:
            raise Killed

    def wrap(act: Any) -> Any:
        def acting(*arguments: Any, **named: Any) -> Any:
            live_on()
            done = act(*arguments, **named)
            live_on()
            return done

        return acting

    patch.setattr(Path, "write_bytes", wrap(Path.write_bytes))
    patch.setattr(Path, "replace", wrap(Path.replace))
    patch.setattr(changes, "_delete", wrap(changes._delete))


@pytest.mark.parametrize("moment", range(MOMENTS + 1))
def test_an_adoption_that_is_killed_is_finished_by_the_next_one(
    moment: int, tmp_path: Path
) -> None:
    paths = make_project(tmp_path)
    before = read_all(paths)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(moment, patch)
        with pytest.raises(Killed) if moment < MOMENTS else nullcontext():
            apply_changes(paths, CHANGES)

    finished = finish_interrupted(paths)

    # Until the note has its name, nothing has begun.
    assert read_all(paths) == (before if moment < 3 else AFTER)
    assert finished == (3 <= moment < MOMENTS)
    check_committed(paths, force=False)
    assert not finish_interrupted(paths)


def test_while_an_adoption_is_interrupted_no_other_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(8, patch)
        with pytest.raises(Killed):
            apply_changes(paths, CHANGES)

    with pytest.raises(ProjectError, match="run the same `make adopt` once more"):
        open_project()
    use_composition(Composition("ml_service.project:project", "ml_service.service:service"))
    assert open_project(adopting=True).root == paths.root
    finish_interrupted(paths)
    assert open_project().root == paths.root


def test_what_a_person_has_changed_is_refused_and_what_adopt_has_left_is_not(
    tmp_path: Path,
) -> None:
    paths = make_project(tmp_path)
    apply_changes(paths, CHANGES)
    check_committed(paths, force=False)

    apply_changes(paths, {"params.yaml": "adopted later"})
    check_committed(paths, force=False)

    (tmp_path / "a new file.py").write_text("mine")
    with pytest.raises(ProjectError, match=r"1 change is not committed \(such as a new file.py\)"):
        check_committed(paths, force=False)
    (tmp_path / "a new file.py").unlink()
    (tmp_path / "contract.yaml").write_text("new, and described by me")
    with pytest.raises(ProjectError, match=r"such as contract.yaml"):
        check_committed(paths, force=False)
    check_committed(paths, force=True)


def test_the_table_itself_need_not_be_committed(tmp_path: Path) -> None:
    paths = make_project(tmp_path)
    (tmp_path / "tables").mkdir()
    for name in ("orders.csv", "tables/a.csv", "tables/b.csv"):
        (tmp_path / name).write_text("rows")
    with pytest.raises(ProjectError, match=r"2 changes .*\(such as tables/a\.csv\)"):
        check_committed(paths, force=False, source="orders.csv")
    (tmp_path / "orders.csv").unlink()

    check_committed(paths, force=False, source="tables")
    check_committed(paths, force=False, source=str(tmp_path / "tables"))
