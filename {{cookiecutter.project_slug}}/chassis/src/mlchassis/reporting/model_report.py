"""The model report: one HTML page, and the same facts as a model card.

The card is Mitchell et al. 2019 ("Model Cards for Model Reporting") in Markdown, with the metadata
that Hugging Face reads.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import yaml

from mlchassis.bundle.bundle import Bundle
from mlchassis.config.params import Params
from mlchassis.contract.model import Contract, Task
from mlchassis.data.left_out import describe_left_out
from mlchassis.data.results.splits import SplitFacts, SplitReport
from mlchassis.evaluation.bootstrap import spell_units
from mlchassis.evaluation.gates.judgement import Judgement
from mlchassis.evaluation.plausibility import spell_implausible
from mlchassis.evaluation.results import Evaluation, Period, SliceResult
from mlchassis.evaluation.slices import name_rows
from mlchassis.formatting import format_interval, name_metric, spell_number
from mlchassis.html.blocks import Block, Curve, Lead, Section, Table, Text
from mlchassis.html.rendering import escape_markdown, render_markdown, render_page
from mlchassis.paths import Paths
from mlchassis.printable import printable
from mlchassis.project import Workspace
from mlchassis.registry.runs import read_evaluation
from mlchassis.reporting.findings import (
    describe_comparison,
    describe_errors,
    describe_groups,
    describe_importance,
    fold,
    spell_interval,
)
from mlchassis.reporting.sections import ReportContext, insert_sections
from mlchassis.reports import load_report
from mlchassis.studies.results import StudyReport, VersionComparison
from mlchassis.workspace.integrity import describe_fork
from mlchassis.workspace.outputs import write_output

_TASKS: Mapping[Task, tuple[str, str]] = {
    "binary": ("tabular-classification", "Predicts yes or no, with a probability"),
    "multiclass": ("tabular-classification", "Predicts one of several classes, with probabilities"),
    "regression": ("tabular-regression", "Predicts a number"),
}
_MEANINGS = {
    "roc_auc": "proportion of pairs of a row of each class ranked correctly; 0.5 is guessing",
    "pr_auc": "average precision over all recalls; the proportion of positives is guessing",
    "log_loss": "penalty for wrong answers, largest if given with certainty; smaller is better",
    "brier": "mean squared error of the probability; smaller is better",
    "ece": "mean distance of probabilities from observed proportions; smaller is better",
    "accuracy": "proportion of rows whose most probable class is right",
    "rmse": "typical error in the target's own unit, large errors counting more; smaller is better",
    "mae": "mean error in the target's own unit; smaller is better",
    "r2": "proportion of the target's variance that is explained",
}
_PROPORTIONS = ("accuracy", "roc_auc")
"""Metrics whose value is a proportion of 100 cases or pairs, which a layperson understands."""
_CURVES = {
    "roc": ("ROC curve: proportion of cases found, by proportion of false alarms", True),
    "precision_recall": (
        "Precision-recall curve: proportion of correct calls, by proportion of cases found",
        False,
    ),
    "calibration": ("Calibration: of 100 cases given 30%, about 30 should come true", True),
}
_CURVES_OF_NUMBERS = {
    "calibration": ("Calibration: mean of the true numbers, by mean prediction", True),
}

_SHOWN_SLICES = 8
"""Slices above the fold."""
_LARGE_DIFFERENCE = 0.15
"""Difference of an outcome's proportion between splits that is worth a warning."""


def write_report(
    paths: Workspace, params: Params, bundle: Bundle, judgement: Judgement
) -> list[Path]:
    """Write `reports/report.html` and `reports/model_card.md` about a judged bundle.

    Raises:
        ProjectError: Facts are missing, or belong to another bundle; an own section is wrong.
    """
    evaluation = read_evaluation(paths, bundle)
    context = ReportContext(paths, params, bundle, evaluation, judgement)
    sections = insert_sections(describe(paths, params, bundle, evaluation, judgement), context)
    fork = describe_fork(paths.chassis)
    lead = replace(_lead(bundle.contract, evaluation, judgement), banner=fork)
    purpose = Section("Intended use", [Text(bundle.contract.description)])
    title = f"{bundle.metadata.name}: model report"
    contents = {
        "report.html": render_page(title, lead, sections),
        "model_card.md": _metadata(bundle, evaluation, fork)
        + render_markdown([purpose, *sections]),
    }
    for name, content in contents.items():
        write_output(paths, paths.reports / name, content)
    return [paths.reports / name for name in contents]


