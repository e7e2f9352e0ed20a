"""Meaning of one cell: the text of a table, a request or a query as a value of the contract's kind.

Every way in (ingest, batch scoring, CSV and JSON requests) reads text through this module, so a
cell means the same everywhere. It needs the standard library alone; the service imports it.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlchassis.config.source_params import ColumnFormat
    from mlchassis.contract.model import Kind

Cell = bool | int | float | str | datetime
"""The value of one cell; a missing one is None."""

MISSING_STRINGS = frozenset(
    {
        *("", "na", "n/a", "nan", "-nan", "null", "none", "nil", "?", "\\n", "<na>", "nat"),
        *("#na", "#n/a", "#n/a n/a", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
    }
)
"""Standard words for a missing value, in lower case; of every kind but string."""
TRUE_STRINGS = ("true", "yes", "y", "t", "on", "ja", "oui", "si", "sí", "sim", "tak")
"""Words that mean true unless the format declares others."""
FALSE_STRINGS = ("false", "no", "n", "f", "off", "nein", "non", "não", "nao", "nie")
"""Words that mean false unless the format declares others."""
TRUE_NUMBERS = ("1", "1.0")
FALSE_NUMBERS = ("0", "0.0")
SPACES = " \u00a0\u2009\u202f"
"""One separator of thousands, however wide."""
APOSTROPHES = "'\u2019"
"""One separator of thousands, however curved."""
JAVASCRIPT = "%a %b %d %Y %H:%M:%S GMT%z"
"""The date format of JavaScript's `Date.toString`, without the zone's name in parentheses."""
INT64 = (-(2**63), 2**63 - 1)
"""Smallest and largest integer that a table can hold."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_SECONDS = {
    "epoch_s": Decimal(1),
    "epoch_ms": Decimal("1e-3"),
    "epoch_us": Decimal("1e-6"),
    "epoch_ns": Decimal("1e-9"),
}
_EXCEL_START = datetime(1899, 12, 30)  # noqa: DTZ001 - Excel knows no zones
_EXCEL_DAYS = (61, 2_958_466)
"""From March 1900, since Excel counts a 29 February 1900, to the end of the year 9999."""
_NULL_OF_MYSQL = r"(?:(?<=^)|(?<={delimiter}))\\N(?={delimiter}|[\r\n]|$)"
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u2060\ufeff"))
_JOINERS = "\u200c\u200d"
"""They have a meaning between letters (Persian, Hindi, emoji), and none at either end."""
_PLAIN_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_ISO = re.compile(
    r"(?:[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?|[0-9]{8}|[0-9]{4}-?W[0-9]{2}-?[0-9])"
    r"(?:[T ][0-9:.,]+)?(?: ?[+-][0-9]{2}:?(?:[0-9]{2})?)?"
)
_UTC_WORD = re.compile(r"(?<=[0-9mM])\s*(?:UTC|GMT|Z)\Z", re.IGNORECASE)
_ZONE_NAME = re.compile(r"\s*\([^()]*\)")
_QUARTER = re.compile(r"([0-9]{4})[ -]?Q([1-4])|Q([1-4])[ -]?([0-9]{4})", re.IGNORECASE)
_JOINED_DIGITS = re.compile(r"%[YymdHMSIj]%[YymdHMSIj]")

_NUMBER_SHAPE = "[+-]?[0-9.]+(?:e[+-]?[0-9]+)?"
_TIME_SHAPES = {
    "ISO8601": r"[0-9][0-9TWZ:.,+ \-]*",
    "quarter": "[0-9Q -]+",
    "excel": _NUMBER_SHAPE,
    **dict.fromkeys(_EPOCH_SECONDS, _NUMBER_SHAPE),
}
_DIRECTIVE_SHAPES = {
    "%Y": "[0-9]{4}",
    "%y": "[0-9]{2}",
    "%f": "[0-9]{1,6}",
    **dict.fromkeys(("%d", "%m", "%H", "%I", "%M", "%S"), " ?[0-9]{1,2}"),
    **dict.fromkeys(("%a", "%A", "%b", "%B", "%p"), "[^0-9]+"),
}


