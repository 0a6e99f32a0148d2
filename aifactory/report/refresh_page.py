"""Page of stage 5: are we on plan, and do we pull a trigger."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.workspace import Workspace
from aifactory.report import charts
from aifactory.report.blocks import (
    Block,
    Col,
    Figure,
    Group,
    Kpi,
    bullets,
    figure,
    group,
    head,
    section,
    table,
)
from aifactory.report.inventory_page import input_warnings, price_warnings, status_of
from aifactory.report.refresh_log import (
    accuracy_section,
    decisions_section,
    drift_section,
    hardware_section,
    to_do,
    waiting_for_test,
)
from aifactory.report.refresh_money import (
    beside_plan,
    chargeback_section,
    price_section,
    roi_section,
    scenario_section,
    unit_cost_section,
)
from aifactory.report.refresh_triggers import contradictions, moves_outstanding, trigger_section
from aifactory.report.results import recall
from aifactory.report.text import (
    a_day,
    apart_in_unit,
    in_unit,
    join_words,
    num,
    pct,
    plural,
    readable,
    usd,
    usd_compact,
)
from aifactory.review import Review
from aifactory.review.build import COST, COST_NOW
from aifactory.review.exchange import exchange_effects
from aifactory.review.guardrails import BREACH, FLOOR
from aifactory.review.monthly import previous_month
from aifactory.review.order_log import KIND
from aifactory.review.variance import CAUSES, OTHER

__all__ = [
    "accuracy_section",
    "chargeback_section",
    "decisions_section",
    "drift_section",
    "guardrail_section",
    "hardware_section",
    "headline",
    "kpi_section",
    "last_told",
    "price_section",
    "refresh_head",
    "roi_section",
    "scenario_section",
    "tables",
    "trigger_section",
    "unit_cost_section",
    "variance_section",
]

ALL_CAUSES = [*CAUSES, OTHER]
NEAR, FAR = 0.05, 0.20  # off the plan, share of it
HALF_A_DOLLAR, HALF_A_CENT = 0.5, 0.005  # less is shown as nothing
USE, WORK_AND_USE = "volume and utilisation", "volume, work per unit and utilisation"
OWN_DAYS = "Planned units and value are those of the month's own working days, where demand has a proven week."
WORDS = {OTHER: "charges that no use case explains", "utilization": "utilisation"}
BILL, DEMAND, POOLS = "billing table", "demand_windows and jobs tables", "pools table"


def refresh_head(ws: Workspace, review: Review) -> Group:
    """First screen."""
    return head(
        stage="monthly refresh",
        question="Are we on plan this month, and do we pull a trigger?",
        period=ws.period,
        as_of=ws.as_of,
        status=status_of(ws),
        finding=finding(review) + exchange_sentence(ws),
        kpis=_kpis(review),
        chart=chart_variance(ws, review) if len(review.variance) else None,
        deciders=[
            ("Head of platform", "orders of a fired trigger; pools below the floor"),
            ("Chief financial officer", "release of the next band"),
            ("Cloud cost owner", "stale prices, untagged spend"),
        ],
        warnings=[
            *review.partial,
            *contradictions(review),
            *moves_outstanding(review),
            *input_warnings(ws),
            *price_warnings(ws),
        ],
    )


def finding(review: Review) -> str:
    """The month in a sentence or two."""
    status = {"on plan": "On plan", "watch": "Watch", "act": "Act"}[review.status]
    text = f"{status}: {review.reason}.{_broken(review)}"
    if len(review.variance):
        text += f" {_bill_moved(review)}{_a_day(review)}"
    text += _off_plan(review) + _order_book(review)
    released = review.band_triggers[review.band_triggers["state"] == "fired"] if len(review.band_triggers) else ()
    return text + (to_do(review) + waiting_for_test(review) if len(released) else "")


def _broken(review: Review) -> str:
    """Guardrails that are broken, with whom they concern; pools below the utilisation floor are counted already."""
    rows = review.guardrails
    rows = rows[(rows["state"] == BREACH) & (rows["guardrail"] != FLOOR)] if len(rows) else rows
    if rows.empty:
        return ""
    subjects = rows.groupby("guardrail", sort=False)["subject"].agg(lambda names: " and ".join(list(names)[:2]) + (" and more" if len(names) > 2 else ""))  # fmt: skip
    return f" Broken: {'; '.join(name if whom == 'bill' else f'{name} of {whom}' for name, whom in subjects.items())}."


def _bill_moved(review: Review) -> str:
    """The difference of the two bills with what made it; both of the largest causes unless one made more than half of it and no more than all."""
    moved = review.variance["difference_usd"].sum()
    if review.variance["difference_usd"].abs().max() < HALF_A_DOLLAR:
        return "Neither the bill nor the part of any use case moved against last month."
    parts, names = _as_told(review.variance)
    causes = parts[names].sum().sort_values(key=abs, ascending=False)
    words = [_by_whom(parts, name) for name in causes.index[:2]]
    most = abs(moved) / 2 < abs(causes.iloc[0]) <= abs(moved)
    if most or abs(causes.iloc[1]) < HALF_A_CENT:
        return f"The bill moved by {usd_compact(moved)} against last month, most of it by {words[0]}."
    return f"The bill moved by {usd_compact(moved)} against last month: {usd_compact(causes.iloc[0])} by {words[0]} and {usd_compact(causes.iloc[1])} by {words[1]}."


def _a_day(review: Review) -> str:
    """What a day of the two bills cost, in a sentence: a longer month costs more at the same pace."""
    sums = review.variance.get(["actual_usd", "base_usd"])
    told = "" if sums is None else a_day(*sums.sum(), review.period)
    month = pd.Period(review.period, "M")
    days = f"{month.days_in_month} days after {(month - 1).days_in_month}"
    return f" Over {days} the bill is {told}." if told else ""


def _as_told(variance: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The variance and its causes to rank: volume and utilisation as one where they cancel each other and another cause moved more.

    What stands is paid whether it works or not, so that more work on it is volume up and utilisation down, and no money. Where the use case with
    most of the efficiency keeps less than half of it in its own bill, the three are one: nobody is named for what cancels in it.
    """
    sums = variance[ALL_CAUSES].sum()
    top = variance.loc[variance["efficiency"].abs().idxmax()]
    named = sums.drop("utilization").abs().nlargest(2).index  # a cause of little money names nobody
    if (
        "efficiency" in named
        and top["efficiency"] * top["utilization"] < 0
        and abs(top["difference_usd"]) < abs(top["efficiency"]) / 2
    ):
        net = variance[["volume", "efficiency", "utilization"]].sum(axis=1)
        return variance.assign(**{WORK_AND_USE: net}), [WORK_AND_USE, "mix", "price", OTHER]
    both, rest = [sums["volume"], sums["utilization"]], sums.drop(["volume", "utilization"])
    if np.prod(both) >= 0 or rest.abs().max() <= abs(sum(both)):
        return variance, ALL_CAUSES
    return variance.assign(**{USE: variance["volume"] + variance["utilization"]}), [*rest.index, USE]


def _by_whom(rows: pd.DataFrame, cause: str) -> str:
    """A cause, and the use case that moved most in its direction, where that is more than half of it.

    >>> _by_whom(pd.DataFrame({"use_case_id": ["chat", "faq"], "price": [900.0, 100.0]}), "price")
    'price (chat)'
    """
    word, parts = WORDS.get(cause, cause), rows.set_index("use_case_id")[cause]
    parts = parts * np.sign(parts.sum())
    return f"{word} ({parts.idxmax()})" if cause != OTHER and parts.max() > parts.sum() / 2 else word


def _off_plan(review: Review) -> str:
    """Cost of accelerator-hours against the plan, and the use cases whose demand left the plan's band, furthest first."""
    if review.plan_variance.empty:
        return ""
    kpis = review.kpis.set_index("kpi")
    kpi, less = (kpis.loc[COST_NOW], " without depreciation of kit paid for before the plan") if COST_NOW in kpis.index else (kpis.loc[COST], "")  # fmt: skip
    text = f" Accelerator-hours cost {usd_compact(kpi['actual'])}{less}, planned were {usd_compact(kpi['plan'])}." if np.isfinite(kpi["plan"]) else ""  # fmt: skip
    rows = review.forecast_accuracy
    rows = rows[(rows["month"] == review.period) & ~rows["inside_band"].astype(bool) & (rows["forecast"] > 0)]
    over = (rows["actual"] / rows["forecast"] - 1).set_axis(rows["use_case_id"]).sort_values(key=abs, ascending=False)
    named = [f"{name} {pct(abs(share), 0)} {'above' if share > 0 else 'below'}" for name, share in over.head(3).items()]
    rest = [plural(len(over) - 3, "more use case")] if len(over) > 3 else []
    return f"{text} Demand outside the band of the plan: {join_words([*named, *rest])}." if named else text


