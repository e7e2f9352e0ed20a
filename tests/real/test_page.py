"""The page in a real browser: filled in, asked, read, on a phone, in the dark, and by keyboard."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from browser import FIND_FAINT_TEXT, PHONE, open_browser
from project_copy import make_environment
from service import fetch, serve
from whole_run import WholeRun

WITHIN = 60_000  # milliseconds, for whatever the page is expected to show
KEY = "6b1f" * 16


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(whole_run: WholeRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("page") / "service.log"
    with log.open("wb") as output, serve(whole_run.project, output, make_environment()) as address:
        yield address


@pytest.fixture(scope="module")
def guarded(whole_run: WholeRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service that asks for `KEY`."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "keys").write_text(f"{hashlib.sha256(KEY.encode()).hexdigest()} tests\n")
    environment = make_environment(SERVICE_API_KEYS_FILE=str(folder / "keys"))
    log = folder / "service.log"
    with log.open("wb") as output, serve(whole_run.project, output, environment) as address:
        yield address


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, opened in either scheme; whatever a test does there, nothing may go wrong."""
    context = browser.new_context(color_scheme=request.param)
    page = context.new_page()
    page.set_default_timeout(WITHIN)
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    # A refused request is not an error of the page's, and the browser says it all the same.
    page.on("console", lambda said: wrong.append(said.text) if "422" not in said.text else None)
    page.goto(f"{address}/")
    yield page
    assert [url for url in asked if not url.startswith((f"{address}/", "data:"))] == []
    assert wrong == []
    context.close()


def execute_predict(page: Page) -> None:
    """Send the documented example to `/predict` by Swagger UI, and expect status 200."""
    operation = page.locator(".opblock-post").filter(has_text="/predict").first
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    live = operation.locator(".live-responses-table .response-col_status")
    expect(live.filter(has_text="200")).to_be_visible(timeout=WITHIN)
    expect(operation.locator(".live-responses-table")).to_contain_text('"predictions"')


def predict(page: Page) -> None:
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#value")).to_be_visible(timeout=WITHIN)


def read_form(page: Page) -> dict[str, Any]:
    """Content of the form, as a record."""
    facts = page.evaluate("() => facts.columns.map(({ name, kind }) => [name, kind])")
    values = {name: page.locator(f"[name={name}]").input_value() for name, _ in facts}
    numeric = {name for name, kind in facts if kind in {"number", "integer"}}
    record: dict[str, Any] = {
        name: float(value) if name in numeric else value for name, value in values.items() if value
    }
    record["carrier"], record["origin"] = (record[n].strip('"') for n in ("carrier", "origin"))
    return record


def test_the_answer_is_that_of_the_api_in_plain_words(page: Page, address: str) -> None:
    page.get_by_label("departure minute").fill("1200")
    page.get_by_label("origin").select_option("JFK")
    page.get_by_label("wind gust").fill("")
    predict(page)
    record = read_form(page)
    assert record["departure_minute"] == 1200
    assert "wind_gust" not in record
    answer = fetch(f"{address}/predict", {"records": [record], "explain": True})
    (found,) = answer["predictions"]
    said = "late" if found["prediction"] else "not late"
    expect(page.locator("#value")).to_have_text(said)
    chance = f"{100 * found['probabilities']['true']:.1f} %"
    expect(page.locator(".meter")).to_have_text(f"Probability of late{chance}")
    rows = page.locator("#effects tr").all_inner_texts()
    effects = [effect for effect in found["explanation"]["effects"] if effect["effect"]][:10]
    assert len(rows) == len(effects) > 5
    for row, effect in zip(rows, effects, strict=True):
        assert row.startswith(effect["input"].replace("_", " "))
        assert f"{abs(100 * effect['effect']):.1f} pp" in row
    assert page.locator("#effects svg").count() == len(rows)
    expect(page.locator("#origin")).to_contain_text(f"Version {answer['model']['version']}")
    card = page.locator("#card").inner_text()
    assert answer["model"]["digest"][:12] in card
    assert "roc auc" in card.lower()


def test_what_is_small_is_not_shown_as_nothing(page: Page) -> None:
    effects = [{"input": "x", "effect": value} for value in (0.2, -0.0004, 2e-6)]
    shown = page.evaluate(
        "effects => showEffects({class: 'true', effects}, {x: 1})[3].textContent", effects
    )
    assert shown == "x1+20.0 ppx1\N{MINUS SIGN}0.040 ppx1< 0.001 pp"
    assert page.evaluate("[0.00012, 0, 0.5].map(percent)") == ["0.012 %", "0.0 %", "50.0 %"]


@pytest.mark.parametrize(
    ("chance", "shown", "place"),
    [
        (0.212, ["21.2 %", "21.2 %"], "exactly it"),
        (0.21196, ["21.196 %", "21.200 %"], "below it"),
        (0.2123, ["21.23 %", "21.20 %"], "above it"),
        (0.0002, ["0.020 %", "21.200 %"], "below it"),
    ],
)
def test_a_probability_does_not_look_equal_to_a_threshold_that_it_differs_from(
    chance: float, shown: list[str], place: str, page: Page
) -> None:
    meter, sentence = page.evaluate(
        "chance => { facts.threshold = 0.212; facts.positive = 'true';"
        " return showChances({ true: chance, false: 1 - chance }).map(node => node.textContent); }",
        chance,
    )
    assert meter == f"Probability of late{shown[0]}"
    assert sentence.endswith(f" from {shown[1]} on (the mark); this is {place}.")


