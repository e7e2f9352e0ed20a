"""A fault counts as caught only if its guard was green before, is red after, and says why."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import faults
from bake import PAYLOAD, ROOT
from faults import FaultError, list_tests, load_fault, load_library, run_fault
from ml_test_score import ROWS

FAULT: dict[str, Any] = {
    "title": "The package says red",
    "symptom": "Whoever runs it reads red",
    "apply": {"commands": ["echo \"raise SystemExit('it is red')\" >src/ml_service/__main__.py"]},
    "guard": {"command": "python -m ml_service", "says": "it is red"},
    "ml_test_score": "Infra 3",
    "readers": ["ci"],
}
PATCH = """\
--- a/src/ml_service/__main__.py
+++ b/src/ml_service/__main__.py
@@ -1 +1 @@
-print('green')
+raise SystemExit('it is red')
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a fault that differs from FAULT in some keys; return its folder."""
    monkeypatch.setattr(faults, "LIBRARY", tmp_path / "faults")
    folder = tmp_path / "faults" / "says-red"
    folder.mkdir(parents=True)

    def write_fault(**changes: object) -> Path:
        (folder / "fault.yaml").write_text(yaml.safe_dump({**FAULT, **changes}))
        (folder / "fault.patch").write_text(PATCH)
        return folder

    return write_fault


@pytest.mark.parametrize("apply", [FAULT["apply"], {"patch": "fault.patch"}], ids=str)
def test_a_caught_fault_has_no_problem_and_its_evidence(
    stand_in: Path, write: Write, apply: object
) -> None:
    outcome = run_fault(load_fault(write(apply=apply)), stand_in, set())
    assert (outcome.problem, outcome.evidence) == ("", "it is red")
    assert "green" in (stand_in / "src" / "ml_service" / "__main__.py").read_text()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"apply": {"commands": ["true"]}}, "the guard stays green with the fault"),
        (
            {"guard": {"command": "python -m ml_service", "says": "it is blue"}},
            "the guard is red, but does not say 'it is blue':\n    it is red",
        ),
        (
            {"guard": {"command": "echo it is red; false", "says": "it is red"}},
            r"the guard is red without the fault \(1\):\n    it is red",
        ),
        ({"apply": {"commands": ["exit 3"]}}, "'exit 3' exited 3"),
        ({"after": ["exit 4"]}, "'exit 4' exited 4"),
    ],
    ids=["green", "other-reason", "red-before", "not-applied", "after-fails"],
)
def test_what_is_not_caught_says_why(
    stand_in: Path, write: Write, changes: dict[str, object], problem: str
) -> None:
    outcome = run_fault(load_fault(write(**changes)), stand_in, set())
    assert re.match(problem, outcome.problem), outcome.problem


@pytest.mark.parametrize(("status", "runs"), [(0, 3), (1, 2)], ids=["green", "red"])
def test_faults_share_the_green_run_of_their_guard_and_no_red_one(
    status: int, runs: int, stand_in: Path, write: Write, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    command = f"echo run >>'{log}'; python -m ml_service; exit {status}"
    fault = load_fault(write(guard={"command": command, "says": "it is red"}))
    green: set[str] = set()
    problems = [run_fault(fault, stand_in, green).problem for _ in range(2)]
    assert log.read_text().count("run") == runs
    assert [bool(problem) for problem in problems] == [bool(status)] * 2


def test_the_tests_that_guards_run_are_among_those_of_a_projects_gate() -> None:
    tests = f"{ROOT}/tests/chassis"
    commands = list_tests(load_library())
    assert len(commands) > 20
    for command in commands:
        words = command.replace("$CHASSIS_TESTS", tests).replace('"', "").split()
        files = [word for word in words if "test_" in word and word.endswith(".py")]
        assert files, command
        assert all((PAYLOAD / file).is_file() for file in files), command


def test_a_patch_that_no_longer_applies_is_a_problem(stand_in: Path, write: Write) -> None:
    folder = write(apply={"patch": "fault.patch"})
    (stand_in / "src" / "ml_service" / "__main__.py").write_text("print('other')")
    assert "patch does not apply" in run_fault(load_fault(folder), stand_in, set()).problem


def test_a_guard_that_hangs_is_a_problem(
    stand_in: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "WITHIN", 0.1)
    folder = write(guard={"command": "sleep 60", "says": "red"})
    assert "'sleep 60' did not end within" in run_fault(load_fault(folder), stand_in, set()).problem


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"title": ""}, "title: String should have at least 10 characters"),
        ({"apply": {}}, "apply: give either patch or commands"),
        ({"apply": {"patch": "other.patch"}}, r"apply.patch: no file other\.patch"),
        ({"guard": {"command": "true", "says": "("}}, "guard.says: is not a regular expression"),
        ({"guard": {"command": "true", "says": ".*"}}, "guard.says: matches any output"),
        ({"ml_test_score": "Data 8"}, "ml_test_score: is not a row of the ML Test Score"),
        ({"readers": ["anyone"]}, "readers"),
        ({"solution": "tag it"}, "solution: Extra inputs are not permitted"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_no_fault_is_refused_with_its_place(
    write: Write, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(FaultError, match=rf"says-red/fault\.yaml: {sentence}"):
        load_fault(write(**changes))


def test_a_fault_that_is_not_there_is_refused() -> None:
    with pytest.raises(FaultError, match=r"no fault 'absent'; there are: .*leaked-column"):
        load_library(["absent"])


def test_every_fault_of_the_library_can_be_read() -> None:
    assert {"changed-byte", "leaked-column", "skewed-feature"} <= {
        fault.name for fault in load_library()
    }


@pytest.mark.parametrize(
    "patch", sorted(faults.LIBRARY.glob("*/*.patch")), ids=lambda p: p.parent.name
)
def test_a_patch_of_the_library_applies_to_the_payload(patch: Path) -> None:
    payload = patch.read_text().replace("ml_service", "{{cookiecutter.package_name}}")
    command = ["git", "apply", "--check", f"--directory={PAYLOAD.name}"]
    checked = subprocess.run(command, cwd=ROOT, input=payload, capture_output=True, text=True)
    assert checked.stderr == ""


def test_a_faults_folder_holds_nothing_else() -> None:
    for fault in load_library():
        expected = {"fault.yaml", *([fault.apply.patch] if fault.apply.patch else [])}
        assert {path.name for path in (faults.LIBRARY / fault.name).iterdir()} == expected


def test_the_ml_test_score_has_its_28_rows() -> None:
    assert len(ROWS) == 28
    assert {name.split()[0] for name in ROWS} == {"Data", "Model", "Infra", "Monitor"}


def test_two_dozen_faults_for_exercises_leave_the_chassis_alone() -> None:
    own = []
    for fault in load_library():
        patch = fault.apply.patch
        changes = [*fault.apply.commands, *fault.after]
        changes += [(faults.LIBRARY / fault.name / patch).read_text("utf-8")] if patch else []
        if "exercise" in fault.readers and not any("chassis/" in change for change in changes):
            own.append(fault.name)
    assert len(own) >= 24, own


def test_the_page_of_proofs_names_every_fault_of_its_rows() -> None:
    page = (ROOT / "docs" / "proof.md").read_text(encoding="utf-8")
    table = re.findall(
        r"^\| ((?:Monitor|Data) \d) \| ([^|]+) \|[^|]+\| ([^|]+) \|$", page, re.MULTILINE
    )
    assert [row for row, _, _ in table] == [*(f"Monitor {n}" for n in range(1, 8)), "Data 5"]
    for row, title, listed in table:
        assert title == ROWS[row]
        names = {fault.name for fault in load_library() if fault.ml_test_score == row}
        assert set(re.findall(r"`([\w-]+)`", listed)) == names
