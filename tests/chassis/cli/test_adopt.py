"""Flags of `adopt` on their way to the options of the adoption."""

from dataclasses import fields, replace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from mlchassis.adoption.formats.detect_source import DataLocation
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.cli.adopt import AdoptFlags, with_adopt_flags

PLAIN = AdoptFlags("orders.csv", "returned")
FORMATS = ("decimal", "thousands", "text", "number", "missing", "date_format", "newest_year")
REPEATED = {"feature", "leakage", "pii", *FORMATS}
"""Flags that may stand several times."""


@pytest.mark.parametrize("name", [field.name for field in fields(AdoptFlags)])
def test_every_flag_changes_the_options(name: str) -> None:
    value: Any = ["weight"] if name in REPEATED else "binary"
    if isinstance(getattr(PLAIN, name), bool):
        value = True

    changed = replace(PLAIN, **{name: value})

    assert changed.to_options() != PLAIN.to_options()


def test_the_command_line_fills_the_flags() -> None:
    seen: list[AdoptFlags] = []
    app = typer.Typer()
    app.command()(with_adopt_flags(seen.append))
    words = ["orders.csv", "returned", "--event-time", "ordered", "--category", "zip", "--yes"]

    done = CliRunner().invoke(app, [*words, "--text", "city", "--month-first"])

    assert done.exit_code == 0, done.output
    (flags,) = seen
    options = flags.to_options()
    assert options.location == DataLocation("orders.csv")
    assert options.overrides.event_time == "ordered"
    assert options.formats.text == frozenset({"zip", "city"})
    assert options.agreed
    assert not options.day_first


def test_flags_left_out_are_the_defaults_of_the_options() -> None:
    plain: Any = PLAIN.to_options()

    assert plain == AdoptionOptions(plain.location, plain.overrides)
