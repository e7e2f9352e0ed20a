"""The parameters: each is explained, and a wrong one is refused before any work is done."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import ml_service
from mlchassis.config.params import Params, ParamsError, load_params, parse_params
from mlchassis.config.renamed_keys import RENAMED_KEYS

ROOT = Path(ml_service.__file__).parents[2]
SHIPPED = (ROOT / "params.yaml").read_text(encoding="utf-8")


def load_changed(tmp_path: Path, dotted: str, value: Any) -> Params:
    """The shipped parameters with one of them changed, added or, by `...`, taken out."""
    document = yaml.safe_load(SHIPPED)
    *sections, name = dotted.split(".")
    place = document
    for section in sections:
        place = place[section]
    if value is ...:
        del place[name]
    else:
        place[name] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(document))
    return load_params(path)


def knobs() -> list[str]:
    # How the files of a source are read is a record, written by `adopt`.
    text = re.sub(r"^source:\n(?: .*\n)*", "", SHIPPED, flags=re.MULTILINE)
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return [line.strip() for line in lines if not re.fullmatch(r" *\w+: *", line)]


@pytest.mark.parametrize("line", knobs())
def test_every_knob_has_its_unit_or_reason_beside_it(line: str) -> None:
    assert re.fullmatch(r"\w+: \S.* +# \S.{9,}", line)


def test_the_shipped_parameters_are_accepted() -> None:
    params = load_params(ROOT / "params.yaml")
    assert params.model_dump(mode="json", by_alias=True) == yaml.safe_load(SHIPPED) | {
        "source": params.source.model_dump(mode="json")
    }


WRONG: list[tuple[str, Any, str]] = [
    ("sed", 1, "unknown key 'sed'; did you mean 'seed'"),
    (
        "train.min_category",
        1,
        "unknown key 'train.min_category'; did you mean 'min_category_count'",
    ),
    ("train.trees.leafs", 1, "unknown key 'train.trees.leafs'; did you mean 'leaves'"),
    ("validate.max_quarantine", 1, "did you mean 'max_quarantined'"),
    ("source.zzz", 1, "unknown key 'source.zzz'; known are "),
    ("split.min_rows", ..., "'split.min_rows' is missing; add it, with its unit and reason"),
    ("judge", ..., "'judge' is missing"),
    ("source.kind", "kafka", "'source.kind' is missing or unknown; known are"),
    ("ingest.as_of", "2013-13", "'ingest.as_of' is '2013-13', but string should match"),
    ("ingest.as_of", "August", "'ingest.as_of' is 'August', but"),
    ("validate.max_quarantined", 1.5, "'validate.max_quarantined' is 1.5, but input should be"),
    ("judge.min_gain", "high", "as a number; correct it."),
    ("split.strategy", "never", "'split.strategy' is 'never', but"),
    ("split.test_days", 0, "'split.test_days' is 0, but"),
    ("split.test_proportion", -0.1, "'split.test_proportion' is -0.1, but"),
    ("train.max_single_feature_auc", 0.5, "'train.max_single_feature_auc' is 0.5, but"),
    ("train.cost_false_negative", 0, "'train.cost_false_negative' is 0, but"),
    ("train.trees.leaves", 1, "'train.trees.leaves' is 1, but"),
    ("train.trees.feature_proportion", 1.1, "'train.trees.feature_proportion' is 1.1, but"),
    ("train.linear.max_iterations", "many", "'train.linear.max_iterations' is 'many', but"),
    ("export.tolerance", 0, "'export.tolerance' is 0, but"),
    ("export.tolerance", float("nan"), "'export.tolerance' is nan, but"),
    ("evaluate.resamples", 10, "'evaluate.resamples' is 10, but"),
    ("evaluate.confidence", 1, "'evaluate.confidence' is 1, but"),
    ("judge.max_regression", -1, "'judge.max_regression' is -1, but"),
    ("judge.metric", "auc", "'judge.metric' is 'auc', but"),
    ("judge.min_gain", float("nan"), "'judge.min_gain' is nan, but"),
    (
        "monitor.agreeing",
        4,
        (
            "'monitor.agreeing' is 4, but there are 3 windows (monitor.windows), so the status "
            "would never be retrain; lower it, or raise monitor.windows"
        ),
    ),
    (
        "monitor.retention_days",
        13,
        (
            "'monitor.retention_days' is 13, but 2 windows of 7 days must agree "
            "(monitor.agreeing), so the status would never be retrain; keep 14 days, or lower "
            "monitor.window_days"
        ),
    ),
    ("monitor.window_days", 1000, "'monitor.window_days' is 1000, but"),
    ("monitor.windows", 100_000, "'monitor.windows' is 100000, but"),
    ("monitor.retention_days", 10**9, "'monitor.retention_days' is 1000000000, but"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG)
def test_a_wrong_parameter_is_refused_with_a_sentence(
    tmp_path: Path, name: str, value: Any, sentence: str
) -> None:
    with pytest.raises(ParamsError) as refusal:
        load_changed(tmp_path, name, value)

    assert sentence in str(refusal.value)
    assert str(refusal.value).startswith("params.yaml: ")


def test_a_misspelt_key_is_told_as_misspelt_rather_than_as_missing(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED.replace("seed:", "sed:"))

    with pytest.raises(ParamsError, match="unknown key 'sed'; did you mean 'seed'"):
        load_params(path)


@pytest.mark.parametrize(("old", "new"), RENAMED_KEYS.items())
def test_the_error_for_an_old_key_names_the_new_one(tmp_path: Path, old: str, new: str) -> None:
    shipped: Any = yaml.safe_load(SHIPPED)
    for part in new.split("."):
        shipped = shipped[part]

    with pytest.raises(ParamsError) as refusal:
        load_changed(tmp_path, old, shipped)

    assert str(refusal.value) == f"params.yaml: '{old}' is now '{new}'; rename it."


@pytest.mark.parametrize("text", ["", "- a", "seed: [", "seed"])
def test_a_file_that_holds_no_parameters_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)

    with pytest.raises(ParamsError, match=r"^params\.yaml"):
        load_params(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"params\.yaml is missing: restore it from git"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("name", "value", "changes"),
    [
        ("seed", 1, True),
        ("train.min_category_count", 7, True),
        ("ingest.as_of", "1970-01", True),
        ("export.golden", 7, True),
        ("evaluate.resamples", 50, False),
        ("judge.min_gain", 1.0, False),
    ],
)
def test_the_digest_changes_with_what_shapes_a_bundle_alone(
    tmp_path: Path, name: str, value: Any, changes: bool
) -> None:
    before = load_params(ROOT / "params.yaml").digest()

    assert (load_changed(tmp_path, name, value).digest() != before) is changes


@pytest.mark.parametrize(
    "line", ["x: 2020-99-99", "x: 1" + "0" * 6000, "x: " + "[" * 5000 + "]" * 5000]
)
def test_yaml_that_cannot_be_a_value_is_one_sentence(line: str) -> None:
    with pytest.raises(ParamsError, match=r"params\.yaml is not valid YAML"):
        parse_params(line)
