"""Demand over the horizon in the inventory page: bands of the total and of classes, adoption, chains, what-ifs."""

from __future__ import annotations

import pandas as pd

from aifactory.demand.chain_factors import factor_doubts
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.forecast_scores import ForecastScores
from aifactory.report import charts
from aifactory.report.blocks import Block, Col, Figure, Group, bullets, figure, group, section, table
from aifactory.report.text import join_words, month_name, num, pct, plural, readable
from aifactory.units import MEGA, WORKLOAD_CLASSES

SOURCE = "demand_windows, jobs and billing tables; plan.yaml"
CHAIN_SOURCE = "demand_windows, jobs and demand_chain tables"
#: Months between two points of a chart, and after how many months tables look.
STEP, QUARTER, YEAR = 6, 3, 12
#: Relative change of the total below which a named scenario does not move it.
LEAST_CHANGE = 0.0005
TITLES = {"expected": "Demand, this month = 1", "conservative": "P10", "aggressive": "P90"}


def outlook(ws: Workspace, inv: Inventory, scores: ForecastScores) -> Group:
    """Demand over the horizon: total with its band, classes by region with bands and backtest error."""
    question = f"What will be asked of us over the next {ws.plan.horizon_months} months?"
    found = inv.scenarios
    if found.total.empty or found.today <= 0:
        return group(section(question, "No demand could be forecast."))
    total = found.total.assign(**{name: found.total[name] / found.today for name in TITLES})
    year, end = total.iloc[min(YEAR, len(total)) - 1], total.iloc[-1]
    answer = (
        f"By {month_name(year['month'])} demand is {num(year['expected'], 2)} times today's, with 80 % chance between "
        f"{num(year['conservative'], 2)} and {num(year['aggressive'], 2)}; by {month_name(end['month'])} {num(end['expected'], 1)} "
        f"times, between {num(end['conservative'], 1)} and {num(end['aggressive'], 1)}. Conservative, expected and aggressive are "
        f"the P10, P50 and P90 of {found.paths:,} simulated paths of the total."
    )
    answer += _creep(inv)
    if found.uncounted:
        answer += f" Without a known cost, {join_words(found.uncounted)} {'does' if len(found.uncounted) == 1 else 'do'} not move the total."
    ended = inv.use_cases["use_case_id"].isin(ws.ended)
    if ended.any():
        answer += f" {join_words(inv.use_cases.loc[ended, 'name'])} ended as planned and {'asks' if ended.sum() == 1 else 'ask'} for nothing."
    idea = inv.use_cases[~inv.use_cases["use_case_id"].isin(set(inv.forecast["use_case_id"])) & ~ended]
    if len(idea):
        answer += (
            f" Not forecast, because nothing was measured and no demand chain is given: {join_words(idea['name'])}."
        )
    return group(
        section(question, answer),
        _fan(ws, total, found.unit),
        table_classes(ws, inv, scores),
        *_class_fan(ws, inv),
        *_what_ifs(ws, inv),
    )


def _creep(inv: Inventory) -> str:
    """Growth of tokens per request and requests per session, as the paths hold it."""
    known = inv.chains[inv.chains["work_growth_per_month"].notna()]
    if known.empty:
        return ""
    row = known.loc[known["work_growth_per_month"].abs().idxmax()]
    return (
        f" Apart from their number, requests and sessions change in size: most for {row['use_case_id']}, by "
        f"{pct(row['work_growth_per_month'], 1)} of work a month at the start (P10 {pct(row['work_growth_p10'], 1)}, P90 {pct(row['work_growth_p90'], 1)})."
    )


