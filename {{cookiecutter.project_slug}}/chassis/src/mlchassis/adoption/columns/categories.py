"""Questions about columns that hold persons' data, and the settings that follow."""

from collections.abc import Sequence

from mlchassis.adoption.columns.plan import Ask
from mlchassis.adoption.defaults import Setting
from mlchassis.contract.model import Contract

SETTING = "export.pii_categories"
_COMMENT = "columns tagged pii whose values the model may store: a person's data in every bundle"


def choose_pii_categories(
    contract: Contract, allowed: Sequence[str], ask: Ask
) -> tuple[dict[str, Setting], list[str]]:
    """Ask whether a model may store the values of columns tagged `pii` as its categories.

    Args:
        contract: The drafted contract.
        allowed: Columns for which that was agreed to before.
        ask: Callback for the user's answer; the safe one where nobody can be asked.

    Returns:
        The setting, and what is left to decide: export rejects the model until then.
    """
    agreed, open_questions = [], []
    for column in contract.features:
        if column not in contract.pii or column.kind != "string":
            continue
        name = column.name
        question = (
            f"'{name}' is about a person, and as a category its values are stored in the model and "
            "so in every bundle, image and registry. Store them?"
        )
        if name in allowed or ask(question, False):
            agreed.append(name)
            continue
        open_questions.append(
            f"'{name}' is about a person, and the model would store its values: export rejects it "
            f"until the tag 'feature' is taken away in contract.yaml, or '{name}' is listed in "
            f"{SETTING} in params.yaml"
        )
    return {SETTING: (agreed, _COMMENT)}, open_questions
