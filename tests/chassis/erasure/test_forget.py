"""`forget`: a person's rows are gone everywhere, whenever it was killed, and do not come back."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from mlchassis.batch.output import is_own, join_parts
from mlchassis.cli.app import app
from mlchassis.cli.launch import Composition
from mlchassis.config.params import load_params
from mlchassis.contract.model import load_contract, parse_contract
from mlchassis.data.forgotten import drop_forgotten, make_digest
from mlchassis.data.tables import coerce, write_table
from mlchassis.erasure.forget import forget_rows
from mlchassis.erasure.selection import read_selection
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.prediction_log.compaction import compact_log
from mlchassis.prediction_log.reading import read_entries
from mlchassis.prediction_log.segments import name_host
from mlchassis.workspace.outputs import keep_edited, list_foreign, recording

pytestmark = pytest.mark.one_python

OWN = Composition("ml_service.project:project", "ml_service.service:service")
PACKAGE = "ml_service"
KEY, OTHER = "K-00010", "K-00011"
MOMENTS = int(os.environ.get("KILL_MOMENTS", "6"))


def store_object(store: Path, content: bytes, suffix: str = "") -> str:
    """Put content where DVC would: named by its MD5."""
    name = hashlib.md5(content).hexdigest()  # noqa: S324 - DVC's own choice
    place = store / "files/md5" / name[:2] / f"{name[2:]}{suffix}"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    place.chmod(0o444)
    return f"{name}{suffix}"


@pytest.fixture
def held(orders: Paths, tmp_path: Path) -> Paths:
    """A project whose data, caches, scores and log hold the orders; its remote is shared."""
    paths = Paths(tmp_path / "project")
    shutil.copytree(orders.root, paths.root)
    remote = tmp_path / "remote"
    (paths.root / ".dvc/config").write_text(
        f"[core]\n    remote = local\n['remote \"local\"']\n    url = {remote}\n"
        "['remote \"cloud\"']\n    url = s3://bucket/data\n"
    )
    contract = load_contract(paths.contract)
    rows = coerce(
        pd.read_csv(paths.root / "orders.csv").assign(
            ordered_at=lambda frame: pd.to_datetime(frame["ordered_at"], utc=True)
        ),
        contract,
    )
    with recording(paths, [paths.raw, paths.accepted, paths.quarantine, paths.splits]):
        for folder in (paths.raw, paths.accepted):
            write_table(folder / "2013-01.parquet", rows.head(100))
            write_table(folder / "2013-02.parquet", rows.iloc[100:200])
        write_table(paths.quarantine / "2013-01.parquet", rows.iloc[[10]].assign(reason="bad"))
        for split, part in (("train", rows.head(50)), ("validation", rows.iloc[10:11])):
            write_table(paths.splits / f"{split}.parquet", part)
    scores = rows.head(30)[["order_id"]].assign(row=range(30), prediction=True)
    write_table(tmp_path / "part", scores)
    (paths.root / "out").mkdir()
    join_parts([tmp_path / "part"], paths.root / "out/scores.parquet")
    (tmp_path / "part").unlink()
    parts = paths.root / "out/more.parquet.parts"
    write_table(parts / "00000001.answers", scores)
    (parts / "work.json").write_text("{}")
    kept = paths.var / "kept/data/raw/2013-01.parquet.0123abcd"
    write_table(kept, rows.head(20))
    paths.predictions.mkdir(parents=True)
    lines = [
        {"key": key, "row": 0, "inputs": {"size": 1.0}, "request_id": str(number)}
        for number, key in enumerate([KEY, OTHER, KEY])
    ]
    log = "".join(json.dumps(line) + "\n" for line in lines) + '{"key": "K-000'
    (paths.predictions / "a.jsonl").write_text(log)
    # Two versions in the cache and the remote; one object there is another project's.
    old = paths.raw / "2013-01.parquet"
    stores, listed = (paths.root / ".dvc/cache", remote), ""
    for store in stores:
        name = store_object(store, old.read_bytes())
        listing = [{"md5": name, "relpath": "2013-01.parquet"}]
        listed = store_object(store, json.dumps(listing).encode(), ".dir")
    write_table(tmp_path / "foreign.parquet", rows.iloc[5:15])
    store_object(remote, (tmp_path / "foreign.parquet").read_bytes())
    newer = tmp_path / "newer.parquet"
    write_table(newer, rows.iloc[10:60])
    store_object(paths.root / ".dvc/cache", newer.read_bytes())
    write_table(newer, rows.iloc[100:160])
    store_object(paths.root / ".dvc/cache", newer.read_bytes())
    paths.dvc_lock.write_text(f"outs:\n- path: data/raw\n  md5: {listed}\n")
    (paths.store / "bundles/abc").mkdir(parents=True)
    (paths.root / "notes.md").write_text(f"We looked at {KEY}.\n")
    me = ("-c", "user.name=Somebody", "-c", "user.email=somebody@localhost")
    for arguments in (("init", "-q"), ("add", "dvc.lock", "notes.md"), (*me, "commit", "-qm", "x")):
        subprocess.run(["git", *arguments], cwd=paths.root, check=True)
    return paths


def find_holders(root: Path) -> list[str]:
    """Files below a folder that are tables with the order, or logs with a line about it."""
    found = []
    for path in sorted(root.rglob("*")):
        if not path.is_file() or ".git" in path.parts:
            continue
        content = path.read_bytes()
        if content[:4] == b"PAR1":
            table = pq.read_table(path)
            held = KEY in table.column("order_id").to_pylist()
        else:
            held = path.suffix == ".jsonl" and KEY.encode() in content
        if held:
            found.append(str(path.relative_to(root)))
    return found


def test_a_persons_rows_are_removed_and_the_rest_is_listed(held: Paths, tmp_path: Path) -> None:
    assert len(find_holders(tmp_path)) >= 10
    before = {path: path.read_bytes() for path in held.root.glob("*") if path.is_file()}
    said: list[str] = []
    forget_rows(held, KEY, held.predictions, said.append)

    (left,) = [name for name in find_holders(tmp_path) if not name.startswith("foreign")]
    assert left.startswith("remote/")
    text = "\n".join(said)
    assert f"{tmp_path / left}: an object that no dvc.lock of this project names" in text
    for line in (
        "1 row removed from data/raw/2013-01.parquet",
        "2 lines removed from var/predictions/a.jsonl",
        "1 row removed from out/scores.parquet",
        "deleted out/more.parquet.parts",
        "the source, orders.csv",
        "var/deployed/bundles/abc: a model trained on the rows",
        "notes.md: the value stands in it",
        "DVC remote 'cloud' at s3://bucket/data",
        "git commits ",
        "backups, other clones",
    ):
        assert line in text
    assert len(pq.read_table(held.raw / "2013-01.parquet")) == 99
    assert len(pq.read_table(held.root / "out/scores.parquet")) == 29
    assert is_own(held.root / "out/scores.parquet")
    assert not (held.quarantine / "2013-01.parquet").exists()
    assert len(pq.read_table(held.splits / "validation.parquet")) == 0
    lines = [line.strip() for line in (held.predictions / "a.jsonl").read_text().splitlines()]
    assert [bool(line) for line in lines] == [False, True, False, True]
    assert (json.loads(lines[1])["key"], lines[3]) == (OTHER, '{"key": "K-000')
    # Of its own files it changed one alone, and the value stands in none of them.
    changed = [path.name for path, content in before.items() if path.read_bytes() != content]
    assert changed == ["params.yaml"]
    assert KEY not in held.params.read_text()
    # Nothing is taken for a file that somebody else changed.
    assert list_foreign(held, [held.raw, held.accepted]) == []
    keep_edited(held, [held.raw, held.accepted], said.append)
    assert not any("changed by hand" in line for line in said)
    # Again: nothing is left to do.
    said.clear()
    forget_rows(held, KEY, held.predictions, said.append)
    assert said[0] == "forget: nothing here holds such a row any more"


def test_rows_are_found_by_another_column_and_then_by_their_keys(held: Paths) -> None:
    rows = pd.read_parquet(held.raw / "2013-01.parquet")
    size = rows.loc[rows["order_id"] == KEY, "size"].iloc[0]
    same = rows.loc[rows["size"] == size, "order_id"].tolist()
    said: list[str] = []
    forget_rows(held, f"size={size}", held.predictions, said.append)
    assert f"{len(same)} row" in "\n".join(said)
    assert not [name for name in find_holders(held.root) if name != "orders.csv"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nobody", "holds a row with that value of 'order_id', so nothing was changed"),
        ("color=purple", "holds a row with that value of 'color'"),
        ("color=", "names no value of the column 'color'"),
    ],
)
def test_a_row_that_is_nowhere_is_refused_and_nothing_written(
    held: Paths, text: str, sentence: str
) -> None:
    before = held.params.read_bytes()
    with pytest.raises(ProjectError, match=sentence) as caught:
        forget_rows(held, text, held.predictions, lambda _: None)
    assert "nobody" not in str(caught.value)
    assert held.params.read_bytes() == before


def test_a_person_who_is_only_in_the_prediction_log_is_forgotten_there(held: Paths) -> None:
    line = json.dumps({"key": "K-99999", "row": 0, "inputs": {}, "request_id": "z"})
    log = held.predictions / "b.jsonl"
    log.write_text(f"{line}\n")
    forget_rows(held, "K-99999", held.predictions, lambda _: None)
    assert log.read_text().strip() == ""
    assert log.stat().st_size == len(line) + 1


@pytest.mark.parametrize("folder", ["", "host-2"])
def test_lines_of_compacted_and_nested_segments_are_removed(held: Paths, folder: str) -> None:
    place = held.predictions / folder
    place.mkdir(exist_ok=True)
    segment = place / f"20130101T000000Z-{name_host()}-7-01234567.jsonl"
    lines = [json.dumps({"key": key, "inputs": {}}) + "\n" for key in ("K-99999", OTHER)]
    segment.write_text("".join(lines))
    compact_log(held.predictions, None, datetime.now(UTC))
    assert not segment.exists()
    # A compaction that was killed before it deleted the segment.
    segment.write_text("".join(lines))
    said: list[str] = []
    forget_rows(held, "K-99999", held.predictions, said.append)
    assert "K-99999" not in segment.read_text()
    name = segment.with_suffix(".parquet").relative_to(held.root)
    assert f"forget: 1 line removed from {name}" in said
    entries = [entry for entry in read_entries(place) if isinstance(entry, dict)]
    assert [entry["key"] for entry in entries if "request_id" not in entry] == [OTHER]


@pytest.mark.parametrize("compacted", [True, False])
def test_lines_of_collected_copies_of_the_log_are_removed(held: Paths, compacted: bool) -> None:
    """A machine that monitors may hold copies of other hosts' logs."""
    copies = [held.var / "collected", held.root / "data/logs/host-2"]
    lines = [json.dumps({"key": key, "inputs": {}}) + "\n" for key in ("K-99999", OTHER)]
    for folder in copies:
        folder.mkdir(parents=True)
        segment = folder / f"20130101T000000Z-{name_host()}-7-01234567.jsonl"
        segment.write_text("".join(lines))
        (folder / "own.jsonl").write_text(lines[0])
        if compacted:
            compact_log(folder, None, datetime.now(UTC))
    said: list[str] = []
    forget_rows(held, "K-99999", held.predictions, said.append)
    name = f"20130101T000000Z-{name_host()}-7-01234567"
    suffix = "parquet" if compacted else "jsonl"
    assert f"forget: 1 line removed from var/collected/{name}.{suffix}" in said
    for folder in copies:
        # What no service wrote is listed.
        assert (folder / "own.jsonl").read_text() == lines[0]
        (folder / "own.jsonl").unlink()
        entries = [entry for entry in read_entries(folder) if isinstance(entry, dict)]
        assert [entry["key"] for entry in entries] == [OTHER]


