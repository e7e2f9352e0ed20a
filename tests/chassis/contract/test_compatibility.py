"""Changes of a contract: adoption, the gate and hot reload agree on those that break clients."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import ml_service
from mlchassis.bundle.bundle import BundleError
from mlchassis.config.params import Params, load_params
from mlchassis.contract.compatibility import (
    Change,
    compare_contracts,
    find_breaking_changes,
    join_changes,
    next_version,
)
from mlchassis.contract.model import Column, Contract, Kind, Role
from mlchassis.contract.schemas import request_model
from mlchassis.evaluation.gates.context import ChampionFacts, GateContext
from mlchassis.evaluation.gates.gates import keeps_contract
from mlchassis.serving.hot_reload import check_compatibility

UNUSED: Any = None
"""Placeholder for an evaluation that the code under test does not read."""
ROOT = Path(ml_service.__file__).parents[2]
VALUES: dict[Kind, Any] = {
    "number": 1.5,
    "integer": 3,
    "boolean": True,
    "string": "word",
    "timestamp": "2013-08-15T12:30:00Z",
}


def column(name: str, kind: Kind = "number", *roles: Role, required: bool = False) -> Column:
    """A column without limits; a feature unless roles are given."""
    return Column(name, kind, required, "", (), frozenset(roles or ("feature",)))


def contract(*columns: Column, version: str = "1.2.0", target: Column | None = None) -> Contract:
    return Contract("trips", version, "", (*columns, target or TARGET))


TARGET = column("late", "boolean", "target")
ROLES = st.sampled_from(["feature", "key", "event_time", "leakage", "slice"])
COLUMNS = st.builds(
    lambda name, kind, role, required: column(name, kind, role, required=required),
    st.sampled_from("abcd"),
    st.sampled_from(list(VALUES)),
    ROLES,
    st.booleans(),
)
TARGETS = st.sampled_from(
    [
        TARGET,
        column("late", "number", "target"),
        column("delay", "number", "target"),
        replace(column("late", "string", "target"), values=("no", "yes")),
        replace(column("late", "string", "target"), values=("yes", "no")),
        replace(column("late", "integer", "target"), values=(0, 1)),
    ]
)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    drawn = draw(st.lists(COLUMNS, min_size=1, max_size=4, unique_by=lambda c: c.name))
    taken: set[Role] = set()
    columns = []
    for one in drawn:
        single = one.roles & {"key", "event_time"}
        columns.append(column(one.name, one.kind) if single & taken else one)
        taken |= single
    return contract(*columns, target=draw(TARGETS))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Contract, Contract]:
    """Two contracts: mostly alike, since those that share nothing always break clients."""
    old = draw(contracts())
    other = {c.name: c for c in draw(contracts()).columns}
    columns = []
    for one in old.columns[:-1]:
        change = draw(st.sampled_from(["keep", "keep", "required", "kind", "gone", "role"]))
        changed = {
            "keep": one,
            "required": replace(one, required=not one.required),
            "kind": replace(one, kind=draw(st.sampled_from(list(VALUES)))),
            "role": replace(one, roles=frozenset({"feature"})),
        }
        if change != "gone":
            columns.append(changed[change])
    known = {one.name for one in columns}
    if draw(st.booleans()):
        columns += [other[n] for n in "abcd" if n in other and n not in known and n in "cd"]
    target = draw(st.one_of(st.just(old.target), TARGETS))
    return old, contract(*columns, target=target)


def list_requests(old: Contract, chosen: set[str]) -> list[dict[str, Any]]:
    """Requests that are valid under a contract: the full one, the shortest, and one between."""
    full = {c.name: VALUES[c.kind] for c in old.request_columns}
    needed = {c.name for c in old.request_columns if old.requires(c)}
    return [
        full,
        {name: value for name, value in full.items() if name in needed},
        {name: value for name, value in full.items() if name in needed | chosen},
    ]


def is_accepted(request: dict[str, Any], by: Contract) -> bool:
    try:
        request_model(by).model_validate(request)
    except ValidationError:
        return False
    return True


def passes_gate(old: Contract, new: Contract, params: Params) -> bool:
    (gate,) = keeps_contract(
        GateContext(UNUSED, new, params, ChampionFacts("3", "b" * 64, old), 1.0)
    )
    return gate.verdict == "passed"


def is_swapped_in(old: Contract, new: Contract) -> bool:
    try:
        check_compatibility(old, new, "a" * 64)
    except BundleError:
        return False
    return True


OPTIONAL = contract(column("a"), column("b"))
REQUIRED = contract(column("a"), column("b", required=True))
TIMED = contract(column("a"), column("t", "timestamp", "event_time", required=True))
DELAY = contract(column("a"), column("b"), target=column("delay", "number", "target"))
PRICE = contract(column("a"), column("b"), target=column("price", "number", "target"))
ZERO_ONE = replace(column("late", "integer", "target"), values=(0, 1))


@pytest.mark.one_python
@given(pair=pairs(), chosen=st.sets(st.sampled_from("abcd")))
@example(pair=(OPTIONAL, REQUIRED), chosen=set())
@example(pair=(REQUIRED, OPTIONAL), chosen=set())
@example(pair=(contract(column("a")), TIMED), chosen=set())
@example(pair=(DELAY, PRICE), chosen=set())
@example(pair=(OPTIONAL, contract(column("a"), column("b"), target=ZERO_ONE)), chosen=set())
@settings(max_examples=300, deadline=None)
def test_adoption_gate_and_hot_reload_agree_and_requests_confirm_them(
    params_of_project: Params, pair: tuple[Contract, Contract], chosen: set[str]
) -> None:
    old, new = pair
    breaks = next_version(old, new) == "2.0.0"
    assert passes_gate(old, new, params_of_project) is not breaks
    assert is_swapped_in(old, new) is not breaks

    before = {c.name: c.kind for c in old.request_columns}
    kinds_differ = any(before.get(c.name, c.kind) != c.kind for c in new.request_columns)
    answers_differ = old.target != new.target
    requests = list_requests(old, chosen)
    assert all(is_accepted(request, old) for request in requests)
    accepted = all(is_accepted(request, new) for request in requests)
    if kinds_differ or answers_differ:
        assert breaks
    else:
        assert accepted is not breaks


@pytest.fixture(scope="module")
def params_of_project() -> Params:
    """Parameters, whose values no test of this module depends on."""
    return load_params(ROOT / "params.yaml")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (OPTIONAL, REQUIRED, "column 'b' is now required"),
        (contract(column("a")), REQUIRED, "column 'b' is now required"),
        (OPTIONAL, contract(column("a")), "column 'b' is no longer accepted in requests"),
        (
            contract(column("a")),
            contract(column("a", "integer")),
            "column 'a' is now of type integer",
        ),
        (DELAY, PRICE, "the target is 'price' instead of 'delay'"),
        (
            OPTIONAL,
            contract(*OPTIONAL.columns[:2], target=ZERO_ONE),
            "the target 'late' is now of type",
        ),
        (
            contract(column("a"), target=replace(ZERO_ONE, values=(1, 0))),
            contract(column("a"), target=ZERO_ONE),
            "the classes of 'late', or their order, differ",
        ),
    ],
)
def test_a_breaking_change_is_named(old: Contract, new: Contract, text: str) -> None:
    (change,) = find_breaking_changes(old, new)
    assert change.text.startswith(text)
    assert next_version(old, new) == "2.0.0"


FIRST = column("a")


@pytest.mark.parametrize(
    ("old", "new", "kind", "text"),
    [
        (REQUIRED, OPTIONAL, "compatible", "column 'b' is now optional"),
        (contract(FIRST), OPTIONAL, "compatible", "requests may also hold the column 'b'"),
        (contract(FIRST), TIMED, "compatible", "requests may also hold the column 't'"),
        (
            contract(FIRST),
            contract(FIRST, column("x", "string", "leakage", required=True)),
            "compatible",
            "column 'x' of the table is new",
        ),
        (
            contract(FIRST),
            contract(replace(FIRST, minimum=0.0)),
            "compatible",
            "column 'a' has other limits",
        ),
        (
            contract(FIRST),
            contract(replace(FIRST, roles=frozenset({"feature", "slice"}))),
            "compatible",
            "column 'a' has other tags",
        ),
        (
            contract(FIRST),
            contract(replace(FIRST, description="In km/h")),
            "documentation",
            "column 'a' is described in other words",
        ),
        (
            contract(FIRST),
            replace(contract(FIRST), description="Trips"),
            "documentation",
            "the name or the description of the table differs",
        ),
    ],
)
def test_another_change_is_listed_and_breaks_no_client(
    old: Contract, new: Contract, kind: str, text: str
) -> None:
    changes = compare_contracts(old, new)
    assert Change(kind, text) in changes  # type: ignore[arg-type]
    assert find_breaking_changes(old, new) == ()
    assert next_version(old, new) == "1.3.0"


def test_equal_contracts_have_no_changes() -> None:
    assert compare_contracts(TIMED, TIMED) == ()


def test_the_gate_compares_contracts_and_not_their_version_numbers(
    params_of_project: Params,
) -> None:
    assert passes_gate(OPTIONAL, replace(OPTIONAL, version="2.0.0"), params_of_project)
    assert not passes_gate(OPTIONAL, replace(REQUIRED, version="1.2.1"), params_of_project)


def test_the_gate_names_both_versions_and_the_change(params_of_project: Params) -> None:
    champion = ChampionFacts("3", "b" * 64, OPTIONAL)
    new = replace(REQUIRED, version="1.3.0")
    (gate,) = keeps_contract(GateContext(UNUSED, new, params_of_project, champion, 1.0))
    assert gate.sentence == (
        "Contract 1.3.0 breaks clients of the champion's 1.2.0: column 'b' is now required; undo "
        "that in contract.yaml, or give the contract a name of its own there."
    )


def test_of_many_changes_a_sentence_names_the_first() -> None:
    wide = contract(*(column(f"c{number}") for number in range(8)))
    breaking = find_breaking_changes(wide, contract(column("a")))
    assert join_changes(breaking).count("no longer accepted") == 5
    assert join_changes(breaking).endswith(", and 3 more")
