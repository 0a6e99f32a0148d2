"""What is paid for and not used, in money, each dollar once: causes that add up to no more than the bill.

Two readings meet here. The bill says what a pool cost and which part of a commitment nobody used; the
pool says which part of its hours were busy. Per pool, with its cost C in use, its unused commitment U and
its busy share u:

    commitment nobody used   U
    idle                     max((1 - u)(C + U) - U, 0), unused hours being idle ones
    work that failed         f u C, f the failed share of the use cases that ran on it

so that the three never exceed C + U. Idle splits into what even the highest hour with its reserve does
not need, and the rest, idle between peaks.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from aifactory.demand.reserve_money import failure_factor, with_one_pool_down
from aifactory.errors import IdentityError
from aifactory.inputs.billing import DISCOUNT, UNATTRIBUTED
from aifactory.inputs.money import exact_total
from aifactory.inputs.sites import sites_in
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.service import NOT_IN_BILL, OWN_CHARGES
from aifactory.inventory.spend import USAGE
from aifactory.units import TRAINING_CLASSES

IDLE, OVERSIZED, UNUSED, FAILED = (
    "idle between peaks",
    "more installed than the peak needs",
    "commitment nobody used",
    "work that failed",
)
#: Work without any of them waits until there is room.
LATENCY_LIMITS = ["slo_p95_ttft_ms", "slo_p95_tpot_ms", "slo_p95_e2e_ms"]
CAUSES = (IDLE, OVERSIZED, UNUSED, FAILED)
COLUMNS = ["cause", "subject", "usd", "share_of_usage", "how_computed", "owner_role", "action"]
#: What to do about idle hours depends on how they are paid.
BY_THE_HOUR = ("on_demand", "spot")
RENTED = "Rented by the hour: switch part of it off in quiet hours, or share it."
COMMITTED = "Paid in any case: move rented work onto it, or fill quiet hours with batch work."
PLATFORM, CLOUD_COST = "head of platform", "cloud cost owner"
NO_POOL = ""


def find_waste(ws: Workspace, bill: pd.DataFrame, pools: pd.DataFrame, cases: pd.DataFrame, profile: pd.DataFrame) -> pd.DataFrame:  # fmt: skip
    """Waste of the month by cause and subject, USD, largest first.

    Parameters
    ----------
    bill : charges of usage in the month, with the derived columns.
    pools : from `service.pool_summary`, priced.
    cases : use cases with failed_share_charged (failed and cancelled, jobs by their hours, of the work that was charged) and owner_role.
    profile : from `demand.profile_demand`; its peaks size the pools.

    Raises
    ------
    IdentityError
        If the parts exceed the usage they are part of.
    """
    usage = bill[bill["cost_line"].isin((*USAGE, "idle commitment"))]
    costs = _costs(usage, pools)
    rows = [
        *_idle(ws, pools, costs, profile, usage),
        *_unused(pools, usage),
        *_failed(pools, costs, cases),
    ]
    table = pd.DataFrame([row for row in rows if row["usd"] > 0], columns=COLUMNS)
    total = float(_paid(usage).sum())
    wasted = float(table["usd"].sum())
    if wasted > total * (1 + 1e-9) + 1e-6:
        msg = f"waste of {wasted:,.2f} USD exceeds the usage it is part of, {total:,.2f} USD"
        raise IdentityError(msg)
    table["share_of_usage"] = table["usd"] / total if total else np.nan
    return table.sort_values(["usd", "cause", "subject"], ascending=[False, True, True], ignore_index=True)


def _costs(usage: pd.DataFrame, pools: pd.DataFrame) -> pd.DataFrame:
    """Cost in use by use case, accelerator and pool; the pool is empty where the charge names none."""
    named = usage[usage["cost_line"].isin(USAGE)]
    pool = named["ResourceId"].where(named["ResourceId"].isin(pools["pool_id"]), NO_POOL)
    usd = _paid(named)
    keys = ["use_case", "accelerator_id", "pool"]
    return named.assign(pool=pool, usd=usd).groupby(keys, as_index=False)["usd"].sum()


def _paid(charges: pd.DataFrame) -> pd.Series:
    """USD that charges cost: discounts lower it, refunds lower the bill but not what was paid for and wasted."""
    usd = charges["EffectiveCost"].astype("float64")
    return usd.where(charges["purchase_option"] == DISCOUNT, usd.clip(lower=0))


def _idle(ws: Workspace, pools: pd.DataFrame, costs: pd.DataFrame, profile: pd.DataFrame, usage: pd.DataFrame) -> list[dict[str, object]]:  # fmt: skip
    net, unused = _net_idle(pools, costs, usage)
    rows = []
    for row, usd, less in zip(pools.itertuples(index=False), net, unused, strict=True):
        if not usd > 0:
            continue
        idle = 1 - row.utilization_mean
        how = f"{100 * idle:.0f} % of {row.accelerator_hours:,.0f} h idle, priced by {row.priced_by}" + (
            ", less its unused commitment" if less > 0 else ""
        )
        if usd < (row.idle_usd - less) * (1 - 1e-9):
            how += ", no more than the bill holds"
        spare, basis = _spare(ws, row, costs, profile)
        extra = min(spare / row.installed * row.paid_usd, usd) if spare else 0.0
        if extra:
            text = f"{spare:.0f} of {row.installed:.0f} accelerators beyond {basis}"
            rows.append(_row(OVERSIZED, row.pool_id, extra, text, PLATFORM, _given_up(row.purchase_option, spare)))
        action = RENTED if row.purchase_option in BY_THE_HOUR else COMMITTED
        rows.append(_row(IDLE, row.pool_id, usd - extra, how, PLATFORM, action))
    return rows


def _given_up(purchase_option: str, spare: float) -> str:
    """What to do with accelerators beyond the need of a pool: what is bought has no renewal, rented hours need none.

    >>> _given_up("purchase", 14.0)
    'Sell or reassign 14, or move work onto them.'
    """
    if purchase_option in BY_THE_HOUR:
        return f"Switch {spare:.0f} off, or move work onto them."
    if purchase_option == "purchase":
        return f"Sell or reassign {spare:.0f}, or move work onto them."
    return f"Give {spare:.0f} back at the next renewal, or move work onto them."


def _net_idle(pools: pd.DataFrame, costs: pd.DataFrame, usage: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Idle USD of each pool, never above the idle share of what was billed, less its unused commitment, and the latter."""
    idle = pools["idle_usd"].fillna(0.0).to_numpy(dtype=float)
    unused = pools["unused_usd"].fillna(0.0).to_numpy(dtype=float)
    own = (pools["priced_by"] == OWN_CHARGES).to_numpy()
    # a commitment that names no pool may belong to any committed pool without charges of its own
    loose = float(exact_total(_unused_rows(usage, pools, named=False)["EffectiveCost"]))
    committed = ~own & pools["purchase_option"].astype("str").str.startswith("reserved").to_numpy()
    if idle[committed].sum() > 0:
        unused = unused + np.where(committed, loose * idle / idle[committed].sum(), 0.0)
    net = np.maximum(idle - unused, 0.0)
    billed = costs[costs["pool"] == NO_POOL].groupby("accelerator_id")["usd"].sum()
    for accelerator in pools.loc[~own, "accelerator_id"].unique():
        mine = ~own & (pools["accelerator_id"] == accelerator).to_numpy()
        paid = pools.loc[mine, "paid_usd"].sum()
        share = pools.loc[mine, "idle_usd"].sum() / paid if paid else 0.0
        limit = float(billed.get(accelerator, 0.0)) * share
        if net[mine].sum() > limit:
            net[mine] *= limit / net[mine].sum()
    return net, unused


