"""What each team is charged: its own usage, its part of pools that it is known to use, and its part of what nobody claims, to the last digit."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pandas as pd

from aifactory.benchmark.telemetry_places import shares_of_pools
from aifactory.errors import IdentityError
from aifactory.inputs.billing import UNATTRIBUTED
from aifactory.inputs.money import ZERO, exact_total, sum_exact
from aifactory.inputs.workspace import Workspace

CENT_MILLIONTH = Decimal("0.000001")
COLUMNS = ["team", "direct_cost", "pool_cost", "shared_cost", "charge", "share", "accelerator_hours", "usd_per_accelerator_hour"]  # fmt: skip


def pool_teams(ws: Workspace) -> pd.DataFrame:
    """Teams that use the pools which the bill attributes to nobody: pool_id, team, share (of the hours in use; adds up to 1 by pool)."""
    shares = shares_of_pools(ws)
    teams = ws.table("use_cases").set_index("use_case_id")["team"]
    shares = shares.assign(team=shares["use_case_id"].map(teams), share=shares["share"].astype(float))
    return shares.groupby(["pool_id", "team"], as_index=False)["share"].sum()


def pools_of_nobody(ws: Workspace, pools: pd.DataFrame) -> pd.Series:
    """USD of the month by pool, dearest first: pools of which no charge names a team and whose users are not known (`pools`: `pool_teams`)."""
    bill = ws.table("billing").query("invoice_month == @ws.period")
    bill = bill[bill["ResourceId"].isin(set(ws.month("pools")["pool_id"]) - set(pools["pool_id"]))]
    loose = bill[bill["cost_line"] == "unattributed usage"]
    loose = loose[~loose["ResourceId"].isin(set(bill.loc[bill["cost_line"] == "attributed usage", "ResourceId"]))]
    return (
        loose.assign(usd=loose["EffectiveCost"].astype("float64"))
        .groupby("ResourceId")["usd"]
        .sum()
        .sort_values(ascending=False)
    )


def charge_teams(billing: pd.DataFrame, pools: pd.DataFrame | None = None) -> pd.DataFrame:
    """Charge every team its attributed usage, its part of the pools it uses, and a proportional part of the rest of the bill.

    Usage without a team of a pool in `pools` (`pool_teams`) is split by the hours in use, idle ones in the same proportion.
    The rest is idle commitment, other unattributed usage, corrections, tax and credits; it follows the two. Parts are
    rounded to a millionth and the largest team takes the rounding rest, so the charges add up to the bill exactly.

    Returns
    -------
    Columns team, direct_cost, pool_cost, shared_cost, charge (Decimal), share (fraction of the bill), accelerator_hours (attributed, and of
    pools by the same parts) and the rate, usd_per_accelerator_hour: that part of the charge which follows usage counted in
    accelerator-hours, over these; hosted models, storage and services have none. Unknown without any hours.
    """
    total = exact_total(billing["EffectiveCost"])
    own = billing[(billing["cost_line"] == "attributed usage") & (billing["team"] != UNATTRIBUTED)]
    table = _with_pools(_direct(own), *_split_pools(billing, pools))
    if table.empty:
        return pd.DataFrame(columns=COLUMNS)
    used = table["direct_cost"] + table["pool_cost"]
    base = exact_total(used)
    rest = total - base
    # free or refunded usage gives no proportion: then the rest is shared evenly
    table["shared_cost"] = _parts(rest, list(used) if base > 0 else [Decimal(1)] * len(table))
    table["charge"] = used + table["shared_cost"]
    if exact_total(table["charge"]) != total:
        msg = f"charges add up to {exact_total(table['charge'])}, the bill to {total}"
        raise IdentityError(msg)
    hours, charge = table["accelerator_hours"].to_numpy(dtype=float), table["charge"].astype("float64").to_numpy()
    counted, spent = table["counted"].to_numpy(dtype=float), used.astype("float64").to_numpy()
    share_counted = np.divide(counted, spent, out=np.ones(len(table)), where=spent != 0)
    rate = np.divide(charge * share_counted, hours, out=np.full(len(hours), np.nan), where=hours > 0)
    share = [float(amount / total) if total else float("nan") for amount in table["charge"]]
    return table.assign(share=share, usd_per_accelerator_hour=rate)[COLUMNS]


def _direct(own: pd.DataFrame) -> pd.DataFrame:
    """By team, dearest first: direct_cost, accelerator_hours, counted (USD of the charges that count hours)."""
    if own.empty:
        return pd.DataFrame(columns=["team", "direct_cost", "accelerator_hours", "counted"])
    direct = sum_exact(own, "team", ["EffectiveCost"]).rename(columns={"EffectiveCost": "direct_cost"})
    known = own.reindex(
        columns=["team", "accelerator_hours", "EffectiveCost"]
    )  # a bill without accelerators counts none
    usd = known["EffectiveCost"].astype("float64").where(known["accelerator_hours"].astype(float) > 0, 0.0)
    by_team = known.assign(counted=usd).groupby("team")
    hours = by_team["accelerator_hours"].sum(min_count=1).reindex(direct["team"]).to_numpy(dtype=float)
    return direct.assign(
        accelerator_hours=hours, counted=by_team["counted"].sum().reindex(direct["team"]).to_numpy(dtype=float)
    )


def _split_pools(billing: pd.DataFrame, pools: pd.DataFrame | None) -> tuple[dict[str, Decimal], dict[str, float]]:
    """USD and accelerator-hours of pools without a team, by the teams that use them."""
    usd: dict[str, Decimal] = {}
    hours: dict[str, float] = {}
    if pools is None or pools.empty:
        return usd, hours
    loose = billing[(billing["cost_line"] == "unattributed usage") & (billing["team"] == UNATTRIBUTED)]
    for pool, rows in loose.groupby("ResourceId"):
        users = pools[pools["pool_id"] == pool].sort_values("share", ascending=False, kind="stable")
        if users.empty:
            continue
        amounts = _parts(exact_total(rows["EffectiveCost"]), [Decimal(repr(float(part))) for part in users["share"]])
        spent = float(rows["accelerator_hours"].sum())
        for team, amount, part in zip(users["team"], amounts, users["share"], strict=True):
            usd[team] = usd.get(team, ZERO) + amount
            hours[team] = hours.get(team, 0.0) + spent * part
    return usd, hours


def _with_pools(direct: pd.DataFrame, usd: dict[str, Decimal], hours: dict[str, float]) -> pd.DataFrame:
    """Direct cost with what comes from pools, dearest team first."""
    names = [*direct["team"], *(team for team in usd if team not in set(direct["team"]))]
    table = direct.set_index("team").reindex(names)
    table["direct_cost"] = [ZERO if pd.isna(amount) else amount for amount in table["direct_cost"]]
    table["pool_cost"] = [usd.get(team, ZERO) for team in names]
    more = np.array([hours.get(team, np.nan) for team in names], dtype=float)
    counted = table["accelerator_hours"].to_numpy(dtype=float)
    table["accelerator_hours"] = np.where(np.isnan(more), counted, np.nan_to_num(counted) + np.nan_to_num(more))
    from_pools = np.where(np.nan_to_num(more) > 0, table["pool_cost"].astype("float64"), 0.0)
    table["counted"] = np.nan_to_num(table["counted"].to_numpy(dtype=float)) + from_pools
    if usd:
        order = (
            (table["direct_cost"] + table["pool_cost"]).astype("float64").sort_values(ascending=False, kind="stable")
        )
        table = table.loc[order.index]
    return table.rename_axis("team").reset_index()


def _parts(amount: Decimal, weights: list[Decimal]) -> list[Decimal]:
    """An amount split by weights; the first takes the rounding rest."""
    whole = sum(weights, ZERO)
    parts = [(amount * weight / whole).quantize(CENT_MILLIONTH, ROUND_HALF_EVEN) for weight in weights]
    parts[0] += amount - sum(parts, ZERO)
    return parts
