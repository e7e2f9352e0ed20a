"""Lets `python -m PACKAGE VERB` do what the console script does."""

from .cli import app

if __name__ == "__main__":
    app()
