"""Exchange rates apart from prices: by hand, at the limits, and in a bill that was converted."""

from decimal import Decimal
from types import SimpleNamespace

import pandas as pd
import pytest

from aifactory.inputs.converted import in_dollars
from aifactory.inputs.exchange_rates import ExchangeRate
from aifactory.report.refresh_page import exchange_sentence
from aifactory.review.exchange import exchange_effects

ABOUT = {"source": "central bank", "as_of": "2026-10-31"}
RATES = [
    ExchangeRate(currency="EUR", from_month="2026-01", usd="1.12", **ABOUT),
    ExchangeRate(currency="EUR", from_month="2026-10", usd="1.08", **ABOUT),
    ExchangeRate(currency="JPY", from_month="2026-01", usd="0.0066", **ABOUT),
]


def company(*charges, rates=RATES):
    """A company of October 2026 whose bill holds charges (currency, month, amount), converted as on loading."""
    bill = pd.DataFrame(charges, columns=["BillingCurrency", "invoice_month", "EffectiveCost"])
    bill["EffectiveCost"] = [Decimal(str(amount)) for amount in bill["EffectiveCost"]]
    money = dict.fromkeys(("BilledCost", "ListCost", "ContractedCost"), bill["EffectiveCost"])
    bill, _ = in_dollars(bill.assign(**money), rates)
    return SimpleNamespace(table={"billing": bill}.get, period="2026-10", plan=SimpleNamespace(exchange_rates=rates))


def test_what_the_rate_alone_moves_is_the_bill_at_both_rates():
    """79,200 euros at 1.08 instead of 1.12 are 3,168 dollars less, whatever September cost; yen and dollars did not move."""
    ws = company(
        ("EUR", "2026-10", 79_200), ("EUR", "2026-09", 50_000), ("JPY", "2026-10", 1e6), ("USD", "2026-10", 9_000)
    )
    (row,) = exchange_effects(ws).itertuples(index=False)
    assert (row.currency, row.usd_before, row.usd_now) == ("EUR", 1.12, 1.08)
    assert row.effect_usd == pytest.approx(79_200 * (1.08 - 1.12))
    told = exchange_sentence(ws).replace("\xa0", " ")
    assert (
        told
        == " Exchange rates alone moved the bill by USD −3.17 k (USD for one EUR 1.12 to 1.08), told under price and, of charges that no use case explains, under other."
    )


def test_nothing_is_told_where_no_rate_moved_the_bill():
    for charges in (
        [("USD", "2026-10", 9_000)],
        [("JPY", "2026-10", 1e6)],
        [("EUR", "2026-09", 79_200), ("USD", "2026-10", 1)],
    ):
        assert exchange_sentence(company(*charges)) == ""
    assert exchange_sentence(company(("EUR", "2026-10", 79_200), rates=RATES[1:])) == ""  # September has none
