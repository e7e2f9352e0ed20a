"""Batch scoring reads files as training read its own, and never overwrites what is not its own."""

import bz2
import gzip
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlchassis.batch.scoring import Summary, score_deployed, score_files
from mlchassis.bundle.bundle import deploy_bundle, load_bundle
from mlchassis.bundle.scorer import Scorer
from mlchassis.config.source_params import ColumnFormat, TableFormat
from mlchassis.errors import ProjectError
from mlchassis.features.code import FeatureCode

FEATURES = FeatureCode(dict, digest="0" * 64)
"""Each column as it is."""

CONTRACT = """
apiVersion: v3.2.0
version: 1.0.0
schema:
  - properties:
      - {name: row, logicalType: string, required: true, tags: [key]}
      - {name: 'zip, "code"', logicalType: string, tags: [feature], examples: ['00501', '501', Bär]}
      - {name: amount, logicalType: number, required: true, tags: [feature]}
      - {name: rooms, logicalType: integer, tags: [feature]}
      - {name: open, logicalType: boolean, tags: [feature]}
      - {name: since, logicalType: timestamp, tags: [feature]}
      - {name: region, logicalType: integer, tags: [feature]}
      - {name: late, logicalType: boolean, tags: [target]}
"""
EUROPEAN = TableFormat(
    encoding="cp1252",
    delimiter=";",
    missing=("k.A.",),
    rename={"Betrag": "amount", "PLZ": 'zip, "code"'},
    columns={
        "amount": ColumnFormat(decimal=",", thousands=".", affixes=("\u20ac",)),
        "open": ColumnFormat(true=("ja",), false=("nein",)),
        "since": ColumnFormat(dates=("%d.%m.%Y",)),
    },
)
ZIP = 'zip, "code"'
HEADER = '"zip, ""code""",amount,rooms,open,since,region'
LINE = "00501,1.5,2,true,2024-01-31T00:00:00Z,1"
ROW = {
    ZIP: "00501",
    "amount": 1.5,
    "rooms": 2,
    "open": True,
    "since": "2024-01-31T00:00:00Z",
    "region": 1,
}

