"""Choice of the first month and of the days to play."""

from datetime import date

import pytest

from mlchassis.config.params import Params
from mlchassis.errors import ProjectError
from mlchassis.simulation.options import (
    SimulationOptions,
    choose_start,
    end_month,
    make_plan,
    read_day,
)

MONTHS = ["2024-01", "2024-02", "2024-03", "2024-04"]
LAST = date(2024, 4, 30)


def set_as_of(params: Params, as_of: str | None) -> Params:
    ingest = params.ingest.model_copy(update={"as_of": as_of})
    return params.model_copy(update={"ingest": ingest})


def test_the_first_model_sees_the_months_up_to_as_of() -> None:
    assert choose_start(MONTHS, "2024-02", None) == "2024-02"
    assert choose_start(["2024-01", "2024-03"], "2024-02", None) == "2024-01"


@pytest.mark.parametrize("as_of", [None, "2024-04", "2023-12"])
def test_without_a_later_month_two_thirds_are_the_past(as_of: str | None) -> None:
    assert choose_start(MONTHS, as_of, None) == "2024-03"


def test_an_option_names_the_first_month() -> None:
    assert choose_start(MONTHS, "2024-03", "2024-01") == "2024-01"
    with pytest.raises(ProjectError, match="2024-01 to 2024-04"):
        choose_start(MONTHS, None, "2024-04")


def test_a_table_of_one_month_cannot_be_played() -> None:
    with pytest.raises(ProjectError, match="one month"):
        choose_start(["2024-01"], None, None)


def test_days_are_cut_into_whole_windows_of_the_monitor(fixed_params: Params) -> None:
    params = set_as_of(fixed_params, "2024-02")
    plan = make_plan(MONTHS, LAST, params, SimulationOptions(until=date(2024, 3, 20)))
    assert [window[0].day for window in plan.windows] == [1, 8]
    assert plan.windows[-1][-1] == date(2024, 3, 14)
    with pytest.raises(ProjectError, match="no window of 7 days"):
        make_plan(MONTHS, LAST, params, SimulationOptions(until=date(2024, 3, 6)))


def test_a_month_is_complete_once_its_last_label_has_arrived(fixed_params: Params) -> None:
    plan = make_plan(MONTHS, LAST, set_as_of(fixed_params, "2024-02"), SimulationOptions())
    assert plan.find_complete_month(date(2024, 4, 3)) == "2024-02"
    assert plan.find_complete_month(date(2024, 4, 4)) == "2024-03"


def test_the_steps_are_counted_before(fixed_params: Params) -> None:
    plan = make_plan(MONTHS, LAST, set_as_of(fixed_params, "2024-02"), SimulationOptions())
    assert len(plan.windows) == 8
    assert plan.count_steps() == 2 + 8 + 1


def test_a_month_ends_with_its_last_day() -> None:
    assert end_month("2024-02") == date(2024, 3, 1)


def test_the_last_day_is_a_day() -> None:
    assert read_day(None) is None
    assert read_day("2024-02-29") == date(2024, 2, 29)
    with pytest.raises(ProjectError, match="2024-02-30"):
        read_day("2024-02-30")
