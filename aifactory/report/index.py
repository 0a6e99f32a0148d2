"""`index.html`: all published reports, the latest month first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from markupsafe import Markup

from aifactory.inputs.hold import put_bytes
from aifactory.report.html import Part, asset, page_template
from aifactory.report.markup import render
from aifactory.report.tables import tone
from aifactory.report.text import month_name, readable

INDEX = "index.html"
MANIFEST = "manifest.json"
_ROAD = ("inventory", "benchmark", "shortlist", "buy_plan", "refresh")
_LINKED = {".html": "report", ".xlsx": "workbook (XLSX)", ".ics": "calendar (ICS)", ".ipynb": "notebook"}
_META_LIMIT = 20_000


@dataclass(frozen=True)
class Entry:
    """One published report."""

    stage: str
    finding: str
    status: str
    links: list[dict[str, str]]

    @property
    def title(self) -> str:
        """Name of the stage in words."""
        return readable(self.stage)

    @property
    def tone(self) -> str:
        """Colour class of the status."""
        return tone(self.status)


def write_index(out: str | Path) -> Path:
    """Write the index over all complete reports below `out` (those with a manifest); returns its path."""
    out = Path(out)
    periods = [
        {"name": month_name(folder.name), "entries": entries}
        for folder in sorted(out.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]"), reverse=True)
        if (entries := _entries(folder, out))
    ]
    facts = {
        "lang": "en",
        "title": "Reports",
        "head": {"finding": "All published reports, the latest month first.", "status": ""},
        "css": Markup(asset("blocks.css") + asset("page.css")),  # noqa: S704 - our own file
        "parts": [Part("loose", items=[Markup(render("index", periods))])],  # noqa: S704 - escaped by the macro
    }
    path = out / INDEX
    put_bytes(path, page_template().render(facts).encode())
    return path


def _entries(folder: Path, out: Path) -> list[Entry]:
    manifests = {
        path.parent.name: names
        for path in folder.glob(f"*/{MANIFEST}")
        if not path.parent.name.startswith(".") and (names := _names(path))
    }
    order = [*(stage for stage in _ROAD if stage in manifests), *sorted(set(manifests) - set(_ROAD))]
    return [_entry(folder / stage, manifests[stage], stage, out) for stage in order]


def _names(manifest: Path) -> list[str]:
    """Files of a report; none where its manifest is damaged, so that the report is not whole."""
    try:
        return [str(resource["path"]) for resource in json.loads(manifest.read_text(encoding="utf-8"))["resources"]]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def _entry(folder: Path, names: list[str], stage: str, out: Path) -> Entry:
    links = [
        {"href": (folder / name).relative_to(out).as_posix(), "label": label}
        for suffix, label in _LINKED.items()
        for name in names
        if name.endswith(suffix) and "/" not in name
    ]
    page = folder / f"{stage}.html"
    meta = _Meta.of(page) if page.is_file() else {}
    return Entry(stage, meta.get("description", ""), meta.get("aifactory-status", ""), links)


class _Meta(HTMLParser):
    """What a report says about itself in its meta elements."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect named meta elements."""
        facts = dict(attrs)
        if tag == "meta" and facts.get("name"):
            self.found[str(facts["name"])] = facts.get("content") or ""

    @classmethod
    def of(cls, page: Path) -> dict[str, str]:
        """Meta elements of a page, which stand at its start."""
        parser = cls()
        with page.open(encoding="utf-8") as stream:
            parser.feed(stream.read(_META_LIMIT))
        return parser.found
