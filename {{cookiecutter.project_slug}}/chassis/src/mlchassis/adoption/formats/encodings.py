"""Character encoding of a file without a byte order mark, by the words that it decodes to.

UTF-8 and UTF-16 are recognized by their own rules. Any other file decodes in many encodings; the
cost of each is the number of bits of its words under the letter frequencies of its languages, so
that "München" is cheap, while "MЁnchen" and "M▒nchen" are expensive.
"""

import codecs
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from mlchassis.adoption.formats.alphabets import ENCODINGS, Encoding
from mlchassis.errors import ProjectError
from mlchassis.sources.delimited import open_packed

_BLOCK = 1 << 20
_BOMS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_MAX_WORDS = 500
"""Distinct words that are examined; more show nothing new."""
_MARGIN = 6.0
"""Bits by which the best encoding must be cheaper than the next that gives other words."""
_PLAUSIBLE = 8.0
"""Bits per letter beyond a to z that words of a real language stay below."""
_MAX_SHOWN = 5
_ENDINGS = re.compile(rb'[\s,;"]+')
_MULTI_BYTE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_FOREIGN = re.compile(rb"[\x80-\xff]")
_UNITS = "€£¥°µ§±"
_MARKS = "\u2013\u2014\u2018\u2019\u201c\u201d„«»…·•²³½¼¾®©™¿¡\u00a0º\u00aa¢" + _UNITS
"""Signs that stand at the edge of words or beside digits in any language."""

_STRANGE_SIGN = 16.0
_STRANGE_LETTER = 11.0
_MARK_AT_EDGE = 6.0
_UNIT_AT_NUMBER = 3.0
_MARK_INSIDE = 14.0
_WRONG_CASE = 8.0
_MIXED_SCRIPT = 6.0
_LONE_LETTER = 4.0
_COMMON_IDEOGRAPH = 8.5
_ORDINARY_IDEOGRAPH = 12.5
_KANA = 7.0
_HALF_WIDTH = 9.0


@dataclass(frozen=True, slots=True)
class FileEncoding:
    """Detected encoding of a file.

    Attributes:
        name: Name of its codec in Python.
        words: Some decoded words with letters beyond a to z.
        others: Encodings that are nearly as likely, each with decoded words; empty where one is
            clearly right.
    """

    name: str
    words: tuple[str, ...] = ()
    others: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def certain(self) -> bool:
        """True if one encoding is clearly right."""
        return not self.others


def detect_encodings(files: Sequence[Path]) -> FileEncoding:
    """Detect the one encoding of all CSV files of a table.

    Raises:
        ProjectError: A file is UTF-8 except for some bytes, or files differ in their encoding.
    """
    unicode = {file: _detect_unicode(file) for file in files}
    others = [file for file, name in unicode.items() if name is None]
    marked = {name: file for file, name in unicode.items() if name and name != "ascii"}
    if others and marked:
        name, file = next(iter(marked.items()))
        raise ProjectError(
            f"{file.name} is {name}, and {others[0].name} is not; write both in one encoding, "
            "since a folder holds the files of one table."
        )
    if not others:
        return _agree(marked)
    words: dict[bytes, None] = {}
    for file in others:
        words |= dict.fromkeys(_collect_words(file))
    return rank_encodings(list(words), others)


def _agree(marked: Mapping[str, Path]) -> FileEncoding:
    names = sorted(marked)
    if len(names) > 1:
        first, second = names[:2]
        raise ProjectError(
            f"{marked[first].name} is {first}, and {marked[second].name} is {second}; write both "
            "in one encoding, since a folder holds the files of one table."
        )
    return FileEncoding(names[0] if names else "utf-8-sig")


def _detect_unicode(path: Path) -> str | None:
    """Return the Unicode encoding of a file; "ascii" where any of them works; or None.

    Raises:
        ProjectError: It is UTF-8 except for some bytes.
    """
    with open_packed(path) as stream:
        head = stream.read(4096)
    for mark, name in _BOMS.items():
        if head.startswith(mark):
            return name
    if without_mark := find_utf16(head):
        return without_mark
    if find_invalid_line(path, "ascii") is None:
        return "ascii"
    if find_invalid_line(path, "utf-8-sig") is None:
        return "utf-8-sig"
    _check_nearly_utf8(path)
    return None


