"""Numbers are readable in any unit."""

import pytest

from mlchassis.evaluation.bootstrap import Interval
from mlchassis.formatting import format_interval, format_number


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.71963, "0.7196"),
        (-0.0035, "-0.0035"),
        (0.0, "0.0000"),
        (0.00001234, "1.2e-05"),
        (131.25, "131.2"),
        (66422855.2527, "66,422,855"),
        (-1234.5, "-1,234"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_a_number_has_as_many_digits_as_people_need(value: float, shown: str) -> None:
    assert format_number(value) == shown


def test_an_interval_has_its_signs() -> None:
    gain = Interval(66422855.2, -41630501.1, 91770856.5)

    assert format_interval(gain, signed=True) == "+66,422,855 (-41,630,501 to +91,770,856)"
