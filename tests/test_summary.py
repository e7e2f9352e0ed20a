"""The summary of the long tests shows what a part took and whether it failed."""

import contextlib
import re

from summary import Parts


def test_a_part_that_failed_is_among_the_lines() -> None:
    parts = Parts()
    with parts.measure("setup"):
        pass
    with contextlib.suppress(ValueError), parts.measure("tests"):
        raise ValueError
    done, failed = parts.lines
    assert re.fullmatch(r"setup: \d+\.\d s", done)
    assert re.fullmatch(r"tests: failed after \d+\.\d s", failed)
