"""Clients that nobody here wrote, against a running service and, as control, against MLServer."""

import json
import math
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bake import ROOT
from demo import read_question
from project_copy import make_environment
from pythons import find_python
from servers import install, running
from service import fetch, find_port, serve
from summary import Parts
from whole_run import SAMPLE_ROWS, WholeRun, run_in, run_python

CLIENTS = Path(__file__).parent / "clients"
PAGE = ROOT / "docs" / "protocols.md"
PYTHONS = ("3.11", "3.12")  # of those that we support, what MLServer does
ENOUGH = 60  # checks that ours and MLServer both pass, or the suite would be one of ours alone
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "5")
WORDS = ("aircraft_manufacturer", "aircraft_model")  # columns of strings that may be missing


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory, parts: Parts) -> Path:
    """An environment with the clients, and MLServer."""
    python = next(filter(None, map(find_python, PYTHONS)), None)
    assert python, f"MLServer needs one of the Pythons {' and '.join(PYTHONS)}"
    environment = tmp_path_factory.mktemp("clients") / "venv"
    with parts.measure("clients of others: their environment"):
        subprocess.run([python, "-m", "venv", "--without-pip", environment], check=True)
        install(environment / "bin" / "python", ROOT / "requirements" / "clients.txt")
    return environment


@pytest.fixture(scope="module")
def service_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service") / "log"


@pytest.fixture(scope="module")
def address(whole_run: WholeRun, service_log: Path) -> Iterator[str]:
    predictions = str(service_log.with_name("predictions"))
    environment = make_environment(SERVICE_LOG_DIRECTORY=predictions, SERVICE_ACCESS_LOG="false")
    with service_log.open("wb") as output, serve(whole_run.project, output, environment) as address:
        yield address


@pytest.fixture(scope="module")
def metadata(address: str) -> Any:
    """Metadata of the model, by the Open Inference Protocol."""
    return fetch(f"{address}/v2/models/{fetch(f'{address}/v2')['name']}")


