"""A small company: three streams on two platforms, with orders that are good but not the best."""

from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.buyplan.optimise.problem import Option, Problem
from aifactory.buyplan.stress.basis import StressBasis


def small_problem(paths=6, months=12, seed=3, **changes):
    rng = np.random.default_rng(seed)
    level = np.array([10.0, 6.0, 8.0])
    growth = rng.normal(0.03, 0.03, (paths, 1, 3))
    demand = level * np.exp(growth * np.arange(months)[None, :, None])
    options = []
    for platform, price in ((0, 4.0), (1, 2.0)):
        month = price * 730
        options += [
            Option("purchase", platform, 24, 2, price * 7000, 150.0, price * 6000, 0.65, capital=True),
            Option("lease", platform, 8, 1, 0.0, 0.6 * month),
            Option("reserved_1y", platform, 12, 0, 0.0, 0.62 * month, on_site=False),
            Option("reserved_3y", platform, 36, 0, 0.0, 0.45 * month, on_site=False),
        ]
    given = {
        "demand": demand[:, :, :, None] * np.array([1.8, 1.1, 0.6]),
        "block_hours": np.array([146.0, 219.0, 365.0]),
        "rate": np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
        "deferrable": np.array([False, True, False]),
        "node_size": np.array([4, 2]),
        "options": tuple(options),
        "on_demand_usd": np.tile([4.0, 2.0], (months, 1)),
        "spot_usd": np.tile([2.2, 1.0], (months, 1)),
        "api_usd": np.full((months, 3), np.inf),
        "miss_usd": np.array([12.0, 12.0, 6.0]),
        "owned": np.tile([2.0, 0.0], (months, 1)),
        "on_demand_most": np.full(2, np.inf),
        "spot_share": np.full(2, 0.9),
        "kw": np.array([0.7, 0.4]),
        "order_months": tuple(range(months)),
        "stranded": 1.0,
    }
    return Problem(**{**given, **changes})


def small_basis(**changes):
    problem = small_problem(**changes)
    nodes = np.zeros(len(problem.orders))
    for at, (option, month) in enumerate(problem.orders):
        if (option.name, option.platform, month) in {("purchase", 0, 0), ("reserved_1y", 0, 3), ("lease", 1, 2)}:
            nodes[at] = 1 + option.platform
    pools = pd.DataFrame(
        {
            "region": ["eu", "us"], "accelerator_id": ["chip-a", "chip-b"], "vendor": ["NVIDIA", "AWS"],
            "fallback_accelerator_id": ["chip-b", "chip-a"], "fallback_usd_per_hour": [5.0, 3.0],
            "porting_usd": [1000.0, 2000.0], "in_data_centre": [True, True],
            "vendor_fallback_accelerator_id": ["chip-b", "chip-a"], "vendor_fallback_usd_per_hour": [5.0, 3.0],
            "vendor_porting_usd": [1000.0, 2000.0],
        }
    )  # fmt: skip
    months = tuple(str(pd.Period("2026-11", "M") + step) for step in range(problem.months))
    return StressBasis(problem, nodes, pools, np.array([True, False, True]), months)


def hand_basis():
    """One path, one platform, one month block: costs can be reckoned by hand."""
    problem = small_problem(paths=1)
    flat = replace(
        problem, demand=np.full((1, 3, 1, 1), 6.0), block_hours=np.array([730.0]), rate=np.ones((1, 1)),
        deferrable=np.array([False]), node_size=np.array([4]), around_usd=0.0, options=(Option("reserved_1y", 0, 12, 0, 0.0, 1000.0, on_site=False),),
        on_demand_usd=np.full((3, 1), 4.0), spot_usd=np.full((3, 1), 4.0), api_usd=np.full((3, 1), np.inf),
        miss_usd=np.array([10.0]), owned=np.zeros((3, 1)), on_demand_most=np.array([np.inf]), spot_share=np.ones(1),
        kw=np.ones(1), order_months=(0, 1, 2), wacc=0.0, stranded=0.0, risk_weight=0.0,
    )  # fmt: skip
    pools = pd.DataFrame(
        {"region": ["eu"], "accelerator_id": ["chip-a"], "vendor": ["NVIDIA"], "fallback_accelerator_id": ["chip-b"],
         "fallback_usd_per_hour": [7.0], "porting_usd": [500.0], "in_data_centre": [True],
         "vendor_fallback_accelerator_id": ["chip-c"], "vendor_fallback_usd_per_hour": [9.0], "vendor_porting_usd": [800.0]}
    )  # fmt: skip
    return StressBasis(flat, np.array([1.0, 0.0, 0.0]), pools, np.array([True]), ("2026-11", "2026-12", "2027-01"))
