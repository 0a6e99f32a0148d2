"""A notebook as one self-contained page: no network, no code shown, charts static first and then live.

The page is assembled from the outputs of the notebook by our own template. Only HTML that carries
the mark of our blocks (escaped when it was made) is taken as it is; HTML of any other origin is
replaced by its plain text. The same notebook gives the same bytes.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import zopfli.gzip as zopfli
from markupsafe import Markup, escape

from aifactory.report.blocks import BELOW_CHART, VEGA_LITE
from aifactory.report.markup import CSV_ADDRESS, TEMPLATES, block_style, download, render, slug
from aifactory.report.quick import quick_imports
from aifactory.report.spec import chart_csv, draw_svg, figure_texts, page_spec, refuse_remote

if TYPE_CHECKING:
    from nbformat import NotebookNode

SVG = "image/svg+xml"
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_LINE = "Interactive control: open the notebook to change it."
#: Letters of Python's base 85 that mean something in HTML, and what the page has in their place.
IN_MARKUP = str.maketrans("<>&", ",.:")
_HEADING = re.compile(r"\A#{1,2} +(.+?)\s*(?:\n|\Z)")
_DOWNLOAD = re.compile(rf'href="{re.escape(CSV_ADDRESS)}([^"]*)"')
#: Where this package or a library lies on the machine that ran the notebook, in front of the file that a warning names.
_MACHINE = re.compile(r"(?:[A-Za-z]:)?[/\\]\S*[/\\](?=(?:aifactory|site-packages)[/\\])")
#: End tags that HTML lets a table leave out: some 20 kB of a report.
_OPTIONAL_END = re.compile(r"</t[dhr]>")
_COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Part:
    """Head, section, or what stands before the first of them."""

    kind: str
    anchor: str = ""
    items: list[Markup] = field(default_factory=list)


@dataclass
class _Page:
    """The page while it is being assembled."""

    parts: list[Part] = field(default_factory=lambda: [Part("loose")])
    links: list[dict[str, str]] = field(default_factory=list)
    head: dict[str, str] = field(default_factory=lambda: {"finding": "", "status": ""})
    charts: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    has_code: bool = False

    def add(self, html: str) -> None:
        """Append trusted HTML to the current part."""
        html = _DOWNLOAD.sub(self._take_file, html)
        self.parts[-1].items.append(Markup(html))  # noqa: S704 - escaped where it was made

    def _take_file(self, link: re.Match[str]) -> str:
        self.files.append(unquote(link[1]))
        return f'data-file="{len(self.files) - 1}" hidden'

    def open(self, kind: str, anchor: str = "", question: str = "") -> None:
        """Start a part; code of the cell that starts it moves along."""
        part = Part(kind, anchor)
        last = self.parts[-1].items
        if last and 'class="code"' in last[-1]:
            part.items.append(last.pop())
        self.parts.append(part)
        if anchor:
            self.links.append({"anchor": anchor, "question": question})


def export_html(notebook: NotebookNode | Path | str, *, title: str, lang: str = "en") -> str:
    """Page of an executed notebook.

    Parameters
    ----------
    notebook : notebook, or path of one.
    title : title of the browser window.
    lang : language of the page.
    """
    page = _Page()
    for cell in _read(notebook).cells:
        _add_markdown(page, cell.source) if cell.cell_type == "markdown" else _add_code_cell(page, cell)
    facts = {
        "lang": lang,
        "title": title,
        "head": page.head,
        "parts": [part for part in page.parts if part.items],
        "links": page.links,
        "has_code": page.has_code,
        "css": Markup(asset("blocks.css") + asset("page.css")),  # noqa: S704 - our own file
        "script": Markup(asset("page.js")),  # noqa: S704 - our own file
        "packed": _packed(page) if page.charts else None,
    }
    return _OPTIONAL_END.sub("", page_template().render(facts))


def add_drawings(notebook: NotebookNode) -> NotebookNode:
    """Add the static drawing to every chart, for viewers that draw no Vega-Lite; returns the notebook."""
    number = 0
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if VEGA_LITE in data:
                number += 1
                data[SVG] = data.get(SVG) or draw_svg(_checked(data[VEGA_LITE]), f"f{number}")
    return notebook


def _read(notebook: NotebookNode | Path | str) -> NotebookNode:
    if not isinstance(notebook, (str, Path)):
        return notebook
    quick_imports()
    import nbformat

    return nbformat.read(notebook, as_version=4)


def _checked(spec: dict[str, Any]) -> dict[str, Any]:
    refuse_remote({name: value for name, value in spec.items() if name not in ("usermeta", "datasets")})
    return page_spec(spec)


# ---------------------------------------------------------------- cells


def _add_markdown(page: _Page, source: str) -> None:
    heading = _HEADING.match(source)
    if heading:
        question = heading.group(1)
        page.open("section", slug(question), question)
        page.add(render("section", slug(question), question, ""))
        source = source[heading.end() :]
    if source.strip():
        page.add(f'<div class="aif prose">{_markdown()(source)}</div>')


def _add_code_cell(page: _Page, cell: Any) -> None:
    if cell.source.strip():
        page.has_code = True
        page.add(f'<div class="code"><pre><code>{escape(cell.source)}</code></pre></div>')
    for output in cell.outputs:
        if output.output_type == "stream":
            page.add(_plain(_MACHINE.sub("", output.text)))
        elif output.output_type == "error":
            page.add(_plain("\n".join(output.traceback)))
        else:
            _add_data(page, output.data, output.get("metadata", {}).get("aifactory"))


def _add_data(page: _Page, data: dict[str, Any], facts: dict[str, Any] | None) -> None:
    if VEGA_LITE in data:
        page.charts.append(_checked(data[VEGA_LITE]))
        page.add(_figure(data, page.charts[-1], len(page.charts), "h2" if page.parts[-1].kind == "head" else "h3"))
    elif facts is not None and "text/html" in data:
        if facts.get("role") == BELOW_CHART:  # the figure of the page has its own caption
            return
        if facts.get("role") == "head":
            page.open("head")
            page.head = facts
        elif facts.get("role") == "section":
            page.open("section", facts["anchor"], facts["question"])
        page.add(data["text/html"].replace(block_style(), ""))
    elif WIDGET in data:
        page.add(render("bullets", [], WIDGET_LINE))
    elif "image/png" in data:
        image = "".join(data["image/png"].split())
        words = escape(data.get("text/plain", "Image"))
        page.add(f'<img class="shot" alt="{words}" src="data:image/png;base64,{escape(image)}">')
    else:
        page.add(_plain(data.get("text/plain", "")))


def _figure(data: dict[str, Any], drawn: dict[str, Any], number: int, heading: str) -> str:
    spec = data[VEGA_LITE]
    texts = figure_texts(spec)
    facts = {
        **texts,
        "svg": Markup(data.get(SVG) or draw_svg(drawn, f"f{number}")),  # noqa: S704 - vl-convert escapes
        "chart": number - 1,
        "heading": heading,
        "download": download(texts["title"], chart_csv(spec)),
    }
    return render("figure", facts)


def _plain(text: str) -> str:
    text = _COLOUR_CODES.sub("", "".join(text)).strip()
    return f"<pre>{escape(text)}</pre>" if text else ""


# ---------------------------------------------------------------- assets


@cache
def asset(name: str) -> str:
    """Text of a file of the template."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


