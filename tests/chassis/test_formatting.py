"""Numbers are readable in any unit."""

import pytest

from mlchassis.evaluation.bootstrap import Interval
from mlchassis.formatting import format_interval, format_number, spell_number


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
