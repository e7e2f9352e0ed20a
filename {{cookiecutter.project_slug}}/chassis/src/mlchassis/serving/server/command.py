"""The verb `serve`, with the service's own packages alone: the image runs it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mlchassis.config.settings import load_service_settings
from mlchassis.errors import ProjectError
from mlchassis.masking import mask_secrets
from mlchassis.printable import printable
from mlchassis.serving.server.process import serve
from mlchassis.team_code.errors import describe_team_error


def main(reference: str, arguments: Sequence[str]) -> None:
    """Serve the deployed model until SIGTERM or SIGINT.

    Args:
        reference: The project's `Service`, as "package.module:name".
        arguments: Those behind `serve` on the command line.
    """
    given = {name: value for name, value in _parse(arguments).items() if value is not None}
    try:
        serve(load_service_settings(**given), reference)
    except (ProjectError, OSError) as error:
        _fail(str(error))
    except Exception as error:
        sentence = describe_team_error(error, Path.cwd())
        if sentence is None:
            raise
        _fail(sentence)


def _fail(sentence: str) -> NoReturn:
    sys.stderr.write(f"error: {printable(mask_secrets(sentence))}\n")
    sys.exit(1)


def _parse(arguments: Sequence[str]) -> dict[str, str | int | None]:
    parser = argparse.ArgumentParser(
        prog="serve",
        description="Serve the deployed model until SIGTERM or SIGINT.",
        epilog="Example: make serve PORT=9000",
    )
    parser.add_argument("--host", help="address to listen on (SERVICE_HOST, else 127.0.0.1)")
    parser.add_argument(
        "--port", type=int, help="port; 0 takes a free one (SERVICE_PORT, else 8000)"
    )
    return vars(parser.parse_args(list(arguments)))
