"""What orders and the demand they serve cost and yield, month by month, all cost centres, value and tax included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from aifactory.finance.cashflow import npv
from aifactory.finance.options import in_field
from aifactory.finance.tax import Regime, tax_due, write_offs, year_starts
from aifactory.finance.tco import PEOPLE, hidden_lines, overhead_lines, price_index, with_contingency
from aifactory.fleet.compute import BEYOND, Compute, require_equal
from aifactory.fleet.streams import Streams
from aifactory.inputs.plan import Plan
from aifactory.units import HOURS_PER_MONTH, MONTHS_PER_YEAR, monthly_rate

PORTING, REWORK = "Porting", "Rework"
UNUSED = "Committed before the plan: not used"


@dataclass(frozen=True)
class Ledger:
    """Everything one scenario costs and yields, [T + 1] a month unless said otherwise."""

    compute: Compute
    lines: dict[str, np.ndarray]  # cost view by line, all cost centres
    units_served: np.ndarray  # [T + 1, K]
    value_usd: np.ndarray  # [T + 1, K]; NaN where no value per unit is stated
    capex_usd: np.ndarray
    opex_usd: np.ndarray
    residual_usd: np.ndarray
    write_off_usd: np.ndarray  # deductible for tax beyond the operating cost paid, see `written_off`
    tax_usd: np.ndarray

    @property
    def ported_usd(self) -> np.ndarray:
        """Engineering of ports: the work at approval and the part of it that comes again, [T + 1]."""
        return self.lines[PORTING] + self.lines[REWORK]

    @property
    def net_usd(self) -> np.ndarray:
        """Net cash flow after tax."""
        earned = np.nansum(self.value_usd, axis=1)
        return earned - self.capex_usd - self.opex_usd - self.tax_usd + self.residual_usd


def build_ledger(
    compute: Compute, streams: Streams, units: np.ndarray, plan: Plan, apart: Mapping[str, np.ndarray]
) -> Ledger:
    """Add the other cost centres, value and tax to the accelerators of one scenario.

    `apart` holds lines that do not depend on orders, USD by month [T + 1], in cost and cash alike: porting, rework,
    and what is owed for commitments that no workload uses.

    Operators' pay and cost centres rise with `cost_inflation`. Tax is the rate on value less operating
    cost less what is written off (`written_off`), by fiscal year, losses carried forward.
    """
    active = np.arange(len(units)) > 0
    served = units * compute.served[:, streams.pool] * active[:, None]
    cost = compute.cost_usd.sum(axis=1)
    tokens = served @ streams.table["output_tokens_per_unit"].to_numpy()
    operating = cost - compute.lines[BEYOND].sum(axis=1)
    held, field = compute.paid_hours / HOURS_PER_MONTH, in_field(streams.pools["platform_class"])
    others = overhead_lines(operating, held[:, ~field].sum(axis=1), tokens, plan, held[:, field].sum(axis=1))
    dearer = price_index(len(units), plan)
    centres = hidden_lines(operating, plan, served, list(streams.table["use_case_id"]), dearer)
    others[PEOPLE] = others[PEOPLE] * dearer
    hidden = {name: amount * active for name, amount in centres.items()}
    around = with_contingency({**_by_month(compute.lines), **others, **hidden, **apart}, plan)
    outside = np.sum([amount for name, amount in around.items() if name not in compute.lines], axis=0)
    opex = compute.rent_usd + outside
    about = streams.table
    worth = about["value_usd_per_unit"] * about["attribution_share"] * about["success_share"]
    value = served * worth.to_numpy(dtype=float)
    written = written_off(compute, plan.tax_depreciation, streams.months[0], plan)
    ledger = Ledger(
        compute=compute,
        lines=around,
        units_served=served,
        value_usd=value,
        capex_usd=compute.capex_usd,
        opex_usd=opex,
        residual_usd=compute.residual_usd,
        write_off_usd=written,
        tax_usd=_tax(np.nansum(value, axis=1) - opex - written, streams.months[0], plan),
    )
    cash = ledger.capex_usd + ledger.opex_usd - ledger.residual_usd
    require_equal("cost lines and cash flow", sum(around.values()).sum(), cash.sum())
    return ledger


def _tax(profit: np.ndarray, first_month: str, plan: Plan) -> np.ndarray:
    starts = year_starts(profit.size, fiscal_position(first_month, plan))
    return tax_due(profit, plan.value("tax_rate"), plan.value("loss_offset_share"), starts)


def written_off(compute: Compute, regime: Regime, first_month: str, plan: Plan) -> np.ndarray:
    """Deductible for tax beyond the operating cost paid, [T + 1]: purchases by their regime, less the gain of the sale.

    What is paid ahead for a term is deducted month by month as it is used, and what outlasts the horizon in the last month.
    """
    bought = write_offs(compute.placed_usd, compute.placed_resale_usd, regime, fiscal_position(first_month, plan))
    return bought - compute.ahead_usd


def under_regime(ledger: Ledger, regime: Regime, first_month: str, plan: Plan) -> Ledger:
    """Return the same orders, written off for tax in another way."""
    written = written_off(ledger.compute, regime, first_month, plan)
    profit = np.nansum(ledger.value_usd, axis=1) - ledger.opex_usd - written
    return replace(ledger, write_off_usd=written, tax_usd=_tax(profit, first_month, plan))


def fiscal_position(month: str, plan: Plan) -> int:
    """Months from the start of the fiscal year to a month 'YYYY-MM'."""
    return (int(month[5:7]) - plan.fiscal_year_start_month) % MONTHS_PER_YEAR


def _by_month(lines: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: amount.sum(axis=1) for name, amount in lines.items()}


def net_present_value(ledger: Ledger, plan: Plan) -> float:
    """NPV after tax at the cost of capital; NaN where no use case states a value per unit."""
    if np.isnan(ledger.value_usd).all():
        return float("nan")
    return float(npv(ledger.net_usd, monthly_rate(plan.value("wacc"))))