def describe(
    paths: Paths,
    params: Params,
    bundle: Bundle,
    evaluation: Evaluation,
    judgement: Judgement,
) -> list[tuple[str, Iterable[Section]]]:
    """Return the built-in sections in order, each with the name that own sections refer to."""
    limits = [Text(limit) for limit in _limits(bundle, evaluation.slices)]
    study = _read_study(paths)
    metric = evaluation.primary_metric
    curves = _curves(paths, evaluation.task)
    answer = [Text(_answer(bundle)), Text(bundle.contract.usage)]
    return [
        ("prediction", [Section("Prediction", answer)]),
        (
            "metrics",
            [Section("Metrics", [*_describe_metrics(params, evaluation), *curves])],
        ),
        ("errors", describe_errors(evaluation)),
        ("slices", [Section("Performance by slice", _slices(params, evaluation))]),
        ("fairness", describe_groups(evaluation)),
        ("importance", describe_importance(study, bundle.metadata.data_hash, metric)),
        ("comparison", describe_comparison(_read_comparison(paths), bundle.digest)),
        ("gates", [_describe_gates(judgement)]),
        ("data", [Section("Data", _data(SplitReport.load(paths.reports), bundle.contract))]),
        ("left_out", describe_left_out(bundle.contract)),
        ("limitations", [Section("Limitations", limits)]),
    ]


def _describe_gates(judgement: Judgement) -> Section:
    """Release gates, with the verdict of each."""
    condition = "Conditions of a release: one rejection, and the model is not served."
    rows = [
        (gate.name, gate.verdict.replace("rejected", "REJECTED"), gate.sentence)
        for gate in judgement.gates
    ]
    return Section("Release gates", [Text(condition), Table(("gate", "verdict", "finding"), rows)])


def _describe_metrics(params: Params, evaluation: Evaluation) -> list[Block]:
    models = {"this model": evaluation.metrics, **evaluation.baselines}
    meanings = _explain_metrics(evaluation)
    rows = [
        (
            _name_metric(name),
            *(spell_interval(model[name]) if name in model else "" for model in models.values()),
            meanings[name],
        )
        for name in evaluation.metrics
    ]
    introduction = (
        f"Measured on {evaluation.rows:,} rows{_spell(evaluation.test_period)}, which training did "
        f"not use. Confidence intervals of {100 * params.evaluate.confidence:.4g}% "
        f"{_spell_resampling(evaluation)}."
    )
    return [Text(introduction), Table(("metric", *models, "meaning"), rows)]


def _name_metric(metric: str) -> str:
    """Return the standard name of a metric, with its name in params.yaml where that differs."""
    name = name_metric(metric)
    return name if name.lower() == metric.lower() else f"{name} ({metric})"


def _explain_metrics(evaluation: Evaluation) -> dict[str, str]:
    """Return the meaning of each metric, those of the project among them."""
    return {**_MEANINGS, **evaluation.custom_metrics}


def _spell_resampling(evaluation: Evaluation) -> str:
    """Spell the method of the intervals, and the limits of a test split with few units."""
    method = evaluation.units.interval
    units = spell_units(evaluation.units.count, evaluation.units.unit)
    if method == "rows":
        return (
            f"by rows, since the test split holds only {units}: they say nothing about how others "
            "differ"
        )
    if method == "t":
        return f"by {units} (Student's t, since they are few: the intervals are wide)"
    return f"by bootstrap of {units}"


def _data(report: SplitReport, contract: Contract) -> list[Block]:
    splits: dict[str, SplitFacts] = dict(report.splits)
    timed = all(part.begin and part.until for part in splits.values())
    rows = [
        (name, f"{part.rows:,}", *(_days(part) if timed else ())) for name, part in splits.items()
    ]
    outcome = _spell_outcome(splits, has_classes=bool(contract.classes))
    return [
        Table(("split", "rows", *(("from", "until") if timed else ())), rows),
        *(Text(text) for text in (report.explanation, outcome) if text),
        Table(("rows", "count"), report.account.spell()),
        Text("Statistics of every column are in reports/data.html."),
    ]


def _days(part: SplitFacts) -> tuple[str, str]:
    """Return the first and the last day of a split."""
    return (part.begin or "")[:10], (part.until or "")[:10]


def _list_outcomes(splits: Mapping[str, SplitFacts]) -> dict[str, dict[str, float]]:
    """Return the proportion of each class, or the mean, by split; empty where one is not known."""
    proportions = {name: part.target_proportions for name, part in splits.items()}
    known = {name: classes for name, classes in proportions.items() if classes is not None}
    means = {n: part.target_mean for n, part in splits.items() if part.target_mean is not None}
    if len(known) == len(splits):
        labels = {label for classes in known.values() for label in classes}
        return {
            label: {name: classes.get(label, 0.0) for name, classes in known.items()}
            for label in labels
        }
    return {"": means} if len(means) == len(splits) else {}


