"""The digest of a project's feature code: it changes with the module and with the encoding."""

from pathlib import Path
from typing import Any

import pytest

from ml_service.features import compute_features
from mlchassis.errors import ProjectError
from mlchassis.features import code as feature_code
from mlchassis.features.code import load_feature_code


def test_the_digest_changes_with_the_features_module(monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_feature_code(compute_features).digest
    content = Path(compute_features.__code__.co_filename).read_bytes()
    monkeypatch.setattr(Path, "read_bytes", lambda _: content + b" ")

    assert load_feature_code(compute_features).digest != before


def test_the_digest_changes_with_the_encoding_of_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_feature_code(compute_features).digest
    monkeypatch.setattr(feature_code, "FEATURES_ABI", 2)

    assert load_feature_code(compute_features).digest != before


@pytest.mark.parametrize("wrong", [None, "features.compute_features", dict, 3])
def test_what_is_no_function_of_a_module_is_rejected(wrong: Any) -> None:
    with pytest.raises(ProjectError, match="pass the function `compute_features"):
        load_feature_code(wrong)


def stop(_columns: Any) -> Any:
    raise SystemExit("no table")


def test_features_that_end_the_process_are_an_error() -> None:
    with pytest.raises(
        ProjectError,
        match=r"^stop\(.*test_code\.py ends the process with SystemExit: no table; raise an error",
    ):
        load_feature_code(stop).arrange({})
