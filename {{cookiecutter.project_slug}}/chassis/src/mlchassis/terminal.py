"""The one way to the terminal: every line that a command prints or asks."""

from collections.abc import Iterable

import typer

from mlchassis.masking import mask_secrets
from mlchassis.printable import printable


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


def clean(text: object) -> str:
    """Return a text as it may be printed."""
    return printable(mask_secrets(str(text)))
