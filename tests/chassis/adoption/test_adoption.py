"""A table is read as people write it, and its contract is one that this project accepts."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ml_service
from mlchassis.adoption.columns.plan import ColumnPlan, RoleOverrides
from mlchassis.adoption.columns.profile import ColumnFacts, profile
from mlchassis.adoption.columns.roles import plan_columns
from mlchassis.adoption.draft import draft_contract, widen
from mlchassis.adoption.files.pipeline_file import set_pipeline
from mlchassis.adoption.formats.detect_source import DataLocation, open_files
from mlchassis.adoption.inference.infer import infer_format
from mlchassis.adoption.options import AdoptionOptions
from mlchassis.adoption.prepare import prepare
from mlchassis.adoption.table import parse_table, read_columns
from mlchassis.config.params import load_params
from mlchassis.config.source_params import FilesParams
from mlchassis.config.yaml_edit import set_values
from mlchassis.contract.model import Contract, Task, parse_contract
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.sources.registry import read_as_text, read_source

pytestmark = pytest.mark.one_python
ROOT = Path(ml_service.__file__).parents[2]

WRITTEN = [
    (["1", "2.5", "-3e4"], "number", {}),
    (["1", "2", "3"], "integer", {}),
    (["1.234,50", "0,25", "12"], "number", {"decimal": ",", "thousands": "."}),
    (["1,234", "2,345,678.5"], "number", {"thousands": ","}),
    (["1 234", "12 345 678"], "integer", {"thousands": " "}),
    (["1'234.5", "2'000"], "number", {"thousands": "'"}),
    (["Yes", "no"], "boolean", {}),
    (["Ja", "Nein"], "boolean", {}),
    (["00123", "01234"], "string", {}),
    (["1.2.3", "1.4.5"], "string", {}),
    ([*map(str, range(100)), "unknown", "n.v."], "integer", {"missing": ("n.v.", "unknown")}),
    (["1", "2", "3", "4", "A"], "string", {}),
    (["1931-02-03", "2020-01-01T10:00:00"], "timestamp", {}),
    (["31.12.1968", "01.02.2020"], "timestamp", {"dates": ("%d.%m.%Y",)}),
    (["12/31/2020", "01/02/2020"], "timestamp", {"dates": ("%m/%d/%Y",)}),
    (["2020-02-01", "13/12/2020"], "timestamp", {"dates": ("ISO8601", "%d/%m/%Y")}),
    (["red", "blue", "7"], "string", {}),
    ([None, ""], None, {}),
]


@pytest.mark.parametrize(("words", "kind", "form"), WRITTEN)
def test_words_are_read_as_what_they_are(words: list[str], kind: str, form: Any) -> None:
    reading = infer_format(pd.Series(words, dtype="str"))

    assert reading.kind == kind
    assert reading.form.model_dump(exclude_defaults=True) == form


ZIP_CODES = {
    "few with a further group": ("zip_code", [*map(str, range(90001, 90060)), "90210-1234"]),
    "half of them": ("zip_code", ["90001", "94105-1420", "10001", "60601-3456"]),
    "some missing": ("zip_code", ["90001", "94105-1420", "10001", "unknown"]),
    "by their form alone": ("where", ["90001", "94105-1420", "10001", "60601"]),
    "codes of several lengths": ("FIPS", ["6037", "6-37", "36061"]),
}


@pytest.mark.parametrize("name", ZIP_CODES)
def test_codes_with_a_further_group_of_digits_stay_text(name: str) -> None:
    column, words = ZIP_CODES[name]
    inferred = infer_format(pd.Series(words, dtype="str", name=column))

    assert inferred.kind == "string"
    assert inferred.form.missing == ()
    assert "holds codes of several forms, such as '" in inferred.note
    assert "--missing" not in inferred.note
    assert not inferred.undecided


@pytest.mark.parametrize("words", [["2019", "2020", "2020-21"], ["10", "20", "10-20"]])
def test_ranges_and_years_are_no_codes_of_several_forms(words: list[str]) -> None:
    inferred = infer_format(pd.Series(words, dtype="str", name="span"))

    assert "codes of several forms" not in inferred.note


def test_a_date_that_could_be_either_is_said_so() -> None:
    reading = infer_format(pd.Series(["01/02/2020", "03/04/2021"], dtype="str"), day_first=False)

    assert reading.form.dates == ("%m/%d/%Y",)
    assert "are ambiguous" in reading.note


def make_table(rows: int = 400) -> pd.DataFrame:
    generator = np.random.default_rng(5)
    size = generator.normal(size=rows)
    returned = size + generator.normal(0, 0.3, rows) > 1
    return pd.DataFrame(
        {
            "order id": [f"K-{number:05d}" for number in range(rows)],
            "ordered at": pd.date_range("1965-03-01", periods=rows).strftime("%d.%m.%Y"),
            "Größe": [f"{value:.3f}".replace(".", ",") for value in size],
            "color": generator.choice(["red", "green", "blue"], rows),
            "city": [f"town {number}" for number in generator.integers(0, 10_000, rows)],
            "e-mail": [f"a{number}@example.org" for number in range(rows)],
            "same": "x",
            "nothing": "",
            "refund": [f"{value:.4f}" for value in 50.0 * returned + generator.random(rows)],
            "returned": np.where(returned, "back", "kept"),
        }
    )


@pytest.fixture
def paths(paths: Paths) -> Paths:
    """A folder with this project's settings and a table."""
    with gzip.open(paths.root / "orders.csv.gz", "wb") as packed:
        packed.write(make_table().to_csv(index=False, sep=";").encode("latin-1"))
    return paths


