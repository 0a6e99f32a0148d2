"""Use cases that no platform is left for: which constraints contradict each other, and the cheapest way out.

Each platform is left out by the first rule of the shortlist that holds for it, or because nothing is known of it there. All
these rules together leave nothing, and giving way on any one of them frees its platforms: they are a smallest conflicting set
as far as the first rules say. What a way out costs is the price of a thousand units on the cheapest platform that it frees.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

UNKNOWN = "benchmark"
#: Rule of an exclusion -> the constraint it stands for, and what giving way means; other rules are the plan's own.
WAYS = {
    "SLO": ("its latency targets", "a slower target"),
    "region": ("residency", "another region, or an offer in its own"),
    "memory": ("memory", "a smaller or more compressed model"),
    "scale-out": ("the width of its jobs", "a test of jobs over several nodes"),
    "price": ("offers", "an offer that can be taken"),
    "framework": ("frameworks", "another framework"),
    "support end": ("the end of support", "support beyond the horizon"),
    "availability": ("what is for sale", "an offer"),
    "edge site": ("its site", "another site"),
    "edge power": ("power of an edge site", "more power on the site"),
    UNKNOWN: ("what is measured", "a benchmark"),
}
#: Not a constraint that anybody could give way on.
KIND = "edge device"
NAMED = 3


def no_platform_sentences(
    use_cases: Iterable[str], exclusions: pd.DataFrame, capacity: pd.DataFrame, candidates: Iterable[str]
) -> list[str]:
    """One sentence per use case that rules leave without a platform; none where only nothing is known of it.

    Parameters
    ----------
    use_cases : those without a platform.
    exclusions : use_case_id, accelerator_id, rule, reason.
    capacity : use_case_id, accelerator_id, units_per_s_per_accelerator, usd_per_1k_units.
    candidates : accelerators of the plan.

    >>> gone = pd.DataFrame({"use_case_id": ["chat"] * 2, "accelerator_id": ["a", "b"], "rule": ["SLO", "region"], "reason": "x"})
    >>> known = pd.DataFrame({"use_case_id": ["chat"] * 2, "accelerator_id": ["a", "b"], "usd_per_1k_units": [None, 0.5],
    ...                       "units_per_s_per_accelerator": [0.0, 2.0]})
    >>> no_platform_sentences(["chat"], gone, known, ["a", "b"])
    ['No platform keeps its latency targets and residency of chat together: a slower target would free a (price not known), \
another region, or an offer in its own would free b (USD 0.5 per 1,000 units). The cheapest known way out: b.']
    """
    allowed, found = set(candidates), []
    for name in dict.fromkeys(use_cases):
        cells = capacity[(capacity["use_case_id"] == name) & capacity["accelerator_id"].isin(allowed)]
        mine = exclusions[(exclusions["use_case_id"] == name) & exclusions["accelerator_id"].isin(allowed)]
        mine = mine[mine["rule"] != KIND]
        price = (
            cells.drop_duplicates("accelerator_id").set_index("accelerator_id")["usd_per_1k_units"].astype("float64")
        )
        if mine.empty:
            continue
        others = set(cells["accelerator_id"]) - set(exclusions.loc[exclusions["use_case_id"] == name, "accelerator_id"])
        frees = {rule: sorted(rows["accelerator_id"]) for rule, rows in mine.groupby("rule", sort=True)}
        frees |= {UNKNOWN: sorted(others)} if others else {}
        found.append(_sentence(name, frees, price))
    return found


def _sentence(name: str, frees: dict[str, list[str]], price: pd.Series) -> str:
    stands = [WAYS.get(rule, (f"the rule on {rule}", ""))[0] for rule in frees]
    ways = [
        f"{WAYS.get(rule, ('', 'an exception'))[1]} would free {_listed(freed)} ({_price(price.reindex(freed).min())})"
        for rule, freed in frees.items()
    ]
    known = price.reindex([at for freed in frees.values() for at in freed]).dropna()
    cheapest = f" The cheapest known way out: {known.idxmin()}." if len(known) else ""
    return f"No platform keeps {_joined(stands)} of {name} together: {', '.join(ways)}.{cheapest}"


def _joined(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _price(usd: float) -> str:
    return f"USD {usd:,.3g} per 1,000 units" if pd.notna(usd) else "price not known"