def _fan(ws: Workspace, total: pd.DataFrame, unit: str) -> Figure:
    end = total.iloc[-1]
    return figure(
        charts.lines_with_band(_thin(total), x="month", y="expected", low="conservative", high="aggressive", fmt="num2", titles=TITLES),
        title=f"Expected demand grows to {num(end['expected'], 1)} times today's, P90 to {num(end['aggressive'], 1)}",
        description=f"Line of expected demand with a band from P10 to P90, ending at {num(end['conservative'], 1)}, {num(end['expected'], 1)} and {num(end['aggressive'], 1)} times today.",
        caption=f"Total in {unit}. Drawn are growth and how long it lasts, launches and how late they come, adoption, size of requests and the scatter of months.",
        source=SOURCE,
        as_of=ws.as_of,
    )  # fmt: skip


def _thin(frame: pd.DataFrame) -> pd.DataFrame:
    """Every sixth month, the first and the last: a page has room for so many points."""
    kept = set(range(STEP - 1, len(frame), STEP)) | {0, len(frame) - 1}
    return frame.iloc[sorted(kept)]


def class_rows(inv: Inventory, scores: ForecastScores) -> pd.DataFrame:
    """A row per class and region: bands after a quarter, a year and at the end, and the backtest beside seasonal naive."""
    groups = inv.scenarios.groups
    months = list(dict.fromkeys(groups["month"]))
    rows = None
    for name, place in (("quarter", QUARTER), ("year", YEAR), ("end", len(months))):
        at = groups[groups["month"] == months[min(place, len(months)) - 1]].set_index(["workload_class", "region"])
        part = at[["p10", "p50", "p90"]].add_prefix(f"{name}_")
        rows = part if rows is None else rows.join(part)
    mean = scores.scores.groupby(["workload_class", "region"])[["mase", "naive_mase", "coverage80"]].mean()
    return rows.join(mean).reset_index()


def table_classes(ws: Workspace, inv: Inventory, scores: ForecastScores) -> Block:
    """Demand by class and region with bands, and how good its forecast was."""
    rows = class_rows(inv, scores)
    shown = pd.DataFrame({"workload_class": rows["workload_class"].map(WORKLOAD_CLASSES), "region": rows["region"]})
    for name in ("quarter", "year", "end"):
        parts = zip(rows[f"{name}_p50"], rows[f"{name}_p10"], rows[f"{name}_p90"], strict=True)
        shown[name] = [f"{num(mid, 2)} ({num(low, 2)} to {num(high, 2)})" for mid, low, high in parts]
    shown = shown.assign(mase=rows["mase"], naive_mase=rows["naive_mase"], coverage80=rows["coverage80"])
    columns = {
        "workload_class": Col("Class"),
        "region": Col("Region"),
        "quarter": Col(f"In {QUARTER} months"),
        "year": Col(f"In {YEAR} months"),
        "end": Col(f"In {ws.plan.horizon_months} months"),
        "mase": Col("Error, 4 weeks", "num2"),
        "naive_mase": Col("Last week repeated", "num2"),
        "coverage80": Col("80 % band held", "pct0"),
    }
    note = (
        "Demand relative to today: median (P10 to P90) of each row alone, use cases by what they cost today, as the mean of the others where that "
        "is not known; bands must not be added, the scenarios of the table forecast add up. "
        "Errors are those of the daily forecast below at past dates. Months ahead cannot be scored before they come: the monthly refresh does."
    )
    return table(shown, caption="Demand by class and region with bands, and the error of past forecasts", source=SOURCE, as_of=ws.as_of,
                 columns=columns, max_rows=30, note=note)  # fmt: skip


