"""A bundle: one digest for one content, and no way to serve any other."""

import hashlib
import json
import math
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ml_service.features import compute_features
from mlchassis.bundle import bundle as bundle_module
from mlchassis.bundle.bundle import (
    Bundle,
    BundleError,
    OtherBundleError,
    deploy_bundle,
    load_bundle,
    load_deployed,
    read_bundle,
    read_pointer,
    write_bundle,
)
from mlchassis.contract.model import Contract
from mlchassis.features.code import load_feature_code

FEATURES = load_feature_code(compute_features)

FILES = ["SHA256SUMS", "bundle.json", "contract.yaml", "model.onnx"]


@pytest.fixture
def bundle(bundle_path: Path, tmp_path: Path) -> Bundle:
    """A copy that a test may spoil."""
    shutil.copytree(bundle_path, tmp_path / "bundle")
    return load_bundle(tmp_path / "bundle", FEATURES)


def rewrite(bundle: Bundle, target: Path, **changes: object) -> str:
    text = (bundle.path / "contract.yaml").read_text(encoding="utf-8")
    return write_bundle(target, bundle.model, text, bundle.metadata.model_copy(update=changes))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_bundle_reads_back_as_it_was_written(bundle: Bundle, tmp_path: Path) -> None:
    digest = rewrite(bundle, tmp_path / "again")
    again = load_bundle(tmp_path / "again", FEATURES)

    assert (again.digest, again.metadata, again.model) == (digest, bundle.metadata, bundle.model)
    assert sorted(path.name for path in again.path.iterdir()) == FILES


def test_the_same_content_has_the_same_digest_wherever_it_lies(
    bundle: Bundle, tmp_path: Path
) -> None:
    digests = {rewrite(bundle, tmp_path / name) for name in ("a", "deep/er/b")}

    assert digests == {bundle.digest}


def test_another_content_has_another_digest(bundle: Bundle, tmp_path: Path) -> None:
    assert rewrite(bundle, tmp_path / "other", data_hash="1" * 64) != bundle.digest


@pytest.mark.parametrize("name", ["bundle.json", "contract.yaml", "model.onnx"])
@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_one_changed_byte_is_refused_with_the_files_name(
    bundle: Bundle, name: str, place: float
) -> None:
    content = bytearray((bundle.path / name).read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    (bundle.path / name).write_bytes(content)

    with pytest.raises(BundleError, match=f"{name} does not match its SHA-256.*do not serve it"):
        load_bundle(bundle.path, FEATURES)


def test_one_changed_byte_in_the_sums_is_refused(bundle: Bundle) -> None:
    sums = bundle.path / "SHA256SUMS"
    first, rest = sums.read_bytes()[:1], sums.read_bytes()[1:]
    sums.write_bytes((b"1" if first == b"0" else b"0") + rest)

    with pytest.raises(BundleError, match="does not match its SHA-256"):
        load_bundle(bundle.path, FEATURES)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(bundle: Bundle, name: str) -> None:
    (bundle.path / name).unlink()

    with pytest.raises(BundleError, match=f"lacks {name}; deploy it again"):
        load_bundle(bundle.path, FEATURES)


def test_a_folder_that_is_not_there_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="There is no bundle at"):
        load_bundle(tmp_path / "nothing", FEATURES)


def test_a_bundle_of_another_features_file_can_be_read_but_not_served(
    bundle: Bundle, tmp_path: Path
) -> None:
    rewrite(bundle, tmp_path / "other", features_digest="0" * 64)

    assert read_bundle(tmp_path / "other").metadata.features_digest == "0" * 64
    with pytest.raises(BundleError, match=r"trained with another features\.py"):
        load_bundle(tmp_path / "other", FEATURES)


