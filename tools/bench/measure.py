"""One server under load: started, checked, asked, measured and stopped."""

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.servers import APPS, SERVERS, Server
from bench.setting import FOLDER, PROJECT, BenchError
from project_copy import make_environment
from service import find_port

SCRIPT = Path(__file__).with_name("requests.lua")
SERVER_CORE, LOAD_CORE = "0", "1"
CONNECTIONS = 16
BODIES = {1: 200, 100: 20}
READY_WITHIN = 120.0  # seconds
STOP_WITHIN = 30.0  # seconds
Figures = dict[str, float]


@dataclass(frozen=True)
class Material:
    """The rows that are asked, and the frozen model's answers to them."""

    names: list[str]
    rows: list[list[float]]
    answers: list[float]


def read_material() -> Material:
    """Read what was frozen."""
    return Material(**json.loads((FOLDER / "model" / "rows.json").read_text(encoding="utf-8")))


def write_bodies(name: str, material: Material) -> None:
    """Write each server's requests, one a line."""
    for size, count in BODIES.items():
        blocks = (material.rows[i * size : (i + 1) * size] for i in range(count))
        lines = [SERVERS[name].write_body(material.names, block) for block in blocks]
        (FOLDER / f"{name}-{size}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_variables(port: int) -> dict[str, str]:
    """Environment variables of the servers."""
    return {
        "BENCH": str(FOLDER / "model"),
        "BENTOML_DO_NOT_TRACK": "True",
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(port),
        "MLSERVER_GRPC_PORT": str(find_port()),
        "MLSERVER_METRICS_PORT": str(find_port()),
        "MLSERVER_PARALLEL_WORKERS": "0",
        "OMP_NUM_THREADS": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": f"{PROJECT}/src:{PROJECT}/chassis/src",
        "SERVICE_ACCESS_LOG": "true",
        "SERVICE_LOG_DIRECTORY": str(FOLDER / "predictions"),
        "SERVICE_PORT": str(port),
        "SERVICE_STORE": str(FOLDER / "model" / "store"),
    }


def make_keys(server: Server) -> dict[str, str]:
    """Environment variables of a server that requires an API key."""
    if not server.key:
        return {}
    keys = FOLDER / "keys"
    keys.write_text(f"{hashlib.sha256(server.key.encode()).hexdigest()} bench\n", encoding="utf-8")
    keys.chmod(0o600)
    return {"SERVICE_API_KEYS_FILE": str(keys)}


@contextmanager
def start(name: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server on a core of its own; stop it, and whatever it started, afterwards."""
    server = SERVERS[name]
    place = FOLDER / server.environment
    # Gigabytes of earlier logs that wait for the disk would slow down whoever writes next.
    shutil.rmtree(FOLDER / "predictions", ignore_errors=True)
    filled = server.command.format(port=port, folder=FOLDER / "model", apps=APPS)
    program, *arguments = filled.split()
    with (FOLDER / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", SERVER_CORE, str(place / program), *arguments],
            cwd=FOLDER,
            env=make_environment(place / "bin", **make_variables(port), **make_keys(server)),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_WITHIN)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def ask(server: Server, port: int, body: str) -> Any:
    """Ask once."""
    headers = {"Content-Type": "application/json"}
    if server.key:
        headers["X-API-Key"] = server.key
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", server.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise BenchError(f"{server.title} answers {answer.status}: {content[:500]!r}")
        return json.loads(content)
    finally:
        connection.close()


def await_answer(name: str, port: int, process: subprocess.Popen[bytes], body: str) -> None:
    """Ask until the first answer."""
    deadline = time.monotonic() + READY_WITHIN
    while True:
        try:
            ask(SERVERS[name], port, body)
            return
        except (OSError, http.client.HTTPException, BenchError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{name}: no answer ({error}); see {FOLDER / name}.log") from None
            time.sleep(0.01)


def check_answers(name: str, port: int, material: Material) -> None:
    """Hold a server to answering as the frozen model does."""
    for size in BODIES:
        rows, expected = material.rows[:size], material.answers[:size]
        body = SERVERS[name].write_body(material.names, rows)
        actual = SERVERS[name].read(ask(SERVERS[name], port, body))
        if actual is not None and not agree(actual, expected):
            raise BenchError(f"{name} answers {actual[:3]} where the model says {expected[:3]}")


def agree(actual: Sequence[float], expected: Sequence[float]) -> bool:
    """True if two lists of probabilities are equal except for rounding."""
    pairs = zip(actual, expected, strict=True)
    return len(actual) == len(expected) and all(abs(one - other) < 1e-5 for one, other in pairs)


def load(name: str, port: int, size: int, seconds: float, pause: float = 0) -> Figures:
    """Ask from all connections for some seconds; with a pause, each waits about so many ms."""
    done = subprocess.run(
        [
            *("taskset", "--cpu-list", LOAD_CORE, "wrk", "--threads=1"),
            *(f"--connections={CONNECTIONS}", f"--duration={seconds:g}s", "--timeout=30s"),
            *(f"--script={SCRIPT}", f"http://127.0.0.1:{port}{SERVERS[name].path}", "--"),
            *(str(FOLDER / f"{name}-{size}.jsonl"), f"{pause:g}", SERVERS[name].key),
        ],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise BenchError(f"wrk failed: {done.stdout}{done.stderr}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    if figures.pop("failed"):
        raise BenchError(f"{name}: requests of {size} rows failed:\n{done.stdout}")
    return figures


def list_processes(first: int) -> list[Path]:
    """A process and all that came of it, whatever session they made themselves."""
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            parents[int(process.name)] = int(fields[1])
    processes = {first}
    while fresh := {p for p, parent in parents.items() if parent in processes} - processes:
        processes |= fresh
    return [Path("/proc", str(process)) for process in processes]


def measure_memory(first: int) -> float:
    """Megabytes of a process and all that came of it, shared pages counted once."""
    total = 0
    for process in list_processes(first):
        with contextlib.suppress(OSError):
            lines = (process / "smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6


def measure_work(first: int) -> float:
    """Microseconds that all threads of a process and of what came of it have worked."""
    total = 0
    for process in list_processes(first):
        with contextlib.suppress(OSError):
            threads = (process / "task").iterdir()
            total += sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)
    return total / 1000


def measure(name: str, material: Material, seconds: float) -> Figures:
    """Start a server and measure it once."""
    port, figures = find_port(), {}
    started = time.perf_counter()
    with start(name, port) as process:
        body = SERVERS[name].write_body(material.names, material.rows[:1])
        await_answer(name, port, process, body)
        figures["cold start"] = time.perf_counter() - started
        check_answers(name, port, material)
        for size in BODIES:
            load(name, port, size, 1)
            before = measure_work(process.pid)
            full = load(name, port, size, seconds)
            full["work"] = (measure_work(process.pid) - before) / (full["per_second"] * seconds)
            # Twice the time that a connection takes at full load: half the load.
            pause = 2 * CONNECTIONS / full["per_second"] * 1000
            half = load(name, port, size, seconds, pause)
            figures |= {f"{size} {key}": value for key, value in full.items()}
            figures |= {f"{size} half {key}": value for key, value in half.items()}
        figures["memory"] = measure_memory(process.pid)
    return figures


def summarize(runs: Sequence[Figures]) -> dict[str, dict[str, float]]:
    """The median, least and greatest of each figure."""
    return {
        key: {
            "median": statistics.median(values),
            "least": min(values),
            "greatest": max(values),
        }
        for key, values in ((key, [run[key] for run in runs]) for key in runs[0])
    }


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)
