"""The data report: one HTML page from the statistics that `validate` writes."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from mlchassis.contract.model import Contract, class_name
from mlchassis.data.left_out import describe_left_out
from mlchassis.files import replacing
from mlchassis.html.rendering import Bars, Lead, Section, Table, Text, render_page

_MOST_CLASSES = 5


def write_data_page(path: Path, contract: Contract, facts: Mapping[str, Any], trouble: str) -> None:
    """Writes the page.

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
    with replacing(path) as scratch:
        scratch.write_text(page, encoding="utf-8")


def _lead(contract: Contract, facts: Mapping[str, Any], trouble: str) -> Lead:
    months = facts["months"]
    kept = facts["accepted"] / max(facts["rows"], 1)
    labelled = _average(months, "labelled")
    tiles = [
        (f"{facts['rows']:,}", f"rows have arrived{_spell_months(list(months))}"),
        (
            f"{_of_100(kept)} of 100",
            f"satisfy the contract; {facts['quarantined']:,} are in quarantine",
        ),
        (f"{_of_100(labelled)} of 100", "have a known outcome (label)"),
        *_tell_target(contract, months),
        (f"{_of_100(_average(months, 'missing'))} of 100", _tell_missing(facts["columns"], months)),
    ]
    verdict = "Validation failed: no training" if trouble else "Validation passed"
    return Lead(
        f"{contract.name}: the data",
        verdict,
        not trouble,
        [*([trouble] if trouble else []), contract.description],
        tiles,
    )


def _describe(contract: Contract, facts: Mapping[str, Any]) -> Iterator[Section]:
    months = facts["months"]
    columns = facts["columns"]
    several = len(months) > 1
    yield Section("Rows by month" if several else "Rows", list(_month_bars(contract, months)))
    yield Section("Quarantine, duplicates and abrupt shifts", list(_tell_broken(facts)))
    yield from describe_left_out(contract)
    yield Section(
        "Distributions",
        [
            Text("Share of each value or range of values; of many categories the most common."),
            *(
                Bars(n, _value_bars(found), _describe_column(found, months))
                for n, found in columns.items()
            ),
        ],
    )
    yield Section(
        "Columns by month" if several else "Columns",
        [
            Text("Median of numbers, share of the most common category, and share of empty cells."),
            Table(("column", *months), [_months(n, found) for n, found in columns.items()]),
        ],
    )


def _month_bars(contract: Contract, months: Mapping[str, Mapping[str, Any]]) -> Iterator[Bars]:
    """Charts by month, the outcome's first."""
    name = contract.target.name
    if contract.classes:
        form = ".1%"
        title = f"Share of {name}: {class_name(contract.classes[-1])}"
    else:
        form = ".4g"
        title = f"Mean of {name}"
    yield from _bars(months, "target_mean", title, form)
    yield from _share_bars(name, months)
    yield from _bars(months, "rows", "Rows", ",")
    yield from _bars(months, "labelled", "With a known outcome", ".1%")
    yield from _bars(months, "missing", "Empty cells", ".1%")


def _bars(
    months: Mapping[str, Mapping[str, Any]], fact: str, title: str, form: str
) -> Iterator[Bars]:
    told = {month: found[fact] for month, found in months.items() if fact in found}
    if told:
        yield Bars(title, [(month, value, f"{value:{form}}") for month, value in told.items()])


def _share_bars(name: str, months: Mapping[str, Mapping[str, Any]]) -> Iterator[Bars]:
    """A chart for each of the commonest classes."""
    told = {m: found["target_shares"] for m, found in months.items() if "target_shares" in found}
    sums: dict[str, float] = {}
    for shares in told.values():
        for label, share in shares.items():
            sums[label] = sums.get(label, 0.0) + share
    for label in sorted(sums, key=lambda label: -sums[label])[:_MOST_CLASSES]:
        bars = [(month, shares[label], f"{shares[label]:.1%}") for month, shares in told.items()]
        yield Bars(f"Share of {name}: {label}", bars)