def answer_safely(question: str, safe: bool) -> bool:
    return safe


@pytest.fixture
def drafted(paths: Paths) -> Contract:
    options = AdoptionOptions(DataLocation("orders.csv.gz"), RoleOverrides(target="returned"))
    return parse_contract(prepare(paths, options, None, answer_safely).contract)


def test_the_roles_follow_from_the_facts(drafted: Contract) -> None:
    assert drafted.key is not None
    assert drafted.key.name == "order id"
    assert drafted.key.pattern is None
    assert drafted.event_time is not None
    assert drafted.event_time.name == "ordered at"
    assert [column.name for column in drafted.features] == ["Größe", "color", "city"]
    assert [column.name for column in drafted.slices] == ["color"]
    assert [column.name for column in drafted.leakage] == ["refund"]
    assert [column.name for column in drafted.pii] == ["e-mail"]
    assert drafted.column("same").roles == drafted.column("nothing").roles == frozenset()


def test_a_column_that_knows_the_answer_is_marked_and_asked_about(paths: Paths) -> None:
    asked = []

    def answer(question: str, safe: bool) -> bool:
        asked.append(question)
        return False

    options = AdoptionOptions(
        DataLocation("orders.csv.gz"), RoleOverrides(target="returned", key="order id")
    )
    prepared = prepare(paths, options, None, answer)

    assert {column.name for column in parse_contract(prepared.contract).features} >= {"e-mail"}
    assert any("'e-mail' may be about a person" in question for question in asked)


def test_of_two_times_somebody_says_which_is_the_events(paths: Paths) -> None:
    table = make_table()
    table.assign(**{"shipped at": table["ordered at"]}).to_csv(paths.root / "two.csv", index=False)
    options = AdoptionOptions(DataLocation("two.csv"), RoleOverrides(target="returned"))
    asked: list[str] = []

    def answer(question: str, safe: bool) -> bool:
        asked.append(question)
        return "'shipped at' say when" in question or safe

    with pytest.raises(ProjectError, match=r"ordered at, shipped at.*--event-time none"):
        prepare(paths, options, None, answer_safely)
    contract = parse_contract(prepare(paths, options, None, answer).contract)

    assert contract.event_time is not None
    assert contract.event_time.name == "shipped at"
    assert asked[:2] == [
        f"Does '{name}' say when a row's event took place?" for name in ("ordered at", "shipped at")
    ]


