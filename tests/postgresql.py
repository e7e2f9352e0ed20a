"""A PostgreSQL server of its own for a test: Debian's programs, a free port, nothing left."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service import find_port

# Where Debian keeps the programs of the version that it ships.
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def call(*command: str | Path) -> None:
    """Run a program of PostgreSQL, which refuses to run as root: as the user that Debian made."""
    user = ("runuser", "-u", "postgres", "--") if os.getuid() == 0 else ()
    done = subprocess.run(
        [*user, *map(str, command)], capture_output=True, text=True, cwd="/", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def start_postgresql(name: str, password: str = "") -> Iterator[str]:
    """A server with one empty database, and its owner of the same name.

    Args:
        name: Of the database.
        password: Password of its owner; empty lets anybody in.

    Yields:
        The database's address, without the password.
    """
    assert PROGRAMS, "PostgreSQL is missing; on Debian: apt-get install postgresql"
    programs, port = PROGRAMS[-1], find_port()
    place = Path(tempfile.mkdtemp(prefix="postgresql-", dir="/tmp"))
    (place / "password").write_text(f"{password or 'unused'}\n", encoding="utf-8")
    if os.getuid() == 0:
        for path in (place, place / "password"):
            shutil.chown(path, "postgres")
    data = place / "data"
    method = "scram-sha-256" if password else "trust"
    call(
        *(programs / "initdb", "-D", data, "-U", name, f"--pwfile={place / 'password'}"),
        *("--auth-local=trust", f"--auth-host={method}", "--no-sync"),
    )
    settings = f"-h 127.0.0.1 -p {port} -k {place} -F"
    call(programs / "pg_ctl", "-D", data, "-l", place / "log", "-w", "-o", settings, "start")
    try:
        call(programs / "createdb", "-h", place, "-p", str(port), "-U", name, name)
        yield f"postgresql://{name}@127.0.0.1:{port}/{name}"
    finally:
        call(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(place)
