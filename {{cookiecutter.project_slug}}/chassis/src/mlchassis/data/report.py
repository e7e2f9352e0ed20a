"""The data report: one HTML page from the statistics that `validate` writes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from mlchassis.contract.model import Contract, class_name
from mlchassis.data.left_out import describe_left_out
from mlchassis.data.results.validation import (
    CategoryFacts,
    ColumnFacts,
    MonthFacts,
    NumberFacts,
    ValidationReport,
)
from mlchassis.files import write_text
from mlchassis.html.blocks import Bars, Lead, Section, Table, Text
from mlchassis.html.rendering import render_page

_MAX_CLASSES = 5

_Fact = Callable[[MonthFacts], float | None]
"""A fact of a month; None where it is not known."""


def write_data_page(path: Path, contract: Contract, facts: ValidationReport, trouble: str) -> None:
    """Write the page.

    Args:
        path: Output file.
        contract: Contract of the rows.
        facts: Statistics that `validate` wrote.
        trouble: Why it stopped: a sentence; empty where it did not.
    """
    page = render_page(
        f"{contract.name}: data report",
        _lead(contract, facts, trouble),
        list(_describe(contract, facts)),
    )
    write_text(path, page)


def _lead(contract: Contract, facts: ValidationReport, trouble: str) -> Lead:
    months = facts.months
    kept = facts.accepted / max(facts.rows, 1)
    labeled = _average(months, lambda month: month.labeled)
    missing = _average(months, lambda month: month.missing)
    quarantined = facts.quarantined
    tiles = [
        (f"{facts.rows:,}", f"rows have arrived{_spell_months(list(months))}"),
        (
            f"Valid {_of_100(kept)}%",
            f"of 100 rows, {_of_100(kept)} satisfy the contract; {quarantined:,} are in quarantine",
        ),
        (
            f"Labeled {_of_100(labeled)}%",
            f"of 100 rows, {_of_100(labeled)} have a known outcome (label)",
        ),
        *_describe_target(contract, months),
        (f"Missing {_of_100(missing)}%", _describe_missing(missing, facts.columns, months)),
    ]
    verdict = "Validation failed: no training" if trouble else "Validation passed"
    return Lead(
        f"{contract.name}: the data",
        verdict,
        not trouble,
        [*([trouble] if trouble else []), contract.description],
        tiles,
    )


def _describe(contract: Contract, facts: ValidationReport) -> Iterator[Section]:
    months = facts.months
    columns = facts.columns
    several = len(months) > 1
    yield Section("Rows by month" if several else "Rows", list(_month_bars(contract, months)))
    yield Section("Quarantine, duplicates and abrupt shifts", list(_describe_invalid(facts)))
    yield from describe_left_out(contract)
    yield Section(
        "Distributions",
        [
            Text(
                "Proportion of each value or range of values; of many categories the most common."
            ),
            *(
                Bars(n, _value_bars(column), _describe_column(column, months))
                for n, column in columns.items()
            ),
        ],
    )
    yield Section(
        "Columns by month" if several else "Columns",
        [
            Text("Median of numbers, proportion of the most common category, and of empty cells."),
            Table(("column", *months), [_months(n, column) for n, column in columns.items()]),
        ],
    )


def _month_bars(contract: Contract, months: Mapping[str, MonthFacts]) -> Iterator[Bars]:
    """Yield charts by month, the outcome's first."""
    name = contract.target.name
    if contract.classes:
        form = ".1%"
        title = f"Proportion of {name}: {class_name(contract.classes[-1])}"
    else:
        form = ".4g"
        title = f"Mean of {name}"
    yield from _bars(months, lambda month: month.target_mean, title, form)
    yield from _proportion_bars(name, months)
    yield from _bars(months, lambda month: month.rows, "Rows", ",")
    yield from _bars(months, lambda month: month.labeled, "With a known outcome", ".1%")
    yield from _bars(months, lambda month: month.missing, "Empty cells", ".1%")


def _bars(months: Mapping[str, MonthFacts], read: _Fact, title: str, form: str) -> Iterator[Bars]:
    values = [(month, read(facts)) for month, facts in months.items()]
    bars = [(month, value, f"{value:{form}}") for month, value in values if value is not None]
    if bars:
        yield Bars(title, bars)


def _proportion_bars(name: str, months: Mapping[str, MonthFacts]) -> Iterator[Bars]:
    """Yield a chart for each of the commonest classes."""
    by_month = {
        month: facts.target_proportions
        for month, facts in months.items()
        if facts.target_proportions is not None
    }
    sums: dict[str, float] = {}
    for proportions in by_month.values():
        for label, proportion in proportions.items():
            sums[label] = sums.get(label, 0.0) + proportion
    for label in sorted(sums, key=lambda label: -sums[label])[:_MAX_CLASSES]:
        bars = [
            (month, proportions[label], f"{proportions[label]:.1%}")
            for month, proportions in by_month.items()
        ]
        yield Bars(f"Proportion of {name}: {label}", bars)


