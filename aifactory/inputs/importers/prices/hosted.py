"""How a new list of prices of hosted models differs from what is held."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.importers.prices.guards import compare, gone

MODEL = ["api_model", "provider"]
#: What became of a model is what became of its prices, the first of these.
ORDER = ("conflict", "quarantined", "older", "moved", "changed", "new", "same", "held")
SHOWN = ["provider", "sku", "accelerator_id", "region", "purchase_option", "before", "price", "change", "state"]
GONE = [*SHOWN[:5], "price", "as_of"]


def compare_hosted(rows: pd.DataFrame, held: pd.DataFrame) -> tuple[pd.Series, pd.DataFrame, pd.DataFrame]:
    """State of each model (`compare`; one price that more than doubled or halved quarantines all) and its changes.

    Parameters
    ----------
    rows, held : columns of `api_prices`; the price columns begin with `usd_` or hold `_usd_`.

    Returns the state by row of `rows`; the `new`, `moved` and `quarantined` prices in the columns `SHOWN`;
    and held prices of the same providers that are no longer listed (`gone`). The sku is the price column.
    """
    listed, past = _by_price(rows), _by_price(held)
    seen = compare(listed, past)
    worst = seen["state"].map(ORDER.index).groupby(seen["row"]).min().map(lambda number: ORDER[number])
    changes = seen[seen["state"].isin(["new", "moved", "quarantined"])].assign(accelerator_id=seen["api_model"])
    left = gone(listed, past).assign(accelerator_id=lambda table: table["api_model"])
    return worst.reindex(rows.index), changes[SHOWN].reset_index(drop=True), left[GONE].reset_index(drop=True)


def _by_price(rows: pd.DataFrame) -> pd.DataFrame:
    """One offer per price of a model; a price of its own kind has no band to be measured by."""
    prices = [name for name in rows if "usd_per_" in name]
    long = rows.assign(row=rows.index).melt([*MODEL, "as_of", "row"], prices, "sku", "usd_per_accelerator_hour")
    long = long[long["usd_per_accelerator_hour"].notna()].reset_index(drop=True)
    long = long.assign(accelerator_id=long["api_model"] + " " + long["sku"], purchase_option="api", region="")
    return long.assign(term_months=0, upfront_fraction=0.0, usd_per_accelerator=float("nan"))
