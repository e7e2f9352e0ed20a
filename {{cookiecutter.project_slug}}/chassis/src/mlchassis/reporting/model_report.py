"""The model report: one HTML page, and the same facts as a model card.

The card is Mitchell et al. 2019 ("Model Cards for Model Reporting") in Markdown, with the metadata
that Hugging Face reads.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mlchassis.bundle.bundle import Bundle
from mlchassis.config.params import Params
from mlchassis.contract.model import Contract, Task
from mlchassis.data.left_out import describe_left_out
from mlchassis.evaluation.bootstrap import spell_units
from mlchassis.evaluation.gates.gates import name_rows
from mlchassis.evaluation.gates.judgement import Judgement
from mlchassis.evaluation.plausibility import spell_implausible
from mlchassis.html.rendering import (
    Block,
    Curve,
    Lead,
    Section,
    Table,
    Text,
    escape_markdown,
    render_markdown,
    render_page,
    spell_number,
)
from mlchassis.paths import Paths
from mlchassis.printable import printable
from mlchassis.project import Workspace
from mlchassis.registry.runs import read_evaluation
from mlchassis.reporting.findings import (
    describe_errors,
    describe_groups,
    describe_rival,
    describe_worth,
    fold,
    spell_interval,
)
from mlchassis.reporting.sections import ReportContext, insert_sections
from mlchassis.reports import read_report
from mlchassis.workspace.integrity import describe_fork
from mlchassis.workspace.outputs import writing

_TASKS: Mapping[Task, tuple[str, str]] = {
    "binary": ("tabular-classification", "Predicts yes or no, with a probability"),
    "multiclass": ("tabular-classification", "Predicts one of several classes, with probabilities"),
    "regression": ("tabular-regression", "Predicts a number"),
}
_MEANINGS = {
    "roc_auc": "how often it ranks a row of one class above a row of the other; 0.5 is guessing",
    "pr_auc": "average precision over all recalls; the share of positives is guessing",
    "log_loss": "smaller is better; wrong answers given with certainty cost most",
    "brier": "mean squared error of the probability; smaller is better",
    "ece": "mean distance of the probabilities from what came true; smaller is better",
    "accuracy": "share of rows whose most probable class is right",
    "rmse": "typical error in the target's own unit, large errors counting more; smaller is better",
    "mae": "mean error in the target's own unit; smaller is better",
    "r2": "share of the target's variance that is explained",
}
_NAMES = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "Log loss",
    "brier": "Brier score",
    "ece": "Calibration error",
    "accuracy": "Accuracy",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
}
_SHARES = ("accuracy", "roc_auc")
"""Metrics whose value is a share of 100 cases or pairs, which a layperson understands."""
_CURVES = {
    "roc": ("ROC curve: cases found, by false alarms", True),
    "precision_recall": ("Precision-recall curve: right calls, by cases found", False),
    "calibration": ("Calibration: of 100 cases given 30%, about 30 should come true", True),
}

_MUCH = 0.15
"""Difference of an outcome's share between windows that is worth a warning."""


def write_report(
    paths: Workspace, params: Params, bundle: Bundle, judgement: Judgement
) -> list[Path]:
    """Writes `reports/report.html` and `reports/model_card.md` about a judged bundle.

    Raises:
        ProjectError: Facts are missing, or belong to another bundle; an own section is wrong.
    """
    facts = read_evaluation(paths, bundle)
    context = ReportContext(paths, params, bundle, facts, judgement)
    sections = insert_sections(describe(paths, params, bundle, facts, judgement), context)
    fork = describe_fork(paths.chassis)
    lead = replace(_lead(bundle.contract, facts, judgement), banner=fork)
    purpose = Section("Intended use", [Text(bundle.contract.description)])
    title = f"{bundle.metadata.name}: model report"
    contents = {
        "report.html": render_page(title, lead, sections),
        "model_card.md": _metadata(bundle, facts, fork) + render_markdown([purpose, *sections]),
    }
    for name, content in contents.items():
        with writing(paths, paths.reports / name) as scratch:
            scratch.write_text(content, encoding="utf-8")
    return [paths.reports / name for name in contents]