def _spare(ws: Workspace, pool: object, costs: pd.DataFrame, profile: pd.DataFrame) -> tuple[int, str]:
    """Whole nodes that the highest hour of the pool's use cases, with the reserve of the plan and one failure domain down, leaves over.

    The highest hour is the pool's mean load times the highest peak over average of the use cases that it is
    charged to, in its region; where places must each stand alone (column `sites`), every one keeps whole nodes. Unknown, and none, where the bill does not say what ran on the pool.
    """
    names = set(costs.loc[(costs["pool"] == pool.pool_id) & (costs["use_case"] != UNATTRIBUTED), "use_case"])
    mine = profile[profile["use_case_id"].isin(names) & (profile["region"] == pool.region)]
    factor = mine["peak_to_average"].max() if len(mine) else np.nan
    if not np.isfinite(factor) or not pool.installed > 0:
        return 0, ""
    known = ws.table("use_cases").set_index("use_case_id").reindex(mine["use_case_id"])
    reserve = max(ws.plan.reserve[level] for level in known["criticality"])
    sites = max(sites_in(text, pool.region) for text in known["sites"])
    node = ws.table("accelerators").set_index("accelerator_id")["accelerators_per_node"].get(pool.accelerator_id, 1)
    # what is rented in parts is given back in parts
    unit = math.gcd(int(node), int(pool.installed)) if float(pool.installed).is_integer() else 1
    peak = min(pool.utilization_mean * factor, 1.0) * pool.installed
    waits = (known["request_pattern"] == "batch") & known[LATENCY_LIMITS].isna().all(axis=1)
    live = known[~waits & ~known["workload_class"].isin(TRAINING_CLASSES)]
    stated = [ws.plan.failure_domains.get(level, 0) for level in live["criticality"]]
    domains = min(filter(None, stated), default=0)  # the fewer, the more each of them holds
    with_spares = failure_factor(domains) if domains else 1.0
    need = float(with_one_pool_down(peak * (1 + reserve), unit, with_spares))
    places = f", one of {domains} pools down" if domains else ""
    if sites > 1:
        at_least = max(peak * (1 + reserve), 1.0)  # every site keeps a node
        need = float(with_one_pool_down(at_least, sites * node, with_spares))
        places += f", whole nodes at each of {sites:,} sites"
    spare = max(pool.installed - need, 0)
    return int(spare), f"the highest hour ({peak:.1f} busy) and a reserve of {100 * reserve:.0f} %{places}"


