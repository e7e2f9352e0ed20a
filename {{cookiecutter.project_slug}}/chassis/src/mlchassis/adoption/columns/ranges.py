"""Ranges of whole numbers that are complete in themselves: years, calendar fields, codes."""

import re

from mlchassis.adoption.columns.profile import ColumnFacts

_MAX_CODE_RANGE = 31
"""Largest set of codes, such as weekdays, flags or grades."""
_MIN_CODE_ROWS = 10
_MIN_COVERAGE = 0.3
"""Rows of the rarest code as a proportion of the mean: counts of things have a thin tail."""
_YEARS = (1800, 2100)
"""Whole numbers between these in every row are years, or may be."""
_YEAR_NAME = re.compile(
    r"(^|[\W_])(year|yr|yyyy|yy|jahr|baujahr|annee|année|año|season|vintage)s?($|[\W_])|[a-z]Year$",
    re.IGNORECASE,
)
_DURATION_NAME = re.compile(
    r"(^|[\W_])(since|term|tenure|age|duration|per|last|until|number|count|num|no|n|in|at|of)($|[\W_])",
    re.IGNORECASE,
)
_PREFIX = r"(.*[\W_])?"
_CALENDAR = tuple(
    (re.compile(_PREFIX + name, re.IGNORECASE), first, last)
    for name, first, last in (
        (r"(hour|hr|stunde)", 0, 23),
        (r"(minute|second)", 0, 59),
        (r"(month|mon|mth|monat|mnth)", 1, 12),
        (r"(weekday|dow|dayofweek|wochentag)", 0, 6),
        (r"(dayofyear|doy|yday)", 1, 366),
        (r"(day|mday|dom|dayofmonth)", 1, 31),
        (r"(week|weekofyear)", 1, 53),
        (r"(quarter|qtr|quartal)", 1, 4),
    )
)
"""Names of a calendar's fields, with the first and the last value of each."""
_JOINED = re.compile(r"[\W_]of[\W_](day|week|month|year)$", re.IGNORECASE)


def is_year(facts: ColumnFacts) -> bool:
    """True if a column holds years, of four digits or of two."""
    if facts.kind != "integer" or facts.low is None or facts.high is None:
        return False
    if facts.low >= _YEARS[0] and facts.high <= _YEARS[1]:
        return True
    two_digits = facts.low >= 0 and facts.high <= 99
    named = bool(_YEAR_NAME.search(facts.name)) and not _DURATION_NAME.search(facts.name)
    return two_digits and named


def find_code_range(facts: ColumnFacts) -> tuple[int, int] | None:
    """First and last value of a set of whole numbers that is complete, or None.

    A calendar's field is known by its name; flags, grades and the like by values without a gap and
    without a thin end.
    """
    if facts.kind != "integer" or facts.low is None or facts.high is None:
        return None
    low, high = int(facts.low), int(facts.high)
    return _find_calendar_range(facts, low, high) or _find_complete_range(facts, low, high)


def _find_calendar_range(facts: ColumnFacts, low: int, high: int) -> tuple[int, int] | None:
    name = _JOINED.sub(lambda match: "of" + match[1], facts.name)
    if _DURATION_NAME.search(name):
        return None
    for pattern, first, last in _CALENDAR:
        fits = first - 1 <= low and high <= last + 1
        if pattern.fullmatch(name) and fits and 2 * facts.distinct >= last - first:
            return min(low, first), max(high, last)
    return None


def _find_complete_range(facts: ColumnFacts, low: int, high: int) -> tuple[int, int] | None:
    complete = facts.lists_all and facts.distinct == high - low + 1 <= _MAX_CODE_RANGE
    if not complete or facts.constant or is_year(facts):
        return None
    least = max(_MIN_CODE_ROWS, _MIN_COVERAGE * facts.present / facts.distinct)
    is_flag = (low, high) == (0, 1)
    return (low, high) if is_flag or facts.common_values[-1][1] >= least else None
