"""Rounds of the benchmark: a server that fails once is left out once, and time is limited."""

from typing import Any

import pytest

from bench import __main__ as bench
from bench.measure import Material
from bench.setting import BenchError

MATERIAL = Material(["a"], [[1.0]], [0.5])


def run_rounds(monkeypatch: pytest.MonkeyPatch, fails: set[int], minutes: float) -> Any:
    """Run three rounds of two servers, of which the measurements with these numbers fail."""
    measured: list[str] = []

    def measure(name: str, _material: Material, _seconds: float) -> dict[str, float]:
        measured.append(name)
        if len(measured) in fails:
            raise BenchError("wrk failed")
        return {"1 per_second": float(len(measured)), "100 per_second": 1.0}

    monkeypatch.setattr(bench, "freeze_model", lambda: None)
    monkeypatch.setattr(bench, "make_environments", lambda _names: None)
    monkeypatch.setattr(bench, "read_material", lambda: MATERIAL)
    monkeypatch.setattr(bench, "write_bodies", lambda _name, _material: None)
    monkeypatch.setattr(bench, "measure_size", lambda _environment: 1.0)
    monkeypatch.setattr(bench, "measure", measure)
    return bench.run(["echo", "ours"], 3, 1, minutes)


def test_a_server_that_fails_in_a_later_round_is_left_out_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results = run_rounds(monkeypatch, {4}, minutes=20)
    assert {name: figures["runs"] for name, figures in results.items()} == {"echo": 3, "ours": 2}
    assert results["ours"]["1 per_second"] == {"median": 4.0, "least": 2.0, "greatest": 6.0}
    assert bench.count_runs(results) == "2 to 3"


def test_a_server_that_fails_in_the_first_round_ends_the_benchmark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(BenchError, match="wrk failed"):
        run_rounds(monkeypatch, {2}, minutes=20)


def test_no_round_begins_that_would_exceed_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    results = run_rounds(monkeypatch, set(), minutes=0)
    assert bench.count_runs(results) == "1"
