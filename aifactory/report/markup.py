"""Blocks, and the one place where they become HTML: Jinja macros with autoescape.

A block knows its HTML and its plain text. The macros are our own rather than a table library's,
because captions, header scopes, scroll regions and download links must be in every table.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aifactory.report.text import is_missing

TEMPLATES = Path(__file__).parent / "template"
CSV_ADDRESS = "data:text/csv;charset=utf-8,"
MAX_DOWNLOAD_BYTES = 100_000
#: The space before a percent sign or magnitude, and the one between the currency and its amount.
_UNIT = re.compile(r"(?<=\d) (?=(?:%|[kMB]\b))|(?<=\bUSD) (?=[\d\N{MINUS SIGN}])")
_FORMULA_START = ("=", "+", "-", "@", "\t", "\n")


@dataclass(frozen=True)
class Block:
    """A piece of a page: escaped HTML, plain text for terminals, and facts for the exporter."""

    html: str
    text: str
    facts: dict[str, Any] = field(default_factory=dict)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, Any]]:
        return {"text/html": self.html, "text/plain": self.text}, {"aifactory": self.facts}


@dataclass(frozen=True)
class Group:
    """Blocks and figures that one cell shows below each other."""

    parts: tuple[Any, ...]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.parts)

    @property
    def html(self) -> str:
        """HTML of all parts that have any; figures become HTML when the page is exported."""
        return "\n".join(part.html for part in self.parts if hasattr(part, "html"))

    @property
    def text(self) -> str:
        """Plain text of all parts."""
        return "\n".join(part.text for part in self.parts)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        for part in self.parts:
            display(part)


@cache
def _macros() -> Any:
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, finalize=_glued)
    return environment.get_template("blocks.html.j2").module


def _glued(value: object) -> object:
    return together(value) if type(value) is str else value


def together(text: str) -> str:
    r"""Text in which no line breaks between a figure and its unit.

    >>> together("USD 1.1 M, 12 % of it, 3 nodes") == "USD\xa01.1\xa0M, 12\xa0% of it, 3 nodes"
    True
    """
    return _UNIT.sub("\N{NO-BREAK SPACE}", text)


def render(macro: str, *args: object) -> str:
    """HTML of one macro of `template/blocks.html.j2`."""
    return str(getattr(_macros(), macro)(*args)).strip()


@cache
def block_style() -> str:
    """Style of the blocks, as an element; in a notebook it comes with the head block."""
    return f"<style>{(TEMPLATES / 'blocks.css').read_text(encoding='utf-8')}</style>"


def slug(text: str) -> str:
    """Anchor made of a heading.

    >>> slug("Where does the money go?")
    'where-does-the-money-go'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "section"


def formula_safe(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets an apostrophe in front; the rest stays.

    >>> formula_safe("=1+1"), formula_safe(-5), formula_safe("a=b")
    ("'=1+1", -5, 'a=b')
    """
    if not isinstance(value, str):
        return value
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith(_FORMULA_START) else text


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV with formula-safe text; missing values are empty, numbers carry 12 significant digits."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([formula_safe(name) for name in header])
    writer.writerows([_csv_cell(value) for value in row] for row in rows)
    return stream.getvalue()


def _csv_cell(value: object) -> object:
    if is_missing(value):
        return ""
    return f"{value:.12g}" if isinstance(value, float) else formula_safe(value)


def download(title: str, text: str) -> dict[str, str] | None:
    """File name and data address of a CSV, or None where it is larger than 100 kB."""
    href = CSV_ADDRESS + quote(text, safe=",.:;-_/()*!~")
    return {"name": f"{slug(title)}.csv", "href": href} if len(href) <= MAX_DOWNLOAD_BYTES else None
