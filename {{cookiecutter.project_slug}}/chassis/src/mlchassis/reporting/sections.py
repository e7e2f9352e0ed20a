"""A team's own sections of the model report and the model card."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mlchassis.bundle.bundle import Bundle
from mlchassis.config.params import Params
from mlchassis.errors import ProjectError
from mlchassis.evaluation.gates.judgement import Judgement
from mlchassis.evaluation.results import Evaluation
from mlchassis.html.blocks import Bars, Block, Curve, Section, Table, Text
from mlchassis.project import Workspace
from mlchassis.team_code.signatures import describe


@dataclass(frozen=True, slots=True)
class ReportContext:
    """Facts about a judged model.

    Attributes:
        workspace: The project's folder and objects.
        params: The parameters.
        bundle: The judged bundle, with its contract.
        evaluation: Content of `reports/evaluation.json`.
        judgement: The release gates and their verdicts.
    """

    workspace: Workspace
    params: Params
    bundle: Bundle
    evaluation: Evaluation
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A section of the model report and the model card.

    Attributes:
        title: The heading.
        blocks: Paragraphs, tables, curves and bars; the card shows paragraphs and tables. Texts are
            shown as they are: HTML and Markdown in them have no effect.
        after: The built-in section that it follows, whether or not that has any content.
    """

    title: str
    blocks: Sequence[Block]
    after: str = "slices"


def insert_sections(
    built_in: Iterable[tuple[str, Iterable[Section]]], context: ReportContext
) -> list[Section]:
    """Return the built-in sections with the project's own ones between them.

    Args:
        built_in: The sections of each name, in their order.
        context: Input of the sections of a project.

    Raises:
        ProjectError: A function returned no section, or placed it after an unknown name.
    """
    groups = [(name, list(sections)) for name, sections in built_in]
    names = [name for name, _ in groups]
    own = _make_sections(context, names)
    result: list[Section] = []
    for name, sections in groups:
        result += sections
        result += [Section(each.title, each.blocks) for each in own if each.after == name]
    return result


def _make_sections(context: ReportContext, names: Sequence[str]) -> list[ReportSection]:
    made = []
    for function in context.workspace.project.report_sections:
        section = function(context)
        _check_section(section, function, names)
        made.append(section)
    return made


def _check_section(section: Any, function: Callable[..., Any], names: Sequence[str]) -> None:
    if not isinstance(section, ReportSection):
        raise ProjectError(
            f"The report section {describe(function)} returned {section!r:.100}; return a "
            "ReportSection."
        )
    if section.after not in names:
        raise ProjectError(
            f"The report section {describe(function)} is placed after '{section.after}'; choose "
            f"one of {', '.join(names)}."
        )
    if not all(map(_is_block, section.blocks)):
        raise ProjectError(
            f"The report section {describe(function)} holds another block than Text, "
            "Table, Curve and Bars of mlchassis.reporting."
        )


def _is_block(block: Any) -> bool:
    return isinstance(block, Text | Table | Curve | Bars)