def _order_book(review: Review) -> str:
    """What the order book says of the month, the first two entries."""
    rows = review.changes[review.changes["kind"] == KIND] if len(review.changes) else review.changes
    named = [f"{row.subject} {row.text}" for row in rows.head(2).itertuples()]
    rest = [f"{len(rows) - 2} more in the change log"] if len(rows) > 2 else []
    return f" Order book: {'; '.join([*named, *rest])}." if named else ""


def _kpis(review: Review) -> list[Kpi]:
    shown = {"USD": usd_compact, "fraction": lambda value: pct(value, 0), "h": lambda value: num(value, 0)}
    kpis = []
    for row in review.kpis.itertuples(index=False):
        if not np.isfinite(row.actual):
            continue
        write = shown[row.unit]
        compared = [f"plan {write(row.plan)}"] if np.isfinite(row.plan) else []
        compared += [f"last month {write(row.last_month)}"] if np.isfinite(row.last_month) else []
        compared += list(filter(None, [a_day(row.actual, row.last_month, review.period)])) if row.kpi == "bill" else []
        kpis.append(Kpi(row.kpi[:1].upper() + row.kpi[1:], write(row.actual), ", ".join(compared), status=_state(row)))
    return kpis[:6]


def _state(kpi: object) -> str:
    """How money stands against the plan: cost above it or value below it by more than `NEAR` is to watch, by more than `FAR` to act on."""
    if kpi.unit != "USD" or not kpi.plan > 0:
        return ""
    worse = kpi.actual / kpi.plan - 1 if kpi.kpi in (COST, COST_NOW) else 1 - kpi.actual / kpi.plan
    return "good" if worse <= NEAR else "watch" if worse <= FAR else "bad"


def kpi_section(ws: Workspace, review: Review) -> Group:
    """Actual against plan and last month."""
    rows = review.kpis.assign(shown=review.kpis["kpi"])
    columns = {
        "shown": Col("Figure"),
        "actual": Col("Actual", "figure"),
        "plan": Col("Plan", "figure"),
        "last_month": Col("Last month", "figure"),
    }
    for name in ("actual", "plan", "last_month"):
        rows[name] = [in_unit(value, unit) for value, unit in zip(rows[name], rows["unit"], strict=True)]
    answer = f"Compared with {review.basis}."
    parts: list[Block] = [
        section("Where do we stand?", answer),
        table(
            rows,
            caption="Actual, plan and last month",
            source=f"{BILL}; {DEMAND}; approved_plan table",
            as_of=ws.as_of,
            columns=columns,
            note="" if review.plan_variance.empty else OWN_DAYS,
        ),
    ]
    if review.not_computed:
        parts.append(bullets([f"Could not be computed: {item}." for item in review.not_computed], ""))
    return group(*parts)


