"""The sample company, reproducibly: `python -m aifactory.demand.generator FOLDER [--seed N]`.

Every number is drawn from `SeedSequence(seed)` with one child per part, so that a change to one
use case leaves the others as they are. Same seed, same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from aifactory.demand import generator_costs as costs
from aifactory.demand import generator_telemetry as telemetry
from aifactory.demand.generator_company import AS_OF, USE_CASES
from aifactory.inputs.telemetry import conform
from aifactory.inputs.write import write_table

DEFAULT_SEED = 20261031
SUFFIXES = {
    "demand_windows": ".parquet",
    "jobs": ".parquet",
    "latency_histograms": ".parquet",
    "tenant_usage": ".parquet",
    "billing": ".csv.gz",
}
ASSUMED_ACCOUNT_TEAMS = (("100000000016", "risk", "finance"), ("edge-eu", "logistics", "operations"))
#: Instances of quotes that are larger than the node of the catalogue.
NODES_QUOTED = {"g6.12xlarge": 4, "g6e.12xlarge": 4}
#: Day of each edition of the quotes, and what ends their ids.
QUOTED = (("2026-10-15", ""), ("2026-07-15", "-2026-07"))
REGIONAL_QUOTES = (
    # provider, sku, accelerator, provider region, USD per hour on demand
    ("AWS", "p5.48xlarge", "nvidia-h100-sxm", "eu-west-1", 7.60),
    ("Azure", "Standard_ND96isr_H100_v5", "nvidia-h100-sxm", "southeastasia", 8.10),
    ("AWS", "p5en.48xlarge", "nvidia-h200-sxm", "eu-west-1", 8.80),
    ("AWS", "p4de.24xlarge", "nvidia-a100-80-sxm", "eu-west-1", 3.77),
    ("AWS", "p4de.24xlarge", "nvidia-a100-80-sxm", "ap-southeast-1", 4.10),
)
QUOTES = (
    # provider, sku, accelerator, option, months, USD per hour, USD each, weeks
    ("Example Leasing (invented)", "H100 8-way server, 36-month lease", "nvidia-h100-sxm", "lease", 36, 2.95, None, 20),
    (
        "Example Leasing (invented)",
        "A100 8-way server, 24-month lease",
        "nvidia-a100-80-sxm",
        "lease",
        24,
        1.35,
        None,
        8,
    ),
    ("AWS", "p5.48xlarge, 1-year offer", "nvidia-h100-sxm", "reserved_1y", 12, 4.95, None, 2),
    ("AWS", "p5.48xlarge, 3-year offer", "nvidia-h100-sxm", "reserved_3y", 36, 3.45, None, 2),
    ("AWS", "p4de.24xlarge, 1-year offer", "nvidia-a100-80-sxm", "reserved_1y", 12, 2.45, None, 2),
    ("AWS", "p4de.24xlarge, 3-year offer", "nvidia-a100-80-sxm", "reserved_3y", 36, 1.75, None, 2),
    ("AWS", "g6.12xlarge, 1-year offer", "nvidia-l4", "reserved_1y", 12, 0.78, None, 1),
    ("AWS", "g6.12xlarge, 3-year offer", "nvidia-l4", "reserved_3y", 36, 0.55, None, 1),
    ("AWS", "g6e.12xlarge, 1-year offer", "nvidia-l40s", "reserved_1y", 12, 1.25, None, 1),
    ("AWS", "g6e.12xlarge, spot", "nvidia-l40s", "spot", 0, 1.31, None, 0),
    ("AWS", "p4de.24xlarge, spot", "nvidia-a100-80-sxm", "spot", 0, 1.95, None, 0),
    ("Example Servers (invented)", "H100 8-way server", "nvidia-h100-sxm", "purchase", 0, None, 36_500.0, 26),
    (
        "Example Servers (invented)",
        "A100 8-way server, refurbished",
        "nvidia-a100-80-sxm",
        "purchase",
        0,
        None,
        13_500.0,
        8,
    ),
    ("Example Servers (invented)", "L4 server, price each", "nvidia-l4", "purchase", 0, None, 4_100.0, 10),
    ("Example Servers (invented)", "L40S server, price each", "nvidia-l40s", "purchase", 0, None, 12_400.0, 12),
)
DECISIONS = (
    ("2026-05-04", "change", "procurement-agent", "Launched for all buyers in the United States.", "head of procurement", "", "done"),
    ("2026-07-20", "decision", "buy plan", "Plan of July approved by the investment board.", "chief information officer", "", "done"),
    ("2026-08-05", "decision", "orders of July", "Servers for A100 and L4 are held until the shortlist of October; hours are rented meanwhile. Edge devices are ordered.", "chief financial officer", "", "done"),
    ("2026-08-19", "incident", "support-chat", "Six hours without service in eu-west after a failed cluster upgrade.", "head of platform", "", "done"),
    ("2026-09-02", "change", "faq-bot", "Traffic moves to support chat; retired by April 2027.", "head of customer service", "", "done"),
    ("2026-09-08", "decision", "eu-west nvidia-jetson-agx-orin", "Order of the growth band placed after the refresh of August.", "head of platform", "", "done"),
    ("2026-09-14", "change", "billing", "Provider corrected double charged hours.", "cloud cost owner", "", "done"),
    ("2026-10-01", "change", "claims-assistant", "The policy text now stands in front of each prompt.", "head of claims", "", "done"),
    ("2026-10-06", "decision", "us-chat-tpu", "Pilot on TPU goes on for three months at two per cent of traffic.", "head of platform", "2027-01-15", "open"),
    ("2026-10-12", "assumption", "growth", "Copilot seats double by summer 2027, to be confirmed.", "head of engineering", "2026-11-30", "open"),
    ("2026-10-20", "decision", "eu-docs-a100", "Name a team for the untagged document pool.", "head of workplace technology", "2026-11-15", "open"),
    ("2026-10-28", "decision", "us-media-l4", "Check the label of the media pool: power does not fit.", "head of platform", "2026-11-20", "open"),
)  # fmt: skip

#: What some of them rest on, and when they are looked at again.
EVIDENCE = (
    ("2026-07-20", "buy plan", "buy plan report of 2026-07, policies on the same demand", "2027-01-15"),
    ("2026-08-05", "orders of July", "approved plan of 2026-07, commitments table", None),
    ("2026-09-08", "eu-west nvidia-jetson-agx-orin", "released step, refresh of 2026-08", None),
    ("2026-10-06", "us-chat-tpu", "utilisation and unit cost of the pilot pool, refresh of 2026-09", "2027-01-05"),
    ("2026-10-20", "eu-docs-a100", "spend without a team, refresh of 2026-09", None),
    ("2026-10-28", "us-media-l4", "power per accelerator against its design power", None),
)


def generate_sample(folder: Path, seed: int = DEFAULT_SEED) -> None:
    """Write every generated table of the sample company into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    windows, jobs = telemetry.demand_windows(seed), telemetry.jobs(seed)
    load = costs.daily_load(windows, jobs)
    tables = {
        "use_cases": use_cases(),
        "demand_windows": windows,
        "latency_histograms": telemetry.latency_histograms(windows),
        "tenant_usage": telemetry.tenant_usage(windows, seed),
        "jobs": jobs,
        "pools": costs.pools(load, seed),
        "billing": costs.billing(load, seed),
        "benchmarks": costs.benchmarks(seed),
        "prices": quotes(),
        "decisions": decisions(),
        "account_map": pd.DataFrame(ASSUMED_ACCOUNT_TEAMS, columns=["SubAccountId", "team", "business_unit"]),
    }
    for name, table in tables.items():
        write_table(table, name, folder, suffix=SUFFIXES.get(name, ".csv"))


