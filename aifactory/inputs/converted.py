"""Bills in other currencies in US dollars: only by rates that somebody answers for."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext

import pandas as pd

from aifactory.inputs.exchange_rates import OURS, ExchangeRate, rate_of
from aifactory.inputs.findings import Finding
from aifactory.inputs.money import EXACT

MONEY = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
#: Column of a converted bill: the currency that charges were made in, missing where that is ours.
CONVERTED_FROM = "converted_from"


def in_dollars(billing: pd.DataFrame, rates: Sequence[ExchangeRate]) -> tuple[pd.DataFrame, list[Finding]]:
    """Charges of other currencies in US dollars, amount by amount, exactly, with `CONVERTED_FROM`; and a finding for each rate used.

    Amounts in USD = amount x rate of the month of the invoice. Charges without a rate stay as they are.

    Parameters
    ----------
    billing : a derived bill, with `BillingCurrency`, `invoice_month` and money as Decimals.
    """
    other = billing.loc[billing["BillingCurrency"] != OURS, ["BillingCurrency", "invoice_month"]]
    if other.empty:
        return billing, []
    billing, used = billing.copy(), {}
    for (currency, month), rows in other.groupby(["BillingCurrency", "invoice_month"]):
        rate = rate_of(rates, currency, month)
        if rate is None:
            continue
        if CONVERTED_FROM not in billing:
            billing[CONVERTED_FROM] = None
        for name in MONEY:
            billing.loc[rows.index, name] = _times(billing.loc[rows.index, name], rate.usd)
        billing.loc[rows.index, ["BillingCurrency", CONVERTED_FROM]] = OURS, currency
        used.setdefault((currency, rate.from_month), (rate, []))[1].append((month, len(rows)))
    return billing, [_told(rate, months) for rate, months in used.values()]


def _told(rate: ExchangeRate, months: list[tuple[str, int]]) -> Finding:
    """The finding of a rate: of which invoices, and how many charges."""
    first, last = months[0][0], months[-1][0]
    span = first if first == last else f"{first} to {last}"
    count = sum(rows for _, rows in months)
    rule = f"{count:,} charges of {span} are shown in {OURS} at {rate.usd} for one {rate.currency} ({rate.source}, {rate.as_of})"
    return Finding("billing", "converted_money", "warned", rule, None, "BillingCurrency", rate.currency)


def _times(amounts: pd.Series, rate: Decimal) -> pd.Series:
    with localcontext(EXACT):
        products = [amount * rate if isinstance(amount, Decimal) else amount for amount in amounts]
    return pd.Series(products, index=amounts.index, dtype="object")
