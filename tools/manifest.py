"""Write chassis/MANIFEST.json: version, a SHA-256 of each file, a fingerprint of each stage.

A stage of dvc.yaml depends on its fingerprint: the digest of the modules that its own imports,
directly or not. So a change in serving code reruns no stage, and a change in training code does.
"""

import argparse
import ast
import hashlib
import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bake import PAYLOAD, ROOT, list_tracked

CHASSIS = PAYLOAD / "chassis"
MANIFEST = "MANIFEST.json"
PACKAGE = "mlchassis"


def list_files(chassis: Path) -> list[Path]:
    """List the files of a chassis: in the template, the tracked ones."""
    files = [file for file in chassis.rglob("*") if file.is_file() and _is_content(file)]
    if chassis == CHASSIS:
        tracked = {ROOT / name for name in list_tracked()}
        files = [file for file in files if file in tracked]
    return sorted(files)


def _is_content(file: Path) -> bool:
    """Return False for the manifest, bytecode and what an installation leaves."""
    made = any(part == "__pycache__" or part.endswith(".egg-info") for part in file.parts)
    return not made and file.name not in (MANIFEST, "FORKED")


def list_modules(chassis: Path) -> dict[str, Path]:
    """Return the file of each module, by its dotted name."""
    modules = {}
    for file in list_files(chassis):
        if file.suffix == ".py":
            parts = file.relative_to(chassis / "src").with_suffix("").parts
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return modules


def find_imports(tree: ast.AST, modules: Mapping[str, Path]) -> Iterator[str]:
    """Yield the chassis' modules that a module imports when it runs, lazily or not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in modules else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            yield from find_imports(node, modules)


def collect_modules(start: str, modules: Mapping[str, Path]) -> set[str]:
    """Return a module with all modules of the chassis that it imports, directly or not."""
    collected: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in modules and name not in collected:
            collected.add(name)
            # Importing a module runs its packages too.
            waiting += [name.rpartition(".")[0]]
            waiting += find_imports(ast.parse(modules[name].read_text("utf-8")), modules)
    return collected


def read_constant(file: Path, name: str) -> Any:
    """Return a constant of a module, without importing what the module needs."""
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise SystemExit(f"error: {file} has no {name}; define it there as a literal.")


def read_stages(chassis: Path = CHASSIS) -> dict[str, str]:
    """Return the module of each stage, as the command line names them."""
    app = chassis / "src" / PACKAGE / "cli" / "app.py"
    stages: dict[str, str] = read_constant(app, "STAGE_MODULES")
    return stages


def read_api(chassis: Path = CHASSIS) -> int:
    """Return the API version that a chassis offers to a project."""
    return int(read_constant(chassis / "src" / PACKAGE / "workspace" / "api_version.py", "API"))


def hash_file(file: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def fingerprint(stage: str, modules: Mapping[str, Path]) -> str:
    """Return the digest of the modules behind a stage's module."""
    names = sorted(collect_modules(stage, modules))
    lines = "".join(f"{name} {hash_file(modules[name])}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()


def make_manifest(chassis: Path = CHASSIS) -> str:
    """Return the text of the manifest of the files as they are."""
    modules = list_modules(chassis)
    project = tomllib.loads((chassis / "pyproject.toml").read_text("utf-8"))["project"]
    document = {
        "version": project["version"],
        "api": read_api(chassis),
        "fingerprints": {
            stage: fingerprint(module, modules) for stage, module in read_stages(chassis).items()
        },
        "files": {
            file.relative_to(chassis).as_posix(): hash_file(file) for file in list_files(chassis)
        },
    }
    return json.dumps(document, indent=1) + "\n"


def main() -> int:
    """Write the manifest of a chassis; without an argument, that of the template."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chassis", type=Path, nargs="?", default=CHASSIS)
    chassis = parser.parse_args().chassis.resolve()
    (chassis / MANIFEST).write_text(make_manifest(chassis), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
