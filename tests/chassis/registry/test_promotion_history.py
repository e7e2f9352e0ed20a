from mlchassis.paths import Paths
from mlchassis.registry.promotion_history import Intent, log_promotion, promotions


def test_a_reason_may_hold_what_some_take_for_the_end_of_a_line(paths: Paths) -> None:
    reasons = ["pasted\u2028text", "one\x85two", "three\x0cfour", "five\nsix", ""]
    logged = [
        Intent(id=str(i), time="t", who="w", reason=reason, before=None, version="1", digest="d")
        for i, reason in enumerate(reasons)
    ]
    for intent in logged:
        log_promotion(paths, intent)
    assert promotions(paths) == logged
