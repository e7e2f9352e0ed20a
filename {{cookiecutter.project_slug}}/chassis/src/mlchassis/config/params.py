"""The pipeline's parameters: `params.yaml`, checked and typed.

A misspelt key or an impossible value stops everything with one sentence, before any work is done.
"""

import hashlib
import json
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import yaml
from pydantic import Field, ValidationError

from mlchassis.config.estimator_params import LinearParams, TreesParams
from mlchassis.config.fields import Count, Month, Positive, Proportion
from mlchassis.config.renamed_keys import RENAMED_KEYS
from mlchassis.config.section import ParamsSection
from mlchassis.config.source_params import SOURCES, ColumnFormat, OwnParams, SourceParams
from mlchassis.errors import ProjectError, describe_yaml_error
from mlchassis.masking import mask_address, mask_secrets, name_secret

Metric = Literal["roc_auc", "pr_auc", "accuracy", "log_loss", "brier", "ece", "rmse", "mae", "r2"]


class ParamsError(ProjectError):
    """`params.yaml` cannot be read, or asks for something impossible."""


class IngestParams(ParamsSection):
    """Rows to read.

    Attributes:
        as_of: Up to which month the project has seen the world; None takes all there is.
        forgotten: Digests of values whose rows `make forget` removed, by column.
    """

    as_of: Month | None
    forgotten: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class ValidateParams(ParamsSection):
    """Limits at which validation stops the pipeline."""

    max_quarantined: Proportion
    max_duplicates: Proportion = 0.01
    max_shift: Proportion = 0.85
    accepted_shifts: dict[str, tuple[Month, ...]] = Field(default_factory=dict)


class SplitParams(ParamsSection):
    """Split into training, validation and test rows."""

    strategy: Literal["time", "group", "random"]
    validation_days: Count
    test_days: Count
    validation_proportion: Proportion
    test_proportion: Proportion
    group: str | None
    min_rows: Count


class CandidateParams(ParamsSection):
    """The model that may be served.

    Attributes:
        kind: Name of its estimator, whose parameters are the section `train.NAME`.
        target_scale: Scale on which a regression is fitted; predictions are in the target's unit.
    """

    kind: Literal["trees", "linear"] = "trees"
    target_scale: Literal["plain", "log"] = "plain"


class TrainParams(ParamsSection):
    """Baselines, candidate, and what an error costs."""

    max_single_feature_auc: Annotated[float, Field(gt=0.5, le=1)]
    cost_false_positive: Positive
    cost_false_negative: Positive
    min_category_count: Count
    linear: LinearParams
    trees: TreesParams
    candidate: CandidateParams


class ExportParams(ParamsSection):
    """The ONNX graph and the bundle."""

    opset: Annotated[int, Field(ge=15)]
    tolerance: Positive
    max_megabytes: Positive
    golden: Count
    pii_categories: tuple[str, ...] = ()


class Resampling(TypedDict):
    """Keyword arguments of every bootstrap.

    Attributes:
        resamples: Number of resamples.
        confidence: Probability with which an interval holds the true value.
        seed: Seed of the draws.
    """

    resamples: int
    confidence: float
    seed: int


class EvaluateParams(ParamsSection):
    """Intervals, curves and slices."""

    resamples: Annotated[int, Field(ge=20)]
    min_slice_rows: Count
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    calibration_bins: Annotated[int, Field(ge=2)]


class DisparityParams(ParamsSection):
    """Largest allowed differences between groups of people."""

    rate: Positive = 0.2
    true_positive_rate: Positive = 0.1
    calibration: Positive = 0.1


class JudgeParams(ParamsSection):
    """The gates' limits.

    Attributes:
        custom: Limits of the project's own gates, by name.
    """

    metric: Metric
    min_gain: float
    max_regression: Annotated[float, Field(ge=0)]
    max_calibration_error: Positive
    max_slice_regression: Proportion
    max_disparity: DisparityParams = Field(default_factory=DisparityParams)
    max_counterfactual_flip_rate: Proportion = 0.02
    max_contamination: Proportion
    max_excess_cost: Proportion
    max_staleness_days: Count
    max_latency_us: Positive
    custom: dict[str, float] = Field(default_factory=dict)


class StudyParams(ParamsSection):
    """`make study`, which is outside the pipeline.

    Attributes:
        search: Search ranges in place of those of the estimator's parameters, by name: lowest and
            highest multiple of the value.
    """

    repeats: Count
    months: Count
    max_loss: Positive
    trials: Count
    tolerance: Positive
    search: dict[str, tuple[Positive, Positive]] = Field(default_factory=dict)


class RetrainParams(ParamsSection):
    """Rules of `make retrain`.

    Attributes:
        promote: True to promote and deploy what the gates approve; False to leave the new version
            as challenger until `make promote`.
    """

    promote: bool = True


