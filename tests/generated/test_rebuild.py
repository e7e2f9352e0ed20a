"""Version 1 of a whole project comes out again from its commit, data and parameters."""

import os

from summary import Parts
from whole_run import WholeRun, run_in

# In the fast proof once, in the environment that is there; `make prove` asks for more, each in an
# environment of its own, and with other numbers of threads.
CLEAN_REBUILDS = int(os.environ.get("CLEAN_REBUILDS", "0"))
THREADS = (1, 2, 4) if CLEAN_REBUILDS else ()


def test_a_rebuild_answers_every_test_row_as_the_version_did(
    whole_run: WholeRun, parts: Parts
) -> None:
    facts = whole_run.read("evaluation")
    equal = (
        f"equal answers on all {facts['rows']:,} test rows (hash {facts['predictions_hash'][:12]})"
    )
    threads = [f"--threads {number}" for number in THREADS]
    for arguments in ("", *["--clean"] * CLEAN_REBUILDS, *threads):
        with parts.measure(f"make rebuild VERSION=1 {arguments}"):
            said = run_in(whole_run.project, "make", "rebuild", "VERSION=1", f"ARGS={arguments}")
        sentence = said.splitlines()[-1]
        assert equal in sentence
        # A bundle holds the hash of its parameters, and the threads are one of them.
        assert arguments in threads or sentence.endswith("the same bundle.")
    parts.note(sentence)


def test_a_version_beside_itself_differs_in_no_row(whole_run: WholeRun) -> None:
    printed = run_in(whole_run.project, "make", "compare", "A=1", "B=champion")
    assert "0 rows (0.00%) get another answer" in printed
