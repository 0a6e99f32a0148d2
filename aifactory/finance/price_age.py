"""How old the prices are that a report stands on, and how many of them can be trusted."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pandas as pd

from aifactory.finance.options import OPTION_NAMES
from aifactory.finance.prices import price_table
from aifactory.inputs.plan import Plan
from aifactory.units import counted


@dataclass(frozen=True)
class PriceAge:
    """Age of a set of prices on a day."""

    count: int
    first: str
    last: str
    oldest: str  # which offer is the oldest
    oldest_days: int
    stale: int  # past the freshness limit of their option
    unverified: int  # claimed or assumed, not measured
    later: int = 0  # noted after the day, for want of an earlier one

    @property
    def sound(self) -> bool:
        """Whether all prices are fresh, measured and known on the day."""
        return self.stale == 0 and self.unverified == 0 and self.later == 0

    @property
    def sentence(self) -> str:
        """Age in words, with what is stale or not verified."""
        return self.sentence_of("Prices")

    def sentence_of(self, what: str) -> str:
        """The same of what the prices are called."""
        if not self.count:
            return "No price is used."
        span = self.first if self.first == self.last else f"{self.first} to {self.last}"
        aged = f"; the oldest, {self.oldest}, is {counted(self.oldest_days, 'day')} old" if self.oldest_days else ""
        text = f"{what} are of {span}{aged}"
        faults = [
            f"{count} of {self.count} {'is' if count == 1 else 'are'} {words}"
            for count, words in (
                (self.stale, "past their freshness limit" if self.stale > 1 else "past its freshness limit"),
                (self.unverified, "not verified"),
                (self.later, "noted after the month, for want of an earlier one"),
            )
            if count
        ]
        return f"{text}; {', '.join(faults)}." if faults else f"{text}; all are fresh and measured."


def price_age(rows: pd.DataFrame, freshness_days: dict[str, int], as_of: dt.date | str) -> PriceAge:
    """Age on a day of the rows of a price table: `accelerator_id, purchase_option, as_of, age_days, confidence`.

    An option without a limit is never stale. Equal ages: the first in the order of the rows.
    """
    if rows.empty:
        return PriceAge(0, "", "", "", 0, 0, 0)
    oldest = rows.loc[rows["age_days"].idxmax()]
    limit = rows["purchase_option"].map(freshness_days).astype("float64")
    return PriceAge(
        count=len(rows),
        first=f"{rows['as_of'].min():%Y-%m-%d}",
        last=f"{rows['as_of'].max():%Y-%m-%d}",
        oldest=f"{oldest['accelerator_id']} ({OPTION_NAMES.get(oldest['purchase_option'], 'hosted').lower()})",
        oldest_days=int(oldest["age_days"]),
        stale=int((rows["age_days"] > limit).sum()),
        unverified=int((rows["confidence"] != "measured").sum()),
        later=int((rows["as_of"] > pd.Timestamp(as_of)).sum()),
    )


def price_age_of(prices: pd.DataFrame, plan: Plan, as_of: dt.date | str) -> PriceAge:
    """Age of the prices that hold for the candidates of a plan; of the regions of an offer the one with the oldest counts."""
    rows = price_table(prices, plan, as_of).sort_values("age_days", ascending=False, kind="stable")
    rows = rows.drop_duplicates(["accelerator_id", "purchase_option"]).sort_index()
    return price_age(rows, plan.price_freshness_days, as_of)


def api_price_age(api_prices: pd.DataFrame, freshness_days: dict[str, int], as_of: dt.date | str) -> PriceAge:
    """Age of the prices of hosted models that state a price per token, against the limit of `api`."""
    rows = api_prices[api_prices[["input_usd_per_mtok", "output_usd_per_mtok"]].gt(0).all(axis=1)]
    rows = rows.reset_index(drop=True).assign(accelerator_id=lambda held: held["api_model"], purchase_option="api")
    dates = pd.to_datetime(rows["as_of"])
    age = (pd.Timestamp(as_of) - dates).dt.days.clip(lower=0)
    return price_age(rows.assign(as_of=dates, age_days=age), freshness_days, as_of)
