"""Metadata of an experiment run: params, tags and artifacts to find and reproduce a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlchassis.bundle.bundle import Bundle
from mlchassis.config.params import Params
from mlchassis.errors import ProjectError
from mlchassis.evaluation.results import read_facts
from mlchassis.features.code import FeatureFunction
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.registry.provenance import read_commit, read_data_hash

DIGEST_TAG = "bundle_digest"
FACTS_TAG = "facts_sha256"
"""Digest of the files at the root of a run, by which a version can be made again."""
MODEL_TAG = "model_sha256"
"""Digest of the MLflow model of a run: bundle, code and everything else that loading it reads."""

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
        files: Files by the artefact folder in which they are kept ("" is the root).
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
    """Gathers what the pipeline left behind about a bundle.

    Raises:
        ProjectError: Something is missing, or belongs to another bundle.
    """
    facts = read_evaluation(paths, bundle)
    return RunRecord(
        tags=describe_origin(paths, bundle),
        params=_flatten(params.model_dump(mode="json", by_alias=True)),
        metrics=_gather_metrics(facts, bundle),
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


def describe_origin(paths: Paths, bundle: Bundle) -> dict[str, str]:
    """The tags of a run and of its version."""
    return {
        DIGEST_TAG: bundle.digest,
        "data_md5": read_data_hash(paths),
        "git_commit": read_commit(paths.root),
        "contract_version": bundle.metadata.contract_version,
    }


def read_evaluation(paths: Paths, bundle: Bundle) -> Mapping[str, Any]:
    """Return the evaluation of this bundle.

    Raises:
        ProjectError: It is missing, was edited, or is about another bundle.
    """
    facts = read_facts(paths.reports / "evaluation.json")
    if facts["digest"] != bundle.digest:
        raise ProjectError(
            f"reports/evaluation.json is about bundle {facts['digest'][:12]}, but models/bundle is "
            f"{bundle.digest[:12]}; run `make repro`."
        )
    return facts


def _gather_metrics(facts: Mapping[str, Any], bundle: Bundle) -> dict[str, float]:
    metrics = {f"valid/{name}": value for name, value in bundle.metadata.validation_metrics.items()}
    for name, interval in facts["metrics"].items():
        metrics[f"test/{name}"] = interval["value"]
        metrics |= {f"test/{name}_{end}": interval[end] for end in ("low", "high")}
    for kind, prefix in (("baselines", ""), ("gains", "gain_over_")):
        for baseline, found in facts[kind].items():
            for name, interval in found.items():
                metrics[f"{prefix}{baseline}/{name}"] = interval["value"]
    fairness = facts.get("fairness") or {"gaps": [], "flips": []}
    largest = [(f"groups/{gap['kind']}_gap", gap["gap"]) for gap in fairness["gaps"]]
    largest += [("groups/flips", flips["share"]) for flips in fairness["flips"]]
    for name, found in largest:
        metrics[name] = max(metrics.get(name, 0.0), found["value"])
    return metrics


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        nested = isinstance(value, dict)
        flat |= _flatten(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat
