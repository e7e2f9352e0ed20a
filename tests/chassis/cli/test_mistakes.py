"""Every mistake that people make with data and settings, with the sentence that they then read.

One row for each mistake: what is done to a small project that works, the command, the sentence. It
ends with exit code 1, shows no traceback, and leaves every file as it was. What the service and the
registry refuse is with their own tests.
"""

import gzip
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import ml_service
from mlchassis.cli.app import app
from mlchassis.cli.launch import Composition
from mlchassis.data.tables import read_table, write_table
from mlchassis.paths import Paths

OWN = Composition("ml_service.project:project", "ml_service.service:service")
ROOT = Path(ml_service.__file__).parents[2]
PACKAGE = "ml_service"
STAGES = ("ingest", "validate", "split", "train", "export", "evaluate")
DATA = ("ingest", "validate", "split")


def replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    """Edit a file of the project, as a person does."""

    def edit(folder: Path) -> None:
        path = folder / name
        text = path.read_text(encoding="utf-8")
        assert re.search(old, text, re.MULTILINE), f"{name} has no {old}"
        path.write_text(re.sub(old, new, text, count=1, flags=re.MULTILINE), encoding="utf-8")

    return edit


def write(name: str, content: str | bytes) -> Callable[[Path], None]:
    raw = content if isinstance(content, bytes) else content.encode()

    def overwrite(folder: Path) -> None:
        (folder / name).write_bytes(raw)

    return overwrite


def save_in_latin_1(name: str) -> Callable[[Path], None]:
    """Save a file with a word in the encoding of another editor."""

    def append(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content + "# café\n".encode("latin-1"))

    return append


def delete(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def delete_source(folder: Path) -> None:
    """Delete the table, and the rows that were stored from it."""
    delete("orders.csv")(folder)
    shutil.rmtree(folder / "data" / "raw", ignore_errors=True)


def cut(name: str, proportion: float = 0.5) -> Callable[[Path], None]:
    """Keep the first part of a file, as an upload that broke off does."""

    def keep_start(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * proportion)])

    return keep_start


