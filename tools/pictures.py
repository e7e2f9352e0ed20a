"""Take the pictures of the documentation: pages of build/demo in a headless Chromium.

They show the form with a prediction, the model report, the monitor's page after three weeks of the
test split were scored by the service, and MLflow's list of runs. All have the same size. It needs
build/demo (`make demo`) and Chromium (on Debian: apt-get install chromium).
"""

import argparse
import base64
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright
from playwright.sync_api import Error as BrowserError

from bake import ROOT
from demo import PROJECT
from project_copy import make_environment
from service import ServiceError, fetch, find_port, serve, stop_service

PICTURES = ROOT / "docs" / "pictures"
SCRATCH = ROOT / "build" / "pictures"
CHROMIUM = Path("/usr/bin/chromium")
ALONE = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars"
).split()
SIZE: ViewportSize = {"width": 1200, "height": 800}
MAX_BYTES = 120_000  # of a picture: the site and the README load them all
QUALITY = 82  # of WebP, 0 to 100
BATCH = 200  # rows of a request
PAGE_WITHIN = 60_000  # milliseconds
UI_WITHIN = 120.0  # seconds; MLflow's server takes five
EMPTY = ("Dataset", "Source", "Models")  # columns of the list of runs that are hidden
METRICS = ("test/roc_auc", "test/pr_auc", "test/brier")  # columns that are shown instead
STATUSES = (0, 10, 20, 30)  # exit codes of the monitor that are not errors
# Run by the project's interpreter: the last three weeks of the test split, as records of requests.
READ_RECORDS = """
import json
from pathlib import Path

import pandas as pd
from mlchassis.contract.model import load_contract
from mlchassis.simulation.rows import to_records

contract = load_contract(Path("contract.yaml"))
rows = pd.read_parquet("data/splits/test.parquet")
moments = rows[contract.event_time.name]
newest = rows[moments > moments.max().floor("D") - pd.Timedelta(days=21)]
print(json.dumps(to_records(newest.sample(6000, random_state=0), contract)))
"""


class PictureError(Exception):
    """A picture cannot be taken; the message says why."""


def main() -> int:
    """Take all pictures."""
    parser = argparse.ArgumentParser(prog="make pictures", description=__doc__)
    parser.parse_args()
    try:
        check_parts()
        shutil.rmtree(SCRATCH, ignore_errors=True)
        (SCRATCH / "predictions").mkdir(parents=True)
        PICTURES.mkdir(exist_ok=True)
        with open_browser() as browser:
            take_pictures(browser)
    except (PictureError, ServiceError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (AssertionError, BrowserError) as error:
        reason = str(error).partition("\n")[0]
        print(f"error: A page does not show what the picture needs: {reason}", file=sys.stderr)
        return 1
    return 0


def check_parts() -> None:
    """Check that the demo and the browser are there.

    Raises:
        PictureError: One is missing.
    """
    if not CHROMIUM.exists():
        raise PictureError(
            f"{CHROMIUM} is missing; install it (on Debian: apt-get install chromium)."
        )
    if not (PROJECT / "reports" / "report.html").exists():
        raise PictureError(f"{PROJECT} has no model report; run `make demo` first.")


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ALONE)
        yield browser
        browser.close()


def take_pictures(browser: Browser) -> None:
    """Take one picture after the other."""
    take(browser, "report", (PROJECT / "reports" / "report.html").as_uri())
    log = SCRATCH / "predictions"
    environment = make_environment(SERVICE_LOG_DIRECTORY=str(log))
    output = SCRATCH / "service.log"
    with output.open("wb") as file, serve(PROJECT, file, environment) as address:
        with open_page(browser, f"{address}/") as page:
            predict(page)
            save(page, "form")
        score(address)
    run_monitor()
    take(browser, "monitor", (PROJECT / "reports" / "monitor.html").as_uri())
    with serve_runs() as address, open_page(browser, find_runs(address)) as page:
        show_metrics(page)
        save(page, "runs")


@contextmanager
def open_page(browser: Browser, address: str) -> Iterator[Page]:
    """Open a page in the light scheme, at the pictures' size."""
    context = browser.new_context(viewport=SIZE, color_scheme="light", locale="en-US")
    page = context.new_page()
    page.set_default_timeout(PAGE_WITHIN)
    page.goto(address, wait_until="networkidle")
    yield page
    context.close()


