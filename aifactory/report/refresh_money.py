"""Money in the monthly refresh: unit cost, prices, return, scenario, chargeback."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd

from aifactory.finance.options import OPTION_NAMES
from aifactory.inputs.workspace import Workspace
from aifactory.report import charts
from aifactory.report.blocks import (
    Block,
    Col,
    Group,
    figure,
    group,
    missing,
    section,
    table,
)
from aifactory.report.text import as_of_range, join_words, month_name, num, pct, plural, readable, usd_compact
from aifactory.review import Review
from aifactory.review.returns_to_date import LOWEST
from aifactory.review.unit_cost import ROUNDING
from aifactory.review.variance import CAUSES, OTHER

BILL, DEMAND = "billing table", "demand_windows and jobs tables"
NAMED = 3
BAND_NOTE = (
    "Units: of the regions that charges of the use case name. Band: 80 % prediction interval of the straight trend of log cost over the months before; it knows no season of the year, "
    "so capacity that stays leaves it where units peak or fall with the year."
)

#: Beside the table of the return to date, whose cost leaves both out.
WEAR_NOTE = "Planned cost spreads what is paid once over its months of use (wear); the return to date counts outlays apart and leaves wear out."


def beside_plan(rows: pd.DataFrame) -> str:
    """How far the bill is from the approved plan, with the two causes that drive it most; "" without a plan.

    Charges that stand on one side alone are told apart: a plan holds compute, a bill every charge.
    """
    if rows.empty:
        return ""
    causes, other = rows[list(CAUSES)].sum(), float(rows[OTHER].sum())
    moved = float(causes.sum())
    if abs(moved) < 0.5:
        return f" Against the approved plan the work that it holds cost as much as planned; {_apart(other)}."
    most = causes[np.sign(causes) == np.sign(moved)].sort_values(key=abs, ascending=False).head(2)
    named = join_words([f"{usd_compact(abs(usd))} by {readable(name).lower()}" for name, usd in most.items()])
    way = "more" if moved >= 0 else "less"
    return f" Against the approved plan the work that it holds cost {usd_compact(abs(moved))} {way}, most of it {named}; {_apart(other)}."


def _apart(usd: float) -> str:
    return f"charges that one of the two alone has {'add' if usd >= 0 else 'take'} {usd_compact(abs(usd))}{'' if usd >= 0 else ' off'}"


def unit_cost_section(ws: Workspace, review: Review) -> Group:
    """Unit cost over twelve months."""
    question = "Is a unit getting cheaper?"
    frame = review.unit_cost[review.unit_cost["usd_per_unit"].notna()]
    if frame.empty or frame["month"].nunique() < 2:
        return group(
            section(question, "The trend of unit cost could not be computed: fewer than two months of attributed cost.")
        )
    first = frame.sort_values("month").groupby("use_case_id")["usd_per_unit"].transform("first")
    frame = frame.assign(relative=frame["usd_per_unit"] / first)
    last = frame[frame["month"] == ws.period]
    cheaper = int((last["relative"] < 1 - ROUNDING).sum())
    biggest = frame.groupby("use_case_id")["cost"].sum().sort_values(ascending=False).index[:6]
    chart = charts.lines_with_band(
        frame[frame["use_case_id"].isin(biggest)],
        x="month",
        y="relative",
        color="use_case_id",
        fmt="num2",
        titles={"relative": "Cost per unit, first month = 1"},
    )
    begun = frame[frame["use_case_id"].isin(last["use_case_id"])].groupby("use_case_id")["month"].min()
    later = " or, where they began later, in their first month" if (begun > frame["month"].min()).any() else ""
    ago = pd.Period(ws.period, "M").ordinal - pd.Period(frame["month"].min(), "M").ordinal
    answer = f"{cheaper} of {len(last)} use cases cost less per unit than {plural(ago, 'month')} ago{later}; the median is {num(last['relative'].median(), 2)} times the first month."
    bands = review.unit_cost_bands
    if len(bands):
        out = bands[~bands["inside_band"]]
        above = int((out["usd_per_unit"] > out["expected"]).sum())
        answer += f" Of {len(bands)} with a trend {len(bands) - len(out)} lie inside its 80 % band, {above} above and {len(out) - above} below."
        last = last.merge(
            bands[["use_case_id", "expected", "low80", "high80", "trend_per_month", "inside_band"]],
            on="use_case_id",
            how="left",
        )
    columns = {
        "use_case_id": Col("Use case"),
        "units": Col("Units", "sig3"),
        "cost": Col("Attributed cost, USD", "usd0"),
        "usd_per_unit": Col("USD per unit", "sig3"),
        "relative": Col("First month = 1", "num2"),
    }
    if len(bands):
        columns |= {
            "trend_per_month": Col("Trend a month", "pct1"),
            "low80": Col("Band from", "sig3"),
            "high80": Col("to", "sig3"),
            "inside_band": Col("Inside", "bool"),
        }
    return group(
        section(question, answer),
        figure(chart, title=f"Unit cost: the median use case is at {num(last['relative'].median(), 2)} times its first month", description="Lines of cost per unit by month of the six dearest use cases, relative to their first month.",
               caption="Attributed cost of accelerators and hosted models over delivered units, the six dearest use cases.", source=f"{BILL}; {DEMAND}", as_of=ws.as_of),
        table(last, caption=f"Unit cost in {month_name(ws.period)}", source=f"{BILL}; {DEMAND}", as_of=ws.as_of, columns=columns,
              note=BAND_NOTE if len(bands) else ""),
    )  # fmt: skip


def price_section(ws: Workspace, review: Review) -> Group:
    """How old the prices are."""
    rows = review.price_watch
    stale = rows[rows["stale"]]
    answer = (
        f"{len(stale)} of {plural(len(rows), 'price')} in use are older than their limit; the oldest is from {as_of_range([rows['as_of'].min()])}."
        if len(rows)
        else "No prices are in use."
    )
    moved = review.figures_changed[review.figures_changed["what"] == "price"]
    if len(moved):
        both = moved[moved["before"].notna() & moved["now"].notna()]
        down, up = int((both["change"] < 0).sum()), int((both["change"] > 0).sum())
        answer += (
            f" Since last month {down} fell, {up} rose and {len(moved) - len(both)} are new or gone{_furthest(both)}."
        )
    columns = {
        "accelerator_id": Col("Accelerator"),
        "purchase_option": Col("Terms"),
        "provider": Col("Provider"),
        "usd_per_accelerator_hour": Col("USD / h", "usd_hour"),
        "usd_per_accelerator": Col("USD each", "usd0"),
        "as_of": Col("As of", "date"),
        "age_days": Col("Age, days", "int"),
        "limit_days": Col("Limit, days", "int"),
        "stale": Col("Stale", "bool"),
    }
    return group(
        section("Are the prices still true?", answer),
        table(
            rows.assign(purchase_option=rows["purchase_option"].map(OPTION_NAMES).fillna(rows["purchase_option"])),
            caption="Prices in use: those past their limit first, the oldest first of each",
            source="prices table",
            as_of=as_of_range(rows["as_of"]),
            columns=columns,
            max_rows=15,
        ),
    )


def _furthest(moved: pd.DataFrame) -> str:
    """The prices that moved most, in words."""
    far = moved[moved["change"] != 0].sort_values("change", key=abs, ascending=False, kind="stable").head(NAMED)
    named = [f"{row.subject.replace('_', ' ')} by {pct(row.change, 1)}" for row in far.itertuples()]
    return f"; furthest {'; '.join(named)}" if named else ""


def roi_section(ws: Workspace, review: Review) -> Group:
    """Value and bill to date."""
    question = "Has it paid so far?"
    rows = review.roi_to_date
    if rows.empty or not (rows["value_usd"].notna() & rows["bill_usd"].notna()).any():
        return group(section(question, "Return to date could not be computed: value per unit or the bill is missing."))
    both = rows[rows["value_usd"].notna() & rows["bill_usd"].notna()]
    since = month_name(both["month"].iloc[0])
    answer = f"Since {since} delivered units{' of the use cases in the plan' if 'planned_cost_usd' in rows else ''} were worth {usd_compact(both['value_usd'].sum())} against bills of {usd_compact(both['bill_usd'].sum())}: {usd_compact(rows['cumulative_net_usd'].iloc[-1])} net, before labour and other costs outside the bill."
    chart = charts.lines_with_band(
        rows,
        x="month",
        y="cumulative_net_usd",
        fmt="usd_compact",
        titles={"cumulative_net_usd": "Value less bill, cumulated, USD"},
    )
    columns = {
        "month": Col("Month", "month"),
        "value_usd": Col("Value, USD", "usd0"),
        "bill_usd": Col("Bill, USD", "usd0"),
        "cumulative_net_usd": Col("Net, cumulated, USD", "usd0"),
    }
    if "planned_cost_usd" in rows:
        columns |= {
            "planned_value_usd": Col("Planned value, USD", "usd0"),
            "planned_cost_usd": Col("Planned cost with wear, all lines, USD", "usd0"),
        }
    answer += payback_sentence(review.payback)
    return group(section(question, answer), *_payback_table(ws, review), figure(chart, title=f"{usd_compact(rows['cumulative_net_usd'].iloc[-1])} net since {since}", description="Line of value less bill, cumulated by month.",
                 caption=f"Value per unit times attribution times delivered units, less the effective bill{', of the use cases that the plan holds, from the first month in which it does' if 'planned_cost_usd' in rows else ''}.", source=f"{BILL}; {DEMAND}; use_cases table", as_of=ws.as_of),
                 table(rows, caption="Value and bill by month", note=WEAR_NOTE if "planned_cost_usd" in rows else "", source=f"{BILL}; {DEMAND}; use_cases table", as_of=ws.as_of, columns=columns))  # fmt: skip


def payback_sentence(payback: pd.DataFrame) -> str:
    """When the approved plan was to pay back and when it is to as it stands; empty where neither could be computed."""
    if payback.empty:
        return ""
    rows = payback.set_index("figure")
    plan, now = (_pays_back(rows[column]) for column in ("plan", "as_it_stands"))
    return f" In cash before tax, with all cost lines, the plan was to {plan}; as it stands it is to {now}."


def _pays_back(figures: pd.Series) -> str:
    """Completes "it is to"."""
    if np.isnan(figures[LOWEST]):
        return "pay back at a time that is not known"
    if figures[LOWEST] == 0:
        return "be ahead from the first month on"
    month = figures["payback"]
    return f"pay back after {num(month, 1)} months" if np.isfinite(month) else "pay back at no time within the horizon"


def _payback_table(ws: Workspace, review: Review) -> list[Block]:
    if review.payback.empty:
        return []
    columns = {
        "figure": Col("Figure"),
        "plan": Col("Plan", "sig3"),
        "as_it_stands": Col("As it stands", "sig3"),
        "unit": Col("Unit"),
    }
    note = (
        "Cost without what is paid once (outlays) and its wear. To come: planned value and cost times their ratios so far; what "
        "no bill shows, own sites too as far as no charges of theirs cover it, counts as planned, storage and network as far as none is charged; outlays planned and not made are still to come. Before tax; the buy plan's is after it."
    )
    return [table(review.payback, caption="Return to date and updated payback", source=f"{BILL}; {DEMAND}; approved_plan and use_cases tables", as_of=ws.as_of, columns=columns, note=note)]  # fmt: skip


def _paths(ws: Workspace, review: Review) -> tuple[str, list[Block]]:
    """Which path the measured months are on."""
    rows = review.paths
    if rows.empty:
        return "Which path we are on could not be computed: no approved plan with scenarios covers this month. ", []
    likely = rows.loc[rows["updated_probability"].idxmax()]
    first = rows.iloc[0]
    without = f" without {first['without']}, whose work comes in lumps," if first["without"] else ""
    text = f"Demand{without} is at {num(first['actual_index'], 3)} of the expected path of the approved plan, at percentile {num(100 * first['percentile_now'], 0)} of its range this month; the {likely['scenario']} path is now the likeliest, at {pct(likely['updated_probability'], 0)}. "
    columns = {
        "scenario": Col("Path"),
        "planned_index": Col("This month, expected = 1", "num3"),
        "actual_index": Col("Measured", "num3"),
        "prior_probability": Col("Probability at approval", "pct0"),
        "updated_probability": Col("Updated", "pct0"),
    }
    note = "Probability that the end of the horizon lies nearest to the path, given the months since approval and how the plan's own spread grows."
    return text, [table(rows, caption="Paths of the approved plan", source=f"approved_plan table; {DEMAND}", as_of=ws.as_of, columns=columns, note=note)]  # fmt: skip


def scenario_section(ws: Workspace, review: Review) -> Group | Block:
    """The three scenarios, revisited and recomputed with this month's data."""
    question = "Do the scenarios still hold?"
    text, paths = _paths(ws, review)
    rows = review.scenarios
    if "npv_usd" not in rows or rows["npv_usd"].isna().all():
        return group(
            section(question, text + "The return by scenario could not be computed: no buy plan or no value per unit."),
            *paths,
        )
    expected = rows.set_index("scenario").loc["expected"]
    answer = f"{text}With this month's data the expected scenario is worth {usd_compact(expected['npv_usd'])} over the horizon; conservative and aggressive stand beside it."
    columns = {
        "scenario": Col("Scenario"),
        "npv_usd": Col("NPV, USD", "usd_compact"),
        "tco_usd": Col("Cost over the horizon, USD", "usd_compact"),
        "value_usd": Col("Value, USD", "usd_compact"),
        "payback_month": Col("Payback, months", "num1"),
        "payback_status": Col("Payback is"),
    }
    return group(
        section(question, answer),
        *paths,
        table(
            rows,
            caption="Return of the plan, recomputed",
            source="buy plan stage",
            as_of=ws.as_of,
            columns=columns,
            note=f"Of a plan made today: from the month after this one on.{_laid_out(review)}",
        ),
    )


