"""Regions and providers that no other file knows: of the data against plan.yaml, of own prices against the provider regions there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from os.path import commonprefix

import pandas as pd

from aifactory.errors import nearest, with_nearest
from aifactory.inputs.plan import Region
from aifactory.inputs.resources import data_dir

#: Tables whose regions are those of plan.yaml; request rows first, since they become rows of the three after them.
PLACED = ("requests", "demand_windows", "latency_histograms", "tenant_usage", "latency_bounds", "jobs", "pools", "commitments")  # fmt: skip
FROM_REQUESTS = PLACED[1:4]
EVERYWHERE = "*"
#: (row of the file, column, value, rule)
Doubt = tuple[int, str, str, str]


def undescribed_regions(tables: Mapping[str, pd.DataFrame], regions: Sequence[str]) -> Iterator[tuple[str, Doubt]]:
    """Table and first row of each region of the data that plan.yaml does not describe."""
    told: set[str] = set()
    for table in PLACED:
        column = tables[table]["region"]
        unknown = column[column.notna() & ~column.isin(regions)].drop_duplicates()
        for row, value in unknown.items():
            if not (table in FROM_REQUESTS and value in told):
                yield table, (int(row) + 2, "region", value, with_nearest("is not described in plan.yaml.", value, regions))  # fmt: skip
            if table == "requests":
                told.add(value)


def unserved_prices(prices: pd.DataFrame, regions: Sequence[Region]) -> Iterator[Doubt]:
    """Own prices that hold in no region of the plan and are more likely misspelt than meant for elsewhere.

    Parameters
    ----------
    prices : the prices table, own rows first, with the row numbers of their file as index.
    regions : regions of the plan with the provider regions whose prices hold there.

    Yields
    ------
    The first row of a provider that neither the plan nor the catalogue knows: its price is used nowhere. Of a known provider
    the first row of a region that is one slip away from one of the plan's or has the plan's own name, and of a provider
    none of whose own prices hold anywhere in the plan. A price of another real region stands in and is not doubted.
    """
    known = pd.read_csv(data_dir() / "catalogue" / "prices.csv", usecols=["price_id", "provider", "region"])
    own = prices[~prices["price_id"].isin(known["price_id"])]
    own = own[~(own["purchase_option"].isin(["purchase", "lease"]) & (own["region"] == EVERYWHERE))]
    named = sorted({provider for item in regions for provider in item.provider_regions})
    for provider, rows in own.groupby("provider", sort=False):
        held = {item.provider_regions[provider]: item.region for item in regions if provider in item.provider_regions}
        if not held:
            if provider not in set(known["provider"]):
                rule = "no region of plan.yaml names this provider under provider_regions: its prices are used nowhere (hardware to buy or lease may stand in region '*')."
                yield int(rows.index[0]) + 2, "provider", str(provider), with_nearest(rule, provider, named)
            continue
        holds = rows["region"].isin([*held, EVERYWHERE])
        real = set(known.loc[known["provider"] == provider, "region"])
        for row, value in rows.loc[~holds & ~rows["region"].isin(real), "region"].drop_duplicates().items():
            slips = [theirs for theirs in held if one_slip(value, theirs)]
            slips += [theirs for theirs, ours in held.items() if ours == value]
            if slips or not holds.any():
                rule = f"is a region of {provider} that plan.yaml names nowhere under provider_regions: the price holds in no region and only stands in where none does."
                yield int(row) + 2, "region", str(value), with_nearest(rule, value, slips or sorted(held))


def misspelt_providers(prices: pd.DataFrame, regions: Sequence[Region]) -> Iterator[tuple[str, str]]:
    """Providers of the plan that no price is of though one has nearly that name, and what to do: (provider, rule).

    One whose name is like no other may stand there for the regions of its bills alone.
    """
    known = set(prices["provider"].dropna())
    for provider in sorted({provider for item in regions for provider in item.provider_regions} - known):
        hint = nearest(provider, known)
        if "Did" in hint:
            yield provider, f"(plan.yaml) is the provider of no price, so that nothing of it can be rented.{hint}"


def one_slip(one: str, other: str) -> bool:
    """Whether two texts of the same digits differ by one letter or sign left out, put in, changed, or by two swapped.

    >>> one_slip("eu-wset-1", "eu-west-1"), one_slip("westeurop", "westeurope")
    (True, True)
    >>> one_slip("us-east-2", "us-east-1"), one_slip("us-west-1", "us-east-1"), one_slip("eu", "eu")
    (False, False, False)
    """
    if re.sub(r"\D", "", one) != re.sub(r"\D", "", other):
        return False
    head = len(commonprefix([one, other]))
    one, other = one[head:], other[head:]
    tail = len(commonprefix([one[::-1], other[::-1]]))
    one, other = one[: len(one) - tail], other[: len(other) - tail]
    swapped = len(one) == 2 and one == other[::-1]
    return one != other and (swapped or max(len(one), len(other)) == 1)