def _tell_broken(facts: Mapping[str, Any]) -> Iterator[Text | Table]:
    if facts["quarantined"]:
        yield Text("Rows that violate the contract are in data/quarantine, each with its reason.")
        reasons = [(reason, f"{count:,}") for reason, count in facts["reasons"].items()]
        yield Table(("violated rule", "rows"), reasons)
    else:
        yield Text("Every row satisfies the contract: none is in quarantine.")
    if facts["doubled"]:
        yield Text(f"{facts['doubled']:,} rows equal an earlier one in every column.")
    if len(facts["months"]) < 2:
        return
    if facts["steps"]:
        yield Text("From one month to the next these columns change abruptly:")
        yield Table(("abrupt shift",), [(step,) for step in facts["steps"]])
    known = facts.get("known_steps", [])
    if known:
        yield Text("These abrupt shifts are accepted (validate.known_steps in params.yaml):")
        yield Table(("abrupt shift",), [(step,) for step in known])
    if not facts["steps"] and not known:
        yield Text("No column changes abruptly from one month to the next.")


def _value_bars(found: Mapping[str, Any]) -> list[tuple[str, float, str]]:
    if "edges" in found:
        ends = [f"{e:.3g}" if abs(e) < 1000 else f"{e:.0f}" for e in found["edges"]]
        between = [f"{low} to {high}" for low, high in pairwise(ends)]
        labels = [f"up to {ends[0]}", *between, f"above {ends[-1]}"]
        # Close edges may be rounded to equal labels.
        return [(n, s, f"{s:.1%}") for n, s in zip(labels, found["shares"], strict=True)]
    return [(word, share, f"{share:.1%}") for word, share in found.get("values", {}).items()]


def _describe_column(found: Mapping[str, Any], months: Mapping[str, Mapping[str, float]]) -> str:
    gaps = _measure_gaps(found, months)
    rest = found.get("distinct", 0) - len(found.get("values", {}))
    said = [
        found["description"],
        f"empty in {gaps:.1%} of the rows" if gaps else "",
        f"{rest:,} more values" if rest > 0 else "",
    ]
    return "; ".join(filter(None, said))


def _measure_gaps(found: Mapping[str, Any], months: Mapping[str, Mapping[str, float]]) -> float:
    """Share of all rows in which a column is empty: each month weighs by its rows."""
    weights = {month: months[month]["rows"] for month in found["missing"] if month in months}
    empty = sum(weights[month] * found["missing"][month] for month in weights)
    return float(empty / max(sum(weights.values()), 1))


def _months(name: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    typical = found.get("typical", {})
    form = ".1%" if "values" in found else ".4g"
    cells = []
    for month, gaps in found["missing"].items():
        value = typical.get(month)
        said = ("" if value is None else f"{value:{form}}", f"({gaps:.1%} empty)" if gaps else "")
        cells.append(" ".join(filter(None, said)))
    return (f"{name}: {found['commonest']}" if "values" in found else name, *cells)


def _tell_target(
    contract: Contract, months: Mapping[str, Mapping[str, float]]
) -> list[tuple[str, str]]:
    """Of a yes or no how often it is a yes; other targets have a unit or names of their own."""
    if contract.target.kind != "boolean" or not any("target_mean" in m for m in months.values()):
        return []
    share = _average(months, "target_mean")
    about = f" ({contract.target.description})" if contract.target.description else ""
    return [(f"{_of_100(share)} of 100", f"of those are '{contract.target.name}'{about}")]


def _tell_missing(
    columns: Mapping[str, Mapping[str, Any]], months: Mapping[str, Mapping[str, float]]
) -> str:
    gaps = {name: _measure_gaps(found, months) for name, found in columns.items()}
    most = max(gaps, key=lambda name: gaps[name], default="")
    return f"cells are empty, most of them in {most}" if most and gaps[most] else "cells are empty"


def _average(months: Mapping[str, Mapping[str, float]], fact: str) -> float:
    """Of all rows: each month weighs by its rows."""
    told = [(found["rows"], found[fact]) for found in months.values() if fact in found]
    rows = sum(count for count, _ in told)
    return sum(count * share for count, share in told) / rows if rows else 0.0


def _of_100(share: float) -> str:
    """Never rounded up to all, nor down to nothing."""
    for digits in range(3):
        shown = f"{100 * share:.{digits}f}"
        if 0 < float(shown) < 100 or share in (0.0, 1.0):
            return shown
    return f"{100 * share:.5g}"


def _spell_months(months: Sequence[str]) -> str:
    return f" from {months[0]} to {months[-1]}" if len(months) > 1 else ""
