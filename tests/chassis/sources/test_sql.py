"""Rows from a database: what is asked for, and what is refused with a sentence."""

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import pytest
import yaml

import ml_service
from ml_service.project import project as own_project
from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.adoption.files.pipeline_file import set_pipeline
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.adoption.prepare import prepare
from mlchassis.config.params import load_params
from mlchassis.config.source_params import ColumnFormat, SqlParams
from mlchassis.contract.model import Kind, parse_contract
from mlchassis.data import ingest
from mlchassis.data.tables import read_table
from mlchassis.errors import ProjectError
from mlchassis.project import Workspace
from mlchassis.reports import read_report
from mlchassis.sources.files import NESTED
from mlchassis.sources.parsing import parse_column
from mlchassis.sources.sql import read_rows, resolve_url, type_columns

ROOT = Path(ml_service.__file__).parents[2]


def add_month(folder: Path, month: int, rows: int = 40) -> None:
    with closing(sqlite3.connect(folder / "shop.db")) as connection, connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS orders"
            "(id TEXT, placed_at TEXT, size REAL, items INTEGER, color TEXT, returned INTEGER)"
        )
        connection.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    f"K-{month:02d}-{k:03d}",
                    f"2020-{month:02d}-{k % 28 + 1:02d} 10:{k % 60:02d}:00",
                    None if k % 9 == 0 else k * 1.25,
                    k % 7,
                    "red: dark" if k % 2 else "blue",
                    int(k % 3 == 0),
                )
                for k in range(rows)
            ],
        )


@pytest.fixture
def paths(tmp_path: Path) -> Workspace:
    for month in (1, 2, 3):
        add_month(tmp_path, month)
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    return Workspace(tmp_path, own_project)


def adopt(paths: Workspace, **place: str) -> None:
    """Files that `make adopt` writes for the table of a database."""
    overrides = RoleOverrides(target="returned", features=frozenset({"size", "items", "color"}))
    options = AdoptionOptions(DataLocation("sqlite:///shop.db", table="orders", **place), overrides)
    adoption = prepare(paths, options, None, lambda _, safe: safe)
    paths.contract.write_text(adoption.contract, encoding="utf-8")
    paths.params.write_text(adoption.params, encoding="utf-8")
    pipeline = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    task = parse_contract(adoption.contract).task
    changed = set_pipeline(pipeline, task, adoption.source)
    (paths.root / "dvc.yaml").write_text(changed, encoding="utf-8")
    if adoption.query is not None:
        (paths.root / "source.sql").write_text(adoption.query, encoding="utf-8")


def stored(paths: Workspace) -> dict[str, int]:
    return {path.stem: len(read_table(path)) for path in sorted(paths.raw.iterdir())}


def test_a_table_of_a_database_becomes_contract_settings_and_months(paths: Workspace) -> None:
    adopt(paths)
    contract = parse_contract(paths.contract.read_text(encoding="utf-8"))
    ingest.run(paths, load_params(paths.params))

    assert contract.name == "orders"
    assert (
        contract.key and contract.key.name,
        contract.event_time and contract.event_time.name,
    ) == (*("id", "placed_at"),)
    assert contract.column("items").kind == "integer"
    assert stored(paths) == {"2020-01": 40, "2020-02": 40, "2020-03": 40}
    january = read_table(paths.raw / "2020-01.parquet")
    assert january["size"].isna().sum() == 5
    assert set(january["color"]) == {"red: dark", "blue"}


def test_the_pipeline_watches_the_query_and_asks_the_database_each_time(paths: Workspace) -> None:
    adopt(paths)
    stage = yaml.safe_load((paths.root / "dvc.yaml").read_text(encoding="utf-8"))["stages"][
        "ingest"
    ]

    assert stage["always_changed"] is True
    assert "${source.query}" in stage["deps"]
    assert (paths.root / "source.sql").read_text() == "SELECT *\nFROM orders\n"


def test_a_table_that_cannot_be_adopted_leaves_nothing_behind(paths: Workspace) -> None:
    before = {path: path.read_bytes() for path in paths.root.iterdir()}
    place = DataLocation("sqlite:///shop.db", table="orders")
    for target, sentence in (("nothing", "no column 'nothing'"), ("id", "at most")):
        with pytest.raises(ProjectError, match=sentence):
            prepare(
                paths,
                AdoptionOptions(place, RoleOverrides(target=target)),
                None,
                lambda _, safe: safe,
            )

    assert {path: path.read_bytes() for path in paths.root.iterdir()} == before