def _class_fan(ws: Workspace, inv: Inventory) -> list[Figure]:
    """Band of the class and region whose demand is least certain a year on."""
    groups = inv.scenarios.groups
    months = list(dict.fromkeys(groups["month"]))
    at = groups[groups["month"] == months[min(YEAR, len(months)) - 1]]
    at = at[at["p10"] > 0]
    if at.empty:
        return []
    widest = at.loc[(at["p90"] / at["p10"]).idxmax()]
    mine = groups[(groups["workload_class"] == widest["workload_class"]) & (groups["region"] == widest["region"])]
    name = f"{WORKLOAD_CLASSES[widest['workload_class']]} in {widest['region']}"
    titles = {"p50": "Demand, this month = 1", "p10": "P10", "p90": "P90"}
    return [figure(
        charts.lines_with_band(_thin(mine), x="month", y="p50", low="p10", high="p90", fmt="num2", titles=titles),
        title=f"Least certain is {name}: {num(widest['p10'], 2)} to {num(widest['p90'], 2)} times today's within a year",
        description=f"Line of median demand of {name} with a band from P10 to P90 over the horizon.",
        caption="The widest band of all classes and regions after a year.", source=SOURCE, as_of=ws.as_of,
    )]  # fmt: skip


def _what_ifs(ws: Workspace, inv: Inventory) -> list[Block]:
    """Named scenarios at the month they move most and at the end, beside the expected one."""
    found = inv.scenarios.what_ifs
    if found.empty:
        return []
    notes = ws.table("demand_what_ifs").groupby("scenario")["note"].agg(lambda texts: "; ".join(texts.dropna()))
    rows = []
    for name, part in found.groupby("scenario", sort=False):
        change = (part["p50"] / part["expected_without"] - 1).abs()
        most = part.loc[change.idxmax()]
        if change.max() < LEAST_CHANGE:  # what it moves has no known cost and is not in the total
            most = most.where(most.index.isin(["scenario"]))
        rows.append(
            {"scenario": name, "what": notes.get(name, "")}
            | most[["month", "p10", "p50", "p90", "expected_without"]].to_dict()
        )
    columns = {"scenario": Col("Scenario"), "what": Col("What happens"), "month": Col("Month it moves most", "month"), "p10": Col("P10", "num2"),
               "p50": Col("P50", "num2"), "p90": Col("P90", "num2"), "expected_without": Col("P50 without it", "num2")}  # fmt: skip
    note = "A dash: it moves no use case whose cost is known, and so not this total."
    return [table(pd.DataFrame(rows), caption="Named scenarios: total demand, this month = 1", source="demand_what_ifs table; plan.yaml",
                  as_of=ws.as_of, columns=columns, max_rows=12, note=note if any(pd.isna(row["month"]) for row in rows) else "")]  # fmt: skip


# ------------------------------------------------------------------ adoption and chains


def adoption_section(ws: Workspace, inv: Inventory) -> Group:
    """How users become demand, and what use cases without history will ask for."""
    question = "How do users become demand, and what do new use cases add?"
    adopting = list(inv.scenarios.adopting)
    if not adopting:
        text = "No use case follows an adoption curve: none is new with a demand chain. Give seats, active share and units per seat in demand_chain.csv."
        return group(section(question, text), table_chains(ws, inv))
    bands = inv.scenarios.use_cases[inv.scenarios.use_cases["use_case_id"].isin(adopting)]
    last = bands[bands["month"] == bands["month"].max()].set_index("use_case_id")
    unit = inv.use_cases.set_index("use_case_id")["service_unit"]
    names = inv.use_cases.set_index("use_case_id")["name"]
    first = last["p50"].idxmax()
    row = last.loc[first]
    at_end = (inv.forecast["use_case_id"] == first) & (inv.forecast["month"] == row["month"])
    expected = inv.forecast[at_end & (inv.forecast["scenario"] == "expected")]["units"].sum()
    answer = (
        f"{plural(len(adopting), 'use case')} without a trend of its own follows an adoption curve. In the middle of the paths (P50) {names[first]} asks for "
        f"{num(row['p50'])} {readable(unit[first]).lower()}s a month by {month_name(row['month'])}, with 80 % chance for between {num(row['p10'])} and {num(row['p90'])}; "
        f"the expected scenario, whose parts add up to the middle of the total, holds {num(expected)}."
    )
    basis = inv.forecast.drop_duplicates("use_case_id").set_index("use_case_id")["growth_source"]
    mine = bands[bands["use_case_id"] == first]
    titles = {"p50": f"{readable(unit[first])}s a month", "p10": "P10", "p90": "P90"}
    return group(
        section(question, answer),
        figure(
            charts.lines_with_band(_thin(mine), x="month", y="p50", low="p10", high="p90", fmt="sig3", titles=titles),
            title=f"{names[first]}: half of the final demand by {_half_way(mine)}",
            description=f"Line of the median demand of {names[first]} by month with a band from P10 to P90.",
            caption="Bass and logistic curves share the evidence; a launch that slips moves the whole curve.",
            source="demand_chain and use_cases tables; plan.yaml",
            as_of=ws.as_of,
        ),
        bullets([f"{names[name]}: {basis[name]}." for name in adopting], ""),
        table_doubts(ws, chain_doubts(inv)),
        table_chains(ws, inv),
    )