def take(browser: Browser, name: str, address: str) -> None:
    """Take the first screen of a page."""
    with open_page(browser, address) as page:
        save(page, name)


def save(page: Page, name: str) -> None:
    """Write what a page shows as a WebP, which has a third of the bytes of a PNG.

    Raises:
        PictureError: The file is too large.
    """
    file = PICTURES / f"{name}.webp"
    session = page.context.new_cdp_session(page)
    taken = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    size = file.write_bytes(base64.b64decode(taken["data"]))
    if size > MAX_BYTES:
        raise PictureError(f"{file} has {size:,} bytes, above {MAX_BYTES:,}; show less on it.")
    print(f"pictures: {file.relative_to(ROOT)}, {size / 1000:.0f} kB")


def predict(page: Page) -> None:
    """Send the form with its example, wait for the answer, and go back to the top."""
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#value")).to_be_visible(timeout=PAGE_WITHIN)
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")


def show_metrics(page: Page) -> None:
    """Show MLflow's list of runs with some metrics as columns, and without its assistant."""
    expect(page.get_by_role("gridcell").first).to_be_visible(timeout=PAGE_WITHIN)
    page.get_by_text("Model training", exact=True).click()
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Columns").click()
    search = page.get_by_placeholder("Search columns")
    for name in EMPTY:
        search.fill(name)
        # The list of columns comes after the table and the sidebar, which have some names, too.
        page.get_by_text(name, exact=True).last.click()
    for name in METRICS:
        search.fill(name)
        # The ends of its interval follow, with names that begin with this one.
        page.get_by_text(name, exact=True).first.click()
    page.keyboard.press("Escape")
    expect(search).to_be_hidden()
    expect(page.get_by_role("columnheader", name=METRICS[-1], exact=True).first).to_be_visible()
    page.evaluate("document.activeElement.blur()")


def run_in_project(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the project's environment, in its folder."""
    environment = make_environment(SERVICE_LOG_DIRECTORY=str(SCRATCH / "predictions"))
    python = str(PROJECT / ".venv" / "bin" / "python")
    return subprocess.run(
        [python, *command],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def score(address: str) -> None:
    """Let the service score the rows that the monitor's page shows.

    Raises:
        PictureError: The rows cannot be read.
    """
    done = run_in_project("-c", READ_RECORDS)
    if done.returncode:
        raise PictureError(f"The rows of the test split cannot be read: {done.stderr[-400:]}")
    records: list[dict[str, Any]] = json.loads(done.stdout)
    for start in range(0, len(records), BATCH):
        fetch(f"{address}/predict", {"records": records[start : start + BATCH]})


def run_monitor() -> None:
    """Write the monitor's page.

    Raises:
        PictureError: The monitor fails.
    """
    done = run_in_project("-m", "ml_service", "monitor")
    if done.returncode not in STATUSES:
        raise PictureError(f"The monitor fails: {done.stderr[-400:]}")


@contextmanager
def serve_runs() -> Iterator[str]:
    """Run `make ui`.

    Yields:
        The address of MLflow's pages.
    """
    port = find_port()
    address = f"http://127.0.0.1:{port}"
    with (SCRATCH / "mlflow.log").open("wb") as output:
        server = subprocess.Popen(
            ["make", "--no-print-directory", "ui", f"PORT={port}"],
            cwd=PROJECT,
            env=make_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            await_runs(address)
            yield address
        finally:
            stop_service(server)


def await_runs(address: str) -> None:
    """Wait until MLflow answers.

    Raises:
        PictureError: It does not in time.
    """
    deadline = time.monotonic() + UI_WITHIN
    while time.monotonic() < deadline:
        try:
            find_runs(address)
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise PictureError(f"MLflow does not answer; see {SCRATCH / 'mlflow.log'}.")


def find_runs(address: str) -> str:
    """Return the address of the list of runs of the project's experiment."""
    query = {"max_results": 10, "filter": "name != 'Default'"}
    found = fetch(f"{address}/api/2.0/mlflow/experiments/search", query)
    return f"{address}/#/experiments/{found['experiments'][0]['experiment_id']}/runs"


if __name__ == "__main__":
    sys.exit(main())
