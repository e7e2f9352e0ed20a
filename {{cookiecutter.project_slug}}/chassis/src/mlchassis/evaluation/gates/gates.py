"""The gates: functions from a context to rows of the judgement; `GATES` is the list of them.

The pessimistic end of the interval must meet the limit. Slices and groups of people are many and
small: their gates reject only if the optimistic end misses the limit.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from mlchassis.contract.compatibility import find_breaking_changes, join_changes
from mlchassis.evaluation.bootstrap import LEAST_UNITS, Interval, spell_units
from mlchassis.evaluation.gates.context import GateContext, GateResult, GateVerdict
from mlchassis.evaluation.results import (
    Disparity,
    Evaluation,
    Fairness,
    GroupResult,
    SliceResult,
    Units,
)
from mlchassis.evaluation.slices import name_rows
from mlchassis.formatting import format_number, refine, spell_number


def better_than_baselines(context: GateContext) -> Iterator[GateResult]:
    """The gain over the prior is shown; the linear model is not as good as the trees."""
    metric = context.params.judge.metric
    for baseline, gains in context.evaluation.gains.items():
        judge = _worth_its_complexity if baseline == "linear" else _shown_better
        yield judge(context, baseline, gains[metric].interval)


def _shown_better(context: GateContext, baseline: str, gain: Interval) -> GateResult:
    """The interval of the gain lies above the limit: chance is excluded."""
    metric = context.params.judge.metric
    limit = context.params.judge.min_gain
    return _on_interval(
        f"better than {baseline}",
        gain,
        limit,
        gain.low > limit,
        f"{metric} is {_signed(gain, limit)} against the baseline '{baseline}'; the interval must "
        f"lie above {limit:g} (judge.min_gain).",
    )


def _worth_its_complexity(context: GateContext, baseline: str, gain: Interval) -> GateResult:
    """Reject trees where the linear model is better, or shown to be as good within the margin.

    On a small table neither may be shown to be better; then the better estimate is served.
    """
    metric = context.params.judge.metric
    margin = context.params.judge.max_regression
    shown_better = gain.low > context.params.judge.min_gain
    # Written so that NaN, which compares false with everything, is rejected.
    may_be_better = gain.value > 0 and gain.low <= gain.value and gain.high >= margin
    return _on_interval(
        f"better than {baseline}",
        gain,
        margin,
        shown_better or may_be_better,
        f"{metric} is {_signed(gain, margin)} against the baseline '{baseline}', which is the "
        f"simpler model: it is served instead where it is better, or where the gain stays below "
        f"judge.max_regression ({margin:g}); set train.candidate.kind: linear in params.yaml then.",
    )


def not_worse_than_champion(context: GateContext) -> Iterator[GateResult]:
    """Non-inferiority: the interval of the difference does not reach beyond the margin."""
    name = "not worse than champion"
    champion = context.champion
    margin = context.params.judge.max_regression
    if champion is None:
        yield _without_value(name, True, "There is no champion yet to be worse than.")
    elif champion.digest == context.evaluation.digest:
        sentence = f"This bundle is the champion itself (version {champion.version})."
        yield _without_value(name, True, sentence)
    elif champion.gain is None:
        yield _without_value(name, False, champion.obstacle)
    else:
        gain = champion.gain
        yield _on_interval(
            name,
            gain,
            -margin,
            gain.low > -margin,
            f"{context.params.judge.metric} is {_signed(gain, -margin)} against the champion "
            f"(version {champion.version}) on {champion.rows:,} rows that neither has seen; the "
            f"interval must lie above {-margin:g} (judge.max_regression).",
        )


def units_suffice(context: GateContext) -> Iterator[GateResult]:
    """Say where intervals are by rows, since the test split holds too few days."""
    units = context.evaluation.units
    if units.count < LEAST_UNITS:
        yield _untested(
            "units",
            f"The test split holds only {spell_units(units.count, units.unit)}: the "
            "intervals are those of its rows and say nothing about how others differ; bring more "
            "data, or raise split.test_days in params.yaml.",
        )


def uncontaminated(context: GateContext) -> Iterator[GateResult]:
    """Contamination: the model has not seen the test split, by its dates and by its gain there.

    A model that has learned the test split by heart gains more there over a baseline than it did on
    the validation split. What is rejected is what was shown to be too good to be true.
    """
    begin = context.evaluation.test_period.begin
    seen = context.evaluation.seen_until
    if begin and seen and datetime.fromisoformat(seen) >= datetime.fromisoformat(begin):
        sentence = f"The model has seen rows until {seen}, but its test split begins at {begin}."
        yield _without_value("contamination", False, sentence)
        return
    contamination = context.evaluation.contamination
    units = contamination.units
    if units is not None and units.count < LEAST_UNITS:
        sentence = (
            "One of the validation and test splits has only "
            f"{spell_units(units.count, units.unit)}, too few to compare the gain in both."
        )
        yield _untested("contamination", sentence)
        return
    whole = max(contamination.validation_gain_over_prior, 0.0)
    limit = context.params.judge.max_contamination * whole
    difference = contamination.interval
    passed = difference.low <= limit
    sentence = _spell_contamination(context.evaluation, limit, passed)
    yield _on_interval("contamination", difference, limit, passed, sentence)


def _spell_contamination(evaluation: Evaluation, limit: float, passed: bool) -> str:
    """Spell the difference of two gains, after a rejection with every possible cause."""
    contamination = evaluation.contamination
    finding = (
        f"The gain over the baseline '{contamination.baseline}' is "
        f"{_signed(contamination.interval, limit)} on the test split than on the validation split"
    )
    spelled = format_number(limit, limit=contamination.interval.low)
    if passed:
        return f"{finding}; up to {spelled} is within the limit (judge.max_contamination)."
    together = (
        "rows of one person or thing lie in several splits (set split.strategy: group and "
        "split.group), "
        if evaluation.units.unit == "row"
        else ""
    )
    return (
        f"{finding}, shown to be above {spelled}. Either the model has seen rows of the test "
        f"split, or one of these holds: {together}the test split has another mix of rows, its "
        "outcome has changed (see the chart of the outcome in reports/data.html), or the "
        "validation split is too small (raise split.validation_days or "
        "split.validation_proportion). If that explains it, raise judge.max_contamination in "
        "params.yaml."
    )


def cheapest_threshold(context: GateContext) -> Iterator[GateResult]:
    """The threshold is the cheapest on the validation split: it was chosen on no other rows."""
    decision = context.evaluation.decision
    excess = decision.excess_cost if decision else None
    if excess is not None:
        limit = context.params.judge.max_excess_cost
        digits = refine(".2%", excess, limit)
        sentence = (
            f"At the bundle's threshold errors cost {excess:{digits}} more on the validation split "
            f"than at the cheapest one; {limit:{digits}} is allowed: a threshold is chosen there, "
            "never on the test split."
        )
        yield _on_value("threshold", excess, limit, sentence)


def calibrated(context: GateContext) -> Iterator[GateResult]:
    """Probabilities mean what they say; numbers of a regression are not probabilities.

    The upper end of the interval counts. Resampling adds its own noise to a mean of absolute
    differences, so that end errs on the strict side; it includes the day-to-day spread.
    """
    if "ece" not in context.evaluation.metrics:
        return
    error = context.evaluation.metrics["ece"].interval
    limit = context.params.judge.max_calibration_error
    units = context.evaluation.units
    if units.interval == "t" and error.low <= limit < error.high:
        yield _leave_calibration_open(error, limit, units)
        return
    yield _on_interval(
        "calibration",
        error,
        limit,
        error.high <= limit,
        f"The expected calibration error is {_spell_limited(error, '.4f', limit)}; the interval "
        f"must not reach beyond {limit:g} (judge.max_calibration_error).",
    )


def _leave_calibration_open(error: Interval, limit: float, units: Units) -> GateResult:
    """Return the result for an interval that is too wide for a verdict."""
    return _untested(
        "calibration",
        f"The expected calibration error is {_spell_limited(error, '.4f', limit)}; "
        f"{spell_units(units.count, units.unit)} are too few to tell whether it is beyond "
        f"{limit:g} (judge.max_calibration_error).",
    )


def no_bad_slice(context: GateContext) -> Iterator[GateResult]:
    """No slice is shown to be served worse than by a baseline, beyond the margin.

    Some slices are harder than others for any model, so a slice is compared with the baselines on
    the same rows and not with the other rows. The intervals hold for all comparisons at once, and
    their optimistic end counts: small slices are uncertain.
    """
    slices = context.evaluation.slices
    comparisons = [
        (part, name, baseline.gain.interval)
        for part in slices
        for name, baseline in part.baselines.items()
    ]
    if not comparisons:
        yield _untested("slices", _explain_no_slice(context))
        return
    part, baseline, gain = min(comparisons, key=lambda comparison: comparison[2].high)
    metric = context.params.judge.metric
    whole = context.evaluation.gains["prior"][metric].value
    limit = -context.params.judge.max_slice_regression * max(whole, 0.0)
    yield _on_interval(
        "slices",
        gain,
        limit,
        gain.high >= limit,
        f"Of {len(slices)} slices the model compares worst in {name_rows(part.where)} "
        f"({part.rows:,} rows): {metric} is {format_number(part.value.value)}, "
        f"{_signed(gain, limit)} than the baseline '{baseline}' on the same rows; the interval, "
        f"corrected for {len(comparisons)} comparisons, must reach "
        f"{format_number(limit, limit=gain.high)} (judge.max_slice_regression). "
        f"{_name_hardest(slices, metric)}",
    )


def _explain_no_slice(context: GateContext) -> str:
    columns = context.evaluation.slice_columns
    if not columns:
        return "No column is tagged 'slice' in contract.yaml, so no slices were compared."
    return (
        f"No slice by {', '.join(columns)} has {context.params.evaluate.min_slice_rows:,} rows "
        "(evaluate.min_slice_rows) and a value of the metric, so none was compared."
    )


def _name_hardest(slices: Sequence[SliceResult], metric: str) -> str:
    """Name the slice with the lowest metric, and what the baselines reach there."""
    hardest = min(slices, key=lambda part: part.difference.value)
    values = " and ".join(
        f"{format_number(baseline.value)} by '{name}'"
        for name, baseline in hardest.baselines.items()
    )
    return (
        f"The hardest slice is {name_rows(hardest.where)}: {metric} "
        f"{format_number(hardest.value.value)}, against {values}."
    )


def treats_groups_equally(context: GateContext) -> Iterator[GateResult]:
    """No two groups of people are shown to be treated too differently, measure by measure.

    The optimistic end of intervals counts that hold for all disparities at once, as for slices.
    """
    fairness = context.evaluation.fairness
    if fairness is None:
        return
    yield from _list_missing_groups(fairness)
    for kind, limit in context.params.judge.max_disparity:
        name = f"groups: {kind.replace('_', ' ')}"
        disparities = [each for each in fairness.disparities if each.kind == kind]
        if disparities:
            yield _limit_disparity(name, kind, disparities, limit, len(fairness.disparities))
        elif fairness.disparities and context.evaluation.decision:
            yield _untested(
                name, "No two groups have enough rows for which the answer is true to be compared."
            )


def _list_missing_groups(fairness: Fairness) -> Iterator[GateResult]:
    """Yield a result that names the columns of which no two groups were compared."""
    compared = {
        tuple(group.where) for disparity in fairness.disparities for group in disparity.groups
    }
    missing = [column for column in fairness.columns if (column,) not in compared]
    if missing:
        yield _untested(
            f"groups by {', '.join(missing)}",
            f"No two groups by {' or '.join(missing)} have {fairness.min_rows:,} rows each, so "
            "they were not compared; bring more rows of them, or lower evaluate.min_slice_rows.",
        )


def _limit_disparity(
    name: str, kind: str, disparities: Sequence[Disparity], limit: float, compared: int
) -> GateResult:
    """Compare the largest disparity of one kind with its limit.

    Args:
        name: The gate's name.
        kind: The kind of measure.
        disparities: The disparities of this kind.
        limit: The largest value that passes.
        compared: Number of disparities, of all kinds, for which the intervals are corrected.
    """
    worst = max(disparities, key=lambda disparity: disparity.disparity.low)
    disparity = worst.disparity.interval
    one, other = (_name_group(group) for group in worst.groups)
    return _on_interval(
        name,
        disparity,
        limit,
        disparity.low <= limit,
        f"The {worst.measure} differs most between {one} and {other}: by "
        f"{_spell_limited(disparity, '.3f', limit)}; the interval, corrected for {compared} "
        f"disparities between groups, must reach down to {limit:g} (judge.max_disparity.{kind}).",
    )


def ignores_group(context: GateContext) -> Iterator[GateResult]:
    """Nobody gets another answer for belonging to another group, all else equal."""
    limit = context.params.judge.max_counterfactual_flip_rate
    fairness = context.evaluation.fairness
    for flips in fairness.counterfactual_flips if fairness else ():
        rate = flips.rate.interval
        yield _on_interval(
            f"counterfactual flip rate: {flips.column}",
            rate,
            limit,
            rate.high <= limit,
            f"{_spell_limited(rate, '.1%', limit)} of {flips.rows:,} rows get another answer when "
            f"{flips.column} alone is changed; the interval must not reach beyond "
            f"{limit:{refine('.1%', limit, rate.high)}} (judge.max_counterfactual_flip_rate).",
        )


def behaves(context: GateContext) -> Iterator[GateResult]:
    """Behavioral tests: enough rows answer as a domain expert expects."""
    for test in context.evaluation.behavior:
        digits = refine(".1%", test.proportion, test.limit)
        yield GateResult(
            name=f"behavior: {test.name}",
            value=test.proportion,
            limit=test.limit,
            verdict=_verdict(test.proportion >= test.limit),
            sentence=f"{test.proportion:{digits}} of {test.rows:,} rows behave ({test.kind}); "
            f"at least {test.limit:{digits}} must.",
        )


def recent_enough(context: GateContext) -> Iterator[GateResult]:
    """Data recency: the newest labeled row is close to the newest available data."""
    staleness = context.evaluation.staleness_days
    limit = context.params.judge.max_staleness_days
    if staleness is not None:
        sentence = (
            f"The newest labeled row is {staleness} days older than the data that should have "
            f"arrived; {limit} days are allowed (judge.max_staleness_days)."
        )
        yield _on_value("data recency", staleness, limit, sentence)


def fast_enough(context: GateContext) -> Iterator[GateResult]:
    """One record is answered in time."""
    latency = context.latency_us
    limit = context.params.judge.max_latency_us
    sentence = (
        f"One record takes {latency:{refine(',.0f', latency, limit)}} µs on this machine; "
        f"{limit:,g} µs are allowed (judge.max_latency_us)."
    )
    yield _on_value("latency", latency, limit, sentence)


def graph_equals_model(context: GateContext) -> Iterator[GateResult]:
    """The exported graph answers as the trained model did."""
    parity = context.evaluation.parity
    error, limit = parity.max_error, parity.limit
    sentence = (
        f"The graph is off the trained model by {error:{refine('.1e', error, limit)}} at most; "
        f"{limit:g} is allowed."
    )
    yield _on_value("parity", error, limit, sentence)


def small_enough(context: GateContext) -> Iterator[GateResult]:
    """A large graph loads slowly and crowds the cache."""
    size = context.evaluation.bundle_bytes / 1e6
    limit = context.params.export.max_megabytes
    sentence = f"The graph has {spell_number(size, limit)} MB; {limit:g} MB are allowed."
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
    uncontaminated,
    cheapest_threshold,
    calibrated,
    no_bad_slice,
    treats_groups_equally,
    ignores_group,
    behaves,
    recent_enough,
    fast_enough,
    graph_equals_model,
    small_enough,
    keeps_contract,
)


def _name_group(group: GroupResult) -> str:
    return f"{name_rows(group.where)} ({group.value:.3f} in {group.rows:,} rows)"


def _spell_limited(interval: Interval, digits: str, limit: float) -> str:
    """Spell a value with its interval, each with enough digits to compare it with a limit."""
    value, low, high = (
        format(each, refine(digits, each, limit))
        for each in (interval.value, interval.low, interval.high)
    )
    return f"{value} ({low} to {high})"


def _signed(gain: Interval, limit: float) -> str:
    direction = "better" if gain.value >= 0 else "worse"
    low, high = (format_number(end, signed=True, limit=limit) for end in (gain.low, gain.high))
    return f"{format_number(abs(gain.value))} {direction} ({low} to {high})"


def _on_interval(
    name: str, interval: Interval, limit: float, passed: bool, sentence: str
) -> GateResult:
    verdict = _verdict(passed)
    return GateResult(
        name=name, **interval.as_dict(), limit=limit, verdict=verdict, sentence=sentence
    )


def _on_value(name: str, value: float, limit: float, sentence: str) -> GateResult:
    # Written so that NaN, which compares false with everything, is rejected.
    verdict = _verdict(value <= limit)
    return GateResult(name=name, value=value, limit=limit, verdict=verdict, sentence=sentence)


def _without_value(name: str, passed: bool, sentence: str) -> GateResult:
    return GateResult(name=name, verdict=_verdict(passed), sentence=sentence)


def _untested(name: str, sentence: str) -> GateResult:
    return GateResult(name=name, verdict="not tested", sentence=sentence)


def _verdict(passed: bool) -> GateVerdict:
    return "passed" if passed else "rejected"
