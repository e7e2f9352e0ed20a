"""Number formats of a column: separators, currency, units, minus signs."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mlchassis.adoption.formats.overrides import ColumnOverrides
from mlchassis.adoption.formats.units import CURRENCIES, PROPORTIONS, SUFFIXES
from mlchassis.config.source_params import ColumnFormat
from mlchassis.contract.cells import APOSTROPHES, SPACES

_SPLIT = re.compile(
    r"(?P<head>\D*?)(?P<body>[.,]?\d(?:[\d.,'\u2019 \u00a0\u2009\u202f]*\d)?[.,]?"
    r"(?:[eE][+-]?\d+)?)(?P<tail>\D*)",
    re.ASCII,
)
_HEAD = re.compile(r"(?P<outer>[^+(\-\u2212]*)(?P<sign>[+\-\u2212]?)\s*(?P<inner>[^+(\-\u2212]*)")
_TAIL = re.compile(r"(?P<inner>[^+)\-]*?)\s*(?P<sign>[+-]?)\s*(?P<outer>[^+)\-]*)")
_CODE = re.compile(r"0[0-9]+")
_WHOLE = re.compile(r"[0-9]+")
_WHOLE_EXPONENT = re.compile(r"[0-9]+[eE][0-9]+")
_WESTERN = re.compile(r"[1-9]\d{0,2}(,\d{3})+")
_INDIAN = re.compile(r"[1-9]\d?(,\d{2})*,\d{3}")
_FLOAT_DIGITS = 15
"""Digits that a float holds for certain; longer whole numbers are identifiers."""
_CONVINCING = 3
"""So many different numbers without and with a mark show what the mark is."""
_INT64_DIGITS = 18
_RARE = 0.05
"""Proportion of a column's different numbers that may be written in another way than the rest."""

_POINTED = frozenset({"$", "£"})
"""Currencies of countries that write a decimal point."""

_MARK_NAMES = {".": "point", ",": "comma"}

Negative = Literal["minus", "parentheses", "trailing"]


@dataclass(frozen=True, slots=True)
class FormatCandidate:
    """A format that is one of several, with the question that settles it.

    Attributes:
        form: The format if the answer is yes.
        question: For somebody at a terminal.
        advice: For the list of decisions, where nobody answers.
    """

    form: ColumnFormat
    question: str
    advice: str


