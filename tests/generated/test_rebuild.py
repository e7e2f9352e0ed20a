"""Version 1 of a whole project comes out again from its commit, data and parameters."""

import os
import re

from summary import Parts
from whole_run import WholeRun, run_in

# In the fast proof once, in the environment that is there; `make prove` asks for more, each in an
# environment of its own.
CLEAN_REBUILDS = int(os.environ.get("CLEAN_REBUILDS", "0"))


def test_a_rebuild_answers_every_test_row_as_the_version_did(
    whole_run: WholeRun, parts: Parts
) -> None:
    facts = whole_run.read("evaluation")
    said = set()
    for arguments in ["ARGS="] + ["ARGS=--clean"] * CLEAN_REBUILDS:
        with parts.measure(f"make rebuild VERSION=1 {arguments}"):
            printed = run_in(whole_run.project, "make", "rebuild", "VERSION=1", arguments)
        said.add(printed.splitlines()[-1])
    (sentence,) = said
    assert f"equal answers on all {facts['rows']:,} test rows" in sentence
    assert re.search(rf"hash {facts['predictions_hash'][:12]}\), the same bundle", sentence)
    parts.note(sentence)


def test_a_version_beside_itself_differs_in_no_row(whole_run: WholeRun) -> None:
    printed = run_in(whole_run.project, "make", "compare", "A=1", "B=champion")
    assert "0 rows (0.00%) get another answer" in printed
