"""Page of stage 4: the plan's orders, which are made for many demand paths, beside rules of thumb on the same paths."""

from __future__ import annotations

import pandas as pd

from aifactory.buyplan import BuyPlan
from aifactory.buyplan.futures import ONE_PATH, THIS_PLAN, Futures
from aifactory.buyplan.optimise.policies import FORESIGHT
from aifactory.demand.decision_paths import DOUBT_MONTHS
from aifactory.inputs.workspace import Workspace
from aifactory.report.blocks import Block, Col, Group, group, section, table
from aifactory.report.text import join_words, pct, usd_compact

QUESTION = "Does the plan hold over many futures?"
#: Share of a cost below which a difference is rounding of the solver.
ROUNDING = 1e-9
MEAN = "plan for the mean path"
ANY_MONTH = "They may be placed in any month. "
SOURCE = "computed: demand simulation, prices and orders of this plan"


def futures_section(ws: Workspace, plan: BuyPlan, futures: Futures | None) -> Group | Block:
    """What the orders cost beside rules, the plan over all paths and perfect foresight."""
    if futures is None:
        return section(QUESTION, "Not computed: nothing in the plan can be committed to.")
    rows = futures.table.set_index("policy")
    own, alone = rows.loc[THIS_PLAN], rows.loc[ONE_PATH]
    earlier = ANY_MONTH if alone["regret"] < 0 and not alone["exceeds"] else ""
    text = (
        f"Orders are chosen over {futures.paths} paths of demand and prices at once: they cost {usd_compact(own['objective_usd'])}, proven to be "
        f"within {pct(futures.gap, 2)} of the best orders of its dates: each quarter, and for launches and running terms that end. Orders made for the expected scenario alone cost "
        f"{_more(alone['regret'], 2)} on the same paths{_but(alone['exceeds'])}. {earlier}{_rules(rows)}. "
        f"Planning for the mean path would lose {_money(rows.loc[MEAN], own, 'objective_usd')}: the "
        "value of planning for many paths (value of the stochastic solution)."
    )
    if FORESIGHT in rows.index:
        text += (
            f" Knowing each path beforehand would save at most {_money(own, rows.loc[FORESIGHT], 'expected_usd')} "
            f"({pct(-rows.loc[FORESIGHT, 'regret'], 1)}): no forecast is worth more (expected value of perfect information)."
        )
    return group(section(QUESTION, text), _table(ws, futures))


def _rules(rows: pd.DataFrame) -> str:
    """The cheapest rule of thumb of those that exceed no limit that the plan keeps; of all, with what it exceeds, where none does."""
    rules = rows.drop(index=[THIS_PLAN, ONE_PATH, MEAN, FORESIGHT], errors="ignore")
    kept = rules[[set(_listed(over)) <= set(_listed(rows.loc[THIS_PLAN, "exceeds"])) for over in rules["exceeds"]]]
    best = (kept if len(kept) else rules)["regret"].idxmin()
    which = (
        ""
        if len(kept) == len(rules)
        else " that keeps the limits of the plan"
        if len(kept)
        else ", which all exceed limits,"
    )
    return f"The cheapest rule of thumb{which} ({best}) costs {_more(rules.loc[best, 'regret'], 1)}"


def _listed(exceeded: str) -> list[str]:
    return exceeded.split(", ") if exceeded else []


def _but(exceeded: str) -> str:
    return f", but exceed {join_words(_listed(exceeded))}" if exceeded else ""


def _money(dearer: pd.Series, cheaper: pd.Series, name: str) -> str:
    """Difference in money; what lies within the rounding of the solver is none."""
    usd = dearer[name] - cheaper[name]
    return usd_compact(0.0 if abs(usd) < ROUNDING * abs(dearer[name]) else usd)


def _table(ws: Workspace, futures: Futures) -> Block:
    columns = {
        "policy": Col("Policy"),
        "objective_usd": Col("Weighed cost, USD", "usd0"),
        "expected_usd": Col("Expected", "usd0"),
        "overrun_usd": Col(f"Overrun, worst {pct(1 - futures.tail)}", "usd0"),
        "orders_usd": Col("Orders, with all that runs them", "usd0"),
        "regret": Col("Against this plan", "pct1"),
        "exceeds": Col("Exceeds"),
    }
    note = (
        f"Doubt of demand grows for {DOUBT_MONTHS} months and then stays: later orders are decided with what is known by then. Present value of new orders and rented hours, with the people and storage around them, over the horizon (what is held already costs the same under each and is left out), orders each quarter (for the expected scenario alone: any month): the mean, and "
        f"{pct(futures.risk_weight)} of what the worst {pct(1 - futures.tail)} of the overruns are above the mean one. The overrun of a path is "
        "what it costs beyond the cheapest mix of terms and hours for its own demand, were that known. Hours beyond the commitments are rented; where none are for rent, their work is missed, at the value that the plan takes as lost. Rules and orders for one scenario heed no limit: what they exceed stands beside them. Foresight stands against the expected cost, all others against the weighed one."
    )
    caption = "Policies on the same paths of demand and prices"
    return table(futures.table, caption=caption, source=SOURCE, as_of=ws.as_of, columns=columns, note=note)


def _more(share: float, digits: int) -> str:
    return f"{pct(abs(share), digits)} {'less' if share < 0 else 'more'}"


def tables(futures: Futures | None) -> dict[str, pd.DataFrame]:
    """Table for the run folder."""
    return {} if futures is None else {"policies_on_paths": futures.table}
