"""Parameters with the names that a project adds: its metrics, and a section for each estimator."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from pydantic import Field, create_model

from mlchassis.config.params import CandidateParams, JudgeParams, Metric, Params, TrainParams
from mlchassis.config.section import ParamsSection
from mlchassis.errors import ProjectError


def extend_params(
    metrics: Sequence[str], sections: Mapping[str, type[ParamsSection]]
) -> type[Params]:
    """Return the model of params.yaml with a project's own names.

    Args:
        metrics: Names that `judge.metric` may have beside the built-in ones.
        sections: Parameters of each estimator, by its name. They may be left out of params.yaml if
            each has a default.
    """
    if not metrics and not sections:
        return Params
    judge = _widen(JudgeParams, "metric", (*get_args(Metric), *metrics), ...)
    kinds = get_args(CandidateParams.model_fields["kind"].annotation)
    candidate = _widen(CandidateParams, "kind", (*kinds, *sections), kinds[0])
    fields: dict[str, Any] = {name: _add_section(kind) for name, kind in sections.items()}
    train = create_model("TrainParams", __base__=TrainParams, candidate=(candidate, ...), **fields)
    return create_model("Params", __base__=Params, train=(train, ...), judge=(judge, ...))


def _widen(model: type[ParamsSection], field: str, names: tuple[str, ...], default: Any) -> Any:
    """Return a model in which a field may have these names."""
    choice: Any = Literal
    changed: dict[str, Any] = {field: (choice[names], default)}
    return create_model(model.__name__, __base__=model, **changed)


def _add_section(kind: type[ParamsSection]) -> tuple[type[ParamsSection], Any]:
    required = any(field.is_required() for field in kind.model_fields.values())
    return kind, ... if required else Field(default_factory=kind)


def read_custom_limit(limits: Mapping[str, float], section: str, name: str, needs: str) -> float:
    """Return a limit of the project's own objects: `SECTION.custom.NAME` in params.yaml.

    Args:
        limits: The entries of `SECTION.custom`.
        section: Name of the section.
        name: Name of the limit.
        needs: Kind of object that needs it, such as "a gate".

    Raises:
        ProjectError: It is not there.
    """
    if name not in limits:
        raise ProjectError(
            f"params.yaml: {section}.custom has no '{name}', which {needs} of the project needs; "
            "add it, with its unit and reason beside it."
        )
    return limits[name]
