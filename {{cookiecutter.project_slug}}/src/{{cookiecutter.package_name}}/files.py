"""Files that are either whole or not there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a scratch file beside `path`, and renames it there when the block ends well.

    A reader sees the old content or the new one, never half of it; when the block fails, `path` is
    as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    os.close(handle)
    scratch = Path(name)
    try:
        yield scratch
        with scratch.open("rb") as file:
            os.fsync(file.fileno())
        # mkstemp gives 0600; a server under another user must be able to read what we write.
        scratch.chmod(0o644)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def clear_scratch(folder: Path) -> None:
    """Removes what a process left there that was killed while it wrote."""
    for path in folder.glob(".*-????????"):
        path.unlink()
