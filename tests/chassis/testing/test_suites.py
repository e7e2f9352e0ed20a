"""The suites of `mlchassis.testing` hold any contract, and each check sees its fault."""

from collections.abc import Callable
from typing import Any

import pytest

# A generated project's own tests apply every suite under each Python.
pytestmark = pytest.mark.one_python

Column = dict[str, Any]
MakeProject = Callable[[list[Column]], Any]

TARGET: Column = {"name": "answer", "logicalType": "boolean", "tags": ["target"]}


def feature(name: str, kind: str, *, required: bool = False, **more: Any) -> Column:
    return {"name": name, "logicalType": kind, "tags": ["feature"], "required": required, **more}


def limited(name: str, low: float, high: float, *, required: bool = False) -> Column:
    options = {"minimum": low, "maximum": high}
    return feature(name, "number", required=required, logicalTypeOptions=options)


def enum(*values: Any) -> list[dict[str, Any]]:
    return [{"value": value} for value in values]


ORDERS: list[Column] = [
    {"name": "order", "logicalType": "integer", "tags": ["key"], "required": True},
    {"name": "placed", "logicalType": "timestamp", "tags": ["event_time"], "required": True},
    limited("price", 0.5, 100, required=True) | {"examples": [9.5]},
    limited("weight", 0, 50),
    feature("color", "string", required=True, enum=enum("red", "blue"), examples=["red"]),
    feature("note", "string", examples=["fast"]) | {"tags": ["feature", "pii"]},
    {"name": "paid", "logicalType": "number", "tags": ["leakage"], "required": True},
    TARGET,
]
CONTRACTS: dict[str, list[Column]] = {
    "orders": ORDERS,
    "words alone": [
        feature("color", "string", examples=["red", "blue"]),
        feature("size", "string", enum=enum("s", "m", "l")),
        TARGET,
    ],
    "one column": [feature("x", "number", examples=[0.5]), TARGET],
    "one yes or no": [feature("x", "boolean", required=True, examples=[True]), TARGET],
    "500 columns": [
        *(feature(f"x{number}", "number", examples=[0.5]) for number in range(500)),
        TARGET,
    ],
    "no number required": [
        limited("a", -1, 1) | {"examples": [0.5]},
        feature("b", "integer", logicalTypeOptions={"minimum": 3}),
        feature("when", "timestamp"),
        TARGET,
    ],
    "multiclass": [
        limited("a", 0, 1, required=True) | {"examples": [0.5]},
        feature("b", "string", examples=["x"]),
        {"name": "kind", "logicalType": "string", "tags": ["target"], "enum": enum("p", "q", "r")},
    ],
    "regression": [
        limited("a", 0, 1) | {"examples": [0.5]},
        feature("b", "integer", logicalTypeOptions={"minimum": 0, "maximum": 9}),
        {"name": "price", "logicalType": "number", "tags": ["target"]},
    ],
}

LEFT_BEHIND = """
import sys
from pathlib import Path

MARK = Path(__file__).with_name("left-behind")


def compute_features(columns):
    if sys.argv[0] == "-c":
        MARK.touch()
    more = {"again": columns["price"]} if MARK.exists() else {}
    return dict(columns) | more
"""


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_suite_passes_for_any_contract(name: str, make_project: MakeProject) -> None:
    outcomes = make_project(CONTRACTS[name]).run()

    assert outcomes.failed == {}
    assert outcomes.skipped == {}
    assert len(outcomes.passed) == 35


@pytest.fixture
def orders(make_project: MakeProject) -> Any:
    return make_project(ORDERS)


