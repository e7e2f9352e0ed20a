"""Validation of the contract itself: each error is one sentence."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from open_data_contract_standard.model import OpenDataContractStandard, SchemaObject, SchemaProperty
from pydantic import BaseModel
from pydantic_core import SchemaError, SchemaValidator, core_schema

from mlchassis.errors import ProjectError

if TYPE_CHECKING:
    from mlchassis.contract.model import Column, Contract


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_string(value: object) -> bool:
    return isinstance(value, str)


_FITS: Mapping[str, Callable[[object], bool]] = {
    "number": _is_number,
    "integer": _is_integer,
    "boolean": lambda value: isinstance(value, bool),
    "string": _is_string,
    "timestamp": _is_string,
}
_OPTIONS: Mapping[str, frozenset[str]] = {
    "number": frozenset({"minimum", "maximum"}),
    "integer": frozenset({"minimum", "maximum"}),
    "boolean": frozenset(),
    "string": frozenset({"minLength", "maxLength", "pattern"}),
    "timestamp": frozenset({"timezone", "defaultTimezone", "format"}),
}


def name_kind(kind: str) -> str:
    """A kind of column with its article, as in "an integer"."""
    return f"an {kind}" if kind == "integer" else f"a {kind}"


class ContractError(ProjectError):
    """The contract cannot be read, or says something impossible."""


LONGEST_NAME = 200
"""MLflow keeps 256 characters, and what belongs to a model has longer names than it."""
_NAME_MARKS = "/:'\\"
"""MLflow refuses the first two, cannot search for the third; the last is a path's elsewhere."""


def check_name(name: str, source: str) -> None:
    """Reject a contract's name under which its model could not be registered or served."""
    odd = next((mark for mark in name if mark in _NAME_MARKS or not mark.isprintable()), None)
    if odd is not None:
        raise ContractError(
            f"{source}: the name {name!a:.100} holds {odd!a}, under which no model can be "
            "registered; use letters, digits, spaces, dots, hyphens and underscores."
        )
    if not name.strip(". ") or name != name.strip():
        raise ContractError(
            f"{source}: the name {name!a} is empty, or begins or ends with a space; give the "
            "contract a name, which is the model's too."
        )
    if len(name) > LONGEST_NAME:
        raise ContractError(
            f"{source}: the name has {len(name)} characters, and {LONGEST_NAME} are allowed; "
            "shorten it."
        )


def suggest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: what was meant, or what there is."""
    names = list(known)
    close = get_close_matches(word, names, n=1)
    return f"; did you mean '{close[0]}'" if close else f"; known are: {', '.join(names)}"


def anchored(pattern: str) -> str:
    """A pattern for the whole value: the standard means no part of it."""
    return f"^(?:{pattern})$"


def match_pattern(pattern: str) -> Callable[[str], bool]:
    """Return a full-match predicate, run by the regex engine that validates requests.

    There is one engine for requests and tables, since dialects differ: Python's dollar sign lets a
    line end pass, and a digit is any script's in one and one of ten characters in another.

    Raises:
        ContractError: The engine does not know the pattern.
    """
    try:
        validator = SchemaValidator(core_schema.str_schema(pattern=anchored(pattern)))
    except SchemaError as error:
        reason = " ".join(str(error).split())
        raise ContractError(
            f"the pattern '{pattern}' cannot be read ({reason}); write it without look-around and "
            "back-references."
        ) from None
    return validator.isinstance_python


def check_keys(raw: Mapping[str, Any], source: str) -> None:
    """Reject misspelt keys; the standard's own model ignores them below the top level."""
    _compare_keys(raw, OpenDataContractStandard, source)
    for table in raw.get("schema") or []:
        _compare_keys(table, SchemaObject, f"{source}: table '{table.get('name')}'")
        for prop in table.get("properties") or []:
            _compare_keys(prop, SchemaProperty, f"{source}: column '{prop.get('name')}'")


def _compare_keys(raw: Mapping[str, Any], model: type[BaseModel], where: str) -> None:
    known = [field.alias or name for name, field in model.model_fields.items()]
    for key in raw:
        if key not in known:
            raise ContractError(f"{where}: unknown key '{key}'{suggest(str(key), known)}.")