def _spell_outcome(splits: Mapping[str, SplitFacts], *, has_classes: bool) -> str:
    """Spell the outcome in each split: "36 % in train, 80 % in test"; empty if not known."""
    outcomes = _list_outcomes(splits)
    if not outcomes:
        return ""
    spread = {
        label: max(values.values()) - min(values.values()) for label, values in outcomes.items()
    }
    label = max(sorted(spread), key=lambda name: spread[name])
    spelt = ", ".join(
        f"{f'{value:.0%}' if has_classes else spell_number(value)} in {name}"
        for name, value in outcomes[label].items()
    )
    warning = (
        " These differ much: what was learned from one may not hold in the other; see the chart of "
        "the outcome by month in reports/data.html."
        if has_classes and spread[label] > _LARGE_DIFFERENCE
        else ""
    )
    return f"The outcome{f' {label}' if label else ''}: {spelt}.{warning}"


def _lead(contract: Contract, evaluation: Evaluation, judgement: Judgement) -> Lead:
    rejected = ", ".join(gate.name for gate in judgement.rejections)
    verdict = f"Rejected by: {rejected}" if rejected else f"Approved: {judgement.summary}"
    warning = spell_implausible(evaluation.implausible)
    texts = [contract.description, *([f"Warning: {warning}."] if warning else [])]
    by_row = evaluation.units.unit == "row"
    unseen = "cases drawn at random and kept from training" if by_row else "cases it had never seen"
    tiles = [
        *_metric_tiles(contract, evaluation),
        *_decision_tiles(contract, evaluation),
        (f"{evaluation.rows:,}", f"test rows: {unseen}{_spell(evaluation.test_period)}"),
    ]
    return Lead(contract.name, verdict, not rejected, texts, tiles)


def _metric_tiles(contract: Contract, evaluation: Evaluation) -> list[tuple[str, str]]:
    """The metric that a layperson understands best: value, baseline and interval."""
    metric = _choose_metric(evaluation)
    measured = evaluation.metrics[metric]
    baseline = evaluation.baselines["prior"][metric]
    name = name_metric(metric)
    others = {"day": "days", "row": "cases"}.get(_name_resampled(evaluation), "groups")

    def spell(value: float) -> str:
        return f"{value:.3g}" if metric in _PROPORTIONS else spell_number(value)

    return [
        (f"{name} {spell(measured.value)}", _explain_metric(metric, evaluation, contract)),
        (f"{name} {spell(baseline.value)}", "baseline: the same answer for every case"),
        (
            f"{spell(measured.low)} to {spell(measured.high)}",
            f"confidence interval of {name}: the range for other {others} like those",
        ),
    ]


def _choose_metric(evaluation: Evaluation) -> str:
    """Return the primary metric, or one beside it that is a proportion of 100 cases or pairs."""
    primary = evaluation.primary_metric
    proportions = [name for name in (primary, *_PROPORTIONS) if name in _PROPORTIONS]
    return next((name for name in proportions if name in evaluation.metrics), primary)


def _name_resampled(evaluation: Evaluation) -> str:
    return "row" if evaluation.units.interval == "rows" else evaluation.units.unit


def _explain_metric(metric: str, evaluation: Evaluation, contract: Contract) -> str:
    """Spell the plain meaning of a metric's value."""
    value = evaluation.metrics[metric].value
    if metric == "accuracy":
        return f"of 100 cases it answers {100 * value:.3g} correctly"
    if metric == "roc_auc":
        ranked = f"it ranks {100 * value:.3g} correctly"
        if len(contract.classes) > 2:
            pairs = "of 100 pairs of a case of one class and a case of another"
            return f"{pairs}, {ranked}, on average over the classes"
        positive = _name_positive(contract)
        return f"of 100 pairs of a case that is '{positive}' and one that is not, {ranked}"
    return _explain_metrics(evaluation)[metric]


def _name_positive(contract: Contract) -> str:
    target = contract.target
    return target.name if target.kind == "boolean" else str(contract.classes[-1])


def _decision_tiles(contract: Contract, evaluation: Evaluation) -> list[tuple[str, str]]:
    """Recall and precision of a binary model."""
    measured = evaluation.decision.measured if evaluation.decision else {}
    if not {"recall", "precision"} <= measured.keys():
        return []
    positive = _name_positive(contract)
    recall = measured["recall"].value
    precision = measured["precision"].value
    return [
        (f"Recall {recall:.2f}", f"of 100 cases that are '{positive}' it finds {100 * recall:.0f}"),
        (
            f"Precision {precision:.2f}",
            f"of 100 cases that it calls '{positive}', {100 * precision:.0f} are",
        ),
    ]


def _answer(bundle: Bundle) -> str:
    kind = _TASKS[bundle.metadata.task][1]
    target = bundle.contract.target
    return f"{kind}: {target.name}. {target.description}".rstrip(". ") + "."


