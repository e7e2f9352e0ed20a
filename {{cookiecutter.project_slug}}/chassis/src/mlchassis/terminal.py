"""The one way to the terminal: every line that a command prints or asks."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from mlchassis.masking import mask_secrets
from mlchassis.printable import printable

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


def echo(text: object) -> None:
    """Print one line without control characters and without secrets."""
    typer.echo(clean(text))  # noqa: TID251 - the place that all others call


def fail(sentence: object, details: Iterable[str] = ()) -> None:
    """Print an error on the standard error stream, below the lines that lead to it."""
    for line in details:
        typer.echo(clean(line), err=True)  # noqa: TID251 - as above
    prefix = typer.style("error:", fg="red")
    typer.echo(f"{prefix} {clean(sentence)}", err=True)  # noqa: TID251 - as above


def confirm(question: str, *, default: bool) -> bool:
    """Ask a question that is answered with yes or no."""
    return typer.confirm(clean(question), default=default)  # noqa: TID251 - as above


def open_progress(*columns: "ProgressColumn", redirect: bool = True) -> "Progress":
    """Return a progress bar on the present standard error stream, silent if it is no terminal.

    Args:
        columns: Parts of the bar; rich's own if there are none.
        redirect: False if the standard streams are redirected while the bar is shown.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(file=sys.stderr)
    return Progress(
        *columns,
        console=console,
        redirect_stdout=redirect,
        redirect_stderr=redirect,
        disable=not console.is_terminal,
    )


def clean(text: object) -> str:
    """Return a text as it may be printed."""
    return printable(mask_secrets(str(text)))
