"""Options of a simulation, and the days that it plays."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from mlchassis.config.params import Params
from mlchassis.errors import ProjectError
from mlchassis.printable import show_value


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """Options of the command `simulate`.

    Attributes:
        start: Last month (YYYY-MM) that the first model sees; None chooses it.
        until: Last day to play; None plays all days.
        rows_per_day: Largest number of rows that are scored on a day.
        label_delay_days: Days between an event and the arrival of its label.
        seed: Seed of the choice of rows.
        faults: Faults as NAME@DATE or NAME:COLUMN@DATE.
    """

    start: str | None = None
    until: date | None = None
    rows_per_day: int = 300
    label_delay_days: int = 3
    seed: int = 0
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Days of a simulation.

    Attributes:
        months: All months of the source.
        start: Last month that the first model sees.
        windows: Days to play, in windows of the monitor.
        label_delay: Time between an event and the arrival of its label.
    """

    months: tuple[str, ...]
    start: str
    windows: tuple[tuple[date, ...], ...]
    label_delay: timedelta

    def count_steps(self) -> int:
        """Count the steps: read, train, play each window, retrain on each month."""
        last = self.windows[-1][-1] + timedelta(days=1)
        played = [
            month for month in self.months if self.start < month <= self.find_complete_month(last)
        ]
        return 2 + len(self.windows) + len(played)

    def check_played(self, day: date, name: str) -> None:
        """Refuse a day outside those that are played.

        Raises:
            ProjectError: It is outside.
        """
        first, last = self.windows[0][0], self.windows[-1][-1]
        if not first <= day <= last:
            raise ProjectError(
                f"--faults switches '{name}' on at {day}, but {first} to {last} are played; choose "
                "a day of these."
            )

    def find_complete_month(self, today: date) -> str:
        """Return the newest month of which every label has arrived before a day."""
        complete = [month for month in self.months if end_month(month) + self.label_delay <= today]
        return max(complete, default=self.start)


def make_plan(
    months: Sequence[str], last: date, params: Params, options: SimulationOptions
) -> Plan:
    """Choose the first month to play and cut the days into windows of the monitor.

    Args:
        months: Months of the source, in their order.
        last: Last day with rows.
        params: Parameters of the project.
        options: Options of the simulation.

    Raises:
        ProjectError: No whole window is left to play.
    """
    start = choose_start(months, params.ingest.as_of, options.start)
    first = end_month(start)
    if options.until is not None:
        last = min(last, options.until)
    length = params.monitor.window_days
    count = ((last - first).days + 1) // length
    if count < 1:
        raise ProjectError(
            f"From {first} to {last} there is no window of {length} days (monitor.window_days) to "
            "play; choose a later --until, or an earlier --start."
        )
    days = [first + timedelta(days=number) for number in range(count * length)]
    windows = tuple(tuple(days[k : k + length]) for k in range(0, len(days), length))
    return Plan(tuple(months), start, windows, timedelta(days=options.label_delay_days))


def choose_start(months: Sequence[str], as_of: str | None, start: str | None) -> str:
    """Return the last month that the first model sees.

    That is `ingest.as_of` if months follow; else two thirds of the months come before.

    Raises:
        ProjectError: No month is left to play.
    """
    if start is not None:
        if start not in months[:-1]:
            raise ProjectError(
                f"--start is '{start}', but the source has the months {months[0]} to {months[-1]}; "
                "choose one of them that others follow."
            )
        return start
    if as_of is not None and months[0] <= as_of < months[-1]:
        return max(month for month in months if month <= as_of)
    if len(months) < 2:
        raise ProjectError(
            f"The source has one month, {months[0]}, so none is left to play; a simulation needs "
            "a table of several months."
        )
    return months[min(len(months) - 2, len(months) * 2 // 3)]


def end_month(month: str) -> date:
    """Return the first day after a month."""
    return (pd.Period(month, "M") + 1).to_timestamp().date()


def read_day(text: str | None) -> date | None:
    """Return the day of `--until`.

    Raises:
        ProjectError: It is not a day.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ProjectError(
            f"--until is {show_value(text)}; write a day as YYYY-MM-DD, as 2013-10-31."
        ) from None