def use_cases() -> pd.DataFrame:
    """Table `use_cases`."""
    rows = [
        {
            "use_case_id": name,
            "name": case.name,
            "workload_class": case.workload_class,
            "business_unit": case.business_unit,
            "team": case.team,
            "owner_role": case.owner_role,
            "model": case.model or None,
            "service_unit": case.service_unit,
            "request_pattern": case.request_pattern,
            "criticality": case.criticality,
            "stage": case.stage,
            "allowed_regions": case.allowed or None,
            "slo_p95_ttft_ms": case.slo_ms[0],
            "slo_p95_tpot_ms": case.slo_ms[1],
            "slo_p95_e2e_ms": case.slo_ms[2],
            "slo_p95_wait_hours": case.wait_hours,
            "slo_max_failure_rate": None if case.job_hours else 0.03,
            "value_usd_per_unit": case.value_usd,
            "attribution_share": case.attribution,
            "launch_month": case.launch or None,
            "retire_month": case.retire or None,
            "demand_stability": case.stability,
            "source": "use case catalogue of the invented company",
            "as_of": AS_OF,
        }
        for name, case in USE_CASES.items()
    ]
    return conform(pd.DataFrame(rows), "use_cases")


def quotes() -> pd.DataFrame:
    """Table `prices`: invented offers that the sample company holds, renewed each quarter, next to the real catalogue."""
    regional = [
        (provider, sku, chip, "on_demand", 0, hourly, None, 0, region)
        for provider, sku, chip, region, hourly in REGIONAL_QUOTES
    ]
    offers = [*((*quote, "*") for quote in QUOTES), *regional]
    rows = [
        {
            "price_id": f"quote-{number:02d}{mark}",
            "provider": provider,
            "sku": sku,
            "accelerator_id": accelerator,
            "region": region,
            "purchase_option": option,
            "term_months": months,
            "upfront_fraction": 1.0 if option == "purchase" else 0.0,
            "usd_per_accelerator_hour": hourly,
            "usd_per_accelerator": each,
            "accelerators_per_node": NODES_QUOTED.get(sku.split(",")[0]),
            "lead_time_weeks": weeks,
            "note": "invented offer of the sample company, not a market price",
            "source": "offer file of the invented company",
            "as_of": day,
            "confidence": "assumed",
        }
        for day, mark in QUOTED
        for number, (provider, sku, accelerator, option, months, hourly, each, weeks, region) in enumerate(offers, 1)
    ]
    return conform(pd.DataFrame(rows), "prices")


def decisions() -> pd.DataFrame:
    """Table `decisions`."""
    columns = ["date", "kind", "subject", "text", "owner_role", "due", "status"]
    table = pd.DataFrame(DECISIONS, columns=columns).replace({"due": {"": None}})
    later = pd.DataFrame(EVIDENCE, columns=["date", "subject", "evidence", "review_date"])
    return conform(table.merge(later, on=["date", "subject"], how="left"), "decisions")


def main() -> None:
    """Command line of the generator."""
    parser = argparse.ArgumentParser(description="Generate the sample company.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    arguments = parser.parse_args()
    generate_sample(arguments.folder, arguments.seed)


if __name__ == "__main__":
    main()
