"""Settings that follow a table which has grown or shrunk since they were chosen."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mlchassis.adoption.defaults import (
    Setting,
    choose_max_staleness,
    choose_min_category_count,
    explain_min_rows,
    read_setting,
    size_judgement,
)
from mlchassis.adoption.split_choice import choose_min_rows
from mlchassis.config.params import Params

_OTHER_SIZE = 2.0
"""Ratio of the numbers of test rows from which on settings follow; less is not worth a change."""
_TEST_ROWS = re.compile(r"^  min_slice_rows: .*#.* of ([\d,]+) test rows", re.MULTILINE)
_ROWS = re.compile(r"^  min_rows: .*# .*half of what ([\d,]+) rows should give", re.MULTILINE)
_STALENESS = re.compile(
    r"^  max_staleness_days: .*; ([\d,]+) days in the table as adopted", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class TableSize:
    """Size of a table as it is now.

    Attributes:
        rows: Rows with an outcome.
        validation: Those of the validation split.
        test: Those of the test split.
    """

    rows: int
    validation: int
    test: int


def adapt_to_size(
    text: str, current: Params, size: TableSize, drafted: Mapping[str, Setting]
) -> dict[str, Setting]:
    """Settings for a table of another size, where nobody has changed what was chosen.

    Args:
        text: `params.yaml`, whose comments name the sizes that settings were chosen for.
        current: Current content.
        size: Size of the table now.
        drafted: Settings that the table alone would get.

    Returns:
        The settings that follow, by their dotted names; empty where the size is about the same.
    """
    before = _read_count(_TEST_ROWS, text)
    if before is None or max(before, size.test) < _OTHER_SIZE * min(before, size.test):
        return {}
    values = current.model_dump(by_alias=True)
    chosen = _list_chosen(text, before)
    return {
        name: setting
        for name, setting in _list_adapted(size, drafted).items()
        if name in chosen and read_setting(values, name) == chosen[name]
    }


def _list_chosen(text: str, test_rows: int) -> dict[str, object]:
    """Values that were chosen for the sizes in the comments, by their dotted names."""
    chosen: dict[str, object] = {
        name: setting[0] for name, setting in size_judgement(test_rows).items()
    }
    rows = _read_count(_ROWS, text)
    if rows is not None:
        chosen["split.min_rows"] = choose_min_rows(rows)
        chosen["train.min_category_count"] = choose_min_category_count(rows)
    age = _read_count(_STALENESS, text)
    if age is not None:
        chosen["judge.max_staleness_days"] = choose_max_staleness(age)
    return chosen


def _list_adapted(size: TableSize, drafted: Mapping[str, Setting]) -> dict[str, Setting]:
    """Settings that may follow, for the size of the table now."""
    # The split that is there stays, so its parts must keep enough rows.
    least = min(choose_min_rows(size.rows), min(size.validation, size.test) // 2)
    return {
        **size_judgement(size.test),
        "split.min_rows": explain_min_rows(least, size.rows),
        "train.min_category_count": drafted["train.min_category_count"],
        "judge.max_staleness_days": drafted["judge.max_staleness_days"],
    }


def _read_count(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    return int(match[1].replace(",", "")) if match else None


def note_adaptation(followed: Mapping[str, Setting], current: Params, held_out: int) -> list[str]:
    """Name the settings that follow the size, and the command for those of training."""
    if not followed:
        return []
    values = current.model_dump(by_alias=True)
    changes = ", ".join(
        f"{name} {read_setting(values, name)} → {setting[0]}"
        for name, setting in followed.items()
        if setting[0] != read_setting(values, name)
    )
    line = (
        f"params.yaml follows the size of the table ({held_out:,} test rows): "
        f"{changes or 'no value had to change'}; settings of training stay, and `make study "
        "ONLY=presets APPLY=1` tries them again"
    )
    return [line]