def describe_encoding(files: Sequence[Path], name: str) -> FileEncoding:
    """Return a known encoding, with decoded words of the files."""
    words: list[bytes] = []
    if not codecs.lookup(name).name.startswith("utf"):
        words = [word for file in files for word in _collect_words(file)]
    return FileEncoding(name, tuple(_decode(words, name)[:_MAX_SHOWN]))


def check_encoding(path: Path, name: str) -> None:
    """Refuse an encoding that a file is not valid in.

    Raises:
        ProjectError: Python does not know it, or a line cannot be decoded.
    """
    try:
        codecs.lookup(name)
    except LookupError:
        raise ProjectError(
            f"--encoding is '{name}', which is not known; write one such as utf-8, cp1252, "
            "cp1251, latin-1 or shift_jis."
        ) from None
    line = find_invalid_line(path, name)
    if line is not None:
        raise ProjectError(
            f"{path.name} is not valid in --encoding {name}: line {line} cannot be decoded; name "
            "another encoding, or correct the line."
        )


def find_invalid_line(path: Path, encoding: str) -> int | None:
    """Number of the first line that cannot be decoded, or None."""
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 1
    with open_packed(path) as stream:
        for block in iter(lambda: stream.read(_BLOCK), b""):
            try:
                lines += decoder.decode(block).count("\n")
            except UnicodeDecodeError as error:
                return lines + error.object[: error.start].count(b"\n")
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return lines
    return None


def rank_encodings(words: list[bytes], files: Sequence[Path] = ()) -> FileEncoding:
    """Return the encoding in which words are cheapest, with those that come close.

    Args:
        words: Different words with bytes beyond ASCII.
        files: The files that must be valid in it as a whole.
    """
    letters = sum(len(_FOREIGN.findall(word)) for word in words)
    close: list[_Priced] = []
    for priced in sorted(_price_all(words), key=lambda one: one.cost):
        if close and _is_far(priced, close[0], letters):
            break
        repeated = any(priced.texts == one.texts for one in close)
        if not repeated and _is_valid(files, priced.name):
            close.append(priced)
    best, *others = close
    return FileEncoding(best.name, best.shown, tuple((one.name, one.shown) for one in others[:4]))


def _is_valid(files: Sequence[Path], name: str) -> bool:
    return all(find_invalid_line(file, name) is None for file in files)


def _decode(words: Sequence[bytes], name: str) -> tuple[str, ...]:
    return tuple(word.decode(name, errors="replace") for word in words)


@dataclass(frozen=True, slots=True)
class _Priced:
    """The words of a file in one encoding, and how many bits they take."""

    name: str
    cost: float
    rarity: float
    texts: tuple[str, ...]

    @property
    def shown(self) -> tuple[str, ...]:
        return self.texts[:_MAX_SHOWN]


def _is_far(priced: _Priced, best: _Priced, letters: int) -> bool:
    """True if an encoding is too unlikely to be offered beside the best one."""
    likely = best.cost - best.rarity <= _PLAUSIBLE * letters
    return likely and priced.cost - best.cost >= _MARGIN


def _price_all(words: list[bytes]) -> Iterator[_Priced]:
    for encoding in ENCODINGS:
        try:
            texts = tuple(word.decode(encoding.name) for word in words)
        except UnicodeDecodeError:
            continue
        cost = encoding.rarity + _price(texts, encoding)
        yield _Priced(encoding.name, cost, encoding.rarity, texts)
    # The last resort: it decodes any file, some bytes as control characters.
    texts = tuple(word.decode("latin-1") for word in words)
    yield _Priced("latin-1", 2 * _STRANGE_SIGN * sum(map(len, words)), 0.0, texts)


def _price(texts: tuple[str, ...], encoding: Encoding) -> float:
    """Bits that texts take in the best of an encoding's languages."""
    if encoding.ideographs:
        return sum(_price_ideographs(text, encoding) for text in texts)
    first_letter = next(iter(encoding.languages.values()))[0][0]
    latin = first_letter < "\u0250"
    shape = sum(_price_shape(text, latin=latin) for text in texts)
    costs = (
        rarity + sum(_price_letters(text, _price_alphabet(letters)) for text in texts)
        for letters, rarity in encoding.languages.values()
    )
    return shape + min(costs)


