from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ml_service.features import compute_features
from mlchassis.batch.output import ANSWERS, parts_path
from mlchassis.batch.scoring import list_inputs, score_files
from mlchassis.bundle.bundle import Bundle, load_bundle
from mlchassis.bundle.scorer import Scorer
from mlchassis.contract.model import Contract
from mlchassis.contract.schemas import PANDAS_TYPES, generate_rows
from mlchassis.errors import ProjectError
from mlchassis.features.code import FeatureCode, load_feature_code

pytestmark = pytest.mark.one_python

FEATURES = load_feature_code(compute_features)


class KilledError(Exception):
    """Simulated end of the process."""


@pytest.fixture(scope="module")
def scorer(bundle_path: Path) -> Scorer:
    return Scorer(load_bundle(bundle_path, FEATURES), FEATURES)


@pytest.fixture
def rows(contract: Contract) -> list[dict[str, Any]]:
    return generate_rows(contract, count=250, seed=5)


@pytest.fixture
def source(contract: Contract, rows: list[dict[str, Any]], tmp_path: Path) -> Path:
    """A folder with a Parquet file and a CSV file."""
    folder = tmp_path / "in"
    folder.mkdir()
    frame = pd.DataFrame(rows, columns=[c.name for c in contract.request_columns])
    for column in contract.request_columns:
        kind: Any = PANDAS_TYPES[column.kind]
        if column.kind == "timestamp":
            frame[column.name] = pd.to_datetime(frame[column.name], utc=True)
        frame[column.name] = frame[column.name].astype(kind)
    frame[:130].to_parquet(folder / "a.parquet", index=False)
    frame[130:].to_csv(folder / "b.csv", index=False)
    return folder


@pytest.fixture
def mixed_table(mixed_contract: Contract) -> pd.DataFrame:
    """Rows of the mixed contract, each value an object."""
    rows = generate_rows(mixed_contract, count=120, seed=5)
    names = [column.name for column in mixed_contract.request_columns]
    return pd.DataFrame(rows, columns=names, dtype=object)


def count(done: list[int]) -> Any:
    return done.append


def test_every_row_is_answered_as_the_api_would(
    source: Path, scorer: Scorer, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    done: list[int] = []
    found = score_files(str(source), tmp_path / "out.parquet", scorer, count(done), chunk_rows=60)
    answers = pd.read_parquet(tmp_path / "out.parquet")
    expected = scorer.score_rows(rows)
    assert (found.scored, found.quarantined, sum(done)) == (250, 0, 250)
    assert answers["prediction"].tolist() == expected.values.tolist()
    assert answers["row"].tolist() == list(range(250))
    names = [name for name in map(str, answers) if name.startswith("probability_")]
    probabilities = answers[names].to_numpy()
    if expected.probabilities is not None:
        assert probabilities.tolist() == expected.probabilities.tolist()
    assert not (tmp_path / "out.parquet.parts").exists()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    source: Path, scorer: Scorer, tmp_path: Path, workers: int
) -> None:
    def run(name: str, stop_after: int, at_once: int = workers) -> list[int]:
        done: list[int] = []

        def progress(rows: int) -> None:
            done.append(rows)
            if len(done) == stop_after:
                raise KilledError

        score_files(str(source), tmp_path / name, scorer, progress, 60, at_once)
        return done

    assert run("whole.parquet", 0, 1) == [60, 60, 10, 60, 60]
    kept: dict[Path, int] = {}
    for stop in (1, 2, 4):
        with pytest.raises(KilledError):
            run("killed.parquet", stop)
        assert not (tmp_path / "killed.parquet").exists()
        folder = tmp_path / "killed.parquet.parts"
        found = {path: path.stat().st_mtime_ns for path in folder.glob("*.answers")}
        # What was answered before is not answered again.
        assert kept.items() <= found.items()
        kept = found
    assert len(kept) >= 4
    assert run("killed.parquet", 0) == [60, 60, 10, 60, 60]
    for name in ("parquet", "quarantine.parquet"):
        whole, killed = (tmp_path / f"{run}.{name}" for run in ("whole", "killed"))
        assert whole.read_bytes() == killed.read_bytes()


