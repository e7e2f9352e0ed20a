"""Stand-ins for programs that publish: they record their calls and answer from a file.

`make` stands between a step and the real make: a planned verb does what the plan says, every other
verb runs. All calls are lines of `calls.jsonl`.
"""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).with_name("programs")


@dataclass(frozen=True)
class Planned:
    """Behavior of one call of a verb.

    Attributes:
        code: Exit code; None runs the real verb.
        printed: Line on the standard output.
        outputs: Outputs of the step.
        files: Files to write, by path in the workspace.
    """

    code: int | None = 0
    printed: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


REAL = Planned(code=None)


@dataclass
class Programs:
    """The folder of stand-ins, with their plans and the record of their calls."""

    folder: Path

    def plan(self, **verbs: Sequence[Planned]) -> None:
        """Plan calls of make's verbs, in their order; the last one holds for all that follow."""
        plans = {
            verb.replace("_", "-"): [vars(each) for each in planned]
            for verb, planned in verbs.items()
        }
        (self.folder / "plans.json").write_text(json.dumps(plans), encoding="utf-8")

    def set_docker(self, **state: Any) -> None:
        """Set the state of docker.

        Args:
            state: Images that run (`running`, by host), parts of names that cannot start
                (`broken`), size of images (`size`), folder of the prediction log (`log`).
        """
        (self.folder / "docker.json").write_text(json.dumps(state), encoding="utf-8")

    def read_running(self) -> dict[str, str]:
        """Return the image that runs on each host."""
        running: dict[str, str] = json.loads((self.folder / "docker.json").read_text())["running"]
        return running

    def forget(self) -> None:
        """Remove the record and what gh has seen."""
        for name in ("calls.jsonl", "gh.json"):
            (self.folder / name).unlink(missing_ok=True)

    def list_calls(self, program: str) -> list[dict[str, Any]]:
        """Return the recorded calls of a program."""
        file = self.folder / "calls.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        calls = [json.loads(line) for line in lines]
        return [call for call in calls if call["program"] == program]

    def list_words(self, program: str) -> list[str]:
        """Return the first two words of each call of a program."""
        return [" ".join(call["arguments"][:2]) for call in self.list_calls(program)]

    def read_gh(self) -> dict[str, Any]:
        """Return the issues and pull requests that gh made."""
        file = self.folder / "gh.json"
        state: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return {"issues": [], "pulls": [], **state}


def write_programs(folder: Path) -> Programs:
    """Write the stand-ins as programs of a folder."""
    folder.mkdir(parents=True)
    real = shutil.which("make") or "make"
    for script in SCRIPTS.glob("*.py"):
        program = folder / script.stem
        text = script.read_text(encoding="utf-8")
        program.write_text(f"#!{sys.executable} -SE\n{text}", encoding="utf-8")
        program.chmod(0o755)
    (folder / "real-make").symlink_to(os.path.realpath(real))
    programs = Programs(folder)
    programs.plan()
    return programs