def test_an_incremental_query_asks_for_the_last_month_and_what_came_after(paths: Workspace) -> None:
    adopt(paths, incremental="placed_at")
    params = load_params(paths.params)
    ingest.run(paths, params)
    add_month(paths.root, 4)
    assert isinstance(params.source, SqlParams)
    (rows,) = read_rows(params.source, paths.root)
    ingest.run(paths, params)

    assert sorted({placed[:7] for placed in rows["placed_at"]}) == ["2020-03", "2020-04"]
    assert stored(paths) == {f"2020-0{month}": 40 for month in (1, 2, 3, 4)}
    assert read_report(paths.reports / "ingest.json")["offered"] == 160


def test_rows_that_come_late_to_the_last_stored_month_are_added(paths: Workspace) -> None:
    adopt(paths, incremental="placed_at")
    params = load_params(paths.params)
    ingest.run(paths, params)
    with closing(sqlite3.connect(paths.root / "shop.db")) as connection, connection:
        connection.execute(
            "INSERT INTO orders VALUES ('K-late', '2020-03-30 10:00:00', 1.0, 1, 'blue', 0)"
        )

    assert "1 row was added to 2020-03" in ingest.run(paths, params)
    assert stored(paths) == {"2020-01": 40, "2020-02": 40, "2020-03": 41}


def test_a_row_that_changes_in_the_last_stored_month_is_noticed(paths: Workspace) -> None:
    adopt(paths, incremental="placed_at")
    params = load_params(paths.params)
    ingest.run(paths, params)
    with closing(sqlite3.connect(paths.root / "shop.db")) as connection, connection:
        connection.execute("UPDATE orders SET placed_at = '2020-03-30' WHERE placed_at > '2020-03'")

    with pytest.raises(ProjectError, match=r"offers 2020-03 again with other content \(40 of 40"):
        ingest.run(paths, params)


VALUES = [
    ("TEXT", "'x'", "string", "x"),
    ("INTEGER", str(2**63 - 1), "integer", 2**63 - 1),
    ("REAL", "0.1", "number", 0.1),
]


@pytest.mark.parametrize(("kind", "value", "logical", "expected"), VALUES)
def test_values_of_a_database_stay_exact_beside_missing_ones(
    tmp_path: Path, kind: str, value: str, logical: Kind, expected: Any
) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute(f"CREATE TABLE a (x {kind})")
        connection.execute(f"INSERT INTO a VALUES ({value}), (NULL)")  # noqa: S608
    (tmp_path / "q.sql").write_text("SELECT x FROM a")
    (rows,) = read_rows(SqlParams(kind="sql", url="sqlite:///a.db", query="q.sql"), tmp_path)
    parsed, invalid = parse_column(rows["x"], logical, ColumnFormat())

    assert parsed[0] == expected
    assert pd.isna(parsed[1])
    assert not invalid.any()


