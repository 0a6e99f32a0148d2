"""The shortlist page's interactive layer: one use case ranked at other weights, limits and utilisation."""

from __future__ import annotations

import pandas as pd

from aifactory.benchmark import Benchmark
from aifactory.inputs.weights import MATRIX_CRITERIA
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.report import charts
from aifactory.report.blocks import Block, Col, Group, figure, group, missing, section, table
from aifactory.report.text import num, pct, plural, readable, usd_compact
from aifactory.report.widgets import explore
from aifactory.shortlist import Shortlist
from aifactory.shortlist.what_if import Ground, prepare, rank_at

SOURCE = "shortlist stage: benchmarks, prices, judgements tables; plan.yaml"


class Explorer:
    """Ranking of a use case as a figure and a table, for any setting of the controls."""

    def __init__(self, ws: Workspace, inventory: Inventory, benchmark: Benchmark, short: Shortlist) -> None:
        self.as_of, self.horizon = ws.as_of, ws.plan.horizon_months
        self.grounds: dict[str, Ground] = prepare(ws, inventory, benchmark, short)
        costs = short.choice.dropna(subset=["accelerator_id"]).set_index("use_case_id")["total_usd"]
        known = [name for name in costs.sort_values(ascending=False).index if name in self.grounds]
        self.first = known[0] if known else next(iter(self.grounds), "")

    def show(
        self, use_case: str = "", slo_factor: float = 1.0, utilization: float | None = None, **weights: float
    ) -> Group | Block:
        """The ranking at these settings; weights by criterion, those of the plan without."""
        name = use_case or self.first
        if name not in self.grounds:
            return missing("The ranking at other settings", "no use case has a platform with known capacity and price")
        ground = self.grounds[name]
        used = utilization or ground.utilization
        ranked = rank_at(ground, weights or None, slo_factor, used)
        answer = self._answer(ground, ranked, slo_factor, used)
        said = section("What if weights, limits or utilisation were different?", answer)
        able = ranked.dropna(subset=["value"])
        return group(said, *([self._figure(name, able)] if len(able) else []), self._table(ranked))

    def _answer(self, ground: Ground, ranked: pd.DataFrame, slo_factor: float, used: float) -> str:
        text = f"{ground.use_case_id}, {_limits_text(ground, slo_factor)}, {pct(used, 0)} of capacity filled: "
        able, controls = ranked.dropna(subset=["value"]), "In JupyterLab the controls below change all of it."
        if able.empty:
            return f"{text}no platform meets these limits at any load. {controls}"
        best = able.iloc[0]
        text += f"{best['accelerator_id']} leads with {num(best['value'], 2)}"
        if len(able) > 1:
            second = able.iloc[1]
            text += f", {second['accelerator_id']} follows with {num(second['value'], 2)}"
        out = len(ranked) - len(able)
        beside = f"; {plural(out, 'platform')} cannot meet the limits at any load" if out else ""
        return f"{text}; it costs {usd_compact(best['total_usd'])} over {self.horizon} months{beside}. {controls}"

    def _figure(self, name: str, ranked: pd.DataFrame) -> object:
        long = ranked.melt("accelerator_id", [f"part_{item}" for item in MATRIX_CRITERIA], "criterion", "part")
        long["criterion"] = long["criterion"].str.removeprefix("part_").map(readable)
        long["short_name"] = long["accelerator_id"].str.split("-", n=1).str[-1]
        chart = charts.stacked_bars(long, x="short_name", value="part", color="criterion", order=[readable(item) for item in MATRIX_CRITERIA], fmt="num2",
                                    titles={"short_name": "Platform", "part": "Value"})  # fmt: skip
        return figure(chart, title=f"{ranked['accelerator_id'].iloc[0]} leads for {name}", description="Stacked bars of the weighted values of the six criteria per platform, best first.",
                      caption="Cost is the whole price over the horizon beside the other use cases, people and storage included, against today's platform there; platforms that a hard rule excludes are left out.",
                      source=SOURCE, as_of=self.as_of)  # fmt: skip

    def _table(self, ranked: pd.DataFrame) -> Block:
        columns = {
            "accelerator_id": Col("Platform"), "decision": Col("Decision", "status"), "tier": Col("Known by"), "value": Col("Value", "num2"),
            "score": Col("Score without cost", "num2"), "total_usd": Col(f"Cost over {self.horizon} months, USD", "usd_compact"),
            "capacity_ratio": Col("Capacity, times", "num2"),
        }  # fmt: skip
        return table(
            ranked.replace(float("inf"), float("nan")),
            caption="Ranking at these settings",
            source=SOURCE,
            as_of=self.as_of,
            columns=columns,
            max_rows=15,
        )


def _limits_text(ground: Ground, slo_factor: float) -> str:
    """What the factor on the latency limits does: nothing where there are none, or where no latency was measured."""
    if not ground.limits:
        return "without latency limits"
    if not ground.knows_latency:
        return "latency limits as stated, since no latency under load was measured that would say what others allow"
    return f"latency limits times {num(slo_factor, 2)}"


def explore_ranking(ws: Workspace, inventory: Inventory, benchmark: Benchmark, short: Shortlist) -> None:
    """Show the ranking of the dearest use case at the plan's settings, then controls for weights, limits and utilisation."""
    from ipywidgets import Dropdown, FloatSlider

    explorer = Explorer(ws, inventory, benchmark, short)
    start = explorer.grounds[explorer.first].utilization if explorer.first else 0.7

    def slider(label: str, value: float, low: float, high: float) -> FloatSlider:
        return FloatSlider(
            value=value,
            min=low,
            max=high,
            step=0.01,
            description=label,
            continuous_update=False,
        )

    controls = {"use_case": Dropdown(options=list(explorer.grounds), value=explorer.first or None, description="Use case"),
                "slo_factor": slider("Latency limits, times", 1.0, 0.25, 4.0), "utilization": slider("Capacity filled", round(start, 4), 0.1, 1.0),
                **{name: slider(f"Weight of {readable(name).lower()}", ws.plan.matrix_weights[name], 0.0, 1.0) for name in MATRIX_CRITERIA}}  # fmt: skip
    explore(explorer.show, **controls)
