"""The pages about the model and the data in a real browser: on a phone, in the dark, alone."""

from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, ViewportSize

from browser import FIND_FAINT_TEXT, PHONE, open_browser
from whole_run import WholeRun

DESKTOP: ViewportSize = {"width": 1200, "height": 800}

FIND_CUT_FINDINGS = """
() => [...document.querySelectorAll(".wide")]
  .filter(table => table.textContent.includes("finding") && table.scrollWidth > table.clientWidth)
  .map(table => table.textContent)
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.mark.parametrize("name", ["report.html", "data.html"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_report_can_be_read_anywhere_and_asks_nobody(
    name: str,
    scheme: Literal["light", "dark"],
    size: ViewportSize,
    browser: Browser,
    whole_run: WholeRun,
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport=size)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto((whole_run.project / "reports" / name).as_uri())

    assert page.evaluate(FIND_FAINT_TEXT) == []
    # Wide tables scroll by themselves; the page does not.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # What the gates found is read without it.
    assert page.evaluate(FIND_CUT_FINDINGS) == []
    # The verdict is on the first screen.
    box = page.locator(".verdict").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < size["height"]
    assert len(asked) == 1, asked
    assert said == []
    context.close()
