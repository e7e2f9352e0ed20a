"""Date formats of a column: pattern, day or month first, two-digit years."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from mlchassis.config.source_params import ColumnFormat
from mlchassis.contract.cells import JAVASCRIPT, is_naive_time, read_time, time_pattern

_DAY_FIRST = ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y", "%d/%m/%y", "%d-%m-%y", "%d %m %Y")
_MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y", "%m.%d.%Y", "%m/%d/%y", "%m-%d-%y", "%m.%d.%y")
_YEAR_FIRST = ("%Y/%m/%d", "%Y.%m.%d", "%Y %m %d")
_NAMED_MONTHS = (
    *("%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%B-%Y", "%d/%b/%Y", "%d.%b.%Y", "%d%b%Y"),
    *("%d-%b-%y", "%d %b %y", "%d/%b/%y", "%d%b%y", "%d. %B %Y", "%d. %b %Y"),
    *("%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%Y-%b-%d", "%Y %b %d", "%Y%b%d"),
    *("%a %d %b %Y", "%a, %d %b %Y", "%a, %b %d, %Y", "%A, %B %d, %Y", "%A, %d %B %Y"),
    *("%A %d %B %Y", "%b. %d, %Y"),
)
_MONTHS = ("%b-%Y", "%B-%Y", "%b %Y", "%B %Y", "%Y-%b", "%Y %b", "%b-%y", "%b %y", "%b/%Y", "%b%Y")
_MONTH_NUMBERS = ("%m/%Y", "%m.%Y", "%m-%Y", "%Y/%m", "%Y.%m")
_CLOCKS = (
    *("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", " %I:%M%p"),
    *(" %H:%M:%S %z", " %H:%M %z", "T%H:%M:%S", "T%H:%M", ", %H:%M", ", %H:%M:%S", ", %I:%M %p"),
    *(" %H.%M", " %H:%M:%S%z"),
)
_WHOLE = (
    *("%d/%b/%Y:%H:%M:%S %z", "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S %z"),
    *("%a, %d %b %Y %H:%M:%S", "%d%b%Y:%H:%M:%S", "%d%b%Y:%H:%M:%S.%f", "%d-%b-%y %I.%M.%S.%f %p"),
    *("%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %I:%M %p", "%Y-%m-%d %H.%M.%S", "%b %d, %Y %I:%M %p"),
    *("%Y-%m-%d-%H.%M.%S.%f", "%Y%m%d %H:%M:%S", "%Y%m%d %H:%M", "%Y%m%dT%H%M%S", JAVASCRIPT),
)
_DIGITS = ("%Y%m%d", "%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m", "%d%m%Y", "%m%d%Y")
_EPOCHS = (
    ("epoch_s", 1),
    ("epoch_ms", 10**3),
    ("epoch_us", 10**6),
    ("epoch_ns", 10**9),
)
_EPOCH_SECONDS = (631_152_000, 2_208_988_800)
"""From 1990 to 2039."""
_EXCEL = (18_264, 62_093)
"""From 1950 to 2069."""
_YEARS = (1900, 2100)
_MIN_GAP_YEARS = 5
"""Years without values that are needed to place years of two digits in a century."""
_SAMPLE_SIZE = 1000
_SHAPES = 8
_PER_SHAPE = 3
_MIN_DIGITS = 2
_DIGIT = re.compile(r"[0-9]")
_LETTERS = re.compile(r"[^\W\d_]+")
_MONTH_NAMES = frozenset(
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
)
_DAY_NAMES = frozenset(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
_MARKERS = frozenset({"t", "z", "am", "pm", "utc", "gmt", "w", "q"})
_MIN_DATES = 20
"""Different strings of digits, from which on it is not an accident that all are dates."""
_MIN_DATE_PROPORTION = 0.95
_MONTH_NAME = re.compile("month|period|monat|ym|date", re.IGNORECASE)
_TIME_WORDS = (
    "date|dates|datum|datetime|time|timestamp|stamp|zeit|zeitpunkt|zeitstempel|fecha|data|when|ts|dt|"
    "created|updated|modified|deleted|closed|opened|ordered|shipped|delivered|paid|signed|joined|"
    "registered|issued|released|published|born|birth|birthday|birthdate|birthdat|dob|geburtstag|"
    "expires|expiry|expiration|due|deadline|start|end|begin|from|until|at|on|day|month|period|"
    "monat|tag|ym|ymd|arrival|departure|purchase|visit|event|last|first|since|valid|effective"
)
_NAMED = re.compile(rf"(^|[\W_\d])({_TIME_WORDS})($|[\W_\d])", re.IGNORECASE)
_ENDS_AS_TIME = re.compile(r"[a-z](Date|Time|Day|At|On|Month|Datum|Zeit|Timestamp)$|date$|datum$")
_SURE_NAME = re.compile(
    r"(^|[\W_])(date|dates|datum|datetime|timestamp|zeitpunkt|zeitstempel|fecha|dob|birthdate)"
    r"($|[\W_\d])|[a-z](Date|Datum|Timestamp)$|date$|datum$|[\W_]at$",
    re.IGNORECASE,
)
_DURATION = re.compile(
    r"duration|elapsed|lifetime|time_(in|to|of|spent|since|taken)|(days|hours|minutes|seconds)|"
    r"per_|count|num|response.?time|_ms$|_sec|dauer|laufzeit",
    re.IGNORECASE,
)
_BIRTH = re.compile(r"birth|born|dob|geb", re.IGNORECASE)
_NUMERIC = re.compile(r"^(\d{1,2})[/. -](\d{1,2})[/. -]\d{2,4}")
_CLOCK_ALONE = re.compile(r"-?\d{1,3}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp][Mm])?")


@dataclass(frozen=True, slots=True)
class DateGuess:
    """Inferred date format of a column.

    Attributes:
        form: The format.
        note: Note for a person.
        question: Question that settles an ambiguous format; empty if it is clear.
        other: The other format, for the answer no.
    """

    form: ColumnFormat
    note: str = ""
    question: str = ""
    other: ColumnFormat | None = None


def is_named_as_time(name: str) -> bool:
    """True if the name is typical of times and not of durations."""
    named = _NAMED.search(name) or _ENDS_AS_TIME.search(name)
    return bool(named) and not _DURATION.search(name)


def is_surely_named_as_time(name: str) -> bool:
    """True if only columns of times have such a name."""
    return bool(_SURE_NAME.search(name)) and not _DURATION.search(name)


def are_clocks(strings: Iterable[str]) -> bool:
    """True if strings are times of day or durations, such as 10:30 or 1:23:45."""
    return all(_CLOCK_ALONE.fullmatch(string) for string in strings)


def guess_dates(
    strings: Sequence[str], name: str, *, day_first: bool, this_year: int
) -> DateGuess | None:
    """Return the date formats of a column; None where too few strings have one.

    Args:
        strings: Its different strings, without those for a missing value.
        name: Of the column.
        day_first: True to read ambiguous dates with the day first.
        this_year: The year of today.
    """
    sample = list(strings[:_SAMPLE_SIZE])
    if 2 * sum(map(_is_signed_number, sample)) > len(sample):
        return None
    digits = [string for string in sample if _is_digits(string)]
    if 2 * len(digits) > len(sample):
        return _guess_digits(digits, name)
    order, note, question = _choose_order(strings, name, day_first=day_first)
    dates = _find_forms(strings, order)
    if dates is None:
        return None
    return _complete(strings, name, dates, _Order(order, note, question), this_year)


@dataclass(frozen=True, slots=True)
class _Order:
    forms: tuple[str, ...]
    note: str
    question: str


def _complete(
    strings: Sequence[str], name: str, dates: tuple[str, ...], order: _Order, this_year: int
) -> DateGuess | None:
    notes = [f"{len(dates)} date formats"] if len(dates) > 1 else []
    form = ColumnFormat(dates=() if dates == ("ISO8601",) else dates)
    if any("%y" in date for date in dates):
        newest = choose_newest_year(_short_years(strings, form), this_year, named=name)
        if newest is None:
            return None
        form = form.model_copy(update={"newest_year": newest})
        notes.append(_note_years(strings, form, name))
    ambiguous = order.note and any(date.startswith(("%d", "%m")) for date in dates)
    other = _swap_order(form) if ambiguous else None
    if ambiguous:
        notes.append(order.note)
    if _has_naive_clock(strings, form):
        notes.append("times have no zone and are taken as UTC")
    return DateGuess(form, "; ".join(notes), order.question if ambiguous else "", other)


def _swap_order(form: ColumnFormat) -> ColumnFormat:
    swap = {"%d": "%m", "%m": "%d"}
    dates = tuple(re.sub("%[dm]", lambda match: swap[match[0]], date) for date in form.dates)
    return form.model_copy(update={"dates": dates})


def _candidates(order: Sequence[str]) -> Iterable[str]:
    yield "ISO8601"
    yield from _WHOLE
    for date in (*order, *_YEAR_FIRST, *_NAMED_MONTHS):
        for clock in _CLOCKS:
            yield date + clock
    yield from _MONTHS
    yield from _MONTH_NUMBERS
    yield "quarter"


def _find_forms(strings: Sequence[str], order: Sequence[str]) -> tuple[str, ...] | None:
    """Return the formats that together parse nearly all strings."""
    sample = [string for string in strings[:_SAMPLE_SIZE] if _shape(string)]
    if 2 * len(sample) < len(strings[:_SAMPLE_SIZE]):
        return None
    used, rest = _try_candidates(sample, order)
    if not used or len(rest) > len(sample) / 2:
        return None
    if len(strings) > _SAMPLE_SIZE:
        rare = [string for string in _unread(strings, tuple(used)) if _shape(string)]
        used += _try_candidates(rare[:_SAMPLE_SIZE], order)[0]
    return tuple(used)


def _try_candidates(strings: Sequence[str], order: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return formats that parse some strings, and the strings that none of them parses."""
    rest, used = list(strings), list[str]()
    some = _pick_by_shape(rest)
    for candidate in _candidates(order):
        if not rest:
            break
        if _reads_any(some, candidate):
            used.append(candidate)
            rest = _unread(rest, (candidate,))
            some = _pick_by_shape(rest)
    return used, rest