def describe(
    paths: Paths,
    params: Params,
    bundle: Bundle,
    facts: Mapping[str, Any],
    judgement: Judgement,
) -> list[tuple[str, Iterable[Section]]]:
    """The built-in sections in order, each with the name that own sections refer to."""
    about = yaml.safe_load((bundle.path / "contract.yaml").read_text(encoding="utf-8"))
    told = about.get("description") or {}
    asked = [
        (gate.name, gate.verdict.replace("refused", "REFUSED"), gate.sentence)
        for gate in judgement.gates
    ]
    gates = Table(("gate", "verdict", "finding"), asked)
    limits = [Text(limit) for limit in _limits(bundle, told)]
    condition = "Conditions of a release: one rejection, and the model is not served."
    study = _read(paths, "study")
    answer = [Text(_answer(bundle)), Text(told.get("usage", ""))]
    return [
        ("prediction", [Section("Prediction", answer)]),
        ("metrics", [Section("Metrics", [*_goodness(params, facts), *_curves(paths)])]),
        ("errors", describe_errors(facts)),
        ("slices", [Section("Performance by slice", _slices(params, facts))]),
        ("fairness", describe_groups(facts)),
        ("importance", describe_worth(study, bundle.metadata.data_hash)),
        ("comparison", describe_rival(_read(paths, "comparison"), bundle.digest)),
        ("gates", [Section("Release gates", [Text(condition), gates])]),
        ("data", [Section("Data", _data(read_report(paths.reports / "split.json")))]),
        ("left_out", describe_left_out(bundle.contract)),
        ("limitations", [Section("Limitations", limits)]),
    ]


def _goodness(params: Params, facts: Mapping[str, Any]) -> list[Block]:
    found = {"this model": facts["metrics"], **facts["baselines"]}
    spelt = [
        [spell_interval(model[name]) if name in model else "" for model in found.values()]
        for name in facts["metrics"]
    ]
    meanings = _explain_metrics(facts)
    rows = [(n, *cells, meanings[n]) for n, cells in zip(facts["metrics"], spelt, strict=True)]
    how = (
        f"Measured on {facts['rows']:,} rows{_spell(facts['window'])}, which training did "
        f"not use. Confidence intervals of {params.evaluate.confidence:.0%} "
        f"{_spell_resampling(facts)}."
    )
    return [Text(how), Table(("metric", *found, "meaning"), rows)]


