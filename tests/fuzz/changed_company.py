"""Companies by chance: the sample, changed in ways that an owner of a workspace might change it.

`changed_company(seed, source, target)` writes one and tells what was changed. The same seed gives the same company.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

TABLES = (
    "account_map.csv", "approved_bands.csv", "approved_plan.csv", "benchmarks.csv", "billing.csv.gz", "commitments.csv",
    "decisions.csv", "demand_chain.csv", "demand_what_ifs.csv", "demand_windows.parquet", "jobs.parquet",
    "latency_histograms.parquet", "pools.csv", "prices.csv", "tenant_usage.parquet", "use_cases.csv",
)  # fmt: skip
OPTIONAL = ("account_map", "decisions", "demand_chain", "demand_what_ifs", "jobs", "latency_histograms", "pools", "tenant_usage", "commitments", "benchmarks")  # fmt: skip
COUNTED = ("requests", "errors", "retries", "service_units", "input_tokens", "cached_input_tokens", "output_tokens")
CLOCKS = {"demand_windows": "window_start_utc", "jobs": "submitted_utc", "pools": "window_start_utc", "billing": "ChargePeriodStart"}  # fmt: skip


@dataclass
class Company:
    """Tables and plan of a workspace while they are changed."""

    plan: dict
    tables: dict[str, pd.DataFrame]
    rng: np.random.Generator
    told: list[str] = field(default_factory=list)

    def some(self, items: list, most: int) -> list:
        """One to `most` of the items, one left over where there are two."""
        count = int(self.rng.integers(1, max(min(most, len(items) - 1), 1) + 1))
        return [items[i] for i in sorted(self.rng.choice(len(items), count, replace=False))]

    def one(self, *items: object) -> object:
        return items[int(self.rng.integers(len(items)))]

    @property
    def use_cases(self) -> list[str]:
        return list(self.tables["use_cases"]["use_case_id"])

    @property
    def regions(self) -> list[str]:
        return [item["region"] for item in self.plan["regions"]]


def _few_use_cases(company: Company) -> str:
    kept = company.rng.choice(company.use_cases, int(company.rng.integers(1, 5)), replace=False)
    gone = [name for name in company.use_cases if name not in kept]
    for name, table in company.tables.items():
        if "use_case_id" in table:
            company.tables[name] = table[~table["use_case_id"].isin(gone)].reset_index(drop=True)
    plan = company.plan
    plan["baseline_accelerators"] = {k: v for k, v in plan["baseline_accelerators"].items() if k not in gone}
    plan["launches"] = [item for item in plan["launches"] if item["use_case_id"] not in gone]
    for item in plan["hidden_costs"]:
        item["use_cases"] = [name for name in item.get("use_cases", []) if name not in gone]
    plan["hidden_costs"] = [
        item
        for item in plan["hidden_costs"]
        if item["use_cases"] or not {"usd_per_unit", "usd_per_waiting_hour"} & set(item)
    ]
    return f"use cases {sorted(map(str, kept))}"


def _fewer_regions(company: Company) -> str:
    used = {*company.tables["demand_windows"]["region"], *company.tables["jobs"]["region"]}
    kept = company.one(*sorted(used & {*company.regions}))
    gone = company.some([name for name in company.regions if name != kept], 2)
    for name, column in (("demand_windows", "region"), ("jobs", "region"), ("pools", "region"), ("commitments", "region"), ("demand_chain", "region"), ("demand_what_ifs", "region"), ("tenant_usage", "region"), ("latency_histograms", "region"), ("billing", "RegionId"), ("approved_plan", "region"), ("approved_bands", "region")):  # fmt: skip
        table = company.tables.get(name)
        if table is not None and column in table:
            company.tables[name] = table[~table[column].isin(gone)].reset_index(drop=True)
    plan = company.plan
    plan["regions"] = [item for item in plan["regions"] if item["region"] not in gone]
    plan["region_latency"] = [item for item in plan["region_latency"] if not set(item["between"]) & set(gone)]
    return f"without regions {gone}"


def scale_demand(table: pd.DataFrame, rows: object, factor: float) -> None:
    """Multiply what the windows `rows` count; whole numbers stay whole."""
    for column in COUNTED:
        scaled = (table.loc[rows, column].astype("Float64") * factor).round(3 if column == "service_units" else 0)
        table.loc[rows, column] = scaled.astype(table[column].dtype)


def _scaled_demand(company: Company) -> str:
    table = company.tables["demand_windows"]
    which = company.some(company.use_cases, 6)
    factor = float(company.one(0.01, 0.1, 0.3, 3.0, 10.0, 40.0))
    rows = table["use_case_id"].isin(which)
    scale_demand(table, rows, factor)
    done = table["requests"] - table["errors"]
    table.loc[rows & (table["service_units"] > done) & (done <= 0), "service_units"] = 0.0
    return f"demand of {which} x {factor}"


def _spikes(company: Company) -> str:
    table = company.tables["demand_windows"]
    which = company.one(*company.use_cases)
    rows = np.flatnonzero((table["use_case_id"] == which).to_numpy())
    if not len(rows):
        return ""
    hit = company.rng.choice(rows, max(len(rows) // 200, 1), replace=False)
    scale_demand(table, hit, 6.0)
    return f"bursts of {which}"


def _holes(company: Company) -> str:
    table = company.tables["demand_windows"]
    which = company.one(*company.use_cases)
    rows = (table["use_case_id"] == which) & (company.rng.random(len(table)) < 0.2)
    company.tables["demand_windows"] = table[~rows].reset_index(drop=True)
    return f"a fifth of the windows of {which} is missing"


def _other_candidates(company: Company) -> str:
    plan = company.plan
    plan["candidates"] = company.some(plan["candidates"], 8)
    return f"candidates {plan['candidates']}"


def _other_horizon(company: Company) -> str:
    company.plan["horizon_months"] = int(company.one(12, 13, 18, 24, 48, 60))
    return f"horizon {company.plan['horizon_months']}"


def _other_budget(company: Company) -> str:
    budget = {
        "capex_usd_per_year": company.one(None, 0, 50_000, 400_000, 2_000_000),
        "opex_usd_per_month": company.one(None, 20_000, 150_000, 400_000),
        "opex_limits_orders": company.one(True, False),
    }
    company.plan["budget"] = {name: value for name, value in budget.items() if value is not None}
    return f"budget {company.plan['budget']}"


def _other_limits(company: Company) -> str:
    for region in company.plan["regions"]:
        for name, values in (("power_limit_kw", (None, 2, 30, 300)), ("space_limit_servers", (None, 0, 1, 6, 60))):
            region.pop(name, None)
            value = company.one(*values)
            if value is not None:
                region[name] = value
    company.plan["vendor_share_most"] = company.one(1.0, 0.6, 0.3)
    return f"limits {[(r['region'], r.get('power_limit_kw'), r.get('space_limit_servers')) for r in company.plan['regions']]}, vendors {company.plan['vendor_share_most']}"


def _failure_domains(company: Company) -> str:
    names = list(company.plan["reserve"])
    company.plan["failure_domains"] = {name: int(company.one(2, 3, 5)) for name in company.some(names, 3)}
    return f"failure domains {company.plan['failure_domains']}"


def _other_reserve(company: Company) -> str:
    company.plan["reserve"] = {name: float(company.one(0.0, 0.1, 0.5, 1.0)) for name in company.plan["reserve"]}
    return f"reserve {company.plan['reserve']}"


def _other_assumptions(company: Company) -> str:
    told = []
    for name in company.some(list(company.plan["assumptions"]), 8):
        item = company.plan["assumptions"][name]
        item["value"] = company.one(item["low"], item["high"])
        told.append(f"{name}={item['value']}")
    return ", ".join(told)


def _no_tax_no_rate(company: Company) -> str:
    for name in company.some(["wacc", "tax_rate", "residual_decline_per_year", "maintenance_share_per_year"], 3):
        company.plan["assumptions"][name] |= {"value": 0.0, "low": 0.0, "high": 0.05}
    company.plan["tax_depreciation"] = company.one("straight_line", "macrs_5", "bonus_100")
    company.plan["fiscal_year_start_month"] = int(company.one(1, 4, 7, 10))
    return f"rates at 0, {company.plan['tax_depreciation']}, fiscal year from {company.plan['fiscal_year_start_month']}"


def _other_scenarios(company: Company) -> str:
    for item, factor in zip(company.plan["scenarios"], (0.2, 0.8, 2.5), strict=True):
        item["growth_multiplier"] = factor
    if company.one(True, False):
        company.plan["scenarios"][1] |= {"monthly_growth": float(company.one(-0.05, 0.0, 0.08))}
    return f"scenarios {[(s['growth_multiplier'], s.get('monthly_growth')) for s in company.plan['scenarios']]}"


def _other_launches(company: Company) -> str:
    months = ["2026-11", "2027-01", "2027-06", "2028-05", "2029-09"]
    company.plan["launches"] = [
        {"use_case_id": name, "month": company.one(*months), "demand_multiplier": float(company.one(0.3, 1.2, 3.0)), "milestone": "Launch", "may_slip": bool(company.one(True, False))}
        for name in company.some(company.use_cases, 4)
    ]  # fmt: skip
    return f"launches {[(i['use_case_id'], i['month'], i['demand_multiplier']) for i in company.plan['launches']]}"


def _other_prices(company: Company) -> str:
    table = company.tables["prices"]
    kept = table[company.rng.random(len(table)) < 0.6].reset_index(drop=True)
    factor = company.rng.uniform(0.6, 1.6, len(kept))
    for column in ("usd_per_accelerator_hour", "usd_per_accelerator"):
        kept[column] = (kept[column] * factor).round(4)
    company.tables["prices"] = kept
    return f"{len(kept)} of {len(table)} own prices, changed"


def _other_commitments(company: Company) -> str:
    table = company.tables.get("commitments")
    if table is None or not len(table):
        return ""
    kept = table[company.rng.random(len(table)) < 0.6].reset_index(drop=True)
    kept["accelerators"] = (kept["accelerators"] * int(company.one(1, 2, 5))).astype(int)
    company.tables["commitments"] = kept
    return f"commitments {list(kept['order_id'])}"


def _other_use_cases(company: Company) -> str:
    table = company.tables["use_cases"]
    told = []
    for row in company.some(list(range(len(table))), 6):
        name = table.at[row, "use_case_id"]
        column, value = company.one(
            ("criticality", company.one("experimental", "internal", "customer_facing", "critical")),
            ("value_usd_per_unit", float(table["value_usd_per_unit"].fillna(0)[row]) * float(company.one(0, 0.2, 5))),
            ("value_usd_per_unit", np.nan),
            ("demand_stability", company.one("stable", "changing", "volatile")),
            ("retire_month", company.one("2026-12", "2027-09", "2029-01")),
            ("slo_p95_ttft_ms", table["slo_p95_ttft_ms"][row] * 0.5),
            ("slo_p95_e2e_ms", table["slo_p95_e2e_ms"][row] * 0.5),
            ("slo_p95_e2e_ms", np.nan),
            ("allowed_regions", ";".join(company.some(company.regions, 2))),
        )
        if pd.api.types.is_float_dtype(table[column]) and isinstance(value, str):
            table[column] = table[column].astype(object)
        table.at[row, column] = value
        told.append(f"{name}.{column}={value}")
    return ", ".join(told)


def _fewer_benchmarks(company: Company) -> str:
    table = company.tables.get("benchmarks")
    if table is None or not len(table):
        return ""
    column = company.one("accelerator_id", "use_case_id", "benchmark_id")
    gone = company.some(sorted(table[column].unique()), 20)
    company.tables["benchmarks"] = table[~table[column].isin(gone)].reset_index(drop=True)
    return f"benchmarks without {len(gone)} of {column}"


def _restriction(company: Company) -> str:
    rule = {"rule": "policy", "reason": "policy of the house", "source": "test", "as_of": "2026-01-15"}
    rule |= company.one(
        {"vendors": ["NVIDIA"], "use_cases": company.some(company.use_cases, 3)},
        {"accelerators": company.some(company.plan["candidates"], 3)} if len(company.plan["candidates"]) > 1 else {"platform_classes": ["tpu"]},
        {"platform_classes": [company.one("gpu", "tpu", "trainium", "edge")], "regions": [company.regions[0]]},
    )  # fmt: skip
    company.plan["restrictions"] = [*company.plan["restrictions"], rule]
    return f"restriction {rule}"


def _without_tables(company: Company) -> str:
    gone = [name for name in company.some(list(OPTIONAL), 4) if name in company.tables]
    for name in gone:
        company.tables.pop(name)
    return f"without tables {gone}"


def _shorter_history(company: Company) -> str:
    months = int(company.one(2, 3, 5, 8))
    first = str(pd.Period("2026-10", "M") - months + 1)
    for name, column in CLOCKS.items():
        table = company.tables.get(name)
        if table is not None:
            company.tables[name] = table[table[column].astype(str) >= first].reset_index(drop=True)
    return f"history from {first}"


def _by_region(company: Company) -> str:
    company.plan["platform_by_region"] = company.some(company.use_cases, 6)
    return f"platform by region {company.plan['platform_by_region']}"


def _owned(company: Company) -> str:
    name = str(company.one("nvidia-a100-80-sxm", "nvidia-h100-sxm", "nvidia-l4"))
    company.plan["owned_accelerators"] = {name: int(company.one(1, 8, 30, 200))}
    return f"owned {company.plan['owned_accelerators']}"


CHANGES: tuple[Callable[[Company], str], ...] = (
    _fewer_regions, _scaled_demand, _spikes, _holes, _other_candidates, _other_horizon, _other_budget,
    _other_limits, _failure_domains, _other_reserve, _other_assumptions, _no_tax_no_rate, _other_scenarios, _other_launches,
    _other_prices, _other_commitments, _other_use_cases, _fewer_benchmarks, _restriction, _without_tables, _shorter_history,
    _by_region, _owned,
)  # fmt: skip


def read_company(source: Path, seed: int) -> Company:
    tables = {}
    for file in TABLES:
        path = source / file
        if path.exists():
            tables[file.split(".")[0]] = pd.read_parquet(path) if file.endswith("parquet") else pd.read_csv(path)
    plan = yaml.safe_load((source / "plan.yaml").read_text())
    return Company(plan, tables, np.random.default_rng(seed))


def write_company(company: Company, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for file in TABLES:
        table = company.tables.get(file.split(".")[0])
        if table is not None and file.endswith("parquet"):
            table.to_parquet(target / file, index=False)
        elif table is not None:
            packed = {"method": "gzip", "mtime": 0} if file.endswith("gz") else None
            table.to_csv(target / file, index=False, compression=packed)
    (target / "plan.yaml").write_text(yaml.safe_dump(company.plan, sort_keys=False, allow_unicode=True))


def changed_company(seed: int, source: Path, target: Path, changes: int = 6) -> list[str]:
    """Write a company of one to four use cases, changed, into `target`; returns what was changed, in words."""
    company = read_company(source, seed)
    company.told.append(_few_use_cases(company))
    order = company.rng.choice(len(CHANGES), changes, replace=False)
    for number in sorted(order):
        company.told.append(CHANGES[number](company))
    write_company(company, target)
    return [text for text in company.told if text]
