"""Bills in other currencies in US dollars: only by rates that somebody answers for."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext

import pandas as pd

from aifactory.inputs.checks import Finding
from aifactory.inputs.exchange_rates import OURS, ExchangeRate, rate_of
from aifactory.inputs.money import EXACT

MONEY = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")


def in_dollars(billing: pd.DataFrame, rates: Sequence[ExchangeRate]) -> tuple[pd.DataFrame, list[Finding]]:
    """Charges of other currencies in US dollars, amount by amount, exactly; and a finding for each rate used.

    Amounts in USD = amount x rate of the month of the invoice. Charges without a rate stay as they are.

    Parameters
    ----------
    billing : a derived bill, with `BillingCurrency`, `invoice_month` and money as Decimals.
    """
    other = billing.loc[billing["BillingCurrency"] != OURS, ["BillingCurrency", "invoice_month"]]
    if other.empty:
        return billing, []
    billing, findings = billing.copy(), []
    for (currency, month), rows in other.groupby(["BillingCurrency", "invoice_month"]):
        rate = rate_of(rates, currency, month)
        if rate is None:
            continue
        for name in MONEY:
            billing.loc[rows.index, name] = _times(billing.loc[rows.index, name], rate.usd)
        billing.loc[rows.index, "BillingCurrency"] = OURS
        rule = f"{len(rows):,} charges of {month} are shown in {OURS} at {rate.usd} for one {currency} ({rate.source}, {rate.as_of})"
        findings.append(Finding("billing", "converted_money", "warned", rule, None, "BillingCurrency", currency))
    return billing, findings


def _times(amounts: pd.Series, rate: Decimal) -> pd.Series:
    with localcontext(EXACT):
        products = [amount * rate if isinstance(amount, Decimal) else amount for amount in amounts]
    return pd.Series(products, index=amounts.index, dtype="object")
