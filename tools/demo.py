"""Generate a project, run all of it, ask its API for one prediction, and say what each part took.

What a newcomer does by hand after reading the README, and nothing else: only the generated
project's own commands and its API are used.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bake import ROOT, BakeError, bake_defaults
from project_copy import make_environment
from service import ServiceError, fetch, serve

PROJECT = ROOT / "build" / "demo"
LOG = ROOT / "build" / "demo-serve.log"

Times = dict[str, float]


class DemoError(Exception):
    """A part of the demo failed; the message says which and where to look."""


@contextmanager
def measure(times: Times, part: str) -> Iterator[None]:
    """Announce one part and note what it took."""
    print(f"--- {part}", flush=True)
    started = time.perf_counter()
    yield
    times[part] = time.perf_counter() - started


def call(*command: str) -> str:
    """Run a command in the project and return what it printed, which is shown as well."""
    lines = []
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        env=make_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        for line in process.stdout or ():
            print(f"    {line}", end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise DemoError(f"'{' '.join(command)}' exited {process.returncode} in {PROJECT}")
    return "".join(lines)


def check_nothing_to_do() -> None:
    """Run the pipeline again and hold it to running no stage."""
    output = call(str(PROJECT / ".venv" / "bin" / "dvc"), "repro")
    if "Running stage" in output:
        raise DemoError("a second 'dvc repro' ran stages again; see above which")


def find_example(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    """Build a request from the examples that the contract gave the API's own description."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "$ref" in schema:
        target: dict[str, Any] = document
        for key in schema["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        return find_example(target, document)
    if "anyOf" in schema:
        return find_example(schema["anyOf"][0], document)
    if schema.get("type") == "array":
        return [find_example(schema["items"], document)]
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        return {name: find_example(part, document) for name, part in properties.items()}
    return None


def read_question(address: str) -> Any:
    """Read the example of a request that the API's own description gives."""
    document = fetch(f"{address}/openapi.json")
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    return content.get("example") or find_example(content["schema"], document)


@contextmanager
def serve_demo() -> Iterator[str]:
    """Serve the project, its output going to a file that a failure names.

    Yields:
        The service's address, once it is ready.
    """
    with LOG.open("wb") as log:
        try:
            with serve(PROJECT, log, make_environment()) as address:
                yield address
        except ServiceError as error:
            raise DemoError(f"{error}; see {LOG}") from None


def ask(address: str) -> None:
    """Ask for one prediction and print the request, the answer and the model's metrics."""
    question = read_question(address)
    answer = fetch(f"{address}/predict", question)
    model = answer["model"]
    metrics = json.loads((PROJECT / "reports" / "metrics.json").read_text())
    print(f"asked     {json.dumps(question, ensure_ascii=False)}")
    print(f"answered  {json.dumps(answer['predictions'], ensure_ascii=False)}")
    print(f"model     {model['name']} version {model['version']}, digest {model['digest'][:12]}")
    print(f"metrics   {json.dumps(metrics)}")


def run_demo() -> Times:
    """Run every part once.

    Returns:
        Seconds by part, in the order in which they ran.
    """
    times: Times = {}
    PROJECT.parent.mkdir(exist_ok=True)
    shutil.rmtree(PROJECT, ignore_errors=True)  # The last one's thousands of files: no generation.
    with measure(times, "generation"):
        bake_defaults(PROJECT)
    with measure(times, "setup"):
        call("make", "--no-print-directory", "setup")
    with measure(times, "pipeline and verbs"):
        call("make", "--no-print-directory", "run", "SERVE=0")
    with measure(times, "no-op dvc repro"):
        check_nothing_to_do()
    with ExitStack() as stack:
        with measure(times, "API ready"):
            address = stack.enter_context(serve_demo())
        with measure(times, "prediction"):
            ask(address)
    return times


def main() -> int:
    """Run the demo, once or several times, and print the time of each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1, help="run it so often; print the medians")
    count = parser.parse_args().times
    try:
        runs = [run_demo() for _ in range(count)]
    except (BakeError, DemoError, ServiceError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"\nseconds{'' if count == 1 else f', median of {count}'}")
    for part in runs[0]:
        print(f"{statistics.median(run[part] for run in runs):8.2f}  {part}")
    print(
        f"\nThe API is stopped. The project is in {os.path.relpath(PROJECT)}: cd there, make serve"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
