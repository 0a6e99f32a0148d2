"""A two-use-case company small enough to work out by hand.

`chat` serves 8 accelerators on average around the clock (load 12 by day, 4 by night), `train`
keeps 4 accelerators busy, each of its jobs within a day: it cannot wait (`WAITS`: it can). Nodes have 4 accelerators. On demand costs USD 4.00 an hour, a year
reserved USD 2.00, so the break-even share of hours is one half.
"""

import datetime as dt

import numpy as np
import pandas as pd

from aifactory.buyplan.case import build_case
from aifactory.finance.prices import price_table
from aifactory.fleet.streams import build_streams
from aifactory.inputs.plan import REQUIRED_ASSUMPTIONS, Plan, default_assumptions
from aifactory.units import HOURS_PER_MONTH, SCENARIOS

PERIOD = "2026-10"
TODAY = dt.date(2026, 10, 31)
ZERO = dict.fromkeys(REQUIRED_ASSUMPTIONS, 0.0)
STILL = {**default_assumptions()["cost_inflation"], "value": 0.0, "low": 0.0, "high": 0.0}  # prices of pay stand still
NEUTRAL = {
    "planning_utilization": 1.0,
    "pue": 1.0,
    "server_power_factor": 1.0,
    "accelerators_per_operator": 100.0,
    "devices_per_operator": 100.0,
}
DAY_MS = 86_400_000.0
#: Fields with which `train` is training that may wait within its month.
WAITS = {"workload_class": ["real_time_inference", "batch_training"], "slo_p95_e2e_ms": [np.nan, np.nan]}
DAY_AND_NIGHT = np.tile(np.repeat([1.5, 0.5], 12), 30)  # mean 1


def make_plan(months=12, values=None, **fields):
    numbers = ZERO | NEUTRAL | (values or {})
    assumptions = {
        name: {
            "value": value,
            "low": max(value * 0.5, 1.0) if name == "pue" else value * 0.5,
            "high": value * 1.5 if name != "planning_utilization" else value,
            "unit": REQUIRED_ASSUMPTIONS[name],
            "owner_role": "Analyst",
            "source": "hand-made",
            "as_of": "2026-10-01",
        }
        for name, value in numbers.items()
        if name in REQUIRED_ASSUMPTIONS
    }
    assumptions |= {
        name: default_assumptions()[name] | {"value": value, "low": value, "high": value}
        for name, value in numbers.items()
        if name not in REQUIRED_ASSUMPTIONS
    }
    assumptions.setdefault("cost_inflation", STILL)
    data = {
        "organisation": "Tiny",
        "horizon_months": months,
        "reference_accelerator": "acc",
        "candidates": ["acc", "edge"],
        "regions": [
            {
                "region": "eu",
                "name": "Europe",
                "provider_regions": {"cloud": "eu-1"},
                "usd_per_kwh": 0.10,
                "gco2_per_kwh": 100,
                "source": "hand-made",
                "as_of": "2026-10-01",
            }
        ],
        "reserve": {"experimental": 0.2, "internal": 0.2, "customer_facing": 0.4, "critical": 0.5},
        "scenarios": [{"scenario": name, "description": name} for name in SCENARIOS],
        "matrix_weights": {"cost": 1.0},
        "scorecard_weights": {"supply": 1.0},
        "porting_person_months": {"gpu": 0.0},
        "launch_delay_months": {"gpu": 0.0},
        "governance": [
            {"name": "Architecture review", "every_months": 6, "owner_role": "Platform lead", "rule": "rule"}
        ],
        "price_freshness_days": {"on_demand": 90},
        "assumptions": assumptions,
    }
    return Plan.model_validate(data | fields)


def make_prices(*extra, drop=()):
    rows = [
        {"purchase_option": "on_demand", "usd_per_accelerator_hour": 4.0},
        {"purchase_option": "reserved_1y", "usd_per_accelerator_hour": 2.0, "term_months": 12},
        *extra,
    ]
    frame = pd.DataFrame([row for row in rows if row["purchase_option"] not in drop])
    defaults = {
        "accelerator_id": "acc",
        "provider": "cloud",
        "region": "eu-1",
        "sku": "sku",
        "term_months": 0,
        "upfront_fraction": 0.0,
        "usd_per_accelerator_hour": np.nan,
        "usd_per_accelerator": np.nan,
        "minimum_accelerators": 1,
        "accelerators_per_node": np.nan,
        "lead_time_weeks": 0.0,
        "note": "",
        "source": "hand-made",
        "confidence": "assumed",
        "as_of": "2026-10-01",
        "quoted": False,
    }
    for name, value in defaults.items():
        frame[name] = frame[name].fillna(value) if name in frame else value
    frame["price_id"] = [f"p{number}" for number in range(len(frame))]
    frame["as_of"] = pd.to_datetime(frame["as_of"])
    return frame


