"""Build the documentation site from the template's pages and those of a baked project.

The pages keep their folders, so their links hold. A warning of Sphinx is an error: a page that no
table of contents names, a link to a page or heading that is not there.
"""

import argparse
import ast
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bake import PAYLOAD, ROOT, bake_defaults, list_tracked
from environments import CommandError, call, install

FOLDER = ROOT / "build" / "site"
SOURCE, PAGES = FOLDER / "source", FOLDER / "html"
ENVIRONMENT = FOLDER / "environment"
CONFIGURATION = "docs/site"
PLACES = (".md", ".svg", ".webp", "LICENSE")
_ANCHOR = re.compile(r'^<a id="([\w-]+)"></a>$', re.MULTILINE)


def main() -> int:
    """Assemble the sources, and build the pages."""
    parser = argparse.ArgumentParser(
        prog="make docs", description=__doc__, epilog="example: make docs"
    )
    parser.parse_args()
    try:
        install(ROOT / "requirements" / "docs.txt", ENVIRONMENT)
        assemble(SOURCE)
        build(SOURCE, PAGES)
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"site: {PAGES.relative_to(ROOT)}/index.html")
    return 0


def assemble(source: Path) -> None:
    """Write all pages of the site into a new folder.

    Args:
        source: The folder; replaced if it is there.
    """
    shutil.rmtree(source, ignore_errors=True)
    for name in list_tracked():
        if name.endswith(PLACES) and not name.startswith((PAYLOAD.name, "tests/", ".")):
            add_page(ROOT / name, source / name.removeprefix(f"{CONFIGURATION}/"))
    shutil.copy2(ROOT / CONFIGURATION / "conf.py", source / "conf.py")
    project = source.with_name("project")
    bake_defaults(project)
    for page in sorted(project.rglob("*")):
        place = page.relative_to(project)
        if page.name.endswith(PLACES) and not place.parts[0].startswith("."):
            add_page(page, source / "project" / place)
    modules = project / "chassis" / "src" / "mlchassis"
    (source / "project" / "chassis" / "map.md").write_text(describe(modules), encoding="utf-8")


def add_page(page: Path, target: Path) -> None:
    """Copy a page; anchors become those of Sphinx, which knows none that are HTML."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if page.suffix == ".md":
        target.write_text(_ANCHOR.sub(r"(\1)=", page.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        shutil.copy2(page, target)


def build(source: Path, pages: Path) -> None:
    """Run Sphinx on a folder of sources.

    Raises:
        CommandError: It warns or fails.
    """
    shutil.rmtree(pages, ignore_errors=True)
    sphinx = ENVIRONMENT / "bin" / "sphinx-build"
    options = ("-b", "html", "--fail-on-warning", "--keep-going", "--quiet")
    call(sphinx, *options, source, pages, folder=source)


def describe(package: Path) -> str:
    """Return a page with the first line of each module's docstring, by package."""
    lines = [
        "# Map of the chassis\n",
        "Every module of `mlchassis` by the first line of its docstring. A package may import "
        "those of the layers below it; `chassis/pyproject.toml` lists the layers.\n",
    ]
    for folder in list_packages(package):
        name = ".".join((package.name, *folder.relative_to(package).parts))
        lines += [f"## {name}\n", f"{read_summary(folder / '__init__.py')}\n"]
        modules = [path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
        if modules:
            rows = [f"| `{path.name}` | {read_summary(path)} |" for path in modules]
            lines += ["| module | subject |", "| --- | --- |", *rows, ""]
    return "\n".join(lines)


def list_packages(package: Path) -> Iterator[Path]:
    """Yield the folders of a package and of those in it, by name."""
    yield from sorted(path.parent for path in package.rglob("__init__.py"))


def read_summary(module: Path) -> str:
    """Return the first paragraph of a module's docstring, fit for a cell of a table."""
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.partition("\n\n")[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