class MonitorParams(ParamsSection):
    """`make monitor`, which is outside the pipeline.

    Attributes:
        window_days: Days of a window of production.
        windows: Newest windows that decide together.
        agreeing: Windows among them that must alarm, the newest included, before the status is
            `retrain`.
        min_rows: Rows of a window; fewer show nothing.
        min_labeled: Proportion of a window's responses that have a label; of fewer there is no
            realized performance, since the first labels are seldom like all of them.
        max_silent_days: Days since the newest logged response before the status is `watch`; null
            for a log that is complete, such as one of the past.
        false_alarms: Probability of an alarm in a window like those of the reference, over all
            features together.
        draws: Windows that are drawn from the reference.
        max_invalid: Proportion of the newest window's rows that may break the contract.
        skew_rows: Newest logged rows whose features are recomputed from the raw data.
        max_skew: Proportion of these rows that may have other features.
        retention_days: Days for which `make compact-log` keeps logged rows; all if null.
        ignore: Features whose drift never alarms.
        labels: Table with the outcomes, if it is another one than the source.
        custom: Limits of the project's own monitors, by name.
    """

    window_days: Annotated[int, Field(ge=1, le=366)] = 7
    windows: Annotated[int, Field(ge=1, le=1000)] = 3
    agreeing: Count = 2
    min_rows: Count = 500
    min_labeled: Proportion = 0.5
    max_silent_days: Count | None = 7
    false_alarms: Annotated[float, Field(gt=0, lt=0.5)] = 0.005
    draws: Annotated[int, Field(ge=100)] = 1000
    max_invalid: Proportion = 0.01
    skew_rows: Count = 10_000
    max_skew: Proportion = 0.0
    retention_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    ignore: tuple[str, ...] = ()
    labels: OwnParams | None = Field(default=None, discriminator="kind")
    custom: dict[str, float] = Field(default_factory=dict)


class Params(ParamsSection):
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
    retrain: RetrainParams = Field(default_factory=RetrainParams)
    monitor: MonitorParams = Field(default_factory=MonitorParams)

    @property
    def resampling(self) -> Resampling:
        """Keyword arguments of every bootstrap."""
        return {
            "resamples": self.evaluate.resamples,
            "confidence": self.evaluate.confidence,
            "seed": self.seed,
        }

    def digest(self) -> str:
        """SHA-256 of the parameters that shape a model; how it is judged is not among them."""
        later = {"evaluate", "judge", "study", "retrain", "monitor"}
        shaping = self.model_dump(mode="json", by_alias=True, exclude=later)
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()


def load_params(path: Path, model: type[Params] = Params) -> Params:
    """Read and check the parameters.

    Raises:
        ParamsError: The file is missing, is not YAML, or a key or a value in it is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ParamsError(f"{path.name} is missing: restore it from git.") from None
    except UnicodeDecodeError:
        raise ParamsError(
            f"{path.name} is not text in UTF-8; save it again with that encoding."
        ) from None
    return parse_params(text, path.name, model)


def parse_params(text: str, source: str = "params.yaml", model: type[Params] = Params) -> Params:
    """Read and check the text of the parameters; `source` names it in errors."""
    try:
        raw = yaml.safe_load(text)
    # A date or number that is none, or nesting without end, is not a YAMLError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        detail = describe_yaml_error(error)
        raise ParamsError(f"{source} is not valid YAML: {detail}; correct it there.") from None
    try:
        params = model.model_validate(raw)
    except ValidationError as error:
        raise ParamsError(f"{source}: {_explain(error, model)}.") from None
    _check_secrets(params, source)
    _check_windows(params.monitor, source)
    return params


def _check_windows(monitor: MonitorParams, file: str) -> None:
    """Refuse settings with which the monitor could never ask for a retraining."""
    agreeing = monitor.agreeing
    if agreeing > monitor.windows:
        raise ParamsError(
            f"{file}: 'monitor.agreeing' is {agreeing}, but there are {monitor.windows} windows "
            "(monitor.windows), so the status would never be retrain; lower it, or raise "
            "monitor.windows."
        )
    days = agreeing * monitor.window_days
    if monitor.retention_days is not None and monitor.retention_days < days:
        raise ParamsError(
            f"{file}: 'monitor.retention_days' is {monitor.retention_days}, but {agreeing} windows "
            f"of {monitor.window_days} days must agree (monitor.agreeing), so the status would "
            f"never be retrain; keep {days} days, or lower monitor.window_days."
        )


def _check_secrets(params: Params, file: str) -> None:
    """Refuse an address with a secret: git, `dvc.lock` and MLflow would keep it."""
    tables = {"source": params.source, "monitor.labels": params.monitor.labels}
    for place, field in product(tables, ("url", "path", "endpoint")):
        address = str(getattr(tables[place], field, None) or "")
        secret = name_secret(address)
        if secret:
            raise ParamsError(
                f"{file}: '{place}.{field}' is {mask_address(address)}, but it holds a secret "
                f"{secret}; take it out and set it in the environment: SOURCE_PASSWORD for a "
                "database, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for S3."
            )


def _explain(error: ValidationError, root: type[Params]) -> str:
    errors = error.errors()
    # A misspelt key is missing under its right name too; what was written says more.
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    place = first["loc"]
    # In a source's place its kind comes second, which is not a key of the file.
    name = ".".join(str(part) for k, part in enumerate(place) if (place[0], k) != ("source", 1))
    if first["type"] == "extra_forbidden" and name in RENAMED_KEYS:
        return f"'{name}' is now '{RENAMED_KEYS[name]}'; rename it"
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
    value = mask_secrets(repr(first["input"]))
    return f"'{name}' is {value}, but {first['msg'][0].lower()}{first['msg'][1:]}; correct it"


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
