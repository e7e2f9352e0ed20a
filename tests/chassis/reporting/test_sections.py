"""A project's own report sections: in page and card, in their place, escaped."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mlchassis import ReportContext, ReportSection
from mlchassis.config.params import Params
from mlchassis.errors import ProjectError
from mlchassis.project import Workspace
from mlchassis.reporting import Bars, Table, Text
from mlchassis.workflow import release

Write = Callable[..., tuple[str, str]]


def make_section(title: str, after: str = "slices") -> Callable[[ReportContext], ReportSection]:
    def describe(context: ReportContext) -> ReportSection:
        rows = [(gate.name, gate.verdict) for gate in context.judgement.gates]
        name = context.bundle.contract.name
        table = Table(("gate", "verdict"), rows)
        return ReportSection(title, [Text(f"<b>{name}</b> [x](y)"), table], after)

    return describe


@pytest.fixture
def write(project: Workspace, params: Params) -> Write:
    """Write page and card with own sections."""

    def write(*sections: Any) -> tuple[str, str]:
        own = replace(project, project=replace(project.project, report_sections=sections))
        release.judge(own, params)
        page, card = (path.read_text() for path in release.report(own, params))
        return page, card

    return write


def test_own_sections_are_in_page_and_card_after_their_section(write: Write) -> None:
    for text in write(make_section("Second own"), make_section("First own", after="prediction")):
        places = [
            text.index(title)
            for title in (
                "Prediction",
                "First own",
                "Performance by slice",
                "Second own",
                "Limitations",
            )
        ]
        assert places == sorted(places)


def test_a_section_follows_an_empty_one_all_the_same(write: Write) -> None:
    page, _ = write(make_section("Own", after="comparison"))

    assert page.index("<h2>Performance") < page.index("<h2>Own") < page.index("<h2>Limit")


def test_texts_of_own_sections_are_escaped(write: Write) -> None:
    page, card = write(make_section("<i>Own</i>"))

    assert "&lt;i&gt;Own&lt;/i&gt;" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in card
    assert r"\[x\]" in card


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        (lambda _: "words", r"<lambda>\(_\) of .* returned 'words'; return a ReportSection"),
        (
            make_section("Own", after="slcies"),
            "is placed after 'slcies'; choose one of prediction, me",
        ),
        (lambda _: ReportSection("Own", ["words"]), "holds another block than Text, Table"),  # type: ignore[list-item]
        (lambda _: ReportSection("Own", [Bars("Of", [("a", 1.0, "1")])], "gate"), "after 'gate'"),
    ],
)
def test_a_section_of_another_shape_is_refused(write: Write, section: Any, sentence: str) -> None:
    with pytest.raises(ProjectError, match=sentence):
        write(section)
