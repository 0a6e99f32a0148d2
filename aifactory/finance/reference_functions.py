"""The functions that published cases call by name, with the names of inputs those cases use."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from aifactory.finance import annuity, appraisal, cashflow, dated, leases, rates, risk, schedules
from aifactory.finance.depreciation import residual_value
from aifactory.finance.information import perfect_information, sample_information
from aifactory.finance.sensitivity import ishigami, sobol_indices
from aifactory.finance.two_stage import farmer, stochastic_values
from aifactory.units import monthly_rate

Numbers = Sequence[float]
ISHIGAMI_SAMPLES, G_SAMPLES = 2**17, 2**15


def _quoted(found: cashflow.InternalRates, guess: float | None) -> float | list[float] | None:
    """Return the only rate; with several, the one next to a stated guess, else all: none is picked in silence."""
    if found.status == "none":
        return None
    if guess is not None:
        return found.near(guess)
    rates = [found.rate] if len(found.quotable) == 1 else list(found.rates)
    return rates[0] if len(rates) == 1 else rates


def _flows(values: Numbers) -> np.ndarray:
    flows = cashflow.finite_flows(values)
    if flows.size == 0:
        msg = "at least one flow is needed"
        raise ValueError(msg)
    return flows


def npv_t0(rate: float, values: Numbers) -> float:
    """Present value, the first flow not discounted."""
    return cashflow.npv(_flows(values), rate)


def npv_excel(rate: float, values: Numbers) -> float:
    """Present value one period before the first flow."""
    return cashflow.npv([0.0, *_flows(values)], rate)


def npv_excel_plus_initial(rate: float, initial: float, values: Numbers) -> float:
    """Present value of later flows, plus one now."""
    return cashflow.npv([initial, *_flows(values)], rate)


def mid_period_npv(rate: float, values: Numbers) -> float:
    """Present value of flows in the middle of their periods."""
    return appraisal.mid_period_npv(_flows(values), rate)


def begin_period_npv(rate: float, values: Numbers) -> float:
    """Present value of flows at the start of their periods."""
    return appraisal.begin_period_npv(_flows(values), rate)


def irr(values: Numbers, guess: float | None = None) -> float | list[float] | None:
    """Internal rate."""
    return _quoted(cashflow.irr_all(_flows(values)), guess)


def irr_count(values: Numbers) -> list[float]:
    """All internal rates."""
    return list(cashflow.irr_all(_flows(values)).rates)


def mirr(values: Numbers, finance: float, reinvest: float) -> float:
    """Modified internal rate."""
    return cashflow.mirr(_flows(values), finance, reinvest)


def xirr(values: Numbers, dates: Sequence[str], guess: float | None = None) -> float | list[float] | None:
    """Internal rate of dated flows."""
    return _quoted(dated.xirr(values, dates), guess)


def crossover_rate(a: Numbers, b: Numbers) -> float | list[float] | None:
    """Rate at which two projects are worth the same."""
    return _quoted(appraisal.crossover_rate(_flows(a), _flows(b)), None)


def payback_years(
    initial: float | None = None, annual: Numbers | None = None, values: Numbers | None = None
) -> float | None:
    """Payback, interpolated; the outlay may carry either sign."""
    return cashflow.payback(_project(initial, annual, values))


def discounted_payback_years(
    rate: float, initial: float | None = None, annual: Numbers | None = None, values: Numbers | None = None
) -> float | None:
    """Discounted payback, interpolated."""
    return cashflow.discounted_payback(_project(initial, annual, values), rate)


def _project(initial: float | None, annual: Numbers | None, values: Numbers | None) -> Numbers:
    if (values is None) == (initial is None or annual is None):
        msg = "give initial and annual, or values"
        raise ValueError(msg)
    return values if values is not None else [-abs(initial), *annual]


def lease_liability(
    rate: float,
    payments: Numbers | None = None,
    when: str = "end",
    payment: float | None = None,
    nper: float | None = None,
) -> float:
    """Present value of lease payments, listed or level."""
    if (payments is None) == (payment is None or nper is None):
        msg = "give payments, or payment and nper"
        raise ValueError(msg)
    return leases.lease_liability(_level(payment, nper) if payments is None else _flows(payments), rate, when)


def lease_liability_after_first_payment(rate: float, payment: float, remaining: int) -> float:
    """Present value of the payments after one made in advance."""
    return leases.lease_liability(_level(payment, remaining), rate)


def _level(payment: float, count: float) -> list[float]:
    if count != int(count) or not 0 <= count <= cashflow.MOST_PERIODS:
        msg = f"the number of payments must be a whole number up to {cashflow.MOST_PERIODS:,}, got {count}"
        raise ValueError(msg)
    return [payment] * int(count)


def db(cost: float, salvage: float, life: int, month: int = 12, per: int | None = None) -> float | list[float]:
    """Fixed declining balance: a period, or the whole schedule."""
    schedule = schedules.db(cost, salvage, life, month)
    if per is None:
        return schedule
    if per not in range(1, len(schedule) + 1):
        msg = f"period must be a whole number from 1 to {len(schedule)}, got {per}"
        raise ValueError(msg)
    return schedule[int(per) - 1]


def ddb(cost: float, salvage: float, life: float, per: float | None = None, factor: float = 2.0) -> float | list[float]:
    """Declining balance: a period, or the whole schedule."""
    if per is not None:
        return schedules.ddb(cost, salvage, life, per, factor)
    return schedules.ddb_schedule(cost, salvage, life, factor)


def rri(nper: float, pv: float, fv: float) -> float:
    """Rate per period at which a value grows to another."""
    if not nper > 0 or not fv / pv > 0:
        msg = f"periods and growth must be positive, got {nper} periods from {pv} to {fv}"
        raise ValueError(msg)
    return (fv / pv) ** (1.0 / nper) - 1.0


def pduration(rate: float, pv: float, fv: float) -> float:
    """Periods in which a value grows to another."""
    return annuity.nper(rate, 0.0, -pv, fv)


def macrs_pct(
    life: float, convention: str = "half-year", quarter: object = None, month: float | None = None
) -> list[float]:
    """Tax depreciation; conventions also by their letters, quarters also as Q1."""
    names = {"hy": "half-year", "mq": "mid-quarter", "mm": "mid-month"}
    plain = str(convention).lower().replace("_", "-").replace(" ", "-")
    counted = float(str(quarter).lower().removeprefix("q")) if quarter is not None else None
    return schedules.macrs_pct(life, names.get(plain, plain), counted, month)


def wacc(E: float, D: float, re: float, rd: float, tax: float = 0.0) -> float:  # noqa: N803
    """Weighted average cost of capital."""
    return rates.wacc(E, D, re, rd, tax)


def farmer_problem(**given: object) -> dict[str, float]:
    """Land before the yield is known; read from the sentence `desc`, or from named numbers."""
    known = _read_farmer(str(given.pop("desc"))) if "desc" in given else {}
    values = stochastic_values(farmer(**(known | given)))
    return {
        "RP": values.recourse,
        "WS": values.wait_and_see,
        "EVPI": values.evpi,
        "EEV": values.mean_plan,
        "VSS": values.vss,
    }


NUMBER = r"(\d+(?:\.\d+)?)"
FARMER_TEXT = {
    "acres": rf"{NUMBER} acres",
    "yields": rf"yields? {NUMBER}/{NUMBER}/{NUMBER}",
    "spread": rf"\+-\s*{NUMBER}\s*%",
    "plant": rf"plant(?:ing)? {NUMBER}/{NUMBER}/{NUMBER}",
    "sell": rf"sell wheat {NUMBER},? corn {NUMBER},? beets? {NUMBER}",
    "quota": rf"<=\s*{NUMBER}",
    "over_quota_price": rf"<=\s*{NUMBER}\)\s*{NUMBER}",
    "buy": rf"buy {NUMBER}/{NUMBER}",
    "need": rf"need {NUMBER}/{NUMBER}",
}


def _read_farmer(text: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, pattern in FARMER_TEXT.items():
        match = re.search(pattern, text)
        if match is None:
            msg = f"the description of the farm lacks {name.replace('_', ' ')}"
            raise ValueError(msg)
        numbers = [float(part) for part in match.groups()]
        found[name] = numbers if name in ("yields", "plant", "sell", "buy", "need") else numbers[-1]
    found["spread"] = found["spread"] / 100
    return found


def evpi_discrete(probs: Numbers, payoff: Sequence[Numbers]) -> dict[str, float]:
    """Perfect information about a state."""
    found = perfect_information(probs, payoff)
    return {"max_E": found.best_expected, "E_max": found.expected_best, "EVPI": found.evpi}


def evsi_discrete(
    probs: Numbers,
    payoff: Sequence[Numbers],
    likelihood_favourable: Numbers | None = None,
    likelihood: Sequence[Numbers] | None = None,
) -> dict[str, float]:
    """Sample information: a favourable or unfavourable signal, or any likelihood[signal, state]."""
    if (likelihood is None) == (likelihood_favourable is None):
        msg = "give likelihood_favourable or likelihood"
        raise ValueError(msg)
    if likelihood is None:
        good = np.asarray(likelihood_favourable, dtype=float)
        likelihood = [good, 1.0 - good]
    value, gain = sample_information(probs, payoff, likelihood)
    return {"EV_with_sample": value, "EVSI": gain}


def var_cvar(losses: Numbers, alpha: float, probs: Numbers | None = None) -> dict[str, float]:
    """Value at risk and the mean beyond it."""
    level, beyond = risk.var_cvar(losses, alpha, probs)
    return {"VaR": level, "CVaR": beyond}


def sobol_ishigami(a: float, b: float) -> dict[str, object]:
    """Indices of the Ishigami function, estimated from samples as for any model."""
    found = sobol_indices(lambda points: ishigami(points, a, b), 3, samples=ISHIGAMI_SAMPLES)
    return {"S1": found.first.tolist(), "ST": found.total.tolist(), "V": found.variance, "mean": found.mean}


def sobol_g(a: Numbers) -> dict[str, object]:
    """Indices of the G-function of Sobol, prod (|4 x - 2| + a) / (1 + a), estimated from samples."""
    weights = _flows(a)
    if weights.size == 0 or np.any(weights < 0):
        msg = f"weights must not be negative, got {weights.tolist()}"
        raise ValueError(msg)

    def product(points: np.ndarray) -> np.ndarray:
        return np.prod((np.abs(4.0 * points - 2.0) + weights) / (1.0 + weights), axis=1)

    found = sobol_indices(product, weights.size, samples=G_SAMPLES)
    return {"S1": found.first.tolist(), "ST": found.total.tolist(), "V": found.variance, "mean": found.mean}


def break_even_utilization(committed: float, on_demand: float) -> float:
    """Share of hours from which a commitment is cheaper."""
    if not on_demand > 0:
        msg = f"the price on demand must be positive, got {on_demand}"
        raise ValueError(msg)
    return committed / on_demand


#: Names that mean two things: the case must say which.
AMBIGUOUS = {
    "npv": "Say npv_t0 (first flow not discounted) or npv_excel (first flow discounted): they differ by 1 + rate.",
    "depreciation": "Say sln, syd, db, ddb, vdb or macrs_pct.",
}
OTHER_FUNCTION_NAMES = {
    "straight_line": "sln", "npv_end": "npv_excel", "npv_begin": "npv_t0", "npv_mid": "mid_period_npv",
    "npv_mid_period": "mid_period_npv", "mid_year_npv": "mid_period_npv", "irr_roots": "irr_all",
    "all_irr": "irr_all", "irr_multiple": "irr_all", "payback": "payback_years",
    "discounted_payback": "discounted_payback_years", "macrs": "macrs_pct", "eac": "equivalent_annual_cost",
    "evpi": "evpi_discrete", "evsi": "evsi_discrete", "cvar": "var_cvar", "sobol_g_function": "sobol_g",
    "g_function": "sobol_g", "ishigami": "sobol_ishigami", "fisher_real_rate": "real_rate", "lcoe": "levelised_unit_cost",
    "levelized_unit_cost": "levelised_unit_cost", "right_of_use_asset": "rou_asset", "effective_rate": "effect",
}  # fmt: skip

FUNCTIONS: dict[str, Callable[..., object]] = {
    "npv_t0": npv_t0,
    "npv_excel": npv_excel,
    "npv_excel_plus_initial": npv_excel_plus_initial,
    "mid_period_npv": mid_period_npv,
    "begin_period_npv": begin_period_npv,
    "irr": irr,
    "irr_count": irr_count,
    "irr_all": irr_count,
    "irr_none": irr,
    "mirr": mirr,
    "xirr": xirr,
    "xnpv": dated.xnpv,
    "crossover_rate": crossover_rate,
    "payback_years": payback_years,
    "payback_years_interpolated": payback_years,
    "discounted_payback_years": discounted_payback_years,
    "discounted_payback_years_interpolated": discounted_payback_years,
    "pmt": annuity.pmt,
    "pv": annuity.pv,
    "fv": annuity.fv,
    "nper": annuity.nper,
    "rate": annuity.rate,
    "ipmt": annuity.ipmt,
    "ppmt": annuity.ppmt,
    "cumipmt": annuity.cumipmt,
    "cumprinc": annuity.cumprinc,
    "equivalent_annual_cost": appraisal.equivalent_annual_cost,
    "levelised_unit_cost": appraisal.levelised_unit_cost,
    "break_even_units": appraisal.break_even_units,
    "profitability_index": appraisal.profitability_index,
    "sln": schedules.sln,
    "syd": schedules.syd,
    "db": db,
    "ddb": ddb,
    "vdb": schedules.vdb,
    "macrs_pct": macrs_pct,
    "tax_shield_pv": schedules.tax_shield_pv,
    "residual_value": residual_value,
    "effect": rates.effect,
    "nominal": rates.nominal,
    "real_rate": rates.real_rate,
    "nominal_rate": rates.nominal_rate,
    "monthly_rate": monthly_rate,
    "wacc": wacc,
    "lease_liability": lease_liability,
    "lease_liability_after_first_payment": lease_liability_after_first_payment,
    "rou_asset": leases.rou_asset,
    "farmer_problem": farmer_problem,
    "evpi_discrete": evpi_discrete,
    "evsi_discrete": evsi_discrete,
    "var_cvar": var_cvar,
    "sobol_ishigami": sobol_ishigami,
    "sobol_g": sobol_g,
    "rri": rri,
    "pduration": pduration,
    "break_even_utilization": break_even_utilization,
}
