"""Columns about persons, recognized by their names and values: never certainly all of them."""

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from mlchassis.adoption.inference.models import InferredFormat

_SAMPLE_SIZE = 1000
"""Distinct values, or rows, that are examined."""
_MAJORITY = 0.5
_LARGE_MAJORITY = 0.8
_MIN_FIRST_NAMES = 0.1
_MIN_DISTINCT_PROPORTION = 0.2
"""Different values, as a proportion of the rows: names hardly repeat, cities do."""
_MIN_DISTINCT = 5
"""A column with fewer distinct values holds groups, not names."""
_PERSON_WORDS = (
    "user|full|nick|customer|client|patient|employee|passenger|student|teacher|driver|owner|contact|"
    "author|member|applicant|borrower|guest|holder|person|given|family|maiden|kunde[n]?|mitarbeiter"
)
_NAME = re.compile(
    rf"({_PERSON_WORDS}|first|last|middle|sur|fore|f|l)[\W_]*name|^(full[\W_]*)?names?$|vorname|nachname|"
    r"familienname|pr[eé]nom|apellido|cognome",
    re.IGNORECASE,
)
_ANY_NAME = re.compile(r"(full[\W_]*)?names?", re.IGNORECASE)
_PART_OF_NAME = re.compile(
    r"(first|last|middle|sur|given|family|forename|initials?|nom|nombre|fname|lname)", re.IGNORECASE
)
_OTHER_NAME = re.compile(
    r"e-?mail|phone|mobile|telefon|^tel$|^fax$|msisdn|street|address|adresse|strasse|straße|\bssn\b|"
    r"social.?security|iban|passport|\bip\b|ip.?addr|licen[cs]e.?plate|credit.?card|card.?number|"
    r"tax.?id|national.?id|sozialversicherung|steuer.?id",
    re.IGNORECASE,
)
_BIRTH_NAME = re.compile(
    r"(^|[\W_])(dob|born|birth|birthday|birthdate|geb|geboren)($|[\W_]*(on|at|am|date|day|datum|dt)?$)|"
    r"birth[\W_]*(day|date|dt|year|place|name)|(date|day|year|place)[\W_]*of[\W_]*birth|"
    r"geburt(s?[\W_]*(tag|datum|jahr|ort|name))?$|naissance|nacimiento|nascita",
    re.IGNORECASE,
)
_VALUES = {
    "e-mail addresses": re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}"),
    "telephone numbers": re.compile(
        r"(\+|00)\d[\d ()/.-]{6,}|\(?\d{3,5}\)?[ /.-]\d{3,4}[ .-]?\d{3,}"
    ),
    "IBANs": re.compile(r"[A-Z]{2}\d{2}[A-Z0-9 ]{11,30}"),
    "social security numbers": re.compile(r"\d{3}-\d{2}-\d{4}"),
    "IP addresses": re.compile(r"(\d{1,3}\.){3}\d{1,3}|([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}"),
}
_TITLE = re.compile(
    r"(^|[\s,])(mr|mrs|ms|miss|dr|prof|herr|frau|mme|mlle|sr|sra)(\.\s|\s)", re.IGNORECASE
)
_WORDS = re.compile(r"[^\W\d_]+")
_FULL_NAME = re.compile(r"[^\W\d_][\w.'\u2019-]*(,? [^\W\d_][\w.'\u2019-]*){1,3}")
_FIRST_NAMES_TEXT = """
aaron adam adrian ahmed alan albert alejandro alex alexander ali alice amanda amy ana andrea
andrew andrzej angela ann anna anne anthony antonio barbara benjamin betty brandon brian carlos
carol catherine charles charlotte chris christian christine christopher daniel daniela david
deborah dennis diana diego donald donna dorothy edward elena elizabeth ella emily emma eric eva
fatima francesco frank gary george giulia giuseppe grace gregory hannah hans heather helen henry
ibrahim ivan jack jacob james jan jane jason jean jeffrey jennifer jessica joan john jonathan
jorge jose joseph joshua juan julia justin karen katarzyna katherine kathleen kenneth kevin kim
larry laura lauren li linda lisa louis lucas luis luisa magdalena marcus margaret maria marie
mario mark marta martin mary matthew megan melissa michael michelle miguel mohamed mohammed
monika nancy natalie nicholas nicole nina olga olivia omar pamela patricia patrick paul pedro
peter philip pierre piotr rachel raj ralph raymond rebecca richard robert roger ronald rosa roy
ruth ryan samantha samuel sandra sara sarah scott sean sergey sharon sofia sophia sophie stefan
stephanie stephen steven susan teresa thomas timothy tom tyler victor victoria vincent virginia
walter wei william yusuf zoe
"""
_FIRST_NAMES = frozenset(_FIRST_NAMES_TEXT.split())
"""Common ones of many countries: some of them are in any list of persons."""


