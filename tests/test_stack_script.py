"""`make up` and `make down` with a stand-in for docker: passwords, refusals, sentences."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

TOOLS = "cat date grep head ln mkdir mktemp od rm sed sh sleep tail tee tr".split()
DOCKER = """#!/bin/sh
echo "$*" >>calls
case "$*" in
version*)
    test -z "${NO_ENGINE:-}" || { echo 'Cannot connect to the Docker daemon' >&2; exit 1; } ;;
"compose version") test -z "${NO_COMPOSE:-}" ;;
"volume ls"*) printf '%s' "${VOLUME:-}" ;;
compose*" up "*) test -z "${REFUSED:-}" || { echo "$REFUSED" >&2; exit 1; } ;;
"ps "*) echo container-4711 ;;
"port "*) echo 127.0.0.1:5001 ;;
inspect*) echo "${HEALTH:-healthy}" ;;
esac
"""
# Of docker-compose 1.29 with Engine 20.10, and of the plugin with Engines before and from 28 on.
TAKEN = [
    "ERROR: for mlflow  Cannot start service mlflow: driver failed programming external "
    "connectivity on endpoint m: Error starting userland proxy: listen tcp4 127.0.0.1:5000: bind: "
    "address already in use",
    "Error response from daemon: driver failed programming external connectivity on endpoint m: "
    "Bind for 127.0.0.1:5000 failed: port is already allocated",
    "Error response from daemon: failed to set up container networking: failed to bind host port "
    "for 127.0.0.1:5000:172.18.0.3:5000/tcp: address already in use",
]


@pytest.fixture
def folder(project: Path, tmp_path: Path) -> Path:
    """A project's deploy folder, and a folder of programs with a stand-in for docker."""
    shutil.copytree(project / "deploy", tmp_path / "deploy")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or "")
    docker = tmp_path / "bin" / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    return tmp_path


def run(folder: Path, action: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "deploy/stack.sh", action],
        cwd=folder,
        env={"PATH": str(folder / "bin"), "PROJECT": "ml-service-stack", **variables},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def read_calls(folder: Path, word: str) -> list[str]:
    """Return the calls of docker with this word."""
    lines = (folder / "calls").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if word in line.split()]


def read_secrets(folder: Path) -> dict[str, str]:
    lines = (folder / "var" / "stack.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_passwords_are_made_once_and_for_the_user_alone(folder: Path) -> None:
    done = run(folder, "up")
    assert done.returncode == 0, done.stderr
    file = folder / "var" / "stack.env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = file.read_bytes()
    secrets = {n: v for n, v in read_secrets(folder).items() if n.endswith(("PASSWORD", "SECRET"))}
    assert len(set(secrets.values())) == 3
    assert min(map(len, secrets.values())) >= 24
    assert run(folder, "up").returncode == 0
    assert file.read_bytes() == first
    file.unlink()
    run(folder, "up")
    assert file.read_bytes() != first
    assert [path.name for path in file.parent.iterdir()] == ["deployed", "stack.env"]
    shown = "".join(read_calls(folder, "compose")) + done.stdout + done.stderr
    assert [value for value in secrets.values() if value in shown] == []


def test_every_variable_of_the_files_is_in_the_written_one(folder: Path) -> None:
    run(folder, "up")
    text = "".join((folder / "deploy" / n).read_text() for n in ("compose.yaml", "stack.yaml"))
    needed = {part.split(":?")[0] for part in text.split("${")[1:] if ":?" in part.split("}")[0]}
    assert needed
    assert needed <= read_secrets(folder).keys()


def test_passwords_that_the_data_need_are_not_replaced(folder: Path) -> None:
    done = run(folder, "up", VOLUME="ml-service-stack_database")
    assert done.returncode == 1
    assert "var/stack.env is missing, and the data of this stack need its passwords" in done.stderr
    assert not (folder / "var" / "stack.env").exists()
    assert read_calls(folder, "up") == []


def test_the_service_starts_once_a_bundle_is_deployed(folder: Path) -> None:
    done = run(folder, "up")
    assert "nothing is deployed, so the service does not run" in done.stdout
    assert "service" not in read_calls(folder, "up")[-1].split()
    (folder / "var" / "deployed" / "current.json").touch()
    done = run(folder, "up")
    assert "stack: Service        http://127.0.0.1:5001" in done.stdout
    assert "export MLFLOW_TRACKING_URI=http://127.0.0.1:5001 " in done.stdout
    assert "service" in read_calls(folder, "up")[-1].split()


@pytest.mark.parametrize("message", TAKEN)
def test_a_taken_port_is_named(folder: Path, message: str) -> None:
    done = run(folder, "up", REFUSED=message)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: the port 127.0.0.1:5000 is in use; stop the program that listens there, or set "
        "another one in var/stack.env"
    ]


def test_another_failure_of_compose_is_shown(folder: Path) -> None:
    done = run(folder, "up", REFUSED="pull access denied for postgres")
    assert done.returncode == 1
    assert "pull access denied for postgres" in done.stdout
    assert done.stderr.startswith("error: compose could not start the stack, for the reason above;")


def test_a_service_that_stays_unhealthy_is_named(folder: Path) -> None:
    done = run(folder, "up", HEALTH="unhealthy", STACK_WITHIN="0")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: database is not healthy after 0 s; read its log: docker logs container-4711"
    ]


@pytest.mark.parametrize("action", ["up", "down"])
def test_without_docker_a_sentence_says_so(folder: Path, action: str) -> None:
    (folder / "bin" / "docker").unlink()
    done = run(folder, action)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: docker is missing; install Docker Engine with its compose plugin\n"
    )
    assert not (folder / "var").exists()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"NO_ENGINE": "1"}, "docker does not answer; start its engine, or let your user use it"),
        ({"NO_COMPOSE": "1"}, "docker has no compose; install its compose plugin"),
        ({"DOCKER_HOST": "ssh://ml"}, "DOCKER_HOST is ssh://ml, and the stack runs on this mach"),
    ],
)
def test_a_docker_that_cannot_be_used_is_refused(
    folder: Path, variables: dict[str, str], sentence: str
) -> None:
    done = run(folder, "up", **variables)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {sentence}")
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / "var").exists()


def test_down_keeps_the_data_unless_told_to_delete_them(folder: Path) -> None:
    assert run(folder, "down").returncode == 0
    assert "--volumes" not in read_calls(folder, "down")[-1]
    assert run(folder, "down", ARGS="--volumes").returncode == 0
    assert "--volumes" in read_calls(folder, "down")[-1]
    done = run(folder, "down", ARGS="--rmi all")
    assert done.returncode == 1
    assert "ARGS is '--rmi all'; write --volumes or leave it out" in done.stderr
    assert len(read_calls(folder, "down")) == 2
