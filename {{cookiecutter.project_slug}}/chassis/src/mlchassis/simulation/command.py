"""The command `simulate`: progress, then the table, the files and their places."""

from collections.abc import Iterator
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mlchassis.files import write_text
from mlchassis.project import Workspace
from mlchassis.reports import format_report
from mlchassis.simulation.options import SimulationOptions
from mlchassis.simulation.output.picture import render_picture
from mlchassis.simulation.output.table import list_lines, render_table
from mlchassis.simulation.results import Simulation
from mlchassis.simulation.simulate import FOLDER, simulate
from mlchassis.terminal import open_progress


class ProgressBar:
    """A bar on the standard error stream, with the name of the step.

    Args:
        progress: Bars of the terminal.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("start", total=None)
        self._begun = 0

    def expect(self, count: int) -> None:
        """Set the length of the bar."""
        self._progress.update(self._task, total=count)

    def begin(self, name: str) -> None:
        """Show the name of a step; those before it are done."""
        self._progress.update(self._task, completed=self._begun, description=name)
        self._begun += 1


def run_simulation(own: Workspace, options: SimulationOptions) -> Iterator[str]:
    """Run a simulation, write its results and yield lines for the terminal."""
    # The stages' output is redirected meanwhile, so the bar keeps the present stream.
    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with open_progress(*columns, redirect=False) as progress:
        bar = ProgressBar(progress)
        result = simulate(own, options, bar)
        bar.begin("done")
    yield from list_lines(result)
    for path in write_results(own.var / FOLDER, result):
        yield f"written: {path}"


def write_results(folder: Path, result: Simulation) -> list[Path]:
    """Write the results as JSON, tables and picture."""
    files = {
        "simulation.json": format_report(result.model_dump(mode="json")),
        "simulation.md": render_table(result),
        "simulation.svg": render_picture(result),
    }
    for name, text in files.items():
        write_text(folder / name, text)
    return [folder / name for name in files]
