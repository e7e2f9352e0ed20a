"""Every fault of the library is caught by its guard, in a project that runs."""

import pytest

from background import Job
from faults import Fault, Outcome, load_library
from summary import Parts


@pytest.mark.parametrize("fault", load_library(), ids=lambda fault: fault.name)
def test_the_guard_is_green_before_and_red_after(
    fault: Fault, outcomes: dict[str, Job[Outcome]], parts: Parts
) -> None:
    outcome = outcomes[fault.name].result()
    assert outcome.problem == "", outcome.problem
    parts.note(
        f"fault {fault.name} ({fault.ml_test_score}): caught in {outcome.seconds:.1f} s: "
        f"{outcome.evidence:.80}..."
    )