def test_the_rarer_word_is_what_is_to_be_found(drafted: Contract) -> None:
    assert drafted.classes == ("kept", "back")
    assert drafted.task == "binary"


@pytest.mark.parametrize("positive", [None, "kept"])
def test_the_class_to_find_is_named_with_the_flag_for_the_other(
    paths: Paths, positive: str | None
) -> None:
    options = AdoptionOptions(
        DataLocation("orders.csv.gz"), RoleOverrides(target="returned", positive=positive)
    )
    said = " ".join(prepare(paths, options, None, answer_safely).open_questions)
    found, other = ("kept", "back") if positive else ("back", "kept")

    assert f"'returned': '{found}' is the positive class; --positive '{other}' swaps" in said


def test_no_personal_value_is_written_into_the_contract(paths: Paths) -> None:
    options = AdoptionOptions(DataLocation("orders.csv.gz"), RoleOverrides(target="returned"))

    assert "@example.org" not in prepare(paths, options, None, answer_safely).contract


def test_the_settings_load_keep_their_comments_and_read_the_same_rows(paths: Paths) -> None:
    options = AdoptionOptions(DataLocation("orders.csv.gz"), RoleOverrides(target="returned"))
    prepared = prepare(paths, options, None, answer_safely)
    paths.params.write_text(prepared.params, encoding="utf-8")
    params = load_params(paths.params)
    assert params.source.kind == "files"
    rows = read_source(params.source, parse_contract(prepared.contract), paths.root)

    assert params.split.strategy == "time"
    assert rows["ordered at"].min() == pd.Timestamp("1965-03-01", tz="UTC")
    assert rows["Größe"].dtype == "Float64"
    assert all(
        "#" in line for line in prepared.params.splitlines() if line.startswith("  min_rows")
    )


def test_the_same_data_drafts_the_same_contract_again(paths: Paths) -> None:
    options = AdoptionOptions(DataLocation("orders.csv.gz"), RoleOverrides(target="returned"))
    first = prepare(paths, options, None, answer_safely)
    text = first.contract
    paths.contract.write_text(text, encoding="utf-8")
    paths.params.write_text(first.params, encoding="utf-8")
    again = prepare(paths, options, parse_contract(text), answer_safely).contract

    assert again == text, "the reasons too: a diff shows nothing but what the data changed"


def test_a_target_of_few_numbers_is_either_and_the_other_is_offered(paths: Paths) -> None:
    draw = np.random.default_rng(1)
    stars = draw.choice(["0.5", "1.5", "2.5"], 400)
    pd.DataFrame({"size": draw.normal(size=400), "stars": stars}).to_csv(paths.root / "s.csv")

    def draft(task: Task | None) -> tuple[Contract, str]:
        options = AdoptionOptions(DataLocation("s.csv"), RoleOverrides(target="stars", task=task))
        prepared = prepare(paths, options, None, answer_safely)
        return parse_contract(prepared.contract), " ".join(prepared.open_questions)

    numbers, said = draft(None)
    assert numbers.task == "regression"
    assert "for classes run again with --task multiclass" in said
    assert "error cost" not in said, "a number has no two kinds of error"
    classes, said = draft("multiclass")
    assert classes.classes == ("0.5", "1.5", "2.5")
    assert "--task" not in said
    with pytest.raises(ProjectError, match=r"--task is binary, but .* has 3 different values"):
        draft("binary")


def test_counts_with_a_tail_of_rare_numbers_are_numbers(paths: Paths) -> None:
    draw = np.random.default_rng(1)
    children = np.minimum(draw.poisson(1.5, 400), 7)
    children[:2] = 12
    pd.DataFrame({"age": draw.normal(size=400), "children": children}).to_csv(paths.root / "c.csv")
    prepared = prepare(
        paths,
        AdoptionOptions(DataLocation("c.csv"), RoleOverrides(target="children")),
        None,
        answer_safely,
    )

    assert parse_contract(prepared.contract).task == "regression"
    assert "for classes run again with --task multiclass" in " ".join(prepared.open_questions)