@pytest.mark.parametrize("line", [{"inputs": [1]}, {"inputs": "x"}, {"key": {"a": [1]}}])
def test_a_line_of_another_shape_stays(held: Paths, line: dict[str, Any]) -> None:
    log = held.predictions / "other.jsonl"
    log.write_text(json.dumps(line) + "\n")
    forget_rows(held, KEY, held.predictions, lambda _: None)
    assert json.loads(log.read_text()) == line


def test_files_with_a_key_and_tables_of_labels_are_listed(held: Paths) -> None:
    rows = pd.read_parquet(held.raw / "2013-01.parquet")
    size = rows.loc[rows["order_id"] == KEY, "size"].iloc[0]
    held.reports.mkdir(exist_ok=True)
    (held.reports / "monitor.json").write_text(json.dumps({"example": KEY}))
    (held.var / "simulation/project").mkdir(parents=True)
    text = held.params.read_text()
    assert "\n  labels: null" in text
    labels = "\n  labels: {kind: files, path: data/labels.csv}"
    held.params.write_text(text.replace("\n  labels: null", labels))
    said: list[str] = []
    forget_rows(held, f"size={size}", held.predictions, said.append)
    for line in (
        "  - the table of labels, data/labels.csv",
        "  - reports/monitor.json: a key of the rows stands in it",
        "  - var/simulation/project: a copy of the project, of an interrupted simulation",
    ):
        assert line in said


