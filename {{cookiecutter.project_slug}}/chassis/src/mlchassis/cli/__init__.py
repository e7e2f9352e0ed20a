"""The command line."""

from mlchassis.cli.launch import run

__all__ = ["run"]