def _describe_invalid(facts: ValidationReport) -> Iterator[Text | Table]:
    if facts.quarantined:
        yield Text("Rows that violate the contract are in data/quarantine, each with its reason.")
        reasons = [(reason, f"{count:,}") for reason, count in facts.reasons.items()]
        yield Table(("violated rule", "rows"), reasons)
    else:
        yield Text("Every row satisfies the contract: none is in quarantine.")
    if facts.duplicates:
        yield Text(f"{facts.duplicates:,} rows equal an earlier one in every column.")
    if len(facts.months) < 2:
        return
    if facts.shifts:
        yield Text("From one month to the next these columns change abruptly:")
        yield Table(("abrupt shift",), [(shift,) for shift in facts.shifts])
    if facts.accepted_shifts:
        yield Text("These abrupt shifts are accepted (validate.accepted_shifts in params.yaml):")
        yield Table(("abrupt shift",), [(shift,) for shift in facts.accepted_shifts])
    if not facts.shifts and not facts.accepted_shifts:
        yield Text("No column changes abruptly from one month to the next.")


def _value_bars(column: ColumnFacts) -> list[tuple[str, float, str]]:
    if isinstance(column, NumberFacts):
        ends = [f"{e:.3g}" if abs(e) < 1000 else f"{e:.0f}" for e in column.edges]
        between = [f"{low} to {high}" for low, high in pairwise(ends)]
        labels = [f"up to {ends[0]}", *between, f"above {ends[-1]}"]
        # Close edges may be rounded to equal labels.
        return [(n, s, f"{s:.1%}") for n, s in zip(labels, column.proportions, strict=True)]
    if not isinstance(column, CategoryFacts):
        return []
    return [(value, share, f"{share:.1%}") for value, share in column.values.items()]


def _describe_column(column: ColumnFacts, months: Mapping[str, MonthFacts]) -> str:
    gaps = _measure_gaps(column, months)
    rest = column.distinct - len(column.values) if isinstance(column, CategoryFacts) else 0
    parts = [
        column.description,
        f"empty in {gaps:.1%} of the rows" if gaps else "",
        f"{rest:,} more values" if rest > 0 else "",
    ]
    return "; ".join(filter(None, parts))


def _measure_gaps(column: ColumnFacts, months: Mapping[str, MonthFacts]) -> float:
    """Proportion of all rows in which a column is empty: each month weighs by its rows."""
    weights = {month: months[month].rows for month in column.missing if month in months}
    empty = sum(weights[month] * column.missing[month] for month in weights)
    return float(empty / max(sum(weights.values()), 1))


def _months(name: str, column: ColumnFacts) -> tuple[str, ...]:
    typical = column.typical if isinstance(column, NumberFacts | CategoryFacts) else {}
    form = ".1%" if isinstance(column, CategoryFacts) else ".4g"
    cells = []
    for month, gaps in column.missing.items():
        value = typical.get(month)
        parts = ("" if value is None else f"{value:{form}}", f"({gaps:.1%} empty)" if gaps else "")
        cells.append(" ".join(filter(None, parts)))
    title = f"{name}: {column.commonest}" if isinstance(column, CategoryFacts) else name
    return (title, *cells)


def _describe_target(contract: Contract, months: Mapping[str, MonthFacts]) -> list[tuple[str, str]]:
    """Describe the proportion of `true`; other targets have a unit or names of their own."""
    labeled = any(month.target_mean is not None for month in months.values())
    if contract.target.kind != "boolean" or not labeled:
        return []
    # The newest months may hold many rows and few labels.
    proportion = _average(months, lambda month: month.target_mean, _count_labeled)
    about = f" ({contract.target.description})" if contract.target.description else ""
    meaning = f"of 100 labeled rows, {_of_100(proportion)} are '{contract.target.name}'{about}"
    return [(f"Base rate {_of_100(proportion)}%", meaning)]


def _describe_missing(
    proportion: float,
    columns: Mapping[str, ColumnFacts],
    months: Mapping[str, MonthFacts],
) -> str:
    gaps = {name: _measure_gaps(column, months) for name, column in columns.items()}
    most = max(gaps, key=lambda name: gaps[name], default="")
    where = f", most of them in {most}" if most and gaps[most] else ""
    return f"of 100 cells, {_of_100(proportion)} are empty{where}"


def _count_rows(facts: MonthFacts) -> float:
    return facts.rows


def _count_labeled(facts: MonthFacts) -> float:
    return facts.rows * facts.labeled


def _average(
    months: Mapping[str, MonthFacts],
    read: _Fact,
    weigh: Callable[[MonthFacts], float] = _count_rows,
) -> float:
    """Average a fact over all rows: each month weighs by its rows, or as `weigh` returns."""
    values = [(weigh(facts), read(facts)) for facts in months.values()]
    weighted = [(count, value) for count, value in values if value is not None]
    rows = sum(count for count, _ in weighted)
    return sum(count * value for count, value in weighted) / rows if rows else 0.0


def _of_100(proportion: float) -> str:
    """Spell a proportion of 100, never rounded up to all nor down to zero."""
    for digits in range(3):
        shown = f"{100 * proportion:.{digits}f}"
        if 0 < float(shown) < 100 or proportion in (0.0, 1.0):
            return shown
    return f"{100 * proportion:.5g}"


def _spell_months(months: Sequence[str]) -> str:
    return f" from {months[0]} to {months[-1]}" if len(months) > 1 else ""
