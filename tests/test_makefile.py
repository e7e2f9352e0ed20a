"""The template's own verbs: listed, and refused with a sentence under a Python that will not do."""

import re
import subprocess
from pathlib import Path

import pytest

from bake import ROOT, copy_template


def run_make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)


def test_help_lists_every_verb() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (verbs,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    listed = [line.split()[0] for line in run_make(ROOT, "help").stdout.splitlines()]
    assert sorted(listed) == sorted(verbs.split())


@pytest.mark.parametrize("version", ["(3, 10, 14)", "(3, 14, 0)", "(2, 7, 18)"])
def test_a_python_that_will_not_do_is_refused(tmp_path: Path, version: str) -> None:
    other = tmp_path / "python-of-another-version"
    other.write_text(
        '#!/bin/sh\nexec python3 -c "import sys\n'
        f'sys.version_info = {version}\nexec(sys.argv[2])" "$@"\n'
    )
    other.chmod(0o755)
    template = copy_template(tmp_path / "template")
    run = run_make(template, f"PYTHON={other}", "test")
    assert run.returncode != 0
    assert "this template needs 3.11, 3.12 or 3.13; name one: make PYTHON=" in run.stderr
    assert not (template / ".venv").exists()


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    run = run_make(copy_template(tmp_path / "template"), "PYTHON=absent-python", "test")
    assert run.returncode != 0
    assert "error: no 'absent-python' on PATH; install Python 3.11" in run.stderr