def normalize_text(text: str) -> str:
    """Text in Unicode's composed form, without surrounding whitespace or invisible characters."""
    if text.isascii():
        return text.strip()
    bare = unicodedata.normalize("NFC", text.translate(_INVISIBLE))
    while (stripped := bare.strip().strip(_JOINERS)) != bare:
        bare = stripped
    return bare


def keep_escaped_null(lines: Iterable[str], delimiter: str, escape: str | None) -> Iterable[str]:
    r"""Lines of a table in which \N, MySQL's missing value, is not taken for an escaped N."""
    if escape != "\\":
        return lines
    pattern = _NULL_OF_MYSQL.format(delimiter=re.escape(delimiter))
    return (re.sub(pattern, r"\\\\N", line) for line in lines)


class CellParser:
    """Parser of the cells of one column.

    Attributes:
        kind: The contract's kind of the column.
        form: Format of the column's values.
    """

    def __init__(self, kind: "Kind", form: "ColumnFormat") -> None:
        self.kind = kind
        self.form = form
        self._declared = frozenset(map(normalize_text, form.missing))
        self._standard = frozenset() if kind == "string" else MISSING_STRINGS
        self._parse: Callable[[str], Cell] = _PARSERS[kind](form)

    def is_missing(self, text: str) -> bool:
        """True if normalized text stands for a missing value."""
        return not text or text in self._declared or text.lower() in self._standard

    def parse(self, text: str) -> Cell | None:
        """The value of a cell; None where it is missing.

        Raises:
            ValueError: The text is not a value of the column's kind. The message repeats no value.
        """
        bare = normalize_text(text)
        return None if self.is_missing(bare) else self._parse(bare)


def parse_cell(text: str, kind: "Kind", form: "ColumnFormat") -> Cell | None:
    """The value of a cell, as `CellParser.parse`; for callers that read single cells."""
    return _parser(kind, form).parse(text)


def is_naive_time(text: str, form: "ColumnFormat") -> bool:
    """True if text is a timestamp without a zone, which is read as UTC."""
    try:
        return read_time(normalize_text(text), form).tzinfo is None
    except ValueError:
        return False


@lru_cache(256)
def _parser(kind: "Kind", form: "ColumnFormat") -> CellParser:
    return CellParser(kind, form)


def _string_parser(_form: "ColumnFormat") -> Callable[[str], Cell]:
    return str


def _number_parser(form: "ColumnFormat") -> Callable[[str], Cell]:
    plain = number_text(form)

    def parse(text: str) -> float:
        if _INFINITE.fullmatch(text):
            return float(text)  # Whether it may be infinite is the contract's rule.
        return float(plain(text))

    return parse


def _integer_parser(form: "ColumnFormat") -> Callable[[str], Cell]:
    plain = number_text(form)

    def parse(text: str) -> int:
        return _exact_integer(plain(text))

    return parse


def _exact_integer(text: str) -> int:
    """A plain number as an integer.

    Raises:
        ValueError: It has a fraction, or a table cannot hold it.
    """
    try:
        number = Decimal(text)
    except ArithmeticError:  # Its exponent alone is beyond what a decimal may have.
        raise ValueError("is beyond the integers of 64 bits") from None
    # An exponent may promise more digits than there is memory for.
    if number and number.adjusted() > len(str(INT64[1])):
        raise ValueError("is beyond the integers of 64 bits")
    if number != number.to_integral_value():
        raise ValueError("is not an integer")
    if not INT64[0] <= (integer := int(number)) <= INT64[1]:
        raise ValueError("is beyond the integers of 64 bits")
    return integer


def number_text(form: "ColumnFormat") -> Callable[[str], str]:
    """Function from a number as the format writes it to one that `float` and `Decimal` read.

    The function raises ValueError where the text is not such a number.
    """
    if form.is_plain_number:
        return _plain_number
    signed = re.compile(_signed_pattern(form))
    enclosed = re.compile(_enclosed_pattern(form)) if form.negative == "parentheses" else None
    separators = str.maketrans("", "", _separators(form))

    def plain(text: str) -> str:
        text = text.replace("\u2212", "-")
        if enclosed is not None and (match := enclosed.fullmatch(text)):
            sign = "-"
        elif match := signed.fullmatch(text):
            sign = _one_sign(match["sign"], match["trailing"])
        else:
            raise ValueError("is not a number")
        return sign + match["number"].translate(separators).replace(form.decimal, ".")

    return plain


