"""Metadata of an experiment run: params, tags and artifacts to find and reproduce a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlchassis.bundle.bundle import Bundle
from mlchassis.config.params import Params
from mlchassis.errors import ProjectError
from mlchassis.evaluation.results import Evaluation, Fairness, load_evaluation
from mlchassis.features.code import FeatureFunction
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.registry.provenance import read_commit, read_data_hash

DIGEST_TAG = "bundle_digest"
FACTS_TAG = "facts_sha256"
"""Digest of the files at the root of a run, by which a version can be made again."""
MODEL_TAG = "model_sha256"
"""Digest of the MLflow model of a run: bundle, code and everything else that loading it reads."""

_KEYED_BY_COLUMN = (
    "source.columns.",
    "source.rename.",
    "source.compose.",
    "validate.accepted_shifts.",
)
"""Beginnings of the names of parameters that contain a column's name."""
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """A run that tries a configuration and leaves no bundle."""

    tags: Mapping[str, str]
    params: Mapping[str, Any]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run that is to be written.

    Attributes:
        tags: Among them `bundle_digest`, by which the run is found again.
        files: Files by the artifact folder in which they are kept ("" is the root).
        bundle: The bundle that shall be loadable from the run.
        features: The function from columns to features, logged with the bundle.
        example: Records as a client would send them.
    """

    tags: Mapping[str, str]
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    files: Mapping[str, Sequence[Path]]
    bundle: Bundle
    features: FeatureFunction
    example: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """A run that was written.

    Attributes:
        sums: Digests of what it holds, by the name of the tag: FACTS_TAG and MODEL_TAG.
    """

    run_id: str
    sums: Mapping[str, str]


def describe_run(paths: Workspace, params: Params, bundle: Bundle) -> RunRecord:
    """Collect the files, metrics and parameters that the pipeline wrote about a bundle.

    Raises:
        ProjectError: Something is missing, or belongs to another bundle.
    """
    evaluation = read_evaluation(paths, bundle)
    return RunRecord(
        tags=describe_provenance(paths, bundle),
        params=describe_params(params),
        metrics=_gather_metrics(evaluation, bundle),
        files={
            "": [
                paths.dvc_lock,
                paths.params,
                *(paths.reports / f"{name}.json" for name in ("ingest", "evaluation")),
            ],
            "report": [file for file in (paths.reports / "data.html",) if file.exists()],
            "plots": sorted(file for file in paths.plots.glob("*") if file.is_file()),
        },
        bundle=bundle,
        features=paths.project.features,
        example=choose_examples([golden.request for golden in bundle.metadata.golden]),
    )


def describe_params(params: Params) -> dict[str, Any]:
    """Return the run's parameters, without those that are keyed by columns.

    MLflow rejects names such as `Preis (€)`, and a run with a thousand parameters is hard to read;
    the run's copy of params.yaml has all of them.
    """
    flat = _flatten(params.model_dump(mode="json", by_alias=True))
    return {name: value for name, value in flat.items() if not name.startswith(_KEYED_BY_COLUMN)}


def choose_examples(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return a few records that show as many of the columns with a value as they can."""
    left = list(records)
    chosen: list[Mapping[str, Any]] = []
    shown: set[str] = set()
    while left and len(chosen) < _EXAMPLES:
        best = max(left, key=lambda record: len(record.keys() - shown))
        left.remove(best)
        chosen.append(best)
        shown |= best.keys()
    return chosen


def describe_provenance(paths: Paths, bundle: Bundle) -> dict[str, str]:
    """The tags of a run and of its version."""
    return {
        DIGEST_TAG: bundle.digest,
        "data_md5": read_data_hash(paths),
        "git_commit": read_commit(paths.root),
        "contract_version": bundle.metadata.contract_version,
    }


def read_evaluation(paths: Paths, bundle: Bundle) -> Evaluation:
    """Return the evaluation of this bundle.

    Raises:
        ProjectError: It is missing, was edited, or is about another bundle.
    """
    evaluation = load_evaluation(paths.reports / "evaluation.json")
    if evaluation.digest != bundle.digest:
        raise ProjectError(
            f"reports/evaluation.json is about bundle {evaluation.digest[:12]}, but models/bundle "
            f"is {bundle.digest[:12]}; run `make repro`."
        )
    return evaluation


def _gather_metrics(evaluation: Evaluation, bundle: Bundle) -> dict[str, float]:
    metrics = {
        f"validation/{name}": value for name, value in bundle.metadata.validation_metrics.items()
    }
    for name, measured in evaluation.metrics.items():
        metrics[f"test/{name}"] = measured.value
        metrics[f"test/{name}_low"] = measured.low
        metrics[f"test/{name}_high"] = measured.high
    for baseline, measures in evaluation.baselines.items():
        metrics |= {f"{baseline}/{name}": measured.value for name, measured in measures.items()}
    for baseline, gains in evaluation.gains.items():
        metrics |= {f"gain_over_{baseline}/{name}": gain.value for name, gain in gains.items()}
    return metrics | _find_largest_disparities(evaluation.fairness)


def _find_largest_disparities(fairness: Fairness | None) -> dict[str, float]:
    """Return the largest disparity of each kind, and the largest counterfactual flip rate."""
    if fairness is None:
        return {}
    values = [
        (f"groups/{disparity.kind}_disparity", disparity.disparity.value)
        for disparity in fairness.disparities
    ]
    values += [
        ("groups/counterfactual_flip_rate", flips.rate.value)
        for flips in fairness.counterfactual_flips
    ]
    largest: dict[str, float] = {}
    for name, value in values:
        largest[name] = max(largest.get(name, 0.0), value)
    return largest


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        nested = isinstance(value, dict)
        flat |= _flatten(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat
