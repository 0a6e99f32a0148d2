"""What the worked examples answer: the platform to start on, the specialised alternative, and how sure that is."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.shortlist.build import Shortlist
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.knowledge import cost_draws
from aifactory.shortlist.migration import GENERAL_CLASSES
from aifactory.shortlist.money import needed_capacity
from aifactory.shortlist.outcome import GENERAL
from aifactory.units import pace, percent

#: Share of draws from which an alternative is worth a benchmark: one chance in ten.
WORTH_A_LOOK = 0.1
UNKNOWN = "no specialised platform has a capacity and a price that public figures can carry: benchmark first"


def answer(name: str, short: Shortlist, changed: Shortlist) -> dict[str, object]:
    """Platform, alternative and judgement of one example.

    `changed` is the shortlist of the same examples with prompts that change every month.
    """
    row = facts(name, short)
    argued, why = _JUDGES[name](name, row, short, changed)
    return row | {"as_argued": argued, "explanation": why}


def facts(name: str, short: Shortlist) -> dict[str, object]:
    """The platform to start on and the cheapest specialised (at the edge: any other) platform, with their money."""
    choice = short.choice.set_index("use_case_id").loc[name]
    row: dict[str, object] = {
        "platform": choice["accelerator_id"],
        "layer": choice["tier_label"],
        "total_usd": choice["total_usd"],
    }
    rivals = _rivals(name, short)
    if not isinstance(row["platform"], str) or rivals.empty:
        return row
    best = rivals.sort_values("total_usd", kind="stable").iloc[0]
    both = pd.concat([short.penalties[(short.penalties["use_case_id"] == name) & (short.penalties["accelerator_id"] == row["platform"])],
                      best.to_frame().T.infer_objects()])  # fmt: skip
    known = np.isfinite(both[["total_low_usd", "total_high_usd"]].astype(float)).all(axis=None)
    mine, theirs = cost_draws(both) if known else (np.array([np.nan]), np.array([np.nan]))
    row |= {
        "alternative": best["accelerator_id"], "alternative_usd": best["total_usd"], "alternative_tier": best["tier"],
        "alternative_low_usd": best["total_low_usd"], "alternative_high_usd": best["total_high_usd"],
        "cheaper_probability": float((theirs < mine).mean()) if known else np.nan,
        "needed_units_per_s": float(needed_capacity(best.to_frame().T, [row["total_usd"]])[0]),
    }  # fmt: skip
    worth = short.knowledge[
        (short.knowledge["use_case_id"] == name) & (short.knowledge["accelerator_id"] == best["accelerator_id"])
    ]
    row["benchmark_net_usd"] = float(worth["net_usd"].iloc[0]) if len(worth) else np.nan
    move = short.migrations[
        (short.migrations["use_case_id"] == name) & (short.migrations["accelerator_id"] == best["accelerator_id"])
    ]
    columns = {"payback_months": "payback_months_discounted"}
    columns |= {key: key for key in ("break_even_units_per_month", "bearable_changes_per_year")}
    return row | ({key: move[column].iloc[0] for key, column in columns.items()} if len(move) else {})


def _rivals(name: str, short: Shortlist) -> pd.DataFrame:
    """Priced platforms other than the chosen one that no rule excludes; general ones only beside an edge device."""
    cells = short.matrix[short.matrix["use_case_id"] == name]
    cells = cells.merge(short.penalties, on=KEYS)
    out = short.exclusions.loc[short.exclusions["use_case_id"] == name, "accelerator_id"]
    chosen = short.choice.set_index("use_case_id").loc[name, "accelerator_id"]
    cells = cells[~cells["accelerator_id"].isin(out) & cells["total_usd"].notna() & (cells["accelerator_id"] != chosen)]
    at_edge = (cells["workload_class"] == "edge_on_device").any()
    return cells if at_edge else cells[~cells["platform_class"].isin(GENERAL_CLASSES)]


def _range(row: dict[str, object]) -> str:
    return (
        f"USD {row['alternative_usd']:,.0f} ({row['alternative_low_usd']:,.0f} to {row['alternative_high_usd']:,.0f})"
    )


def _decides(row: dict[str, object]) -> str:
    """Which benchmark would decide, and what it is worth."""
    if not np.isfinite(row["needed_units_per_s"]):
        return "no capacity would be enough, so no benchmark can decide"
    worth = row["benchmark_net_usd"]
    text = f"a benchmark of {row['alternative']} decides: cheaper from {pace(row['needed_units_per_s'])} per accelerator on"
    if not np.isfinite(worth):
        return text
    return (
        f"{text}; worth up to USD {worth:,.0f} more than it costs"
        if worth > 0
        else f"{text}; today it costs more than it is worth"
    )


def _copilot(name: str, row: dict[str, object], short: Shortlist, changed: Shortlist) -> tuple[bool, str]:
    """Argued right where the start is on GPUs and no specialised platform is the likelier cheaper one."""
    del changed
    on_gpu = row["layer"] == GENERAL
    if "alternative" not in row:
        return on_gpu, f"GPUs are what can be sized today; {UNKNOWN}"
    parts = short.penalties.set_index(KEYS).loc[(name, row["alternative"])]
    burden = parts[["porting_usd", "launch_delay_usd", "until_ported_usd", "rework_usd"]].sum()
    chance = row["cheaper_probability"]
    text = (f"{row['alternative']} would cost {_range(row)}, USD {burden:,.0f} of it porting, delay and rework; it is cheaper than "
            f"the GPUs (USD {row['total_usd']:,.0f}) in {percent(chance)} of draws; {_decides(row)}")  # fmt: skip
    if chance > 0.5:
        return (
            False,
            f"{text}. At these volumes the specialised platform is the likelier cheaper one even with monthly changes",
        )
    return on_gpu, text


def _support(name: str, row: dict[str, object], short: Shortlist, changed: Shortlist) -> tuple[bool, str]:
    """Argued right where a specialised platform has a real chance of being cheaper while demand is stable."""
    del short
    if "alternative" not in row:
        return False, f"open: {UNKNOWN}"
    restless = facts(name, changed)
    chance, often = row["cheaper_probability"], restless.get("cheaper_probability", np.nan)
    text = (f"{row['alternative']} would cost {_range(row)} and is cheaper than {row['platform']} (USD {row['total_usd']:,.0f}) in {percent(chance)} "
            f"of draws with stable prompts, in {percent(often)} where they change every month")  # fmt: skip
    if np.isfinite(row.get("payback_months", np.inf)):
        text += (f"; in the middle it pays back its porting in {row['payback_months']:.1f} months, from {row['break_even_units_per_month']:,.0f} "
                 f"units a month on, and bears {row['bearable_changes_per_year']:.0f} changes a year")  # fmt: skip
    return bool(chance >= WORTH_A_LOOK), f"{text}; {_decides(row)}"


def _edge(name: str, row: dict[str, object], short: Shortlist, changed: Shortlist) -> tuple[bool, str]:
    """Argued right where power rules out parts of the data centre and what is left can stand on the site."""
    del changed
    out = short.exclusions[short.exclusions["use_case_id"] == name]
    power = out.loc[out["rule"] == "edge power", "accelerator_id"].tolist()
    text = (
        f"power rules out {len(power)} of the candidates ({', '.join(power)})"
        if power
        else "no candidate draws too much power"
    )
    if not isinstance(row["platform"], str):
        return False, f"{text}; of the rest no capacity and price is known: benchmark first"
    text += f"; {row['platform']} stands on the site and is bought for it"
    if "alternative" in row:
        text += (f"; {row['alternative']} would cost {_range(row)} against USD {row['total_usd']:,.0f}, cheaper in "
                 f"{percent(row['cheaper_probability'])} of draws; {_decides(row)}")  # fmt: skip
    return bool(power), text


_JUDGES = {"copilot-rollout": _copilot, "support-at-scale": _support, "edge-site": _edge}