def _reads_any(strings: Sequence[str], date: str) -> bool:
    """Return whether a format parses any of the strings."""
    form = ColumnFormat(dates=(date,))
    pattern = _find_pattern(date)
    return any(
        (pattern.match(string) or not _is_plain(string)) and try_time(string, form) is not None
        for string in strings
    )


def _is_plain(string: str) -> bool:
    return string.isascii() and string.isprintable()


@cache
def _find_pattern(date: str) -> re.Pattern[str]:
    """Return an expression that every plain ASCII time of a format matches.

    `strptime` keeps only a few formats compiled, and a column is tried with hundreds of them.
    """
    return re.compile(time_pattern(ColumnFormat(dates=(date,))))


def _pick_by_shape(strings: Sequence[str]) -> list[str]:
    """Pick a few strings of each common shape: all forms on all strings would take minutes."""
    shapes: dict[str, list[str]] = {}
    for string in strings:
        shapes.setdefault(_shape(string), []).append(string)
    commonest = sorted(shapes.values(), key=len, reverse=True)[:_SHAPES]
    return [string for group in commonest for string in group[:_PER_SHAPE]]


def _shape(string: str) -> str:
    """Shape of a time: digits as 9, names of months and days as one; "" if it is not a time."""
    if sum(sign.isdigit() for sign in string) < _MIN_DIGITS:
        return ""
    shape = _LETTERS.sub(lambda match: _name_shape(match[0]), _DIGIT.sub("9", string))
    return "" if "?" in shape else shape