@pytest.fixture(scope="module")
def control(
    clients: Path, metadata: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """MLServer, with a model that takes what ours takes: its address."""
    folder = tmp_path_factory.mktemp("mlserver")
    (folder / "control.py").write_bytes((CLIENTS / "control.py").read_bytes())
    port, *others = (find_port() for _ in range(3))
    tensors = {side: metadata[side] for side in ("inputs", "outputs")}
    about: dict[str, Any] = {
        "model-settings": {
            "name": metadata["name"],
            "implementation": "control.Control",
            "parameters": {"version": metadata["versions"][0]},
            **tensors,
        },
        "settings": {
            **{"host": "127.0.0.1", "parallel_workers": 0, "metrics_endpoint": None},
            **dict(zip(("http_port", "grpc_port", "metrics_port"), (port, *others), strict=True)),
        },
    }
    for name, content in about.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    command: list[str | Path] = [clients / "bin" / "mlserver", "start", folder]
    with running(command, port, folder / "log", None, clients, folder) as address:
        yield address


def run_suite(clients: Path, address: str, metadata: Any, record: Any) -> dict[str, str]:
    """Problem found by each check of the suite; empty if it passes."""
    done = subprocess.run(
        [
            *(clients / "bin" / "python", CLIENTS / "suite.py"),
            *(address, metadata["name"], metadata["versions"][0]),
        ],
        input=json.dumps(record),
        env=make_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def read_deviations(title: str) -> set[str]:
    """First column of the page's table below a title."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    return set(re.findall(r"`([^`]+)`", " ".join(re.findall(r"(?m)^\|([^|]*)\|", section))))


def test_the_service_speaks_open_inference_and_the_suite_is_not_ours_alone(
    clients: Path, address: str, control: str, metadata: Any, parts: Parts
) -> None:
    (record,) = read_question(address)["records"]
    with parts.measure("clients of others: Open Inference, ours and MLServer"):
        ours = run_suite(clients, address, metadata, record)
        theirs = run_suite(clients, control, metadata, record)
    assert {name: found for name, found in ours.items() if found} == {}
    # Where MLServer does otherwise, the page says so and argues it.
    assert {name for name, found in theirs.items() if found} == read_deviations("MLServer")
    both = [name for name, found in theirs.items() if not found]
    assert len(both) >= ENOUGH
    assert ours.keys() == theirs.keys()
    parts.note(f"    {len(ours)} checks hold here, {len(both)} of them against MLServer too")


def test_the_service_does_what_its_own_document_says_whatever_is_sent(
    clients: Path, address: str, service_log: Path, parts: Parts, tmp_path: Path
) -> None:
    command: list[str | Path] = [
        *(clients / "bin" / "schemathesis", "--config-file", CLIENTS / "schemathesis.toml"),
        *("run", f"{address}/openapi.json", "--max-examples", EXAMPLES, "--no-color"),
    ]
    # Random in the full proof, where what it finds is printed; else the same in every run.
    command += [] if "SCHEMATHESIS_EXAMPLES" in os.environ else ["--generation-deterministic"]
    with parts.measure(f"clients of others: Schemathesis, {EXAMPLES} examples of each operation"):
        done = subprocess.run(
            command, cwd=tmp_path, env=make_environment(), capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    (found,) = re.findall(r"(\d+ generated, \d+ passed)", done.stdout)
    parts.note(f"    {found}")
    assert '"failure"' not in service_log.read_text()


@pytest.fixture(scope="module")
def records(whole_run: WholeRun) -> list[dict[str, Any]]:
    """Rows of the test split; some lack a string, some a number."""
    found: list[dict[str, Any]] = run_python(whole_run.project, SAMPLE_ROWS, str(whole_run.project))
    return found


@pytest.fixture(scope="module")
def scored(
    whole_run: WholeRun,
    address: str,
    metadata: Any,
    records: list[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
    parts: Parts,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Responses to MLflow's client from our service and `mlflow models serve`, in every form."""
    project, port = whole_run.project, find_port()
    command: list[str | Path] = [
        *("mlflow", "models", "serve", "--model-uri", f"models:/{metadata['name']}@champion"),
        *("--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]
    log = tmp_path_factory.mktemp("mlflow") / "log"
    variables = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{project / 'var' / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",
    }
    ask = ("python", str(CLIENTS / "scoring.py"), address, f"http://127.0.0.1:{port}")
    with (
        parts.measure("clients of others: MLflow's, ours and mlflow models serve"),
        running(command, port, log, variables, project / ".venv"),
    ):
        ours, theirs = json.loads(run_in(project, *ask, typed=json.dumps(records)).splitlines()[-1])
    return ours, theirs


def are_alike(ours: Any, theirs: Any) -> bool:
    """True if two servers' answers to a row are equal within float32 precision."""
    return bool(
        ours.keys() == theirs.keys()
        and ours["prediction"] == theirs["prediction"]
        and all(math.isclose(ours[name], theirs[name], abs_tol=1e-6) for name in ours)
    )


def test_mlflows_own_client_gets_what_mlflows_own_server_answers(
    scored: tuple[dict[str, Any], dict[str, Any]], records: list[dict[str, Any]]
) -> None:
    ours, theirs = scored
    expected = theirs["dataframe_split"]
    assert len(expected) == len(records)
    # MLflow's server takes a missing string for a word in some forms (docs/protocols.md).
    whole = [all(record[name] is not None for name in WORDS) for record in records]
    assert 0 < sum(whole) < len(whole)
    for form in ours.keys() - {"NaN"}:
        assert all(map(are_alike, ours[form], expected)), form
    for form in ours.keys() - {"NaN", "text/csv"}:
        pairs = zip(ours[form], theirs[form], whole, strict=True)
        assert all(are_alike(*answers) for *answers, same in pairs if same), form


def test_where_mlflows_server_does_otherwise_the_page_says_so(
    scored: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    ours, theirs = scored
    assert "Invalid JSON" in ours.pop("NaN")["said"]
    refused = {form for form in ours if "refused" in theirs[form]}
    differs = {
        form for form in ours.keys() - refused if not all(map(are_alike, ours[form], theirs[form]))
    }
    assert read_deviations("MLflow") == refused | differs
