"""Releases of the template as tags of a git repository, and a project of the first one."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bake import PAYLOAD, copy_template
from manifest import MANIFEST, make_manifest

DESCRIPTION = 'Says "late" \\ or not 🛫'
EDIT = "# An edit of the team.\n"


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
        done = self._call(command, self.environment)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def fail(self, *command: str, **variables: str) -> str:
        """Run a command that must fail and return its errors."""
        done = self._call(command, {**self.environment, **variables})
        assert done.returncode != 0, done.stdout
        return done.stderr

    def _call(
        self, command: Sequence[str], environment: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    def cruft(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "cruft", *arguments)

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all", "--force")
        self.run("git", "commit", "--quiet", "--message", message)


def release_chassis(chassis: Path, version: str, requirement: str = "") -> None:
    """Make a new version of the chassis: a changed module, a new one, a breaking line.

    Args:
        chassis: The folder.
        version: The new version.
        requirement: A package that the group `train` needs in addition.
    """
    package = chassis / "src" / "mlchassis"
    (package / "errors.py").write_text((package / "errors.py").read_text() + "\n# Changed.\n")
    (package / "added.py").write_text('"""A module of the newer version."""\n')
    pyproject = chassis / "pyproject.toml"
    text = pyproject.read_text().replace('version = "0.2.0"', f'version = "{version}"')
    if requirement:
        text = text.replace('    "filelock",\n', f'    "filelock",\n    "{requirement}",\n', 1)
    pyproject.write_text(text)
    changelog = chassis / "CHANGELOG.md"
    news = f"## {version}\n\n### Breaking\n\n- Sources take two arguments.\n\n## 0.2.0"
    changelog.write_text(changelog.read_text().replace("## 0.2.0", news, 1))
    (chassis / MANIFEST).write_text(make_manifest(chassis))


def publish_releases(folder: Path, config: Path, requirement: str = "") -> Repository:
    """Make the template a repository: tag v1 as it is now, tag v2 with changes in the payload."""
    repository = Repository(copy_template(folder), config)
    payload = repository.folder / PAYLOAD.name
    (payload / "chassis" / MANIFEST).write_text(make_manifest(payload / "chassis"))
    repository.run("git", "init", "--quiet")
    repository.commit("First release")
    repository.run("git", "tag", "v1")
    makefile = payload / "Makefile"
    makefile.write_text(makefile.read_text() + "\n# added by the second release\n")
    added = payload / "docs" / "added.md"
    added.parent.mkdir(exist_ok=True)
    added.write_text("# {{ cookiecutter.project_name }}\n")
    release_chassis(payload / "chassis", "0.3.0", requirement)
    repository.commit("Second release")
    repository.run("git", "tag", "v2")
    # Each clone would have a file for each object that is not packed.
    repository.run("git", "gc", "--quiet")
    return repository


def start_project(releases: Repository, config: Path, folder: Path) -> Repository:
    """Bake a project of the first release and commit it."""
    releases.cruft(
        "create", str(releases.folder), "--no-input", "--checkout", "v1", "--output-dir",
        str(folder), "--extra-context", f'{{"description": {quote(DESCRIPTION)}}}',
    )  # fmt: skip
    project = Repository(folder / "ml-service", config)
    project.run("git", "init", "--quiet")
    project.commit("Start")
    return project


def quote(text: str) -> str:
    """Write a text as a JSON string without escapes for letters outside ASCII."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def read_chassis(folder: Path) -> dict[str, bytes]:
    """Return the content of every file of a chassis."""
    chassis = folder / "chassis"
    return {str(file): file.read_bytes() for file in chassis.rglob("*") if file.is_file()}


def edit_every_team_file(project: Repository) -> dict[Path, str]:
    """Add a comment to each file of the team's package and tests; return what they then hold."""
    files = [*project.folder.glob("src/*/*.py"), *project.folder.glob("tests/**/*.py")]
    assert len(files) >= 10
    for file in files:
        file.write_text(f"{file.read_text()}\n\n{EDIT}" if file.read_text() else EDIT)
    for name in ("params.yaml", "contract.yaml", "dvc.yaml", "pyproject.toml", "README.md"):
        file = project.folder / name
        file.write_text(f"{file.read_text()}\n{EDIT}")
        files.append(file)
    project.commit("Edit every file of the team")
    return {file: file.read_text() for file in files}
