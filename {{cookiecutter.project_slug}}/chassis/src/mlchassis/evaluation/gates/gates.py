"""The gates: functions from a context to rows of the judgement; `GATES` is the list of them.

The pessimistic end of the interval must meet the limit. Slices and groups of people are many and
small: their gates reject only if the optimistic end misses the limit.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from mlchassis.contract.compatibility import find_breaking_changes, join_changes
from mlchassis.evaluation.bootstrap import LEAST_UNITS, Interval, spell_units
from mlchassis.evaluation.gates.context import GateContext, GateResult, GateVerdict
from mlchassis.formatting import format_number


def better_than_baselines(context: GateContext) -> Iterator[GateResult]:
    """The gain over the prior is shown; the linear model is not as good as the trees."""
    metric = context.params.judge.metric
    for baseline, gains in context.facts["gains"].items():
        judge = _worth_its_complexity if baseline == "linear" else _shown_better
        yield judge(context, baseline, Interval(**gains[metric]))


def _shown_better(context: GateContext, baseline: str, gain: Interval) -> GateResult:
    """The interval of the gain lies above the limit: chance is excluded."""
    metric, limit = context.params.judge.metric, context.params.judge.min_gain
    return _on_interval(
        f"better than {baseline}",
        gain,
        limit,
        gain.low > limit,
        f"{metric} is {_signed(gain)} against the baseline '{baseline}'; the interval must lie "
        f"above {limit:g} (judge.min_gain).",
    )


def _worth_its_complexity(context: GateContext, baseline: str, gain: Interval) -> GateResult:
    """Reject trees where the linear model is better, or shown to be as good within the margin.

    On a small table neither may be shown to be better; then the better estimate is served.
    """
    metric, margin = context.params.judge.metric, context.params.judge.max_regression
    shown_better = gain.low > context.params.judge.min_gain
    # Written so that NaN, which compares false with everything, is refused.
    may_be_better = gain.value > 0 and gain.low <= gain.value and gain.high >= margin
    return _on_interval(
        f"better than {baseline}",
        gain,
        margin,
        shown_better or may_be_better,
        f"{metric} is {_signed(gain)} against the baseline '{baseline}', which is the simpler "
        f"model: it is served instead where it is better, or where the gain stays below "
        f"judge.max_regression ({margin:g}); set train.candidate.kind: linear in params.yaml then.",
    )


def not_worse_than_champion(context: GateContext) -> Iterator[GateResult]:
    """Non-inferiority: the interval of the difference does not reach beyond the margin."""
    name, champion = "not worse than champion", context.champion
    margin = context.params.judge.max_regression
    if champion is None:
        yield _without_value(name, True, "There is no champion yet to be worse than.")
    elif champion.digest == context.facts["digest"]:
        sentence = f"This bundle is the champion itself (version {champion.version})."
        yield _without_value(name, True, sentence)
    elif champion.gain is None:
        yield _without_value(name, False, champion.obstacle)
    else:
        yield _on_interval(
            name,
            champion.gain,
            -margin,
            champion.gain.low > -margin,
            f"{context.params.judge.metric} is {_signed(champion.gain)} against the champion "
            f"(version {champion.version}) on {champion.rows} rows that neither has seen; the "
            f"interval must lie above {-margin:g} (judge.max_regression).",
        )


def units_suffice(context: GateContext) -> Iterator[GateResult]:
    """Say where intervals are by rows, since the test window holds too few days."""
    found = context.facts.get("units")
    if found and found["count"] < LEAST_UNITS:
        yield _untested(
            "units",
            f"The test window holds only {spell_units(found['count'], found['unit'])}: the "
            "intervals are those of its rows and say nothing about how others differ; bring more "
            "data, or raise split.test_days in params.yaml.",
        )


def untouched(context: GateContext) -> Iterator[GateResult]:
    """Contamination: the model has not seen the test window, by its dates and by its gain there.

    A model that has learned the window by heart gains more there over a baseline than it did on
    the validation window. What is refused is what was shown to be too good to be true.
    """
    facts, share = context.facts, context.params.judge.max_surprise
    begin, seen = facts["window"].get("from"), facts["seen_until"]
    if begin and seen and datetime.fromisoformat(seen) >= datetime.fromisoformat(begin):
        sentence = f"The model has seen rows until {seen}, but its test window begins at {begin}."
        yield _without_value("contamination", False, sentence)
        return
    surprise = facts["surprise"]
    units = surprise.get("units", {"count": LEAST_UNITS, "unit": "row"})
    if units["count"] < LEAST_UNITS:
        sentence = (
            f"One of the windows valid and test holds only "
            f"{spell_units(units['count'], units['unit'])}, too few to compare the gain in both."
        )
        yield _untested("contamination", sentence)
        return
    rise = Interval(**{end: surprise[end] for end in ("value", "low", "high")})
    limit = share * max(surprise["valid_gain_over_prior"], 0.0)
    passed = rise.low <= limit
    yield _on_interval(
        "contamination", rise, limit, passed, _spell_rise(facts, rise, limit, passed)
    )


def _spell_rise(facts: Mapping[str, Any], rise: Interval, limit: float, passed: bool) -> str:
    """Spell the difference of two gains; where it is refused, with every cause that it may have."""
    found = (
        f"The gain over the baseline '{facts['surprise']['baseline']}' is {_signed(rise)} on the "
        "test window than on the validation window"
    )
    if passed:
        return f"{found}; up to {limit:.4f} is within the limit (judge.max_surprise)."
    unit = (facts.get("units") or {}).get("unit", "row")
    together = (
        "rows of one person or thing lie in several windows (set split.strategy: group and "
        "split.group), "
        if unit == "row"
        else ""
    )
    return (
        f"{found}, shown to be above {limit:.4f}. Either the model has seen rows of the test "
        f"window, or one of these holds: {together}the test window has another mix of rows, its "
        "outcome has changed (see the chart of the outcome in reports/data.html), or the "
        "validation window is too small (raise split.valid_days or split.valid_share). If that "
        "explains it, raise judge.max_surprise in params.yaml."
    )


def cheapest_threshold(context: GateContext) -> Iterator[GateResult]:
    """The threshold is the cheapest on the validation window: it was chosen on no other rows."""
    excess = (context.facts["decision"] or {}).get("excess_cost")
    if excess is not None:
        limit = context.params.judge.max_excess_cost
        sentence = (
            f"At the bundle's threshold errors cost {excess:.2%} more on the validation window "
            f"than at the cheapest one; {limit:.2%} is allowed: a threshold is chosen there, never "
            "on the test window."
        )
        yield _on_value("threshold", excess, limit, sentence)


def calibrated(context: GateContext) -> Iterator[GateResult]:
    """Probabilities mean what they say; numbers of a regression are no probabilities.

    The upper end of the interval counts. Resampling adds its own noise to a mean of absolute gaps,
    so that end errs on the strict side, and the day-to-day spread of the calibration is in it.
    """
    if "ece" not in context.facts["metrics"]:
        return
    error, limit = (
        Interval(**context.facts["metrics"]["ece"]),
        context.params.judge.max_calibration_error,
    )
    units = context.facts.get("units") or {"interval": "bootstrap"}
    if units["interval"] == "t" and error.low <= limit < error.high:
        yield _untested(
            "calibration",
            f"The expected calibration error is {error.value:.4f} ({error.low:.4f} to "
            f"{error.high:.4f}); {spell_units(units['count'], units['unit'])} are too few to tell "
            f"whether it is beyond {limit:g} (judge.max_calibration_error).",
        )
        return
    yield _on_interval(
        "calibration",
        error,
        limit,
        error.high <= limit,
        f"The expected calibration error is {error.value:.4f} ({error.low:.4f} to "
        f"{error.high:.4f}); the interval must not reach beyond {limit:g} "
        "(judge.max_calibration_error).",
    )


def no_bad_slice(context: GateContext) -> Iterator[GateResult]:
    """No slice is shown to lack more of the model's gain than is allowed.

    The intervals hold for all slices at once, and their favourable end counts: small slices are
    uncertain, and who refuses for what may be refuses every model.
    """
    slices, metric = context.facts["slices"], context.params.judge.metric
    if not slices:
        columns = context.facts.get("slice_columns", [])
        least = context.params.evaluate.min_slice_rows
        sentence = (
            f"No slice by {', '.join(columns)} has {least} rows (evaluate.min_slice_rows) and a "
            "value of the metric, so none was compared."
            if columns
            else "No column is tagged 'slice' in contract.yaml, so no slices were compared."
        )
        yield _untested("slices", sentence)
        return
    worst = min(slices, key=lambda found: found["gap"]["high"])
    gap, value = Interval(**worst["gap"]), worst["value"]["value"]
    whole = context.facts["gains"]["prior"][metric]["value"]
    limit = -context.params.judge.max_slice_gap * max(whole, 0.0)
    yield _on_interval(
        "slices",
        gap,
        limit,
        gap.high >= limit,
        f"Of {len(slices)} slices the weakest is {name_rows(worst['where'])} ({worst['rows']} "
        f"rows): {metric} is {format_number(value)}, {_signed(gap)} than the whole; the interval, "
        f"corrected for {len(slices)} slices, must reach {format_number(limit)} "
        "(judge.max_slice_gap).",
    )


def treats_groups_alike(context: GateContext) -> Iterator[GateResult]:
    """No two groups of people are shown to be treated too differently, measure by measure.

    As for slices the favourable end of intervals counts that hold for all gaps at once.
    """
    found = context.facts.get("fairness")
    if not found:
        return
    compared = {tuple(g["where"]) for gap in found["gaps"] for g in gap["groups"]}
    absent = [column for column in found["columns"] if (column,) not in compared]
    if absent:
        yield _untested(
            f"groups by {', '.join(absent)}",
            f"No two groups by {' or '.join(absent)} have {found['min_rows']} rows each, so they "
            "were not compared; bring more rows of them, or lower evaluate.min_slice_rows.",
        )
    for kind, limit in context.params.judge.max_group_gap:
        gaps = [gap for gap in found["gaps"] if gap["kind"] == kind]
        if not gaps and found["gaps"] and context.facts.get("decision"):
            yield _untested(
                f"groups: {kind.replace('_', ' ')}",
                "No two groups have enough rows for which the answer is true to be compared.",
            )
        if gaps:
            worst = max(gaps, key=lambda gap: gap["gap"]["low"])
            gap, (one, other) = Interval(**worst["gap"]), map(_name_group, worst["groups"])
            yield _on_interval(
                f"groups: {kind.replace('_', ' ')}",
                gap,
                limit,
                gap.low <= limit,
                f"The {worst['measure']} differs most between {one} and {other}: by "
                f"{gap.value:.3f} ({gap.low:.3f} to {gap.high:.3f}); the interval, corrected for "
                f"{len(found['gaps'])} gaps between groups, must reach down to {limit:g} "
                f"(judge.max_group_gap.{kind}).",
            )


def ignores_group(context: GateContext) -> Iterator[GateResult]:
    """Nobody gets another answer for belonging to another group, all else equal."""
    limit = context.params.judge.max_flips
    for found in (context.facts.get("fairness") or {}).get("flips", []):
        share = Interval(**found["share"])
        yield _on_interval(
            f"flips: {found['column']}",
            share,
            limit,
            share.high <= limit,
            f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%}) of {found['rows']} rows get "
            f"another answer when {found['column']} alone is changed; the interval must not reach "
            f"beyond {limit:.1%} (judge.max_flips).",
        )


def behaves(context: GateContext) -> Iterator[GateResult]:
    """Behavioral tests: enough rows answer as a domain expert expects."""
    for test in context.facts["behaviour"]:
        share, limit = test["share"], test["limit"]
        yield GateResult(
            name=f"behaviour: {test['name']}",
            value=share,
            limit=limit,
            verdict=_verdict(share >= limit),
            sentence=f"{share:.1%} of {test['rows']} rows behave ({test['kind']}); at least "
            f"{limit:.1%} must.",
        )


def fresh(context: GateContext) -> Iterator[GateResult]:
    """Data recency: the newest labelled row is close to the newest available data."""
    age, limit = context.facts["age_days"], context.params.judge.max_age_days
    if age is not None:
        sentence = (
            f"The newest labelled row is {age} days older than the data that should have arrived; "
            f"{limit} days are allowed (judge.max_age_days)."
        )
        yield _on_value("data recency", age, limit, sentence)


def fast_enough(context: GateContext) -> Iterator[GateResult]:
    """One record is answered in time."""
    found, limit = context.microseconds, context.params.judge.max_microseconds
    sentence = (
        f"One record takes {found:.0f} µs on this machine; {limit:g} µs are allowed "
        "(judge.max_microseconds)."
    )
    yield _on_value("latency", found, limit, sentence)


def graph_equals_model(context: GateContext) -> Iterator[GateResult]:
    """The exported graph answers as the trained model did."""
    error, limit = context.facts["parity"]["max_error"], context.facts["parity"]["limit"]
    sentence = f"The graph is off the trained model by {error:.1e} at most; {limit:g} is allowed."
    yield _on_value("parity", error, limit, sentence)


def small_enough(context: GateContext) -> Iterator[GateResult]:
    """A large graph loads slowly and crowds the cache."""
    size, limit = context.facts["bundle_bytes"] / 1e6, context.params.export.max_megabytes
    sentence = f"The graph has {size:.2g} MB; {limit:g} MB are allowed."
    yield _on_value("size", size, limit, sentence)


def keeps_contract(context: GateContext) -> Iterator[GateResult]:
    """Clients of the champion can go on: no change of the contract breaks their requests."""
    mine = context.contract
    if context.champion is None:
        sentence = f"Contract {mine.version} is the first; it breaks no client."
        yield _without_value("contract", True, sentence)
        return
    theirs = context.champion.contract
    breaking = find_breaking_changes(theirs, mine)
    if breaking:
        sentence = (
            f"Contract {mine.version} breaks clients of the champion's {theirs.version}: "
            f"{join_changes(breaking)}; undo that in contract.yaml, or give the contract a name of "
            "its own there."
        )
    else:
        sentence = f"Contract {mine.version} breaks no client of the champion's {theirs.version}."
    yield _without_value("contract", not breaking, sentence)


GATES: tuple[Callable[[GateContext], Iterator[GateResult]], ...] = (
    better_than_baselines,
    not_worse_than_champion,
    units_suffice,
    untouched,
    cheapest_threshold,
    calibrated,
    no_bad_slice,
    treats_groups_alike,
    ignores_group,
    behaves,
    fresh,
    fast_enough,
    graph_equals_model,
    small_enough,
    keeps_contract,
)


def name_rows(where: Mapping[str, str]) -> str:
    """Describe a slice in words, for messages and tables."""
    return ", ".join(f"{column} {label}" for column, label in where.items())


def _name_group(group: Mapping[str, Any]) -> str:
    return f"{name_rows(group['where'])} ({group['value']:.3f} in {group['rows']} rows)"


def _signed(gain: Interval) -> str:
    direction = "better" if gain.value >= 0 else "worse"
    low, high = (format_number(end, signed=True) for end in (gain.low, gain.high))
    return f"{format_number(abs(gain.value))} {direction} ({low} to {high})"


def _on_interval(
    name: str, found: Interval, limit: float, passed: bool, sentence: str
) -> GateResult:
    verdict = _verdict(passed)
    return GateResult(name=name, **found.as_dict(), limit=limit, verdict=verdict, sentence=sentence)


def _on_value(name: str, value: float, limit: float, sentence: str) -> GateResult:
    # Written so that NaN, which compares false with everything, is refused.
    verdict = _verdict(value <= limit)
    return GateResult(name=name, value=value, limit=limit, verdict=verdict, sentence=sentence)


def _without_value(name: str, passed: bool, sentence: str) -> GateResult:
    return GateResult(name=name, verdict=_verdict(passed), sentence=sentence)


def _untested(name: str, sentence: str) -> GateResult:
    return GateResult(name=name, verdict="not tested", sentence=sentence)


def _verdict(passed: bool) -> GateVerdict:
    return "passed" if passed else "refused"
