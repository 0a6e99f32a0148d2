"""Unit costs in sentences: units worth less than they cost, and what a completed training run costs."""

from __future__ import annotations

import pandas as pd

from aifactory.report.text import join_words, num, plural, sig3

#: Use cases that cost more than they are worth, named in a sentence.
LOSERS = 5
#: Runs told one by one; the workbook holds all.
RUNS = 4


def told_of_units(units: pd.DataFrame) -> str:
    """Sentences after those on cost against list price; units : `BuyPlan.unit_summary`."""
    return _losers(units) + runs_told(units)


def runs_told(units: pd.DataFrame) -> str:
    """Cost and hours of a completed run of each use case in accelerator-hours, dearest first; "" where none is known.

    units : `BuyPlan.unit_summary` with `hours_per_run` and `usd_per_run` (`aifactory.buyplan.run_cost`).
    """
    if "usd_per_run" not in units:
        return ""
    known = units.dropna(subset=["usd_per_run"]).sort_values("usd_per_run", ascending=False, kind="stable")
    if known.empty:
        return ""
    each = [
        f"USD {sig3(row.usd_per_run)} for {row.use_case_id} ({num(row.hours_per_run, 1)} accelerator-hours)"
        for row in known.head(RUNS).itertuples()
    ]
    more = f"; {plural(len(known) - RUNS, 'use case')} more in the workbook" if len(known) > RUNS else ""
    return f" A training run that completes costs {join_words(each)}, with its share of those that fail or are cancelled{more}."


def _losers(rows: pd.DataFrame) -> str:
    """Use cases whose unit is worth less than it costs."""
    under = rows[rows["value_usd_per_unit"] < rows["average_usd_per_unit"]]
    if under.empty:
        return ""
    if len(under) > LOSERS:
        lost = (under["average_usd_per_unit"] - under["value_usd_per_unit"]) * under["units_month"]
        under = under.loc[lost.sort_values(ascending=False, kind="stable").index]
    pairs = [
        f"{row.use_case_id} (USD {sig3(row.value_usd_per_unit)} against {sig3(row.average_usd_per_unit)})"
        for row in under.head(LOSERS).itertuples()
    ]
    more = f"{plural(len(under), 'use case')}, by most a month for " if len(under) > LOSERS else ""
    return f" A unit is worth less than it costs for {more}{join_words(pairs)}."
