"""The second view of finance: what leases put on the balance sheet, and tax under other write-offs.

Money for the decision is cash; nothing here changes it. Whether a contract holds a lease is for the
controller to decide (ASC 842, IFRS 16): hosted and reserved capacity without identified hardware is
usually a service and stays off the balance sheet.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Answer, Case
from aifactory.buyplan.compare import rule_orders
from aifactory.buyplan.ledger import net_present_value, under_regime
from aifactory.finance.leases import lease_schedule
from aifactory.finance.options import COMMITTED_OPTIONS
from aifactory.finance.tax import REGIMES
from aifactory.fleet.orders import Orders
from aifactory.fleet.terms import Terms
from aifactory.units import MONTHS_PER_YEAR, monthly_rate

LEASE = COMMITTED_OPTIONS.index("lease")
LEASE_COLUMNS = ["way_to_pay", "year", "cash_usd", "liability_most_usd", "liability_usd", "asset_usd", "operating_expense_usd",
                 "finance_expense_usd"]  # fmt: skip
OURS, BASE_LEASED = "This plan", "Base leased"


def tax_regimes_frame(case: Case, answer: Answer) -> pd.DataFrame:
    """Tax and NPV of the expected orders under each way to write off purchases.

    Columns: regime, label, tax_usd, npv_usd, above_stated_usd (NPV over that of the plan's regime).
    """
    first, ledger = case.streams.months[0], answer.expected.ledger
    rows = []
    for regime, label in REGIMES.items():
        held = under_regime(ledger, regime, first, case.plan)
        npv = net_present_value(held, case.plan)
        rows.append({"regime": regime, "label": label, "tax_usd": float(held.tax_usd.sum()), "npv_usd": npv})
    frame = pd.DataFrame(rows)
    stated = frame.loc[frame["regime"] == case.plan.tax_depreciation, "npv_usd"].iloc[0]
    return frame.assign(above_stated_usd=frame["npv_usd"] - stated)


def leases_frame(case: Case, answer: Answer, base: np.ndarray) -> pd.DataFrame:
    """Leases of this plan, and of its base if it were leased, as a controller would book them, by year.

    Balances at the end of the year, the highest liability at the end of one of its months, expense and cash in it; year 0 is the approval. `base` holds the
    slots [T + 1, N] that would be leased. Operating and finance lease differ in expense, not in cash.
    """
    expected, rate = answer.expected, monthly_rate(case.plan.value("borrowing_rate"))
    ways = {OURS: expected.orders}
    if expected.terms.available[LEASE].any():
        ways[BASE_LEASED] = rule_orders(case, answer, base, "lease")
    frames = [_by_year(_booked(orders, expected.terms, rate)).assign(way_to_pay=name) for name, orders in ways.items()]
    frame = pd.concat(frames, ignore_index=True)
    return frame.loc[frame["cash_usd"] + frame["liability_usd"] > 0, LEASE_COLUMNS].reset_index(drop=True)


def _booked(orders: Orders, terms: Terms, rate: float) -> pd.DataFrame:
    """Sum of the schedules of all leases by month, [T + 1]: balances of whole terms, months beyond the horizon not told."""
    months = len(orders.signed)
    names = ["payment_usd", "liability_usd", "asset_usd", "operating_usd", "finance_usd"]
    total = pd.DataFrame(0.0, index=range(months), columns=names)
    month, slot = np.nonzero(orders.signed == LEASE)
    rows = pd.DataFrame(
        {
            "month": month,
            "term": terms.term[LEASE, slot],
            "share": terms.upfront_share[LEASE, slot],
            "rent": terms.rent_usd_month[LEASE, slot],
        }
    )
    for (start, term, share), rent in rows.groupby(["month", "term", "share"])["rent"].sum().items():
        payments = np.full(term, rent * (1.0 - share))
        payments[0] += rent * share * term
        both = {kind: lease_schedule(payments, rate, kind=kind) for kind in ("operating", "finance")}
        booked = both["finance"][["payment_usd", "liability_usd", "asset_usd"]].assign(
            operating_usd=both["operating"]["expense_usd"], finance_usd=both["finance"]["expense_usd"]
        )
        end = min(start + term, months)
        total.iloc[start:end] += booked.to_numpy()[: end - start]
    return total


def _by_year(booked: pd.DataFrame) -> pd.DataFrame:
    year = np.ceil(np.arange(len(booked)) / MONTHS_PER_YEAR).astype(int)
    by = booked.groupby(year)
    return pd.DataFrame(
        {
            "year": sorted(set(year.tolist())),
            "cash_usd": by["payment_usd"].sum().to_numpy(),
            "liability_most_usd": by["liability_usd"].max().to_numpy(),
            "liability_usd": by["liability_usd"].last().to_numpy(),
            "asset_usd": by["asset_usd"].last().to_numpy(),
            "operating_expense_usd": by["operating_usd"].sum().to_numpy(),
            "finance_expense_usd": by["finance_usd"].sum().to_numpy(),
        }
    )
