"""A project that was generated from an older template takes over the newer one, with cruft."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bake import PAYLOAD, copy_template

DESCRIPTION = 'Says "late" \\ or not 🛫'


class Repository:
    """A git repository in a folder of a test, with an identity of its own."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "COOKIECUTTER_CONFIG": str(config),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            **{
                f"GIT_{role}_{part}": value
                for role in ("AUTHOR", "COMMITTER")
                for part, value in (("NAME", "Test"), ("EMAIL", "test@example.org"))
            },
        }

    def run(self, *command: str) -> str:
        """Run a command in the repository and return what it printed."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def cruft(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "cruft", *arguments)

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all", "--force")
        self.run("git", "commit", "--quiet", "--message", message)


@pytest.fixture
def releases(tmp_path: Path, config: Path) -> Repository:
    """The template as a repository: tag v1 as it is now, tag v2 with changes in the payload."""
    repository = Repository(copy_template(tmp_path / "ml-template"), config)
    repository.run("git", "init", "--quiet")
    repository.commit("First release")
    repository.run("git", "tag", "v1")
    payload = repository.folder / PAYLOAD.name
    makefile = payload / "Makefile"
    makefile.write_text(makefile.read_text() + "\n# added by the second release\n")
    added = payload / "docs" / "added.md"
    added.parent.mkdir(exist_ok=True)
    added.write_text("# {{ cookiecutter.project_name }}\n")
    repository.commit("Second release")
    repository.run("git", "tag", "v2")
    return repository


@pytest.fixture
def grown(releases: Repository, config: Path, tmp_path: Path) -> Repository:
    """A project of the first release with a change of its own."""
    releases.cruft(
        "create", str(releases.folder), "--no-input", "--checkout", "v1", "--output-dir",
        str(tmp_path), "--extra-context", f'{{"description": {quote(DESCRIPTION)}}}',
    )  # fmt: skip
    repository = Repository(tmp_path / "ml-service", config)
    repository.run("git", "init", "--quiet")
    makefile = repository.folder / "Makefile"
    makefile.write_text("# our own first line\n" + makefile.read_text())
    repository.commit("Start")
    return repository


def quote(text: str) -> str:
    """Write a text as a JSON string without escapes for letters outside ASCII."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def test_an_update_merges_and_leaves_no_conflict(grown: Repository) -> None:
    said = grown.cruft("update", "--skip-apply-ask", "--checkout", "v2")
    assert "has been updated" in said
    assert grown.run("git", "diff", "--name-only", "--diff-filter=U") == ""
    assert list(grown.folder.rglob("*.rej")) == []
    grown.run("git", "diff", "--check", "HEAD", "--", "Makefile", "docs/added.md")

    makefile = (grown.folder / "Makefile").read_text()
    assert makefile.startswith("# our own first line\n")
    assert makefile.endswith("# added by the second release\n")
    assert (grown.folder / "docs" / "added.md").read_text() == "# ML Service\n"
    changed = set(grown.run("git", "diff", "--name-only", "HEAD").split())
    assert changed <= {".cruft.json", "Makefile", "docs/added.md"}


def test_after_an_update_nothing_is_left_to_do(grown: Repository) -> None:
    grown.cruft("update", "--skip-apply-ask", "--checkout", "v2")
    grown.commit("Take over the second release")
    assert "up to date" in grown.cruft("check", "--checkout", "v2")
