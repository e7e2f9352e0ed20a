"""Tables of a simulation for the terminal and in Markdown."""

from collections.abc import Iterator, Sequence

from mlchassis.formatting import format_number
from mlchassis.html.blocks import Section, Table, Text
from mlchassis.html.rendering import render_markdown
from mlchassis.simulation.results import FaultResult, RetrainingResult, Simulation, WindowResult

_HEADER = (
    "window",
    "model",
    "answered",
    "wrong",
    "champion",
    "never retrained",
    "fresh",
    "monitor",
    "drift",
)


_FAULT_HEADER = (
    "fault",
    "switched on",
    "noticed",
    "first signal",
    "answered until then",
    "wrong",
    "wrong without the fault",
)


def list_lines(result: Simulation) -> Iterator[str]:
    """Yield the table for the terminal, line by line."""
    rows = [_HEADER, *map(_spell_window, result.windows)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEADER))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()
    for retraining in result.retrainings:
        yield _spell_retraining(retraining)
    for fault in result.faults:
        yield _spell_fault(fault)


def render_table(result: Simulation) -> str:
    """Return the tables in Markdown."""
    explanation = (
        f"The first model saw the months up to {result.start}. Up to {result.rows_per_day} rows a "
        f"day were scored, labels arrived after {result.label_delay_days} days. Columns 5 to 7: "
        f"{result.metric} on the same rows; {_spell_direction(result)}."
    )
    retrainings = [(r.day, r.as_of, r.outcome, r.sentence) for r in result.retrainings]
    faults = [_list_fault(fault) for fault in result.faults]
    reasons = [(w.end, w.status, w.sentence) for w in result.windows]
    return render_markdown(
        [
            Section(
                f"{result.name}: simulation",
                [Text(explanation), Table(_HEADER, list(map(_spell_window, result.windows)))],
            ),
            Section(
                "Retrainings", [Table(("day", "data up to", "outcome", "result"), retrainings)]
            ),
            *([Section("Faults", [Table(_FAULT_HEADER, faults)])] if faults else []),
            Section("Monitor", [Table(("day", "status", "reason"), reasons)]),
        ]
    )


def _spell_direction(result: Simulation) -> str:
    return "larger is better" if result.higher_is_better else "smaller is better"


def _spell_window(window: WindowResult) -> Sequence[str]:
    requests = window.requests
    scores = window.scores
    return (
        f"{window.start} to {window.end}",
        ", ".join(window.versions) or "none",
        f"{requests.answered:,} of {requests.sent:,}",
        f"{requests.wrong:,}",
        _spell(scores.champion),
        _spell(scores.never_retrained),
        _spell(scores.fresh),
        window.status,
        ", ".join(window.drifting),
    )


def _spell_retraining(retraining: RetrainingResult) -> str:
    return f"{retraining.day}: retrain up to {retraining.as_of}: {retraining.sentence}"


def _list_fault(fault: FaultResult) -> Sequence[str]:
    return (
        f"{fault.name} of {fault.column}" if fault.column else fault.name,
        fault.day,
        fault.noticed or "never",
        fault.signal,
        f"{fault.answered:,}",
        f"{fault.wrong:,}",
        f"{fault.wrong_without_faults:,}",
    )


def _spell_fault(fault: FaultResult) -> str:
    name, day, noticed, signal, answered, wrong, without = _list_fault(fault)
    counts = f"{answered} answers until then, {wrong} wrong ({without} without the fault)"
    return f"{name}, switched on {day}: noticed {noticed}: {signal or 'no signal'}; {counts}"


def _spell(value: float | None) -> str:
    return "" if value is None else format_number(value)