def offer(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    """Change the table that the source offers."""

    def rewrite(folder: Path) -> None:
        change(pd.read_csv(folder / "orders.csv")).to_csv(folder / "orders.csv", index=False)

    return rewrite


def set_source(**values: str) -> Callable[[Path], None]:
    (old, new), *_ = values.items()
    return replace("params.yaml", rf"^  {old}: .*$", f"  {old}: {new}")


def pack(folder: Path) -> None:
    """Offer a packed file that breaks off."""
    packed = gzip.compress((folder / "orders.csv").read_bytes())
    (folder / "orders.csv.gz").write_bytes(packed[: len(packed) // 2])
    set_source(path="orders.csv.gz")(folder)


def cut_parquet(folder: Path) -> None:
    pd.read_csv(folder / "orders.csv").to_parquet(folder / "orders.parquet")
    cut("orders.parquet")(folder)
    set_source(path="orders.parquet")(folder)


def take_class_away(folder: Path) -> None:
    """Every order of the last months was kept: the test split has one class alone."""
    for path in sorted((folder / "data" / "accepted").iterdir())[-4:]:
        rows = read_table(path)
        write_table(path, rows.assign(returned=rows["returned"].mask(rows["returned"])))


def break_rows(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(color=frame["color"].replace("red", "rouge"))


MISTAKES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    # The source.
    "a source file that is missing": (
        *(delete_source, "ingest"),
        r"orders\.csv is not there; name a file or a folder of CSV or Parquet files",
    ),
    "a folder without a table": (
        *(set_source(path="src"), "ingest"),
        r"src holds no CSV or Parquet file \(looked for \.csv, ",
    ),
    "a column that is missing": (
        *(offer(lambda frame: frame.drop(columns="price")), "ingest"),
        r"lacks the column 'price', which the contract lists; add it to the source, or take it out",
    ),
    "a column of another type": (
        *(offer(lambda frame: frame.assign(price="cheap")), "ingest"),
        r"column 'price' holds 'cheap' in row 1 \(1500 such rows\), which is not a number",
    ),
    "a column that is there twice": (
        *(
            replace("orders.csv", "^order_id,ordered_at,size", "order_id,ordered_at,price"),
            "ingest",
        ),
        r"has 2 columns named 'price'; rename all but one",
    ),
    "an empty file": (
        *(write("orders.csv", b""), "ingest"),
        r"orders\.csv is empty; export the table again with its header, or delete it",
    ),
    "a header without rows": (
        *(write("orders.csv", "order_id,ordered_at,size,price,color,returned\n"), "ingest"),
        r"orders\.csv holds no rows",
    ),
    "a file that ends within a row": (
        *(write("orders.csv", "order_id,ordered_at,size\nK-1,2013-01-01,5\nK-2,20"), "ingest"),
        r"orders\.csv: line 3 has 2 cells, but the header names 3 columns",
    ),
    "a packed file that is cut short": (*(pack, "ingest"), r"cannot be read .*cut short"),
    "a Parquet file that is cut short": (*(cut_parquet, "ingest"), r"cannot be read .*cut short"),
    "a file in another encoding": (
        *(write("orders.csv", "order_id,größe\n1,2\n".encode("latin-1")), "ingest"),
        r"orders\.csv is not in utf-8: line 1 holds bytes .*source\.encoding in params\.yaml",
    ),
    "a time that is missing in some rows": (
        *(offer(lambda frame: frame.assign(ordered_at=frame["ordered_at"].mask(frame.index < 2))),),
        *("ingest", r"2 rows have no 'ordered_at', so they belong to no month"),
    ),
    "a month that comes twice with other content": (
        *(offer(lambda frame: frame.assign(size=frame["size"] + (frame.index == 3))), "ingest"),
        r"offers 2013-01 again with other content .* find out why it changed, and delete",
    ),
    "no month that has arrived": (
        *(replace("params.yaml", "^  as_of: .*$", "  as_of: 2012-12"), "ingest"),
        r"No row has arrived by 2012-12: the source begins with 2013-01; raise ingest\.as_of",
    ),
    # The contract.
    "a contract that is missing": (
        *(delete("contract.yaml"), "validate"),
        r"contract\.yaml is missing: restore it from git",
    ),
    "a contract that is not YAML": (
        *(write("contract.yaml", "schema: ["), "validate"),
        r"contract\.yaml is not valid YAML: line 1, column 10: .*; correct it there\.",
    ),
    "a contract in another encoding": (
        *(save_in_latin_1("contract.yaml"), "validate"),
        r"contract\.yaml is not text in UTF-8",
    ),
    "a typo in a key of the contract": (
        *(replace("contract.yaml", "logicalType: number", "logicaltype: number"), "validate"),
        r"unknown key 'logicaltype'; did you mean 'logicalType'",
    ),
    "a typo in a tag of the contract": (
        *(replace("contract.yaml", r"tags: \[target\]", "tags: [targt]"), "validate"),
        r"column 'returned': tag 'targt' is not a role; did you mean 'target'",
    ),
    "a range in which nothing lies": (
        *(replace("contract.yaml", "minimum: [^,}]*", "minimum: 1.0e+9"), "validate"),
        r"the minimum 1000000000\.0 is above the maximum [\d.]+, so no value can pass",
    ),
    "a target that is offered as a feature": (
        *(replace("contract.yaml", r"tags: \[target\]", "tags: [target, feature]"), "validate"),
        r"'returned' is tagged as a feature, but it is known only after the event",
    ),
    # The parameters.
    "an unknown key in params.yaml": (
        *(replace("params.yaml", "max_trees:", "max_tree:"), "train"),
        r"unknown key 'train\.trees\.max_tree'; did you mean 'max_trees'",
    ),
    "an impossible value in params.yaml": (
        *(replace("params.yaml", "^  test_proportion: [^ ]*", "  test_proportion: 15"), "split"),
        r"'split\.test_proportion' is 15, but input should be less than or equal to 1",
    ),
    "a word for a number in params.yaml": (
        *(replace("params.yaml", "^seed: [^ ]*", "seed: lucky"), "split"),
        r"'seed' is 'lucky', but input should be a valid integer",
    ),
    "a source that nobody knows": (
        *(set_source(kind="kafka"), "ingest"),
        r"'source\.kind' is missing or unknown; known are .*files",
    ),
    "params.yaml that is not YAML": (
        *(write("params.yaml", "seed: [1"), "ingest"),
        r"params\.yaml is not valid YAML",
    ),
    "params.yaml in another encoding": (
        *(save_in_latin_1("params.yaml"), "ingest"),
        r"params\.yaml is not text in UTF-8",
    ),
    "dvc.yaml in another encoding": (
        *(save_in_latin_1("dvc.yaml"), "validate"),
        r"dvc\.yaml is not text in UTF-8",
    ),
    "dvc.yaml that is not YAML": (
        *(write("dvc.yaml", "stages: ["), "validate"),
        r"dvc\.yaml is not valid YAML",
    ),
    "dvc.yaml without stages": (
        *(write("dvc.yaml", "- a\n"), "validate"),
        r"dvc\.yaml has no stages",
    ),
    # The rows.
    "a category that nobody listed": (
        *(offer(break_rows), "ingest validate"),
        (
            r"rows \(3\d\.\d%\) break the contract.*the commonest reason is 'color: "
            r"enumeration'.*`make adopt`"
        ),
    ),
    "a test split with one class": (
        *(take_class_away, "split"),
        r"test split has no row of class true of 'returned'; bring more data or raise split",
    ),
    "a test split that is too small": (
        *(replace("params.yaml", "^  min_rows: [^ ]*", "  min_rows: 100000"), "split"),
        r"split holds \d+ rows, fewer than split\.min_rows \(100000\); bring more data or",
    ),
    "a column to group by that is not there": (
        *(replace("params.yaml", "^  strategy: time", "  strategy: group"), "split"),
        r"split\.strategy is 'group', but split\.group names no column; name the one",
    ),
    # What is not there.
    "a stage whose input was never made": (
        *(lambda folder: shutil.rmtree(folder / "data" / "splits"), "train"),
        r"train\.parquet is missing; run `make repro` or `make pull`",
    ),
    "a report that is cut short": (
        *(cut("reports/ingest.json"), "split"),
        r"ingest\.json is cut short or was edited; delete it and run `make repro`",
    ),
    "a model that is not there": (
        *(lambda _: None, "judge"),
        r"There is no bundle at .*models/bundle; make one with `make repro`",
    ),
    "a service without a model": (*(lambda _: None, "serve"), r"`make deploy`|`make run`"),
}


@pytest.fixture(scope="module")
def worked(orders: Paths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project after the stages that need no model."""
    folder = tmp_path_factory.mktemp("worked") / "project"
    shutil.copytree(orders.root, folder, ignore=shutil.ignore_patterns(".dvc"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for stage in DATA:
            done = CliRunner().invoke(app, [stage], obj=OWN)
            assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def folder(worked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which the test is."""
    copy = tmp_path / "project"
    shutil.copytree(worked, copy, ignore=shutil.ignore_patterns("src"))
    (copy / "src").mkdir()
    monkeypatch.chdir(copy)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("SERVICE_PORT", "0")
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    return copy


def snapshot(folder: Path) -> dict[str, str]:
    """Content of a folder, except the log and the state of this machine."""
    found = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): sha256(p.read_bytes()).hexdigest() for p in found}


def read_refusal(command: str) -> str:
    """The one sentence with which a command ends."""
    done = CliRunner().invoke(app, [command], obj=OWN)
    said = done.stderr.splitlines()
    assert (done.exit_code, len(said), said[0][:7]) == (1, 1, "error: "), done.output
    assert isinstance(done.exception, SystemExit)
    return said[0]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_its_sentence_and_leaves_nothing_behind(mistake: str, folder: Path) -> None:
    break_project, commands, sentence = MISTAKES[mistake]
    break_project(folder)
    *earlier, command = commands.split()
    for stage in earlier:
        shutil.rmtree(folder / "data")
        assert CliRunner().invoke(app, [stage], obj=OWN).exit_code == 0
    before = snapshot(folder)

    assert re.search(sentence, read_refusal(command))
    # Where it looked at rows, its quarantine and its report say why it stopped.
    assert earlier or snapshot(folder) == before


def test_a_port_in_use_gets_its_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("SERVICE_PORT", str(taken.getsockname()[1]))

        assert "stop what listens there, or name another with HOST= and PORT=" in read_refusal(
            "serve"
        )


def test_a_machine_without_git_gets_its_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder / "nowhere"))
    before = snapshot(folder)

    assert "git is not on PATH; install it and run again" in read_refusal("run")
    assert snapshot(folder) == before


