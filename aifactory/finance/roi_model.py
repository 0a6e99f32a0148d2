"""Return of several ways to serve the same demand, ready to be evaluated for many draws at once.

Months run from 0 (approval) to T; months 1 to T have demand. K use cases run in P pools of
accelerators, whose load is cut into B blocks of the load-duration curve. Each of the O options holds
committed capacity and rents what goes beyond it by the hour, or buys units from a hosted model, so
that all options give the same service. Money in USD, cash when it is paid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aifactory.units import monthly_rate

#: Inputs that may vary, with the value that leaves the base case as it is. Factors named
#: `level:<use case>` multiply the demand of one use case.
NEUTRAL = {
    "level": 1.0,  # demand of all use cases, multiplier
    "growth": 0.0,  # added to the monthly growth rate, fraction/month
    "value": 1.0,  # value per unit, multiplier
    "capacity": 1.0,  # units per accelerator-hour, multiplier
    "flexible_price": 1.0,  # price of hours beyond the commitment, multiplier
    "step_month": np.inf,  # month in which the vendor steps the list price
    "step_size": 0.0,  # relative change at that step
    "api_price": 1.0,  # price of hosted units, multiplier
    "running": 1.0,  # energy, space and support of own hardware, multiplier
    "residual": 1.0,  # resale value, multiplier
    "delay_months": 0.0,  # months by which demand and value come later
    "overhead": 1.0,  # cost centres around the accelerators, multiplier
}
PER_USE_CASE = "level:"


@dataclass(frozen=True)
class RoiModel:
    """Everything that is certain, or the base case of what is not."""

    use_cases: tuple[str, ...]
    options: tuple[str, ...]
    units: np.ndarray  # [K, T + 1] units a month, 0 in month 0
    value_usd: np.ndarray  # [K, T + 1] value per unit served
    variable_usd: np.ndarray  # [K, T + 1] egress and the like per unit
    hours_per_unit: np.ndarray  # [K] accelerator-hours, failed work included
    pool: np.ndarray  # [K] pool of the use case
    block_first: np.ndarray  # [P, B] accelerators occupied in each block over those at work, while little work comes
    block_floor: (
        np.ndarray
    )  # [P, B] accelerators that whole nodes occupy in each block however little comes beyond that
    block_level: np.ndarray  # [P, B] accelerators occupied on top of the floor over those at work on average
    block_share: np.ndarray  # [B] share of hours; adds up to 1
    capacity: np.ndarray  # [O, P, T + 1] accelerators held
    flexible_usd_per_hour: np.ndarray  # [O, P] price of an accelerator-hour beyond what is held
    hosted_usd: np.ndarray  # [O, K, T + 1] price per unit at a hosted model; NaN: served by accelerators
    committed_usd: np.ndarray  # [O, T + 1] cash of commitments, whatever the load
    running_usd: np.ndarray  # [O, T + 1] energy, space and support of own hardware
    base_usd: np.ndarray  # [O, T + 1] cost view of both, from which shares of compute are taken
    capex_usd: np.ndarray  # [O, T + 1]
    depreciation_usd: np.ndarray  # [O, T + 1] for tax only, less the gain of the sale; never part of cash
    residual_usd: np.ndarray  # [O] in month T
    once_usd: np.ndarray  # [O, T + 1] porting, rework, migration off a retired model
    lost_value_share: np.ndarray  # [O, T + 1] value lost to missed or late service
    fixed_usd: np.ndarray  # [T + 1] cost centres that do not follow compute
    around_usd_per_hour: np.ndarray  # [P, T + 1] storage and people per accelerator-hour paid for
    share_of_compute: float  # orchestration, safety checks
    contingency_share: float
    tax_rate: float
    loss_offset_share: float  # share of a year's profit that losses carried forward may offset
    year_starts: np.ndarray  # [T + 1] whether a fiscal year starts in the month
    wacc: float  # a year

    def __post_init__(self) -> None:
        """Check shapes, signs and sums, naming the field."""
        self._check_shapes()
        if len(self.use_cases) != len(self.units) or np.any(self.units < 0) or np.any(self.units[:, 0] != 0):
            msg = "units must not be negative, start at 0 and have a row for every use case"
            raise ValueError(msg)
        if not np.isclose(self.block_share.sum(), 1.0):
            msg = f"shares of the blocks must add up to 1, got {self.block_share.sum()}"
            raise ValueError(msg)
        if not self.wacc > -1:
            msg = f"wacc must be above -100 %, got {self.wacc}"
            raise ValueError(msg)

    def _check_shapes(self) -> None:
        count, months = self.units.shape
        options, pools, blocks = self.capacity.shape[0], self.capacity.shape[1], self.block_share.size
        by_option = (options, months)
        shapes = {
            "value_usd": (count, months),
            "variable_usd": (count, months),
            "hours_per_unit": (count,),
            "pool": (count,),
            **dict.fromkeys(["block_first", "block_floor", "block_level"], (pools, blocks)),
            "capacity": (len(self.options), pools, months),
            "flexible_usd_per_hour": (options, pools),
            "hosted_usd": (options, count, months),
            "residual_usd": (options,),
            "fixed_usd": (months,),
            "around_usd_per_hour": (pools, months),
            "year_starts": (months,),
        } | dict.fromkeys(
            [
                "committed_usd",
                "running_usd",
                "base_usd",
                "capex_usd",
                "depreciation_usd",
                "once_usd",
                "lost_value_share",
            ],
            by_option,
        )
        for name, shape in shapes.items():
            values = getattr(self, name)
            if values.shape != shape:
                msg = f"{name} must have shape {shape}, got {values.shape}"
                raise ValueError(msg)
            if name != "hosted_usd" and not np.isfinite(values).all():
                msg = f"{name} must be finite"
                raise ValueError(msg)

    def occupied(self, need: np.ndarray) -> np.ndarray:
        """Accelerators of whole nodes in each block, [..., P, T + 1, B], for those at work on average [..., P, T + 1].

        min(first x need, floor + level x need): a node stands for the first of its work, and each further one for its share.
        """
        each = need[..., None]
        return np.minimum(
            each * self.block_first[:, None], self.block_floor[:, None] + each * self.block_level[:, None]
        )

    @property
    def months(self) -> int:
        """Months after approval."""
        return self.units.shape[1] - 1

    @property
    def rate(self) -> float:
        """Discount rate a month."""
        return monthly_rate(self.wacc)