def chain_doubts(inv: Inventory) -> pd.DataFrame:
    """Doubt of every factor of the use cases that follow an adoption curve."""
    return factor_doubts(inv.demand_basis.chain, inv.scenarios.adopting)


def table_doubts(ws: Workspace, doubts: pd.DataFrame) -> Block:
    """What the paths of a demand chain draw, and which factor makes most of their doubt."""
    columns = {
        "use_case_id": Col("Use case"),
        "factor": Col("Factor"),
        "value": Col("Median", "sig3"),
        "p10": Col("P10", "sig3"),
        "p90": Col("P90", "sig3"),
        "known_from": Col("Ends"),
        "variance_share": Col("Share of the doubt", "pct0"),
        "as_of": Col("As of", "date"),
    }
    note = (
        "Factors are log-normal and multiply; the last share is that of the variance of the logarithm of the final work a month. The share by day 90 moves when, not how much; of prompts and "
        "answers the wider one counts. A prior stands where no P10 and P90 are stated: a year after launch, forecasts of products new to their company miss by half (Kahn 2002), and each unbounded factor has a third of that variance."
    )
    return table(doubts[[*columns]], caption="How sure each factor is", source="demand_chain table; priors of the package", as_of=ws.as_of,
                 columns=columns, max_rows=20, note=note)  # fmt: skip


def _half_way(band: pd.DataFrame) -> str:
    reached = band[band["p50"] >= band["p50"].iloc[-1] / 2]
    return month_name(reached["month"].iloc[0])


def table_chains(ws: Workspace, inv: Inventory) -> Block:
    """Users x adoption x requests x tokens, every factor in its own column."""
    columns = {
        "use_case_id": Col("Use case"),
        "seats": Col("Seats", "int"),
        "active_share": Col("Active", "pct0"),
        "units_per_seat_month": Col("Units per seat", "sig3"),
        "units_month": Col("Units a month", "sig3"),
        "requests_per_unit": Col("Requests per unit", "sig3"),
        "uncached_input_tokens_per_request": Col("Input tokens, uncached", "sig3"),
        "cached_input_tokens_per_request": Col("Cached", "sig3"),
        "output_tokens_per_request": Col("Output", "sig3"),
        "tokens_m": Col("Tokens a month, M", "sig3"),
        "work_growth_per_month": Col("Work of a unit, growth a month", "pct1"),
        "basis": Col("Basis"),
    }
    note = (
        "Seats x active share x units per active seat = units; units x requests x (uncached + cached + output tokens per request) = tokens. "
        "A dash is not measured and not stated, or does not apply; a demand chain shows what it comes to in the end. Sources of each row are in the table chains of this run."
    )
    shown = inv.chains.assign(tokens_m=inv.chains["tokens_month"] / MEGA)
    return table(shown[[*columns]], caption="Demand taken apart: users, adoption, requests, tokens", source=CHAIN_SOURCE, as_of=ws.as_of,
                 columns=columns, max_rows=20, note=note)  # fmt: skip