def _plain_number(text: str) -> str:
    text = text.replace("\u2212", "-")
    if _PLAIN_NUMBER.fullmatch(text) is None:
        raise ValueError("is not a number")
    return text


def _one_sign(leading: str, trailing: str) -> str:
    if leading and trailing:
        raise ValueError("is not a number: it has two signs")
    return leading or trailing


def _separators(form: "ColumnFormat") -> str:
    """Characters that may group digits; spaces and apostrophes do wherever anything does."""
    return "" if form.thousands is None else form.thousands + SPACES + APOSTROPHES


def _digits_pattern(form: "ColumnFormat") -> str:
    whole = "[0-9]+"
    if form.thousands is not None:
        gap = f"(?P<gap>[{re.escape(_separators(form))}])"
        # All separators of a number are one character, or a date would be a number.
        if form.grouping == "indian":
            grouped = f"[1-9][0-9]?{gap}(?:[0-9]{{2}}(?P=gap))*[0-9]{{3}}"
        else:
            grouped = f"[1-9][0-9]{{0,2}}{gap}[0-9]{{3}}(?:(?P=gap)[0-9]{{3}})*"
        whole = f"(?:{grouped}|{whole})"
    point = re.escape(form.decimal)
    return f"(?P<number>(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?)"


def _affix_patterns(form: "ColumnFormat") -> tuple[str, str]:
    """Patterns of what may stand before a number and after it."""
    if not form.affixes:
        return "", ""
    words = sorted(map(normalize_text, form.affixes), key=len, reverse=True)
    affix = f"(?:{'|'.join(map(re.escape, words))})"
    return rf"(?:{affix}\s*)?", rf"(?:\s*{affix})?"


def _signed_pattern(form: "ColumnFormat") -> str:
    before, after = _affix_patterns(form)
    space = r"\s*" if form.affixes else ""
    last = r"\s*(?P<trailing>[+-]?)" if form.negative == "trailing" else "(?P<trailing>)"
    number = _digits_pattern(form)
    return f"{before}(?P<sign>[+-]?){space}{before}{number}{after}{last}{after}"


def _enclosed_pattern(form: "ColumnFormat") -> str:
    before, after = _affix_patterns(form)
    return rf"{before}\(\s*{before}{_digits_pattern(form)}{after}\s*\){after}"


def _boolean_parser(form: "ColumnFormat") -> Callable[[str], Cell]:
    true = _words(form.true or (*TRUE_STRINGS, *TRUE_NUMBERS))
    false = _words(form.false or (*FALSE_STRINGS, *FALSE_NUMBERS))

    def parse(text: str) -> bool:
        word = text.casefold()
        if word not in true and word not in false:
            raise ValueError("is neither true nor false")
        return word in true

    return parse


