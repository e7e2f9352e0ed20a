"""The verb `monitor`: from a deployed bundle, a log and a table of labels to a report."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlchassis import CustomSignal, MonitorContext
from mlchassis import monitor as own_monitor
from mlchassis.bundle.bundle import Bundle, deploy_bundle, write_bundle
from mlchassis.config.params import MonitorParams, Params
from mlchassis.config.source_params import FilesParams, SqlParams
from mlchassis.contract.model import parse_contract
from mlchassis.errors import ProjectError
from mlchassis.extensions.monitors import CustomMonitor
from mlchassis.monitoring.labels import LabelTable, read_labels, read_outcomes
from mlchassis.monitoring.monitor import monitor
from mlchassis.monitoring.page import render_report
from mlchassis.monitoring.results import MonitorReport, RelatedTest
from mlchassis.monitoring.source_rows import SourceRows
from mlchassis.project import Project, Workspace
from mlchassis.sources.registry import read_source

GRADE = "{name: returned, logicalType: string, enum: [{value: low}, {value: high}],"
START = pd.Timestamp("2024-04-20", tz="UTC").to_pydatetime()
NOW = datetime(2024, 6, 2, tzinfo=UTC)
"""A day after the responses in the log."""
Run = Callable[..., MonitorReport]


@pytest.fixture
def run(shop: Workspace, fixed_params: Params, write_log: Callable[..., Path]) -> Run:
    """Function that logs rows for the deployed bundle and monitors them."""

    def call(
        rows: pd.DataFrame,
        labels: Any = None,
        monitors: Sequence[CustomMonitor] = (),
        raw: pd.DataFrame | None = None,
        source: str = "raw.parquet",
        now: datetime = NOW,
        ignore: tuple[str, ...] = (),
    ) -> MonitorReport:
        paths = Workspace(shop.root, replace(shop.project, monitors=monitors))
        if len(rows):
            (raw if raw is not None else rows).to_parquet(shop.root / "raw.parquet")
        pointer = json.loads((shop.store / "current.json").read_text())
        write_log(shop.predictions, rows, digest=pointer["digest"])
        settings = MonitorParams(draws=200, labels=labels, ignore=ignore)
        table = FilesParams(kind="files", path=source)
        params = fixed_params.model_copy(update={"monitor": settings, "source": table})
        return monitor(paths, params, shop.store, shop.predictions, now)

    return call


def write_labels(folder: Path, rows: pd.DataFrame, kind: str) -> FilesParams | SqlParams:
    """Write the outcomes as a table of some kind."""
    labels = rows[["order_id", "returned"]].assign(note="not needed")
    if kind == "sql":
        import sqlalchemy

        address = f"sqlite:///{folder / 'labels.db'}"
        # Without a pool the connection ends here.
        engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool)
        with engine.begin() as connection:
            labels.to_sql("outcomes", connection, index=False)
        query = folder / "labels.sql"
        word = "case when returned then 'true' else 'false' end"
        query.write_text(f"select order_id, {word} as returned from outcomes")  # noqa: S608 - no input
        return SqlParams(kind="sql", url=address, query=str(query))
    path = folder / f"labels.{kind}"
    if kind == "csv":
        labels.to_csv(path, index=False)
    else:
        labels.to_parquet(path, index=False)
    return FilesParams(kind="files", path=str(path))


@pytest.mark.one_python
@pytest.mark.parametrize("kind", ["csv", "parquet", "sql"])
def test_late_labels_give_the_realized_performance(
    kind: str, run: Run, make_rows: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    rows = make_rows(21, seed=50, start=START)
    report = run(rows, write_labels(tmp_path, rows[:-700], kind))
    assert report.status == "ok", report.sentence
    maturity = [w.performance.maturity for w in report.windows if w.performance is not None]
    assert maturity == [1.0, 1.0, 0.5]
    assert report.labels == ""


@pytest.mark.parametrize("personal", [False, True])
def test_an_outcome_that_is_no_class_is_counted_and_named(
    personal: bool,
    fixed_params: Params,
    monitored_bundle: Bundle,
    shop_project: Project,
    tmp_path: Path,
) -> None:
    written = (monitored_bundle.path / "contract.yaml").read_text()
    text = written.replace("{name: returned, logicalType: boolean,", GRADE)
    contract = parse_contract(text.replace("[target]", "[target, pii]") if personal else text)
    outcomes = {"order_id": ["a", "b", "c"], "returned": ["low", "hgih", None]}
    pd.DataFrame(outcomes).to_csv(tmp_path / "labels.csv", index=False)
    table = FilesParams(kind="files", path="labels.csv")
    params = fixed_params.model_copy(update={"monitor": MonitorParams(labels=table)})
    workspace = Workspace(tmp_path, shop_project)
    labels = read_labels(SourceRows(workspace, params, contract))
    shown = "a value that is not repeated here" if personal else "'hgih'"
    assert labels == LabelTable(
        by_key={"a": 0.0},
        invalid=1,
        statement=(
            "labels.csv: 1 of 2 labels are left out, since they are none of the 2 classes of the "
            f"deployed contract, such as {shown} in the column 'returned'; correct the table, or "
            "train and deploy a model with the new values."
        ),
    )


def test_a_number_that_the_contract_does_not_allow_is_no_label(
    fixed_params: Params, monitored_bundle: Bundle, shop_project: Project, tmp_path: Path
) -> None:
    written = (monitored_bundle.path / "contract.yaml").read_text()
    number = "{name: returned, logicalType: number, logicalTypeOptions: {minimum: 0},"
    contract = parse_contract(written.replace("{name: returned, logicalType: boolean,", number))
    outcomes = {"order_id": list("abcde"), "returned": [np.inf, -999.0, 0.0, 7.5, np.nan]}
    pd.DataFrame(outcomes).to_parquet(tmp_path / "labels.parquet", index=False)
    table = FilesParams(kind="files", path="labels.parquet")
    params = fixed_params.model_copy(update={"monitor": MonitorParams(labels=table)})
    labels = read_labels(SourceRows(Workspace(tmp_path, shop_project), params, contract))
    assert (labels.by_key, labels.invalid) == ({"c": 0.0, "d": 7.5}, 2)
    assert "2 of 4 labels are left out, since they are not numbers" in labels.statement
    assert read_outcomes(pd.Series(["seven"], dtype=object), contract).isna().all()


@pytest.mark.parametrize("second", [True, False])
def test_different_outcomes_of_one_key_are_left_out_and_named(
    second: bool,
    fixed_params: Params,
    monitored_bundle: Bundle,
    shop_project: Project,
    tmp_path: Path,
) -> None:
    outcomes = {"order_id": ["a", "b", "b", "a", "a"], "returned": [True, True, True, second, True]}
    pd.DataFrame(outcomes).to_csv(tmp_path / "labels.csv", index=False)
    table = FilesParams(kind="files", path="labels.csv")
    params = fixed_params.model_copy(update={"monitor": MonitorParams(labels=table)})
    workspace = Workspace(tmp_path, shop_project)
    labels = read_labels(SourceRows(workspace, params, monitored_bundle.contract))
    if second:
        assert labels == LabelTable(by_key={"a": 1.0, "b": 1.0})
        return
    assert labels == LabelTable(
        by_key={"b": 1.0},
        ambiguous=1,
        statement=(
            "labels.csv: 1 key has different outcomes in several rows, such as 'a'; these labels "
            "are left out, so keep one row of each key."
        ),
    )


def test_ambiguous_labels_are_watched_and_shown(
    run: Run, make_rows: Callable[..., pd.DataFrame], shop: Workspace, tmp_path: Path
) -> None:
    rows = make_rows(21, seed=50, start=START)
    labels = pd.concat([rows, rows.head(700).assign(returned=~rows["returned"])])
    report = run(rows, write_labels(tmp_path, labels, "parquet"))
    assert (report.status, report.ambiguous_labels) == ("watch", 700)
    assert "700 keys have different outcomes" in report.sentence
    assert "700 keys have different outcomes" in render_report("shop", report)
    maturity = [w.performance.maturity for w in report.windows if w.performance is not None]
    assert maturity == [0.5, 1.0, 1.0]


def test_too_few_labels_are_named_and_decide_nothing(
    run: Run, make_rows: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    rows = make_rows(21, seed=50, start=START)
    # Those that arrive first are all wrong.
    known = rows[-1400:-800].assign(returned=~rows["returned"])
    report = run(rows, write_labels(tmp_path, known, "csv"))
    assert report.status == "ok", report.sentence
    assert report.labels.startswith("Too few labels for the realized performance: 600 of 1,400 re")
    assert report.sentence.endswith(report.labels)
    assert "Too few labels" in render_report("shop", report)


def test_labels_that_belong_to_no_response_are_named(
    run: Run, make_rows: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    rows = make_rows(7, seed=50, start=START)
    others = rows.assign(order_id="0" + rows["order_id"])
    report = run(rows, write_labels(tmp_path, others, "csv"))
    assert report.labels == (
        "None of the 1,400 labels has the key of a response of the deployed model, such as "
        "'0K-50-0'; if some should, compare how the table and the requests write the key."
    )


def test_a_row_about_the_far_future_hides_no_drift(
    run: Run, make_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = make_rows(14, seed=50, start=START).assign(price=40.0)
    stray = make_rows(1, seed=51, start=NOW + timedelta(days=300)).head(1)
    report = run(pd.concat([rows, stray], ignore_index=True))
    assert report.status == "retrain", report.sentence
    assert (report.windows[-1].end, report.log.undated) == ("2024-05-03", 1)


def test_an_ignored_column_that_does_not_exist_is_one_sentence(
    run: Run, make_rows: Callable[..., pd.DataFrame]
) -> None:
    with pytest.raises(ProjectError, match=r"monitor.ignore .* 'prize', .* did you mean 'price'"):
        run(make_rows(7, seed=50, start=START), ignore=("size", "prize"))


@pytest.mark.one_python
def test_invalid_labels_in_the_source_end_in_the_report_and_not_in_an_error(
    run: Run, make_rows: Callable[..., pd.DataFrame], shop: Workspace
) -> None:
    rows = make_rows(7, seed=56, start=START)
    raw = rows.assign(returned=rows["returned"].map({True: "true", False: "false"}))
    raw.loc[[3, 9], "returned"] = "perhaps"
    report = run(rows, raw=raw)
    assert (report.status, report.invalid_labels) == ("watch", 2)
    assert report.sentence == report.labels
    assert "2 of 1,400 labels are left out" in report.labels
    assert report.windows[-1].performance is not None
    assert report.windows[-1].performance.labeled == 1398
    assert "2 of 1,400 labels" in (shop.reports / "monitor.html").read_text()


@pytest.mark.one_python
def test_the_source_is_read_once(
    run: Run, make_rows: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []

    def count(*arguments: Any) -> pd.DataFrame:
        reads.append(arguments)
        return read_source(*arguments)

    monkeypatch.setattr("mlchassis.monitoring.source_rows.read_source", count)
    report = run(make_rows(7, seed=57, start=START))
    assert report.skew.rows == 1400
    assert len(reads) == 1


@pytest.mark.parametrize("path", ["$SOURCE_PATH", "elsewhere.csv"])
def test_without_the_source_the_log_is_monitored_and_the_report_says_so(
    path: str, run: Run, make_rows: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_PATH", raising=False)
    report = run(make_rows(7, seed=59, start=START), source=path)
    assert report.status == "ok"
    assert "which has the labels, is not on this machine" in report.labels
    assert report.skew.statement.startswith("The source is not on this machine")


def test_a_table_of_labels_that_is_not_there_ends_the_monitor(
    run: Run, make_rows: Callable[..., pd.DataFrame]
) -> None:
    with pytest.raises(ProjectError, match=r"gone\.csv is not there"):
        run(make_rows(7, seed=59, start=START), FilesParams(kind="files", path="gone.csv"))


def test_a_table_of_labels_without_the_outcome_is_one_sentence(
    run: Run, make_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = make_rows(7, seed=58, start=START)
    with pytest.raises(ProjectError, match=r"raw\.parquet lacks the column 'returned'"):
        run(rows, raw=rows.drop(columns="returned"))


@pytest.mark.one_python
def test_the_report_is_written_as_json_and_as_a_page(
    run: Run, make_rows: Callable[..., pd.DataFrame], shop: Workspace, tmp_path: Path
) -> None:
    rows = make_rows(21, seed=51, start=START)
    labels = write_labels(tmp_path, rows, "csv")
    report = run(rows.assign(price=rows["price"] * 2), labels)
    assert report.status == "retrain"
    assert report.sentence.endswith("3 of 3 windows agree.")
    written = (shop.reports / "monitor.json").read_text()
    assert MonitorReport.model_validate_json(written) == report
    page = (shop.reports / "monitor.html").read_text()
    assert page.count("<svg") == 8
    assert 'class="above"' in page
    assert "http" not in page.partition("<body>")[2]

    # Names of columns are shown as they are.
    hostile = written.replace("price", "<script>alert(1)</script>")
    page = render_report("orders", MonitorReport.model_validate_json(hostile))
    assert "<script>" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3


@pytest.mark.one_python
def test_the_page_names_columns_that_no_longer_fit(
    run: Run, make_rows: Callable[..., pd.DataFrame]
) -> None:
    report = run(make_rows(7, seed=53, start=START))
    assert report.windows[-1].related == []
    assert "The reference has no related columns" in render_report("orders", report)
    test = RelatedTest(
        columns=("size", "shop"), value=0.3, limit=0.1, unusual=0.25, unusual_before=0.01
    )
    window = report.windows[-1].model_copy(update={"related": [test]})
    page = render_report("orders", report.model_copy(update={"windows": [window]}))
    assert "no longer fits" in page
    assert "size and shop" in page
    assert "The reference has no related columns" not in page


@pytest.mark.one_python
def test_a_monitor_of_the_project_decides_and_is_shown(
    shop: Workspace, run: Run, make_rows: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    @own_monitor
    def revenue(context: MonitorContext) -> CustomSignal:
        rows = sum(1 for _ in context.read_newest())
        return CustomSignal(name="revenue", status="retrain", sentence=f"It halved in {rows} rows.")

    rows = make_rows(7, seed=53, start=START)
    report = run(rows, write_labels(tmp_path, rows, "csv"), [revenue])
    assert (report.status, report.sentence) == ("retrain", "revenue: It halved in 1400 rows.")
    assert "It halved in 1400 rows." in (shop.reports / "monitor.html").read_text()


@pytest.mark.one_python
def test_a_planted_difference_to_the_raw_data_asks_for_retraining(
    run: Run, make_rows: Callable[..., pd.DataFrame], shop: Workspace
) -> None:
    rows = make_rows(7, seed=54, start=START)
    raw = rows.copy()
    raw.loc[17, "size"] = np.nextafter(np.float32(rows["size"][17]), np.float32(1e9))
    report = run(rows, raw=raw)
    assert (report.status, report.skew.rows, report.skew.mismatched) == ("retrain", 1400, 1)
    assert report.sentence == (
        "Value skew: 1 of 1,400 logged rows have other features than their raw data: 'size' "
        "(1 rows, such as that with the key 'K-54-17')."
    )
    assert "1,400 logged rows were recomputed" in (shop.reports / "monitor.html").read_text()


def test_raw_data_without_a_column_are_broken(
    run: Run, make_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = make_rows(7, seed=55, start=START)
    report = run(rows, raw=rows.drop(columns="shop"))
    assert report.status == "broken"
    assert report.sentence.startswith("Schema skew: The source lacks the column 'shop'")


@pytest.mark.one_python
def test_equal_inputs_give_an_equal_report(
    run: Run, make_rows: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    rows = make_rows(7, seed=52, start=START)
    labels = write_labels(tmp_path, rows, "csv")
    first = run(rows, labels)
    again = run(rows[:0], labels)
    assert first == again


def test_nothing_deployed_is_one_sentence(
    shop: Workspace, fixed_params: Params, tmp_path: Path
) -> None:
    with pytest.raises(ProjectError, match="Nothing is deployed"):
        monitor(shop, fixed_params, tmp_path / "empty", shop.predictions)


def test_a_bundle_without_a_reference_is_one_sentence(
    shop: Workspace, fixed_params: Params, monitored_bundle: Bundle, tmp_path: Path
) -> None:
    features = shop.features
    text = (monitored_bundle.path / "contract.yaml").read_text()
    update = {"features_digest": features.digest, "monitoring": None}
    metadata = monitored_bundle.metadata.model_copy(update=update)
    write_bundle(tmp_path / "old", monitored_bundle.model, text, metadata)
    deploy_bundle(tmp_path / "old", shop.store, "shop", "4", features)
    with pytest.raises(ProjectError, match="has no reference for monitoring"):
        monitor(shop, fixed_params, shop.store, shop.predictions)


def test_a_log_that_ends_long_ago_is_watched(
    run: Run, make_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = make_rows(21, seed=50, start=START)
    report = run(rows, now=datetime(2024, 6, 9, tzinfo=UTC))
    assert report.status == "watch"
    assert report.sentence.startswith("The newest response in the prediction log is of 2024-06-01")
    assert report.log.newest == "2024-06-01T00:00:00+00:00"
    assert "2024-06-01T00:00:00+00:00" in render_report("shop", report)
    assert run(rows[:0], now=datetime(2024, 6, 8, tzinfo=UTC)).status == "ok"
