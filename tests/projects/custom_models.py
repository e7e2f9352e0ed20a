"""Example projects with a custom estimator, metric and gate, and the table that they adopt."""

import random
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
ROWS = 2000
GATE_LIMITS = (
    f"{'  custom: {}':31}# limits of this project's own gates by name, in the unit of each"
)
"""The line of section `judge`; section `monitor` has a key of this name, too."""


@dataclass(frozen=True)
class CustomModel:
    """An example project.

    Attributes:
        folder: Folder with `src/`, laid over a project, and perhaps `requirements.txt`.
        changes: Text in params.yaml and the text in its place.
        modules: The example's files that stages depend on.
        prints: Text that `make run` prints.
        shown: Text in the report.
    """

    folder: Path
    changes: dict[str, str]
    modules: tuple[str, ...]
    prints: str
    shown: str

    @property
    def code(self) -> list[Path]:
        """The Python files of the example."""
        return sorted((self.folder / "src").rglob("*.py"))

    @property
    def requirements(self) -> Path | None:
        """The example's own packages, pinned by hash."""
        file = self.folder / "requirements.txt"
        return file if file.exists() else None


EXAMPLES = {
    "pytorch_mlp": CustomModel(
        FOLDER / "pytorch_mlp",
        {
            "    kind: trees": "    kind: mlp",
            "  candidate:\n": "  mlp: {epochs: 30}\n  candidate:\n",
        },
        ("model.py",),
        prints="gain over linear",
        shown="better than linear",
    ),
    "metric_and_gate": CustomModel(
        FOLDER / "metric_and_gate",
        {
            "  metric: roc_auc": "  metric: precision_in_top_tenth",
            GATE_LIMITS: "  custom: {min_precision_in_top_tenth: 0.6}",
        },
        ("metrics.py", "gates.py"),
        prints="precision_in_top_tenth: candidate",
        shown="proportion of returned orders among the tenth with the highest scores",
    ),
}


def lay_over(example: CustomModel, project: Path) -> None:
    """Make an adopted project the example's: code, parameters, dependencies of the stages."""
    shutil.copytree(example.folder / "src", project / "src", dirs_exist_ok=True)
    params = project / "params.yaml"
    text = params.read_text(encoding="utf-8")
    for old, new in example.changes.items():
        if text.count(old) != 1:
            raise ValueError(f"params.yaml of the adopted project has no single {old!r}")
        text = text.replace(old, new)
    params.write_text(text, encoding="utf-8")
    pipeline = project / "dvc.yaml"
    line = '      - "src/ml_service/project.py"\n'
    added = "".join(line.replace("project.py", name) for name in example.modules)
    pipeline.write_text(pipeline.read_text(encoding="utf-8").replace(line, line + added))


def list_install(example: CustomModel, project: Path) -> list[str]:
    """Return the command that installs the example's packages for this project alone."""
    packages = next((project / ".venv").glob("lib/python*/site-packages"))
    options = ["--quiet", "--no-deps", "--require-hashes", "--target", str(packages)]
    return [sys.executable, "-m", "pip", "install", *options, "-r", str(example.requirements)]


def write_orders(path: Path, seed: int = 7) -> None:
    """Write a table whose target follows from a product: no linear model finds all of it."""
    draw = random.Random(seed)  # noqa: S311 - numbers for a test
    lines = ["order_id,price,weight,channel,returned"]
    for number in range(ROWS):
        price, weight = draw.uniform(1, 200), draw.uniform(0.1, 20)
        channel = draw.choice(["shop", "web", "phone"])
        product = (price / 100 - 1) * (weight / 10 - 1)
        score = product + 0.3 * (price / 100 - 1) + 0.1 * (channel == "phone")
        answer = "yes" if score + draw.gauss(0, 0.1) > 0 else "no"
        lines.append(f"o-{number:05d},{price:.2f},{weight:.2f},{channel},{answer}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
