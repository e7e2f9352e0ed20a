"""The pipeline's parameters: `params.yaml`, checked and typed.

A misspelt key or an impossible value stops everything with one sentence, before any work is done.
"""

import hashlib
import json
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from mlchassis.config.source_params import SOURCES, ColumnFormat, Section, SourceParams
from mlchassis.errors import ProjectError
from mlchassis.masking import mask_address, mask_secrets, name_secret

Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Metric = Literal["roc_auc", "pr_auc", "accuracy", "log_loss", "brier", "ece", "rmse", "mae", "r2"]


class ParamsError(ProjectError):
    """`params.yaml` cannot be read, or asks for something impossible."""


class IngestParams(Section):
    """Rows to read.

    Attributes:
        until: Up to which month the project has seen the world; None takes all there is.
        forgotten: Digests of values whose rows `make forget` removed, by column.
    """

    until: Month | None
    forgotten: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class ValidateParams(Section):
    """Limits at which validation stops the pipeline."""

    max_quarantined: Share
    max_doubled: Share = 0.01
    max_step: Share = 0.85
    known_steps: dict[str, tuple[Month, ...]] = Field(default_factory=dict)


class SplitParams(Section):
    """Split into training, validation and test rows."""

    strategy: Literal["time", "group", "random"]
    valid_days: Count
    test_days: Count
    valid_share: Share
    test_share: Share
    group: str | None
    min_rows: Count


class LinearParams(Section):
    """The linear baseline."""

    inverse_regularisation: Positive
    max_iterations: Count


class CandidateParams(Section):
    """The model that may be served: gradient-boosted trees, or the linear model itself.

    Attributes:
        target_scale: On which a regression is fitted; its answers are in the target's unit always.
        categories: Encoding of columns with many categories for trees: codes that LightGBM splits
            natively, or the mean target of each category, learned on other folds.
    """

    kind: Literal["trees", "linear"] = "trees"
    target_scale: Literal["plain", "log"] = "plain"
    categories: Literal["native", "means"] = "native"
    learning_rate: Positive
    max_trees: Count
    patience: Count
    leaves: Annotated[int, Field(ge=2)]
    min_rows_per_leaf: Count
    feature_share: Annotated[float, Field(gt=0, le=1)]
    threads: Count


class TrainParams(Section):
    """Baselines, candidate, and what an error costs."""

    max_single_feature_auc: Annotated[float, Field(gt=0.5, le=1)]
    cost_false_positive: Positive
    cost_false_negative: Positive
    min_category_count: Count
    linear: LinearParams
    candidate: CandidateParams


class ExportParams(Section):
    """The ONNX graph and the bundle."""

    opset: Annotated[int, Field(ge=15)]
    tolerance: Positive
    max_megabytes: Positive
    golden: Count
    pii_categories: tuple[str, ...] = ()


class EvaluateParams(Section):
    """Intervals, curves and slices."""

    resamples: Annotated[int, Field(ge=20)]
    min_slice_rows: Count
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    calibration_bins: Annotated[int, Field(ge=2)]


class GroupGapParams(Section):
    """Largest allowed differences between groups of people."""

    rate: Positive = 0.2
    true_positive_rate: Positive = 0.1
    calibration: Positive = 0.1


class JudgeParams(Section):
    """The gates' limits.

    Attributes:
        custom: Limits of the project's own gates, by name.
    """

    metric: Metric
    min_gain: float
    max_regression: Annotated[float, Field(ge=0)]
    max_calibration_error: Positive
    max_slice_gap: Share
    max_group_gap: GroupGapParams = Field(default_factory=GroupGapParams)
    max_flips: Share = 0.02
    max_surprise: Share
    max_excess_cost: Share
    max_age_days: Count
    max_microseconds: Positive
    custom: dict[str, float] = Field(default_factory=dict)