@pytest.mark.parametrize(
    ("column", "personal_key", "sentence"),
    [
        ("order_id", True, "the contract's 'order_id' is not logged, so no line can be found"),
        ("size", True, "the contract's 'size' is not logged, so no line can be found"),
        (
            "size",
            False,
            "the contract's 'size' is not logged, so lines are found by the keys in the tables",
        ),
    ],
)
def test_lines_that_cannot_be_found_are_listed(
    held: Paths, column: str, personal_key: bool, sentence: str
) -> None:
    document = yaml.safe_load(held.contract.read_text())
    properties = {each["name"]: each for each in document["schema"][0]["properties"]}
    properties["size"]["tags"].append("pii")
    properties["order_id"]["tags"] += ["pii"] if personal_key else []
    held.contract.write_text(yaml.safe_dump(document))
    rows = pd.read_parquet(held.raw / "2013-01.parquet")
    value = rows.loc[rows["order_id"] == KEY, column].iloc[0]
    said: list[str] = []
    forget_rows(held, f"{column}={value}", held.predictions, said.append)
    assert f"  - the prediction log: {sentence}" in said


def test_a_file_of_the_prediction_log_is_not_taken_for_scores(held: Paths) -> None:
    """It has the columns `row` and `prediction` too."""
    segment = held.predictions / f"20130101T000000Z-{name_host()}-7-01234567.jsonl"
    segment.write_text(json.dumps({"key": OTHER, "inputs": {}}) + "\n")
    compact_log(held.predictions, None, datetime.now(UTC))
    table = segment.with_suffix(".parquet")
    before = table.read_bytes()
    contract = held.contract.read_text().replace("name: order_id", "name: segment")
    held.contract.write_text(contract)
    with pytest.raises(ProjectError, match="holds a row"):
        forget_rows(held, segment.name, held.predictions, lambda _: None)
    assert table.read_bytes() == before


