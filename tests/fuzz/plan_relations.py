"""What must hold between two plans: `python tests/fuzz/plan_relations.py SEED...` plans a changed company and variants of it.

A freer company (limits lifted, prices lowered, risk accepted) must not be told a dearer plan, a poorer one no cheaper plan.
Costs are those of the best orders over many futures, which the plan minimises; the solver proves them to half a per cent.
"""

import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from changed_company import Company, changed_company, read_company, scale_demand, write_company

from aifactory.benchmark import build_benchmark
from aifactory.buyplan import BuyPlan, build_buy_plan
from aifactory.errors import AIFactoryError
from aifactory.inputs.workspace import load_workspace
from aifactory.inventory import build_inventory
from aifactory.shortlist import build_shortlist

REPO = Path(__file__).resolve().parents[2]
PERIOD = "2026-10"
TOLERANCE = 0.01


def planned(workspace: Path) -> BuyPlan:
    ws = load_workspace(workspace, PERIOD, {})
    inventory, benchmark = build_inventory(ws), build_benchmark(ws)
    return build_buy_plan(ws, inventory, benchmark, build_shortlist(ws, inventory, benchmark))


def figures(plan: BuyPlan) -> dict[str, float]:
    expected = plan.roi.set_index("scenario").loc["expected"]
    best = plan.futures.best if plan.futures else None
    return {
        "cost over futures": best.cost.objective_usd if best else np.nan,
        "present cost": float(expected["pv_cost_usd"]),
        "NPV": float(expected["npv_usd"]),
        "value": float(expected["value_usd"]),
        "served": float(expected["served_share"]),
    }


def _no_limits(company: Company) -> None:
    company.plan["budget"] = {}
    company.plan["vendor_share_most"] = 1.0
    for region in company.plan["regions"]:
        region.pop("power_limit_kw", None)
        region.pop("space_limit_servers", None)


def _scaled_prices(factor: float, options: tuple[str, ...] = ()) -> Callable[[Company], None]:
    def change(company: Company) -> None:
        table = company.tables["prices"]
        rows = table["purchase_option"].isin(options) if options else np.ones(len(table), dtype=bool)
        for column in ("usd_per_accelerator_hour", "usd_per_accelerator"):
            table.loc[rows, column] = table.loc[rows, column] * factor

    return change


def _scaled_lead_times(factor: float) -> Callable[[Company], None]:
    def change(company: Company) -> None:
        table = company.tables["prices"]
        table["lead_time_weeks"] = table["lead_time_weeks"] * factor

    return change


def _criticality(name: str) -> Callable[[Company], None]:
    def change(company: Company) -> None:
        company.tables["use_cases"]["criticality"] = name

    return change


def _assumed(name: str, value: float) -> Callable[[Company], None]:
    def change(company: Company) -> None:
        company.plan["assumptions"][name] |= {"value": value, "low": min(value, company.plan["assumptions"][name]["low"]), "high": max(value, company.plan["assumptions"][name]["high"])}  # fmt: skip

    return change


def _no_domains(company: Company) -> None:
    company.plan.pop("failure_domains", None)


def _no_restrictions(company: Company) -> None:
    company.plan["restrictions"] = []


def _less_demand(company: Company) -> None:
    scale_demand(company.tables["demand_windows"], slice(None), 0.7)


def _no_spot(company: Company) -> None:
    table = company.tables["prices"]
    company.tables["prices"] = table[table["purchase_option"] != "spot"].reset_index(drop=True)


#: What is changed, and what must not rise ("-") or fall ("+") by it.
RELATIONS: dict[str, tuple[Callable[[Company], None], dict[str, str]]] = {
    "no limits": (_no_limits, {"cost over futures": "-"}),
    "own prices 20 % lower": (_scaled_prices(0.8), {"cost over futures": "-"}),
    "own prices 25 % higher": (_scaled_prices(1.25), {"cost over futures": "+"}),
    "purchases 30 % cheaper": (_scaled_prices(0.7, ("purchase",)), {"cost over futures": "-"}),
    "lead times halved": (_scaled_lead_times(0.5), {"cost over futures": "-"}),
    "lead times doubled": (_scaled_lead_times(2.0), {"cost over futures": "+"}),
    "all experimental": (_criticality("experimental"), {"cost over futures": "-"}),
    "all critical": (_criticality("critical"), {"cost over futures": "+"}),
    "no failure domains": (_no_domains, {"cost over futures": "-"}),
    "no restrictions": (_no_restrictions, {"cost over futures": "-"}),
    "demand 30 % lower": (_less_demand, {"cost over futures": "-", "value": "-"}),
    "no spot": (_no_spot, {"cost over futures": "+"}),
    "no tax": (_assumed("tax_rate", 0.0), {"NPV": "+"}),
    "dearer people": (_assumed("operator_usd_per_month", 40_000.0), {"cost over futures": "+", "NPV": "-"}),
    "faster decline": (_assumed("residual_decline_per_year", 0.6), {"cost over futures": "+"}),
    "no contingency": (_assumed("contingency_share", 0.0), {"NPV": "+"}),
}


def breaches(base: dict[str, float], other: dict[str, float], expect: dict[str, str]) -> list[str]:
    found = []
    for name, way in expect.items():
        before, after = base[name], other[name]
        slack = TOLERANCE * max(abs(before), abs(after)) + 1
        wrong = after > before + slack if way == "-" else after < before - slack
        if wrong:
            found.append(f"{name} {before:,.0f} -> {after:,.0f} ({100 * (after / before - 1):+.1f} %)")
    return found


def main(seeds: list[int]) -> None:
    warnings.simplefilter("error", RuntimeWarning)
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "ws"
            told = changed_company(seed, REPO / "data" / "sample", source)
            print(f"== {seed}", *told, sep="\n   ", flush=True)
            try:
                base = figures(planned(source))
            except AIFactoryError as error:
                print("refused:", str(error)[:300])
                continue
            print({name: round(value, 3) for name, value in base.items()}, flush=True)
            rng = np.random.default_rng(seed)
            for name in rng.permutation(list(RELATIONS))[:7]:
                began = time.monotonic()
                change, expect = RELATIONS[name]
                company = read_company(source, 0)
                change(company)
                write_company(company, Path(folder) / "other")
                try:
                    other = figures(planned(Path(folder) / "other"))
                except AIFactoryError as error:
                    print(f"  {name}: refused: {str(error)[:200]}", flush=True)
                    continue
                wrong = breaches(base, other, expect)
                print(
                    f"  {name} ({time.monotonic() - began:.0f} s): {'BREACH ' + '; '.join(wrong) if wrong else 'holds'}",
                    flush=True,
                )


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]])
