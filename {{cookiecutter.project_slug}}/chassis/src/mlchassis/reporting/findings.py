"""Report sections on errors, groups of people, permutation importance and versions."""

from collections.abc import Iterator, Sequence

from mlchassis.evaluation.results import Disparity, Evaluation, MeasuredInterval
from mlchassis.evaluation.slices import name_rows
from mlchassis.formatting import IntervalLike, format_number, spell_number
from mlchassis.html.blocks import Bars, Block, Section, Table, Text
from mlchassis.studies.results import ColumnImportance, StudyReport, VersionComparison

_SHOWN_DISPARITIES = 8
_MEANINGS = {
    "precision": "proportion of the positive predictions that are right",
    "recall": "proportion of the positive rows that are found",
    "cost": "mean cost of the errors of a row, at train.cost_false_positive and "
    "train.cost_false_negative; smaller is better",
}


def spell_interval(interval: IntervalLike) -> str:
    """Return a value and its range."""
    low = spell_number(interval.low)
    high = spell_number(interval.high)
    return f"{spell_number(interval.value)} ({low} to {high})"


def describe_errors(evaluation: Evaluation) -> Iterator[Section]:
    """Confusion matrix; nothing for regression."""
    decision = evaluation.decision
    if decision is None:
        return
    classes = decision.classes
    proportions = decision.proportions or [[None] * len(classes)] * len(classes)
    rows = [
        (f"is {name}", *(_spell_cell(*cell) for cell in zip(counts, row, strict=True)))
        for name, counts, row in zip(classes, decision.confusion, proportions, strict=True)
    ]
    yield Section(
        "Confusion matrix",
        [
            Text(
                "Rows by true and predicted class, with the proportion of the true class. Correct "
                "predictions lie on the diagonal from the upper left to the lower right."
            ),
            Table(("", *(f"predicted {name}" for name in classes)), rows),
            Table(
                ("measure", "value", "meaning"),
                [
                    (name, spell_interval(value), _MEANINGS.get(name, ""))
                    for name, value in decision.measured.items()
                ],
            ),
        ],
    )


def describe_groups(evaluation: Evaluation) -> Iterator[Section]:
    """Fairness by group; nothing if no column is sensitive."""
    fairness = evaluation.fairness
    if fairness is None:
        return
    disparities = sorted(fairness.disparities, key=lambda each: -each.disparity.low)
    rows = [_spell_disparity(disparity) for disparity in disparities]
    header = ("measure", "higher", "lower", "disparity")
    introduction = (
        f"Differences in treatment between any two groups by {', '.join(fairness.columns)} with "
        f"at least {fairness.min_rows:,} rows, the largest first; the intervals are corrected "
        f"for their number, {len(disparities)}."
    )
    flips = [
        Text(
            f"Counterfactual flip rate: {flip.rate.value:.1%} of {flip.rows:,} rows get another "
            f"answer when {flip.column} alone is changed."
        )
        for flip in fairness.counterfactual_flips
    ]
    tables = fold(header, rows, _SHOWN_DISPARITIES, "disparities")
    yield Section("Fairness", [Text(introduction), *tables, *flips])


def _spell_disparity(disparity: Disparity) -> tuple[str, ...]:
    groups = [
        f"{name_rows(group.where)}: {group.value:.3f} ({group.rows:,} rows)"
        for group in disparity.groups
    ]
    return (disparity.measure, *groups, spell_interval(disparity.disparity))


def describe_importance(
    study: StudyReport | None, data_hash: str, metric: str
) -> Iterator[Section]:
    """Permutation importance, if `make study` measured it on the same rows."""
    if study is None or study.data_hash != data_hash or study.permutation_importance is None:
        return
    columns = study.permutation_importance
    header = ("column", "importance", "significant", "empty", "µs a row")
    rows = [_spell_importance(column) for column in columns]
    yield Section(
        "Permutation importance",
        [
            Text(
                f"How much worse {metric} becomes on the validation split when a column's values "
                "are shuffled among the rows. Correlated columns share their importance; (noise) "
                "is a random column, for comparison."
            ),
            Bars("Importance of each column", [_draw_importance(column) for column in columns]),
            Table(header, rows, "with intervals, and the cost of each column"),
        ],
    )


def _spell_importance(column: ColumnImportance) -> tuple[str, ...]:
    return (
        column.column,
        spell_interval(column.importance),
        "yes" if column.shown else "no",
        "" if column.missing is None else f"{column.missing:.1%}",
        "" if column.microseconds is None else f"{column.microseconds:.2f}",
    )


def _draw_importance(column: ColumnImportance) -> tuple[str, float, str]:
    """Return label, length and text of a bar; a negative importance has no length."""
    importance = column.importance.value
    return column.column, max(0.0, importance), format_number(importance)


def describe_comparison(comparison: VersionComparison | None, digest: str) -> Iterator[Section]:
    """The model beside another version, where `make compare` put this one there."""
    if comparison is None or comparison.b.digest != digest:
        return
    a = f"version {comparison.a.version}"
    b = f"version {comparison.b.version}"
    metrics = [
        (
            name,
            spell_number(pair.a.value),
            spell_number(pair.b.value),
            spell_interval(pair.gain),
        )
        for name, pair in comparison.metrics.items()
    ]
    churn = comparison.churn
    changes = "".join(
        f" From {change.before} to {change.after}: {change.rows:,}." for change in churn.changes
    )
    yield Section(
        f"Comparison with {a}",
        [
            Text(
                f"This is {b}; both answered {comparison.rows:,} test rows that neither has "
                f"seen. {churn.rows:,} of them ({churn.proportion:.1%}) get another answer."
                f"{changes} Scores move by {spell_number(churn.mean_move)} on average."
            ),
            Table(("metric", a, b, "better (+) or worse (-) by"), metrics),
        ],
    )


def _spell_cell(count: int, proportion: MeasuredInterval | None) -> str:
    if proportion is None:
        return f"{count:,}"
    return f"{count:,}: {proportion.value:.1%} ({proportion.low:.1%} to {proportion.high:.1%})"


def fold(header: Sequence[str], rows: Sequence[Sequence[str]], most: int, what: str) -> list[Block]:
    """A table, and what is beyond its first rows in another one that is folded."""
    rest = rows[most:]
    folded = [Table(header, rest, f"the other {len(rest)} {what}")] if rest else []
    return [Table(header, rows[:most]), *folded] if rows else []