def _words(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(normalize_text(word).casefold() for word in words)


def _time_parser(form: "ColumnFormat") -> Callable[[str], Cell]:
    def parse(text: str) -> datetime:
        time = read_time(text, form)
        if time.tzinfo is None:
            return time.replace(tzinfo=UTC)
        try:
            return time.astimezone(UTC)
        except OverflowError:
            raise ValueError("is beyond the years 1 to 9999 in UTC") from None

    return parse


def read_time(text: str, form: "ColumnFormat") -> datetime:
    """The time that normalized text means, without a zone where it names none.

    The first format that fits counts. Of zones' names only UTC, GMT and Z are read, since others
    (EST, IST) mean several zones each.

    Raises:
        ValueError: No format fits.
    """
    for date_format in form.dates or ("ISO8601",):
        try:
            return _read_format(text, date_format, form.newest_year)
        except (ValueError, ArithmeticError):
            continue
    raise ValueError("is not a time in a known format")


def time_pattern(form: "ColumnFormat") -> str:
    """Regular expression that every time in a column's formats matches, if it is plain ASCII.

    It uses nothing that RE2 lacks. Other text may match too.
    """
    shapes = [
        _TIME_SHAPES.get(name) or _strptime_shape(name) for name in form.dates or ("ISO8601",)
    ]
    return rf"(?i)^\s*(?:{'|'.join(shapes)})\s*(?:UTC|GMT|Z)?(?:\s*\([^()]*\))?\s*$"


def _strptime_shape(date_format: str) -> str:
    parts = re.split(r"(%.|\s+)", date_format)
    return "".join(_DIRECTIVE_SHAPES.get(part, _shape_of_part(part)) for part in parts)


def _shape_of_part(part: str) -> str:
    if part.startswith("%"):
        return ".*"
    return r"\s+" if part.isspace() else re.escape(part)


def _read_format(text: str, date_format: str, newest_year: int | None) -> datetime:
    if date_format in _SPECIAL_DATES:
        return _SPECIAL_DATES[date_format](text)
    if date_format in _EPOCH_SECONDS:
        return _read_epoch(text, _EPOCH_SECONDS[date_format])
    if date_format.endswith("GMT%z"):
        return datetime.strptime(_ZONE_NAME.sub("", text), date_format)  # noqa: DTZ007 - %z is
    bare = _UTC_WORD.sub("", text) if _ends_in_utc(text, date_format) else text
    time = datetime.strptime(bare, date_format)  # noqa: DTZ007 - a zone is set below, or is none
    # strptime takes 2024111 for 1 November.
    if _JOINED_DIGITS.search(date_format) and not _is_same(time.strftime(date_format), bare):
        raise ValueError("has digits missing")
    if newest_year is not None and "%y" in date_format:
        time = time.replace(year=newest_year - (newest_year - time.year) % 100)
    return time if bare is text else time.replace(tzinfo=UTC)


def _is_same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def _ends_in_utc(text: str, date_format: str) -> bool:
    return "%Z" not in date_format and text[-1:] in "zZcCtT" and bool(_UTC_WORD.search(text))


def _read_iso(text: str) -> datetime:
    # Fixed-width exports pad an hour of one digit with a second space.
    single_spaced = " ".join(text.split())
    bare = _UTC_WORD.sub("+00:00", single_spaced.replace("t", "T"))
    if _ISO.fullmatch(bare) is None:
        raise ValueError("is not ISO 8601")
    if len(bare) == len("2024-01"):
        bare += "-01"
    return datetime.fromisoformat(bare.replace(" +", "+").replace(" -", "-"))


def _read_epoch(text: str, unit: Decimal) -> datetime:
    if _PLAIN_NUMBER.fullmatch(text) is None:
        raise ValueError("is not a number")
    return _EPOCH + timedelta(microseconds=int(Decimal(text) * unit * 1_000_000))


def _read_excel(text: str) -> datetime:
    """A date as Excel's number of days; to the millisecond, which its fractions are good for."""
    if _PLAIN_NUMBER.fullmatch(text) is None:
        raise ValueError("is not a number")
    days = Decimal(text)
    if not _EXCEL_DAYS[0] <= days < _EXCEL_DAYS[1]:
        raise ValueError("is not a date of Excel")
    return _EXCEL_START + timedelta(milliseconds=round(days * 86_400_000))


def _read_quarter(text: str) -> datetime:
    """The first day of a quarter, such as 2024-Q1 or Q1 2024."""
    match = _QUARTER.fullmatch(text)
    if match is None:
        raise ValueError("is not a quarter")
    year = match[1] or match[4]
    quarter = match[2] or match[3]
    return datetime(int(year), 3 * int(quarter) - 2, 1)  # noqa: DTZ001 - none is written


_SPECIAL_DATES: Mapping[str, Callable[[str], datetime]] = {
    "ISO8601": _read_iso,
    "excel": _read_excel,
    "quarter": _read_quarter,
}
_PARSERS: Mapping[str, Callable[["ColumnFormat"], Callable[[str], Cell]]] = {
    "string": _string_parser,
    "number": _number_parser,
    "integer": _integer_parser,
    "boolean": _boolean_parser,
    "timestamp": _time_parser,
}
