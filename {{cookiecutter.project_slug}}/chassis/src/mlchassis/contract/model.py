"""The data contract: what a row is, read from an Open Data Contract Standard v3 file.

Everything else in the project that knows a column (validation, the API's request model, the
model's inputs, test data, monitoring) derives from `Contract`; see `schemas` for the derivations.

Source of the format: https://bitol-io.github.io/open-data-contract-standard/
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, cast, get_args

import yaml
from open_data_contract_standard.model import Description, OpenDataContractStandard, SchemaProperty
from pydantic import ValidationError

from mlchassis.contract.cells import normalize_text
from mlchassis.contract.checks import (
    ContractError,
    check_column,
    check_keys,
    check_name,
    check_options,
    check_roles,
    suggest,
)
from mlchassis.errors import describe_yaml_error

Kind = Literal["number", "integer", "boolean", "string", "timestamp"]
Role = Literal["key", "event_time", "feature", "target", "slice", "leakage", "pii", "sensitive"]
Task = Literal["binary", "multiclass", "regression"]
ClassLabel = bool | int | str
_MAX_VALUES = 1_000_000
"""Limit on the values of a document, each alias counted as often as it is used."""
REASON_PROPERTY = "reason"
"""The custom property of a column that says why it is not a feature."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table.

    Attributes:
        required: A row without a value is refused.
        minimum: Smallest allowed value, for numbers and integers.
        maximum: Largest allowed value, for numbers and integers.
        values: The enumeration of allowed values, or None where any value of the kind may come.
        roles: Roles of the column, from the contract's tags.
        examples: Values a person would recognize; used in the API's documentation and the form.
        reason: Why it is not a feature; empty if nobody wrote it down.
    """

    name: str
    kind: Kind
    required: bool
    description: str
    examples: tuple[Any, ...]
    roles: frozenset[Role]
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    values: tuple[ClassLabel, ...] | None = None
    reason: str = ""

    @property
    def is_numeric(self) -> bool:
        """True if the column becomes floating-point numbers; only strings do not."""
        return self.kind != "string"


@dataclass(frozen=True)
class Contract:
    """A whole contract: the columns in their order, and what follows from their roles.

    Attributes:
        description: Purpose of the data.
        usage: Recommended use of the data, for people.
        limitations: Limitations of the data, for people.
    """

    name: str
    version: str
    description: str
    columns: tuple[Column, ...]
    usage: str = ""
    limitations: str = ""

    @cached_property
    def features(self) -> tuple[Column, ...]:
        """Columns that a model may see."""
        return self._with_role("feature")

    @cached_property
    def slices(self) -> tuple[Column, ...]:
        """Columns by whose values a model's quality is broken down."""
        return self._with_role("slice")

    @cached_property
    def reported_slices(self) -> tuple[Column, ...]:
        """Slices whose values may stand in reports: those of columns tagged `pii` may not."""
        return tuple(column for column in self.slices if column not in self.pii)

    @cached_property
    def leakage(self) -> tuple[Column, ...]:
        """Columns that are known only after the event, and so never a feature."""
        return self._with_role("leakage")

    @cached_property
    def pii(self) -> tuple[Column, ...]:
        """Columns about a person; they are left out of every log."""
        return self._with_role("pii")

    @cached_property
    def sensitive(self) -> tuple[Column, ...]:
        """Columns by which people must not be treated differently; they need be no features."""
        return self._with_role("sensitive")

    @cached_property
    def target(self) -> Column:
        """The column to predict."""
        return self._with_role("target")[0]

    @cached_property
    def key(self) -> Column | None:
        """The column that names a row, or None."""
        return next(iter(self._with_role("key")), None)

    @cached_property
    def event_time(self) -> Column | None:
        """The column with the time of the event, or None."""
        return next(iter(self._with_role("event_time")), None)

    @cached_property
    def request_columns(self) -> tuple[Column, ...]:
        """Columns that a request may contain: features, key and event time."""
        named = (self.key, self.event_time)
        extra = tuple(c for c in named if c is not None and c not in self.features)
        return (*extra, *self.features)

    def requires(self, column: Column) -> bool:
        """Return whether a request without a value of the column is rejected.

        A key or an event time that is not a feature may be missing: the model does not need it.
        """
        return column.required and column in self.features

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The columns of a registered model's answer: the prediction, each class' probability."""
        return ("prediction", *(f"probability_{class_name(label)}" for label in self.classes))

    @cached_property
    def classes(self) -> tuple[ClassLabel, ...]:
        """The target's classes in the order of the model's probabilities; empty for regression.

        The last class of a binary target is the positive one.
        """
        if self.target.kind == "boolean":
            return (False, True)
        return self.target.values or ()

    @cached_property
    def task(self) -> Task:
        """The kind of problem, which follows from the target alone."""
        if not self.classes:
            return "regression"
        return "binary" if len(self.classes) == 2 else "multiclass"

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            ContractError: There is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        names = [column.name for column in self.columns]
        raise ContractError(f"The contract has no column '{name}'{suggest(name, names)}.")

    def _with_role(self, role: Role) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if role in column.roles)


def class_name(label: ClassLabel) -> str:
    """A class as JSON writes it, for keys of probabilities: `true` rather than `True`."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def load_contract(path: Path) -> Contract:
    """Read and check a contract file.

    Raises:
        ContractError: The file is missing, is not an ODCS v3 contract, or contradicts itself.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ContractError(
            f"{path.name} is missing: restore it from git, the project cannot do without it."
        ) from None
    except UnicodeDecodeError:
        raise ContractError(
            f"{path.name} is not text in UTF-8; save it again with that encoding."
        ) from None
    contract = parse_contract(text, path.name)
    check_name(contract.name, path.name)
    return contract


def parse_contract(text: str, source: str = "contract.yaml") -> Contract:
    """Read and check the text of a contract; `source` names it in errors.

    Raises:
        ContractError: It is not an ODCS v3 contract, or contradicts itself.
    """
    return _parse(text, source)


# A verb reads the project's contract and those of its bundles several times.
@lru_cache(maxsize=32)
def _parse(text: str, source: str) -> Contract:
    try:
        raw = yaml.safe_load(text)
    # A date or number that is none, or nesting without end, is not a YAMLError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ContractError(
            f"{source} is not valid YAML: {describe_yaml_error(error)}; correct it there."
        ) from None
    _check_size(raw, source)
    if not isinstance(raw, dict):
        raise ContractError(f"{source} must be a mapping in the ODCS v3 form; it is not.")
    contract = _read_document(raw, source)
    check_roles(contract, source)
    # A part of a contract that is read for its columns needs no name.
    if contract.name:
        check_name(contract.name, source)
    return contract


def _check_size(raw: Any, source: str) -> None:
    """Refuse a document whose aliases (`*name`) stand for more values than a contract can have."""
    count = 0
    waiting = [raw]
    while waiting:
        value = waiting.pop()
        count += 1
        if count > _MAX_VALUES:
            raise ContractError(
                f"{source}: its YAML aliases expand to more than {_MAX_VALUES:,} values; write the "
                "values out instead of repeating them by `*name`."
            )
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _read_document(raw: dict[str, Any], source: str) -> Contract:
    if not str(raw.get("apiVersion")).startswith("v3."):
        raise ContractError(
            f"{source}: apiVersion is {raw.get('apiVersion')!r}, but this project reads 'v3.*'."
        )
    document = _validate_document(raw, source)
    tables = document.schema_ or []
    if len(tables) != 1:
        raise ContractError(
            f"{source}: schema must hold exactly one table, but it holds {len(tables)}."
        )
    if not document.version:
        raise ContractError(f"{source}: version is missing; give the contract one, such as 1.0.0.")
    about = document.description or Description()
    return Contract(
        name=document.name or document.id or tables[0].name or "",
        version=document.version,
        description=about.purpose or "",
        columns=tuple(_read_column(prop, source) for prop in tables[0].properties or []),
        usage=about.usage or "",
        limitations=about.limitations or "",
    )


def _validate_document(raw: dict[str, Any], source: str) -> OpenDataContractStandard:
    # The standard's model refuses a misspelt key at the top without a hint, so keys come first
    # there; further down it must have checked that there are mappings.
    check_keys({key: value for key, value in raw.items() if key != "schema"}, source)
    try:
        document = OpenDataContractStandard.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ContractError(f"{source}: {where}: {first['msg']}; see the ODCS v3 schema.") from None
    check_keys(raw, source)
    return document


def _read_column(prop: SchemaProperty, source: str) -> Column:
    where = f"{source}: column '{prop.name or ''}'"
    kind = _read_kind(prop, where)
    roles = _read_roles(prop, where)
    options = prop.logicalTypeOptions or {}
    check_options(options, kind, where)
    column = Column(
        name=prop.name or "",
        kind=kind,
        required=bool(prop.required),
        description=prop.description or "",
        examples=_read_values(prop.examples or (), kind),
        roles=roles,
        minimum=options.get("minimum"),
        maximum=options.get("maximum"),
        min_length=options.get("minLength"),
        max_length=options.get("maxLength"),
        pattern=options.get("pattern"),
        # The values themselves are checked below.
        values=_read_values([entry.value for entry in prop.enum], kind) if prop.enum else None,
        reason=_read_reason(prop),
    )
    if column.values == ():
        raise ContractError(f"{where}: enum lists the empty text alone, which is a missing value.")
    check_column(column, where)
    return column


def _read_kind(prop: SchemaProperty, where: str) -> Kind:
    kind = "timestamp" if prop.logicalType == "date" else prop.logicalType
    if kind not in get_args(Kind):
        raise ContractError(
            f"{where}: logicalType {kind!r} is not one of {', '.join(get_args(Kind))}."
        )
    return cast("Kind", kind)


def _read_roles(prop: SchemaProperty, where: str) -> frozenset[Role]:
    roles = prop.tags or []
    unknown = set(roles) - set(get_args(Role))
    if unknown:
        wrong = min(unknown)
        hint = suggest(wrong, get_args(Role))
        raise ContractError(f"{where}: tag '{wrong}' is not a role{hint}.")
    return frozenset(cast("list[Role]", roles))


def _read_reason(prop: SchemaProperty) -> str:
    reasons = (p.value for p in prop.customProperties or [] if p.property == REASON_PROPERTY)
    return str(next(reasons, ""))


def _read_values(values: Iterable[Any], kind: str | None) -> tuple[Any, ...]:
    """Return the values of a column; text as the cells of a table are read, none of it empty."""
    if kind != "string":
        return tuple(values)
    read = (normalize_text(value) if isinstance(value, str) else value for value in values)
    return tuple(value for value in read if value != "")
