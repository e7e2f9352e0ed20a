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
    r"channel|cluster|status|group|gruppe|family|brand|color|colour|"
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
_LEAST_CATEGORIES = 3


def is_named_as_magnitude(name: str) -> bool:
    """Return True for a name that amounts, counts and measures have."""
    return bool(_MAGNITUDE.search(name))


def find_code_name(name: str, words: Sequence[str], rows: int) -> str:
    """Why a column of whole numbers is named like a code; empty where it is not."""
    spaced = _JOINT.sub(" ", name)
    if not all(word.isdigit() for word in words) or _MAGNITUDE.search(spaced):
        return ""
    if _CODES.search(spaced):
        return "it is named like a code"
    several = _LEAST_CATEGORIES <= len(words) <= rows / 2
    if several and _CATEGORIES.search(spaced):
        return "it is named like a category"
    return ""