def _name_shape(letters: str) -> str:
    short = letters[:3].lower()
    if short in _MONTH_NAMES:
        return f"b{len(letters)}"
    if short in _DAY_NAMES:
        return f"a{len(letters)}"
    return letters if letters.lower() in _MARKERS or "gmt" in letters.lower() else "?"


def _unread(strings: Sequence[str], dates: tuple[str, ...]) -> list[str]:
    if not dates:
        return list(strings)
    form = ColumnFormat(dates=dates)
    return [string for string in strings if try_time(string, form) is None]


def try_time(string: str, form: ColumnFormat) -> datetime | None:
    """Return the parsed time, or None."""
    try:
        return read_time(string, form)
    except ValueError:
        return None


def _choose_order(
    strings: Sequence[str], name: str, *, day_first: bool
) -> tuple[tuple[str, ...], str, str]:
    """Decide if numeric dates begin with the day: by days after the twelfth, or a fixed first."""
    pairs = [(int(match[1]), int(match[2])) for match in map(_NUMERIC.match, strings) if match]
    if not pairs:
        return _DAY_FIRST, "", ""
    first, second = ([pair[part] for pair in pairs] for part in (0, 1))
    late_first, late_second = sum(n > 12 for n in first), sum(n > 12 for n in second)
    if late_first or late_second:
        return (_DAY_FIRST if late_first >= late_second else _MONTH_FIRST), "", ""
    if len(set(first)) == 1 and len(set(second)) > 2:
        return _DAY_FIRST, "", ""  # The first day of each month.
    if len(set(second)) == 1 and len(set(first)) > 2:
        return _MONTH_FIRST, "", ""
    part = "day" if day_first else "month"
    flag = "--month-first" if day_first else "no --month-first"
    note = f"dates read with the {part} first; they are ambiguous: {flag} reads the other order"
    question = f"'{name}': dates such as '{strings[0]}' are ambiguous. Does the {part} come first?"
    return (_DAY_FIRST if day_first else _MONTH_FIRST), note, question