def _laid_out(review: Review) -> str:
    """What was laid out for the approved plan, which a plan made today counts no more; nothing before the first outlay."""
    rows = review.payback.set_index("figure")["as_it_stands"] if len(review.payback) else pd.Series(dtype="float64")
    usd = rows.get("outlays to date", 0.0)
    if not usd > 0:
        return ""
    return f" What is paid is in none of it, such as {usd_compact(usd)} of outlays since approval: the return of the approved plan is the one to date, above."


def chargeback_section(ws: Workspace, review: Review) -> Group | Block:
    """What each team is charged."""
    rows = review.chargeback
    if rows.empty:
        return missing("Chargeback", "no bill with attributed usage")
    top = rows.iloc[0]
    pools = rows["pool_cost"].astype("float64")
    divided = (
        f" {usd_compact(pools.sum())} of pools that the bill charges to nobody follow their measured use."
        if pools.any()
        else ""
    )
    answer = f"Team {top['team']} is charged {usd_compact(top['charge'])}, {pct(top['share'], 0)} of the bill; what is shared follows all other use, and the charges add up to the bill exactly.{divided}{_undivided(review.pools_of_nobody)}"
    if review.charges_missing:
        answer += " The bill of the month may not be whole (see the head of this page): charge nobody before it is, or settle the difference."
    columns = {
        "team": Col("Team"),
        "direct_cost": Col("Direct, USD", "usd2"),
        **({"pool_cost": Col("Pools by use, USD", "usd2")} if pools.any() else {}),
        "shared_cost": Col("Shared, USD", "usd2"),
        "charge": Col("Charge, USD", "usd2"),
        "share": Col("Share", "pct1"),
        "accelerator_hours": Col("Accelerator-hours", "int"),
        "usd_per_accelerator_hour": Col("Rate, USD / h", "usd_hour"),
    }
    note = "Rate: the part of the charge that follows usage counted in accelerator-hours, over these; hosted models and services have none. To the cent: the first team takes what rounding leaves; the table chargeback of the run folder holds every digit."
    return group(
        section("What is each team charged?", answer),
        table(to_the_cent(rows), caption="Chargeback", source=BILL, as_of=ws.as_of, columns=columns, note=note),
    )


