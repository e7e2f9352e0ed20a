"""Copy a project that is set up, so that the copy can be broken.

An environment holds absolute paths and a gigabyte of packages. The copy's is made of a few links:
it finds the original's packages, but the package of the project is the copy's own.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# Bytecode comes along: files keep their times, so Python knows what a change has outdated.
CACHES = (
    ".hypothesis",
    ".import_linter_cache",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
)
# What one program says to another, or a person to the template's own make: no project's business.
FOREIGN = (
    "HYPOTHESIS_PROFILE MAKEFLAGS MAKELEVEL MFLAGS PYTHONDONTWRITEBYTECODE PYTHONPATH VIRTUAL_ENV"
).split()


class CopyError(Exception):
    """The project cannot be copied, or the copy does not run its own code."""


def make_environment(*folders: Path, **variables: str) -> dict[str, str]:
    """Return this environment for a project's commands.

    Args:
        folders: Come first on PATH, before the template's own tools and their uv.
        variables: Set in addition.
    """
    kept: Mapping[str, str] = {
        name: value for name, value in os.environ.items() if name not in FOREIGN
    }
    tools = Path(sys.executable).parent
    path = os.pathsep.join((*map(str, folders), str(tools), kept.get("PATH", os.defpath)))
    return {**kept, "PATH": path, **variables}


def find_package(project: Path) -> str:
    """Return the name of the project's package.

    Raises:
        CopyError: The folder is not a project that is set up.
    """
    packages = [path.parent.name for path in project.glob("src/*/__main__.py")]
    if len(packages) != 1 or not (project / ".venv" / ".project").exists():
        raise CopyError(
            f"{project} is not a generated project that is set up; run make setup there."
        )
    return packages[0]


def copy_project(project: Path, copy: Path) -> Path:
    """Copy a project that is set up, and hold the copy to running its own code.

    Returns:
        The copy's root.

    Raises:
        CopyError: It is not such a project, or the copy would run the original's code.
    """
    package = find_package(project)
    environment = project / ".venv"
    shutil.copytree(
        project,
        copy,
        symlinks=True,
        ignore=lambda folder, names: [
            name for name in names if name in CACHES or Path(folder, name) == environment
        ],
    )
    link_environment(environment, copy / ".venv")
    check_source(copy, package)
    return copy


def link_environment(original: Path, made: Path) -> None:
    """Make an environment with the original's interpreter and packages, without installing.

    The interpreter reads `.pth` files in the new environment alone, so the original's own one,
    which names the original's source, is not followed.
    """
    (made / "bin").mkdir(parents=True)
    shutil.copy(original / "pyvenv.cfg", made)
    for tool in (original / "bin").iterdir():
        copy_tool(tool, made / "bin" / tool.name)
    for packages in original.glob("lib/python*/site-packages"):
        own = made / packages.relative_to(original)
        own.mkdir(parents=True)
        sources = (made.parent / "src", made.parent / "chassis" / "src", find_packages(packages))
        (own / "project.pth").write_text("".join(f"{source}\n" for source in sources))
    # The project's make reads these: the environment belongs here, and nothing is to be installed.
    (made / ".directory").write_text(f"{made.parent}\n")
    shutil.copy(original / ".python", made)
    for stamp in (".dependencies", ".project"):
        (made / stamp).touch()


def find_packages(folder: Path) -> Path:
    """Return the folder with the packages of an environment, which may be a linked one itself."""
    linked = folder / "project.pth"
    return Path(linked.read_text().splitlines()[-1]) if linked.exists() else folder


def copy_tool(tool: Path, copy: Path) -> None:
    """Copy a link as it is, link a program, and let a script start the new environment's Python."""
    if tool.is_symlink():
        copy.symlink_to(tool.readlink())
    elif tool.is_file() and tool.read_bytes()[:2] == b"#!":
        original, made = str(tool.parent).encode(), str(copy.parent).encode()
        copy.write_bytes(tool.read_bytes().replace(original, made))
        shutil.copymode(tool, copy)
    else:
        copy.symlink_to(tool)


def check_source(copy: Path, package: str) -> None:
    """Hold the copy's interpreter to importing the package from the copy.

    Raises:
        CopyError: It imports another one: whatever is broken in the copy would not be seen.
    """
    completed = subprocess.run(
        [str(copy / ".venv/bin/python"), "-c", f"import {package} as p; print(p.__file__)"],
        cwd=copy / ".venv",
        env=make_environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    source = completed.stdout.strip()
    if Path(source or os.curdir).parent != copy / "src" / package:
        reason = source or completed.stderr.strip()
        raise CopyError(f"the copy at {copy} would not run its own code, but: {reason}")
