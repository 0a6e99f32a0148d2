"""Tools and models that are paid for more than once: candidates to merge, never counted as waste."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.billing import NO_ACCELERATOR, UNATTRIBUTED
from aifactory.inventory.spend import USAGE

#: Service categories of FOCUS in which two sellers do one job; kinds of storage or network differ by use.
TOOLING = ("AI and Machine Learning", "Analytics", "Databases", "Developer Tools", "Integration",
           "Management and Governance", "Media", "Security")  # fmt: skip
COLUMNS = ["kind", "what", "copies", "where", "usd", "smaller_usd"]


def find_overlaps(use_cases: pd.DataFrame, bill: pd.DataFrame) -> pd.DataFrame:
    """Models that run on several pools of one region apart from each other, and services bought twice.

    A model counts where at least two use cases run it in a region on resources that they do not share;
    a category of tools where at least two services or providers sell it. `usd` is what all copies cost in
    the month, `smaller_usd` what the copies beside the largest do: the most that merging could touch.
    """
    usage = bill[bill["cost_line"].isin(USAGE)]
    usage = usage.assign(usd=usage["EffectiveCost"].astype("float64"))
    rows = [*_models(use_cases, usage), *_services(usage)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.sort_values(["smaller_usd", "kind", "what"], ascending=[False, True, True], ignore_index=True)


def _models(use_cases: pd.DataFrame, usage: pd.DataFrame) -> list[dict[str, object]]:
    model = usage["use_case"].map(use_cases.set_index("use_case_id")["model"])
    held = (usage["use_case"] != UNATTRIBUTED) & (usage["accelerator_id"] != NO_ACCELERATOR)
    held &= usage["ResourceId"].notna() & model.notna()
    mine = usage[held].assign(model=model[held], RegionId=usage.loc[held, "RegionId"].fillna("(no region)"))
    rows = []
    for (name, region), group in mine.groupby(["model", "RegionId"]):
        resources = group.groupby("use_case")["ResourceId"].agg(set)
        costs = group.groupby("use_case")["usd"].sum()
        apart = [case for case in resources.index if not any(
            resources[case] & resources[other] for other in resources.index if other != case)]  # fmt: skip
        if len(resources) > 1 and apart:
            places = ", ".join(f"{case} on {'/'.join(sorted(resources[case]))}" for case in resources.index)
            rows.append(_row("model", f"{name} in {region}", costs, places))
    return rows


def _services(usage: pd.DataFrame) -> list[dict[str, object]]:
    named = usage[usage["ServiceName"].notna() & usage["ServiceCategory"].isin(TOOLING)]
    rows = []
    for category, group in named.groupby("ServiceCategory"):
        sellers = group["ProviderName"].astype("str") + " " + group["ServiceName"].astype("str")
        costs = group.groupby(sellers)["usd"].sum()
        costs = costs[costs > 0]
        if len(costs) > 1:
            rows.append(_row("service", str(category), costs, ", ".join(costs.index)))
    return rows


def _row(kind: str, what: str, costs: pd.Series, where: str) -> dict[str, object]:
    total = float(costs.sum())
    return dict(zip(COLUMNS, [kind, what, len(costs), where, total, total - float(costs.max())], strict=True))
