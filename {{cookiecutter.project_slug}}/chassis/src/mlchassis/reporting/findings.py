"""Report sections on errors, groups of people, permutation importance and versions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlchassis.evaluation.gates.gates import name_rows
from mlchassis.html.rendering import Bars, Block, Section, Table, Text, spell_number

_MOST_GAPS = 8


def spell_interval(found: Mapping[str, float]) -> str:
    """A value and its range."""
    value, low, high = (spell_number(found[end]) for end in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def describe_errors(facts: Mapping[str, Any]) -> Iterator[Section]:
    """Confusion matrix; nothing for regression."""
    found = facts["decision"]
    if not found:
        return
    classes, counts = found["classes"], found["confusion"]
    shares = found["shares"] or [[None] * len(classes)] * len(classes)
    rows = [
        (f"is {name}", *(_spell_cell(*cell) for cell in zip(line, spread, strict=True)))
        for name, line, spread in zip(classes, counts, shares, strict=True)
    ]
    yield Section(
        "Confusion matrix",
        [
            Text(
                "Rows by true and predicted class, with the share of the true class. Correct "
                "predictions lie on the diagonal from the upper left to the lower right."
            ),
            Table(("", *(f"predicted {name}" for name in classes)), rows),
            Table(
                ("measure", "value"),
                [(name, spell_interval(value)) for name, value in found["measured"].items()],
            ),
        ],
    )


def describe_groups(facts: Mapping[str, Any]) -> Iterator[Section]:
    """Fairness by group; nothing if no column is sensitive."""
    found = facts.get("fairness")
    if not found:
        return
    gaps = sorted(found["gaps"], key=lambda gap: -gap["gap"]["low"])
    rows = [
        (
            gap["measure"],
            *(
                f"{name_rows(group['where'])}: {group['value']:.3f} ({group['rows']:,} rows)"
                for group in gap["groups"]
            ),
            spell_interval(gap["gap"]),
        )
        for gap in gaps
    ]
    header = ("measure", "higher", "lower", "gap")
    flips = [
        Text(
            f"{flip['share']['value']:.1%} of {flip['rows']:,} rows get another answer when "
            f"{flip['column']} alone is changed."
        )
        for flip in found["flips"]
    ]
    yield Section(
        "Fairness",
        [
            Text(
                f"Differences in treatment between any two groups by "
                f"{', '.join(found['columns'])} with at least {found['min_rows']:,} rows, the "
                f"largest first; the intervals are corrected for their number, {len(gaps)}."
            ),
            *fold(header, rows, _MOST_GAPS, "gaps"),
            *flips,
        ],
    )


def describe_worth(study: Mapping[str, Any], data_hash: str) -> Iterator[Section]:
    """Permutation importance, if `make study` measured it on the same rows."""
    if study.get("data_hash") != data_hash or "worth" not in study:
        return
    found = study["worth"]
    rows = [
        (
            part["column"],
            spell_interval(part["worth"]),
            "yes" if part["shown"] else "no",
            "" if part["missing"] is None else f"{part['missing']:.1%}",
            "" if part["microseconds"] is None else f"{part['microseconds']:.2f}",
        )
        for part in found
    ]
    bars = [
        (part["column"], max(0.0, worth := part["worth"]["value"]), f"{worth:.4f}")
        for part in found
    ]
    header = ("column", "importance", "significant", "empty", "µs a row")
    yield Section(
        "Permutation importance",
        [
            Text(
                "How much worse the model becomes when a column's values are shuffled among the "
                "rows. Correlated columns share their importance; (noise) is a random column, for "
                "comparison."
            ),
            Bars("Importance of each column", bars),
            Table(header, rows, "with intervals, and the cost of each column"),
        ],
    )


def describe_rival(comparison: Mapping[str, Any], digest: str) -> Iterator[Section]:
    """The model beside another version, where `make compare` put this one there."""
    if comparison.get("b", {}).get("digest") != digest:
        return
    a, b = (f"version {comparison[side]['version']}" for side in "ab")
    metrics = [
        (
            name,
            *(spell_number(found[side]["value"]) for side in "ab"),
            spell_interval(found["gain"]),
        )
        for name, found in comparison["metrics"].items()
    ]
    churn, better = comparison["churn"], "better (+) or worse (-) by"
    changes = "".join(
        f" From {change['from']} to {change['to']}: {change['rows']:,}."
        for change in churn["changes"]
    )
    yield Section(
        f"Comparison with {a}",
        [
            Text(
                f"This is {b}; both answered {comparison['rows']:,} test rows that neither has "
                f"seen. {churn['rows']:,} of them ({churn['share']:.1%}) get another answer."
                f"{changes} Scores move by {spell_number(churn['mean_move'])} on average."
            ),
            Table(("metric", a, b, better), metrics),
        ],
    )


def _spell_cell(count: int, spread: Mapping[str, float] | None) -> str:
    if spread is None:
        return f"{count:,}"
    return f"{count:,}: " + "{value:.1%} ({low:.1%} to {high:.1%})".format(**spread)


def fold(header: Sequence[str], rows: Sequence[Sequence[str]], most: int, what: str) -> list[Block]:
    """A table, and what is beyond its first rows in another one that is folded."""
    rest = rows[most:]
    folded = [Table(header, rest, f"the other {len(rest)} {what}")] if rest else []
    return [Table(header, rows[:most]), *folded] if rows else []
