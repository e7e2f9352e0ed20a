"""Names of columns whose numbers are codes or categories."""

import re
from collections.abc import Sequence

_CODES = re.compile(
    r"(^|[\W_])(zip|zipcode|plz|postcode|postleitzahl|postal(_?code)?|cep|fips|sic|naics|isic|nace|"
    r"icd\d*|isbn|ean|gtin|upc|sku|bic|blz|phone|telephone|telefon|fax)($|[\W_\d])",
    re.IGNORECASE,
)
_CATEGORIES = re.compile(
    r"(^|[\W_])(code|category|categorie|kategorie|industry|branche|occupation|profession|beruf|"
    r"precinct|district|ward|region|sector|segment|department|dept|type|typ|kind|"
    r"channel|cluster|status|group|gruppe|family|brand|colou?r|"
    r"store|shop|branch|filiale|warehouse|lecturer|teacher|student|doctor|judge|driver)"
    r"($|[\W_]|[\W_]?(id|nr|no|code)$)",
    re.IGNORECASE,
)
_MAGNITUDE = re.compile(
    r"(^|[\W_])(number|num|n|count|anzahl|total|sum|size|share|rate|pct|percent|per|avg|mean|max|"
    r"min|price|cost|amount|age|score|rank|level|days|hours|of)($|[\W_])",
    re.IGNORECASE,
)
_JOINT = re.compile(r"(?<=[a-z\d])(?=[A-Z])")
_MIN_CATEGORIES = 3
_MIN_DIGITS = 5
"""Digits of codes that are recognized by their form alone; years have fewer."""
_EXTENDED = re.compile(r"(\d+)[-/ ]\d+")
"""Form of a code with a further group of digits, such as a ZIP+4 code."""


def is_named_as_magnitude(name: str) -> bool:
    """Return True for a name that amounts, counts and measures have."""
    return bool(_MAGNITUDE.search(name))


def find_mixed_codes(name: str, strings: Sequence[str]) -> str:
    """Describe strings of which some are digits and some have a further group of digits.

    Args:
        name: Of the column; a name of codes allows digits of several lengths.
        strings: Its different strings.

    Returns:
        The reason why they are codes; empty where they are not.
    """
    plain = [string for string in strings if string.isdigit()]
    extended = [match for string in strings if (match := _EXTENDED.fullmatch(string))]
    if not plain or not extended or len(plain) + len(extended) < len(strings):
        return ""
    lengths = {len(string) for string in (*plain, *(match[1] for match in extended))}
    same_length = len(lengths) == 1 and min(lengths) >= _MIN_DIGITS
    if not same_length and not _CODES.search(_JOINT.sub(" ", name)):
        return ""
    return (
        f"holds codes of several forms, such as '{plain[0]}' and '{extended[0][0]}': kept as text"
    )


def find_code_name(name: str, strings: Sequence[str], rows: int) -> str:
    """Why a column of whole numbers is named like a code; empty where it is not."""
    spaced = _JOINT.sub(" ", name)
    if not all(string.isdigit() for string in strings) or _MAGNITUDE.search(spaced):
        return ""
    if _CODES.search(spaced):
        return "it is named like a code"
    several = _MIN_CATEGORIES <= len(strings) <= rows / 2
    if several and _CATEGORIES.search(spaced):
        return "it is named like a category"
    return ""