def make_inputs(plan, growth=None, chat=8.0, train=4.0, **use_case_fields):
    """Tables of the company; `growth` maps scenario to monthly growth of the chat demand."""
    growth = {"conservative": 0.0, "expected": 0.0, "aggressive": 0.0} | (growth or {})
    # one chat unit a second and accelerator; a training unit is an accelerator-hour
    chat_units, train_units = chat * 3600 * HOURS_PER_MONTH, train * HOURS_PER_MONTH
    base = pd.DataFrame(
        {
            "use_case_id": ["chat", "train"],
            "region": ["eu", "eu"],
            "units_month": [chat_units, train_units],
            "units_per_hour_avg": [chat_units / HOURS_PER_MONTH, train_units / HOURS_PER_MONTH],
            "observed_share": [1.0, 1.0],
            "failure_rate": [0.0, 0.0],
        }
    )
    rows = []
    for scenario in SCENARIOS:
        for step in range(1, plan.horizon_months + 1):
            for name, units, peak in (
                ("chat", chat_units * (1 + growth[scenario]) ** step, 1.5),
                ("train", train_units, 1.0),
            ):
                rows.append(
                    {
                        "scenario": scenario,
                        "month": str(pd.Period(PERIOD, "M") + step),
                        "use_case_id": name,
                        "region": "eu",
                        "units": units,
                        "units_per_hour_avg": units / HOURS_PER_MONTH,
                        "units_per_hour_peak": units / HOURS_PER_MONTH * peak,
                        "size": 1.0,
                        "units_p10": 0.8 * units,
                        "units_p90": 1.25 * units,
                    }
                )
    use_cases = pd.DataFrame(
        {
            "use_case_id": ["chat", "train"],
            "name": ["Chat", "Training"],
            "workload_class": ["real_time_inference", "multimodal_media"],
            "service_unit": ["request", "accelerator_hour"],
            "criticality": ["customer_facing", "internal"],
            "request_pattern": ["interactive", "batch"],
            "allowed_regions": ["eu", ""],
            "business_unit": ["Sales", "Research"],
            "team": ["Desk", None],
            "owner_role": ["Product owner", "Research lead"],
            "model": ["model-8b", "model-8b"],
            "value_usd_per_unit": [0.01, np.nan],
            "attribution_share": [0.5, np.nan],
            "slo_p95_ttft_ms": [1000.0, np.nan],
            "slo_p95_tpot_ms": [np.nan, np.nan],
            "slo_p95_e2e_ms": [np.nan, DAY_MS],
        }
    ).assign(**use_case_fields)
    return {
        "forecast": pd.DataFrame(rows),
        "demand_profile": base,
        "tokens": pd.DataFrame(
            {
                "use_case_id": ["chat"],
                "region": ["eu"],
                "input_tokens": [chat_units * 1_000],
                "cached_input_tokens": [0.0],
                "output_tokens": [chat_units * 200],
            }
        ),
        "use_cases": use_cases,
        "accelerators": pd.DataFrame(
            {
                "accelerator_id": ["acc", "edge"],
                "accelerators_per_node": [4, 1],
                "tdp_w": [1_000.0, 10.0],
                "platform_class": ["gpu", "edge"],
                "verified_sources": [2, 0],
            }
        ),
        "choice": pd.DataFrame({"use_case_id": ["chat", "train"], "accelerator_id": ["acc", "acc"]}),
        "capacity": pd.DataFrame(
            {
                "use_case_id": ["chat", "train"],
                "accelerator_id": ["acc", "acc"],
                "units_per_s_per_accelerator": [1.0, 1 / 3600],
                "low": [0.9, 1 / 3600],
                "high": [1.1, 1 / 3600],
                "tier": ["measured", "anchored"],
                "failure_rate": [0.0, np.nan],
            }
        ),
        "shapes": {("chat", "eu"): DAY_AND_NIGHT},
    }


def make_case(*, plan=None, prices=None, owned=None, porting=None, rework=None, inputs=None, **changes):
    """A case of the company; `inputs` replaces whole tables, `changes` go to `make_inputs`."""
    plan = plan or make_plan()
    tables = make_inputs(plan, **changes) | (inputs or {})
    streams = build_streams(plan, PERIOD, **tables)
    table = price_table(make_prices() if prices is None else prices, plan, TODAY)
    return build_case(plan, streams, table, owned=owned or {}, porting=porting or {}, rework=rework)
