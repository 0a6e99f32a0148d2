"""Synthetic planning problems of any size, seeded."""

from dataclasses import replace

import numpy as np

from aifactory.buyplan.optimise.problem import Option, Port, Problem


def problem(paths=5, months=12, workloads=2, platforms=2, *, seed=1, **changes):
    """Growing demand with daily shape; platforms that differ in price and in what they are good at."""
    rng = np.random.default_rng(seed)
    hours = np.array([365.0, 292.0, 73.0])
    shape = np.array([0.5, 1.2, 2.0])
    level = rng.uniform(2e4, 2e5, workloads)
    growth = rng.normal(0.02, 0.015, (paths, workloads))
    noise = np.cumsum(rng.normal(0, 0.05, (paths, months, workloads)), axis=1)
    demand = level * np.exp(growth[:, None] * np.arange(months)[None, :, None] + noise)
    rate = rng.uniform(500, 3000, (workloads, platforms)) * (rng.random((workloads, platforms)) < 0.9)
    rate[:, 0] = 1500
    price = rng.uniform(2.0, 6.0, platforms)
    options = []
    for p in range(platforms):
        month = price[p] * 730
        options += [
            Option("buy", p, 60, 4, price[p] * 9000, 200.0, price[p] * 9000, 0.65, capital=True),
            Option("lease", p, 36, 3, 0.0, 0.55 * month),
            Option("reserved 1 y", p, 12, 0, 0.0, 0.65 * month),
            Option("reserved 3 y", p, 36, 0, 0.0, 0.45 * month),
        ]
    given = {
        "demand": demand[:, :, :, None] * shape,
        "block_hours": hours,
        "rate": rate,
        "deferrable": np.arange(workloads) % 3 == 2,
        "node_size": np.full(platforms, 8),
        "options": tuple(options),
        "on_demand_usd": np.tile(price, (months, 1)),
        "spot_usd": np.tile(price * 0.4, (months, 1)),
        "api_usd": np.full((months, workloads), 0.02),
        "miss_usd": np.full(workloads, 0.1),
        "owned": np.zeros((months, platforms)),
        "on_demand_most": np.full(platforms, 64.0),
        "spot_share": np.full(platforms, 0.85),
        "kw": np.full(platforms, 1.2),
        "order_months": tuple(range(0, months, 3)),
    }
    return Problem(**{**given, **changes})


def with_ports(case, *, seed=1, usd=(50_000.0, 400_000.0), months=6):
    """Every pair of workload and platform must be ported first, but those of the first platform."""
    rng = np.random.default_rng(seed)
    ports = []
    for w, p in np.argwhere(case.rate > 0):
        price, wait = rng.uniform(*usd), int(rng.integers(0, months + 1))
        if p > 0:
            ports.append(Port(f"{w} on {p}", int(p), (int(w),), price, wait))
    return replace(case, ports=tuple(ports))


def one(options, *, months=4, level=20.0, **changes):
    """One workload on one platform of single accelerators, 10 units an hour each; 100 hours a month at 4 USD."""
    given = {
        "demand": np.full((1, months, 1, 1), level), "block_hours": np.array([100.0]), "rate": np.array([[10.0]]),
        "deferrable": np.array([False]), "node_size": np.array([1]), "options": tuple(options),
        "on_demand_usd": np.full((months, 1), 4.0), "spot_usd": np.full((months, 1), np.inf),
        "api_usd": np.full((months, 1), np.inf), "miss_usd": np.array([1.0]), "owned": np.zeros((months, 1)),
        "on_demand_most": np.array([np.inf]), "spot_share": np.array([1.0]), "kw": np.array([1.0]), "order_months": (0,),
        "wacc": 0.0, "risk_weight": 0.0, "vendor": ("a",),
    }  # fmt: skip
    return Problem(**{**given, **changes})