def find_personal_columns(
    table: pd.DataFrame, formats_by_column: Mapping[str, InferredFormat]
) -> dict[str, str]:
    """Why a column seems to be about a person, for each that does.

    Args:
        table: Columns as they were read.
        formats_by_column: Inferred format of each column.
    """
    reasons = {}
    for name, inferred in formats_by_column.items():
        present = table[name].dropna()
        reason = _recognize(name, str(inferred.kind), present) if len(present) else ""
        if reason:
            reasons[name] = reason
    return reasons | _find_parts(table, formats_by_column, reasons)


def _recognize(name: str, kind: str, present: "pd.Series[Any]") -> str:
    if _BIRTH_NAME.search(_split_humps(name)):
        return "its name sounds like a date of birth"
    if _OTHER_NAME.search(name) and kind != "boolean":
        return "its name sounds like a person's"
    if kind != "string":
        return ""
    distinct = present.drop_duplicates().head(_SAMPLE_SIZE)
    if _NAME.search(name):
        return "its name sounds like a person's"
    if _PART_OF_NAME.fullmatch(name) and _are_names(distinct):
        return "its name sounds like a part of a person's name"
    for what, pattern in _VALUES.items():
        if distinct.map(pattern.fullmatch).notna().mean() > _MAJORITY:
            return f"it holds {what}"
    return "it holds names of persons" if _are_full_names(present) else ""


def _split_humps(name: str) -> str:
    """A name such as birthDate as birth_Date."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)


def _are_names(distinct: "pd.Series[Any]") -> bool:
    """True if values consist of letters and are too many for groups."""
    letters = distinct.map(
        lambda word: bool(re.fullmatch(r"[^\W\d_]+([ .'\u2019-]+[^\W\d_]*)*", word))
    )
    return len(distinct) >= _MIN_DISTINCT and bool(letters.mean() > _LARGE_MAJORITY)


def _are_full_names(present: "pd.Series[Any]") -> bool:
    """True if values have a title, or the form of a name with first names among them."""
    distinct = present.drop_duplicates()
    if len(distinct) < max(2 * _MIN_DISTINCT, _MIN_DISTINCT_PROPORTION * len(present)):
        return False
    distinct = distinct.head(_SAMPLE_SIZE)
    if distinct.map(lambda word: bool(_TITLE.search(word))).mean() > _MAJORITY:
        return True
    formed = distinct.map(lambda word: bool(_FULL_NAME.fullmatch(word))).mean() > _LARGE_MAJORITY
    first = (
        distinct.map(lambda word: not _FIRST_NAMES.isdisjoint(_list_words(word))).mean()
        > _MIN_FIRST_NAMES
    )
    return bool(formed and first)


def _list_words(text: str) -> list[str]:
    return [word.casefold() for word in _WORDS.findall(text)]


def _find_parts(
    table: pd.DataFrame, formats_by_column: Mapping[str, InferredFormat], reasons: Mapping[str, str]
) -> dict[str, str]:
    """Columns whose words stand in those of a found column, row by row, or hold them."""
    words = [name for name, inferred in formats_by_column.items() if inferred.kind == "string"]
    names = [name for name in words if name in reasons and _holds_names(name, table[name])]
    parts = {}
    for name in words:
        for whole in names:
            if name not in reasons and _share_words(table[name], table[whole]) > _LARGE_MAJORITY:
                parts[name] = f"it shares its words with '{whole}', which names persons"
    return parts


def _holds_names(name: str, values: "pd.Series[Any]") -> bool:
    """True if a column holds names of persons; `name` alone may hold products, too."""
    present = values.dropna()
    by_name = _NAME.search(name) and not _ANY_NAME.fullmatch(name)
    return bool(by_name) or _are_full_names(present)


def _share_words(one: "pd.Series[Any]", other: "pd.Series[Any]") -> float:
    """Proportion of the rows in which all words of one value stand in the other one."""
    both = pd.DataFrame({"one": one, "other": other}).dropna().head(_SAMPLE_SIZE)
    if len(both) < _MIN_DISTINCT or both["one"].nunique() < _MIN_DISTINCT:
        return 0.0
    shared = [
        _is_part(_list_words(left), _list_words(right))
        for left, right in zip(both["one"], both["other"], strict=True)
    ]
    return sum(shared) / len(shared)


def _is_part(one: list[str], other: list[str]) -> bool:
    return bool(one and other) and (set(one) <= set(other) or set(other) <= set(one))
