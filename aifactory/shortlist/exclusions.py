"""Hard exclusions: cells that no score can save, each with its rule and reason."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from aifactory.benchmark.telemetry import OWN_EVIDENCE
from aifactory.demand.chain_factors import region_share
from aifactory.finance.prices import OWN_SITE_OPTIONS
from aifactory.fleet.node_sizes import node_for
from aifactory.inputs.plan import Plan, Restriction
from aifactory.inputs.workspace import Workspace
from aifactory.serving.kv_cache import MEMORY_SHARE, memory_need
from aifactory.serving.weights import BYTES, bytes_per_weight
from aifactory.shortlist.engine_latency import lengths
from aifactory.units import EDGE_MAX_TDP_W, percent

KEYS = ["use_case_id", "accelerator_id"]
NOT_FOR_SALE = {"internal", "announced", "discontinued"}
#: GB/s in one direction below which accelerators are joined by the bus of their host alone (16 lanes of PCIe 5.0: 64).
SLOW_LINK = 100.0
#: Slowest links of the published training and fine-tuning runs, GB/s in one direction (Trainium 1; data/prediction, as of 2026-11-28).
PUBLISHED_LINK = 384.0
TOLERANCE = 1e-9


def find_exclusions(ws: Workspace, capacity: pd.DataFrame, penalties: pd.DataFrame | None = None) -> pd.DataFrame:
    """Excluded cells of `capacity` (one row per use case and accelerator), the first rule that applies.

    `penalties` (`money.horizon_costs`) says where a cell has demand and no offer that the plan could take; without it
    the price of an hour in `capacity` says so.

    Rules in order: what cannot run there (edge device, edge power, edge site, framework, the plan's own restrictions such as
    export, memory, scale-out, SLO), then what can but not be had for good (availability, support end, region, price).
    """
    chips = ws.table("accelerators").set_index("accelerator_id")
    models, cases = ws.table("models").set_index("model"), ws.table("use_cases").set_index("use_case_id")
    places, contexts = _places(ws), lengths(ws).sum(axis=1)
    sold = ws.table("prices").groupby("accelerator_id")["accelerators_per_node"].max().astype(float).fillna(0.0)
    widest, regions = widest_jobs(ws, capacity), _regions(ws)
    runs_in, coming = _ever_in(ws), _coming(ws)
    lacking = pd.Series(dtype="str") if penalties is None else penalties.set_index(KEYS)["no_offer_in"]
    priced = lacking[lacking.notna()].to_dict()  # what has no demand asks for no offer
    offers = ws.table("prices")
    hardware = set(offers.loc[offers["purchase_option"].isin(OWN_SITE_OPTIONS), "accelerator_id"])
    rows = []
    for cell in capacity.itertuples(index=False):
        chip, case = chips.loc[cell.accelerator_id], cases.loc[cell.use_case_id]
        most = float(sold.get(cell.accelerator_id, 0))
        reason = (
            _by_kind(chip, case)
            or _by_framework(ws, chip, cell.use_case_id)
            or _by_restriction(ws, chip, case, cell, runs_in.get(cell.use_case_id) or coming.get(cell.use_case_id, []))
            or _by_memory(cell, chip, case, models, contexts, most)
            or _by_scale(cell, chip, widest.get(cell.use_case_id), most)
            or _by_slo(cell)
            or _by_availability(chip)
            or _by_support(ws, chip, case)
            or _by_region(ws, cell.accelerator_id, chip, case, places)
            or _by_price(
                cell,
                priced.get((cell.use_case_id, cell.accelerator_id)),
                regions.get(cell.use_case_id, []),
                _too_large(cell, chip, most),
                ws.plan if cell.accelerator_id in hardware else None,
            )
        )
        if reason:
            rows.append((cell.use_case_id, cell.accelerator_id, *reason))
    return pd.DataFrame(rows, columns=[*KEYS, "rule", "reason"])


def _by_kind(chip: pd.Series, case: pd.Series) -> tuple[str, str] | None:
    if chip["platform_class"] == "edge" and case["workload_class"] != "edge_on_device":
        return "edge device", "an edge device does not serve central workloads"
    if case["workload_class"] == "edge_on_device" and chip["tdp_w"] > EDGE_MAX_TDP_W:
        return "edge power", f"{chip['tdp_w']:.0f} W is above the {EDGE_MAX_TDP_W} W that an edge site can take"
    if case["workload_class"] == "edge_on_device" and set(chip["availability"].split("|")) <= {"cloud", *NOT_FOR_SALE}:
        return "edge site", "can only be rented in a cloud region, not put on a site"
    return None


def _by_availability(chip: pd.Series) -> tuple[str, str] | None:
    if set(chip["availability"].split("|")) <= NOT_FOR_SALE:
        return "availability", f"cannot be bought or rented: {chip['availability']}"
    return None


def support_ends(text: object) -> pd.Timestamp | None:
    """Last day of support where the text is a year, a month or a day; None for any other note.

    >>> support_ends("2028-03")
    Timestamp('2028-03-31 00:00:00')
    """
    if isinstance(text, str) and re.fullmatch(r"\d{4}(-\d{2}){0,2}", text.strip()):
        return pd.Period(text.strip()).end_time.normalize()
    return None


def support_until(ws: Workspace, chip: pd.Series) -> pd.Timestamp | None:
    """Last day of support of an accelerator, a row of the catalogue; None where no date is known. `lifecycle` counts before that row."""
    stated = ws.table("lifecycle").query("event == 'end_of_support' and accelerator_id == @chip.name")["date"]
    return support_ends(stated.iloc[0] if len(stated) else chip["end_of_support"])


def _by_support(ws: Workspace, chip: pd.Series, case: pd.Series) -> tuple[str, str] | None:
    """Support must last as long as the use case, up to the horizon."""
    end = support_until(ws, chip)
    horizon = pd.Timestamp(ws.as_of) + pd.DateOffset(months=ws.plan.horizon_months)
    last = horizon if pd.isna(case["retire_month"]) else pd.Timestamp(case["retire_month"]) - pd.Timedelta(days=1)
    if end is None or end >= min(last, horizon):
        return None
    until = f"the horizon does ({horizon:%Y-%m-%d})" if last >= horizon else f"the use case does ({last:%Y-%m-%d})"
    return "support end", f"support ends {end:%Y-%m-%d}, before {until}"


def _by_framework(ws: Workspace, chip: pd.Series, use_case: str) -> tuple[str, str] | None:
    """Names match whole words before any bracket or slash: vLLM does not stand for vLLM-neuron."""
    required = ws.plan.required_frameworks.get(use_case, ws.plan.required_frameworks.get("*", []))
    if not required:
        return None
    text = chip["frameworks"] if isinstance(chip["frameworks"], str) else ""
    have = {part.strip().lower() for part in re.split(r"[;/]", re.sub(r"\(.*?\)", "", text))}
    if have & {name.strip().lower() for name in required}:
        return None
    return "framework", f"needs {' or '.join(required)}; the platform has {text or 'none on record'}"


def _places(ws: Workspace) -> pd.Series:
    """Regions of the plan in which each accelerator is offered or can be owned, by accelerator."""
    prices = ws.table("prices")
    own = set(prices.loc[prices["purchase_option"].isin(["purchase", "lease"]), "accelerator_id"])
    found: dict[str, set[str]] = {name: {r.region for r in ws.plan.regions} for name in own}
    for region in ws.plan.regions:
        theirs = prices[prices["provider"].isin(list(region.provider_regions))]
        here = theirs["region"].eq("*") | theirs["region"].eq(theirs["provider"].map(region.provider_regions))
        for name in theirs.loc[here, "accelerator_id"].unique():
            found.setdefault(name, set()).add(region.region)
    return pd.Series(found, dtype=object)


def _allowed(case: pd.Series) -> set[str]:
    text = case["allowed_regions"]
    return {part.strip() for part in text.split(";")} if isinstance(text, str) and text.strip() else set()


def _by_region(
    ws: Workspace, accelerator: str, chip: pd.Series, case: pd.Series, places: pd.Series
) -> tuple[str, str] | None:
    """A use case bound to regions needs an offer in one of them, or hardware that can be owned there."""
    allowed = _allowed(case)
    if not allowed or accelerator not in places.index or "purchase" in chip["availability"].split("|"):
        return None
    if allowed & places[accelerator] or not allowed <= {r.region for r in ws.plan.regions}:
        return None
    here, there = (", ".join(sorted(names)) for names in (allowed, places[accelerator]))
    return "region", f"bound to {here}; no offer on record there, only in {there}: {_to_ask(ws, accelerator, allowed)}"


def _to_ask(ws: Workspace, accelerator: str, allowed: set[str]) -> str:
    """What to ask for where an accelerator has no offer: a renewal where a term still runs."""
    book = ws.table("commitments")
    mine = book[book["accelerator_id"].eq(accelerator) & book["region"].isin(allowed) & (book["end_month"] > ws.period)]
    if mine.empty:
        return "ask for one"
    count, end = mine["accelerators"].sum(), mine["end_month"].max()
    return f"{count:,.0f} are committed there until {end}; add the price of a renewal to prices"


def _by_restriction(
    ws: Workspace, chip: pd.Series, case: pd.Series, cell: tuple, regions: list[str]
) -> tuple[str, str] | None:
    """First restriction that holds for a use case which runs in `regions`: one platform serves them all.

    Where it runs is not known for all: then a restriction holds for what may run in its regions alone.
    """
    mine = [item for item in ws.plan.restrictions if _holds(item, chip, cell.use_case_id, cell.accelerator_id)]
    held = [item for item in mine if not item.regions or _bound(regions, _allowed(case), item)]
    if not held:
        return None
    barred = [region for region in regions if any(not item.regions or region in item.regions for item in held)]
    words = f"; holds in {', '.join(barred)}: under platform_by_region in plan.yaml it may run elsewhere"
    first = held[0]
    return first.rule, f"{first.reason} ({first.source}, {first.as_of}){words if set(regions) - set(barred) else ''}"


def _bound(regions: list[str], allowed: set[str], item: Restriction) -> bool:
    return bool(set(regions) & set(item.regions)) if regions else bool(allowed) and allowed <= set(item.regions)


def _holds(item: Restriction, chip: pd.Series, use_case: str, accelerator: str) -> bool:
    """Whether it names the accelerator and the use case."""
    who = (
        accelerator in item.accelerators
        or chip["vendor"] in item.vendors
        or chip["platform_class"] in item.platform_classes
    )
    everybody = not (item.accelerators or item.vendors or item.platform_classes)
    return (who or everybody) and (not item.use_cases or use_case in item.use_cases)


def _by_memory(
    cell: tuple, chip: pd.Series, case: pd.Series, models: pd.DataFrame, contexts: pd.Series, sold: float
) -> tuple[str, str] | None:
    """Weights, KV cache of one mean request and activations must fit a node, or the larger server or slice that is sold; what ran fits."""
    if case["model"] not in models.index or cell.tier in OWN_EVIDENCE:
        return None
    model, count = models.loc[case["model"]], int(chip["accelerators_per_node"])
    slice_of = chip.get("largest_slice")
    largest = int(max(count, sold, 0 if pd.isna(slice_of) else slice_of))
    stated = [name for name in (cell.precision, model["default_precision"]) if name in BYTES]
    precision = stated[0] if stated else "bf16"
    while True:
        need = memory_need(model, bytes_per_weight(model, precision), count, contexts.get(cell.use_case_id, np.nan))
        if need.fits(chip["memory_gb"], count):
            return None
        if count >= largest:
            break
        count = min(2 * count, largest)
    usable = MEMORY_SHARE * chip["memory_gb"] * count
    return "memory", (
        f"{need} ({precision}) need {need.total_gb:,.3g} GB; {count} x {chip['memory_gb']:,.4g} GB have {usable:,.4g} GB "
        f"to use ({percent(MEMORY_SHARE)})"
    )


def widest_jobs(ws: Workspace, capacity: pd.DataFrame) -> dict[str, tuple[float, str, float]]:
    """By use case the job up to the end of the month that does most work at once: its accelerators, of what kind, and units per second."""
    jobs = ws.table("jobs")
    ran = jobs[(jobs["started_utc"] < pd.Timestamp(ws.as_of, tz="UTC") + pd.Timedelta(days=1))]
    jobs = ran.merge(capacity[[*KEYS, "units_per_s_per_accelerator"]], on=KEYS)
    pace = jobs["accelerators"].astype(float) * jobs["units_per_s_per_accelerator"].astype(float)
    most = jobs.assign(pace=pace)[pace > 0].sort_values("pace", ascending=False, kind="stable").drop_duplicates(KEYS[0])
    named = most[["use_case_id", "accelerators", "accelerator_id", "pace"]].itertuples(index=False)
    return {name: (float(count), chip, pace) for name, count, chip, pace in named}


def _by_scale(
    cell: tuple, chip: pd.Series, widest: tuple[float, str, float] | None, sold: float
) -> tuple[str, str] | None:
    """A job that is wider than a node, over links as slow as no published training run has, is to be tried before it is planned."""
    link = float(chip["interconnect_gb_per_s"])
    if widest is None or cell.tier in OWN_EVIDENCE or not cell.units_per_s_per_accelerator > 0 or not link < SLOW_LINK:
        return None
    count, home, pace = widest
    need = np.ceil(pace / cell.units_per_s_per_accelerator - TOLERANCE)
    node = max(float(chip["accelerators_per_node"]), sold)
    if need <= node:
        return None
    return "scale-out", (
        f"its widest job, of {count:,.3g} {home}, would need {need:,.0f} at once, more than a node of {node:,.0f}, over links of {link:,.3g} GB/s, "
        f"and no published training run has less than {PUBLISHED_LINK:,.0f} GB/s: only a run of its own could show that it scales"
    )


def _regions(ws: Workspace) -> dict[str, list[str]]:
    """Regions in which each use case had demand in the month."""
    rows = [ws.month(name)[["use_case_id", "region"]] for name in ("demand_windows", "jobs")]
    return pd.concat(rows).groupby("use_case_id")["region"].agg(lambda names: sorted(set(names))).to_dict()


def _ever_in(ws: Workspace) -> dict[str, list[str]]:
    """The same, and regions in which jobs of any month ran: what comes in lumps is not there every month."""
    rows = [ws.month("demand_windows")[["use_case_id", "region"]], ws.table("jobs")[["use_case_id", "region"]]]
    return pd.concat(rows).groupby("use_case_id")["region"].agg(lambda names: sorted(set(names))).to_dict()


def _coming(ws: Workspace) -> dict[str, list[str]]:
    """Regions of each use case whose demand is yet to come, from its conversion chain."""
    allowed = ws.table("use_cases").set_index("use_case_id")["allowed_regions"]
    chains, places = ws.table("demand_chain").set_index("factor"), tuple(item.region for item in ws.plan.regions)
    chains = chains[chains["use_case_id"].isin(allowed.index)]
    shares = {name: region_share(chain, allowed[name], places) for name, chain in chains.groupby("use_case_id")}
    return {name: [place for place, part in zip(places, share, strict=True) if part > 0] for name, share in shares.items()}  # fmt: skip


def _too_large(cell: tuple, chip: pd.Series, sold: float) -> str:
    """That no node holds a replica, in words; "" where one does, or several that are joined."""
    replica, catalogue = getattr(cell, "replica_accelerators", np.nan), float(chip["accelerators_per_node"])
    node, joined = max(sold, catalogue), 0.0 if pd.isna(chip["largest_slice"]) else float(chip["largest_slice"])
    if replica > node and not node_for(replica, node, catalogue, joined) > 0:
        return f": a replica takes {replica:,.0f} accelerators, the largest node that is sold has {node:,.0f}"
    return ""


def _by_slo(cell: tuple) -> tuple[str, str] | None:
    if cell.units_per_s_per_accelerator == 0:
        return "SLO", f"misses the {cell.binding_slo} limit even at the lightest load"
    return None


def _by_price(
    cell: tuple, no_offer_in: str | None, regions: list[str], too_large: str, plan: Plan | None
) -> tuple[str, str] | None:
    if no_offer_in is None and np.isnan(cell.usd_per_accelerator_hour):
        return "price", "no price from any provider of the plan"
    if no_offer_in:
        others = _offered_in(no_offer_in, regions)
        apart = (
            f"; one platform serves all regions of a use case: to plan it here in {', '.join(others)} alone, list it under platform_by_region in plan.yaml"
            if others
            else ""
        )
        replica = getattr(cell, "replica_accelerators", np.nan)
        size = f": a node must hold {replica:,.0f} accelerators" if replica > 1 else ""
        size += _limited(no_offer_in, plan, "; also, " if size else ": ")
        return (
            "price",
            f"no offer that the plan could take in {no_offer_in}{too_large or size}{'' if too_large else apart}",
        )
    return None


def _limited(no_offer_in: str, plan: Plan | None, joint: str) -> str:
    """That hardware on offer may not be bought there, where the plan limits capital, or power or space of one of the regions; nothing without a plan (no hardware is sold)."""
    if plan is None:
        return ""
    stated = [
        item.region
        for item in plan.regions
        if item.region in no_offer_in.split(", ")
        and not (item.power_limit_kw is None and item.space_limit_servers is None)
    ]
    if plan.budget.capex_usd_per_year == 0:
        return f"{joint}the plan has no capital to buy any"
    return (
        f"{joint}hardware counts only where power and space of {', '.join(stated)} leave room for a node"
        if stated
        else ""
    )


def _offered_in(no_offer_in: str, regions: list[str]) -> list[str]:
    return [region for region in regions if region not in no_offer_in.split(", ")]


def region_sentences(ws: Workspace, exclusions: pd.DataFrame, penalties: pd.DataFrame) -> list[str]:
    """What a reader must know of platforms that are out only because one of the regions of a use case has no offer for them."""
    regions, lost = _regions(ws), {}
    out = exclusions[exclusions["rule"] == "price"].merge(penalties[[*KEYS, "no_offer_in"]].dropna(), on=KEYS)
    for name, chip, lacking in out[[*KEYS, "no_offer_in"]].itertuples(index=False, name=None):
        if _offered_in(lacking, regions.get(name, [])):
            lost.setdefault(name, []).append(chip)
    named = "; ".join(f"{name}: {', '.join(sorted(chips))}" for name, chips in lost.items())
    if not named:
        return []
    return [
        f"One platform serves all regions of a use case, which leaves out those that only some of its regions offer ({named}). "
        "Under platform_by_region in plan.yaml a use case is planned in each region by itself: list it and compare the costs."
    ]