def _slices(params: Params, evaluation: Evaluation) -> list[Block]:
    parts = sorted(evaluation.slices, key=lambda part: part.difference.value)
    least = f"{params.evaluate.min_slice_rows:,} rows"
    if not parts:
        return [Text(f"No slice has {least}, so none was compared.")]
    baselines = list(dict.fromkeys(name for part in parts for name in part.baselines))
    rows = [_spell_slice(part, baselines) for part in parts]
    introduction = (
        f"{name_metric(evaluation.primary_metric)} in each slice of at least {least}, the worst "
        "first. A slice may be harder than others for any model, so the release gate compares it "
        "with the baselines on the same rows. Intervals are corrected for the number of slices, "
        f"{len(parts)}."
    )
    columns = ("all rows", *(f"baseline {name}" for name in baselines))
    header = ("slice", "rows", "value", *(f"difference from {column}" for column in columns))
    return [Text(introduction), *fold(header, rows, _SHOWN_SLICES, "slices")]


def _spell_slice(part: SliceResult, baselines: Sequence[str]) -> tuple[str, ...]:
    """Spell the cells of one slice; a positive difference is an improvement."""
    compared = [part.baselines.get(name) for name in baselines]
    return (
        name_rows(part.where),
        f"{part.rows:,}",
        spell_interval(part.value),
        format_interval(part.difference, signed=True),
        *(format_interval(each.gain, signed=True) if each else "" for each in compared),
    )


def _read_study(paths: Paths) -> StudyReport | None:
    """Return the studies, or None if none was made."""
    place = paths.reports / "study.json"
    return load_report(place, StudyReport, "make study") if place.exists() else None


def _read_comparison(paths: Paths) -> VersionComparison | None:
    """Return the comparison of two versions, or None if none was made."""
    place = paths.reports / "comparison.json"
    return load_report(place, VersionComparison, "make compare") if place.exists() else None


def _limits(bundle: Bundle, slices: Sequence[SliceResult]) -> list[str]:
    pii = ", ".join(column.name for column in bundle.contract.pii)
    seen = bundle.metadata.seen_until
    threshold = bundle.metadata.threshold
    end = (
        f"The training data end at {seen[:10]}; the model knows of no later change."
        if seen
        else "The splits are not by time, so nothing was measured on rows newer than the training "
        "data."
    )
    persons = (
        f"Columns that were recognized as being about persons: {pii}. They are left out of logs. "
        "Others may be about persons, too; review the contract."
        if pii
        else "No column was recognized as being about a person; some may be all the same, and an "
        "answer may touch somebody (work, money, health). Review the contract."
    )
    limits = [
        bundle.contract.limitations,
        end,
        persons,
        _spell_weak_slices(slices),
    ]
    if threshold is not None:
        limits.append(
            f"Decision threshold: positive from a probability of {spell_number(threshold)}, the "
            "cheapest one on the validation split at the stated costs of the two errors."
        )
    return limits


def _spell_weak_slices(slices: Sequence[SliceResult]) -> str:
    """Spell whether slices were compared, and whether one is worse than all rows."""
    if not slices:
        return "No slice was compared: in parts of the data the model may perform worse, unnoticed."
    if any(part.difference.value < 0 for part in slices):
        return "In some slices the model performs worse; see the section on performance by slice."
    return ""


def _curves(paths: Paths, task: Task) -> list[Curve]:
    curves = []
    numbers = task == "regression"
    for name, (title, diagonal) in (_CURVES_OF_NUMBERS if numbers else _CURVES).items():
        file = paths.plots / f"{name}.csv"
        if file.exists():
            points = pd.read_csv(file)
            across, up = (str(column).replace("_", " ") for column in points.columns)
            pairs = list(zip(points.iloc[:, 0], points.iloc[:, 1], strict=True))
            curves.append(Curve(title, across, up, pairs, diagonal, proportions=not numbers))
    return curves


def _metadata(bundle: Bundle, evaluation: Evaluation, banner: str = "") -> str:
    task = {"type": _TASKS[bundle.metadata.task][0]}
    values = [
        {"type": metric, "value": measured.value} for metric, measured in evaluation.metrics.items()
    ]
    name = _Quoted(printable(bundle.metadata.name))
    data = {"name": name, "type": name, "split": "test"}
    document = {
        "library_name": "onnx",
        "pipeline_tag": task["type"],
        "tags": ["tabular", "onnx"],
        "metrics": list(evaluation.metrics),
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


def _spell(period: Period) -> str:
    """Period of a split's rows, if they have a time."""
    if period.begin is None or period.until is None:
        return ""
    return f" from {period.begin[:10]} to {period.until[:10]}"