BROKEN_FEATURES = {
    "imports_numpy": ("import pandas", "features.py imports 'pandas'; import NumPy"),
    "features_are_columns": (
        "found['price'] = found['price'].reshape(-1, 1)",
        r"'price' has the shape",
    ),
    "stay_unchanged": ("columns['price'][:] = 0", "writes into the column 'price'"),
    "equal_inputs": (
        "import random; found['price'] = found['price'] + random.random()",
        "'price' differs between two calls",
    ),
    "computed_alone": (
        "found['price'] = found['price'] - found['price'].mean()",
        "'price' of a row depends on the other rows",
    ),
    "order_of_rows": (
        "import numpy as np; found['price'] = np.cumsum(found['price'])",
        "'price' depends on the order of the rows",
    ),
    "no_number_is_lost": ("found['price'] = 1 / (found['price'] * 0)", "divide by zero"),
    "missing_values": (
        "import numpy as np; found['weight'] = np.nan_to_num(found['weight'])",
        "turns a missing 'weight' into a number in 'weight'",
    ),
}
FUNCTION = """
def compute_features(columns):
    found = dict(columns)
    {line}
    return found
"""


@pytest.mark.parametrize("test", BROKEN_FEATURES)
def test_a_broken_feature_function_fails_its_check(test: str, orders: Any) -> None:
    line, expected = BROKEN_FEATURES[test]
    orders.write("features.py", FUNCTION.format(line=line))

    assert expected in orders.fail(test)


def test_a_feature_that_is_infinite_for_complete_rows_is_named(orders: Any) -> None:
    line = "import numpy as np; found['price'] = np.where(found['price'] > 50, np.inf, 1.0)"
    orders.write("features.py", FUNCTION.format(line=line))

    assert "'price' is missing or infinite in" in orders.fail("no_number_is_lost")


def test_an_example_that_breaks_its_rule_is_named(orders: Any) -> None:
    orders.edit("contract.yaml", "- 9.5", "- 900.5")

    assert "column 'price' has the example 900.5" in orders.fail("examples_keep")


def test_a_column_whose_drawn_values_break_its_rule_is_named(orders: Any) -> None:
    options = {"maxLength": 2}
    orders.change(
        "contract.yaml",
        lambda contract: contract["schema"][0]["properties"][5].update(logicalTypeOptions=options),
    )

    assert "a value drawn for the column 'note' breaks" in orders.fail("generated_rows_keep")


def test_a_contract_that_cannot_be_read_is_one_sentence(orders: Any) -> None:
    orders.edit("contract.yaml", "apiVersion: v3.2.0", "apiVersion: v2.0.0")

    message = orders.fail("generated_rows_keep")
    assert message == "contract.yaml: apiVersion is 'v2.0.0', but this project reads 'v3.*'."