def test_everything_can_be_done_with_the_keyboard_alone(page: Page) -> None:
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "() => ({ name: document.activeElement.name || document.activeElement.textContent,"
            " ring: getComputedStyle(document.activeElement).outlineStyle })"
        )
        assert focused["ring"] != "none", focused
        reached.append(focused["name"])
        if focused["name"] == "distance":
            page.keyboard.press("Control+A")
            page.keyboard.type("2475")
        if focused["name"] == "Predict":
            break
    assert reached == [*page.evaluate("() => facts.columns.map(({ name }) => name)"), "Predict"]
    page.keyboard.press("Enter")
    expect(page.locator("#value")).to_be_visible(timeout=WITHIN)
    expect(page.locator("[name=distance]")).to_have_value("2475")


def test_a_wrong_value_is_said_beside_its_field_which_gets_the_focus(page: Page) -> None:
    page.get_by_label("weekday").fill("8")
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_label("weekday")).to_be_focused(timeout=WITHIN)
    expect(page.get_by_label("weekday")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#field-weekday-wrong")).to_contain_text(
        re.compile("less than or equal to 7")
    )
    page.get_by_role("button", name="Fill in the example").click()
    predict(page)
    expect(page.locator("[aria-invalid]")).to_have_count(0)


def test_it_fits_a_phone_and_every_text_can_be_read(page: Page, tmp_path: Path) -> None:
    page.set_viewport_size(PHONE)
    predict(page)
    assert page.evaluate("() => document.scrollingElement.scrollWidth") <= PHONE["width"]
    expect(page.locator("#value")).to_be_in_viewport()
    assert page.evaluate(FIND_FAINT_TEXT) == []
    small = "nodes => nodes.filter(n => n.getBoundingClientRect().height < 44).map(n => n.name)"
    assert page.locator("button, input, select").evaluate_all(small) == []
    # No value of the model's card is broken into more than two lines.
    tall = "nodes => nodes.filter(node => node.clientHeight > 48).map(node => node.textContent)"
    assert page.locator("#card dd").evaluate_all(tall) == []
    page.screenshot(path=tmp_path / "phone.png")
    assert (tmp_path / "phone.png").stat().st_size > 10_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_service_with_keys_opens_to_a_key_that_is_typed_in(
    browser: Browser, guarded: str, tmp_path: Path, scheme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport=PHONE)
    page = context.new_page()
    page.set_default_timeout(WITHIN)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    shown = page.goto(f"{guarded}/")
    assert shown
    assert shown.status == 401
    # Nothing of the model came with it.
    assert page.evaluate("() => Object.keys(facts)") == []
    expect(page.get_by_role("button", name="Predict")).to_be_hidden()
    page.get_by_label("API key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("does not know this key")
    assert page.evaluate(FIND_FAINT_TEXT) == []
    page.screenshot(path=tmp_path / f"login-{scheme}.png")
    page.get_by_label("API key").fill(KEY)
    page.keyboard.press("Enter")
    predict(page)
    expect(page.get_by_label("API key")).to_be_hidden()
    page.screenshot(path=tmp_path / f"open-{scheme}.png", full_page=True)
    # It is kept in the open page alone: not in an address, a cookie or any store.
    assert [url for url in asked if KEY in url or not url.startswith((guarded, "data:"))] == []
    assert context.cookies() == []
    assert page.evaluate("() => [localStorage.length, sessionStorage.length]") == [0, 0]
    page.reload()
    expect(page.get_by_label("API key")).to_be_visible()
    context.close()


def test_swagger_ui_predicts_and_no_request_leaves_the_service(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    page = browser.new_page()
    page.set_default_timeout(WITHIN)
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text))
    page.goto(f"{address}/docs#overloaded")
    expect(page.locator("#overloaded")).to_be_in_viewport(timeout=WITHIN)
    execute_predict(page)
    page.screenshot(path=tmp_path / "swagger.png", full_page=True)
    assert f"{address}/predict" in asked
    assert [url for url in asked if not url.startswith((f"{address}/", "data:"))] == []
    # The content security policy reports to the console what it blocks.
    assert wrong == []
    page.close()


def test_swagger_ui_takes_a_key_and_sends_it(browser: Browser, guarded: str) -> None:
    page = browser.new_page()
    page.set_default_timeout(WITHIN)
    page.goto(f"{guarded}/docs")
    page.get_by_label("API key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("does not accept this key")
    page.get_by_label("API key").fill(KEY)
    page.keyboard.press("Enter")
    execute_predict(page)
    # The dialog holds the key, and can forget it.
    page.locator(".auth-wrapper").get_by_role("button", name="Authorize").click()
    dialog = page.locator(".dialog-ux")
    expect(dialog).to_contain_text("bearer", ignore_case=True)
    dialog.get_by_text("Logout").click()
    # One for each of the two headers that may carry it.
    expect(dialog.locator("input")).to_have_count(2)
    page.close()