def check_options(options: Mapping[str, Any], kind: str, where: str) -> None:
    """Reject options that a kind of column does not have, and limits that are not numbers."""
    for name, value in options.items():
        if name not in _OPTIONS[kind]:
            raise ContractError(
                f"{where}: option '{name}' does not apply to {name_kind(kind)}; "
                f"known are: {', '.join(sorted(_OPTIONS[kind])) or 'none'}."
            )
        if name in ("minimum", "maximum") and not _is_number(value):
            raise ContractError(f"{where}: option '{name}' is {value!r}; write a number.")
        if name in ("minLength", "maxLength") and not (_is_integer(value) and value >= 0):
            raise ContractError(
                f"{where}: option '{name}' is {value!r}; write a number of characters."
            )
        if name == "pattern" and not isinstance(value, str):
            raise ContractError(f"{where}: option 'pattern' is {value!r}; write it in quotes.")


def check_column(column: "Column", where: str) -> None:
    """Reject a column that no value can pass, or that cannot be offered to a client."""
    if column.name.startswith("_") or column.name == "model_config" or not column.name.strip():
        raise ContractError(f"{where}: a column's name begins with a letter; rename it.")
    for low, high in ((column.minimum, column.maximum), (column.min_length, column.max_length)):
        if low is not None and high is not None and low > high:
            raise ContractError(
                f"{where}: the minimum {low} is above the maximum {high}, so no value can pass."
            )
    if column.pattern is not None:
        try:
            match_pattern(column.pattern)
        except ContractError as error:
            raise ContractError(f"{where}: {error}") from None
        if not column.examples and not column.values:
            raise ContractError(
                f"{where}: a column with a pattern needs at least one example, since none can be "
                "made up; add it under 'examples'."
            )
    _check_values(column, where)


def _check_values(column: "Column", where: str) -> None:
    if column.values is not None and column.kind not in ("string", "integer"):
        raise ContractError(
            f"{where}: an enumeration does not apply to {name_kind(column.kind)}; remove 'enum', "
            "or make the column a string or an integer."
        )
    for place, values in (("enum", column.values or ()), ("examples", column.examples)):
        for value in values:
            if not _FITS[column.kind](value):
                raise ContractError(
                    f"{where}: '{place}' holds {value!r}, which is not {name_kind(column.kind)}; "
                    "fix it, or put it in quotes: YAML takes some bare words for numbers, dates or "
                    "booleans."
                )
    for value in column.values or ():
        if (column.values or ()).count(value) > 1:
            raise ContractError(f"{where}: 'enum' holds {value!r} twice; remove one.")


def check_roles(contract: "Contract", source: str) -> None:
    """Reject roles that contradict one another, or that are not there."""
    names = [column.name for column in contract.columns]
    for name in names:
        if names.count(name) > 1:
            raise ContractError(f"{source}: the column name '{name}' must be there exactly once.")
    _count_roles(contract, source)
    for column in contract.features:
        if column.roles & {"leakage", "target"}:
            raise ContractError(
                f"{source}: column '{column.name}' is tagged as a feature, but it is known only "
                "after the event; remove the tag 'feature'."
            )
    _check_event_time(contract, source)
    _check_target(contract.target, f"{source}: column '{contract.target.name}' is the target")


def _count_roles(contract: "Contract", source: str) -> None:
    targets = [column.name for column in contract.columns if "target" in column.roles]
    if len(targets) != 1:
        raise ContractError(
            f"{source}: exactly one column needs the tag 'target', but {len(targets)} have it."
        )
    for role in ("key", "event_time"):
        named = [column.name for column in contract.columns if role in column.roles]
        if len(named) > 1:
            raise ContractError(
                f"{source}: only one column can have the tag '{role}', but {' and '.join(named)} "
                "have it."
            )
    if not contract.features:
        raise ContractError(f"{source}: at least one column needs the tag 'feature'.")


def _check_event_time(contract: "Contract", source: str) -> None:
    column = contract.event_time
    if column is None:
        return
    where = f"{source}: column '{column.name}' is the event_time"
    if column.kind != "timestamp":
        raise ContractError(f"{where}, so its logicalType must be timestamp.")
    if not column.required:
        raise ContractError(
            f"{where}, so it needs 'required: true': a row without a time belongs to no month."
        )


def _check_target(target: "Column", where: str) -> None:
    if target.kind == "timestamp" or (target.kind == "string" and target.values is None):
        raise ContractError(
            f"{where}, so list its classes under 'enum', or make it a boolean or a number."
        )
    if target.values is not None and len(target.values) < 2:
        raise ContractError(f"{where}, but its enumeration has one class alone; add the others.")