@dataclass(frozen=True, slots=True)
class NumberGuess:
    """Inferred number format of a column.

    Attributes:
        form: The format that is clearly right; None where none is.
        candidates: Formats of which somebody must choose one.
        note: Note on the format, for a person.
    """

    form: ColumnFormat | None
    candidates: tuple[FormatCandidate, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class NumberParts:
    """A number taken apart."""

    body: str
    prefix: str
    suffix: str
    negative: Negative


@dataclass(slots=True)
class Marks:
    """Possible meanings of the separators in a column's numbers.

    Attributes:
        decimal: Marks that are decimal marks for certain.
        thousands: Marks that group digits for certain.
        either: Marks that can be both wherever they stand, such as that of 1.440.
        indian: True if groups of two digits precede the last three.
        invalid: Numbers that are grouped oddly.
        small: Different whole numbers without any mark, below 1000.
        large: Those from 1000 on.
        numbers: All different numbers.
    """

    decimal: Counter[str] = field(default_factory=Counter)
    thousands: Counter[str] = field(default_factory=Counter)
    either: Counter[str] = field(default_factory=Counter)
    indian: bool = False
    invalid: int = 0
    small: int = 0
    large: int = 0
    numbers: int = 0

    @property
    def grouped(self) -> int:
        """Different numbers with a mark that can be both."""
        return self.either.total()

    def drop_contradictions(self) -> None:
        """Drop marks of a few numbers that contradict those of all others."""
        for one, other in ((self.decimal, self.decimal), (self.decimal, self.thousands)):
            for sign in [*one]:
                against = other.total() if one is other else other[sign]
                if one[sign] <= _RARE * against:
                    del one[sign]
        for sign in [*self.thousands]:
            if self.thousands[sign] <= _RARE * self.decimal[sign]:
                del self.thousands[sign]


def split_number(string: str) -> NumberParts | None:
    """A string as a number with what stands around its digits; None if it is none."""
    match = _SPLIT.fullmatch(string)
    if match is None:
        return None
    head, tail = match["head"].strip(), match["tail"].strip()
    negative: Negative = "minus"
    if "(" in head and ")" in tail:
        negative = "parentheses"
        head, tail = head.replace("(", "", 1), tail.replace(")", "", 1)
    before, after = _HEAD.fullmatch(head), _TAIL.fullmatch(tail)
    if before is None or after is None:
        return None
    if after["sign"]:
        negative = "trailing"
    prefix = f"{before['outer']}{before['inner']}".strip()
    suffix = f"{after['inner']}{after['outer']}".strip()
    return NumberParts(match["body"], prefix, suffix, negative)


def looks_like_number(string: str) -> bool:
    """True if a string is digits with at most a currency or a unit around them."""
    parts = split_number(string)
    if parts is None:
        return False
    marks = Marks()
    _read_marks(parts.body, marks)
    known = not parts.prefix or parts.prefix in CURRENCIES
    return known and (not parts.suffix or parts.suffix in SUFFIXES) and not marks.invalid


def find_code(strings: Sequence[str]) -> str:
    """Why whole numbers are codes rather than magnitudes; empty where nothing says so."""
    if any(string[:1] in "+-" for string in strings):
        return ""
    for string in strings:
        if _CODE.fullmatch(string):
            return f"'{string}' begins with a zero, as codes do"
    whole = [string for string in strings if _WHOLE.fullmatch(string)]
    exponents = [string for string in strings if _WHOLE_EXPONENT.fullmatch(string)]
    if whole and exponents and len(whole) + len(exponents) == len(strings):
        return f"'{exponents[0]}' among whole numbers is a code rather than a power of ten"
    lengths = {len(string) for string in whole}
    if len(whole) == len(strings) and lengths and max(lengths) > _FLOAT_DIGITS:
        if len(lengths) == 1:
            return f"all have {max(lengths)} digits, as identifiers do"
        if max(lengths) > _INT64_DIGITS:
            return f"up to {max(lengths)} digits are more than a number can hold exactly"
    return ""


def measure_marks(strings: Iterable[str]) -> Marks:
    """Return the possible meanings of the separators."""
    marks = Marks()
    for string in strings:
        parts = split_number(string)
        if parts is not None:
            marks.numbers += 1
            _read_marks(parts.body, marks)
    marks.drop_contradictions()
    return marks


def _read_marks(body: str, marks: Marks) -> None:
    mantissa, *exponent = re.split("[eE]", body)
    plain = "".join(" " if c in SPACES else "'" if c in APOSTROPHES else c for c in mantissa)
    signs = [c for c in plain if not c.isdigit()]
    kinds = list(dict.fromkeys(signs))
    if not kinds:
        marks.small += len(plain) <= 3
        marks.large += len(plain) > 3
    elif len(kinds) == 1 and len(signs) == 1 and kinds[0] in ".,":
        whole, _, fraction = plain.partition(kinds[0])
        # Nobody groups the digits before an exponent.
        if not exponent and len(fraction) == 3 and 1 <= len(whole) <= 3 and whole[0] != "0":
            marks.either[kinds[0]] += 1
        else:
            marks.decimal[kinds[0]] += 1
    elif len(kinds) == 1:
        _read_groups(plain, kinds[0], marks)
    elif len(kinds) == 2 and kinds[1] in ".," and signs.count(kinds[1]) == 1:
        marks.decimal[kinds[1]] += 1
        _read_groups(plain.rpartition(kinds[1])[0], kinds[0], marks)
    else:
        marks.invalid += 1


def _read_groups(whole: str, sign: str, marks: Marks) -> None:
    commas = whole.replace(sign, ",")
    if _WESTERN.fullmatch(commas):
        marks.thousands[sign] += 1
    elif _INDIAN.fullmatch(commas) and sign == ",":
        marks.thousands[sign] += 1
        marks.indian = True
    else:
        marks.invalid += 1


def guess_numbers(
    strings: Sequence[str],
    name: str,
    overrides: ColumnOverrides,
    decimal: str | None,
    delimiter: str,
) -> NumberGuess | None:
    """The format of a column's numbers.

    Args:
        strings: Its different strings, without those for a missing value.
        name: Of the column.
        overrides: Flags for the column.
        decimal: The decimal mark that the other columns of the table show, if they show one.
        delimiter: Between the cells of the table.

    Returns:
        None where the strings are not numbers in any format.
    """
    parts = [part for part in map(split_number, strings) if part is not None]
    if not parts:
        return None
    affixes = _choose_affixes(parts, name)
    if affixes is None:
        return None
    signs = Counter(part.negative for part in parts if part.negative != "minus")
    negative = signs.most_common(1)[0][0] if signs else "minus"
    base = ColumnFormat(affixes=affixes.affixes, negative=negative)
    marks = measure_marks(strings)
    if marks.invalid > _RARE * marks.numbers:
        return None
    guess = _choose_marks(base, marks, name, overrides, decimal, delimiter)
    if affixes.doubt and guess.form is not None:
        doubt = FormatCandidate(guess.form, affixes.question, affixes.doubt)
        return NumberGuess(None, (doubt,) if affixes.question else (), affixes.doubt)
    return guess


@dataclass(frozen=True, slots=True)
class _Affixes:
    affixes: tuple[str, ...]
    doubt: str = ""
    question: str = ""


def _choose_affixes(parts: Sequence[NumberParts], name: str) -> _Affixes | None:
    """Text around the numbers; None if they are names such as `Room 12`."""
    prefixes = Counter(part.prefix for part in parts if part.prefix)
    suffixes = Counter(part.suffix for part in parts if part.suffix)
    plain = sum(not (part.prefix or part.suffix) for part in parts)
    rare = int(_RARE * len(parts))
    prefixes = Counter({sign: n for sign, n in prefixes.items() if n > rare or sign in CURRENCIES})
    suffixes = Counter({sign: n for sign, n in suffixes.items() if n > rare or sign in SUFFIXES})
    if any(sign not in CURRENCIES for sign in prefixes):
        return None
    affixes = tuple(sorted({*prefixes, *suffixes}))
    unknown = [sign for sign in suffixes if sign not in SUFFIXES]
    if unknown:
        return _judge_unknown(unknown, affixes, parts, name)
    units = {SUFFIXES[sign] for sign in affixes}
    if len(units) > 1:
        listed = ", ".join(f"'{sign}'" for sign in affixes[:4])
        return _Affixes(
            affixes, f"holds numbers in several units ({listed}), left as text; {_USE_ONE_UNIT}"
        )
    if units & PROPORTIONS and plain > rare:
        sign = affixes[0]
        return _Affixes(
            affixes,
            f"holds numbers with and without '{sign}', left as text; write all in one form, or run "
            f"again with --number '{name}' if '{sign}' changes nothing",
            f"'{name}' holds numbers with and without '{sign}'. Does it make no difference?",
        )
    return _Affixes(affixes)


_USE_ONE_UNIT = "write them in one unit"


def _judge_unknown(
    unknown: Sequence[str], affixes: tuple[str, ...], parts: Sequence[NumberParts], name: str
) -> _Affixes | None:
    """A string behind all numbers may be a unit; several strings make names of them."""
    if len(unknown) > 1 or len(affixes) > 1 or len(unknown[0]) > 12:
        return None
    if sum(part.suffix == unknown[0] for part in parts) < 0.95 * len(parts):
        return None
    return _Affixes(
        affixes,
        f"looks like numbers with '{unknown[0]}', left as text; if it is a unit, run again with "
        f"--number '{name}'",
        f"'{name}' looks like numbers with the unit '{unknown[0]}'. Read them as numbers?",
    )


def _choose_marks(
    base: ColumnFormat,
    marks: Marks,
    name: str,
    overrides: ColumnOverrides,
    decimal: str | None,
    delimiter: str,
) -> NumberGuess:
    base = base.model_copy(update={"grouping": "indian"} if marks.indian else {})
    if overrides.decimal or overrides.thousands:
        return NumberGuess(_by_override(base, marks, overrides))
    point, groups = set(marks.decimal), set(marks.thousands)
    if point & groups or len(point) > 1:
        return NumberGuess(
            None,
            note="looks like numbers with different decimal marks, left as text; use one mark",
        )
    for sign in sorted({*marks.either} - point - groups):
        other = "," if sign == "." else "."
        if other in point:
            groups.add(sign)
        elif groups or other in marks.either:
            point.add(sign)
        else:
            return _judge_mark(base, sign, marks, name, decimal, delimiter)
    return NumberGuess(_with_marks(base, point, groups))


def _with_marks(base: ColumnFormat, point: set[str], groups: set[str]) -> ColumnFormat:
    used = sorted(groups, key=".,' ".find)
    default = "," if used[:1] == ["."] else "."
    return base.model_copy(
        update={
            "decimal": min(point) if point else default,
            "thousands": used[0] if used else None,
        }
    )


def _by_override(
    base: ColumnFormat, marks: Marks, overrides: ColumnOverrides
) -> ColumnFormat | None:
    """The marks that flags name; the other mark follows where only one is named."""
    decimal, thousands = overrides.decimal, overrides.thousands
    used = {*marks.thousands, *marks.either, *marks.decimal}
    if decimal is None:
        decimal = "," if thousands == "." else "."
    if thousands is None:
        rest = sorted(used - {decimal}, key=".,' ".find)
        thousands = rest[0] if rest else None
    if decimal == thousands:
        return None
    return base.model_copy(update={"decimal": decimal, "thousands": thousands})


def _judge_mark(
    base: ColumnFormat, sign: str, marks: Marks, name: str, decimal: str | None, delimiter: str
) -> NumberGuess:
    """Decide about a mark that always has three digits after it, by other columns and numbers."""
    as_decimal = _with_marks(base, {sign}, set())
    as_thousands = _with_marks(base, set(), {sign})
    other = "," if sign == "." else "."
    if decimal is not None and not marks.small + marks.large:
        return NumberGuess(as_decimal if decimal == sign else as_thousands)
    if decimal == other or _is_grouping(marks):
        return NumberGuess(as_thousands, note=f"the {_MARK_NAMES[sign]} groups thousands")
    if decimal == sign or marks.large >= _CONVINCING:
        return NumberGuess(as_decimal)
    currencies = [CURRENCIES[affix] for affix in base.affixes if affix in CURRENCIES]
    if currencies and sign == ",":
        return NumberGuess(as_thousands)
    with_point = not currencies or currencies[0] in _POINTED
    if sign == "." and delimiter != ";" and not marks.small and with_point:
        note = f"read with a decimal point; if it groups thousands, --thousands '{name}=.'"
        return NumberGuess(as_decimal, note=note)
    return _offer_both(sign, name, as_decimal, as_thousands)


def _is_grouping(marks: Marks) -> bool:
    """Return True if small whole numbers without the mark stand beside numbers with it.

    Of decimals with three digits one in ten would end with a zero and be shorter.
    """
    return marks.small >= _CONVINCING and marks.grouped >= _CONVINCING and not marks.large


def _offer_both(
    sign: str, name: str, as_decimal: ColumnFormat, as_thousands: ColumnFormat
) -> NumberGuess:
    """Leave the meaning of a mark to a person."""
    mark = _MARK_NAMES[sign]
    advice = (
        f"holds numbers whose {mark} can be a decimal mark or group thousands, left as text; run "
        f"again with --decimal '{name}={sign}' or --thousands '{name}={sign}'"
    )
    candidates = (
        FormatCandidate(as_thousands, f"'{name}': does the {mark} group thousands?", advice),
        FormatCandidate(as_decimal, f"'{name}': is the {mark} a decimal mark?", advice),
    )
    return NumberGuess(None, candidates, advice)
