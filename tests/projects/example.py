"""An example project per extension point: the files that differ from a project that was adopted.

A folder holds `src/` (laid over the project) and `example.yaml`:

    description   what it shows
    changes       by YAML file of the project, the keys to set in it
    rows          where the rows of the table are put as JSON, for a custom source
    prints        text that `make run` prints
    files         by file of the project, text in it after the run
    requests      GET requests: path, text in the body, name of a header in the response
"""

import json
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from project_copy import link_environment

FOLDER = Path(__file__).parent
ROWS = 2000


@dataclass(frozen=True)
class Request:
    """A GET request and what its response holds."""

    path: str
    body: str
    header: str


@dataclass(frozen=True)
class Example:
    """An example project; see the module's docstring for the fields."""

    folder: Path
    description: str
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: str = ""
    prints: str = ""
    files: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    @property
    def code(self) -> list[Path]:
        """The Python files of the example."""
        return sorted((self.folder / "src").rglob("*.py"))


def read_example(folder: Path) -> Example:
    """Read an example's description."""
    fields = yaml.safe_load((folder / "example.yaml").read_text(encoding="utf-8"))
    requests = [Request(**each) for each in fields.pop("requests", [])]
    return Example(folder, requests=requests, **fields)


EXAMPLES = {file.parent.name: read_example(file.parent) for file in FOLDER.glob("*/example.yaml")}


def copy_adopted(adopted: Path, environment: Path, copy: Path) -> Path:
    """Copy a project with links to an environment that is not a copy itself."""
    shutil.copytree(adopted, copy, symlinks=True, ignore=shutil.ignore_patterns(".venv"))
    link_environment(environment, copy / ".venv")
    return copy


def lay_over(example: Example, project: Path, table: Path) -> None:
    """Make an adopted project the example's."""
    shutil.copytree(example.folder / "src", project / "src", dirs_exist_ok=True)
    for name, changes in example.changes.items():
        file = project / name
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        file.write_text(yaml.safe_dump(merge(document, changes), sort_keys=False))
    if example.rows:
        place = project / example.rows
        place.parent.mkdir(parents=True)
        place.write_text(table.with_suffix(".json").read_text())


def merge(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a document with some keys set; stages are added, other sections replaced."""
    merged = {**document, **changes}
    if "stages" in changes:
        merged["stages"] = {**document["stages"], **changes["stages"]}
    return merged


def write_table(path: Path) -> None:
    """Write a small table of orders as CSV, and the same rows as JSON."""
    draw = random.Random(7)  # noqa: S311 - numbers for a test
    rows = []
    for number in range(ROWS):
        price, weight = draw.uniform(1, 200), draw.uniform(0.1, 20)
        risk = 2 * (1 if (price - 100) * (weight - 10) > 0 else -1) + draw.gauss(0, 1)
        rows.append(
            {
                "order_id": f"o-{number:05d}",
                "price": round(price, 2),
                "weight": round(weight, 2),
                "channel": draw.choice(["shop", "web", "phone"]),
                "returned": "yes" if risk > 0 else "no",
            }
        )
    lines = [",".join(map(str, row.values())) for row in rows]
    path.write_text("\n".join([",".join(rows[0]), *lines]) + "\n")
    path.with_suffix(".json").write_text(json.dumps(rows))