def test_a_flag_about_the_target_is_obeyed_or_refused(paths: Paths) -> None:
    draw = np.random.default_rng(1)
    table = pd.DataFrame({"size": draw.normal(size=400), "paid": draw.choice(["yes", "no"], 400)})
    table.to_csv(paths.root / "p.csv")

    def draft(overrides: RoleOverrides) -> Contract:
        prepared = prepare(
            paths, AdoptionOptions(DataLocation("p.csv"), overrides), None, answer_safely
        )
        return parse_contract(prepared.contract)

    assert draft(RoleOverrides(target="paid", positive="no")).classes == ("yes", "no")
    with pytest.raises(ProjectError, match=r"--positive is 'nope'.*'no' or 'yes'; name one"):
        draft(RoleOverrides(target="paid", positive="nope"))
    with pytest.raises(ProjectError, match="--task is regression, but the target 'paid' has 2"):
        draft(RoleOverrides(target="paid", task="regression"))


@pytest.mark.parametrize(
    "name", ["Unnamed: 0", "rownames", "row.names", "X", "X1", "...1", "rowid"]
)
def test_a_column_that_counts_the_rows_is_left_out(paths: Paths, name: str) -> None:
    draw = np.random.default_rng(1)
    table = pd.DataFrame({"size": range(400), "paid": draw.choice(["a", "b"], 400)})
    table.to_csv(paths.root / "i.csv")
    table.assign(**{name: range(1, 401)}).to_csv(paths.root / "j.csv", index=False)
    for file in ("i.csv", "j.csv"):
        options = AdoptionOptions(DataLocation(file), RoleOverrides(target="paid"))
        text = prepare(paths, options, None, answer_safely).contract

        assert [column.name for column in parse_contract(text).features] == ["size"]
        assert "numbers the rows" in text


def test_a_time_that_some_rows_lack_is_refused_with_the_ways_on(paths: Paths) -> None:
    table = pd.DataFrame({"size": range(400), "paid": ["a", "b"] * 200})
    table["Released"] = pd.date_range("2013-01-01", periods=400).astype(str)
    table.loc[:2, "Released"] = None
    table.to_csv(paths.root / "i.csv", index=False)
    options = AdoptionOptions(
        DataLocation("i.csv"), RoleOverrides(target="paid", event_time="Released")
    )
    with pytest.raises(ProjectError) as refusal:
        prepare(paths, options, None, answer_safely)
    assert str(refusal.value) == (
        "'Released' is empty in 3 of 400 rows, so it cannot say when a row's event took place; "
        "fill these cells or remove the rows, or say --event-time none."
    )