def _explain_metrics(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the meaning of each metric, those of the project among them."""
    return {**_MEANINGS, **facts.get("custom_metrics", {})}


def _spell_resampling(facts: Mapping[str, Any]) -> str:
    """Spell how the intervals were made, and what so few units do not say."""
    found = facts["units"]
    units = spell_units(found["count"], found["unit"])
    if found["interval"] == "rows":
        return (
            f"by rows, since the test window holds only {units}: they say nothing about how others "
            "differ"
        )
    if found["interval"] == "t":
        return f"by {units} (Student's t, since they are few: the intervals are wide)"
    return f"by bootstrap of {units}"


def _data(split: Mapping[str, Any]) -> list[Block]:
    windows = split["windows"].items()
    ends = [end for end in ("from", "until") if all(end in part for _, part in windows)]
    rows = [
        (name, f"{part['rows']:,}", *(part[end][:10] for end in ends)) for name, part in windows
    ]
    outcome = _spell_outcome(split["windows"])
    account = [(name.replace("_", " "), f"{count:,}") for name, count in split["account"].items()]
    return [
        Table(("window", "rows", *ends), rows),
        *(Text(said) for said in (split.get("explanation", ""), outcome) if said),
        Table(("rows", "count"), account),
        Text("Statistics of every column are in reports/data.html."),
    ]


def _spell_outcome(windows: Mapping[str, Any]) -> str:
    """Spell the outcome in each window: "36 % in train, 80 % in test"; empty if not known."""
    if not all("target_mean" in part or "target_shares" in part for part in windows.values()):
        return ""
    labels = {label for part in windows.values() for label in part.get("target_shares", {})}
    found = {
        label: {name: part["target_shares"].get(label, 0.0) for name, part in windows.items()}
        for label in labels
    } or {"": {name: part["target_mean"] for name, part in windows.items()}}
    spread = {label: max(values.values()) - min(values.values()) for label, values in found.items()}
    label = max(sorted(spread), key=lambda name: spread[name])
    share = all(0 <= value <= 1 for value in found[label].values())
    spelt = ", ".join(
        f"{f'{value:.0%}' if share else spell_number(value)} in {name}"
        for name, value in found[label].items()
    )
    warning = (
        " These differ much: what was learned from one may not hold in the other; see the chart of "
        "the outcome by month in reports/data.html."
        if share and spread[label] > _MUCH
        else ""
    )
    return f"The outcome{f' {label}' if label else ''}: {spelt}.{warning}"


def _lead(contract: Contract, facts: Mapping[str, Any], judgement: Judgement) -> Lead:
    shares = (name for name in (facts["primary_metric"], *_SHARES) if name in _SHARES)
    metric = next((n for n in shares if n in facts["metrics"]), facts["primary_metric"])
    main, guess = facts["metrics"][metric], facts["baselines"]["prior"][metric]
    refused = ", ".join(gate.name for gate in judgement.refusals)
    verdict = f"Rejected by: {refused}" if refused else f"Approved: {judgement.summary}"
    best, least, most, dull = (
        f"{value:.3g}" if metric in _SHARES else spell_number(value)
        for value in (main["value"], main["low"], main["high"], guess["value"])
    )
    title = _NAMES.get(metric, metric)
    warning = spell_implausible(facts.get("implausible"))
    texts = [contract.description, *([f"Warning: {warning}."] if warning else [])]
    by_row = facts["units"]["unit"] == "row"
    unseen = "cases drawn at random and kept from training" if by_row else "cases it had never seen"
    others = {"day": "days", "row": "cases"}.get(_name_resampled(facts), "groups")
    tiles = [
        (f"{title} {best}", _explain_metric(metric, facts, contract)),
        (f"{title} {dull}", "baseline: the same answer for every case"),
        (
            f"{least} to {most}",
            f"confidence interval of {title}: the range for other {others} like those",
        ),
        *_decision_tiles(contract, facts),
        (f"{facts['rows']:,}", f"test rows: {unseen}{_spell(facts['window'])}"),
    ]
    return Lead(contract.name, verdict, not refused, texts, tiles)


def _name_resampled(facts: Mapping[str, Any]) -> str:
    return "row" if facts["units"]["interval"] == "rows" else str(facts["units"]["unit"])


def _explain_metric(metric: str, facts: Mapping[str, Any], contract: Contract) -> str:
    """Spell the plain meaning of a metric's value."""
    value = facts["metrics"][metric]["value"]
    if metric == "accuracy":
        return f"of 100 cases it answers {100 * value:.3g} correctly"
    if metric == "roc_auc":
        positive = _name_positive(contract)
        return (
            f"of 100 pairs of a case that is '{positive}' and one that is not, it ranks "
            f"{100 * value:.3g} correctly"
        )
    return _explain_metrics(facts)[metric]


def _name_positive(contract: Contract) -> str:
    target = contract.target
    return target.name if target.kind == "boolean" else str(contract.classes[-1])


def _decision_tiles(contract: Contract, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Recall and precision of a binary model."""
    measured = (facts["decision"] or {}).get("measured", {})
    if not {"recall", "precision"} <= measured.keys():
        return []
    positive = _name_positive(contract)
    recall, precision = measured["recall"]["value"], measured["precision"]["value"]
    return [
        (f"Recall {recall:.2f}", f"of 100 cases that are '{positive}' it finds {100 * recall:.0f}"),
        (
            f"Precision {precision:.2f}",
            f"of 100 cases that it calls '{positive}', {100 * precision:.0f} are",
        ),
    ]


def _answer(bundle: Bundle) -> str:
    kind, target = _TASKS[bundle.metadata.task][1], bundle.contract.target
    return f"{kind}: {target.name}. {target.description}".rstrip(". ") + "."


def _slices(params: Params, facts: Mapping[str, Any]) -> list[Block]:
    parts = sorted(facts["slices"], key=lambda part: part["gap"]["value"])
    least = f"{params.evaluate.min_slice_rows} rows"
    if not parts:
        return [Text(f"No slice has {least}, so none was compared.")]
    rows = [
        (
            name_rows(part["where"]),
            f"{part['rows']:,}",
            spell_interval(part["value"]),
            "{value:+.3f} ({low:+.3f} to {high:+.3f})".format(**part["gap"]),
        )
        for part in parts
    ]
    how = f"Where the model is better or worse: {facts['primary_metric']} in each slice of at least"
    corrected = f" {least}; intervals are corrected for their number, {len(parts)}."
    header = ("slice", "rows", "value", "better (+) or worse (-) than the whole")
    return [Text(how + corrected), *fold(header, rows, 8, "slices")]


def _read(paths: Paths, name: str) -> Mapping[str, Any]:
    """Facts of an optional verb; empty if it was not run."""
    place = paths.reports / f"{name}.json"
    facts: dict[str, Any] = read_report(place) if place.exists() else {}
    return facts


def _limits(bundle: Bundle, told: Mapping[str, str]) -> list[str]:
    pii = ", ".join(column.name for column in bundle.contract.pii)
    seen, threshold = bundle.metadata.seen_until, bundle.metadata.threshold
    end = seen[:10] if seen else "its data end"
    persons = (
        f"Columns that were recognized as being about persons: {pii}. They are left out of logs. "
        "Others may be about persons, too; review the contract."
        if pii
        else "No column was recognized as being about a person; some may be all the same, and an "
        "answer may touch somebody (work, money, health). Review the contract."
    )
    limits = [
        told.get("limitations", ""),
        f"The training data end at {end}; the model knows of no later change.",
        persons,
        "In some slices the model performs worse; see the section on performance by slice.",
    ]
    if threshold is not None:
        limits.append(
            f"Decision threshold: positive from a probability of {threshold:.3f}, the cheapest one "
            "on the validation window at the stated costs of the two errors."
        )
    return limits


def _curves(paths: Paths) -> list[Curve]:
    found = []
    for name, (title, diagonal) in _CURVES.items():
        file = paths.plots / f"{name}.csv"
        if file.exists():
            points = pd.read_csv(file)
            across, up = (str(column).replace("_", " ") for column in points.columns)
            pairs = list(zip(points.iloc[:, 0], points.iloc[:, 1], strict=True))
            found.append(Curve(title, across, up, pairs, diagonal))
    return found


def _metadata(bundle: Bundle, facts: Mapping[str, Any], banner: str = "") -> str:
    task = {"type": _TASKS[bundle.metadata.task][0]}
    values = [{"type": n, "value": found["value"]} for n, found in facts["metrics"].items()]
    name = _Quoted(printable(bundle.metadata.name))
    data = {"name": name, "type": name, "split": "test"}
    document = {
        "library_name": "onnx",
        "pipeline_tag": task["type"],
        "tags": ["tabular", "onnx"],
        "metrics": list(facts["metrics"]),
        "model-index": [
            {
                "name": name,
                "results": [{"task": task, "dataset": data, "metrics": values}],
            }
        ],
    }
    front = yaml.dump(document, Dumper=_FrontMatter, sort_keys=False)
    heading = f"# {escape_markdown(bundle.metadata.name)}\n\n"
    warning = f"> **{escape_markdown(banner)}**\n\n" if banner else ""
    return f"---\n{front}---\n\n{heading}{warning}"


class _Quoted(str):
    """A user-chosen name, quoted in front matter."""

    __slots__ = ()


class _FrontMatter(yaml.SafeDumper):
    """YAML dumper of the model card's front matter."""


_FrontMatter.add_representer(
    _Quoted, lambda dumper, name: dumper.represent_scalar("tag:yaml.org,2002:str", name, style='"')
)


def _spell(window: Mapping[str, Any]) -> str:
    """Period of a window's rows, if they have a time."""
    return f" from {window['from'][:10]} to {window['until'][:10]}" if "from" in window else ""