@pytest.mark.parametrize("change", [{"format": 2}, {"threshold": "high"}, {"more": 1}])
def test_metadata_of_another_format_is_refused(
    bundle: Bundle, change: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads((bundle.path / "bundle.json").read_text()) | change
    monkeypatch.setattr(bundle_module, "_dump", lambda _: json.dumps(document).encode())
    rewrite(bundle, bundle.path)

    with pytest.raises(BundleError, match=r"bundle\.json is not of format 1"):
        load_bundle(bundle.path, FEATURES)


NUMBERS = {"kind": "numeric", "missing": 0.25, "quantiles": [-1.5, 0.0, 2e9]}
CATEGORIES = {"kind": "categorical", "missing": 0.0, "shares": {"é": 0.5, "Z": 0.25, "a": 0.25}}


def list_references(contract: Contract) -> dict[str, Any]:
    """A reference of each feature column, as a bundle of any version holds it."""
    return {c.name: NUMBERS if c.is_numeric else CATEGORIES for c in contract.features}


def rewrite_reference(bundle: Bundle, reference: object, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Write the bundle with this reference in bundle.json; return the file's content."""
    document = json.loads((bundle.path / "bundle.json").read_text()) | {"reference": reference}
    content = bundle_module._dump(document)
    with monkeypatch.context() as patched:
        patched.setattr(bundle_module, "_dump", lambda _: content)
        rewrite(bundle, bundle.path)
    return content


def test_references_of_numbers_and_of_categories_are_read_and_written_again_as_they_were(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = rewrite_reference(bundle, list_references(bundle.contract), monkeypatch)
    again = load_bundle(bundle.path, FEATURES)

    kinds = {c.name: "numeric" if c.is_numeric else "categorical" for c in again.contract.features}
    assert {name: seen.kind for name, seen in again.metadata.reference.items()} == kinds
    assert set(kinds.values()) == {"numeric", "categorical"}
    rewrite(again, bundle.path)
    assert (bundle.path / "bundle.json").read_bytes() == content


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"kind": "ordinal", "missing": 0.0}, r"is not of format 1 \(reference\.\w+: .*export it"),
        ({"missing": 0.0}, r"is not of format 1 \(reference\.\w+: .*export it again"),
        (NUMBERS | {"missing": 1.5}, r"reference\.\w+\.numeric\.missing: .*export it again"),
        (NUMBERS | {"quantiles": "high"}, r"reference\.\w+\.numeric\.quantiles: .*export it again"),
        (CATEGORIES | {"shares": {"a": "much"}}, r"categorical\.shares\.a: .*export it again"),
    ],
)
def test_a_wrong_reference_is_refused_with_its_place(
    bundle: Bundle, wrong: object, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bundle.contract.features[0].name
    rewrite_reference(bundle, list_references(bundle.contract) | {first: wrong}, monkeypatch)

    with pytest.raises(BundleError, match=sentence):
        load_bundle(bundle.path, FEATURES)


def test_a_reference_of_the_other_kind_of_column_is_refused(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = next(column.name for column in bundle.contract.features if column.is_numeric)
    reference = list_references(bundle.contract) | {name: CATEGORIES}
    rewrite_reference(bundle, reference, monkeypatch)

    with pytest.raises(BundleError, match=f"reference of '{name}' in bundle.json is categorical"):
        load_bundle(bundle.path, FEATURES)


def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(tmp_path)
    write_bytes = Path.write_bytes

    def fill_the_disk(path: Path, content: bytes) -> int:
        if path.name == "model.onnx":
            write_bytes(path, content[: len(content) // 2])
            raise OSError("No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        rewrite(bundle, bundle.path, data_hash="1" * 64)

    assert snapshot(tmp_path) == before


def test_a_bundle_appears_whole_or_not_at_all(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "fresh"
    seen = []
    rename = Path.rename

    def watch(path: Path, new: Path) -> Path:
        seen.append((target.exists(), sorted(p.name for p in path.iterdir())))
        return rename(path, new)

    monkeypatch.setattr(Path, "rename", watch)
    rewrite(bundle, target)

    assert seen == [(False, FILES)]


def test_a_store_without_a_pointer_serves_nothing(tmp_path: Path) -> None:
    assert read_pointer(tmp_path) is None


def test_a_deployed_bundle_is_what_the_pointer_names(bundle: Bundle, tmp_path: Path) -> None:
    store = tmp_path / "store"
    pointer = deploy_bundle(bundle.path, store, "houses", "3", FEATURES)

    assert read_pointer(store) == pointer
    assert (pointer.digest, pointer.model_name, pointer.model_version) == (
        bundle.digest,
        "houses",
        "3",
    )
    assert load_bundle(store / "bundles" / pointer.digest, FEATURES).digest == bundle.digest


def test_deploying_again_rewrites_the_pointer_alone(bundle: Bundle, tmp_path: Path) -> None:
    store = tmp_path / "store"
    deploy_bundle(bundle.path, store, "houses", "3", FEATURES)
    place = store / "bundles" / bundle.digest
    first = place.stat().st_ino
    deploy_bundle(bundle.path, store, "houses", "4", FEATURES)

    pointer = read_pointer(store)
    assert pointer is not None
    assert pointer.model_version == "4"
    assert place.stat().st_ino == first


def test_deploying_replaces_a_stored_bundle_that_was_changed(
    bundle: Bundle, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    deploy_bundle(bundle.path, store, "houses", "3", FEATURES)
    (store / "bundles" / bundle.digest / "model.onnx").write_bytes(b"spoilt")
    deploy_bundle(bundle.path, store, "houses", "3", FEATURES)

    assert load_bundle(store / "bundles" / bundle.digest, FEATURES).model == bundle.model
    assert sorted(path.name for path in (store / "bundles").iterdir()) == [bundle.digest]


def test_a_spoilt_bundle_is_not_deployed_and_the_old_one_stays(
    bundle: Bundle, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    deploy_bundle(bundle.path, store, "houses", "3", FEATURES)
    before = snapshot(store)
    (bundle.path / "model.onnx").write_bytes(b"spoilt")

    with pytest.raises(BundleError, match="does not match"):
        deploy_bundle(bundle.path, store, "houses", "4", FEATURES)
    assert snapshot(store) == before


def test_what_is_deployed_is_what_was_verified(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    make_scratch = tempfile.TemporaryDirectory

    def write_late(**settings: Any) -> Any:
        (bundle.path / "model.onnx").write_bytes(b"spoilt")
        return make_scratch(**settings)

    monkeypatch.setattr(tempfile, "TemporaryDirectory", write_late)
    pointer = deploy_bundle(bundle.path, store, "houses", "3", FEATURES)

    assert (bundle.path / "model.onnx").read_bytes() == b"spoilt"
    assert load_bundle(store / "bundles" / pointer.digest, FEATURES).model == bundle.model


def add_file(folder: Path) -> None:
    (folder / "junk.bin").write_bytes(b"junk")


def add_hidden_file(folder: Path) -> None:
    (folder / ".notes").write_text("notes")


def add_folder(folder: Path) -> None:
    (folder / "code").mkdir()


def add_link(folder: Path) -> None:
    (folder / "notes.txt").symlink_to("/etc/hostname")


def add_broken_link(folder: Path) -> None:
    (folder / "notes.txt").symlink_to("nowhere")


def add_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def add_control_characters(folder: Path) -> None:
    (folder / "a\n\x1b[2Kb").write_text("")


ADDITIONS = [
    add_file,
    add_hidden_file,
    add_folder,
    add_link,
    add_broken_link,
    add_pipe,
    add_control_characters,
]


@pytest.mark.parametrize("add", ADDITIONS)
def test_a_bundle_is_its_named_files_and_nothing_else(
    add: Callable[[Path], None], bundle: Bundle, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    place = store / "bundles" / bundle.digest
    deploy_bundle(bundle.path, store, "houses", "3", FEATURES)
    add(place)
    with pytest.raises(BundleError, match=r"holds '.*', which no bundle has") as caught:
        load_bundle(place, FEATURES)
    assert str(caught.value).isprintable()
    # Deploying the bundle again puts a clean one in its place.
    deploy_bundle(bundle.path, store, "houses", "3", FEATURES)
    assert sorted(path.name for path in place.iterdir()) == FILES

    add(bundle.path)
    before = snapshot(store)
    with pytest.raises(BundleError, match="which no bundle has"):
        deploy_bundle(bundle.path, store, "houses", "4", FEATURES)
    assert snapshot(store) == before


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_a_bundles_file_is_no_link_no_folder_and_no_pipe(
    name: str, kind: str, bundle: Bundle, tmp_path: Path
) -> None:
    file = bundle.path / name
    file.rename(tmp_path / name)
    make = {"link": lambda: file.symlink_to(tmp_path / name), "folder": file.mkdir}
    make.get(kind, lambda: os.mkfifo(file))()

    with pytest.raises(BundleError, match=f"{name} is a link or a folder, not a file"):
        load_bundle(bundle.path, FEATURES)


@pytest.mark.parametrize(
    "line", ["{0}  junk.bin\n", "{0}  ../../escaped\n", "\n", "{0}  model.onnx\n"]
)
def test_sums_that_name_more_than_the_files_are_refused(line: str, bundle: Bundle) -> None:
    sums = bundle.path / "SHA256SUMS"
    digest = hashlib.sha256(bundle.model).hexdigest()
    sums.write_text(sums.read_text() + line.format(digest))

    with pytest.raises(BundleError, match="SHA256SUMS holds more than a line for each"):
        load_bundle(bundle.path, FEATURES)


def test_a_bundle_is_pointed_at_only_when_it_is_in_place(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    whole: list[str] = []
    path_replace = Path.replace

    def watch(path: Path, target: Path) -> Path:
        whole.append(load_bundle(store / "bundles" / bundle.digest, FEATURES).digest)
        return path_replace(path, target)

    monkeypatch.setattr(Path, "replace", watch)
    deploy_bundle(bundle.path, store, "houses", "3", FEATURES)

    assert whole == [bundle.digest]


@pytest.mark.parametrize("digest", ["", ".", "..", "../../tmp/x", "/tmp/x", "A" * 64, "0" * 63])  # noqa: S108
def test_a_pointer_names_a_digest_and_no_path(tmp_path: Path, digest: str) -> None:
    pointer = {"digest": digest, "model_name": "a", "model_version": "1", "deployed_at": ""}
    (tmp_path / "current.json").write_text(json.dumps(pointer))

    with pytest.raises(BundleError, match="is not a pointer to a bundle; run `make deploy`"):
        read_pointer(tmp_path)


@pytest.mark.parametrize("content", ["", "{}", '{"digest": 3}', "half a poin"])
def test_a_pointer_that_cannot_be_read_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "current.json").write_text(content)

    with pytest.raises(BundleError, match="is not a pointer to a bundle; run `make deploy`"):
        read_pointer(tmp_path)


@pytest.mark.parametrize("digest", ["", "..", "../../other", "/etc", "f" * 63, "F" * 64])
def test_a_deployed_bundle_is_named_by_its_digest_and_by_no_path(
    digest: str, bundle: Bundle, tmp_path: Path
) -> None:
    deploy_bundle(bundle.path, tmp_path / "store", "houses", "3", FEATURES)
    shutil.copytree(bundle.path, tmp_path / "other")
    with pytest.raises(BundleError, match="is not a digest of a bundle"):
        load_deployed(tmp_path / "store", digest, FEATURES)


def test_another_bundle_under_a_deployed_ones_name_is_refused(
    bundle: Bundle, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    pointer = deploy_bundle(bundle.path, store, "houses", "3", FEATURES)
    assert load_deployed(store, pointer.digest, FEATURES).digest == bundle.digest
    rewrite(bundle, store / "bundles" / pointer.digest, data_hash="1" * 64)
    with pytest.raises(BundleError, match="is not the one that was deployed; deploy it again"):
        load_deployed(store, pointer.digest, FEATURES)


def test_another_bundle_in_a_deployed_ones_place_is_refused_before_it_is_interpreted(
    bundle: Bundle, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    pointer = deploy_bundle(bundle.path, store, "houses", "3", FEATURES)
    deep = "a: " + "[" * 5000 + "]" * 5000
    write_bundle(store / "bundles" / pointer.digest, bundle.model, deep, bundle.metadata)
    with pytest.raises(BundleError, match="is not the one that was deployed; deploy it again"):
        load_deployed(store, pointer.digest, FEATURES)
    with pytest.raises(OtherBundleError, match="was replaced") as caught:
        read_bundle(store / "bundles" / pointer.digest, pointer.digest)
    assert caught.value.actual not in ("", pointer.digest)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tolerance", math.inf),
        ("tolerance", math.nan),
        ("tolerance", -1.0),
        ("unit", math.inf),
        ("threshold", math.nan),
        ("golden", []),
    ],
)
def test_metadata_with_which_every_answer_would_be_accepted_is_refused(
    field: str, value: Any, bundle: Bundle, tmp_path: Path
) -> None:
    rewrite(bundle, tmp_path / "other", **{field: value})
    with pytest.raises(BundleError, match=rf"bundle.json is not of format 1 \({field}"):
        read_bundle(tmp_path / "other")


def test_the_file_that_was_examined_is_the_one_that_is_read(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_regular, seen = stat.S_ISREG, []
    (tmp_path / "other").write_bytes(b"another graph")

    def swap(mode: int) -> bool:
        seen.append(mode)
        if len(seen) == len(FILES):
            (bundle.path / "model.onnx").unlink()
            (bundle.path / "model.onnx").symlink_to(tmp_path / "other")
        return is_regular(mode)

    monkeypatch.setattr(stat, "S_ISREG", swap)
    assert read_bundle(bundle.path).model == bundle.model
    with pytest.raises(BundleError, match=r"model\.onnx is a link or a folder, not a file"):
        read_bundle(bundle.path)
