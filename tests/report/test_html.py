"""The exported page: one file, one heading, everything in place, always the same bytes."""

import base64
import copy
import gzip
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from report_demo import demo_figures, outputs_of

from aifactory.errors import AIFactoryError
from aifactory.report import blocks, html, spec
from aifactory.report.markup import TEMPLATES

MAX_BYTES = 700_000
CHARTS = 8


class Outline(HTMLParser):
    """Tags, attributes and anchors of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))

    def values(self, name):
        return [attrs[name] for _, attrs in self.attributes if name in attrs]


@pytest.fixture(scope="module")
def outline(demo_page):
    return Outline(demo_page)


def visible(page):
    return re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)


def test_structure(outline):
    count = outline.tags.count
    assert (count("h1"), count("main"), count("nav"), count("header")) == (1, 1, 1, 1)
    assert count("h2") == CHARTS + 2  # the chart below the question is of the second level too
    assert count("figure") == count("figcaption") == CHARTS
    assert count("caption") == count("table") == 1
    assert ("html", {"lang": "en"}) in outline.attributes


def test_headings_never_skip_a_level(outline):
    levels = [int(tag[1]) for tag in outline.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_ids_are_unique_and_every_link_inside_the_page_has_a_target(outline):
    ids = outline.values("id")
    assert len(ids) == len(set(ids))
    inner = [href[1:] for href in outline.values("href") if href.startswith("#")]
    assert set(inner) <= set(ids)
    assert inner[0] == "content"
    assert len(inner) == CHARTS + 2


def test_labels_refer_to_what_exists(outline):
    assert set(outline.values("aria-labelledby")) <= set(outline.values("id"))


def test_the_contents_come_after_the_first_screen(demo_page):
    assert demo_page.index("aif-deciders") < demo_page.index('<nav class="contents"') < demo_page.index("<h2 id")


def test_every_chart_has_drawing_description_source_download_and_specification(demo_page, outline):
    figures = re.findall(r"<figure.*?</figure>", demo_page, flags=re.DOTALL)
    assert len(figures) == CHARTS
    for figure in figures:
        assert figure.count("<svg") == 1
        assert re.search(r'role="img" aria-label="Description of \w+"', figure)
        assert "Source: test data, as of 31 October 2026." in figure
        assert 'download="finding-of-' in figure
    length, text = re.search(r'id="packed" data-bytes="(\d+)">(.*?)</script>', demo_page).groups()
    packed = json.loads(gzip.decompress(base64.b85decode(text.translate(str.maketrans(",.:", "<>&")))[: int(length)]))
    assert (
        [int(number) for number in outline.values("data-chart")]
        == list(range(CHARTS))
        == [*range(len(packed["charts"]))]
    )
    for loaded in packed["charts"]:
        assert loaded["$schema"].endswith("/v6.json")
        assert "title" not in loaded


def test_nothing_is_loaded(demo_page, outline):
    policy = next(attrs["content"] for tag, attrs in outline.attributes if "http-equiv" in attrs and tag == "meta")
    assert (
        policy
        == "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:"
    )
    assert outline.values("src") == []
    assert all(address.startswith(("#", "data:text/csv")) for address in outline.values("href"))
    assert not set(outline.tags) & {"link", "iframe", "object", "embed", "base", "form"}


def test_size_and_determinism(demo, demo_page):
    assert len(demo_page.encode()) <= MAX_BYTES
    assert demo_page.count('id="packed"') == 1
    assert html.export_html(copy.deepcopy(demo), title="Buy plan, October 2026") == demo_page


def test_another_process_writes_the_same_bytes(demo, demo_page, tmp_path):
    path = tmp_path / "demo.ipynb"
    nbformat.write(demo, path)
    code = (
        "import sys; from pathlib import Path; from aifactory.report.html import export_html;"
        "page = export_html(Path(sys.argv[1]), title='Buy plan, October 2026');"
        "sys.stdout.buffer.write(page.encode())"
    )
    environment = {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    root = html.TEMPLATES.parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, check=True, cwd=root, env=environment
    )
    assert done.stdout.decode() == demo_page


def test_code_is_there_but_hidden(demo_page):
    assert '<input type="checkbox" id="show-code">' in demo_page
    assert '<div class="code"><pre><code>period: str = &#34;&#34;</code></pre></div>' in demo_page
    assert re.search(r"\.code\s*\{display:none\}", demo_page)


def test_the_style_of_the_notebook_is_not_repeated(demo_page):
    assert demo_page.count("<style>") == 1


def test_a_report_describes_itself_for_the_index(outline):
    named = {attrs["name"]: attrs["content"] for _, attrs in outline.attributes if "name" in attrs}
    assert named["description"] == "Approve USD 4.2 M by 1 December 2026."
    assert named["aifactory-status"] == "draft"


def page_of(*cells):
    return html.export_html(new_notebook(cells=list(cells)), title="t")


def output_cell(data, **metadata):
    return new_code_cell("x", outputs=[new_output("display_data", data=data, metadata=metadata)])


def test_html_of_other_origin_becomes_plain_text():
    page = page_of(output_cell({"text/html": "<b onclick='x()'>bold</b>", "text/plain": "a <b>"}))
    assert "onclick" not in page
    assert "<pre>a &lt;b&gt;</pre>" in page


def test_scripts_in_outputs_are_dropped():
    page = page_of(output_cell({"application/javascript": "alert(1)", "text/plain": "words"}))
    assert "alert(1)" not in page
    assert "words" in page


def test_widgets_become_one_line():
    page = page_of(output_cell({html.WIDGET: {"model_id": "a"}, "text/plain": "interactive(children=())"}))
    assert html.WIDGET_LINE in page
    assert "children" not in page


def test_errors_and_streams_are_shown_without_colour_codes():
    outputs = [
        new_output("stream", name="stderr", text="careful <now>"),
        new_output("error", ename="E", evalue="v", traceback=["\x1b[31mE: <v>\x1b[0m"]),
    ]
    page = page_of(new_code_cell("x", outputs=outputs))
    assert "<pre>careful &lt;now&gt;</pre>" in page
    assert "<pre>E: &lt;v&gt;</pre>" in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/some/venv/lib/site-packages/numpy/a.py:9: RuntimeWarning: <x>", "site-packages/numpy/a.py:9: RuntimeWarning: &lt;x&gt;"),
        ("C:\\work\\aifactory\\run\\b.py:1: UserWarning", "aifactory\\run\\b.py:1: UserWarning"),
        ("a/b is not c", "a/b is not c"),
    ],
)  # fmt: skip
def test_warnings_do_not_name_the_folders_of_a_machine(text, shown):
    page = page_of(new_code_cell("x", outputs=[new_output("stream", name="stderr", text=text)]))
    assert f"<pre>{shown}</pre>" in page


def test_images_have_words():
    page = page_of(output_cell({"image/png": "iVBORw0KGgo=\n", "text/plain": "A <photo>"}))
    assert '<img class="shot" alt="A &lt;photo&gt;" src="data:image/png;base64,iVBORw0KGgo=">' in page


def test_markdown_is_text_only():
    source = "# Method\n\n**bold** [a](javascript:alert(1)) ![i](https://example.test/i.png) <script>alert(1)</script>\n\n# Again"
    page = page_of(new_markdown_cell(source))
    body = page.split("<body>")[1]
    assert '<h2 id="method">Method</h2>' in body
    assert "<strong>bold</strong>" in body
    assert "<h3>Again</h3>" in body
    assert "javascript:" not in body
    assert "<script>" not in body
    assert "<img" not in body


def test_pages_without_charts_carry_no_script():
    page = page_of(new_code_cell("x", outputs=outputs_of(blocks.section("Why?", "Because."))))
    assert "<script" not in page
    assert len(page) < 20_000


def test_rows_that_are_not_drawn_are_counted():
    import pandas as pd

    from aifactory.report import charts

    frame = pd.DataFrame({"team": ["a", "b"], "cost_usd": [1.0, None]})
    texts = {"description": "d", "caption": "", "source": "s.", "as_of": ""}
    shown = blocks.figure(charts.bars(frame, category="team", value="cost_usd"), title="t", **texts)
    assert "1 row without a value not drawn. Source: s." in page_of(new_code_cell("x", outputs=outputs_of(shown)))


def test_specifications_from_a_changed_notebook_cannot_load():
    remote = {"$schema": "x", "data": {"url": "https://example.test"}, "mark": "point"}
    with pytest.raises(AIFactoryError, match="load nothing"):
        page_of(output_cell({blocks.VEGA_LITE: remote, "text/plain": ""}))


def test_notebooks_get_drawings_for_viewers_without_vega(demo):
    drawn = html.add_drawings(copy.deepcopy(demo))
    nbformat.validate(drawn)
    outputs = [output for cell in drawn.cells for output in cell.get("outputs", [])]
    charts = [output["data"] for output in outputs if blocks.VEGA_LITE in output["data"]]
    assert len(charts) == CHARTS
    assert all(data[html.SVG].startswith("<svg") for data in charts)
    assert html.export_html(drawn, title="Buy plan, October 2026") == html.export_html(
        demo, title="Buy plan, October 2026"
    )


def test_a_chart_with_a_number_that_is_none_is_refused():
    broken = {"datasets": {"d": [{"a": float("nan")}]}, "data": {"name": "d"}, "mark": "point"}
    with pytest.raises(ValueError, match="not JSON compliant|as JSON"):
        page_of(output_cell({blocks.VEGA_LITE: broken, "text/plain": ""}))


def test_drawings_share_no_ids():
    figure = demo_figures()["heatmap"]
    first, second = (spec.draw_svg(spec.page_spec(figure.spec), prefix) for prefix in ("f1", "f2"))
    ids = [set(re.findall(r'\bid="([^"]+)"', drawing)) for drawing in (first, second)]
    assert ids[0]
    assert ids[1]
    assert not ids[0] & ids[1]
    assert all(
        set(re.findall(r"url\(#([^)]+)\)", drawing)) <= found
        for drawing, found in zip((first, second), ids, strict=True)
    )


def test_lines_below_a_chart_in_a_notebook_do_not_stand_twice_in_the_page(monkeypatch):
    shown = []

    def keep(what, *, raw=False):
        data, metadata = (what, {}) if raw else what._repr_mimebundle_()
        shown.append(new_output("display_data", data=data, metadata=metadata))

    monkeypatch.setattr("IPython.display.display", keep)
    figure = demo_figures()["heatmap"]
    figure._ipython_display_()
    assert len(shown) == 2
    texts = figure.spec["usermeta"]["aifactory"]
    assert texts["source"] in shown[1]["data"]["text/html"]
    both, alone = (page_of(new_code_cell("x", outputs=outputs)) for outputs in (shown, shown[:1]))
    assert both == alone
    assert texts["source"] in alone


def test_a_browser_in_the_dark_leaves_the_page_as_it_is():
    """Forced dark mode turns the text of charts into the colour of their ground; `only` opts out of it."""
    assert ":root{color-scheme:only light}" in (TEMPLATES / "page.css").read_text()
