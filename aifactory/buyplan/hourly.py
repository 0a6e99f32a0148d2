"""What the plan rents by the hour, and what is rented today and soon serves nothing: nobody orders either, and no contract ends it."""

from __future__ import annotations

import pandas as pd

from aifactory.buyplan.governance import month_name
from aifactory.finance.options import FLEXIBLE_OPTIONS
from aifactory.fleet.placed import PLACE
from aifactory.units import few

#: Months of the plan that are told.
MONTHS = 12


def rented_sentences(fleet: pd.DataFrame, options: pd.DataFrame) -> list[str]:
    """Accelerators by the hour in the first month of the expected scenario and in the month of the first year with the most of them.

    Parameters
    ----------
    fleet : scenario, month, region, accelerator_id, accelerators, committed (`bands.fleet_frame`).
    options : ways to pay by region and accelerator; where no hours are rented, what is lacking waits for its order.
    """
    offered = options[options["purchase_option"].isin(FLEXIBLE_OPTIONS)] if len(options) else options
    first = _first_year(fleet)
    first = first.merge(offered[PLACE].drop_duplicates(), on=PLACE) if len(first) and len(offered) else first[:0]
    if first.empty:
        return []
    hours = (first["accelerators"] - first["committed"]).clip(lower=0)
    by = hours.groupby([first["month"], first["accelerator_id"]]).sum().unstack(fill_value=0)
    whole = by.sum(axis=1)
    if not whole.any():
        return []
    told = [month for month in dict.fromkeys([whole.index[0], whole.idxmax()]) if whole[month] > 0]
    months = " and ".join(f"{whole[month]:,.0f} in {month_name(month)} ({_listed(by.loc[month])})" for month in told)
    return [
        f"By the hour the plan rents {months}, expected scenario, reserve and whole nodes included: nobody orders them and no provider owes them. "
        "Ask for quota or an agreement on supply before they are needed."
    ]


def leaving_sentences(fleet: pd.DataFrame, installed: pd.DataFrame) -> list[str]:
    """Places whose accelerators the plan needs at first and none of within a year: what is rented by the hour there has no end of its own.

    installed : rows of the `pools` table of the plan: region, accelerator_id, installed, needed_max.
    """
    first, found = _first_year(fleet), []
    stands = installed[(installed["installed"] > 0) & (installed["needed_max"] > 0)]
    for row in stands.itertuples():
        mine = first[(first["region"] == row.region) & (first["accelerator_id"] == row.accelerator_id)]
        needed = mine.set_index("month")["accelerators"]
        last = needed[needed > 0].index.max()
        if len(needed) and needed.iloc[0] > 0 and needed.iloc[-1] == 0:
            found.append(
                f"{needed.iloc[0]:,.0f} {row.accelerator_id} in {row.region} are needed in {month_name(needed.index[0])} and none after "
                f"{month_name(last)}: {row.installed:,.0f} are installed; end what is rented by the hour then, the plan pays for none."
            )
    return found


def _first_year(fleet: pd.DataFrame) -> pd.DataFrame:
    expected = fleet[fleet["scenario"] == "expected"] if len(fleet) else fleet
    return expected[expected["month"].isin(sorted(expected["month"].unique())[:MONTHS])] if len(expected) else expected


def _listed(by_accelerator: pd.Series) -> str:
    held = by_accelerator[by_accelerator > 0].sort_values(ascending=False, kind="stable")
    return few([f"{count:,.0f} {name}" for name, count in held.items()])
