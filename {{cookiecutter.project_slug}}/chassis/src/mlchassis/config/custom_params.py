"""Parameters with the names that a project adds: its metrics, and a section for each estimator."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from pydantic import Field, create_model

from mlchassis.config.params import CandidateParams, JudgeParams, Metric, Params, TrainParams
from mlchassis.config.source_params import Section


class ParamsSection(Section):
    """Base of the parameters of a project's own estimator: `train.NAME` in params.yaml.

    An unknown key, a missing one or a value of another type is rejected, as everywhere else.
    """


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


def _widen(model: type[Section], field: str, names: tuple[str, ...], default: Any) -> Any:
    """Return a model in which a field may have these names."""
    choice: Any = Literal
    changed: dict[str, Any] = {field: (choice[names], default)}
    return create_model(model.__name__, __base__=model, **changed)


def _add_section(kind: type[ParamsSection]) -> tuple[type[ParamsSection], Any]:
    required = any(field.is_required() for field in kind.model_fields.values())
    return kind, ... if required else Field(default_factory=kind)
