"""The ranges in which the hyperparameter search tries values."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic.fields import FieldInfo

from mlchassis.config.estimator_params import SearchRange
from mlchassis.config.section import ParamsSection
from mlchassis.errors import ProjectError
from mlchassis.studies.fitting import NothingToStudyError, Problem


@dataclass(frozen=True, slots=True)
class ValueRange:
    """Lowest and highest value of one parameter, on a logarithmic scale."""

    low: float
    high: float
    is_integer: bool


def find_multiples(problem: Problem) -> dict[str, tuple[float, float]]:
    """Return the lowest and highest multiple of each parameter that is searched.

    They come from the `SearchRange` of the estimator's parameters; `study.search` replaces them.

    Raises:
        NothingToStudyError: No parameter of the estimator has a range.
        ProjectError: `study.search` names another parameter.
    """
    kind = problem.params.train.candidate.kind
    fields = type(problem.settings).model_fields
    wanted = problem.params.study.search
    unknown = [name for name in wanted if name not in fields]
    if unknown:
        raise ProjectError(
            f"params.yaml: study.search has '{unknown[0]}', which train.{kind} does not have; "
            f"choose from {', '.join(fields) or 'another estimator'}."
        )
    multiples = {**_read_metadata(fields), **wanted}
    if not multiples:
        raise NothingToStudyError(
            f"train.candidate.kind is '{kind}', which has nothing to search: leave the study "
            "'search' out, choose trees in params.yaml, or give parameters of your estimator a "
            "SearchRange."
        )
    return multiples


def find_ranges(
    settings: ParamsSection, multiples: Mapping[str, tuple[float, float]]
) -> dict[str, ValueRange]:
    """Return the range of values of each parameter, within the limits of its field.

    Raises:
        ProjectError: A value is not a positive number, so it has no multiples.
    """
    fields = type(settings).model_fields
    ranges = {}
    for name, (lowest, highest) in multiples.items():
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise ProjectError(
                f"The parameter '{name}' is {value!r}, and only positive numbers can be searched; "
                "set one, or take its range away."
            )
        ranges[name] = _bound(value, lowest, highest, fields[name])
    return ranges


def _read_metadata(fields: Mapping[str, FieldInfo]) -> dict[str, tuple[float, float]]:
    return {
        name: (entry.low, entry.high)
        for name, field in fields.items()
        for entry in field.metadata
        if isinstance(entry, SearchRange)
    }


def _bound(value: float, lowest: float, highest: float, field: FieldInfo) -> ValueRange:
    """Multiply a value, round integers, and keep the limits `ge` and `le` of the field."""
    is_integer = isinstance(value, int)
    low = lowest * value
    high = highest * value
    if is_integer:
        low = max(1, round(low))
        high = round(high)
    for entry in field.metadata:
        low = max(low, getattr(entry, "ge", low))
        high = min(high, getattr(entry, "le", high))
    return ValueRange(low, max(low, high), is_integer)