def test_a_rule_that_requests_and_tables_read_differently_is_named(
    orders: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlchassis.contract.table_checks._frame_checks", lambda column: [])
    from mlchassis.contract.table_checks import frame_schema

    frame_schema.cache_clear()
    message = orders.fail("take_the_same_values")
    frame_schema.cache_clear()

    assert "column 'price': a table takes" in message


BROKEN_SOURCES = {
    "offers_rows": ("table[:0]", "The source offers no row"),
    "offers_every_column": (
        "table.drop(columns=['price'])",
        "The source lacks the column 'price'",
    ),
    "have_the_types": ("table.assign(price='cheap')", "column 'price' is not a number"),
}


@pytest.mark.parametrize("test", BROKEN_SOURCES)
def test_a_broken_source_fails_its_check(test: str, orders: Any) -> None:
    expression, expected = BROKEN_SOURCES[test]
    orders.edit(
        f"src/{orders.package}/source.py",
        "return make_table(contract, complete_rows(contract, 10, seed=1))",
        "table = make_table(contract, complete_rows(contract, 10, seed=1))\n"
        f"    return {expression}",
    )

    assert expected in orders.fail(test)


def test_a_source_that_is_not_on_this_machine_is_skipped(orders: Any) -> None:
    source = {"kind": "files", "path": "nowhere/orders.csv"}
    orders.change("params.yaml", lambda params: params.update(source=source))
    outcomes = orders.run("TestSource")

    assert len(outcomes.skipped) == 3
    assert "The source is not on this machine" in next(iter(outcomes.skipped.values()))


def test_files_are_read_as_the_parameters_say(orders: Any) -> None:
    (orders.root / "orders.csv").write_text("order;placed\n1;2024-01-01\n")
    source = {"kind": "files", "path": "orders.csv", "delimiter": ";"}
    orders.change("params.yaml", lambda params: params.update(source=source))

    assert orders.run("TestSource").failed


def test_a_server_is_not_asked(orders: Any) -> None:
    source = {"kind": "s3", "path": "s3://tables/orders"}
    orders.change("params.yaml", lambda params: params.update(source=source))

    assert len(orders.run("TestSource").skipped) == 3


def test_a_service_whose_features_fail_in_serving_is_seen(orders: Any) -> None:
    line = "if len(found['price']) == 20: raise ValueError('twenty')"
    orders.write("features.py", FUNCTION.format(line=line))
    failed = orders.run("generated_rows_get").failed

    assert len(failed) == 3
    assert all("answers 500 to rows that keep contract.yaml" in text for text in failed.values())


def test_an_example_that_no_request_may_hold_fails_the_documentation(orders: Any) -> None:
    orders.edit("contract.yaml", "- 9.5", "- 900.5")

    assert "to an example of its own documentation" in orders.fail("examples_of_the_documentation")


@pytest.mark.parametrize(
    ("place", "replacement", "expected"),
    [
        ("serving.problems.answer_problem", "plain", "answers without problem details"),
        ("serving.problems.answer_problem", "echo", "repeats a value of the body"),
        ("serving.problems.answer_problem", "accept", "instead of a problem of the client"),
    ],
)
def test_a_refusal_that_breaks_a_rule_is_named(place: str, replacement: str, expected: str) -> None:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
    from starlette.testclient import TestClient

    from mlchassis.testing.service_suite import MEMBERS, find_wrong_refusal

    async def answer(request: Request) -> Response:
        document = dict.fromkeys(MEMBERS, "text")
        if replacement == "plain":
            return JSONResponse(document, status_code=422)
        if replacement == "echo":
            document["detail"] = (await request.body()).decode()
            return JSONResponse(document, 422, media_type="application/problem+json")
        return JSONResponse({"predictions": [1]})

    client = TestClient(Starlette(routes=[Route("/predict", answer, methods=["POST"])]))

    (sentence,) = find_wrong_refusal(client, "text", "/predict", b"do-not-repeat-me")
    assert expected in sentence


def test_a_personal_column_in_the_prediction_log_is_named(
    orders: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlchassis.contract.model import Contract

    assert orders.run("no_personal_column").failed == {}
    # Another contract: the roles of the first one are known already.
    orders.edit("contract.yaml", "version: 1.0.0", "version: 1.0.1")
    monkeypatch.setattr(Contract, "pii", ())
    monkeypatch.setattr("mlchassis.testing.service_suite.list_personal", lambda contract: ["note"])

    assert "The prediction log holds 'note'" in orders.fail("no_personal_column")


def remove(stage: str, kind: str, entry: Any) -> Callable[[Any], object]:
    return lambda document: document["stages"][stage][kind].remove(entry)


def add(stage: str, kind: str, entry: Any) -> Callable[[Any], object]:
    return lambda document: document["stages"][stage][kind].append(entry)


MANIFEST = "chassis/MANIFEST.json"
BROKEN_PIPELINES: list[tuple[str, Callable[[Any], object], str]] = [
    (
        "part_of_the_chassis",
        remove("train", "params", {MANIFEST: ["fingerprints.train"]}),
        "stage 'train' does not watch the chassis",
    ),
    (
        "part_of_the_chassis",
        lambda document: document["stages"].pop("split"),
        "dvc.yaml has no stage 'split'",
    ),
    ("dependencies_exist", add("train", "deps", "data/other.csv"), "depends on 'data/other.csv'"),
    ("no_output_is_made_twice", add("train", "outs", "data/raw/x"), "is or lies in 'data/raw'"),
    (
        "dependencies_exist",
        lambda document: document["stages"]["train"].update(deps="src"),
        "dvc.yaml: 'stages.train.deps' is 'src': ",
    ),
    (
        "stored_rows_outlive",
        lambda document: document["stages"].pop("ingest"),
        "persist: true",
    ),
    ("parameters_of_stages", add("train", "params", "train.nothing"), "watches 'train.nothing'"),
    ("kept_by_git_or_by_dvc", add("train", "outs", "reports/x.json"), "needs {cache: false}"),
    (
        "stored_rows_outlive",
        remove("ingest", "outs", {"data/raw": {"persist": True}}),
        "persist: true",
    ),
]


@pytest.mark.parametrize(("test", "edit", "expected"), BROKEN_PIPELINES)
def test_a_broken_pipeline_fails_its_check(
    test: str, edit: Callable[[Any], object], expected: str, orders: Any
) -> None:
    orders.change("dvc.yaml", edit)

    assert expected in orders.fail(test)


def test_a_stage_that_does_not_watch_the_features_is_named(orders: Any) -> None:
    module = f"src/{orders.package}/features.py"
    orders.change("dvc.yaml", remove("export", "deps", module))

    assert f"stage 'export' uses {module}" in orders.fail("projects_own_code")


def test_outputs_that_git_does_not_ignore_are_named(orders: Any) -> None:
    orders.edit(".gitignore", "/models/*\n", "")

    assert ".gitignore lacks the line /models/*" in orders.fail("kept_by_git_or_by_dvc")


def test_a_remote_that_is_not_verified_is_named(orders: Any) -> None:
    orders.edit(".dvc/config", "verify = true", "verify = false")

    assert "takes whatever lies there" in orders.fail("remotes_verify")


def test_a_pipeline_that_cannot_run_is_seen(orders: Any) -> None:
    orders.edit("params.yaml", "metric: roc_auc", "metric: rmse")

    assert "The pipeline stops on generated rows: " in orders.fail("run_on_generated_rows")


BROKEN_REQUIREMENTS = {
    "is_a_version_with_hashes": ("requirements/base.txt", "numpy==", "numpy>=", "run `make lock`"),
    "versions_that_dev_pins": (
        "requirements/base.txt",
        "numpy==",
        "numpy==0",
        "and dev.txt does not; run `make lock`",
    ),
    "are_described": (
        "docs/dependencies.md",
        "| numpy |",
        "| numpi |",
        "add a line that says what numpy is for",
    ),
    "are_direct_dependencies": (
        "src/PACKAGE/source.py",
        "import pandas as pd",
        "import requests",
        "source.py imports 'requests'; add requests to a group",
    ),
}


@pytest.mark.parametrize("test", BROKEN_REQUIREMENTS)
def test_broken_requirements_fail_their_check(test: str, orders: Any) -> None:
    name, old, new, expected = BROKEN_REQUIREMENTS[test]
    path = name.replace("PACKAGE", orders.package)
    if path.endswith(".py"):
        # It is not installed, so nobody may run it.
        new = f"def fetch():\n    {new}\n"
    orders.edit(path, old, new)

    assert expected in orders.fail(test)


def test_a_package_that_the_chassis_needs_asks_the_team_for_no_line(orders: Any) -> None:
    needs = '[project]\ndependencies = []\noptional-dependencies.train = ["numpy>=2"]\n'
    (orders.root / "chassis" / "pyproject.toml").write_text(needs)
    orders.edit("docs/dependencies.md", "| numpy |", "| |")

    outcomes = orders.run("are_described")
    assert outcomes.failed == {}
    assert len(outcomes.passed) == 1


def test_one_check_can_be_deselected_or_replaced(orders: Any) -> None:
    line = "import numpy as np; found['weight'] = np.nan_to_num(found['weight'])"
    orders.write("features.py", FUNCTION.format(line=line))
    name = "test_missing_values_stay_missing"
    orders.edit(
        f"tests/test_{orders.package}.py",
        "class TestSource",
        f"TestFeatures.{name} = None\n\n\nclass TestSource",
    )
    outcomes = orders.run("TestFeatures")

    assert outcomes.failed == {}
    assert f"TestFeatures::{name}" not in outcomes.passed


def test_a_run_that_depends_on_a_killed_one_is_found(orders: Any) -> None:
    orders.write("features.py", LEFT_BEHIND)

    assert "was killed and repeated makes another bundle" in orders.fail("killed_run")
