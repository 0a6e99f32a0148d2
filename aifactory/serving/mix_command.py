"""`aifactory cheapest`: the cheapest fleet of one platform, or of two, that keeps the SLO on a trace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aifactory.errors import InputError
from aifactory.serving.capacity_curve import cheapest_fleets
from aifactory.serving.catalogue_rows import find_model, find_row, price_remark, usd_per_accelerator_hour
from aifactory.serving.command import mean_context, read_noted_stream
from aifactory.serving.fleet import Pool, RequestStream
from aifactory.serving.slo_sizing import Slo, check_floors, parse_slos
from aifactory.serving.step_time_estimate import copies_remark, estimate_step_time


def cheapest(trace: Path, model: str, platforms: Sequence[str], slo: str, shown: int = 10) -> dict[str, object]:
    """Fleets that keep the SLO, cheapest first, and the platforms that cannot.

    Returns
    -------
    requests; offers (fleet, usd_per_hour, tier of each platform's step time); refused (platform -> why); remarks.
    Platforms without a price in the catalogue stand at the end.
    """
    slos = parse_slos(slo)
    row = find_model(model, "--model")
    requests, remarks = read_noted_stream(trace)
    if isinstance(row.get("provenance"), str):
        remarks.append(row["provenance"])
    pools, tiers, refused = {}, {}, {}
    for name in dict.fromkeys(platforms):
        chip = find_row("accelerators", "accelerator_id", name, "--platforms")
        try:
            said = estimate_step_time(row, chip, context_tokens=mean_context(requests))
        except InputError as error:
            refused[str(chip["accelerator_id"])] = str(error)
            continue
        price = usd_per_accelerator_hour(str(chip["accelerator_id"])) * said.law.accelerators
        pools[str(chip["accelerator_id"])], tiers[str(chip["accelerator_id"])] = Pool(said.law, 1, price), said.tier
        remarks += [price_remark(str(chip["accelerator_id"])), *copies_remark(row, said.law.accelerators)]
    if not pools:
        raise InputError("; ".join(refused.values()) or "--platforms names none")
    try:
        offers = cheapest_fleets(requests, pools, slos)
    except InputError as error:
        whys = [*refused.values(), *(_why(pool, requests, slos, name) for name, pool in pools.items())]
        raise InputError(f"{error}: {'; '.join(whys)}") from None
    alone = {offer.name.split(" x ", 1)[1] for offer in offers if " + " not in offer.name}
    refused |= {name: _why(pool, requests, slos, name) for name, pool in pools.items() if name not in alone}
    rows = [
        {
            "fleet": offer.name,
            "usd_per_hour": float(offer.usd_per_hour) if np.isfinite(offer.usd_per_hour) else None,
            "tiers": {name: tiers[name] for name in (part.split(" x ", 1)[1] for part in offer.name.split(" + "))},
        }
        for offer in offers[:shown]
    ]
    return {"requests": len(requests), "offers": rows, "refused": refused, "remarks": remarks}


def _why(pool: Pool, requests: RequestStream, slos: tuple[Slo, ...], name: str) -> str:
    """Why a platform alone keeps the SLO with no number of replicas."""
    try:
        check_floors(pool.law, requests, slos, name)
    except InputError as error:
        return str(error)
    return f"no number of replicas of {name} alone keeps {', '.join(map(str, slos))}"
