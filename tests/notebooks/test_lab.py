"""Blocks in a real JupyterLab: its own styles for tables and lists must not win over those of the report."""

import re
import shutil
import subprocess
import sys
import time

import nbformat
import pytest

CHROMIUM = shutil.which("chromium")
CELL = """
import altair as alt
import pandas as pd
from aifactory.report import blocks
kpis = [blocks.Kpi("Total cost", "USD 15.8 M"), blocks.Kpi("Payback", "9.4 months")]
first = blocks.head(stage="buy_plan", question="Does it pay?", period="2026-10", as_of="2026-10-31", status="draft",
                    finding="Yes.", kpis=kpis, chart=None, deciders=[("Head of platform", "architecture review")])
frame = pd.DataFrame({"use_case": ["support-chat", "faq-bot"], "note": ["time binds", "chance binds"], "held": [64, 3]})
columns = {"use_case": blocks.Col("Use case"), "note": blocks.Col("What binds"), "held": blocks.Col("Held", "int")}
table = blocks.table(frame, caption="Held", source="test", as_of="2026-10-31", columns=columns)
chart = alt.Chart(frame).mark_bar().encode(x="held:Q", y="use_case:N")
figure = blocks.figure(chart, title="Held", description="Bars.", caption="In nodes.", source="test", as_of="2026-10-31")
blocks.group(first, table, figure)
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a JupyterLab on a notebook that shows a head and a table."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine; apt-get install chromium")
    folder = tmp_path_factory.mktemp("lab")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, folder / "page.ipynb")
    options = ["--no-browser", "--port=0", "--ServerApp.token=", "--allow-root", f"--ServerApp.root_dir={folder}"]
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", "jupyterlab", *options], stdout=log, stderr=log)
    try:
        yield _address(folder / "log.txt", server)
    finally:
        server.terminate()
        server.wait(timeout=30)


def _address(log, server):
    end = time.monotonic() + 90
    while time.monotonic() < end and server.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+/lab", log.read_text())
        if found:
            return found.group(0)
        time.sleep(0.5)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


def test_tables_and_lists_look_in_jupyterlab_as_they_do_in_the_report(lab):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(f"{lab}/tree/page.ipynb")
        page.wait_for_selector(".jp-Notebook", timeout=90_000)
        page.wait_for_selector("text=Python 3 (ipykernel) | Idle", timeout=90_000)
        page.click("text=Run")
        page.click("text=Run All Cells")
        page.wait_for_selector(".jp-OutputArea-output .aif-table td", timeout=90_000)

        def style(selector, name):
            return page.eval_on_selector(f".jp-OutputArea-output {selector}", f"e => getComputedStyle(e).{name}")

        assert style("tbody th[scope=row]", "textAlign") == "left"
        assert style("tbody td.n", "textAlign") == "right"
        assert style("tbody td:not(.n)", "textAlign") == "left"
        assert style("tbody tr:nth-child(2)", "backgroundColor") == style("tbody tr:nth-child(1)", "backgroundColor")
        assert style(".aif-deciders dt", "float") == "none"
        page.wait_for_selector(".jp-OutputArea-output .vega-embed", timeout=30_000)
        below = page.inner_text(".jp-OutputArea-output .aif-figure")
        assert "In nodes." in below
        assert "Source: test, as of 31 October 2026." in below
        heights = page.eval_on_selector_all(".aif-kpis strong", "found => found.map(e => e.getClientRects()[0].height)")
        assert len(heights) == 2
        assert max(heights) < 50, "a key figure broke into two lines"
        browser.close()
