"""The verb `serve`, with the service's own packages alone: the image runs it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mlchassis.config.settings import load_service_settings
from mlchassis.masking import mask_secrets
from mlchassis.printable import printable
from mlchassis.serving.server.process import serve
from mlchassis.team_code.errors import describe_failure
from mlchassis.workspace.api_version import check_api


def main(reference: str, arguments: Sequence[str]) -> None:
    """Serve the deployed model until SIGTERM or SIGINT.

    Args:
        reference: The project's `Service`, as "package.module:name".
        arguments: Those behind `serve` on the command line.
    """
    given = {name: value for name, value in _parse(arguments).items() if value is not None}
    try:
        check_api(Path.cwd())
        serve(load_service_settings(**given), reference)
    # A project's code that calls `sys.exit` would end the service without a sentence.
    except (Exception, SystemExit) as error:
        lines = describe_failure(error) or ([str(error)] if isinstance(error, OSError) else None)
        if lines is None:
            raise
        _fail(lines)


def _fail(lines: Sequence[str]) -> NoReturn:
    for line in (*lines[:-1], f"error: {lines[-1]}"):
        sys.stderr.write(f"{printable(mask_secrets(line))}\n")
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
