"""A project takes over a newer template: the chassis by its own upgrade, the rest with cruft."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bake import PAYLOAD, copy_template
from manifest import MANIFEST, make_manifest

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


def release_chassis(chassis: Path, version: str) -> None:
    """Make a new version of the chassis: a changed module, a new one, a breaking line."""
    package = chassis / "src" / "mlchassis"
    (package / "errors.py").write_text((package / "errors.py").read_text() + "\n# Changed.\n")
    (package / "added.py").write_text('"""A module of the newer version."""\n')
    pyproject = chassis / "pyproject.toml"
    pyproject.write_text(
        pyproject.read_text().replace('version = "0.2.0"', f'version = "{version}"')
    )
    changelog = chassis / "CHANGELOG.md"
    news = f"## {version}\n\n### Breaking\n\n- Sources take two arguments.\n\n## 0.2.0"
    changelog.write_text(changelog.read_text().replace("## 0.2.0", news, 1))
    (chassis / MANIFEST).write_text(make_manifest(chassis))


@pytest.fixture
def releases(tmp_path: Path, config: Path) -> Repository:
    """The template as a repository: tag v1 as it is now, tag v2 with changes in the payload."""
    repository = Repository(copy_template(tmp_path / "ml-template"), config)
    chassis = repository.folder / PAYLOAD.name / "chassis"
    (chassis / MANIFEST).write_text(make_manifest(chassis))
    repository.run("git", "init", "--quiet")
    repository.commit("First release")
    repository.run("git", "tag", "v1")
    payload = repository.folder / PAYLOAD.name
    makefile = payload / "Makefile"
    makefile.write_text(makefile.read_text() + "\n# added by the second release\n")
    added = payload / "docs" / "added.md"
    added.parent.mkdir(exist_ok=True)
    added.write_text("# {{ cookiecutter.project_name }}\n")
    release_chassis(payload / "chassis", "0.3.0")
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


def upgrade_chassis(project: Repository, source: str) -> subprocess.CompletedProcess[str]:
    """Run the upgrade as `make upgrade-chassis` does, with the chassis that is there.

    It needs nothing but the standard library and this package, so no environment is made.
    """
    program = "import sys; sys.path.insert(0, 'chassis/src'); sys.argv[0] = 'upgrade'; "
    program += "from mlchassis.upgrade.command import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-B", "-c", program, source],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def read_chassis(folder: Path) -> dict[str, bytes]:
    """Return the content of every file of a chassis."""
    chassis = folder / "chassis"
    return {str(file): file.read_bytes() for file in chassis.rglob("*") if file.is_file()}


def edit_every_team_file(project: Repository) -> dict[Path, str]:
    """Add a comment to each file of the team's package and tests; return what they then hold."""
    files = [*project.folder.glob("src/*/*.py"), *project.folder.glob("tests/**/*.py")]
    assert len(files) >= 10
    for file in files:
        file.write_text(f"{file.read_text()}\n# An edit of the team.\n")
    for name in ("params.yaml", "contract.yaml", "dvc.yaml", "pyproject.toml", "README.md"):
        file = project.folder / name
        file.write_text(f"{file.read_text()}\n# An edit of the team.\n")
        files.append(file)
    project.commit("Edit every file of the team")
    return {file: file.read_text() for file in files}


def test_edits_in_every_team_file_meet_no_conflict(releases: Repository, grown: Repository) -> None:
    edited = edit_every_team_file(grown)
    done = upgrade_chassis(grown, f"file://{releases.folder}@v2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "chassis: version 0.2.0 is now 0.3.0",
        "breaking, 0.3.0: Sources take two arguments.",
    ]
    upgraded = read_chassis(grown.folder)
    grown.commit("Upgrade the chassis")
    grown.cruft("update", "--skip-apply-ask", "--checkout", "v2")
    assert grown.run("git", "diff", "--name-only", "--diff-filter=U") == ""
    assert list(grown.folder.rglob("*.rej")) == []
    assert {file: file.read_text() for file in edited} == edited
    assert (grown.folder / "docs" / "added.md").exists()
    assert read_chassis(grown.folder) == upgraded


def test_an_edited_chassis_file_is_refused_by_name(releases: Repository, grown: Repository) -> None:
    edited = grown.folder / "chassis" / "src" / "mlchassis" / "paths.py"
    edited.write_text(edited.read_text() + "# Edited.\n")
    before = read_chassis(grown.folder)
    done = upgrade_chassis(grown, f"file://{releases.folder}@v2")
    assert done.returncode == 1
    assert "(changed: src/mlchassis/paths.py)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert read_chassis(grown.folder) == before


def test_cruft_leaves_the_chassis_alone(grown: Repository) -> None:
    before = read_chassis(grown.folder)
    grown.cruft("update", "--skip-apply-ask", "--checkout", "v2")
    assert read_chassis(grown.folder) == before


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
