"""A notebook with every block and every chart, as the runner would hand it to the exporter."""

import pandas as pd
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from aifactory.report import blocks, charts

PAYLOADS = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "</script><script>document.title='owned'</script>",
    '"><svg onload="document.title=\'owned\'">',
    "{{ 7 * 7 }}",
    "[x](javascript:document.title='owned')",
    '=HYPERLINK("http://example.test")',
)
TEXTS = {"caption": "Units are requests.", "source": "test data", "as_of": "2026-10-31"}
MONTHS = [f"2026-{number:02d}" for number in range(1, 11)]


def demand_frame():
    rows = [
        (month, band, 100.0 + 10 * rank + 50 * level)
        for rank, month in enumerate(MONTHS)
        for level, band in enumerate(("baseline", "growth", "surge"))
    ]
    frame = pd.DataFrame(rows, columns=["month", "band", "units"])
    return frame.assign(low=frame["units"] * 0.8, high=frame["units"] * 1.2)


def demo_charts():
    demand = demand_frame()
    last = demand[demand["month"] == "2026-10"]
    hours = pd.DataFrame(
        [(hour, day, hour * day) for day in range(7) for hour in range(24)], columns=["hour", "day", "load"]
    )
    bridge = pd.DataFrame({"line": ["Plan", "Volume", "Price", "Actual"], "cost_usd": [1e5, 3e4, -2e4, 1.1e5]})
    swings = pd.DataFrame({"name": ["WACC", "Growth"], "at_low_usd": [1e6, 5e5], "at_high_usd": [2e6, 1.7e6]})
    return {
        "stacked_bars": charts.stacked_bars(demand, x="month", value="units", color="band"),
        "bars": charts.bars(last, category="band", value="units", reference=[("limit", 200)]),
        "lines_with_band": charts.lines_with_band(demand, x="month", y="units", color="band", low="low", high="high"),
        "heatmap": charts.heatmap(hours, x="hour", y="day", value="load"),
        "dots_with_range": charts.dots_with_range(last, category="band", value="units", low="low", high="high"),
        "waterfall": charts.waterfall(bridge, label="line", amount="cost_usd", totals=["Plan", "Actual"]),
        "scatter_curve": charts.scatter_curve(demand, x="low", y="high", color="band"),
        "tornado": charts.tornado(swings, category="name", low="at_low_usd", high="at_high_usd", base_value=1.5e6),
    }


def demo_figures():
    return {
        name: blocks.figure(chart, title=f"Finding of {name}", description=f"Description of {name}", **TEXTS)
        for name, chart in demo_charts().items()
    }


def demo_head(chart=None, **changes):
    facts = {
        "stage": "buy_plan",
        "question": "How much do we buy?",
        "period": "2026-10",
        "as_of": "2026-10-31",
        "status": "draft",
        "finding": "Approve USD 4.2 M by 1 December 2026.",
        "kpis": [
            blocks.Kpi("Three-year cost", "USD 11.3 M", "USD 13.9 M on demand", "USD 9.8 M to 12.9 M", "good"),
            blocks.Kpi("Failure rate", "1.2 %", "SLO 0.5 %", "", "bad"),
        ],
        "chart": chart,
        "deciders": [("Chief financial officer", "approves the amount")],
        "warnings": ["Three prices are older than 90 days."],
    }
    return blocks.head(**{**facts, **changes})


def demo_table(**changes):
    frame = pd.DataFrame(
        {
            "team": ["Search", *PAYLOADS, "total"],
            "cost_usd": [120_345.5, *range(len(PAYLOADS)), 134_788.6],
            "cost_share": [0.893, float("nan"), *[0.01] * (len(PAYLOADS) - 1), 1.0],
            "state": ["choose", *["pilot"] * len(PAYLOADS), "reject"],
        }
    )
    columns = {
        "team": blocks.Col("Team"),
        "cost_usd": blocks.Col("Cost (USD)", "usd0"),
        "cost_share": blocks.Col("Share", "pct1"),
        "state": blocks.Col("Decision", "status"),
    }
    texts = {"caption": "Spend by team", "source": "billing", "as_of": "2026-10-31", "columns": columns}
    return blocks.table(frame, **{**texts, **changes})


def outputs_of(shown):
    outputs = []
    for part in shown if isinstance(shown, blocks.Group) else [shown]:
        bundle = part._repr_mimebundle_()
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        outputs.append(new_output("display_data", data=data, metadata=metadata))
    return outputs


def code_cell(source, shown):
    return new_code_cell(source, outputs=outputs_of(shown), id=source.replace("_", "-")[:40])


def demo_notebook():
    figures = demo_figures()
    cells = [new_code_cell('period: str = ""', id="parameters")]
    cells.append(code_cell("page_head", demo_head(figures.pop("stacked_bars"))))
    for name, figure in figures.items():
        cells.append(code_cell(f"section_{name}", blocks.section(f"What does {name} say?", "It grows by 4 % a month.")))
        cells.append(code_cell(f"chart_{name}", figure))
    cells.append(code_cell("section_spend", blocks.section("Where does the money go?", PAYLOADS[0])))
    cells.append(code_cell("table_spend", demo_table()))
    cells.append(code_cell("findings", blocks.bullets(list(PAYLOADS), "none")))
    cells.append(code_cell("absent", blocks.missing("Idle cost", "there is no pools table.")))
    cells.append(
        new_markdown_cell("## How it is computed\n\nStatic *text* with <b onclick='x()'>raw HTML</b>.", id="method")
    )
    return new_notebook(cells=cells)
