"""Rates of other currencies in US dollars, each with its month, source and date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from aifactory.inputs.said import Said

#: Prices of the catalogue, assumptions and reports are in this currency.
OURS = "USD"


def _ours(name: str) -> str:
    if name != OURS:
        raise ValueError(
            f"value {name!r}: plans are in {OURS}; write amounts in {OURS}, and rates of bills under exchange_rates"
        )
    return name


PlanCurrency = Annotated[str, AfterValidator(_ours)]


class ExchangeRate(BaseModel):
    """What one unit of a currency is worth in US dollars, for invoices of a month and of later ones until the next rate."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    from_month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    usd: Annotated[Decimal, Field(gt=0, lt=1_000_000)]
    source: Said
    as_of: date

    @property
    def note(self) -> str:
        """What to say of an amount that it was applied to."""
        return f"converted at {self.usd} USD a {self.currency} ({self.source}, {self.as_of})"


def _one_a_month(rates: list[ExchangeRate]) -> list[ExchangeRate]:
    given = [(rate.currency, rate.from_month) for rate in rates]
    if twice := next((pair for pair in given if given.count(pair) > 1), None):
        raise ValueError(f"{twice[0]} has two rates from {twice[1]} on: a month has one")
    return rates


ExchangeRates = Annotated[list[ExchangeRate], AfterValidator(_one_a_month)]


def rate_of(rates: Sequence[ExchangeRate], currency: str, month: str) -> ExchangeRate | None:
    """The rate of a currency for the invoices of a month; None where none has begun.

    >>> euro = {"currency": "EUR", "source": "ECB", "as_of": "2026-10-31"}
    >>> rates = [ExchangeRate(from_month=m, usd=u, **euro) for m, u in (("2026-01", "1.05"), ("2026-10", "1.08"))]
    >>> rate_of(rates, "EUR", "2026-09").usd, rate_of(rates, "EUR", "2027-01").usd, rate_of(rates, "EUR", "2025-12")
    (Decimal('1.05'), Decimal('1.08'), None)
    """
    begun = [rate for rate in rates if rate.currency == currency and rate.from_month <= month]
    return max(begun, key=lambda rate: rate.from_month, default=None)
