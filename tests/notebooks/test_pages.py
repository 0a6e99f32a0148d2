"""The five reports and the index in a real browser, as a stakeholder opens them: from a file, offline."""

import shutil
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CHROMIUM = shutil.which("chromium")
WIDTHS = (1280, 390)


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine; apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """A page with everything it asked of the network and wrote to the console."""

    def __init__(self, browser, path: Path, width: int = 1280, *, scripts: bool = True) -> None:
        self.requests, self.messages = [], []
        context = browser.new_context(
            viewport={"width": width, "height": 900}, java_script_enabled=scripts, accept_downloads=True
        )
        self.page = context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.goto(path.as_uri())
        self.page.wait_for_load_state("load")
        if scripts and self.page.locator("[data-chart]").count():
            self.page.wait_for_selector("[data-chart] canvas, [data-chart] svg.marks", timeout=30_000)

    @property
    def outside(self) -> list[str]:
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture
def opened(browser):
    pages = []

    def open_page(path: Path, width: int = 1280, *, scripts: bool = True) -> Opened:
        pages.append(Opened(browser, path, width, scripts=scripts))
        return pages[-1]

    yield open_page
    for item in pages:
        item.page.context.close()


def test_a_report_opens_without_requests_or_messages_and_its_charts_come_alive(road, stage, opened):
    seen = opened(road.html(stage))
    assert seen.outside == []
    assert [url for url in seen.requests if url.startswith("file:")] == [road.html(stage).as_uri()]
    assert seen.messages == []
    charts = seen.page.locator("[data-chart]").count()
    assert charts >= 1
    seen.page.wait_for_function(
        "n => document.querySelectorAll('[data-chart] canvas, [data-chart] svg.marks').length >= n", arg=charts
    )
    assert seen.messages == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out_of_the_window(road, stage, opened, width):
    page = opened(road.html(stage), width).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_first_screen_answers(road, stage, opened):
    page = opened(road.html(stage)).page
    assert page.locator("h1").count() == 1
    assert page.locator(".aif-kpis > *").count() >= 4
    shown = page.locator("h1, .aif-finding, .aif-kpis > *").all()
    assert all(box["y"] < 900 for item in shown if (box := item.bounding_box()))


def test_without_scripts_every_chart_is_a_drawing(road, stage, opened):
    page = opened(road.html(stage), scripts=False).page
    drawings = page.locator("figure svg")
    assert drawings.count() >= 1
    assert all(box and box["width"] > 200 for box in (item.bounding_box() for item in drawings.all()))


def test_downloads_are_the_published_tables(road, stage, opened, tmp_path):
    page = opened(road.html(stage)).page
    link = page.locator("a[download]").first
    page.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")
    with page.expect_download() as started:
        link.click()
    target = tmp_path / "table.csv"
    started.value.save_as(target)
    lines = target.read_text(encoding="utf-8").splitlines()
    assert len(lines) >= 2
    assert len(set(lines[0].split(","))) == len(lines[0].split(","))


def test_a_report_prints(road, stage, opened, tmp_path):
    page = opened(road.html(stage)).page
    target = tmp_path / "page.pdf"
    page.pdf(path=str(target), format="A4")
    assert target.read_bytes().startswith(b"%PDF")
    assert target.stat().st_size > 30_000


def test_the_index_leads_to_every_report(road, opened):
    seen = opened(road.outcome.index)
    assert seen.outside == []
    assert seen.messages == []
    links = [link.get_attribute("href") for link in seen.page.locator("a[href$='.html']").all()]
    assert len(links) >= 5
    assert all((road.outcome.index.parent / link).is_file() for link in links)