def test_bytes_of_a_database_are_refused_by_their_column(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE a (x INTEGER, raw BLOB)")
        connection.execute("INSERT INTO a VALUES (1, NULL), (2, x'ff00')")
    (tmp_path / "q.sql").write_text("SELECT * FROM a")

    with pytest.raises(ProjectError, match=r"q\.sql gives bytes in the column 'raw', which no"):
        read_rows(SqlParams(kind="sql", url="sqlite:///a.db", query="q.sql"), tmp_path)


def test_objects_of_a_database_become_text_or_are_left_out() -> None:
    aware = datetime(2024, 1, 31, 10, tzinfo=UTC)
    names = ["id", "price", "day", "tags", "when", "mixed", "huge", "both"]
    first = [UUID(int=1), Decimal("12345678901234567890.10"), date(2024, 1, 31), ["a"]]
    rows: list[list[Any]] = [
        [*first, aware, 2**53 + 1, 2**63, aware],
        [None, None, None, None, None, 1.5, 1, aware.replace(tzinfo=None)],
    ]
    named = type_columns(names, rows, "q.sql")

    assert named.attrs[NESTED] == ["tags"]
    assert named.iloc[0].to_dict() == {
        "id": "00000000-0000-0000-0000-000000000001",
        "price": "12345678901234567890.10",
        "day": "2024-01-31",
        "when": pd.Timestamp(aware),
        "mixed": "9007199254740993",
        "huge": "9223372036854775808",
        "both": "2024-01-31T10:00:00+00:00",
    }
    assert named.iloc[1].isna().sum() == 4
    assert named["when"].dtype == "datetime64[us, UTC]"


def test_what_is_not_asked_for_again_cannot_be_noticed(paths: Workspace) -> None:
    adopt(paths, incremental="placed_at")
    params = load_params(paths.params)
    ingest.run(paths, params)
    with closing(sqlite3.connect(paths.root / "shop.db")) as connection, connection:
        connection.execute("DELETE FROM orders WHERE placed_at < '2020-02'")
    ingest.run(paths, params)

    assert stored(paths)["2020-01"] == 40


def test_the_password_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_PASSWORD", "s@cret/:")
    url = resolve_url("postgresql://reader@localhost/shop", tmp_path)

    assert (url.password, url.drivername) == ("s@cret/:", "postgresql+psycopg")
    assert "s@cret" not in str(url)


REFUSED = {
    "a password in the address": (
        *("postgresql://reader:hunter2@localhost/shop", "q.sql"),
        r"The address postgresql://reader:\*\*\*@localhost/shop holds a password; take it out",
    ),
    "no address": ("shop+db+1://:::", "q.sql", "is not an address of a database"),
    "a file that is not there": ("sqlite:///other.db", "q.sql", r"other\.db is not there"),
    "a query that is not there": (
        "sqlite:///shop.db",
        "other.sql",
        r"other\.sql is not there; write",
    ),
    "a query in another encoding": (
        *("sqlite:///shop.db", "latin.sql"),
        r"latin\.sql is not text in UTF-8",
    ),
    "a query that is wrong": (
        "sqlite:///shop.db",
        "wrong.sql",
        r"wrong\.sql at .* cannot be read .no such table: x",
    ),
    "a query without rows": ("sqlite:///shop.db", "none.sql", r"none\.sql finds no rows"),
    "a column twice": ("sqlite:///shop.db", "twice.sql", r"twice\.sql has 2 columns named 'id'"),
    "a server that does not answer": (
        *("postgresql://reader@127.0.0.1:1/shop", "q.sql"),
        r"q\.sql at postgresql\+psycopg://reader@127\.0\.0\.1:1/shop cannot be read \(.*refused",
    ),
    "a database without its driver": (
        *("oracle://reader@127.0.0.1:1/shop", "q.sql"),
        r"cannot be read \(No module named",
    ),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_gets_its_sentence_without_a_secret(mistake: str, paths: Workspace) -> None:
    url, query, sentence = REFUSED[mistake]
    queries = {
        "q.sql": "SELECT * FROM orders;",
        "wrong.sql": "SELECT * FROM x",
        "none.sql": "SELECT * FROM orders WHERE size < 0",
        "twice.sql": "SELECT id, id FROM orders",
    }
    for name, text in queries.items():
        (paths.root / name).write_text(text)
    (paths.root / "latin.sql").write_bytes("SELECT 'café'".encode("latin-1"))

    with pytest.raises(ProjectError, match=sentence) as refusal:
        read_rows(SqlParams(kind="sql", url=url, query=query), paths.root)
    assert "hunter2" not in str(refusal.value)


def test_a_database_without_a_query_is_asked_for_one(paths: Workspace) -> None:
    options = AdoptionOptions(DataLocation("sqlite:///shop.db"), RoleOverrides(target="returned"))

    with pytest.raises(ProjectError, match=r"--query orders\.sql, or --table orders"):
        prepare(paths, options, None, lambda _, safe: safe)


def test_a_query_may_hold_colons(paths: Workspace) -> None:
    (paths.root / "q.sql").write_text("SELECT id, '10:30 :x' AS clock FROM orders -- :y\n")
    (rows,) = read_rows(SqlParams(kind="sql", url="sqlite:///shop.db", query="q.sql"), paths.root)

    assert set(rows["clock"]) == {"10:30 :x"}
    assert isinstance(rows, pd.DataFrame)


@pytest.mark.parametrize(
    "address", ["postgresql://bob@h/x?password=s3cr3t", "mysql://h/x?token=s3cr3t"]
)
def test_a_secret_among_an_addresss_parameters_is_refused_when_it_is_read(
    address: str, tmp_path: Path
) -> None:
    with pytest.raises(ProjectError, match="holds a secret in the parameter") as refused:
        resolve_url(address, tmp_path)
    assert "s3cr3t" not in str(refused.value)