START = "; ".join(
    [
        "from pathlib import Path",
        "from mlchassis.paths import Paths",
        "from mlchassis.workflow import pipeline",
        "pipeline",
    ]
)
DRIVER = r"""
import os, shutil, signal, sys

# The first child would compile modules that the others import, so they would write less.
sys.dont_write_bytecode = True
from pathlib import Path
import mlchassis.cli.app
from mlchassis.erasure.forget import forget_rows
from mlchassis.paths import Paths
from mlchassis.prediction_log.compaction import compact_log
from mlchassis.prediction_log.reading import read_entries
from mlchassis.prediction_log.segments import name_host
import pandas, pyarrow.parquet, dvc.config
import mlchassis.data.tables, mlchassis.data.forgotten

start, work, key, moments = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
CHANGES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "shutil.rmtree"}

def act():
    paths = Paths(work / "project")
    forget_rows(paths, key, paths.predictions, lambda line: None)

def in_child(die_at):
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        seen = 0
        def count(name, arguments):
            nonlocal seen
            mode = arguments[1] if name == "open" else ""
            writes = isinstance(mode, str) and set("wa+") & set(mode)
            if name in CHANGES or writes:
                seen += 1
                if seen == die_at:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        act()
        os.write(mouth, str(seen).encode())
        os._exit(0)
    os.close(mouth)
    os.waitpid(child, 0)
    with os.fdopen(ear) as text:
        return text.read()

def reset():
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(start, work, symlinks=True)

def state():
    return {
        str(p.relative_to(work)): p.read_bytes()
        for p in sorted(work.rglob("*")) if p.is_file() and ".git" not in p.parts
    }

reset()
count = int(in_child(0))
whole = state()
for moment in sorted({1 + (count - 1) * k // max(1, moments - 1) for k in range(moments)}):
    reset()
    assert in_child(moment) == "", f"not killed at {moment} of {count}"
    assert in_child(0), "the second run failed"
    again = state()
    odd = [n for n in set(whole) | set(again) if whole.get(n) != again.get(n)]
    assert not odd, (moment, count, odd)
print(count)
"""