def test_broken_rows_go_to_quarantine_with_their_reason(
    mixed_bundle: Bundle, mixed_features: FeatureCode, mixed_table: pd.DataFrame, tmp_path: Path
) -> None:
    mixed_table.loc[3, "size"] = "many"
    mixed_table.loc[5, "size"] = "1e300"
    mixed_table.loc[7, "shop"] = None
    mixed_table.to_csv(tmp_path / "in.csv", index=False)
    output = tmp_path / "out.parquet"
    found = score_files(
        str(tmp_path / "*.csv"), output, Scorer(mixed_bundle, mixed_features), count([])
    )
    broken = pd.read_parquet(tmp_path / "out.quarantine.parquet").set_index("row")
    assert (found.scored, found.quarantined) == (117, 3)
    assert str(tmp_path / "out.quarantine.parquet") in found.notes[0]
    assert "the commonest is 'size: is not a number' (1 rows)" in found.notes[0]
    assert broken.loc[3, "reason"] == "size: is not a number"
    assert broken.loc[3, "size"] == "many"
    assert str(broken.loc[5, "reason"]).startswith("size: maximum")
    assert broken.loc[7, "reason"] == "shop: is required"
    answers = pd.read_parquet(tmp_path / "out.parquet")
    assert not set(answers["row"]) & {3, 5, 7}


@pytest.mark.parametrize("change", ["input", "model"])
def test_with_other_input_or_another_model_it_starts_over(
    source: Path, scorer: Scorer, tmp_path: Path, change: str
) -> None:
    def stop(rows: int) -> None:
        raise KilledError

    output, again = tmp_path / "out.parquet", tmp_path / "again.parquet"
    with pytest.raises(KilledError):
        score_files(str(source), output, scorer, stop, chunk_rows=60)
    if change == "input":
        (source / "a.parquet").unlink()
    else:
        metadata = scorer.bundle.metadata.model_copy(update={"threshold": 2.0})
        scorer = Scorer(replace(scorer.bundle, digest="f" * 64, metadata=metadata), FEATURES)
    for target in (output, again):
        score_files(str(source), target, scorer, count([]), chunk_rows=60)
    assert output.read_bytes() == again.read_bytes()


def test_a_part_that_another_run_removes_is_missed_before_anything_is_written(
    source: Path, scorer: Scorer, tmp_path: Path
) -> None:
    output = tmp_path / "out.parquet"

    def remove_first(_: int) -> None:
        # As a second run with the same output does when it ends.
        (parts_path(output) / f"{1:08d}{ANSWERS}").unlink(missing_ok=True)

    with pytest.raises(ProjectError, match="another run had the same OUTPUT="):
        score_files(str(source), output, scorer, remove_first, chunk_rows=60)
    assert not output.exists()


def test_what_cannot_be_read_is_refused_with_a_sentence(
    source: Path, scorer: Scorer, tmp_path: Path
) -> None:
    with pytest.raises(ProjectError, match=r"absent is not there; name .* with INPUT="):
        list_inputs(str(tmp_path / "absent"))
    with pytest.raises(ProjectError, match=r"absent\* is not a CSV .* with INPUT="):
        list_inputs(str(tmp_path / "absent*"))
    (source / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ProjectError, match="cannot be read"):
        score_files(str(source), tmp_path / "out.parquet", scorer, count([]))


def test_a_file_without_a_required_column_is_refused(
    mixed_bundle: Bundle, mixed_features: FeatureCode, mixed_table: pd.DataFrame, tmp_path: Path
) -> None:
    source = tmp_path / "in.csv"
    mixed_table.drop(columns="shop").to_csv(source, index=False)
    with pytest.raises(ProjectError, match="lacks the column 'shop'"):
        score_files(
            str(source), tmp_path / "out.parquet", Scorer(mixed_bundle, mixed_features), count([])
        )
