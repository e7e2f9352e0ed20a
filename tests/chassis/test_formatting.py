"""Numbers are readable in any unit."""

import math

import pytest

from mlchassis.evaluation.bootstrap import Interval
from mlchassis.formatting import (
    format_interval,
    format_number,
    refine,
    spell_limited,
    spell_number,
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.71963, "0.7196"),
        (-0.0035, "-0.0035"),
        (0.0, "0.0000"),
        (-0.0, "0.0000"),
        (0.00001234, "1.2e-05"),
        (131.25, "131.2"),
        (66422855.2527, "66,422,855"),
        (-1234.5, "-1,234"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (1.25e300, "1.25e+300"),
    ],
)
def test_a_number_has_as_many_digits_as_people_need(value: float, shown: str) -> None:
    assert format_number(value) == shown


def test_an_interval_has_its_signs() -> None:
    gain = Interval(66422855.2, -41630501.1, 91770856.5)

    assert format_interval(gain, signed=True) == "+66,422,855 (-41,630,501 to +91,770,856)"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234.5, "1,234"),
        (0.71963, "0.7196"),
        (0.00123456, "0.001235"),
        (0.0002277, "0.00023"),
        (-0.00002277, "-0.000023"),
        (0.00009999, "0.0001"),
        (2.277e-8, "2.3e-08"),
        (1e-16, "0"),
        (-0.0, "0"),
        (float("nan"), "nan"),
        (-1.25e300, "-1.25e+300"),
    ],
)
def test_a_small_number_is_never_spelt_as_zero(value: float, shown: str) -> None:
    assert spell_number(value) == shown


@pytest.mark.parametrize(
    ("specification", "value", "limit", "shown"),
    [
        (".1%", 0.25, 0.2, ("25.0%", "20.0%")),
        (".1%", 0.21204, 0.212, ("21.204%", "21.200%")),
        (".4f", 0.05000001, 0.05, ("0.05000001", "0.05000000")),
        ("+.4f", -0.00001, 0.0, ("-0.00001", "+0.00000")),
        (",.0f", 5000.2, 5000, ("5,000.2", "5,000.0")),
        (".1e", 1.04e-5, 1e-5, ("1.04e-05", "1.00e-05")),
        (".3g", 0.2, 0.2, ("0.2", "0.2")),
        (".3f", math.inf, 0.2, ("inf", "0.200")),
        (".3f", math.nan, 0.2, ("nan", "0.200")),
        ("g", 0.21204, 0.212, ("0.21204", "0.212")),
    ],
)
def test_a_value_does_not_look_equal_to_a_limit_that_it_differs_from(
    specification: str, value: float, limit: float, shown: tuple[str, str]
) -> None:
    refined = refine(specification, value, limit)
    assert (format(value, refined), format(limit, refined)) == shown
    assert refined == refine(specification, limit, value)


def test_a_number_beside_its_limit_has_more_digits() -> None:
    assert format_number(0.05004, limit=0.05) == "0.05004"
    assert format_number(0.05004, signed=True, limit=0.05) == "+0.05004"
    assert format_number(0.7, limit=0.05) == "0.7000"
    assert spell_number(20.0004, 20) == "20.0004"
    assert spell_number(1234.6, 1235) == "1,234.6"
    assert spell_limited(0.00012341, 0.00012339) == ("0.00012341", "0.00012339")
    assert spell_limited(None, 0.5) == ("", "0.5")