def test_a_path_below_the_home_folder_is_found(
    paths: Paths, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("home")
    make_table().to_csv(home / "my orders.csv")
    monkeypatch.setenv("HOME", str(home))

    assert open_files("~/my orders.csv", paths.root).path == str(home / "my orders.csv")


def test_a_type_of_parquet_that_no_contract_has_is_refused(tmp_path: Path) -> None:
    table = pd.DataFrame({"took": pd.to_timedelta([1, 2], unit="s"), "raw": [b"\xff", b"x"]})
    for name, kind in (("took", "duration"), ("raw", "binary")):
        table[[name]].to_parquet(tmp_path / "a.parquet")
        with pytest.raises(ProjectError, match=f"column '{name}' of type {kind}.*, which no"):
            read_as_text(open_files("a.parquet", tmp_path), tmp_path)


REFUSED = [
    ("a;a;t\n1;2;3\n", "t", "2 columns named 'a'"),
    ("a;t\n1;2\n2;2\n", "t", "has a single value"),
    ("a;size\n1;2\n", "sise", "no column 'sise'; did you mean 'size'"),
    ("", "t", "is empty"),
    ("a;t\n", "t", "holds no rows"),
    ("a^t\n1^2\n", "t", r"single column, 'a\^t'; its first line must name the columns, separated"),
    (
        "Orders of 2024\n\nid;size;t\n1;2,5;3\n2;1,5;4\n3;0,5;5\n",
        "t",
        r"line 3 has 3 cells \('id', 'size', 't'\); delete what stands above .* columns in line 1",
    ),
    (
        "Orders, by day\n\nid,city,size,t\n" + "1,a,2,3\n" * 5,
        "t",
        r"line 1 is 'Orders, by day', and line 3 has 4 cells \('id', 'city', 'size', …\)",
    ),
    ("Orders;;\n;;\nid;size;t\n1;2,5;3\n2;1,5;4\n", "t", "line 1 is 'Orders;;', and line 3 has 3"),
    ('[{"a": 1, "t": 2}]', "t", "is not a CSV file; save the table as CSV or Parquet"),
    ("PK\x03\x04\x00\x00a,t\n", "t", "is not a CSV file; save the table as CSV or Parquet"),
]


def test_a_table_without_a_feature_is_refused_with_the_reason_of_each_column(paths: Paths) -> None:
    x = np.linspace(0, 1, 200)
    table = pd.DataFrame({"x": x, "same": 1, "y": x + np.sin(99 * x) / 100})
    table.to_csv(paths.root / "one.csv", index=False)
    options = AdoptionOptions(DataLocation("one.csv"), RoleOverrides(target="y"))

    with pytest.raises(ProjectError) as error:
        prepare(paths, options, None, answer_safely)

    assert "'x': alone it predicts the target with a ROC AUC of 1.00" in str(error.value)
    assert "'same': the same value in every row" in str(error.value)
    assert "--feature" in str(error.value)


@pytest.mark.parametrize(("text", "target", "sentence"), REFUSED)
def test_what_cannot_be_adopted_is_refused_with_a_sentence(
    paths: Paths, text: str, target: str, sentence: str
) -> None:
    (paths.root / "bad.csv").write_text(text)

    with pytest.raises(ProjectError, match=sentence):
        prepare(
            paths,
            AdoptionOptions(DataLocation("bad.csv"), RoleOverrides(target=target)),
            None,
            answer_safely,
        )


def test_steps_and_equal_rows_that_are_in_the_table_are_known_and_asked_about(paths: Paths) -> None:
    days = pd.date_range("2013-01-01", "2013-06-30", freq="h").repeat(2)
    feet = np.repeat(np.random.default_rng(1).uniform(10, 90, len(days) // 2).round(1), 2)
    table = pd.DataFrame({"when": days, "length": np.where(days.month < 6, feet, feet / 60)})
    answer = np.random.default_rng(2).integers(0, 2, len(days) // 2).repeat(2) == 1
    table.assign(answer=answer).to_csv(paths.root / "lengths.csv", index=False)
    overrides = RoleOverrides(target="answer", features=frozenset({"length"}))
    adoption = prepare(
        paths, AdoptionOptions(DataLocation("lengths.csv"), overrides), None, answer_safely
    )

    assert "accepted_shifts: {length: [2013-06]}" in adoption.params
    assert "max_duplicates: 0.75" in adoption.params
    said = " ".join(adoption.open_questions)
    assert "'length' changes abruptly in 2013-06: if its unit or meaning changed then" in said
    assert "rows: 50.0% repeat an earlier row; if a join duplicated them" in said


def test_a_table_of_repeated_rows_has_settings_that_load(paths: Paths) -> None:
    draw = np.random.default_rng(3)
    words = {name: draw.choice(["a", "b", "c"], 2000) for name in ("x", "z")}
    table = pd.DataFrame({**words, "y": draw.random(2000) < 0.5})
    table.to_csv(paths.root / "few.csv", index=False)
    options = AdoptionOptions(DataLocation("few.csv"), RoleOverrides(target="y"))
    paths.params.write_text(prepare(paths, options, None, answer_safely).params, encoding="utf-8")

    assert load_params(paths.params).validate_.max_duplicates == 1.0


def test_a_column_that_may_make_groups_of_people_is_asked_about(paths: Paths) -> None:
    draw = np.random.default_rng(1)
    columns = {name: draw.choice(["a", "b"], 400) for name in ("Sex", "essex", "marital status")}
    pd.DataFrame({**columns, "paid": draw.random(400) < 0.5}).to_csv(paths.root / "loans.csv")
    overrides = RoleOverrides(target="paid")
    said = prepare(
        paths, AdoptionOptions(DataLocation("loans.csv"), overrides), None, answer_safely
    ).open_questions

    asked = [line for line in said if "add the tag 'sensitive' in contract.yaml" in line]
    assert [line.split("'")[1] for line in asked] == ["Sex", "marital status"]


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfname,_id,\n1,2,3\n")
    opened = open_files("a.csv", tmp_path)

    assert list(read_as_text(opened, tmp_path)) == ["name", "id", "column 3"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("first", ["", "sep=;\n", '"sep=;"\r\n'])
def test_a_line_that_names_the_delimiter_is_no_header(
    tmp_path: Path, first: str, encoding: str
) -> None:
    text = f"{first}name;size\na;1,5\nb;2,5\n"
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    words = read_as_text(open_files("a.csv", tmp_path), tmp_path)

    assert words.to_dict("list") == {"name": ["a", "b"], "size": ["1,5", "2,5"]}


def test_a_delimiter_that_the_first_line_names_is_taken_whatever_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sep=^\nname^size\na^1;5\nb^2;5\n")

    assert list(read_as_text(open_files("a.csv", tmp_path), tmp_path)) == ["name", "size"]


@pytest.mark.parametrize("text", ["\n\na,b\n1,2\n3,4\n", ",b\n1,2\n3,4\n", "a,b\n1,2,\n3,4,\n"])
def test_a_header_that_is_odd_but_one_is_taken(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    opened = open_files("a.csv", tmp_path)

    assert (opened.delimiter, list(opened.rename.values())) in [(",", []), (",", ["column 1"])]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_an_index_without_a_name_is_left_out_and_told(paths: Paths, delimiter: str) -> None:
    table = make_table().drop(columns="order id")
    lines = table.to_csv(sep=delimiter, index_label=False).splitlines()
    (paths.root / "r.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    adoption = prepare(
        paths,
        AdoptionOptions(DataLocation("r.txt"), RoleOverrides(target="returned")),
        None,
        answer_safely,
    )

    assert [c.name for c in parse_contract(adoption.contract).columns] == list(table)
    assert "first cell, taken for an index, was left out" in " ".join(adoption.open_questions)


def test_backslashes_before_quotes_are_noticed(paths: Paths) -> None:
    table = make_table().assign(color='St. "P"')
    table.to_csv(paths.root / "b.csv", index=False, quoting=1, doublequote=False, escapechar="\\")
    adoption = prepare(
        paths,
        AdoptionOptions(DataLocation("b.csv"), RoleOverrides(target="returned")),
        None,
        answer_safely,
    )

    assert adoption.source.escape == "\\"
    assert set(read_as_text(adoption.source, paths.root)["color"]) == {'St. "P"'}


def test_a_file_without_the_target_is_named(paths: Paths) -> None:
    (paths.root / "parts").mkdir()
    make_table().to_csv(paths.root / "parts" / "1.csv", index=False)
    make_table().drop(columns="returned").to_csv(paths.root / "parts" / "2.csv", index=False)

    with pytest.raises(ProjectError, match=r"2\.csv lacks the target 'returned'.*`make adopt`"):
        prepare(
            paths,
            AdoptionOptions(DataLocation("parts"), RoleOverrides(target="returned")),
            None,
            answer_safely,
        )


def test_columns_of_lists_and_structs_are_left_out_and_named(paths: Paths) -> None:
    lists, structs = (pd.Series([one] * 400, dtype=object) for one in (["a", "b"], {"x": 1.5}))
    table = make_table().assign(tags=lists, place=structs)
    folder = paths.root / "nested"
    folder.mkdir()
    for name, part in (("1", table[:200]), ("2", table[200:].drop(columns="tags"))):
        part.to_parquet(folder / f"{name}.parquet", index=False)
    options = AdoptionOptions(DataLocation("nested"), RoleOverrides(target="returned"))
    adoption = prepare(paths, options, None, answer_safely)
    line = "'place', 'tags': lists or structs, which are not read; if they matter"

    assert [one.startswith(line) for one in adoption.open_questions].count(True) == 1
    assert not {"tags", "place"} & {c.name for c in parse_contract(adoption.contract).columns}
    options = AdoptionOptions(DataLocation("orders.csv.gz"), RoleOverrides(target="returned"))
    said = prepare(paths, options, None, answer_safely).open_questions
    assert not any("lists or structs" in one for one in said)


def test_a_folder_of_csv_and_parquet_is_one_table(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    frame.to_csv(tmp_path / "1.csv", index=False)
    frame.to_parquet(tmp_path / "2.parquet")
    options = AdoptionOptions(DataLocation("."), RoleOverrides(target="a"))
    words = read_as_text(open_files(".", tmp_path), tmp_path)
    table = parse_table(words, read_columns(words, options))

    assert table["a"].tolist() == [1, 2, 1, 2]
    assert table["b"].isna().tolist() == [False, True, False, True]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-5.5, 1e9), (3, 3), (-2, -1), (1e-9, 2e-9)])
def test_limits_leave_room_and_keep_the_sign(low: float, high: float) -> None:
    bottom, top = widen(low, high)

    assert bottom <= low <= high <= top
    assert (bottom >= 0) == (low >= 0)


def test_a_wide_table_of_any_names_gives_a_contract_that_loads() -> None:
    table = pd.DataFrame({f"m.{k} '\"#:ü": np.arange(30.0) + k / 7 for k in range(500)})
    table["t"] = np.arange(30) % 3
    options = AdoptionOptions(DataLocation("x"), RoleOverrides(target="t"))
    facts = profile(table, read_columns(table, options))
    plans = plan_columns(facts, {}, options.overrides, {}, answer_safely)
    contract = parse_contract(draft_contract("t", "1.0.0", "it", plans, {}))

    assert len(contract.features) == 500
    assert contract.task == "multiclass"


def test_the_pipeline_expects_the_curves_of_its_task() -> None:
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    files = FilesParams(kind="files", path="orders.csv")
    numbers = set_pipeline(text, "regression", files)

    assert "residuals.csv" in numbers
    assert "roc.csv" not in numbers
    classes = set_pipeline(numbers, "binary", files)
    assert "roc.csv" in classes
    assert classes.count("reports/source.json") == numbers.count("reports/source.json") == 1


def test_an_unknown_setting_is_said_so() -> None:
    with pytest.raises(ProjectError, match=r"lacks 'a\.b'"):
        set_values("a:\n  c: 1\n", {"a.b": (1, "why")})


def test_a_column_without_values_is_planned_as_nothing() -> None:
    facts = {
        "t": ColumnFacts("t", "boolean", infer_format(pd.Series([True])).form, "", 9, 9, 2),
        "x": ColumnFacts("x", "number", infer_format(pd.Series([1.5])).form, "", 9, 9, 9),
        "e": ColumnFacts("e", None, infer_format(pd.Series([None])).form, "", 9, 0, 0),
    }
    plans: dict[str, ColumnPlan] = {
        column.facts.name: column
        for column in plan_columns(facts, {}, RoleOverrides(target="t"), {}, answer_safely)
    }

    assert plans["e"].tags == ()
    assert plans["e"].kind == "string"