class StudyParams(Section):
    """`make study`, which is outside the pipeline.

    Attributes:
        search: Search range of each candidate parameter, as lowest and highest multiple of its
            value.
    """

    repeats: Count
    months: Count
    max_loss: Positive
    trials: Count
    tolerance: Positive
    search: dict[
        Literal["learning_rate", "leaves", "min_rows_per_leaf", "feature_share"],
        tuple[Positive, Positive],
    ]


class Params(Section):
    """All of `params.yaml`."""

    seed: int
    source: SourceParams
    ingest: IngestParams
    validate_: ValidateParams = Field(alias="validate")
    split: SplitParams
    train: TrainParams
    export: ExportParams
    evaluate: EvaluateParams
    judge: JudgeParams
    study: StudyParams

    @property
    def resampling(self) -> dict[str, Any]:
        """Arguments of every bootstrap: resamples, confidence and seed."""
        found = self.evaluate.model_dump(include={"resamples", "confidence"})
        return {**found, "seed": self.seed}

    def digest(self) -> str:
        """SHA-256 of the parameters that shape a model; how it is judged is not among them."""
        shaping = self.model_dump(
            mode="json", by_alias=True, exclude={"evaluate", "judge", "study"}
        )
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()


def load_params(path: Path, model: type[Params] = Params) -> Params:
    """Reads and checks the parameters.

    Raises:
        ParamsError: The file is missing, is no YAML, or a key or a value in it is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ParamsError(f"{path.name} is missing: restore it from git.") from None
    return parse_params(text, path.name, model)


def parse_params(text: str, source: str = "params.yaml", model: type[Params] = Params) -> Params:
    """Reads and checks the text of the parameters; `source` names it in errors."""
    try:
        raw = yaml.safe_load(text)
    # A date or number that is none, or nesting without end, is no YAMLError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        detail = " ".join(str(error).split())
        raise ParamsError(f"{source} is not valid YAML: {detail}.") from None
    try:
        params = model.model_validate(raw)
    except ValidationError as error:
        raise ParamsError(f"{source}: {_explain(error, model)}.") from None
    _check_secrets(params, source)
    return params


def _check_secrets(params: Params, file: str) -> None:
    """Refuse an address with a secret: git, `dvc.lock` and MLflow would keep it."""
    for field in ("url", "path", "endpoint"):
        address = str(getattr(params.source, field, None) or "")
        secret = name_secret(address)
        if secret:
            raise ParamsError(
                f"{file}: 'source.{field}' is {mask_address(address)}, but it holds a secret "
                f"{secret}; take it out and set it in the environment: SOURCE_PASSWORD for a "
                "database, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for S3."
            )


def _explain(error: ValidationError, root: type[Params]) -> str:
    errors = error.errors()
    # A misspelt key is missing under its right name too; what was written says more.
    first = next((found for found in errors if found["type"] == "extra_forbidden"), errors[0])
    place = first["loc"]
    # In a source's place its kind comes second, which is no key of the file.
    name = ".".join(str(part) for k, part in enumerate(place) if (place[0], k) != ("source", 1))
    if first["type"] == "extra_forbidden":
        siblings = _section_fields(place[:-1], root)
        close = get_close_matches(str(place[-1]), siblings, n=1)
        hint = f"did you mean '{close[0]}'" if close else f"known are {', '.join(siblings)}"
        return f"unknown key '{name}'; {hint}"
    if first["type"] == "missing":
        return f"'{name}' is missing; add it, with its unit and reason beside it"
    if first["type"].startswith("union_tag"):
        known = ", ".join(SOURCES)
        return f"'{name}.kind' is missing or unknown; known are {known}"
    found = mask_secrets(repr(first["input"]))
    return f"'{name}' is {found}, but {first['msg'][0].lower()}{first['msg'][1:]}"


def _section_fields(place: tuple[int | str, ...], root: type[Params]) -> list[str]:
    model: Any = root
    if place[:1] == ("source",):
        model = ColumnFormat if len(place) > 2 else SOURCES[str(place[1])]
        place = ()
    for part in place:
        model = next(
            info.annotation
            for field, info in model.model_fields.items()
            if part in (field, info.alias)
        )
    return [info.alias or field for field, info in model.model_fields.items()]
