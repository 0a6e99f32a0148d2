"""Vega-Lite specifications in house style, and their static drawing."""

from __future__ import annotations

import json
import re
from typing import Any

from aifactory.errors import AIFactoryError
from aifactory.report import theme
from aifactory.report.markup import csv_text
from aifactory.report.text import plural

#: Start of the names of columns that a chart builder adds; tooltips and downloads leave them out.
HELPER = "drawn_"
SCHEMA_IN_NOTEBOOK = "https://vega.github.io/schema/vega-lite/v5.json"
SCHEMA_IN_PAGE = "https://vega.github.io/schema/vega-lite/v6.json"
_ID = re.compile(r'(?<=\bid=")[^"]+|(?<=url\(#)[^)]+')
#: What Vega writes and a drawing does not need: defaults, names of parts, empty shapes, labels left out.
_EMPTY_SHAPE = re.compile(r'<path class="(?:fore|back)ground"[^>]* d="(?:M0,0h0v0h0Z)?"[^>]*/>')
_DEFAULT = re.compile(
    r' (?:(?:fill-|stroke-)?opacity="1"|stroke-width="1"|pointer-events="none"|font-weight="normal"'
    r'|[xy]2="0"|class="(?!mark-[a-z]+ role-mark)[^"]*"|aria-hidden="true"|aria-roledescription="[^"]*"|role="[^"]*"|transform="translate\(0,0\)")'
)
_FONT = re.compile(r' font-family="[^"]*"')
_HIDDEN_TEXT = re.compile(r'<text[^>]* opacity="0"[^>]*>[^<]*</text>')
_LONG_NUMBER = re.compile(r"(\d+\.\d)\d+")
_TAG = re.compile(r"<[^>]*>")


def house_spec(chart: Any, texts: dict[str, str]) -> dict[str, Any]:
    """Specification of an altair chart with title, house style and the texts of its figure.

    `$schema` names version 5, the newest that JupyterLab draws; the charts use nothing newer.
    """
    spec = chart.to_dict()
    refuse_remote(spec)
    own = spec.get("config", {})
    spec["config"] = {**theme.CONFIG, **{k: v for k, v in own.items() if k not in theme.CONFIG}}
    spec["$schema"] = SCHEMA_IN_NOTEBOOK
    spec["title"] = texts["title"]
    spec["description"] = texts["description"]
    not_drawn = spec.get("usermeta", {}).get("not_drawn", 0)
    spec["usermeta"] = {"aifactory": {**texts, "not_drawn": not_drawn, "columns": _columns(spec)}}
    return spec


def figure_texts(spec: dict[str, Any]) -> dict[str, Any]:
    """Texts around a chart: title, description, caption, source, as_of, and a note on rows that are not drawn."""
    texts = {"title": "Chart", "description": "Chart", "caption": "", "source": "this notebook", "as_of": ""}
    texts |= spec.get("usermeta", {}).get("aifactory", {})
    not_drawn = texts.get("not_drawn", 0)
    return {**texts, "note": f"{plural(not_drawn, 'row')} without a value not drawn." if not_drawn else ""}


def refuse_remote(spec: object) -> None:
    """Refuse addresses anywhere in a specification: reports load nothing."""
    if isinstance(spec, dict):
        if "url" in spec or "href" in spec:
            raise AIFactoryError("chart: addresses (url, href) are not allowed; reports load nothing")
        for name, value in spec.items():
            if name != "datasets":
                refuse_remote(value)
    elif isinstance(spec, list):
        for value in spec:
            refuse_remote(value)


def page_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """Specification for the page, where title and texts stand in HTML around the chart."""
    return {**{k: v for k, v in spec.items() if k not in ("title", "usermeta")}, "$schema": SCHEMA_IN_PAGE}


def draw_svg(spec: dict[str, Any], prefix: str) -> str:
    """Static drawing of a page specification; `prefix` keeps its ids apart from those of other figures.

    Coordinates are cut to one decimal, and marks carry no labels of their own: the figure's
    description and its CSV say the same in readable form.
    """
    import vl_convert

    silent = {**spec, "config": {**spec.get("config", {}), "aria": False}}
    svg = vl_convert.vegalite_to_svg(json.dumps(silent, sort_keys=True), vl_version="6.4")
    return _slim(_short_coordinates(_rename_ids(svg, prefix)))


def _short_coordinates(svg: str) -> str:
    """Cut numbers of places and sizes to one decimal; what is written for the reader stays.

    >>> _short_coordinates('<text x="12.3456">0.00768</text>')
    '<text x="12.3">0.00768</text>'
    """
    return _TAG.sub(lambda tag: _LONG_NUMBER.sub(r"\1", tag[0]), svg)


def _slim(svg: str) -> str:
    """The same drawing in about half the characters; the font is named once, at the root.

    >>> _slim('<svg><g class="mark-text" opacity="1"><text font-family="Arial" x2="0" x="3">a</text></g></svg>')
    '<svg font-family="Arial"><g><text x="3">a</text></g></svg>'
    """
    font = _FONT.search(svg)
    slim = _FONT.sub("", _DEFAULT.sub("", _EMPTY_SHAPE.sub("", _HIDDEN_TEXT.sub("", svg))))
    return slim.replace("<svg", f"<svg{font[0]}", 1) if font else slim


def _rename_ids(svg: str, prefix: str) -> str:
    """Number the ids of a drawing afresh: Vega counts on from drawing to drawing.

    >>> _rename_ids('<clipPath id="clip7"/><g clip-path="url(#clip7)"/>', "f1")
    '<clipPath id="f1-1"/><g clip-path="url(#f1-1)"/>'
    """
    names: dict[str, str] = {}
    return _ID.sub(lambda match: names.setdefault(match[0], f"{prefix}-{len(names) + 1}"), svg)


def chart_csv(spec: dict[str, Any]) -> str:
    """CSV of the largest data set of a chart; empty where there is none."""
    rows = _largest(spec)
    columns = spec.get("usermeta", {}).get("aifactory", {}).get("columns") or _columns(spec)
    return csv_text(columns, ([_day(row.get(name)) for name in columns] for row in rows)) if rows else ""


def _largest(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return max(spec.get("datasets", {}).values(), key=len, default=[])


def _columns(spec: dict[str, Any]) -> list[str]:
    """Columns in the order of the frame; a notebook on disk keeps the names of its data sorted."""
    return [name for row in _largest(spec)[:1] for name in row if not name.startswith(HELPER)]


def _day(value: object) -> object:
    return value.removesuffix("T00:00:00") if isinstance(value, str) else value
