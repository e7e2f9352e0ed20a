"""Bake the defaults into build/preview with the payload's own package and chassis inside.

Edits in the payload are live there: mypy, pytest and the service run on them in place.
"""

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bake import PAYLOAD, ROOT, BakeError, bake_defaults
from project_copy import make_environment

PREVIEW = ROOT / "build" / "preview"
CACHES = ROOT / "build"
# One for all: most of the time mypy reads packages, with equal settings in each folder.
TYPES = CACHES / ".mypy_cache"


def make_preview() -> Path:
    """Bake the preview again, keep its environment, and point its code at the payload's.

    Returns:
        The preview's package, a link as its chassis is.
    """
    fresh = PREVIEW.with_name("preview-fresh")
    bake_defaults(fresh)
    if PREVIEW.exists():
        keep_environment(PREVIEW, fresh)
        shutil.rmtree(PREVIEW)
    fresh.rename(PREVIEW)
    (package,) = (path.parent for path in (PREVIEW / "src").glob("*/__init__.py"))
    shutil.rmtree(package)
    package.symlink_to(PAYLOAD / "src" / "{{cookiecutter.package_name}}")
    chassis = PREVIEW / "chassis" / "src" / "mlchassis"
    shutil.rmtree(chassis)
    chassis.symlink_to(PAYLOAD / "chassis" / "src" / "mlchassis")
    return package


def keep_environment(old: Path, fresh: Path) -> None:
    """Move the environment over; equal files keep their time, so make installs only changes."""
    if (old / ".venv").exists():
        (old / ".venv").rename(fresh / ".venv")
    projects = (fresh / "pyproject.toml", fresh / "chassis" / "pyproject.toml")
    for path in (*projects, *fresh.glob("requirements/*")):
        former = old / path.relative_to(fresh)
        if former.is_file() and filecmp.cmp(former, path, shallow=False):
            shutil.copystat(former, path)


def lint(package: Path) -> int:
    """Run ruff, mypy and import-linter on the payload's code.

    Each has the configuration that lies beside it. Caches go to build/, never into the payload.
    """
    source = str(package.relative_to(PREVIEW))
    failures = check(PREVIEW, source) + check(PREVIEW / "chassis", "src/mlchassis") + check_tests()
    failures += check_scripts()
    return 1 if failures else 0


def check_scripts() -> int:
    """Run ruff on the scripts beside the package; return the number of failures."""
    environment = {**os.environ, "RUFF_CACHE_DIR": str(CACHES / ".ruff_cache")}
    ruff = str(PREVIEW / ".venv" / "bin" / "ruff")
    commands = ([ruff, "check", "deploy"], [ruff, "format", "--check", "deploy"])
    runs = [subprocess.run(each, cwd=PREVIEW, env=environment, check=False) for each in commands]
    return sum(run.returncode != 0 for run in runs)


def check_tests() -> int:
    """Run the linters on the chassis' tests; return the number of failures."""
    tools = PREVIEW / ".venv" / "bin"
    config = PAYLOAD / "chassis" / "pyproject.toml"
    environment = {
        **os.environ,
        "RUFF_CACHE_DIR": str(CACHES / ".ruff_cache"),
        "MYPYPATH": f"{PREVIEW}/src:{PREVIEW}/chassis/src",
    }
    types = [str(tools / "mypy"), "--config-file", str(config), "--explicit-package-bases"]
    commands = (
        [str(tools / "ruff"), "check", "tests/chassis"],
        [str(tools / "ruff"), "format", "--check", "tests/chassis"],
        [*types, "--cache-dir", str(TYPES), "tests/chassis"],
    )
    failures = 0
    for command in commands:
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        failures += done.returncode != 0
    return failures


def check(folder: Path, source: str) -> int:
    """Run every linter in a folder, with its pyproject.toml; return the number of failures."""
    environment = {**os.environ, "RUFF_CACHE_DIR": str(CACHES / ".ruff_cache")}
    commands = (
        ["ruff", "check", "--no-respect-gitignore", source],
        ["ruff", "format", "--check", "--no-respect-gitignore", source],
        ["mypy", "--strict", "--cache-dir", str(TYPES), source],
        ["lint-imports", "--no-cache"],
    )
    failures = 0
    for name, *arguments in commands:
        command = [str(PREVIEW / ".venv" / "bin" / name), *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, check=False)
        failures += done.returncode != 0
    return failures


def main() -> int:
    """Make the preview; with --setup, set it up; with --lint, lint the payload through it too."""
    try:
        package = make_preview()
    except BakeError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{PREVIEW.relative_to(ROOT)} runs the payload's package; try: cd build/preview && make")
    if not {"--lint", "--setup"} & set(sys.argv[1:]):
        return 0
    # Only what checks the code is run: compiling every package would take longer than that.
    setup = subprocess.run(
        ["make", "--no-print-directory", "setup"],
        cwd=PREVIEW,
        env=make_environment(UV_COMPILE_BYTECODE="0"),
        check=False,
    )
    if setup.returncode or "--lint" not in sys.argv[1:]:
        return setup.returncode
    return lint(package)


if __name__ == "__main__":
    sys.exit(main())
