"""Date formats of a column: pattern, day or month first, two-digit years."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mlchassis.config.source_params import ColumnFormat
from mlchassis.contract.cells import JAVASCRIPT, is_naive_time, read_time

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
_LEAST_GAP = 5
"""Years that must be free of values, or no hundred years can be told for years of two digits."""
_SAMPLE = 1000
_SHAPES = 8
_PER_SHAPE = 3
_LEAST_DIGITS = 2
_DIGIT = re.compile(r"[0-9]")
_LETTERS = re.compile(r"[^\W\d_]+")
_MONTH_NAMES = frozenset(
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
)
_DAY_NAMES = frozenset(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
_MARKERS = frozenset({"t", "z", "am", "pm", "utc", "gmt", "w", "q"})
_LEAST_DATES = 20
"""Different words of digits, from which on it is no accident that all are dates."""
_SHARE = 0.95
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


def are_clocks(words: Iterable[str]) -> bool:
    """True if strings are times of day or durations, such as 10:30 or 1:23:45."""
    return all(_CLOCK_ALONE.fullmatch(word) for word in words)


def guess_dates(
    words: Sequence[str], name: str, *, day_first: bool, this_year: int
) -> DateGuess | None:
    """The forms of a column's times; None where too few words have any.

    Args:
        words: Its different words, without those for a missing value.
        name: Of the column.
        day_first: True to read ambiguous dates with the day first.
        this_year: The year of today, which most dates do not lie beyond.
    """
    sample = list(words[:_SAMPLE])
    if 2 * sum(map(_is_signed_number, sample)) > len(sample):
        return None
    digits = [word for word in sample if _is_digits(word)]
    if 2 * len(digits) > len(sample):
        return _guess_digits(digits, name)
    order, note, question = _choose_order(words, name, day_first=day_first)
    dates = _find_forms(words, order)
    if dates is None:
        return None
    return _complete(words, name, dates, _Order(order, note, question), this_year)


@dataclass(frozen=True, slots=True)
class _Order:
    forms: tuple[str, ...]
    note: str
    question: str


def _complete(
    words: Sequence[str], name: str, dates: tuple[str, ...], order: _Order, this_year: int
) -> DateGuess | None:
    notes = [f"{len(dates)} forms of dates"] if len(dates) > 1 else []
    form = ColumnFormat(dates=() if dates == ("ISO8601",) else dates)
    if any("%y" in date for date in dates):
        newest = choose_newest_year(_short_years(words, form), this_year, named=name)
        if newest is None:
            return None
        form = form.model_copy(update={"newest_year": newest})
        notes.append(_note_years(words, form, name))
    ambiguous = order.note and any(date.startswith(("%d", "%m")) for date in dates)
    other = _swap_order(form) if ambiguous else None
    if ambiguous:
        notes.append(order.note)
    if _has_naive_clock(words, form):
        notes.append("times have no zone and are taken as UTC")
    return DateGuess(form, "; ".join(notes), order.question if ambiguous else "", other)


def _swap_order(form: ColumnFormat) -> ColumnFormat:
    swap = {"%d": "%m", "%m": "%d"}
    dates = tuple(re.sub("%[dm]", lambda found: swap[found[0]], date) for date in form.dates)
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


def _find_forms(words: Sequence[str], order: Sequence[str]) -> tuple[str, ...] | None:
    """The forms that together read nearly all words."""
    sample = [word for word in words[:_SAMPLE] if _shape(word)]
    if 2 * len(sample) < len(words[:_SAMPLE]):
        return None
    used, rest = _try_candidates(sample, order)
    if not used or len(rest) > len(sample) / 2:
        return None
    if len(words) > _SAMPLE:
        rare = [word for word in _unread(words, tuple(used)) if _shape(word)]
        used += _try_candidates(rare[:_SAMPLE], order)[0]
    return tuple(used)


def _try_candidates(words: Sequence[str], order: Sequence[str]) -> tuple[list[str], list[str]]:
    """Forms that read some words, and the words that none of them reads."""
    rest, used = list(words), list[str]()
    some = _pick_by_shape(rest)
    for candidate in _candidates(order):
        if not rest:
            break
        if len(_unread(some, (candidate,))) < len(some):
            used.append(candidate)
            rest = _unread(rest, (candidate,))
            some = _pick_by_shape(rest)
    return used, rest


def _pick_by_shape(words: Sequence[str]) -> list[str]:
    """A few words of each of the commonest shapes: all forms on all words would take minutes."""
    shapes: dict[str, list[str]] = {}
    for word in words:
        shapes.setdefault(_shape(word), []).append(word)
    commonest = sorted(shapes.values(), key=len, reverse=True)[:_SHAPES]
    return [word for group in commonest for word in group[:_PER_SHAPE]]


def _shape(word: str) -> str:
    """Shape of a time: digits as 9, names of months and days as one; "" if it is no time."""
    if sum(sign.isdigit() for sign in word) < _LEAST_DIGITS:
        return ""
    shape = _LETTERS.sub(lambda found: _name_shape(found[0]), _DIGIT.sub("9", word))
    return "" if "?" in shape else shape


def _name_shape(letters: str) -> str:
    short = letters[:3].lower()
    if short in _MONTH_NAMES:
        return f"b{len(letters)}"
    if short in _DAY_NAMES:
        return f"a{len(letters)}"
    return letters if letters.lower() in _MARKERS or "gmt" in letters.lower() else "?"


def _unread(words: Sequence[str], dates: tuple[str, ...]) -> list[str]:
    if not dates:
        return list(words)
    form = ColumnFormat(dates=dates)
    return [word for word in words if try_time(word, form) is None]


def try_time(word: str, form: ColumnFormat) -> datetime | None:
    """The time that a word means, or None."""
    try:
        return read_time(word, form)
    except ValueError:
        return None


def _choose_order(
    words: Sequence[str], name: str, *, day_first: bool
) -> tuple[tuple[str, ...], str, str]:
    """Decide if numeric dates begin with the day: by days after the twelfth, or a fixed first."""
    pairs = [(int(found[1]), int(found[2])) for found in map(_NUMERIC.match, words) if found]
    if not pairs:
        return _DAY_FIRST, "", ""
    first, second = ([pair[place] for pair in pairs] for place in (0, 1))
    late_first, late_second = sum(n > 12 for n in first), sum(n > 12 for n in second)
    if late_first or late_second:
        return (_DAY_FIRST if late_first >= late_second else _MONTH_FIRST), "", ""
    if len(set(first)) == 1 and len(set(second)) > 2:
        return _DAY_FIRST, "", ""  # The first day of each month.
    if len(set(second)) == 1 and len(set(first)) > 2:
        return _MONTH_FIRST, "", ""
    part = "day" if day_first else "month"
    flag = "--month-first" if day_first else "no --month-first"
    note = f"dates read with the {part} first; they could be either: {flag} reads the other"
    question = f"'{name}': dates such as '{words[0]}' could be either. Does the {part} come first?"
    return (_DAY_FIRST if day_first else _MONTH_FIRST), note, question


def _short_years(words: Sequence[str], form: ColumnFormat) -> list[int]:
    wide = form.model_copy(update={"newest_year": None})
    times = (try_time(word, wide) for word in words)
    return [time.year % 100 for time in times if time is not None]


def choose_newest_year(years: Sequence[int], this_year: int, *, named: str = "") -> int | None:
    """The last of the hundred years that years of two digits lie in; None where it cannot be told.

    The hundred begins after the longest run of years that no value has, and the newest value is
    not in the future, or in the near one.
    """
    seen = sorted(set(years))
    if not seen:
        return None
    gaps = [
        (after - before) % 100 or 100
        for before, after in zip(seen, [*seen[1:], seen[0]], strict=True)
    ]
    gap = max(gaps)
    if gap <= _LEAST_GAP:
        return None
    newest = seen[gaps.index(gap)]
    near = this_year if _BIRTH.search(named) else this_year + 10
    year = near - (near - newest) % 100
    # Tomorrow's rows are newer: they get the free years that lie between.
    return year + (gap - 1) // 2


def _note_years(words: Sequence[str], form: ColumnFormat, name: str) -> str:
    years = [time.year for time in (try_time(word, form) for word in words) if time is not None]
    return (
        f"years of two digits are read as {min(years)} to {max(years)}; if that is wrong, run "
        f"again with --newest-year '{name}={form.newest_year}' and the right year"
    )


def _has_naive_clock(words: Sequence[str], form: ColumnFormat) -> bool:
    some = words[:_SAMPLE]
    return any(":" in word for word in some) and any(is_naive_time(word, form) for word in some)


def _guess_digits(digits: Sequence[str], name: str) -> DateGuess | None:
    """Times in digits alone: only where the name says that they are times."""
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


def find_digit_form(words: Sequence[str]) -> str:
    """The form of dates that all words of digits have, whatever the name; empty without one."""
    digits = [word for word in words[:_SAMPLE] if _is_digits(word)]
    if len(digits) < max(_LEAST_DATES, len(words[:_SAMPLE])):
        return ""
    found = _find_digit_form(digits)
    return "" if found in ("excel", "%Y%m") else found


def _is_signed_number(word: str) -> bool:
    """True for numbers that no time looks like: with a sign, or a short fraction."""
    whole, point, _ = word.lstrip("+-").partition(".")
    return _is_digits(word.lstrip("+-")) and (word[0] in "+-" or (bool(point) and len(whole) < 5))


def _is_digits(word: str) -> bool:
    return word.isascii() and word.replace(".", "", 1).isdigit()


def _find_digit_form(digits: Sequence[str]) -> str:
    for dates in _DIGITS:
        if _most_fit(_is_date(word, dates) for word in digits):
            return dates
    low, high = _EPOCH_SECONDS
    for dates, unit in _EPOCHS:
        if _most_fit(low <= float(word) / unit <= high for word in digits):
            return dates
    return "excel" if _most_fit(_EXCEL[0] <= float(word) <= _EXCEL[1] for word in digits) else ""


def _most_fit(fits: Iterable[bool]) -> bool:
    """True if all fit except placeholders such as 0 or 99991231."""
    verdicts = list(fits)
    return sum(verdicts) >= _SHARE * len(verdicts)


def _is_date(word: str, dates: str) -> bool:
    found = try_time(word, ColumnFormat(dates=(dates,)))
    return found is not None and _YEARS[0] <= found.year <= _YEARS[1]