@cache
def _price_alphabet(letters: str) -> Mapping[str, float]:
    """Bits for each letter, by a law of frequencies that falls with the rank."""
    weights = [1 / (rank + 2 + len(letters) / 8) for rank in range(len(letters))]
    total = sum(weights)
    return {
        letter: -math.log2(weight / total) for letter, weight in zip(letters, weights, strict=True)
    }


def _price_letters(text: str, prices: Mapping[str, float]) -> float:
    cost = 0.0
    for position, sign in enumerate(text):
        if sign.isascii():
            continue
        lower = sign.lower() if sign != "\u0130" else "\u0131"
        if lower in prices:
            cost += prices[lower]
        elif sign in _MARKS:
            cost += _price_mark(text, position)
        elif sign.isalpha():
            cost += _STRANGE_LETTER
        else:
            cost += _STRANGE_SIGN
    return cost


def _price_mark(text: str, position: int) -> float:
    sides = (text[position - 1 : position] if position else "", text[position + 1 : position + 2])
    if text[position] in _UNITS and not sides[0].isalpha():
        return _UNIT_AT_NUMBER
    if all(side.isalpha() for side in sides):
        return _UNIT_AT_NUMBER if text[position] == "\u2019" else _MARK_INSIDE
    return _MARK_AT_EDGE


def _price_shape(text: str, *, latin: bool) -> float:
    """Bits for a small letter before a capital, two scripts in a word, a letter at a digit."""
    cost = 0.0
    for before, sign in pairwise(text):
        foreign = not (before.isascii() and sign.isascii())
        if foreign and before.islower() and sign.isupper():
            cost += _WRONG_CASE
        mixed = before.isalpha() and sign.isalpha() and before.isascii() != sign.isascii()
        beside_digit = foreign and before.isalpha() and sign.isdigit()
        if (mixed and not latin) or beside_digit:
            cost += _MIXED_SCRIPT
    letters = [sign for sign in text if sign.isalpha()]
    return cost + (_LONE_LETTER if len(letters) == 1 and letters[0] == text else 0.0)


def _price_ideographs(text: str, encoding: Encoding) -> float:
    cost = 0.0
    for sign in text:
        if sign.isascii():
            continue
        if sign in encoding.ideographs:
            cost += _COMMON_IDEOGRAPH
        elif "\u3040" <= sign <= "\u30ff" and encoding.name in ("cp932", "euc_jp"):
            cost += _KANA
        elif "\uff61" <= sign <= "\uff9f":
            cost += _HALF_WIDTH
        else:
            cost += _ORDINARY_IDEOGRAPH if _is_ordinary(sign, encoding) else 2 * _STRANGE_LETTER
    return cost


def _is_ordinary(sign: str, encoding: Encoding) -> bool:
    """True if a character is of the first level of its national standard."""
    if encoding.level is None or not sign.isalpha():
        return False
    narrower, first, last = encoding.level
    try:
        return first <= sign.encode(narrower)[0] <= last
    except UnicodeEncodeError:
        return False


def find_utf16(head: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of plain letters is zero."""
    even = head[0::2].count(0)
    odd = head[1::2].count(0)
    half = len(head) // 2
    if half and odd > 0.5 * half and even < 0.05 * half:
        return "utf-16-le"
    if half and even > 0.5 * half and odd < 0.05 * half:
        return "utf-16-be"
    return None


def _check_nearly_utf8(path: Path) -> None:
    """Refuse a file that is UTF-8 in most places: no encoding reads all of it."""
    valid = 0
    invalid = 0
    with open_packed(path) as stream:
        for line in stream:
            rest = _MULTI_BYTE.sub(b"", line)
            valid += len(_MULTI_BYTE.findall(line))
            invalid += len(_FOREIGN.findall(rest))
    if invalid and valid >= invalid / 2:
        first = find_invalid_line(path, "utf-8-sig")
        raise ProjectError(
            f"{path.name} is UTF-8 except for {invalid} bytes, the first of them in line {first}; "
            "correct those lines, or name the encoding of the whole file with --encoding, such as "
            "--encoding cp1252."
        )


def _collect_words(path: Path) -> list[bytes]:
    words: dict[bytes, None] = {}
    with open_packed(path) as stream:
        for line in stream:
            if line.isascii():
                continue
            for word in _ENDINGS.split(line):
                if not word.isascii():
                    words[word] = None
            if len(words) >= _MAX_WORDS:
                break
    return list(words)[:_MAX_WORDS]
