"""A container engine of the tests' own, with a stand-in for the official base image.

On Debian: `apt-get install docker.io mmdebstrap docker-compose`. It needs root. Sockets, images and
containers lie in folders of their own, so that no other engine on the machine notices.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DOCKER = Path("/usr/bin/docker")  # another client on PATH may lack BuildKit
COMPOSE = Path("/usr/bin/docker-compose")
PROGRAMS = (DOCKER, COMPOSE, Path("/usr/sbin/dockerd"), Path("/usr/bin/mmdebstrap"))
READY_WITHIN = 60.0  # seconds; it takes one
CERTIFICATES = "/usr/local/share/ca-certificates"
BASE = "python:3.11-slim"
PATHS = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
TRUST = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Engine:
    """A running engine, asked through its command."""

    socket: Path

    @property
    def environment(self) -> dict[str, str]:
        """Environment of its clients."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "COMPOSE_"))}
        return {
            **kept,
            "PATH": f"{DOCKER.parent}{os.pathsep}{kept.get('PATH', os.defpath)}",
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_BUILDKIT": "1",
            "DOCKER_CONFIG": str(self.socket.parent / "config"),
            "COMPOSE_DOCKER_CLI_BUILD": "1",
        }

    def run(self, *command: str | Path, folder: Path | None = None) -> str:
        """Run a client's command; one that fails fails the test. Return what it printed."""
        done = subprocess.run(
            list(map(str, command)),
            cwd=folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout[-4000:]}"
        return done.stdout.strip()

    def docker(self, *arguments: str | Path, folder: Path | None = None) -> str:
        """Run `docker` with these arguments, as `run` does."""
        return self.run(DOCKER, *arguments, folder=folder)


def call(*command: str | Path, **variables: str) -> None:
    """Run a program; one that fails fails the test."""
    done = subprocess.run(
        list(map(str, command)),
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout[-4000:]}"


def make_base(archive: Path) -> None:
    """Make a small Debian with `python` and `pip`: what stands in for the official image."""
    hooks = [
        *([f"sync-in {CERTIFICATES} {CERTIFICATES}"] if Path(CERTIFICATES).is_dir() else []),
        'chroot "$1" update-ca-certificates >/dev/null',
        'chroot "$1" python3 -m venv /usr/local',
        'rm -f "$1"/etc/resolv.conf "$1"/etc/hostname',
    ]
    # Whoever stands in needs neither manuals nor to outlive a power cut.
    kept = ("force-unsafe-io", "path-exclude=/usr/share/man/*", "path-exclude=/usr/share/doc/*")
    options = ["--quiet", "--format=tar", "--variant=minbase"]
    options += ["--include=python3,python3-venv,ca-certificates"]
    options += [f"--dpkgopt={option}" for option in kept]
    options += [f"--customize-hook={hook}" for hook in hooks]
    call("mmdebstrap", *options, "bookworm", archive, TMPDIR=str(archive.parent))


@contextmanager
def make_place() -> Iterator[Path]:
    """Make a folder in memory: writing hundreds of megabytes to a slow disk takes minutes."""
    place = Path(tempfile.mkdtemp(prefix="engine-"))  # short: a socket's path has 107 characters
    call("mount", "-t", "tmpfs", "-o", "size=6g", "tmpfs", place)
    try:
        yield place
    finally:
        # What an engine leaves mounted lies deeper, so it comes off first.
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
        for mounted in sorted((line.split()[1] for line in mounts), reverse=True):
            if Path(mounted).is_relative_to(place):
                call("umount", mounted)
        place.rmdir()


@contextmanager
def run_engine() -> Iterator[Engine]:
    """Run an engine whose containers can share this machine's network, and clean up after it.

    Yields:
        The engine, with the stand-in under the official image's name.
    """
    missing = [str(program) for program in PROGRAMS if not program.exists()]
    assert not missing, (
        f"{missing} are missing; on Debian: apt-get install docker.io mmdebstrap docker-compose"
    )
    assert os.getuid() == 0, "a container engine needs root; run the tests as root"
    with make_place() as place, (place / "log").open("wb") as log:
        engine = Engine(place / "docker.sock")
        process = subprocess.Popen(
            [
                "/usr/sbin/dockerd",
                f"--host=unix://{engine.socket}",
                f"--data-root={place / 'data'}",
                f"--exec-root={place / 'exec'}",
                f"--pidfile={place / 'docker.pid'}",
                "--storage-driver=overlay2",
                "--bridge=none",
                "--userland-proxy=true",
                *(f"--{name}=false" for name in ("iptables", "ip6tables", "ip-forward", "ip-masq")),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            await_engine(engine, process, place / "log")
            load_base(engine, place / "base.tar")
            yield engine
        finally:
            stop_engine(engine, process)


def await_engine(engine: Engine, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the engine answers."""
    deadline = time.monotonic() + READY_WITHIN
    while True:
        asked = subprocess.run(
            [str(DOCKER), "version"], env=engine.environment, capture_output=True, check=False
        )
        if asked.returncode == 0:
            return
        said = log.read_text(encoding="utf-8", errors="replace")[-4000:]
        assert process.poll() is None, f"the engine ended:\n{said}"
        assert time.monotonic() < deadline, f"the engine does not answer:\n{said}"
        time.sleep(0.1)


def load_base(engine: Engine, archive: Path) -> None:
    """Give the engine the stand-in under the official image's name."""
    make_base(archive)
    settings = f"ENV PATH={PATHS} LANG=C.UTF-8 SSL_CERT_FILE={TRUST} PIP_CERT={TRUST}"
    engine.docker("import", "--change", settings, archive, BASE)
    archive.unlink()


def stop_engine(engine: Engine, process: subprocess.Popen[bytes]) -> None:
    """Remove every container and end the engine."""
    if process.poll() is None:
        left = engine.docker("ps", "--all", "--quiet").split()
        if left:
            engine.docker("rm", "--force", "--volumes", *left)
        process.terminate()
        process.wait(READY_WITHIN)
