"""The contract's reader: what a contract says, and what follows from its roles."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mlchassis.contract.checks import ContractError
from mlchassis.contract.model import Contract, class_name, load_contract, parse_contract


def read_with_target(**target: Any) -> Contract:
    properties = [
        {"name": "color", "logicalType": "string", "tags": ["feature", "slice", "pii"]},
        {"name": "answer", "tags": ["target"], **target},
    ]
    document = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": "small",
        "version": "2.1.0",
        "schema": [{"name": "small", "properties": properties}],
    }
    return parse_contract(yaml.safe_dump(document))


def test_the_contract_is_valid_by_the_standards_own_json_schema(contract_text: str) -> None:
    schema = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_bytes())

    errors = jsonschema.Draft201909Validator(schema).iter_errors(yaml.safe_load(contract_text))

    assert [error.message for error in errors] == []


def test_no_feature_is_known_only_after_the_event(contract: Contract) -> None:
    hindsight = {column.name for column in (*contract.leakage, contract.target)}

    assert hindsight & {column.name for column in contract.request_columns} == set()


def test_a_request_holds_the_key_the_event_time_and_the_features(contract: Contract) -> None:
    named = [column for column in (contract.key, contract.event_time) if column is not None]

    assert contract.request_columns == (*named, *contract.features)


def test_every_column_of_a_request_says_what_it_is(contract: Contract) -> None:
    assert [column.name for column in contract.request_columns if not column.description] == []


def test_every_feature_shows_an_example(contract: Contract) -> None:
    assert [column.name for column in contract.features if not column.examples] == []


@pytest.mark.parametrize(
    ("target", "task", "classes"),
    [
        ({"logicalType": "boolean"}, "binary", (False, True)),
        ({"logicalType": "number"}, "regression", ()),
        ({"logicalType": "integer"}, "regression", ()),
        ({"logicalType": "integer", "enum": [{"value": 0}, {"value": 1}]}, "binary", (0, 1)),
        (
            {"logicalType": "string", "enum": [{"value": "b"}, {"value": "a"}, {"value": "c"}]},
            "multiclass",
            ("b", "a", "c"),
        ),
    ],
)
def test_the_task_and_its_classes_follow_from_the_target(
    target: dict[str, Any], task: str, classes: tuple[Any, ...]
) -> None:
    contract = read_with_target(**target)

    assert (contract.task, contract.classes) == (task, classes)


def test_roles_select_columns() -> None:
    contract = read_with_target(logicalType="number")

    assert [column.name for column in contract.slices] == ["color"]
    assert [column.name for column in contract.pii] == ["color"]
    assert (contract.key, contract.event_time) == (None, None)
    assert contract.request_columns == contract.features
    assert (contract.name, contract.version) == ("small", "2.1.0")


def test_a_date_is_a_timestamp() -> None:
    text = yaml.safe_dump(
        {
            "apiVersion": "v3.1.0",
            "version": "1.0.0",
            "schema": [
                {
                    "properties": [
                        {"name": "day", "logicalType": "date", "tags": ["feature"]},
                        {"name": "answer", "logicalType": "number", "tags": ["target"]},
                    ]
                }
            ],
        }
    )

    assert parse_contract(text).column("day").kind == "timestamp"


def test_an_unknown_column_is_asked_for_with_what_was_meant(contract: Contract) -> None:
    with pytest.raises(ContractError, match="no column 'colr'; did you mean 'color'"):
        read_with_target(logicalType="number").column("colr")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"contract\.yaml is missing: restore it from git"):
        load_contract(tmp_path / "contract.yaml")


@pytest.mark.parametrize(
    ("label", "name"), [(True, "true"), (False, "false"), (3, "3"), ("EWR", "EWR")]
)
def test_a_class_is_named_as_json_writes_it(label: Any, name: str) -> None:
    assert class_name(label) == name


@pytest.mark.parametrize("bomb", ["nested", "cyclic"])
def test_aliases_that_expand_without_end_are_refused(contract_text: str, bomb: str) -> None:
    document = yaml.safe_load(contract_text)
    values: list[Any] = ["lol"]
    if bomb == "nested":
        for _ in range(9):
            values = [values] * 10
    else:
        values.append(values)
    document["schema"][0]["properties"][0]["examples"] = values
    text = yaml.dump(document)
    assert len(text) < 2 * len(contract_text)
    with pytest.raises(ContractError, match=r"contract\.yaml: its YAML aliases expand to more"):
        parse_contract(text)


def test_an_alias_that_repeats_a_few_values_is_read(contract_text: str) -> None:
    document = yaml.safe_load(contract_text)
    columns = document["schema"][0]["properties"]
    texts = [column for column in columns if column["logicalType"] == "string"]
    shared = ["AA", "UA"]
    for column in texts[:2]:
        column["examples"] = shared
    text = yaml.dump(document)
    assert "*id001" in text
    assert parse_contract(text).column(texts[1]["name"]).examples == ("AA", "UA")


@pytest.mark.parametrize(
    "line", ["x: 2020-99-99", "x: 1" + "0" * 6000, "x: " + "[" * 5000 + "]" * 5000]
)
def test_yaml_that_cannot_be_a_value_is_one_sentence(line: str) -> None:
    with pytest.raises(ContractError, match=r"contract\.yaml is not valid YAML"):
        parse_contract(line)
