"""How good the forecast is: bands by class and region, and errors beside seasonal naive."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.workspace import Workspace
from aifactory.inventory.forecast_scores import GROUP, HORIZON_DAYS, ForecastScores
from aifactory.report import charts
from aifactory.report.blocks import Block, Col, Figure, Group, bullets, figure, group, missing, section, table
from aifactory.report.text import num, pct, plural, readable
from aifactory.units import WORKLOAD_CLASSES

SOURCE = "demand_windows and jobs tables"
KEYS = {"workload_class": Col("Class"), "region": Col("Region"), "service_unit": Col("Unit")}


def forecast_section(ws: Workspace, found: ForecastScores) -> Group:
    """Question, answer, the next four weeks with bands, and errors beside seasonal naive."""
    question = "How good is the forecast?"
    scored = found.scores[found.scores["mase"].notna()]
    if scored.empty:
        return group(
            section(
                question,
                "No series is long enough to forecast at past dates and compare; the scenarios rest on trends alone.",
            )
        )
    better = int((scored["mase"] < scored["naive_mase"]).sum())
    answer = (
        f"At {plural(int(scored['origins'].max()), 'past date')} or fewer, the next {HORIZON_DAYS} days were forecast from what was known then. "
        f"The error was smaller than that of repeating the last week in {better} of {plural(len(scored), 'series', 'series')}: "
        f"{pct(scored['mase'].mean() / scored['naive_mase'].mean() - 1, 0)} on average. "
        f"The 80 % bands held {pct(scored['coverage80'].mean(), 0)} of the days."
    )
    return group(
        section(question, answer),
        chart_bands(ws, found),
        table_scores(ws, found),
        *_notes(found),
    )


def _notes(found: ForecastScores) -> list[Block]:
    noted = found.scores[found.scores["note"] != ""]
    texts = [f"{_name(row, with_unit=True)}: {row['note']}." for row in noted.to_dict("records")]
    return [bullets(texts, "")] if texts else []


def chart_bands(ws: Workspace, found: ForecastScores) -> Figure | Block:
    """Next four weeks of every series against its last four, with the 80 % band."""
    known = found.scores[found.scores["units_per_day_next"].notna() & (found.scores["units_per_day_last"] > 0)]
    if known.empty:
        return missing("The next four weeks", "no series is long enough")
    frame = known.assign(series=_series(known))
    for name in ("next", "low", "high"):
        frame[name] = frame[f"units_per_day_{name}"] / frame["units_per_day_last"]
    frame = frame.sort_values("next", ascending=False)
    top = frame.loc[np.log(frame["next"].clip(lower=1e-6)).abs().idxmax()]
    chart = charts.dots_with_range(
        frame, category="series", value="next", low="low", high="high", fmt="num2",
        titles={"next": "Expected days, last four weeks = 1", "low": "10 % quantile", "high": "90 % quantile"}, reference=[("last four weeks", 1.0)],
    )  # fmt: skip
    return figure(
        chart,
        title=f"Next four weeks: {_name(top)} moves most, to {num(top['next'], 2)} times the last four",
        description=f"A dot per class and region: expected demand per day over the next {HORIZON_DAYS} days relative to the last {HORIZON_DAYS}, with the mean 80 % band of single days.",
        caption="Bands are those of single days, averaged; they come from the forecast's own past errors.",
        source=SOURCE,
        as_of=ws.as_of,
    )


def table_scores(ws: Workspace, found: ForecastScores) -> Block:
    """Demand per day with its band, and the error beside that of seasonal naive."""
    columns = KEYS | {
        "units_per_day_last": Col("Per day, last 4 weeks", "sig3"),
        "units_per_day_next": Col("Next 4 weeks", "sig3"),
        "units_per_day_low": Col("10 %", "sig3"),
        "units_per_day_high": Col("90 %", "sig3"),
        "mase": Col("Error", "num2"),
        "naive_mase": Col("Last week repeated", "num2"),
        "coverage80": Col("80 % band held", "pct0"),
    }
    note = (
        "Service units per day; quantiles are those of single days, averaged. Error: mean absolute scaled error. Every forecast used only what was known "
        "at its date; days not observed are not scored. The table forecast_scores of this run also holds pinball losses and the 95 % quantile."
    )
    return table(
        _readable(found)[[*columns]],
        caption="Forecast of daily demand, beside last week repeated",
        source=SOURCE,
        as_of=ws.as_of,
        columns=columns,
        max_rows=40,
        note=note,
    )


def _readable(found: ForecastScores) -> pd.DataFrame:
    kind, unit = found.scores["workload_class"].map(WORKLOAD_CLASSES), found.scores["service_unit"].map(readable)
    return found.scores.assign(workload_class=kind, service_unit=unit)


def _series(frame: pd.DataFrame) -> pd.Series:
    """Name of each series; with its unit only where two would be alike."""
    twice = frame.duplicated(["workload_class", "region"], keep=False)
    names = [_name(row, with_unit=both) for row, both in zip(frame.to_dict("records"), twice, strict=True)]
    return pd.Series(names, index=frame.index)


def _name(row: dict[str, object] | pd.Series, *, with_unit: bool = False) -> str:
    kind, region, unit = (str(row[name]) for name in GROUP)
    return f"{region}, {WORKLOAD_CLASSES[kind]}" if not with_unit else f"{region}, {readable(unit)}"
