"""Page of stage 4: the return as a distribution, what drives it, and what knowing more is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from aifactory.buyplan import BuyPlan
from aifactory.buyplan.caveats import OFFER
from aifactory.buyplan.governance import TEST_FIRST, signed_now
from aifactory.buyplan.returns import ALL_SPOT, HOSTED, ON_DEMAND, Returns, quick_returns
from aifactory.finance.price_age import PriceAge, price_age
from aifactory.inputs.plan import Plan
from aifactory.inputs.workspace import Workspace
from aifactory.report import charts
from aifactory.report.blocks import Block, Col, Figure, Group, figure, group, missing, section, table
from aifactory.report.buy_plan_guard import nothing_planned
from aifactory.report.buy_plan_ways import hours_are_rented, told_ways
from aifactory.report.text import join_words, month_name, num, pct, readable, usd_compact
from aifactory.shortlist.knowledge import worthwhile

DRAWN = "computed: correlated draws of the ranges in plan.yaml, demand simulation and benchmarks"
QUESTION = "How likely is a loss, and what would knowing more be worth?"
FROZEN_ROWS = 6
NO_HOURS = "Holding just the fleet that the expected demand needs, with no hours to rent,"
NOT_DRAWN = "Not computed: no use case in the plan states a value per unit and its attribution."


def used_prices(plan: BuyPlan, freshness_days: dict[str, int], as_of: str) -> PriceAge:
    """Age of the prices that the bands of the plan are paid at."""
    if plan.bands.empty or plan.options.empty:
        return price_age(pd.DataFrame(), freshness_days, as_of)
    used = plan.bands[OFFER].merge(plan.options, on=OFFER, how="inner").drop_duplicates(OFFER, ignore_index=True)
    return price_age(used, freshness_days, as_of)


def returns_section(
    ws: Workspace, plan: BuyPlan, returns: Returns | None, knowledge: pd.DataFrame | None = None
) -> Group | Block:
    """Chance of loss, drivers, worth of knowledge; table of the options.

    `knowledge` is the worth of benchmarks over the choice of platform, from the shortlist.
    """
    platform = platform_sentence(knowledge) + (due_before(plan, knowledge) if plan is not None else "")
    if returns is None:
        why = NOT_DRAWN if plan is None or len(plan.need) else nothing_planned(plan)
        return section(QUESTION, f"{why} {platform}".strip())
    mine, drivers = returns.options.iloc[0], returns.drivers
    knowledge = returns.knowledge.dropna(subset=["net_usd"])
    first = knowledge.sort_values(["net_usd" if (knowledge["net_usd"] > 0).any() else "worth_usd"]).iloc[-1]
    what = first["knowledge"][:1].lower() + first["knowledge"][1:]
    if first["net_usd"] > 0:
        advice = f"it pays to {what}: that is worth {usd_compact(first['net_usd'])} more than the wait costs"
    elif first["worth_usd"] > 0:
        advice = f"no wait pays: to {what} is worth {usd_compact(first['worth_usd'])} and costs {usd_compact(first['wait_usd'])}"
    else:
        advice = "no wait pays: what it tells would not change the way to pay"
    top = join_words([f"{pct(min(row.total, 1.0))} to {row.group}" for row in drivers.head(2).itertuples()])
    text = (
        f"This plan loses money in {pct(mine['loss_probability'], 1)} of {returns.draws:,} draws; its NPV is "
        f"{usd_compact(mine['npv_p10_usd'])} to {usd_compact(mine['npv_p90_usd'])} (P10 to P90) and is the highest of "
        f"all ways to pay in {pct(mine['best_probability'])}. {told_rival(ws, plan, returns)} The variance of this plan is due {top} (parts overlap). "
        f"On these options {advice}. {platform}"
    ).strip()
    text = " ".join(text.split()) + _test_beside(plan)
    return group(
        section(QUESTION, text),
        _options_table(ws, plan, returns),
        _frozen_table(ws, returns),
        _knowledge_table(ws, returns),
    )


def _test_beside(plan: BuyPlan | None) -> str:
    """That the test of hosted models which the decision begins with is in none of these worths; "" without one.

    Hosted models are one of these ways for all calls of a use case alone, the test is of those hours in which they cost less.
    """
    tests = plan is not None and plan.decision.startswith(TEST_FIRST)
    return (
        " The test of hosted models that the decision begins with is in none of these worths: it sends the hours there in which they cost less, the way to pay all hours of a use case."
        if tests
        else ""
    )


def told_rival(ws: Workspace, plan: BuyPlan, returns: Returns, *, hosted: bool = True) -> str:
    """`rival_sentence` with what the plan knows of spot and rented hours."""
    return rival_sentence(
        returns,
        hosted=hosted,
        broken=broken_by_spot(ws, plan, returns),
        rented=hours_are_rented(plan),
        limits=stated_limits(plan.examined.chosen.case.plan if plan.examined else ws.plan),
    )


def stated_limits(plan: Plan) -> list[str]:
    """What the orders of the plan are held to and other ways to pay are not, in words."""
    stated = {
        "capital": plan.budget.capex_usd_per_year is not None,
        "payments of a month": plan.budget.opex_usd_per_month is not None and plan.budget.opex_limits_orders,
        "power": any(region.power_limit_kw is not None for region in plan.regions),
        "space": any(region.space_limit_servers is not None for region in plan.regions),
        "the share of a vendor": plan.vendor_share_most < 1,
    }
    return [name for name, limited in stated.items() if limited]


def broken_by_spot(ws: Workspace, plan: BuyPlan, returns: Returns) -> list[str]:
    """Use cases of the plan that may fail less often than spot takes their hours away, where spot is offered and a way to pay."""
    if ALL_SPOT not in returns.options["option"].tolist():
        return []
    offered = plan.options[plan.options["purchase_option"] == "spot"][["region", "accelerator_id"]]
    cases = ws.table("use_cases").set_index("use_case_id").loc[sorted(set(plan.sizes.merge(offered)["use_case_id"]))]
    live = (cases["request_pattern"] != "batch") & (cases["service_unit"] != "accelerator_hour")
    return list(cases.index[live & (cases["slo_max_failure_rate"] < ws.plan.value("spot_interruption_share"))])


def rival_sentence(
    returns: Returns,
    *,
    hosted: bool = True,
    broken: Sequence[str] = (),
    rented: bool = True,
    limits: Sequence[str] = (),
) -> str:
    """Which other way to pay earns more on average over the draws, if one does; without `hosted` among accelerators.

    broken : use cases whose limit of failures spot would break (`broken_by_spot`).
    rented : whether hours can be rented (`hours_are_rented`): if not, what commits to nothing still buys the fleet that the expected demand needs.
    limits : what only the orders of the plan are held to (`stated_limits`).
    """
    mine, others = returns.options.iloc[0], returns.options.iloc[1:]
    others = others if hosted else others[others["option"] != HOSTED]
    if others.empty:
        return ""
    rival = others.loc[others["npv_mean_usd"].idxmax()]
    if rival["npv_mean_usd"] <= mine["npv_mean_usd"]:
        return ""
    worst = rival["cost_cvar90_usd"] - mine["cost_cvar90_usd"]
    limit = (
        f" Its interruptions break the limit of failures of {join_words(broken)}: it is no choice for these."
        if broken and rival["option"] == ALL_SPOT
        else ""
    )
    if limits and rival["option"] not in (ALL_SPOT, ON_DEMAND, HOSTED):
        limit += f" It is not held to the limits of {join_words(limits)} that the plan keeps."
    name = rival["option"] if rented or rival["option"] != ON_DEMAND else NO_HOURS
    return (
        f"{name} earns {usd_compact(rival['npv_mean_usd'] - mine['npv_mean_usd'])} more on average and is "
        f"the highest in {pct(rival['best_probability'])}; in the worst tenth it costs {usd_compact(abs(worst))} "
        f"{'more' if worst > 0 else 'less'}.{limit}"
    )


def _driver(factor: str) -> str:
    """A driver in words: of demand the use case and region as they are written."""
    return f"demand of {factor.removeprefix('level:')}" if factor.startswith("level:") else readable(factor)


def _frozen_table(ws: Workspace, returns: Returns) -> Block:
    """What moves the NPV once the orders are signed: no order is chosen anew, unlike in the tornado below."""
    columns = {
        "factor": Col("With the orders as they are"),
        "low": Col("P10", "num2"),
        "high": Col("P90", "num2"),
        "npv_low_usd": Col("NPV at P10, USD", "usd0"),
        "npv_high_usd": Col("NPV at P90, USD", "usd0"),
        "switching_value": Col("NPV is zero at", "num2"),
    }
    frame = returns.frozen[returns.frozen["swing_usd"] > 0].head(FROZEN_ROWS)
    frame = frame.assign(factor=frame["factor"].map(_driver))
    note = "Multiples of the expected value, one at a time; orders are not chosen anew, so this is the exposure after signing."
    caption = "What moves the NPV after signing"
    return table(frame, caption=caption, source=DRAWN, as_of=ws.as_of, columns=columns, note=note)


def platform_sentence(knowledge: pd.DataFrame | None) -> str:
    """What a benchmark is worth over the choice of platform, in a sentence; empty where nothing is known of it.

    Benchmarks of one use case each add up over use cases; several of one use case do not, so the best
    one counts.
    """
    if knowledge is None or knowledge.empty:
        return ""
    best = worthwhile(knowledge)
    if best.empty:
        return "Over the choice of platform no benchmark is worth more than it costs."
    first = best.iloc[0]
    whole = f", {usd_compact(best['net_usd'].sum())} over {len(best)} use cases" if len(best) > 1 else ""
    return (
        f"Over the choice of platform a benchmark of {first['accelerator_id']} for {first['use_case_id']} is worth up to "
        f"{usd_compact(first['net_usd'])} more than its cost of {usd_compact(first['cost_usd'])}{whole}."
    )


def due_before(plan: BuyPlan, knowledge: pd.DataFrame | None) -> str:
    """Firm orders for the use case of the most worthwhile benchmark alone, which may change their platform; "" without such."""
    best = worthwhile(knowledge) if knowledge is not None and len(knowledge) else pd.DataFrame()
    if best.empty or "serves" not in plan.orders:
        return ""
    name, firm = best.iloc[0]["use_case_id"], signed_now(plan.orders)
    mine = firm[firm["serves"].astype(str) == f"{name} 100 %"]
    if mine.empty:
        return ""
    usd, month = mine["commitment_usd"].sum(), month_name(mine["order_month"].min())
    return f" Firm orders of {usd_compact(usd)} from {month} on are for {name} alone: run it before they are signed."


def _options_table(ws: Workspace, plan: BuyPlan, returns: Returns) -> Block:
    frame = returns.options.merge(returns.break_even, on="option")
    rented = hours_are_rented(plan)
    frame = frame.assign(option=told_ways(frame["option"], rented=rented))
    columns = {
        "option": Col("Way to pay"),
        "npv_base_usd": Col("NPV expected, USD", "usd0"),
        "npv_mean_usd": Col("Mean of draws", "usd0"),
        "npv_p10_usd": Col("NPV P10", "usd0"),
        "npv_p90_usd": Col("NPV P90", "usd0"),
        "loss_probability": Col("Chance of loss", "pct1"),
        "best_probability": Col("Best in", "pct0"),
        "payback_24_probability": Col("Back in 24 months", "pct0"),
        "cost_cvar90_usd": Col("Cost, worst tenth", "usd0"),
        "against_on_demand_levels": Col("= on demand" if rented else "= expected fleet"),
        "against_hosted_levels": Col("= hosted"),
        "npv_zero_levels": Col("NPV zero"),
    }
    note = (
        f"Orders stay as planned; load beyond the capacity held {'is rented by the hour' if rented else 'costs what a held hour does, since none are rented'}. The last three columns are "
        "the multiples of the expected demand at which it begins or ceases to cost less, or to earn, all of them. Payback counts from approval; never within the horizon counts as not."
    )
    caption = "Return of the ways to pay for the same demand"
    return table(frame, caption=caption, source=DRAWN, as_of=ws.as_of, columns=columns, note=note)


def _knowledge_table(ws: Workspace, returns: Returns) -> Block:
    columns = {
        "knowledge": Col("Before signing"),
        "worth_usd": Col("Worth, USD", "usd0"),
        "months": Col("Months", "int"),
        "wait_usd": Col("Renting meanwhile, USD", "usd0"),
        "net_usd": Col("Net, USD", "usd0"),
    }
    note = (
        "Worth: how much better the choice of a way to pay gets; the choice of platform is in the sentence above. Renting meanwhile: what the wait takes of it; "
        "this plan loses what its NPV falls by if first orders come so much later, another way its share of the months in what it earns over renting all hours."
    )
    caption = "Value of information"
    return table(returns.knowledge, caption=caption, source=DRAWN, as_of=ws.as_of, columns=columns, note=note)


def chart_returns(ws: Workspace, plan: BuyPlan, returns: Returns | None) -> Figure | Block:
    """NPV of every option, P10 to P90."""
    if returns is None:
        return missing("The distribution of the return", "no value per unit is stated")
    frame = returns.options.sort_values("npv_p50_usd", ascending=False)
    frame = frame.assign(option=told_ways(frame["option"], rented=hours_are_rented(plan)))
    best = frame.iloc[0]
    return figure(
        charts.dots_with_range(
            frame, category="option", value="npv_p50_usd", low="npv_p10_usd", high="npv_p90_usd", fmt="usd_compact",
            titles={"npv_p50_usd": "NPV, USD", "npv_p10_usd": "P10", "npv_p90_usd": "P90"},
        ),
        title=f"{best['option']}: {usd_compact(best['npv_p50_usd'])} in the middle, the highest",
        description="NPV of each way to pay, P10, P50, P90: "
        + ", ".join(
            f"{row.option} {usd_compact(row.npv_p10_usd)}, {usd_compact(row.npv_p50_usd)}, {usd_compact(row.npv_p90_usd)}"
            for row in frame.itertuples()
        ),
        caption=f"{returns.draws:,} draws, the same for every option; ranges are P10 to P90.",
        source=DRAWN,
        as_of=ws.as_of,
    )  # fmt: skip


def what_if(ws: Workspace, plan: BuyPlan) -> Callable[..., Block]:
    """Return the table of the options for a cost of capital, price of rented hours and share of demand."""
    base = ws.plan.value("wacc")

    def shown(wacc: float = base, price: float = 1.0, utilization: float = 1.0) -> Block:
        if plan.returns is None:
            return section("What if?", NOT_DRAWN)
        frame = quick_returns(plan.returns, wacc=wacc, price=price, utilization=utilization)
        columns = {
            "option": Col("Way to pay"),
            "npv_usd": Col("NPV, USD", "usd0"),
            "pv_cost_usd": Col("Present value of cost, USD", "usd0"),
            "usd_per_useful_hour": Col("USD per useful hour", "usd_hour"),
        }
        rented = hours_are_rented(plan)
        hours = f"rented hours at {num(price)} times their price" if rented else "no hours to rent"
        caption = (
            f"Ways to pay at a cost of capital of {pct(wacc, 1)}, {hours}, {pct(utilization)} of the expected demand"
        )
        frame = frame.sort_values("npv_usd", ascending=False, ignore_index=True)
        frame = frame.assign(option=told_ways(frame["option"], rented=rented))
        return table(frame, caption=caption, source="computed from the plan", as_of=ws.as_of, columns=columns)

    return shown


def tables(returns: Returns | None) -> dict[str, pd.DataFrame]:
    """Tables of the distribution for the record."""
    if returns is None:
        return {}
    names = {"options": "returns", "drivers": "return_drivers", "knowledge": "value_of_information"}
    names |= {"break_even": "break_even_volume", "factors": "return_factors", "frozen": "tornado_frozen"}
    return {name: getattr(returns, field) for field, name in names.items()}
