"""Entries that are allowed each and hardly belong together: two names of one thing, work on what does not carry it, prices of a thousandth."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd

from aifactory.errors import with_nearest
from aifactory.inputs.findings import Finding, Tables, rows_found
from aifactory.inputs.hosted import model_key
from aifactory.inputs.plan import Plan
from aifactory.inputs.region_checks import one_slip
from aifactory.inputs.resources import data_dir

CHECK = "unlikely_pairs"
#: Beyond this many times the dearest hosted price of the model, or below the cheapest divided by it, a price is doubted;
#: sellers of one model differ by up to 14 times (bundled prices, 2026-11-24).
FAR = 20.0
TOKEN_PRICES = ("input_usd_per_mtok", "output_usd_per_mtok")
#: Classes of platforms that stand at the place of use, and the work that is meant for it.
AT_THE_EDGE, EDGE_WORK = "edge", "edge_on_device"
#: Options in which whole servers are bought.
WHOLE_NODES = ("purchase", "lease")
#: How providers write their regions, with an example.
WRITTEN = {
    "AWS": (r"[a-z]{2,4}(-[a-z]+)+-\d$", "us-east-1"), "GCP": (r"[a-z]+-[a-z]+\d+$", "europe-west4"), "Azure": (r"[a-z]+\d?$", "westeurope"),
}  # fmt: skip


def unlikely_pairs(tables: Tables, plan: Plan) -> Iterator[Finding]:
    """Use cases have names of their own, baselines carry their work, orders fill servers, provider regions are written as theirs, hosted prices lie near others."""
    cases, orders = tables["use_cases"], tables["commitments"]
    for column in ("use_case_id", "name"):
        plain = cases[column].astype(str).map(_letters)
        rule = "is another use case's but for case, spaces or signs: is it the same one, counted twice?"
        again = (plain != "") & plain.duplicated()
        yield from rows_found(cases, again, "use_cases", CHECK, "warned", column, rule)
    size = orders["accelerator_id"].map(tables["accelerators"].set_index("accelerator_id")["accelerators_per_node"])
    part = orders["purchase_option"].isin(WHOLE_NODES) & (orders["accelerators"] % size.astype(float).fillna(1.0) != 0)
    rule = "is bought or leased and fills no whole servers of its kind (accelerators_per_node of accelerators.csv): servers instead of accelerators?"
    yield from rows_found(orders, part, "commitments", CHECK, "warned", "accelerators", rule)
    for column, value, rule in (*_baselines(tables, plan), *_places(tables, plan)):
        yield Finding("plan.yaml", CHECK, "warned", rule, None, column, value)
    yield from _hosted_prices(tables["api_prices"])
    yield from _lives_and_limits(cases)


def _lives_and_limits(cases: pd.DataFrame) -> Iterator[Finding]:
    """Use cases that retire at no time; first tokens that may come after the last."""
    first, last = cases["slo_p95_ttft_ms"].astype(float), cases["slo_p95_e2e_ms"].astype(float)
    doubts = {
        "stage": (cases["stage"].eq("retiring") & cases["retire_month"].isna(), "and no retire_month: its work is planned for the whole horizon; when does it end?"),
        "slo_p95_ttft_ms": (first > last, "is above slo_p95_e2e_ms, the limit for the whole answer: which of the two holds?"),
    }  # fmt: skip
    for column, (doubted, rule) in doubts.items():
        yield from rows_found(cases, doubted, "use_cases", CHECK, "warned", column, rule)


def _letters(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def _baselines(tables: Tables, plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Use cases away from the edge that are said to run on a device of the edge."""
    kind = tables["use_cases"].set_index("use_case_id")["workload_class"]
    at = tables["accelerators"].set_index("accelerator_id")["platform_class"]
    for name, chip in plan.baseline_accelerators.items():
        if at.get(chip) == AT_THE_EDGE and kind.get(name, EDGE_WORK) != EDGE_WORK:
            rule = f"is a device for the edge, and the use case is {kind[name]}: does it run there today?"
            yield f"baseline_accelerators {name}", chip, rule


def _places(tables: Tables, plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Regions that their provider would not write so, or that are one slip away from one with prices."""
    prices = tables["prices"]
    bundled = pd.read_csv(data_dir() / "catalogue" / "prices.csv", usecols=["provider", "region"])
    known, own = (
        {name: {*rows["region"].dropna()} - {"*"} for name, rows in table.groupby("provider", observed=True)}
        for table in (bundled, prices)
    )
    for region in plan.regions:
        for provider, place in region.provider_regions.items():
            held = sorted(known.get(provider, ()))
            style, example = WRITTEN.get(provider, ("", ""))
            slips = [other for other in held if one_slip(place, other)]
            if place not in own.get(provider, ()) and (slips or not re.match(style, place)):
                like = f" of {provider}, which are written like {example}" if style else ""
                rule = f"is no region{like}: no price is of it, those of other regions stand in."
                yield (
                    f"regions {region.region}: provider_regions {provider}",
                    place,
                    with_nearest(rule, place, slips or held),
                )


def _hosted_prices(prices: pd.DataFrame) -> Iterator[Finding]:
    """Own prices of tokens far from the bundled ones of the same model."""
    bundled = pd.read_csv(data_dir() / "catalogue" / "api_prices.csv", usecols=["api_model", "source", *TOKEN_PRICES])
    known = pd.MultiIndex.from_frame(bundled[["api_model", "source"]])
    own = prices[~pd.MultiIndex.from_frame(prices[["api_model", "source"]]).isin(known)]
    for column in TOKEN_PRICES:
        asked = bundled[bundled[column] > 0].groupby(bundled["api_model"].map(model_key))[column].agg(["min", "max"])
        for row, name, value in own.loc[own[column] > 0, ["api_model", column]].itertuples(name=None):
            if model_key(name) not in asked.index:
                continue
            low, high = asked.loc[model_key(name)]
            if not low / FAR <= value <= high * FAR:
                slip = "a thousand tokens" if value < low else "a billion tokens"
                span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
                rule = f"other prices of the model are {span} a million tokens: is it the price of {slip}?"
                yield Finding("api_prices", CHECK, "warned", rule, int(row) + 2, column, f"{value:g}")