MakeScorer = Callable[..., Scorer]
Score = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def make_scorer(
    bundle_maker: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> MakeScorer:
    """Scorers of the contract above, whose model takes the columns as they are."""
    made: dict[str, Scorer] = {}

    def make(formats: TableFormat | None = None) -> Scorer:
        key = repr(formats)
        if key not in made:
            path = tmp_path_factory.mktemp("bundles") / "bundle"
            bundle = load_bundle(bundle_maker(path, CONTRACT, FEATURES, formats), FEATURES)
            made[key] = Scorer(bundle, FEATURES)
        return made[key]

    return make


@pytest.fixture
def scorer(make_scorer: MakeScorer) -> Scorer:
    return make_scorer()


@pytest.fixture
def score(scorer: Scorer, tmp_path: Path) -> Score:
    """Score files; return the answers, or with `quarantine=True` the rejected rows."""

    def run(source: Path | str, *, quarantine: bool = False, by: Scorer = scorer) -> pd.DataFrame:
        score_files(str(source), tmp_path / "out.parquet", by, lambda _: None)
        name = "out.quarantine.parquet" if quarantine else "out.parquet"
        return pd.read_parquet(tmp_path / name)

    return run


def probabilities(answers: pd.DataFrame) -> list[list[float]]:
    names = [name for name in map(str, answers) if name.startswith("probability_")]
    found: list[list[float]] = answers[names].to_numpy().tolist()
    return found


def expected(scorer: Scorer, *rows: Mapping[str, Any]) -> list[list[float]]:
    scores: list[list[float]] = scorer.score_rows(rows).scores.tolist()
    return scores


def write(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
    return path


def test_a_file_is_read_in_the_format_of_the_models_table(
    make_scorer: MakeScorer, score: Score, tmp_path: Path
) -> None:
    european = make_scorer(EUROPEAN)
    source = write(
        tmp_path / "kunden.csv",
        "row;PLZ;Betrag;rooms;open;since;region",
        "a;00501;1.234,50 \u20ac;2;ja;31.01.2024;1",
        "b; B\u00e4r ;-7,5;;nein;;",
        "c;k.A.;0;3;k.A.;01.02.2024;k.A.",
        encoding="cp1252",
    )
    answers = score(source, by=european)
    assert answers["row"].tolist() == ["a", "b", "c"]
    assert probabilities(answers) == expected(
        european,
        {**ROW, "amount": 1234.5},
        {ZIP: "B\u00e4r", "amount": -7.5, "open": False},
        {"amount": 0.0, "rooms": 3, "since": "2024-02-01T00:00:00Z"},
    )


def test_a_file_of_another_format_is_refused_with_what_was_read(
    make_scorer: MakeScorer, scorer: Scorer, tmp_path: Path
) -> None:
    plain = write(tmp_path / "plain.csv", HEADER, LINE)
    semicolons = write(tmp_path / "semicolons.csv", "amount;rooms;region", "1.5;2;1")
    for source, by, delimiter in ((plain, make_scorer(EUROPEAN), ";"), (semicolons, scorer, ",")):
        with pytest.raises(ProjectError) as refusal:
            score_files(str(source), tmp_path / "out.parquet", by, lambda _: None)
        assert f"{source.name} lacks the column 'amount'" in str(refusal.value)
        assert f"the delimiter '{delimiter}'" in str(refusal.value)


def test_codes_stay_text_whatever_the_name_of_their_column(
    scorer: Scorer, score: Score, tmp_path: Path
) -> None:
    other = LINE.replace("00501", "501")
    answers = score(write(tmp_path / "in.csv", HEADER, LINE, other))
    assert probabilities(answers) == expected(scorer, ROW, {**ROW, ZIP: "501"})


def test_typed_values_of_another_kind_go_to_quarantine(score: Score, tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    good = {ZIP: pa.array(["00501"]), "amount": pa.array([1.5])}
    wrong = {
        "text": {**good, ZIP: pa.array([501])},
        "integer": {**good, "rooms": pa.array([2.5])},
        "boolean": {**good, "open": pa.array([7])},
        "timestamp": {**good, "since": pa.array([20240131])},
    }
    for columns in wrong.values():
        pq.write_table(pa.table(columns), path)
        assert len(score(path)) == 0
        assert len(score(path, quarantine=True)) == 1
    pq.write_table(pa.table(good), path)
    assert len(score(path)) == 1


def test_a_cell_that_is_no_whole_number_is_no_integer(score: Score, tmp_path: Path) -> None:
    lines = [LINE.replace(",2,", f",{cell},") for cell in ("7", "7.0", "7.5", "many", "", "1e30")]
    source = write(tmp_path / "in.csv", HEADER, *lines)
    broken = score(source, quarantine=True)
    assert broken["rooms"].tolist() == ["7.5", "many", "1e30"]
    assert set(broken["reason"]) == {"rooms: is not an integer"}


def test_blanks_and_words_for_missing_mean_what_they_mean_in_training(
    scorer: Scorer, score: Score, tmp_path: Path
) -> None:
    lines = [" 00501 , 1.5,NA,,?,", "\u00a000501,1.5,null,,,", '"",1.5,,,,', "NA,1.5,,,,"]
    answers = score(write(tmp_path / "in.csv", HEADER, *lines))
    known, blank, word = {ZIP: "00501", "amount": 1.5}, {"amount": 1.5}, {ZIP: "NA", "amount": 1.5}
    assert probabilities(answers) == expected(scorer, known, known, blank, word)


def test_files_of_a_folder_are_aligned_by_name(
    scorer: Scorer, score: Score, tmp_path: Path
) -> None:
    write(tmp_path / "in" / "a.csv", "amount,remark,rooms", "1.5,none,many", "1.5,none,2")
    write(tmp_path / "in" / "b.CSV", "rooms,amount", "2,1.5", "few,1.5")
    pd.DataFrame({"rooms": [2, 3], "amount": [1.5, None]}).to_parquet(tmp_path / "in" / "c.pq")
    row = {"amount": 1.5, "rooms": 2}
    assert probabilities(score(tmp_path / "in")) == expected(scorer, row, row, row)
    broken = score(tmp_path / "in", quarantine=True)
    assert broken["rooms"].tolist() == ["many", "few", "3"]
    assert broken["remark"].isna().tolist() == [False, True, True]


def test_a_column_that_one_file_of_a_folder_lacks_is_named(score: Score, tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.csv", "amount,rooms", "1.5,2")
    write(tmp_path / "in" / "b.csv", "amount", "1.5")
    with pytest.raises(ProjectError, match=r"b\.csv lacks the column 'rooms'"):
        score(tmp_path / "in")


@pytest.mark.parametrize("pattern", ["", "region=*/*.csv", "**/*.csv"])
def test_folders_of_partitions_are_columns(
    scorer: Scorer, score: Score, tmp_path: Path, pattern: str
) -> None:
    for region in (1, 2):
        write(tmp_path / "in" / f"region={region}" / "part.csv", "amount", "1.5")
    answers = score(tmp_path / "in" / pattern if pattern else tmp_path / "in")
    rows = [{"amount": 1.5, "region": region} for region in (1, 2)]
    assert probabilities(answers) == expected(scorer, *rows)


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        *(("in.CSV", bytes), ("in.txt", bytes), ("in.csv.gz", gzip.compress)),
        *(("IN.CSV.GZ", gzip.compress), ("in.csv.bz2", bz2.compress)),
    ],
)
def test_names_of_files_are_read_as_adoption_reads_them(
    scorer: Scorer, score: Score, tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(pack(f"{HEADER}\n{LINE}\n".encode()))
    for source in (tmp_path / "in", tmp_path / "in" / name):
        assert probabilities(score(source)) == expected(scorer, ROW)


def test_lines_within_quotes_do_not_part_rows(scorer: Scorer, score: Score, tmp_path: Path) -> None:
    remark = '"' + "a remark\n\nof lines, and more\n" * 40 + '"'
    rows = [f"1.5,{remark},{number}" for number in range(2000)]
    source = write(tmp_path / "in.csv", "amount,remark,rooms", *rows)
    assert source.stat().st_size > 2 * 1024 * 1024
    answers = score(source)
    assert probabilities(answers) == expected(
        scorer, *({"amount": 1.5, "rooms": number} for number in range(2000))
    )


def test_no_line_of_a_table_of_one_column_is_lost(score: Score, tmp_path: Path) -> None:
    source = write(tmp_path / "one.csv", "amount", "1", "", "2")
    with pytest.raises(ProjectError, match="line 3 is blank"):
        score(source)

    write(source, "amount", "1", '""', "2")
    assert score(source)["row"].tolist() == [0, 2]
    assert score(source, quarantine=True)["row"].tolist() == [1]


def test_a_name_that_comes_twice_is_refused(score: Score, tmp_path: Path) -> None:
    for names in ("amount,rooms,amount", "amount, amount ,rooms"):
        source = write(tmp_path / "in.csv", names, "1,2,3")
        with pytest.raises(ProjectError, match="2 columns named 'amount'"):
            score(source)


def test_added_columns_overwrite_none_of_the_inputs(score: Score, tmp_path: Path) -> None:
    lines = ("row,reason,row_,amount", "mine,also mine,too,many", "other,,,1.5")
    source = write(tmp_path / "in.csv", *lines)
    (broken,) = score(source, quarantine=True).to_dict("records")
    assert (broken["row"], broken["reason"]) == ("mine", "also mine")
    assert (broken["row_"], broken["row__"]) == ("too", 0)
    assert broken["reason_"] == "amount: is not a number"
    (answer,) = score(source).to_dict("records")
    assert (answer["row"], answer["row_"]) == ("other", 1)


def test_quarantine_keeps_types_and_text_as_they_came(score: Score, tmp_path: Path) -> None:
    frame = pd.DataFrame({"amount": [None, None], "rooms": [2, 3], "extra": [0.5, 1.5]})
    frame.to_parquet(tmp_path / "in.parquet")
    broken = score(tmp_path / "in.parquet", quarantine=True)
    assert broken["rooms"].tolist() == [2, 3]
    assert broken["extra"].tolist() == [0.5, 1.5]
    text = score(write(tmp_path / "in.csv", "amount,rooms", " many ,007"), quarantine=True)
    assert (text["amount"][0], text["rooms"][0]) == (" many ", "007")


def test_a_header_alone_is_refused(score: Score, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="holds no rows"):
        score(write(tmp_path / "in.csv", HEADER))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv"]


@pytest.mark.parametrize("name", ["answers.csv", "answers", "answers.json"])
def test_an_output_that_is_no_parquet_file_is_refused(
    scorer: Scorer, tmp_path: Path, name: str
) -> None:
    source = write(tmp_path / "in.csv", HEADER, LINE)
    with pytest.raises(ProjectError, match=r"ends in \.parquet"):
        score_files(str(source), tmp_path / name, scorer, lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize("link", ["none", "symbolic", "hard", "folder"])
@pytest.mark.parametrize("which", ["out.parquet", "out.quarantine.parquet"])
def test_an_output_that_is_an_input_is_refused(
    scorer: Scorer, tmp_path: Path, link: str, which: str
) -> None:
    source, output = tmp_path / "in" / which, tmp_path / "in" / "out.parquet"
    source.parent.mkdir()
    pd.DataFrame({"amount": [1.5]}).to_parquet(source)
    before = source.read_bytes()
    if link == "folder":
        (tmp_path / "other").symlink_to(source.parent)
        output = tmp_path / "other" / "out.parquet"
    elif link != "none":
        (tmp_path / "other").mkdir()
        output = tmp_path / "other" / "out.parquet"
        make: Callable[[Path, Path], None] = os.symlink if link == "symbolic" else os.link
        make(source, output.with_name(which))
    with pytest.raises(ProjectError, match="it is the input"):
        score_files(str(source), output, scorer, lambda _: None)
    assert source.read_bytes() == before


def test_answers_within_the_input_folder_are_no_input(scorer: Scorer, tmp_path: Path) -> None:
    folder = write(tmp_path / "in" / "rows.csv", HEADER, LINE, LINE.replace("1.5", "many")).parent

    def run(name: str) -> Summary:
        return score_files(str(folder), folder / name, scorer, lambda _: None)

    counts = [(found.scored, found.quarantined) for found in map(run, ["a.parquet"] * 2)]
    assert [*counts, (run("b.parquet").scored, 1)] == [(1, 1)] * 3


@pytest.mark.parametrize("which", ["out.parquet", "out.quarantine.parquet"])
def test_a_file_that_somebody_else_wrote_or_changed_is_kept(
    scorer: Scorer, tmp_path: Path, which: str
) -> None:
    source, output = write(tmp_path / "in.csv", HEADER, LINE), tmp_path / "out.parquet"

    def run() -> Summary:
        return score_files(str(source), output, scorer, lambda _: None)

    run()
    run()  # Its own answers are replaced.
    mine = output.with_name(which)
    table = pq.read_table(mine)
    pq.write_table(table.append_column("mine", pa.nulls(table.num_rows)), mine)
    for content in (mine.read_bytes(), b"not a Parquet file", b""):
        mine.write_bytes(content)
        with pytest.raises(ProjectError, match="did not write it"):
            run()
        assert mine.read_bytes() == content


def test_a_folder_in_the_place_of_the_parts_is_kept(scorer: Scorer, tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", HEADER, LINE)
    mine = write(tmp_path / "out.parquet.parts" / "mine.txt", "mine")
    with pytest.raises(ProjectError, match="did not write it"):
        score_files(str(source), tmp_path / "out.parquet", scorer, lambda _: None)
    assert mine.exists()


def test_what_was_left_out_is_reported(scorer: Scorer, tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", "amount,late,other", "0,1.5,true,x", "1,1.5,true,y")
    found = score_files(str(source), tmp_path / "out.parquet", scorer, lambda _: None)
    index, further = found.notes
    assert "taken for an index" in index
    assert further == "not needed, and left out of the answers: 'late', 'other'"


@pytest.mark.parametrize("left", ["", "work.json", ".work.json-0123abcd", "00000001.answers"])
def test_what_a_killed_run_left_is_no_obstacle(
    score: Score, scorer: Scorer, tmp_path: Path, left: str
) -> None:
    parts = tmp_path / "out.parquet.parts"
    parts.mkdir()
    if left:
        (parts / left).write_bytes(b"cut")
    answers = score(write(tmp_path / "in.csv", HEADER, LINE))
    assert probabilities(answers) == expected(scorer, ROW)
    assert not parts.exists()


@pytest.mark.parametrize("linked", ["the folder", "a part"])
def test_parts_behind_a_link_are_not_those_of_an_earlier_run(
    score: Score, tmp_path: Path, linked: str
) -> None:
    elsewhere, parts = tmp_path / "elsewhere", tmp_path / "out.parquet.parts"
    kept = write(elsewhere / "00000001.answers", "planted")
    if linked == "the folder":
        parts.symlink_to(elsewhere)
    else:
        parts.mkdir()
        (parts / "00000001.answers").symlink_to(kept)
    with pytest.raises(ProjectError, match="batch scoring did not write it"):
        score(write(tmp_path / "in.csv", HEADER, LINE))
    assert kept.read_text().strip() == "planted"


def test_an_empty_file_among_others_is_named_with_what_to_do(score: Score, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder / "a.csv", HEADER, LINE)
    (folder / "b.csv").touch()
    with pytest.raises(ProjectError, match=r"b\.csv is empty; export .* header, or delete it\."):
        score(folder)
    write(folder / "b.csv", HEADER)
    assert len(score(folder)) == 1


def test_a_summary_has_a_line_for_each_fact(
    scorer: Scorer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy_bundle(scorer.bundle.path, tmp_path / "store", "drawn", "1", FEATURES)
    source = write(tmp_path / "in.csv", "amount,late", "1.5,true")
    lines = score_deployed(tmp_path / "store", str(source), tmp_path / "out.parquet", FEATURES)
    assert "1 rows answered, 0 in quarantine" in lines[0]
    assert lines[1:] == ["not needed, and left out of the answers: 'late'"]
    # The bar is for a terminal.
    assert capsys.readouterr().err == ""