def _unused_rows(usage: pd.DataFrame, pools: pd.DataFrame, *, named: bool) -> pd.DataFrame:
    unused = usage[usage["cost_line"] == "idle commitment"]
    return unused[unused["ResourceId"].isin(pools["pool_id"]) == named]


def _unused(pools: pd.DataFrame, usage: pd.DataFrame) -> list[dict[str, object]]:
    how = "unused rows of the bill"
    action = "Move on-demand work onto it; commit to less at renewal."
    named = _unused_rows(usage, pools, named=True).groupby("ResourceId")["EffectiveCost"].agg(exact_total)
    rows = [_row(UNUSED, str(name), float(amount), how, CLOUD_COST, action) for name, amount in named.items()]
    loose = float(exact_total(_unused_rows(usage, pools, named=False)["EffectiveCost"]))
    return [*rows, _row(UNUSED, "commitments that name no pool", loose, how, CLOUD_COST, action)]


def _failed(pools: pd.DataFrame, costs: pd.DataFrame, cases: pd.DataFrame) -> list[dict[str, object]]:
    """Failed share times the busy part of what each use case cost; a failed request counts as any other."""
    busy_of = pools.set_index("pool_id")["utilization_mean"].to_dict()
    loose = pools[~pools["priced_by"].isin((OWN_CHARGES, NOT_IN_BILL))]
    hours = loose.groupby("accelerator_id")[["accelerator_hours", "idle_accelerator_hours"]].sum()
    mean = (1 - hours["idle_accelerator_hours"] / hours["accelerator_hours"]).to_dict()
    busy = [
        busy_of[pool] if pool != NO_POOL else mean.get(accelerator, 1.0)
        for pool, accelerator in zip(costs["pool"], costs["accelerator_id"], strict=True)
    ]
    worked = costs.assign(usd=costs["usd"] * np.array(busy, dtype=float)).groupby("use_case")["usd"].sum()
    rows = []
    for row in cases[cases["failed_share_charged"] > 0].itertuples(index=False):
        spent = float(worked.get(row.use_case_id, 0.0))
        how = f"{100 * row.failed_share_charged:.1f} % of the work failed, of USD {spent:,.0f} for busy hours and services"
        action = "Find the causes, largest first; retries only move them."
        rows.append(_row(FAILED, row.use_case_id, float(row.failed_share_charged) * spent, how, row.owner_role, action))
    return rows


def _row(cause: str, subject: str, usd: float, how: str, owner: str, action: str) -> dict[str, object]:
    return {"cause": cause, "subject": subject, "usd": usd, "how_computed": how, "owner_role": owner, "action": action}


def by_cause(waste: pd.DataFrame) -> pd.Series:
    """USD of each cause, largest first."""
    return waste.groupby("cause")["usd"].sum().sort_values(ascending=False)
