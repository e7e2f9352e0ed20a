"""Settings that follow a table which has grown or shrunk since they were chosen."""

import re
from collections.abc import Mapping

from mlchassis.adoption.defaults import Setting, read_setting, size_judgement
from mlchassis.config.params import Params

_OTHER_SIZE = 2.0
"""Ratio of the numbers of test rows from which on settings follow; less is not worth a change."""
_TEST_ROWS = re.compile(r"^  min_slice_rows: .*#.* of ([\d,]+) test rows", re.MULTILINE)


def follow_size(text: str, current: Params, held_out: int) -> dict[str, Setting]:
    """Settings for another number of test rows, where nobody has changed what was chosen.

    Args:
        text: `params.yaml`, whose comments name the number of test rows that it was chosen for.
        current: Current content.
        held_out: Rows of the test data now.

    Returns:
        The settings that follow, by their dotted names; empty where the size is about the same.
    """
    found = _TEST_ROWS.search(text)
    if found is None:
        return {}
    before = int(found[1].replace(",", ""))
    if max(before, held_out) < _OTHER_SIZE * min(before, held_out):
        return {}
    values, chosen = current.model_dump(by_alias=True), size_judgement(before)
    return {
        name: setting
        for name, setting in size_judgement(held_out).items()
        if read_setting(values, name) == chosen[name][0]
    }


def note_size(followed: Mapping[str, Setting], current: Params, held_out: int) -> list[str]:
    """Name the settings that follow the size, and how those of training may."""
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
