"""Every fault of the library is caught by its guard, in a project that runs."""

import pytest

from faults import Fault, load_library, run_fault
from summary import Parts
from whole_run import WholeRun


@pytest.fixture(scope="module")
def green() -> set[str]:
    """Commands of guards that were green in a copy of the project."""
    return set()


@pytest.mark.parametrize("fault", load_library(), ids=lambda fault: fault.name)
def test_the_guard_is_green_before_and_red_after(
    fault: Fault, whole_run: WholeRun, green: set[str], parts: Parts
) -> None:
    outcome = run_fault(fault, whole_run.project, green)
    assert outcome.problem == "", outcome.problem
    parts.note(
        f"fault {fault.name} ({fault.ml_test_score}): caught in {outcome.seconds:.1f} s: "
        f"{outcome.evidence:.80}..."
    )
