"""Content of `dvc.lock`."""

from pathlib import Path

import pytest

from mlchassis.errors import ProjectError
from mlchassis.workspace.dvc_lock import DvcLock, LockedFile, read_dvc_lock

LOCK = """\
schema: '2.0'
stages:
  ingest:
    cmd: python -m orders ingest
    deps:
    - path: contract.yaml
      hash: md5
      md5: '01234567890123456789012345678901'
      size: 7
    - path: s3://bucket/orders.csv
      etag: 0a
    params:
      params.yaml:
        ingest:
          as_of: 2013-08
      chassis/MANIFEST.json:
        fingerprints.ingest:
          d40e
    outs:
    - path: data/raw
      hash: md5
      md5: 12ab.dir
      nfiles: 8
  gone: {cmd: python -m orders gone}
"""


def test_files_and_parameters_of_each_stage_are_read(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(LOCK)
    stages = read_dvc_lock(tmp_path / "dvc.lock").stages
    assert list(stages) == ["ingest", "gone"]
    assert stages["ingest"].deps == [
        LockedFile(path="contract.yaml", md5="01234567890123456789012345678901"),
        LockedFile(path="s3://bucket/orders.csv"),
    ]
    assert stages["ingest"].outs == [LockedFile(path="data/raw", md5="12ab.dir")]
    assert stages["ingest"].params == {
        "params.yaml": {"ingest": {"as_of": "2013-08"}},
        "chassis/MANIFEST.json": {"fingerprints.ingest": "d40e"},
    }


def test_a_lock_without_stages_has_none(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n")
    assert read_dvc_lock(tmp_path / "dvc.lock") == DvcLock()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stages:",
        "stages: [ingest]",
        "stages: {ingest: }",
        "stages: {ingest: {outs: [{md5: 12ab}]}}",
        "stages: {ingest: {outs: [{path: data/raw, md5: 12}]}}",
        "stages: {ingest: {outs: [",
        f"<<<<<<< HEAD\n{LOCK}",
    ],
)
def test_a_broken_lock_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "dvc.lock").write_text(text)
    with pytest.raises(ProjectError, match=r"^dvc\.lock is cut short or broken; `make repro`"):
        read_dvc_lock(tmp_path / "dvc.lock")