#: What a charge is made of.
PARTS = ["direct_cost", "pool_cost", "shared_cost"]


def to_the_cent(rows: pd.DataFrame) -> pd.DataFrame:
    """Charges in whole cents, USD, that add up to the bill as it is shown: the first row takes what rounding leaves, and of a row its largest part.

    >>> charges = pd.DataFrame({"direct_cost": [Decimal("0.504"), Decimal("0.504")], "pool_cost": Decimal(0), "shared_cost": Decimal(0)})
    >>> [str(usd) for usd in to_the_cent(charges.assign(charge=charges["direct_cost"]))["charge"]]
    ['0.51', '0.50']
    """
    charges = [round(Decimal(amount), 2) for amount in rows["charge"]]
    charges[0] += round(sum(map(Decimal, rows["charge"])), 2) - sum(charges)
    parts = []
    for row, charge in zip(rows[PARTS].itertuples(index=False), charges, strict=True):
        cents = [round(Decimal(amount), 2) for amount in row]
        cents[max(range(len(cents)), key=lambda at: abs(cents[at]))] += charge - sum(cents)
        parts.append(cents)
    return rows.assign(charge=charges, **dict(zip(PARTS, map(list, zip(*parts, strict=True)), strict=True)))


def _undivided(pools: pd.Series) -> str:
    """Pools without a team on the bill whose use is not known, and are shared like tax."""
    if not pools.sum() > 0:
        return ""
    words = [f"{name} ({usd_compact(amount)})" for name, amount in pools.head(3).items()]
    words += [f"{len(pools) - 3} more"] if len(pools) > 3 else []
    return f" Nothing tells who uses {join_words(words)}: it is in what is shared; tag the charges."
