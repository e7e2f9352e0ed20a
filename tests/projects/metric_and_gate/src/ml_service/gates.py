"""Custom release gate of this project."""

from mlchassis import GateContext, GateResult, gate


@gate
def precise_at_the_top(context: GateContext) -> GateResult:
    """Require a precision that makes a call to each of these customers worth it."""
    precision = context.evaluation.metrics["precision_in_top_tenth"]
    return GateResult.at_least(
        "precise at the top", precision.low, context.limit("min_precision_in_top_tenth")
    )