@cache
def page_template() -> Any:
    """Template of a page."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)
    return environment.get_template("page.html.j2")


@cache
def _markdown() -> Callable[[str], str]:
    """Renderer of the static cells: raw HTML is escaped, images and script addresses are dropped."""
    import mistune

    class Static(mistune.HTMLRenderer):
        def image(self, text: str, url: str, title: str | None = None) -> str:  # noqa: ARG002
            return str(escape(text))

        def heading(self, text: str, level: int, **_: Any) -> str:
            return f"<h{max(level, 3)}>{text}</h{max(level, 3)}>\n"

    return mistune.create_markdown(renderer=Static(escape=True), plugins=["table", "strikethrough"])


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script."""
    import vl_convert

    return vl_convert.javascript_bundle(vl_version="6.4")


def _packed(page: _Page) -> dict[str, Any]:
    """Chart library, specifications and CSV files: gzip as text of base 85, about 390 kB instead of a megabyte.

    Zopfli writes gzip that is 4 % smaller than that of zlib.
    """
    content = {"library": _bundle(), "charts": page.charts, "files": page.files}
    text = json.dumps(content, separators=(",", ":"), sort_keys=True, allow_nan=False)
    packed = zopfli.compress(text.encode(), numiterations=1)
    return {"bytes": len(packed), "text": base64.b85encode(packed, pad=True).decode().translate(IN_MARKUP)}
