"""Write chassis/MANIFEST.json: version, a SHA-256 of each file, a fingerprint of each stage.

A stage of dvc.yaml depends on its fingerprint: the digest of the modules that its own imports,
directly or not. So a change in serving code reruns no stage, and a change in training code does.
"""

import ast
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from bake import PAYLOAD, ROOT, list_tracked

CHASSIS = PAYLOAD / "chassis"
MANIFEST = CHASSIS / "MANIFEST.json"
PACKAGE = "mlchassis"
API = 1
"""Raised when a project has to change with the chassis: `[tool.mlchassis] api` of a project."""


def list_files() -> list[Path]:
    """List the chassis' tracked files, but for the manifest itself."""
    files = [ROOT / name for name in list_tracked()]
    return sorted(file for file in files if CHASSIS in file.parents and file != MANIFEST)


def name_module(file: Path) -> str:
    """Return the dotted name of a module's file."""
    parts = file.relative_to(CHASSIS / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


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
    found: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in modules and name not in found:
            found.add(name)
            # Importing a module runs its packages too.
            waiting += [name.rpartition(".")[0]]
            waiting += find_imports(ast.parse(modules[name].read_text("utf-8")), modules)
    return found


def read_stages() -> dict[str, str]:
    """Return the module of each stage, as the command line names them."""
    text = (CHASSIS / "src" / PACKAGE / "cli" / "app.py").read_text("utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "STAGE_MODULES":
            stages: dict[str, str] = ast.literal_eval(node.value)
            return stages
    raise SystemExit("error: cli/app.py has no STAGE_MODULES; name the module of each stage there.")


def hash_file(file: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def fingerprint(stage: str, modules: Mapping[str, Path]) -> str:
    """Return the digest of the modules behind a stage's module."""
    names = sorted(collect_modules(stage, modules))
    lines = "".join(f"{name} {hash_file(modules[name])}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()


def make_manifest() -> str:
    """Return the text of the manifest of the files as they are."""
    files = list_files()
    modules = {name_module(file): file for file in files if file.suffix == ".py"}
    version = re.search(r'^version = "(.*)"', (CHASSIS / "pyproject.toml").read_text("utf-8"), re.M)
    assert version
    document = {
        "version": version[1],
        "api": API,
        "fingerprints": {
            stage: fingerprint(module, modules) for stage, module in read_stages().items()
        },
        "files": {file.relative_to(CHASSIS).as_posix(): hash_file(file) for file in files},
    }
    return json.dumps(document, indent=1) + "\n"


def main() -> int:
    """Write the manifest; with --check, only compare it with the files."""
    text = make_manifest()
    if "--check" not in sys.argv[1:]:
        MANIFEST.write_text(text, encoding="utf-8")
        return 0
    if MANIFEST.read_text(encoding="utf-8") == text:
        return 0
    print("error: chassis/MANIFEST.json is not that of the files; run `make manifest`.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
