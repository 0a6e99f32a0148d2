"""The return model written plainly in numpy, one draw at a time: oracle of the tests, peer of the benchmark."""

import numpy as np

from aifactory.finance.cashflow import discount_factors, discounted_payback, payback
from aifactory.finance.roi_model import NEUTRAL, RoiModel
from aifactory.finance.tax import tax_due, year_starts
from aifactory.units import HOURS_PER_MONTH


def plain_draw(model: RoiModel, names, draw):
    """NPV, cost, present value of cost, payback, discounted payback, lowest cash and net cash [T + 1], by option."""
    given = dict(zip(names, draw, strict=True))
    f = {name: given.get(name, neutral) for name, neutral in NEUTRAL.items()}
    own = np.array([given.get(f"level:{name}", 1.0) for name in model.use_cases])
    t = np.arange(model.months + 1)
    shift = int(min(max(f["delay_months"], 0), t.size))
    units = np.zeros_like(model.units)
    worth_per_unit = np.zeros_like(model.units)
    units[:, shift:] = model.units[:, : t.size - shift]
    worth_per_unit[:, shift:] = model.value_usd[:, : t.size - shift]
    units = units * f["level"] * (1 + f["growth"]) ** t * own[:, None]
    value = (units * worth_per_unit).sum(axis=0) * f["value"]
    extra = (model.variable_usd * units).sum(axis=0)
    work = units * (model.hours_per_unit / HOURS_PER_MONTH / f["capacity"])[:, None]
    hosted = np.isfinite(model.hosted_usd).all(axis=2)
    served = work[None] * ~hosted[:, :, None]  # [O, K, T + 1]
    membership = (model.pool[:, None] == np.arange(len(model.block_level))).astype(float)
    need = np.einsum("okt,kp->opt", served, membership)
    each = need[..., None]
    occupied = np.minimum(
        each * model.block_first[None, :, None],
        model.block_floor[None, :, None] + each * model.block_level[None, :, None],
    )
    over = np.maximum(occupied - model.capacity[..., None], 0.0)
    over = over @ model.block_share * HOURS_PER_MONTH
    price = f["flexible_price"] * np.where(t >= f["step_month"], 1 + f["step_size"], 1.0)
    bought = (units[None] * np.nan_to_num(model.hosted_usd) * hosted[:, :, None]).sum(axis=1) * f["api_price"]
    rented = np.einsum("opt,op->ot", over, model.flexible_usd_per_hour) * price + bought
    tended = ((over + HOURS_PER_MONTH * model.capacity) * model.around_usd_per_hour).sum(axis=1)
    view = model.base_usd + model.running_usd * (f["running"] - 1) + rented
    centres = model.share_of_compute * view + tended + model.fixed_usd
    others = f["overhead"] * (centres + extra) + model.once_usd
    opex = model.committed_usd + model.running_usd * f["running"] + rented + others
    opex = opex + model.contingency_share * (view + others)
    earned = value * (1 - model.lost_value_share)
    profit = earned - opex - model.depreciation_usd
    profit[:, -1] += model.residual_usd * (f["residual"] - 1)
    tax = np.array([tax_due(row, model.tax_rate, model.loss_offset_share, model.year_starts) for row in profit])
    spent = opex + model.capex_usd
    spent[:, -1] -= model.residual_usd * f["residual"]
    net = earned - spent - tax
    factors = discount_factors(t.size, model.rate)
    measures = np.empty((len(model.options), 6))
    measures[:, 0], measures[:, 1], measures[:, 2] = net @ factors, spent.sum(axis=1), spent @ factors
    for row, flows in zip(measures, net, strict=True):
        months = payback(flows), discounted_payback(flows, model.rate)
        row[3:5] = [np.nan if month is None else month for month in months]
        row[5] = min(np.cumsum(flows).min(), 0.0)
    return measures, net


def any_model(seed=1, count=12, months=36, blocks=3):
    """Invented model with a use case a pool and five options: own, lease, reserved, on demand, hosted."""
    rng = np.random.default_rng(seed)
    options = ("own", "lease", "reserved", "on demand", "hosted")
    size = (len(options), months + 1)
    units = rng.uniform(1e5, 1e6, count)[:, None] * 1.02 ** np.arange(months + 1)
    units[:, 0] = 0.0
    hours = rng.uniform(2e-4, 2e-3, count)
    need = units * hours[:, None] / HOURS_PER_MONTH
    level = np.sort(rng.uniform(0.3, 1.8, (count, blocks)), axis=1)
    share = np.array([0.5, 0.4, 0.1]) if blocks == 3 else np.full(blocks, 1 / blocks)
    level /= (level @ share)[:, None]
    capacity = np.zeros((len(options), count, months + 1))
    capacity[:3] = np.ceil(need * 1.1)
    capacity[0, :, :4] = 0.0  # delivered after three months
    held = capacity.sum(axis=1)
    rate = np.array([0.6, 2.2, 2.0, 0.0, 0.0])[:, None]
    fleet = held[0].max()
    capex, depreciation = np.zeros(size), np.zeros(size)
    capex[0, 0], depreciation[0, 4:] = fleet * 32_000, fleet * 32_000 * 0.7 / (months - 3)
    committed = held * HOURS_PER_MONTH * np.where(rate > 1, rate, 0.0)
    running = held * HOURS_PER_MONTH * np.where(rate < 1, rate, 0.0)
    hosted = np.full((len(options), count, months + 1), np.nan)
    hosted[4, ::2] = (hours[::2] * 3.0)[:, None]
    return RoiModel(
        use_cases=tuple(f"u{i}" for i in range(count)), options=options, units=units,
        value_usd=np.broadcast_to((hours * rng.uniform(3, 9, count))[:, None], units.shape).copy(),
        variable_usd=np.repeat((hours * 0.05)[:, None], months + 1, axis=1), hours_per_unit=hours, pool=np.arange(count), block_first=level, block_floor=np.zeros_like(level),
        block_level=level, block_share=share,
        capacity=capacity, flexible_usd_per_hour=np.full((len(options), count), 3.5), hosted_usd=hosted,
        committed_usd=committed, running_usd=running, base_usd=committed + running + depreciation, capex_usd=capex,
        depreciation_usd=depreciation, residual_usd=np.array([fleet * 32_000 * 0.3, 0, 0, 0, 0.0]),
        once_usd=np.zeros(size), lost_value_share=np.array([0.0, 0, 0, 0, 0.01])[:, None] * np.ones(months + 1), fixed_usd=np.full(months + 1, 5e3),
        around_usd_per_hour=np.linspace(0.0, 0.2, count)[:, None] + np.zeros(months + 1), share_of_compute=0.05, contingency_share=0.05, tax_rate=0.25, wacc=0.1,
        loss_offset_share=0.8, year_starts=year_starts(months + 1, 6),
    )  # fmt: skip