def chart_variance(ws: Workspace, review: Review) -> Figure:
    """Bridge from last month's bill to this month's."""
    sums = review.variance[["base_usd", *ALL_CAUSES, "actual_usd"]].sum()
    frame = pd.DataFrame(
        {
            "step": ["last month", *(readable(cause).lower() for cause in ALL_CAUSES), "this month"],
            "amount_usd": sums.to_numpy(),
        }
    )
    return figure(
        charts.waterfall(
            frame,
            label="step",
            amount="amount_usd",
            totals=["last month", "this month"],
            titles={"amount_usd": "Bill, USD"},
        ),
        title=_bill_moved(review).rstrip("."),
        description="Bridge from last month to this month: "
        + join_words(f"{row.step} {usd_compact(row.amount_usd)}" for row in frame.itertuples()),
        caption="Five causes of the use cases with accelerator-hours or hosted models, and all other charges; they add up to the difference of the two bills exactly.",
        source=f"{BILL}; {DEMAND}",
        as_of=ws.as_of,
    )


def variance_section(ws: Workspace, review: Review) -> Group:
    """What changed, and why."""
    question = "What changed, and why?"
    rows = review.variance
    if rows.empty:
        return group(
            section(
                question, "The variance could not be computed: two months of a bill with accelerator-hours are needed."
            )
        )
    total = rows["difference_usd"].sum()
    big = rows.loc[rows["difference_usd"].abs().idxmax()]
    moved = f"The bill moved by {usd(total, 0)}; {big['use_case_id']} alone by {usd(big['difference_usd'], 0)}."
    if abs(big["difference_usd"]) < HALF_A_DOLLAR:
        moved = "Neither the bill nor the part of any use case moved."
    answer = f"{moved} More volume at steadier pools shows as volume up and utilisation down. {_ranges(review)}{exchange_sentence(ws)}{beside_plan(review.plan_variance)}"
    columns = {"use_case_id": Col("Use case"), "base_usd": Col("Last month, USD", "usd0"), "actual_usd": Col("This month, USD", "usd0"), "difference_usd": Col("Difference", "usd0"),
               **{cause: Col(readable(cause), "usd0") for cause in ALL_CAUSES}}  # fmt: skip
    against_last = table(_with_total(rows), caption="Cost variance against last month, by cause", source=f"{BILL}; {DEMAND}", as_of=ws.as_of, columns=columns,
                         note="Efficiency is work per unit, utilisation paid hours per work, mix other accelerators or regions at last month's prices, price other prices or terms (more by the hour, less reserved) of the same ones in the same region; a hosted model is paid by work and has no utilisation; other what no use case explains (unused commitment, charges without a use case, storage, tax, credits). Pools without a team count for the use cases known to work there, by hours in use, as in the chargeback.")  # fmt: skip
    return group(section(question, answer), against_last, *_against_plan(ws, review, columns))


def exchange_sentence(ws: Workspace) -> str:
    """How far exchange rates alone moved the bill, which stands under price; nothing where none moved it."""
    effects = exchange_effects(ws)
    if abs(effects["effect_usd"].sum()) < HALF_A_DOLLAR:
        return ""
    rates = join_words(f"{row.currency} {row.usd_before:g} to {row.usd_now:g}" for row in effects.itertuples())
    return f" Exchange rates alone moved the bill by {usd_compact(effects['effect_usd'].sum())} (USD for one {rates}), told under price and, of charges that no use case explains, under other."


def _ranges(review: Review) -> str:
    """How far the order of the causes matters, in words."""
    rows = review.cause_ranges
    if rows.empty or not np.isfinite(rows["mean_usd"]).all():
        return ""
    span = rows.assign(span=rows["highest_usd"] - rows["lowest_usd"]).sort_values("span").iloc[-1]
    if span["span"] < HALF_A_CENT:
        return "Taken in another order the causes are the same."
    return f"Taken in another order the causes differ by at most {usd_compact(span['span'])} ({readable(span['cause']).lower()}: {usd_compact(span['lowest_usd'])} to {usd_compact(span['highest_usd'])}); the total does not."


def _with_total(rows: pd.DataFrame) -> pd.DataFrame:
    sums = rows[["base_usd", "actual_usd", "difference_usd", *ALL_CAUSES]].sum()
    return pd.concat([rows, sums.to_frame().T.assign(use_case_id="total")], ignore_index=True)