@pytest.mark.parametrize("key", [KEY, "size"])
def test_a_killed_run_and_another_end_as_one_run_does(
    held: Paths, tmp_path: Path, key: str
) -> None:
    # A salt that is there already: a new one would be drawn by each run.
    contract = load_contract(held.contract)
    forget_rows(held, OTHER, held.predictions, lambda _: None)
    if key == "size":
        rows = pd.read_parquet(held.raw / "2013-01.parquet")
        key = f"size={rows.loc[rows['order_id'] == KEY, 'size'].iloc[0]}"
    assert read_selection(key, contract).column in contract.columns
    work = tmp_path / "work"
    start = tmp_path / "start"
    start.mkdir()
    shutil.copytree(held.root, start / "project")
    shutil.copytree(tmp_path / "remote", start / "remote")
    config = start / "project/.dvc/config"
    config.write_text(config.read_text().replace(str(tmp_path / "remote"), str(work / "remote")))
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, start, work, key, str(MOMENTS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= MOMENTS


def test_the_source_does_not_bring_a_forgotten_row_back(orders: Paths, tmp_path: Path) -> None:
    """With real DVC: run, forget, run with the old source, run with a source without the row."""
    paths = Paths(tmp_path / "project")
    shutil.copytree(orders.root, paths.root)
    subprocess.run(["git", "init", "-q"], cwd=paths.root, check=True)
    environment = {**os.environ, "PYTHONPATH": "src:chassis/src", "DVC_NO_ANALYTICS": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["HOME"] = str(tmp_path)

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=paths.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    repro = ("-c", f"{START}.repro(Paths(Path.cwd()), print, 'split')")
    run(*repro)
    run("-m", "dvc", "push", "-q")
    assert len(find_holders(tmp_path)) >= 6
    assert "1 row removed from data/raw/2013-01.parquet" in run("-m", PACKAGE, "forget", "--", KEY)
    assert find_holders(tmp_path) == []

    said = run(*repro)
    assert "the source still offers 1 row that `make forget` removed; left out" in said
    assert find_holders(tmp_path) == []

    source = paths.root / "orders.csv"
    source.write_text(re.sub(rf"^{KEY}.*\n", "", source.read_text(), flags=re.MULTILINE))
    said = run(*repro)
    assert "Running stage 'ingest'" in said
    assert "forget" not in said
    assert find_holders(tmp_path) == []


PEOPLE = """\
apiVersion: v3.2.0
kind: DataContract
id: people
name: people
version: 1.0.0
status: active
schema:
  - name: people
    physicalType: table
    properties:
      - {name: id, logicalType: integer, tags: [key]}
      - {name: size, logicalType: number, tags: [feature]}
      - {name: born, logicalType: timestamp, tags: [pii]}
      - {name: name, logicalType: string, tags: [pii]}
      - {name: won, logicalType: boolean, tags: [target]}
"""


@pytest.mark.parametrize(
    ("text", "cells", "left"),
    [
        ("4711", [4711, 47110, None], 2),
        ("9007199254740993", [9007199254740993, 9007199254740992], 1),
        ("size=2", [2.0, 2.5, float("nan")], 2),
        ("size=2.50", [2.0, 2.5], 1),
        ("born=1970-01-02", pd.to_datetime(["1970-01-02", "1970-01-03"], utc=True), 1),
        ("born=1970-01-02T01:00:00+01:00", pd.to_datetime(["1970-01-02"], utc=True), 0),
        ("name=Ann=Lee", ["Ann=Lee", "Ann"], 1),
        ("id=4711", ["4711", "04711x"], 1),
    ],
)
def test_a_digest_matches_every_spelling_of_a_value_and_no_other(
    text: str, cells: Any, left: int
) -> None:
    contract = parse_contract(PEOPLE)
    selection = read_selection(text, contract)
    name = selection.column.name
    entry = make_digest(name, selection.value, {})
    rows = pd.DataFrame(None, index=range(len(cells)), columns=[c.name for c in contract.columns])
    kept, count = drop_forgotten(rows.assign(**{name: cells}), contract, {name: (entry,)})
    assert (len(kept), count) == (left, len(cells) - left)
    assert selection.value not in entry.partition(":")[0]
    assert make_digest("name", "x", {name: (entry,)})[:33] == entry[:33]


def test_the_command_prints_no_value(held: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(held.root)
    shown = CliRunner().invoke(app, ["forget", "--", KEY], obj=OWN)
    assert shown.exit_code == 0, shown.output
    assert KEY not in shown.output
    assert load_params(held.params).ingest.forgotten["order_id"]
