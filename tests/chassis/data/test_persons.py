"""Values of columns tagged `pii` stay out of bundles, registries, reports and messages."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mlchassis.adoption.columns.plan import RoleOverrides
from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.adoption.prepare import Adoption, prepare
from mlchassis.config.yaml_edit import set_values
from mlchassis.contract.model import parse_contract
from mlchassis.data.persons import check_categories, replace_personal_values
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths

NAMES = [f"Person{number:02d} Realname" for number in range(30)]


def make_guests(rows: int = 1200) -> pd.DataFrame:
    """Guests of a hotel, of whom those with large parties cancel; the same people come again."""
    draw = np.random.default_rng(2)
    party = draw.normal(size=rows)
    return pd.DataFrame(
        {
            "arrived_at": pd.Timestamp("2013-01-01")
            + pd.to_timedelta(np.arange(rows) // 4, unit="D"),
            "party": (party * 3 + 20).round(2),
            "nights": draw.normal(5, 1, size=rows).round(2),
            "secret_name": draw.choice(NAMES, rows),
            "salary": draw.integers(30_000, 90_000, rows) * 7 + 3,
            "cancelled": party + draw.normal(scale=0.5, size=rows) > 0.3,
        }
    )


def adopt_guests(paths: Paths, *, store: bool) -> Adoption:
    """Draft the project for the guests; `store` answers whether names may be categories."""
    overrides = RoleOverrides(
        target="cancelled",
        features=frozenset({"secret_name", "salary"}),
        pii=frozenset({"secret_name", "salary"}),
    )
    options = AdoptionOptions(DataLocation("guests.csv"), overrides)
    return prepare(
        paths, options, None, lambda question, safe: store if "Store them?" in question else safe
    )


@pytest.fixture
def guests(orders: Paths, tmp_path: Path) -> Paths:
    """A project about guests whose names are a feature, although they are tagged pii."""
    paths = Paths(tmp_path / "project")
    shutil.copytree(orders.root, paths.root, ignore=shutil.ignore_patterns(".dvc"))
    make_guests().to_csv(paths.root / "guests.csv", index=False)
    paths.contract.unlink()
    adoption = adopt_guests(paths, store=False)
    paths.contract.write_text(adoption.contract)
    paths.params.write_text(adoption.params)
    subprocess.run(["git", "init", "-q"], cwd=paths.root, check=True)
    me = ("-c", "user.name=Somebody", "-c", "user.email=somebody@localhost")
    subprocess.run(
        ["git", *me, "commit", "--allow-empty", "-qm", "Start"], cwd=paths.root, check=True
    )
    outs = [{"path": "data/raw", "hash": "md5", "md5": "0123.dir"}]
    paths.dvc_lock.write_text(json.dumps({"stages": {"ingest": {"outs": outs}}}))
    return paths


def find_names(folder: Path) -> list[str]:
    """Files below a folder that hold a guest's name or salary."""
    salaries = "|".join(make_guests()["salary"].astype(str).unique())
    # The digits of a longer number are not a salary.
    word = re.compile(rf"{'|'.join(NAMES)}|(?<![\d.])({salaries})(?![\d])".encode())
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and word.search(path.read_bytes())
    ]


