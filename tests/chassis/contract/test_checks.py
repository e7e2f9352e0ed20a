"""Every sentence with which a contract is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlchassis.contract.checks import ContractError, match_pattern, suggest
from mlchassis.contract.model import load_contract, parse_contract

Document = dict[str, Any]
Change = Callable[[Document], object]


def make_document() -> Document:
    return {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": "houses",
        "version": "1.0.0",
        "schema": [
            {
                "name": "houses",
                "properties": [
                    {
                        "name": "sold",
                        "logicalType": "timestamp",
                        "required": True,
                        "tags": ["event_time"],
                    },
                    {"name": "rooms", "logicalType": "integer", "tags": ["feature"]},
                    {"name": "street", "logicalType": "string", "tags": ["feature"]},
                    {"name": "price", "logicalType": "number", "tags": ["target"]},
                ],
            }
        ],
    }


def table(document: Document) -> Document:
    found: Document = document["schema"][0]
    return found


def change_column(name: str, /, **changes: Any) -> Change:
    return lambda document: next(
        prop for prop in table(document)["properties"] if prop["name"] == name
    ).update(changes)


def add_column(**column: Any) -> Change:
    return lambda document: table(document)["properties"].append(column)


def change(**changes: Any) -> Change:
    return lambda document: document.update(changes)


def read(*changes: Change) -> None:
    document = make_document()
    for apply in changes:
        apply(document)
    parse_contract(yaml.safe_dump(document))


def limit(**options: Any) -> Change:
    return change_column("rooms", logicalTypeOptions=options)


REFUSED: list[tuple[Change, str]] = [
    (change(apiVersion="v2.2.0"), "apiVersion is 'v2.2.0', but this project reads 'v3.*'"),
    (change(scheme=[]), "contract.yaml: unknown key 'scheme'; did you mean 'schema'"),
    (change(version=None), "version is missing; give the contract one"),
    (change(schema=[]), "schema must hold exactly one table, but it holds 0"),
    (change(schema="houses"), "contract.yaml: schema: Input should be a valid list"),
    (change(schema=["houses"]), "contract.yaml: schema.0: Input should be a valid dictionary"),
    (lambda d: d["schema"].append(table(d)), "exactly one table, but it holds 2"),
    (
        lambda d: table(d).update(propertys=[]),
        "table 'houses': unknown key 'propertys'; did you mean 'properties'",
    ),
    (
        change_column("rooms", requird=True),
        "column 'rooms': unknown key 'requird'; did you mean 'required'",
    ),
    (
        change_column("rooms", logicalType="float"),
        "column 'rooms': logicalType 'float' is not one of number, integer",
    ),
    (
        change_column("rooms", tags=["featur"]),
        "column 'rooms': tag 'featur' is not a role; did you mean 'feature'",
    ),
    (change_column("rooms", tags=["zzz"]), "tag 'zzz' is not a role; known are: key, event_time"),
    (limit(maxLength=3), "option 'maxLength' does not apply to an integer; known are: maximum"),
    (limit(minimum="one"), "column 'rooms': option 'minimum' is 'one'; write a number"),
    (limit(minimum=True), "column 'rooms': option 'minimum' is True; write a number"),
    (limit(minimum=3, maximum=2), "the minimum 3 is above the maximum 2, so no value can pass"),
    (
        change_column("street", logicalTypeOptions={"maxLength": -1}),
        "column 'street': option 'maxLength' is -1; write a number of characters",
    ),
    (
        change_column("street", logicalTypeOptions={"minLength": 4, "maxLength": 3}),
        "column 'street': the minimum 4 is above the maximum 3",
    ),
    (
        change_column("street", logicalTypeOptions={"pattern": 12}),
        "column 'street': option 'pattern' is 12; write it in quotes",
    ),
    (
        change_column("street", logicalTypeOptions={"pattern": "(?=a)"}, examples=["a"]),
        "column 'street': the pattern '(?=a)' cannot be read",
    ),
    (
        change_column("street", logicalTypeOptions={"pattern": "a+"}),
        "column 'street': a column with a pattern needs at least one example",
    ),
    (
        change_column("street", enum=[{"value": "Elm"}, {"value": False}]),
        "column 'street': 'enum' holds False, which is not a string; fix it, or put it in quotes",
    ),
    (
        change_column("street", enum=[{"value": "Elm"}, {"value": "Elm"}]),
        "column 'street': 'enum' holds 'Elm' twice; remove one",
    ),
    (change_column("rooms", examples=["3"]), "'examples' holds '3', which is not an integer"),
    (change_column("street", examples=[12]), "'examples' holds 12, which is not a string"),
    (
        change_column("price", enum=[{"value": 1.5}]),
        "column 'price': an enumeration does not apply to a number",
    ),
    (change_column("rooms", name="_rooms"), "a column's name begins with a letter; rename it"),
    (change_column("rooms", name="model_config"), "a column's name begins with a letter"),
    (change_column("rooms", name=" "), "a column's name begins with a letter; rename it"),
    (change_column("rooms", name="street"), "column name 'street' must be there exactly once"),
    (
        change_column("price", tags=["leakage"]),
        "exactly one column needs the tag 'target', but 0 have it",
    ),
    (change_column("rooms", tags=["target"]), "needs the tag 'target', but 2 have it"),
    (
        add_column(name="built", logicalType="timestamp", required=True, tags=["event_time"]),
        "only one column can have the tag 'event_time', but sold and built have it",
    ),
    (
        change_column("rooms", tags=["leakage", "feature"]),
        "column 'rooms' is tagged as a feature, but it is known only after the event",
    ),
    (
        change_column("price", tags=["target", "feature"]),
        "column 'price' is tagged as a feature, but it is known only after the event",
    ),
    (
        change_column("sold", logicalType="string"),
        "column 'sold' is the event_time, so its logicalType must be timestamp",
    ),
    (
        change_column("sold", required=False),
        "column 'sold' is the event_time, so it needs 'required: true'",
    ),
    (
        change_column("price", logicalType="string"),
        "column 'price' is the target, so list its classes under 'enum'",
    ),
    (change_column("price", logicalType="timestamp"), "column 'price' is the target, so list"),
    (
        change_column("price", logicalType="string", enum=[{"value": "high"}]),
        "column 'price' is the target, but its enumeration has one class alone",
    ),
]


def test_the_contract_of_these_tests_is_accepted_as_it_is() -> None:
    read()


@pytest.mark.parametrize(("change", "sentence"), REFUSED, ids=[s for _, s in REFUSED])
def test_what_a_contract_must_not_say_is_refused_with_a_sentence(
    change: Change, sentence: str
) -> None:
    with pytest.raises(ContractError) as refusal:
        read(change)

    assert sentence in str(refusal.value)
    assert str(refusal.value).startswith("contract.yaml")


def test_a_contract_without_features_is_refused() -> None:
    with pytest.raises(ContractError, match="at least one column needs the tag 'feature'"):
        read(change_column("rooms", tags=[]), change_column("street", tags=[]))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("a: [", "is not valid YAML"), ("- a", "must be a mapping"), ("", "must be a mapping")],
)
def test_a_text_that_is_no_mapping_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        parse_contract(text)


def test_a_pattern_is_for_the_whole_value() -> None:
    matches = match_pattern("a|b")

    assert [matches(value) for value in ("a", "b", "ab", "xa", "a\n", "")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_a_word_that_resembles_nothing_gets_the_list_of_known_ones() -> None:
    assert suggest("zzz", ["one", "two"]) == "; known are: one, two"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a/b", "holds '/'"),
        ("a:b", "holds ':'"),
        ("o'brien", 'holds "\'"'),
        ("a\\b", "holds"),
        ("a\x07b", r"holds '\\x07'"),
        ("a\nb", r"holds '\\n'"),
        ("a\u202eb", r"holds '\\u202e'"),
        (".", "is empty"),
        ("..", "is empty"),
        (" a", "begins or ends with a space"),
        ("a ", "begins or ends with a space"),
        ("a" * 201, "has 201 characters, and 200 are allowed"),
    ],
)
def test_a_name_under_which_no_model_can_be_registered_is_refused_first(
    name: str, said: str, tmp_path: Path
) -> None:
    text = yaml.safe_dump({**make_document(), "name": name})
    (tmp_path / "contract.yaml").write_text(text)
    with pytest.raises(ContractError, match=said) as parsed:
        parse_contract(text)
    with pytest.raises(ContractError, match=said) as loaded:
        load_contract(tmp_path / "contract.yaml")
    assert str(parsed.value).isprintable()
    assert str(loaded.value).isprintable()


def test_a_contract_without_any_name_is_refused(tmp_path: Path) -> None:
    document = make_document()
    document["id"] = ""
    document["schema"][0]["name"] = ""
    (tmp_path / "contract.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ContractError, match="is empty, or begins or ends"):
        load_contract(tmp_path / "contract.yaml")
