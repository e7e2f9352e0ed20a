"""Files that no verb wrote are neither deleted nor overwritten."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import ml_service
from ml_service.project import project as own_project
from mlchassis.adoption.adopt import adopt
from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.adoption.files.placement import check_placement
from mlchassis.adoption.files.remove_sample import clear_outputs
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.errors import ProjectError
from mlchassis.project import Workspace
from mlchassis.workspace import outputs
from mlchassis.workspace.outputs import (
    list_foreign,
    list_own,
    protect,
    read_outputs,
    recording,
    write_facts,
)

ROOT = Path(ml_service.__file__).parents[2]


@pytest.fixture
def paths(tmp_path: Path) -> Workspace:
    """A project in which one stage has run."""
    paths = Workspace(tmp_path / "project", own_project)
    with recording(paths, [paths.raw, paths.reports / "ingest.json"]):
        write(paths.raw / "2013-01.parquet", "rows")
        write(paths.reports / "ingest.json", "{}")
    return paths


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def names(paths: Workspace, files: list[Path]) -> list[str]:
    return [str(path.relative_to(paths.root)) for path in files]


def test_what_a_stage_wrote_is_its_own_and_what_a_person_put_there_is_not(paths: Workspace) -> None:
    write(paths.raw / "orders.csv", "mine")
    write(paths.reports / "figures" / "a.svg", "mine")

    assert names(paths, list_own(paths, [paths.raw, paths.reports])) == [
        "data/raw/2013-01.parquet",
        "reports/ingest.json",
    ]
    assert names(paths, list_foreign(paths, [paths.raw, paths.reports])) == [
        "data/raw/orders.csv",
        "reports/figures/a.svg",
    ]


def test_a_file_that_was_there_before_a_stage_stays_a_persons(paths: Workspace) -> None:
    write(paths.accepted / "mine.parquet", "mine")
    with recording(paths, [paths.accepted]):
        write(paths.accepted / "2013-01.parquet", "rows")

    assert names(paths, list_own(paths, [paths.accepted])) == ["data/accepted/2013-01.parquet"]


@pytest.mark.parametrize("end", [ProjectError, KeyboardInterrupt])
def test_a_stage_that_stops_has_recorded_what_it_wrote(
    paths: Workspace, end: type[BaseException]
) -> None:
    def stop() -> None:
        with recording(paths, [paths.accepted]):
            write(paths.accepted / "2013-01.parquet", "half the rows")
            raise end

    with pytest.raises(end):
        stop()
    assert list_own(paths, [paths.accepted])


def test_what_a_killed_stage_left_is_its_own(
    paths: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(paths.accepted / "mine.parquet", "mine")
    with recording(paths, [paths.accepted]), monkeypatch.context() as patch:
        write(paths.accepted / "2013-01.parquet", "half the rows")
        # A kill leaves no time to close the record.
        patch.setattr(outputs, "_write_notes", lambda *_: None)

    with recording(paths, [paths.splits]):
        pass
    assert names(paths, list_own(paths, [paths.accepted])) == ["data/accepted/2013-01.parquet"]
    assert names(paths, list_foreign(paths, [paths.accepted])) == ["data/accepted/mine.parquet"]


def test_a_fresh_clone_knows_its_files_by_dvcs_lock(tmp_path: Path) -> None:
    paths = Workspace(tmp_path, own_project)
    write(paths.raw / "2013-01.parquet", "rows")
    write(paths.reports / "ingest.json", "{}")
    digest = f"{md5('listing')}.dir"
    listing = [{"md5": md5("rows"), "relpath": "2013-01.parquet"}]
    cache = tmp_path / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
    write(cache, json.dumps(listing))
    outs = [
        {"path": "data/raw", "md5": digest},
        {"path": "reports/ingest.json", "md5": md5("{}")},
    ]
    write(paths.dvc_lock, yaml.safe_dump({"stages": {"ingest": {"outs": outs}}}))

    assert list_foreign(paths, [paths.raw, paths.reports]) == []
    assert len(list_own(paths, [paths.raw, paths.reports])) == 2
    write(paths.reports / "ingest.json", "{ }")
    assert len(list_own(paths, [paths.raw, paths.reports])) == 1


def test_a_folder_that_dvc_empties_may_hold_nothing_of_a_person(paths: Workspace) -> None:
    write(paths.accepted / "notes.txt", "mine")

    with pytest.raises(ProjectError, match=r"^data/accepted/notes\.txt was not written by .*move"):
        protect(paths, [paths.raw, paths.accepted], print)
    assert (paths.accepted / "notes.txt").read_text() == "mine"


def test_an_edited_output_is_copied_before_it_is_replaced(paths: Workspace) -> None:
    write(paths.raw / "2013-01.parquet", "rows, edited")
    said: list[str] = []
    protect(paths, [paths.raw, paths.reports / "ingest.json"], said.append)

    copy = paths.var / "kept" / f"data/raw/2013-01.parquet.{md5('rows, edited')[:8]}"
    assert copy.read_text() == "rows, edited"
    assert said == [
        f"data/raw/2013-01.parquet was changed by hand: its copy is {copy.relative_to(paths.root)}"
    ]


def test_a_report_that_a_person_wrote_or_edited_is_kept_when_a_verb_writes_it(
    paths: Workspace,
) -> None:
    place = write(paths.judgement, "mine")
    write_facts(paths, place, {"a": 1})
    write_facts(paths, place, {"a": 2})
    write(place, "edited")
    write_facts(paths, place, {"a": 3})

    kept = sorted(path.read_text() for path in (paths.var / "kept" / "reports").iterdir())
    assert kept == ["edited", "mine"]
    assert json.loads(place.read_text()) == {"a": 3}


def test_scratch_files_of_a_killed_process_are_nobodys(paths: Workspace) -> None:
    write(paths.raw / ".2013-02.parquet-ab12cd34.partial", "half")
    write(paths.raw / "2013-02.parquet.QmYd3nEwLxPqTzV8.tmp", "half")

    protect(paths, [paths.raw], print)


def test_a_mark_of_a_folder_and_a_linked_folder_are_no_obstacle(
    paths: Workspace, tmp_path: Path
) -> None:
    write(paths.raw / ".gitkeep", "")
    (tmp_path / "large disk").mkdir()
    paths.accepted.symlink_to(tmp_path / "large disk")
    with recording(paths, [paths.accepted]):
        write(paths.accepted / "2013-01.parquet", "rows")

    protect(paths, [paths.raw, paths.accepted], print)
    assert names(paths, list_own(paths, [paths.accepted])) == ["data/accepted/2013-01.parquet"]


def test_an_adoption_deletes_what_the_pipeline_wrote_and_keeps_other_reports(
    paths: Workspace,
) -> None:
    write(paths.reports / "figures" / "a.svg", "mine")
    write_facts(paths, paths.judgement, {})

    assert set(clear_outputs(paths)) == {
        "data/raw/2013-01.parquet",
        "reports/ingest.json",
        "reports/judgement.json",
        "dvc.lock",
    }


def test_the_outputs_of_the_pipeline_are_those_of_its_file() -> None:
    paths = Workspace(ROOT, own_project)

    assert paths.raw in read_outputs(paths)
    assert paths.reports / "metrics.json" in read_outputs(paths, "evaluate")
    assert paths.raw not in read_outputs(paths, "evaluate")


@pytest.mark.parametrize(
    ("stages", "place"),
    [
        ("{ingest: [a]}", "stages.ingest"),
        ("{ingest: {outs: data/raw}}", "stages.ingest.outs"),
        ("{ingest: {metrics: [{a.json: {}, b.json: {}}]}}", "stages.ingest.metrics.0.path"),
        ("{ingest: {deps: [1]}}", "stages.ingest.deps.0"),
    ],
)
def test_a_malformed_stage_is_named_with_its_place(tmp_path: Path, stages: str, place: str) -> None:
    write(tmp_path / "dvc.yaml", f"stages: {stages}")

    with pytest.raises(ProjectError, match=rf"^dvc\.yaml: '{place}' is .*; correct it or restore"):
        read_outputs(Workspace(tmp_path, own_project))


def test_a_path_with_settings_and_a_stage_for_each_item_are_read(tmp_path: Path) -> None:
    write(
        tmp_path / "dvc.yaml",
        "stages: {a: {outs: [x: {cache: false}, y], plots: [z: null]}, b: {foreach: [1], do: {}}}",
    )

    found = read_outputs(Workspace(tmp_path, own_project))
    assert [path.name for path in found] == ["x", "y", "z"]


@pytest.mark.parametrize("text", ["[]", '{"files": []}', '{"files": {}, "open": 1}', "{"])
def test_a_broken_record_of_written_files_counts_as_none(paths: Workspace, text: str) -> None:
    write(paths.var / "written.json", text)

    assert names(paths, list_foreign(paths, [paths.raw])) == ["data/raw/2013-01.parquet"]


def test_names_that_are_not_utf_8_are_recorded(paths: Workspace) -> None:
    mine = write(paths.raw / "b\udcfcro.csv", "mine")
    with recording(paths, [paths.raw]):
        write(paths.raw / "2013-02.parquet", "rows")

    assert list_foreign(paths, [paths.raw]) == [mine]


INSIDE = [
    "data/raw/orders.csv",
    "./data/raw",
    "data/accepted/x.parquet",
    "data/quarantine",
    "models/x.csv",
    "reports/x.csv",
    "var/x.csv",
    ".venv/x.csv",
    "link.csv",
    "sqlite:///var/shop.db",
]


@pytest.mark.parametrize("given", INSIDE)
def test_a_source_among_the_projects_own_files_is_refused(paths: Workspace, given: str) -> None:
    write(paths.raw / "orders.csv", "a,b\n1,2\n")
    (paths.root / "link.csv").symlink_to(paths.raw / "orders.csv")

    for data in (given, given.replace("sqlite:///", f"sqlite:///{paths.root}/")):
        with pytest.raises(ProjectError, match=r"lies in .*, which the project's own verbs fill"):
            check_placement(paths, DataLocation(data))


@pytest.mark.parametrize("given", [".", "data", "..", "/"])
def test_a_folder_around_the_projects_own_files_is_refused(paths: Workspace, given: str) -> None:
    with pytest.raises(ProjectError, match=r"is a folder around .*, so the project would read"):
        check_placement(paths, DataLocation(given))


def test_a_source_elsewhere_is_taken(paths: Workspace) -> None:
    elsewhere: list[dict[str, Any]] = [
        {"data": "orders.csv"},
        {"data": "tables/orders"},
        {"data": "data/orders.csv"},
        {"data": str(paths.root.parent / "orders.csv")},
        {"data": "s3://var/orders.csv"},
        {"data": "postgresql://host/var", "query": "orders.sql"},
        {"data": "sqlite:///shop.db", "table": "orders"},
    ]
    for place in elsewhere:
        check_placement(paths, DataLocation(**place))
    with pytest.raises(ProjectError, match=r"var/q\.sql lies in var"):
        check_placement(paths, DataLocation("postgresql://host/x", query="var/q.sql"))


def test_an_adoption_that_is_refused_has_changed_nothing(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    for name in ("contract.yaml", "params.yaml", "dvc.yaml", ".sample.yaml"):
        if (ROOT / name).exists():
            (root / name).write_text((ROOT / name).read_text(encoding="utf-8"))
    (root / "orders.csv").write_text("a,b\n1,2\n")
    paths = Workspace(root, own_project)
    write(paths.raw / "mine.csv", "mine")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def try_adopting(data: str, target: str, sentence: str) -> None:
        options = AdoptionOptions(DataLocation(data), RoleOverrides(target=target))
        with pytest.raises(ProjectError, match=sentence):
            adopt(paths, options, lambda _question, safe: safe, print)
        now = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        assert now == before

    try_adopting("orders.csv", "b", r"^data/raw/mine\.csv was not written by this project")
    try_adopting("data/raw/mine.csv", "b", r"lies in data/raw")
    (paths.raw / "mine.csv").unlink()
    before.pop(paths.raw / "mine.csv")
    try_adopting("absent.csv", "b", r"absent\.csv is not there")
    try_adopting("orders.csv", "c", "has no column 'c'")
    assert not (root / ".git").exists()
