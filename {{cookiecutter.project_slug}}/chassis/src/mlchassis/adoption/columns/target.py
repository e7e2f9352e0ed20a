"""Plan of the target: its kind and classes."""

from mlchassis.adoption.columns.plan import ColumnPlan, RoleOverrides
from mlchassis.adoption.columns.profile import ColumnFacts
from mlchassis.contract.model import ClassLabel, Kind, Task
from mlchassis.errors import ProjectError

LEAKAGE_AUC = 0.95
"""A single column that predicts the target so well was most likely filled in afterwards."""
LEAKAGE_CLASS_AUC = 0.995
"""The same for one class of several, of which the easiest counts.

One class of three that lies three standard deviations from the others, as one species of penguins
or flowers does, gives an honest column 0.98. What is filled in afterwards marks its class exactly.
"""
MAX_CLASSES = 50
MIN_ROWS_PER_CLASS = 10
_MAX_NUMERIC_CLASSES = 20
_MAY_BE_CLASSES = (
    "it has few numbers, which were taken as such; for classes run again with --task multiclass"
)
_MAY_BE_NUMBERS = "its numbers were taken for classes; for numbers run again with --task regression"


def choose_leakage_auc(target: ColumnPlan) -> float:
    """Return the ROC AUC from which on a column is suspected of leakage."""
    return LEAKAGE_CLASS_AUC if len(target.classes) > 2 else LEAKAGE_AUC


def plan_target(column: ColumnFacts, overrides: RoleOverrides) -> ColumnPlan:
    """Return the target's kind and classes.

    Raises:
        ProjectError: It has a single value, or neither classes nor numbers.
    """
    _check_varies(column)
    is_numeric = column.kind in ("integer", "number")
    _check_task(column, overrides.task, numbers=is_numeric)
    if column.kind == "boolean":
        return _plan_boolean(column)
    many = column.distinct > (_MAX_NUMERIC_CLASSES if is_numeric else MAX_CLASSES)
    if is_numeric and _is_regression(column, overrides, many=many):
        return _plan_regression(column, overrides, many=many)
    _check_classes(column, many=many)
    classes = _order_classes(column, overrides.positive)
    if len(classes) == 2:
        return _plan_binary(column, overrides, classes)
    return _plan_multiclass(column, overrides, classes)


def _plan_boolean(column: ColumnFacts) -> ColumnPlan:
    return ColumnPlan(
        column,
        "boolean",
        ("target",),
        "two values: true is the positive class",
        question="true is the positive class; --positive and the value for false swap them",
    )


def _plan_regression(column: ColumnFacts, overrides: RoleOverrides, *, many: bool) -> ColumnPlan:
    reason = f"{column.distinct:,} different numbers: regression{_name_flag(overrides)}"
    question = "" if many or overrides.task else _MAY_BE_CLASSES
    return ColumnPlan(column, _get_kind(column), ("target",), reason, question=question)


def _plan_binary(
    column: ColumnFacts, overrides: RoleOverrides, classes: tuple[ClassLabel, ...]
) -> ColumnPlan:
    other, positive = classes
    reason = (
        f"two values: '{positive}' is the positive class; --positive swaps them"
        f"{_name_flag(overrides)}"
    )
    question = f"'{positive}' is the positive class; --positive '{other}' swaps them"
    return ColumnPlan(column, _get_kind(column), ("target",), reason, classes, question)


def _plan_multiclass(
    column: ColumnFacts, overrides: RoleOverrides, classes: tuple[ClassLabel, ...]
) -> ColumnPlan:
    reason = f"{len(classes)} different values: classes{_name_flag(overrides)}"
    is_numeric = column.kind in ("integer", "number")
    question = _MAY_BE_NUMBERS if is_numeric and not overrides.task else ""
    return ColumnPlan(column, _get_kind(column), ("target",), reason, classes, question)


def _get_kind(column: ColumnFacts) -> Kind:
    return column.kind or "string"


def _check_varies(column: ColumnFacts) -> None:
    if column.kind is None:
        raise ProjectError(
            f"The target '{column.name}' has no value in {column.rows} rows; there is nothing to "
            "learn: bring rows of every outcome."
        )
    if column.constant:
        raise ProjectError(
            f"The target '{column.name}' has a single value in {column.rows} rows; there is "
            "nothing to learn: bring rows of every outcome."
        )


def _is_regression(column: ColumnFacts, overrides: RoleOverrides, *, many: bool) -> bool:
    """Return True for numbers that are asked for as such, or that make no classes."""
    if overrides.task is not None:
        return overrides.task == "regression"
    # Counts have a tail of rare numbers, which as classes nobody could learn.
    counts = (
        column.distinct > 2
        and column.lists_all
        and _count_rarest_class(column) < MIN_ROWS_PER_CLASS
    )
    return many or counts or not column.lists_all


def _count_rarest_class(column: ColumnFacts) -> int:
    return column.common_values[-1][1]


def _name_flag(overrides: RoleOverrides) -> str:
    """Return the part of the reason by which the next adoption sees that a flag decided."""
    return f", as --task {overrides.task} says" if overrides.task else ""


def _check_task(column: ColumnFacts, task: Task | None, *, numbers: bool) -> None:
    fits = {"binary": column.distinct == 2, "multiclass": column.distinct > 2}
    if task and not fits.get(task, numbers):
        raise ProjectError(
            f"--task is {task}, but the target '{column.name}' has {column.distinct:,} different "
            f"values of kind {column.kind}; leave --task out, or name another column."
        )


def _check_classes(column: ColumnFacts, *, many: bool) -> None:
    if many or not column.lists_all:
        raise ProjectError(
            f"The target '{column.name}' has {column.distinct:,} different values of kind "
            f"{column.kind}; at most {MAX_CLASSES} classes or numbers can be predicted: group "
            "them, or name another column."
        )
    word, count = column.common_values[-1]
    if count < MIN_ROWS_PER_CLASS:
        raise ProjectError(
            f"The target '{column.name}' is {word!r} in only {count} rows; every class needs "
            f"{MIN_ROWS_PER_CLASS}: bring more such rows, or join it with another class."
        )


def _order_classes(column: ColumnFacts, positive: str | None) -> tuple[ClassLabel, ...]:
    labels = sorted(word for word, _ in column.common_values)
    if len(labels) != 2:
        return tuple(labels)
    if positive is not None:
        matching = [label for label in labels if str(label) == positive]
        if not matching:
            raise ProjectError(
                f"--positive is '{positive}', but '{column.name}' is {labels[0]!r} or "
                f"{labels[1]!r}; name one of them."
            )
        return tuple(sorted(labels, key=lambda label: label == matching[0]))
    # Of numbers the larger one; of strings the rarer one, which is usually the one to predict.
    return tuple(labels if column.kind == "integer" else [word for word, _ in column.common_values])