def test_an_mlflow_server_that_does_not_answer_gets_its_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")

    said = read_refusal("deploy")
    assert "The MLflow server at http://127.0.0.1:1 does not answer; start it, or unset" in said
    assert not (folder / "var" / "deployed").exists()


@pytest.mark.parametrize("version", ["(3, 10, 14)", "(3, 14, 0)"])
def test_a_python_that_will_not_do_gets_its_sentence(tmp_path: Path, version: str) -> None:
    for name in ("Makefile", "pyproject.toml", "chassis/pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    other = tmp_path / "other-python"
    other.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "import sys\n'
        f'sys.version_info = {version}\nexec(sys.argv[2])" "$@"\n'
    )
    other.chmod(0o755)
    done = subprocess.run(
        ["make", "setup", f"PYTHON={other}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert f"error: no Python from 3.11 to 3.13 (tried: {other}); install one" in done.stderr
    assert not (tmp_path / ".venv").exists()


# A process of its own, since it forks: each stage in a child that may write no larger file. That is
# what a full disk looks like to a program: an OSError in the middle of a write.
FULL_DISK = """
import os, resource, shutil, signal, sys
from importlib import import_module
from pathlib import Path

from typer.testing import CliRunner
from mlchassis.cli import app as cli
from mlchassis.cli.launch import Composition

for name in sys.argv[2:]:
    import_module(cli.STAGE_MODULES[name])
own = Composition(f"{sys.argv[1]}.project:project", f"{sys.argv[1]}.service:service")
assert Path(cli.__file__).is_relative_to(Path.cwd()), cli.__file__
runner, limit, root = CliRunner(), int(os.environ["LIMIT"]), Path.cwd()

def look():
    return {path: path.stat().st_size for path in root.rglob("*") if path.is_file()}

def fill(stage):
    if os.fork() == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        done = runner.invoke(cli.app, [stage], obj=own)
        sentence = done.stderr.strip()
        fine = done.exit_code == 1 and sentence.startswith("error: ") and "\\n" not in sentence
        os.write(1, f"{stage}: {sentence or done.output or repr(done.exception)}\\n".encode())
        os._exit(0 if fine else 1)
    return os.waitstatus_to_exitcode(os.wait()[1])

for stage in sys.argv[2:]:
    before = look()
    assert fill(stage) == 0, stage
    for path, size in look().items():
        assert before.get(path) == size or size < limit, f"{path} is half-written"
        assert not path.name.startswith(".") or path in before, f"{path} is left"
    done = runner.invoke(cli.app, [stage], obj=own)
    assert done.exit_code == 0, f"{stage} again: {done.output}"
"""


@pytest.mark.one_python
def test_a_disk_that_is_full_while_a_stage_writes_gets_a_sentence_and_leaves_nothing_half_written(
    orders: Paths, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    shutil.copytree(orders.root, project)
    source = f"{project}/src:{project}/chassis/src"
    variables = {"PYTHONPATH": source, "LIMIT": "700", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, PACKAGE, *STAGES],
        cwd=project,
        env={**os.environ, **variables, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, f"{done.stdout}{done.stderr[-3000:]}"
    said = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in said] == [*STAGES]
    assert [line for line in said if "File too large" not in line] == []
