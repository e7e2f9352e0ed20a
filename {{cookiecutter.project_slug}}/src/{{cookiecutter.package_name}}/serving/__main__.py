"""Serves what is deployed, with what the service itself needs alone: the image runs this."""

import argparse
import sys

from ..errors import ProjectError
from ..masking import mask_secrets
from ..printable import printable
from ..settings import load_service_settings
from .process import serve


def main() -> None:
    """Serves as the environment says, until it is told to stop."""
    argparse.ArgumentParser(
        prog=f"python -m {__package__}",
        description=main.__doc__,
        epilog=f"Example: SERVICE_PORT=9000 python -m {__package__}",
    ).parse_args()
    try:
        serve(load_service_settings())
    except (ProjectError, OSError) as error:
        sys.exit(f"error: {printable(mask_secrets(str(error)))}")


if __name__ == "__main__":
    main()
