"""Money in the monthly refresh: unit cost, prices, return, scenario, chargeback."""

from __future__ import annotations

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
from aifactory.report.text import as_of_range, month_name, num, pct, plural, usd_compact
from aifactory.review import Review

BILL, DEMAND = "billing table", "demand_windows and jobs tables"


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
    cheaper = int((last["relative"] < 1).sum())
    biggest = frame.groupby("use_case_id")["cost"].sum().sort_values(ascending=False).index[:6]
    chart = charts.lines_with_band(
        frame[frame["use_case_id"].isin(biggest)],
        x="month",
        y="relative",
        color="use_case_id",
        fmt="num2",
        titles={"relative": "Cost per unit, first month = 1"},
    )
    answer = f"{cheaper} of {len(last)} use cases cost less per unit than {plural(frame['month'].nunique() - 1, 'month')} ago; the median is {num(last['relative'].median(), 2)} times the first month."
    columns = {
        "use_case_id": Col("Use case"),
        "units": Col("Units", "sig3"),
        "cost": Col("Attributed cost, USD", "usd0"),
        "usd_per_unit": Col("USD per unit", "sig3"),
        "relative": Col("First month = 1", "num2"),
    }
    return group(
        section(question, answer),
        figure(chart, title=f"Unit cost: the median use case is at {num(last['relative'].median(), 2)} times its first month", description="Lines of cost per unit by month of the six dearest use cases, relative to their first month.",
               caption="Attributed accelerator cost over delivered units, the six dearest use cases.", source=f"{BILL}; {DEMAND}", as_of=ws.as_of),
        table(last, caption=f"Unit cost in {month_name(ws.period)}", source=f"{BILL}; {DEMAND}", as_of=ws.as_of, columns=columns),
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
    columns = {
        "accelerator_id": Col("Accelerator"),
        "purchase_option": Col("Terms"),
        "provider": Col("Provider"),
        "usd_per_accelerator_hour": Col("USD / h", "usd2"),
        "usd_per_accelerator": Col("USD each", "usd0"),
        "as_of": Col("As of", "date"),
        "age_days": Col("Age, days", "int"),
        "limit_days": Col("Limit, days", "int"),
        "stale": Col("Stale", "bool"),
    }
    return group(
        section("Are the prices still true?", answer),
        table(
            rows,
            caption="Prices in use, oldest first",
            source="prices table",
            as_of=as_of_range(rows["as_of"]),
            columns=columns,
            max_rows=15,
        ),
    )


def roi_section(ws: Workspace, review: Review) -> Group:
    """Value and bill to date."""
    question = "Has it paid so far?"
    rows = review.roi_to_date
    if rows.empty or rows["value_usd"].isna().all() or rows["bill_usd"].isna().all():
        return group(section(question, "Return to date could not be computed: value per unit or the bill is missing."))
    since = month_name(rows["month"].iloc[0])
    answer = f"Since {since} delivered units were worth {usd_compact(rows['value_usd'].sum())} against bills of {usd_compact(rows['bill_usd'].sum())}: {usd_compact(rows['cumulative_net_usd'].iloc[-1])} net, before labour and other costs outside the bill."
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
            "planned_cost_usd": Col("Planned cost, all lines, USD", "usd0"),
        }
    return group(section(question, answer), figure(chart, title=f"{usd_compact(rows['cumulative_net_usd'].iloc[-1])} net since {since}", description="Line of value less bill, cumulated by month.",
                 caption="Value per unit times attribution times delivered units, less the effective bill.", source=f"{BILL}; {DEMAND}; use_cases table", as_of=ws.as_of),
                 table(rows, caption="Value and bill by month", source=f"{BILL}; {DEMAND}; use_cases table", as_of=ws.as_of, columns=columns))  # fmt: skip


def scenario_section(ws: Workspace, review: Review) -> Group | Block:
    """The three scenarios, recomputed with this month's data."""
    question = "Do the scenarios still hold?"
    rows = review.scenarios
    if "npv_usd" not in rows or rows["npv_usd"].isna().all():
        return group(
            section(question, "The return by scenario could not be computed: no buy plan or no value per unit.")
        )
    expected = rows.set_index("scenario").loc["expected"]
    answer = f"With this month's data the expected scenario is worth {usd_compact(expected['npv_usd'])} over the horizon; conservative and aggressive stand beside it."
    columns = {
        "scenario": Col("Scenario"),
        "npv_usd": Col("NPV, USD", "usd_compact"),
        "tco_usd": Col("Cost over the horizon, USD", "usd_compact"),
        "value_usd": Col("Value, USD", "usd_compact"),
        "payback_month": Col("Payback, months", "num1"),
    }
    return group(
        section(question, answer),
        table(rows, caption="Return of the plan, recomputed", source="buy plan stage", as_of=ws.as_of, columns=columns),
    )


def chargeback_section(ws: Workspace, review: Review) -> Group | Block:
    """What each team is charged."""
    rows = review.chargeback
    if rows.empty:
        return missing("Chargeback", "no bill with attributed usage")
    top = rows.iloc[0]
    answer = f"Team {top['team']} is charged {usd_compact(top['charge'])}, {pct(top['share'], 0)} of the bill; shared cost follows direct use, and the charges add up to the bill exactly."
    columns = {
        "team": Col("Team"),
        "direct_cost": Col("Direct, USD", "usd2"),
        "shared_cost": Col("Shared, USD", "usd2"),
        "charge": Col("Charge, USD", "usd2"),
        "share": Col("Share", "pct1"),
    }
    return group(
        section("What is each team charged?", answer),
        table(rows, caption="Chargeback", source=BILL, as_of=ws.as_of, columns=columns),
    )