def _against_plan(ws: Workspace, review: Review, columns: dict[str, Col]) -> list[Block]:
    """The same causes against the approved plan; nothing without one."""
    rows = review.plan_variance
    if rows.empty:
        return []
    shown = {name: col for name, col in columns.items() if name != "efficiency"} | {
        "base_usd": Col("Plan, USD", "usd0")
    }
    note = (
        "A plan counts units, not tokens, so work per unit is part of utilisation; mix is other accelerators or regions than"
        f" planned, other what stands on one side only: the plan counts compute, the bill every charge. {OWN_DAYS}"
    )
    frame = _with_total(rows)
    return [table(frame, caption="Cost variance against the approved plan, by cause", source=f"{BILL}; {DEMAND}; approved_plan table", as_of=ws.as_of, columns=shown, note=note)]  # fmt: skip


def guardrail_section(ws: Workspace, review: Review) -> Group:
    """Limits that must hold."""
    rows = review.guardrails
    broken = rows[rows["state"] == "breach"]
    answer = f"{len(rows) - len(broken)} of {plural(len(rows), 'guardrail')} hold."
    if len(broken):
        answer += f" Broken: {join_words(f'{n} x {name}' for name, n in broken['guardrail'].value_counts().items())}."
    order = {"breach": 0, "watch": 1, "ok": 2}
    columns = {
        "guardrail": Col("Guardrail"),
        "subject": Col("Subject"),
        "value": Col("Value", "figure"),
        "limit": Col("Limit", "figure"),
        "state": Col("State"),
        "owner_role": Col("Owner"),
    }
    shown = [apart_in_unit(row.value, row.limit, row.unit) for row in rows.itertuples()]
    rows = rows.assign(value=[pair[0] for pair in shown], limit=[pair[1] for pair in shown])
    frame = rows.assign(rank=rows["state"].map(order)).sort_values(["rank", "guardrail", "subject"])
    return group(
        section("Do the guardrails hold?", answer),
        table(
            frame,
            caption="Guardrails",
            source=f"{BILL}; {DEMAND}; {POOLS}; plan.yaml",
            as_of=ws.as_of,
            columns=columns,
            max_rows=30,
        ),
    )


def headline(review: Review) -> dict[str, tuple[object, str]]:
    """Headline figures for `results.json`."""
    figures = review.kpis.set_index("kpi")["actual"]
    return {
        "status": (review.status, "on plan, watch or act"),
        "bill": (_finite(figures["bill"]), "USD"),
        "value": (_finite(figures["value of delivered units"]), "USD"),
        "triggers_fired": (int((review.triggers["state"] == "fired").sum()), "triggers"),
        "steps_released": (int((review.band_triggers["state"] == "fired").sum()), "steps of the approved plan"),
        "guardrails_broken": (int((review.guardrails["state"] == "breach").sum()), "guardrails"),
        "pools_to_retire": (int((review.hardware["verdict"] == "retire").sum()), "pools"),
        "median_forecast_error": (_finite(figures["median forecast error"]), "fraction"),
    }


def last_told(out_dir: str, ws: Workspace) -> pd.DataFrame:
    """Figures that the first refresh of the month before told, where it was published beside this one."""
    return recall(out_dir, "refresh", previous_month(ws.period), "figures_held")


def tables(review: Review) -> dict[str, pd.DataFrame]:
    """Tables to publish with the page."""
    names = (
        "kpis",
        "variance",
        "plan_variance",
        "cause_ranges",
        "guardrails",
        "triggers",
        "band_triggers",
        "forecast_accuracy",
        "forecast_scores",
        "unit_cost",
        "unit_cost_bands",
        "plan_use",
        "hardware",
        "platforms",
        "drift",
        "token_growth",
        "chargeback",
        "price_watch",
        "roi_to_date",
        "payback",
        "paths",
        "changes",
        "figures_changed",
        "figures_held",
        "months_restated",
        "decisions_due",
        "recommendation",
        "governance",
        "scenarios",
    )
    return {name: getattr(review, name) for name in names if len(getattr(review, name).columns)}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
