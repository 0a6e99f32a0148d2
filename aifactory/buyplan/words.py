"""Limits and orders in words: indices of a planning problem by the names of its case."""

from __future__ import annotations

import re

from aifactory.buyplan.case import Case
from aifactory.buyplan.caveats import fiscal_year


def spoken(case: Case, sentence: str) -> str:
    """A sentence about limits with platforms, months and years by their names."""
    pools, months = case.streams.pools, case.streams.months
    first = fiscal_year(months[0], case.plan.fiscal_year_start_month)
    places = [f"{row.accelerator_id} in {row.region}" for row in pools.itertuples()]
    for word, name in (
        ("platform", lambda at: places[at]),
        ("month", lambda at: months[at + 1]),
        ("year", lambda at: f"fiscal year {first + at - 1}"),
    ):
        sentence = re.sub(rf"\b{word} (\d+)\b", lambda found, name=name: name(int(found[1])), sentence)
    return sentence