def _short_years(strings: Sequence[str], form: ColumnFormat) -> list[int]:
    wide = form.model_copy(update={"newest_year": None})
    times = (try_time(string, wide) for string in strings)
    return [time.year % 100 for time in times if time is not None]


def choose_newest_year(years: Sequence[int], this_year: int, *, named: str = "") -> int | None:
    """Return the last of the hundred years of two-digit years; None where it is not clear.

    The hundred begins after the longest run of years without values. The newest value lies at most
    ten years in the future; a year of birth does not lie in the future.
    """
    distinct = sorted(set(years))
    if not distinct:
        return None
    gaps = [
        (after - before) % 100 or 100
        for before, after in zip(distinct, [*distinct[1:], distinct[0]], strict=True)
    ]
    gap = max(gaps)
    if gap <= _MIN_GAP_YEARS:
        return None
    newest = distinct[gaps.index(gap)]
    near = this_year if _BIRTH.search(named) else this_year + 10
    year = near - (near - newest) % 100
    # Tomorrow's rows are newer: they get the free years that lie between.
    return year + (gap - 1) // 2


def _note_years(strings: Sequence[str], form: ColumnFormat, name: str) -> str:
    years = [
        time.year for time in (try_time(string, form) for string in strings) if time is not None
    ]
    return (
        f"years of two digits are read as {min(years)} to {max(years)}; if that is wrong, run "
        f"again with --newest-year '{name}={form.newest_year}' and the right year"
    )


def _has_naive_clock(strings: Sequence[str], form: ColumnFormat) -> bool:
    some = strings[:_SAMPLE_SIZE]
    return any(":" in string for string in some) and any(
        is_naive_time(string, form) for string in some
    )


def _guess_digits(digits: Sequence[str], name: str) -> DateGuess | None:
    """Infer times from digits, only where the column is named like a time."""
    if not is_named_as_time(name):
        return None
    dates = _find_digit_form(digits)
    month = dates == "%Y%m" and not _MONTH_NAME.search(name)
    serial = dates == "excel" and not is_surely_named_as_time(name)
    if not dates or month or serial:
        return None
    form = ColumnFormat(dates=(dates,))
    zone = "" if dates.endswith(("d", "m", "Y", "excel")) else "; times are taken as UTC"
    return DateGuess(form, f"digits are read as dates ({dates}){zone}")


def find_digit_form(strings: Sequence[str]) -> str:
    """Return the date format that all strings of digits have, whatever the name; else empty."""
    digits = [string for string in strings[:_SAMPLE_SIZE] if _is_digits(string)]
    if len(digits) < max(_MIN_DATES, len(strings[:_SAMPLE_SIZE])):
        return ""
    dates = _find_digit_form(digits)
    return "" if dates in ("excel", "%Y%m") else dates


def _is_signed_number(string: str) -> bool:
    """Return True for numbers that cannot be times: with a sign, or a short fraction."""
    whole, point, _ = string.lstrip("+-").partition(".")
    return _is_digits(string.lstrip("+-")) and (
        string[0] in "+-" or (bool(point) and len(whole) < 5)
    )


def _is_digits(string: str) -> bool:
    return string.isascii() and string.replace(".", "", 1).isdigit()


def _find_digit_form(digits: Sequence[str]) -> str:
    for dates in _DIGITS:
        if _most_fit(_is_date(string, dates) for string in digits):
            return dates
    low, high = _EPOCH_SECONDS
    for dates, unit in _EPOCHS:
        if _most_fit(low <= float(string) / unit <= high for string in digits):
            return dates
    return (
        "excel" if _most_fit(_EXCEL[0] <= float(string) <= _EXCEL[1] for string in digits) else ""
    )


def _most_fit(fits: Iterable[bool]) -> bool:
    """True if all fit except placeholders such as 0 or 99991231."""
    verdicts = list(fits)
    return sum(verdicts) >= _MIN_DATE_PROPORTION * len(verdicts)


def _is_date(string: str, dates: str) -> bool:
    time = try_time(string, ColumnFormat(dates=(dates,)))
    return time is not None and _YEARS[0] <= time.year <= _YEARS[1]