@pytest.mark.one_python
def test_no_name_reaches_a_bundle_or_the_registry(
    guests: Paths, run_verbs: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    stages = ("ingest", "validate", "split", "train", "export")
    refused = run_verbs(guests, *stages)
    said = " ".join(refused.stderr.split())
    assert "'secret_name' is tagged pii, and the model would store its values" in said
    assert "export.pii_categories in params.yaml" in said
    assert not guests.bundle.exists()
    assert not any(name in refused.stdout + refused.stderr for name in NAMES)

    # Agreed to: the model's own categories then hold the names, and nothing else does.
    text = guests.params.read_text()
    settings = {"export.pii_categories": (["secret_name"], "agreed to")}
    guests.params.write_text(set_values(text, settings))
    done = run_verbs(guests, "export", "evaluate", "track", "report")
    assert done.returncode == 0, done.stderr
    assert find_names(guests.bundle) in ([], ["model.onnx"])
    stored = [name for name in find_names(guests.var) if not name.endswith("model.onnx")]
    assert stored == []
    assert list(guests.var.rglob("input_example.json"))
    assert find_names(guests.reports) == []
    facts = json.loads((guests.bundle / "bundle.json").read_text())
    assert facts["reference"]["secret_name"]["shares"] == {}
    assert facts["reference"]["salary"]["quantiles"] == []


@pytest.mark.one_python
def test_adoption_asks_whether_names_may_be_stored(guests: Paths) -> None:
    cautious, agreed = adopt_guests(guests, store=False), adopt_guests(guests, store=True)
    assert any("'secret_name'" in q and "export rejects" in q for q in cautious.open_questions)
    assert not any("export rejects" in question for question in agreed.open_questions)
    settings = [yaml.safe_load(found.params)["export"] for found in (cautious, agreed)]
    assert [found["pii_categories"] for found in settings] == [[], ["secret_name"]]
    assert not any(name in cautious.contract + cautious.params for name in NAMES)


CONTRACT = """\
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
      - {name: name, logicalType: string, required: true, tags: [feature, pii]}
      - {name: nick, logicalType: string, tags: [feature, pii]}
      - {name: code, logicalType: string, required: true, tags: [feature, pii], examples: ['0000'],
         logicalTypeOptions: {pattern: '[0-9]{4}'}}
      - {name: born, logicalType: timestamp, required: true, tags: [feature, pii]}
      - {name: age, logicalType: integer, required: true, tags: [feature, pii],
         logicalTypeOptions: {minimum: 500, maximum: 900}}
      - {name: size, logicalType: number, required: true, tags: [feature]}
      - {name: won, logicalType: boolean, tags: [target]}
"""


def test_personal_values_are_made_from_the_contract_alone() -> None:
    contract = parse_contract(CONTRACT)
    rows = pd.DataFrame(
        {
            "name": pd.Series(["Ann", "Bob"], dtype="string"),
            "nick": pd.Series(["Annie", None], dtype="string"),
            "code": pd.Series(["1234", "5678"], dtype="string"),
            "born": pd.to_datetime(["1970-01-01", "1980-01-01"], utc=True),
            "age": pd.Series([501, 502], dtype="Int64"),
            "size": pd.Series([1.5, 2.5], dtype="Float64"),
            "won": pd.Series([True, False], dtype="boolean"),
        },
        index=[7, 9],
    )
    made = replace_personal_values(rows, contract, seed=1)
    assert list(made.columns) == list(rows.columns)
    pd.testing.assert_frame_equal(made[["size", "won"]], rows[["size", "won"]])
    for name in ("name", "nick", "code", "born"):
        assert not set(made[name].dropna()) & set(rows[name].dropna()), name
    assert made["age"].between(500, 900).all()
    assert made["nick"].isna().all()


@pytest.mark.parametrize(
    ("feature", "stored"),
    [
        (["ann", "BOB", "Ann"], True),
        (["Ann/red", "Bob/blue", "Ann/red"], True),
        (["A", "B", "A"], False),
        (["red", "blue", "red"], False),
    ],
)
def test_a_feature_that_repeats_a_name_is_found(feature: list[str], *, stored: bool) -> None:
    contract = parse_contract(
        re.sub(r"      - \{name: (nick|born|age).*\n", "", CONTRACT)
        .replace(
            "      - {name: code, logicalType: string, required: true, tags: [feature, pii], "
            "examples: ['0000'],\n         logicalTypeOptions: {pattern: '[0-9]{4}'}}\n",
            "",
        )
        .replace("         logicalTypeOptions: {minimum: 500, maximum: 900}}\n", "")
    )
    columns = {"name": np.array(["Ann", "Bob", "Ann"], dtype=object), "size": np.ones(3)}
    features = {"label": np.array(feature, dtype=object), "size": np.ones(3)}
    if stored:
        with pytest.raises(ProjectError, match="feature 'label'") as caught:
            check_categories(contract, columns, features, ())
        assert "Ann" not in str(caught.value)
        check_categories(contract, columns, features, ("name",))
    else:
        check_categories(contract, columns, features, ())


def test_slices_by_a_personal_column_are_not_reported() -> None:
    text = CONTRACT.replace(
        "{name: size, logicalType: number, required: true, tags: [feature]}",
        "{name: size, logicalType: number, required: true, tags: [feature, slice]}",
    )
    text = text.replace(
        "name: nick, logicalType: string, tags: [feature, pii]",
        "name: nick, logicalType: string, tags: [feature, slice, pii]",
    )
    contract = parse_contract(text)
    assert [column.name for column in contract.slices] == ["nick", "size"]
    assert [column.name for column in contract.reported_slices] == ["size"]


@pytest.mark.one_python
def test_a_key_that_names_a_person_is_tagged(guests: Paths) -> None:
    rows = make_guests().assign(guest_id=[f"G-{number}" for number in range(1200)])
    rows.to_csv(guests.root / "guests.csv", index=False)
    overrides = RoleOverrides(target="cancelled", pii=frozenset({"guest_id"}))
    adoption = prepare(
        guests, AdoptionOptions(DataLocation("guests.csv"), overrides), None, lambda _, safe: safe
    )
    contract = parse_contract(adoption.contract)
    assert contract.key is not None
    assert contract.key.roles == {"key", "pii"}
    assert "G-1" not in adoption.contract
