"""The blocks that report pages are made of. Page modules use this module only.

All text is escaped when it becomes HTML (`markup`); nothing made of data is ever Markdown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from aifactory.errors import AIFactoryError
from aifactory.finance.price_age import price_age_of
from aifactory.finance.prices import offers_of
from aifactory.report.markup import Block, Group, block_style, render, slug
from aifactory.report.tables import Col, table, tone
from aifactory.report.text import as_of_range, date_name, month_name, parted, readable

if TYPE_CHECKING:
    from aifactory.inputs.workspace import Workspace

__all__ = [
    "Block",
    "Col",
    "Figure",
    "Group",
    "Kpi",
    "assumptions_table",
    "bullets",
    "change_log",
    "checks_table",
    "figure",
    "group",
    "head",
    "missing",
    "provenance",
    "section",
    "table",
]
VEGA_LITE = "application/vnd.vegalite.v5+json"
#: Role of the lines below a chart in a notebook; an exported page has them in its figure.
BELOW_CHART = "below chart"
_MARKS = {"good": "on target", "watch": "watch", "bad": "act"}
STATUSES = ("final", "draft", "failed checks")
#: Sentences of the finding that are set large.
LEAD_SENTENCES = 2


@dataclass(frozen=True)
class Kpi:
    """Key figure: value, what it is compared with, its range, and how it stands."""

    label: str
    value: str
    comparison: str = ""
    range: str = ""
    status: str = ""

    def __post_init__(self) -> None:
        if self.status not in ("", *_MARKS):
            raise AIFactoryError(f"key figure {self.label!r}: status must be empty, good, watch or bad")

    @property
    def mark(self) -> str:
        """Status in words: colour alone says nothing to some readers."""
        return _MARKS.get(self.status, "")


@dataclass(frozen=True)
class Figure:
    """A chart with everything a reader needs to trust it; the exporter adds the drawing.

    `spec` is Vega-Lite with the house style and, under `usermeta`, the texts around the chart.
    """

    spec: dict[str, Any] = field(repr=False)
    text: str

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {VEGA_LITE: self.spec, "text/plain": self.text}

    def _ipython_display_(self) -> None:
        """Chart, then its caption, source and date: a notebook draws the chart alone."""
        from IPython.display import display

        from aifactory.report.spec import figure_texts

        display(self._repr_mimebundle_(), raw=True)
        texts = figure_texts(self.spec)
        said = f"{texts['caption']} Source: {texts['source']}, as of {texts['as_of']}."
        display(Block(render("below_chart", texts), said, {"role": BELOW_CHART}))


def head(
    *,
    stage: str,
    question: str,
    period: str,
    as_of: str,
    status: str,
    finding: str,
    kpis: Sequence[Kpi],
    chart: Figure | None,
    deciders: Sequence[tuple[str, str]],
    warnings: Sequence[str] = (),
) -> Group:
    """First screen: question, finding, key figures, one chart, who decides what.

    `status` is final, draft or failed checks; `warnings` are printed below the finding, whose first sentences are
    set large.
    """
    if status not in STATUSES:
        raise AIFactoryError(f"head: status {status!r} is none of {', '.join(STATUSES)}")
    lead, more = parted(finding, LEAD_SENTENCES)
    facts = {
        "stage": readable(stage),
        "question": question,
        "period": month_name(period),
        "as_of": date_name(as_of),
        "status": status,
        "tone": tone(status),
        "finding": finding,
        "lead": lead,
        "more": more,
        "warnings": list(warnings),
        "kpis": list(kpis),
    }
    kept = {name: facts[name] for name in ("stage", "question", "period", "status", "finding")}
    text = "\n".join([f"{facts['stage']}, {facts['period']} ({status})", question, finding, *map(_kpi_text, kpis)])
    first = Block(block_style() + render("head", facts), text, {"role": "head", **kept})
    last = Block(render("deciders", list(deciders)), "\n".join(f"{role}: {what}" for role, what in deciders))
    return Group((first, *([chart] if chart else []), *([last] if deciders else [])))


def _kpi_text(kpi: Kpi) -> str:
    extra = ", ".join(part for part in (kpi.comparison, kpi.range, kpi.mark) if part)
    return f"{kpi.label}: {kpi.value}" + (f" ({extra})" if extra else "")


def section(question: str, answer: str) -> Block:
    """Heading of a section and its answer in one to three sentences."""
    anchor = slug(question)
    html = render("section", anchor, question, answer)
    return Block(html, f"{question}\n{answer}", {"role": "section", "anchor": anchor, "question": question})


def figure(chart: Any, *, title: str, description: str, caption: str, source: str, as_of: str) -> Figure:
    """Chart with its finding as title, its content in words (read to those who cannot see it), and its source."""
    from aifactory.report.spec import house_spec

    for name, value in (("title", title), ("description", description), ("source", source)):
        if not value.strip():
            raise AIFactoryError(f"figure {title!r}: {name} must not be empty")
    texts = {"title": title, "description": description, "caption": caption, "source": source}
    texts["as_of"] = date_name(as_of) if as_of else ""
    return Figure(house_spec(chart, texts), f"{title}. {description}")


def bullets(items: Sequence[str], empty: str) -> Block:
    """List of sentences, or one sentence where there are none."""
    items = [str(item) for item in items]
    return Block(render("bullets", items, empty), "\n".join(f"- {item}" for item in items) or empty)


def missing(what: str, why: str) -> Block:
    """Stands where a result is absent: what could not be computed, and why."""
    return bullets([], f"{what} could not be computed: {why}")


def group(*parts: Block | Figure | Group) -> Group:
    """Several blocks and figures as the result of one cell."""
    flat = [item for part in parts for item in (part if isinstance(part, Group) else (part,))]
    return Group(tuple(flat))


# ---------------------------------------------------------------- blocks of every page


def provenance(ws: Workspace) -> Block:
    """Table of the files a report rests on."""
    frame = ws.sources.copy()
    frame["sha256"] = frame["sha256"].str[:12]
    columns = {
        "table": Col("Table"),
        "file": Col("File"),
        "origin": Col("Origin"),
        "rows": Col("Rows", "int"),
        "first": Col("First"),
        "last": Col("Last"),
        "oldest_as_of": Col("Oldest as of", "date"),
        "newest_as_of": Col("Newest as of", "date"),
        "sha256": Col("SHA-256"),
    }
    caption = f"Files behind the report of {month_name(ws.period)}"
    facts = {"source": "workspace and catalogue", "as_of": ws.as_of, "max_rows": 60}
    note = price_age_of(offers_of(ws), ws.plan, ws.as_of).sentence_of("Prices of the candidates")
    return table(frame, caption=caption, columns=columns, note=note, **facts)


def assumptions_table(ws: Workspace, tornado: pd.DataFrame | None = None) -> Block:
    """Table of all assumptions with range, owner and source; the most influential first.

    `tornado` (columns assumption, swing_usd) ranks them by their effect on the result.
    """
    rows = [
        {"assumption": name, "label": readable(name), **item.model_dump()} for name, item in ws.plan.assumptions.items()
    ]
    frame = pd.DataFrame(rows)
    frame["as_of"] = frame["as_of"].astype("str")
    columns = {
        "label": Col("Assumption"),
        "value": Col("Value", "sig3"),
        "low": Col("Low (P10)", "sig3"),
        "high": Col("High (P90)", "sig3"),
        "unit": Col("Unit"),
        "owner_role": Col("Owner"),
        "source": Col("Source"),
        "as_of": Col("As of", "date"),
    }
    if tornado is not None and len(tornado):
        swing = tornado.drop_duplicates("assumption").set_index("assumption")["swing_usd"]
        frame["rank"] = frame["assumption"].map(swing.rank(ascending=False, method="first")).astype("Int64")
        frame = frame.sort_values("rank", kind="stable")
        columns = {"label": columns["label"], "rank": Col("Effect rank", "int"), **columns}
    return table(
        frame,
        caption="Assumptions, their owners and their sources",
        source="plan.yaml of the workspace",
        as_of=as_of_range(frame["as_of"]),
        columns=columns,
        max_rows=80,
    )


def checks_table(ws: Workspace) -> Block:
    """Table of the checks that did not pass; the note counts those that did."""
    passed = int((ws.checks["status"] == "passed").sum())
    frame = ws.checks[ws.checks["status"] != "passed"]
    columns = {
        "table": Col("Table"),
        "check": Col("Check"),
        "status": Col("Result", "status"),
        "row": Col("Row", "int"),
        "column": Col("Column"),
        "value": Col("Value"),
        "rule": Col("Finding"),
    }
    return table(
        frame,
        caption="Checks of the inputs that need attention",
        source="checks of the loader",
        as_of=ws.as_of,
        columns=columns,
        note=f"Passed: {passed} of {len(ws.checks)}.",
        empty=f"Checks of the inputs that need attention: none. Passed: {passed} of {len(ws.checks)}.",
    )


def change_log(ws: Workspace) -> Block:
    """Table of decisions and changes up to the period, the latest first."""
    frame = ws.table("decisions")
    frame = frame[frame["date"] <= pd.Timestamp(ws.as_of)].sort_values("date", ascending=False, kind="stable")
    columns = {
        "date": Col("Date", "date"),
        "kind": Col("Kind"),
        "subject": Col("Subject"),
        "text": Col("What and why"),
        "owner_role": Col("Owner"),
        "due": Col("Due", "date"),
        "status": Col("State", "status"),
    }
    return table(
        frame, caption="Decisions and changes", source="decisions of the workspace", as_of=ws.as_of, columns=columns
    )
