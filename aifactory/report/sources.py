"""Inputs that the published tables of each stage were made of, for the workbook."""

from __future__ import annotations

_RUNS = "benchmarks table"
_MEASURED = "benchmarks, public_measurements and use_cases tables"
_JUDGED = "benchmarks, public_measurements, prices and judgements tables; plan.yaml"
_DEMAND = "demand_windows, jobs and demand_chain tables; shortlist; plan.yaml"
_PLANNED = "demand simulation, capacity at the SLO, prices table; plan.yaml"
_PATHS = "orders of the plan on 100 simulated paths of demand and prices; prices table; plan.yaml"
_MONEY = "orders of the plan, prices and use_cases tables; plan.yaml"
_DRAWS = "100,000 draws of the ranges of plan.yaml, of the demand simulation and of capacity"
_ACTUAL = "demand_windows, jobs, billing and approved_plan tables"

#: Stage: table: inputs. The inventory names its own.
TABLE_SOURCES: dict[str, dict[str, str]] = {
    "benchmark": {
        **dict.fromkeys(("validity", "curves", "operation"), _RUNS),
        **dict.fromkeys(("capacity", "not_measured"), _MEASURED),
        "agreement": "benchmarks, pools, billing, demand_windows, latency_histograms and latency_bounds tables",
        "prices": "prices table",
        "first_tenth": "benchmarks and demand_windows tables",
        "prompt_mix": "benchmarks and latency_histograms tables",
    },
    "shortlist": {
        **dict.fromkeys(
            ("matrix", "criteria", "choice", "ranks", "verdicts", "acceptability", "central_weights", "knowledge"),
            _JUDGED,
        ),
        **dict.fromkeys(("penalties", "migrations", "architecture", "pilots"), f"{_JUDGED}; demand simulation"),
        **dict.fromkeys(("scorecard", "scorecard_long"), "judgements, prices and accelerators tables; plan.yaml"),
        "anchors": "plan.yaml and anchors of the package",
        "today": "plan.yaml; jobs and billing tables",
        "exclusions": "accelerators, models and lifecycle tables; plan.yaml",
        "judged_values": "judgements table",
    },
    "buy_plan": {
        **dict.fromkeys(("need", "sizes", "not_sized", "reserves", "pools"), _DEMAND),
        "reserve_curve": f"{_DEMAND}; prices table",
        **dict.fromkeys(("orders", "bands", "fleet", "capacity_use", "approved_plan", "tornado", "what_ifs"), _PLANNED),
        **dict.fromkeys(("options", "other_nodes", "break_even"), "prices and operating_costs tables; plan.yaml"),
        **dict.fromkeys(
            ("policies_on_paths", "stress_tests", "flexibility", "excluded_platforms", "limit_values"), _PATHS
        ),
        **dict.fromkeys(("plan_stability", "risk_frontier", "order_reasons", "peak_platforms"), _PATHS),
        **dict.fromkeys(
            ("costs", "tco", "cash_flow", "roi", "unit_cost", "unit_summary", "cost_by", "comparisons"), _MONEY
        ),
        **dict.fromkeys(("leases", "tax_regimes"), _MONEY),
        **dict.fromkeys(
            ("returns", "return_drivers", "return_factors", "tornado_frozen", "value_of_information"), _DRAWS
        ),
        "break_even_volume": _DRAWS,
        "api": "api_prices and use_cases tables",
        "hosted": f"api_prices table; {_PATHS}",
        "hosted_today": f"billing, demand_windows and api_prices tables; {_PATHS}",
        "moves": f"commitments, prices and benchmarks tables; {_PATHS}",
        "ports": f"use_cases table and plan.yaml; {_PATHS}",
        "governance": "plan.yaml; lifecycle and decisions tables; orders of the plan",
        "plans_on_own_past": "hourly demand of the workspace; prices table",
    },
    "refresh": {
        **dict.fromkeys(("variance", "plan_variance", "cause_ranges", "kpis", "roi_to_date"), _ACTUAL),
        **dict.fromkeys(("payback", "guardrails", "unit_cost", "unit_cost_bands", "chargeback"), _ACTUAL),
        **dict.fromkeys(("triggers", "band_triggers", "recommendation"), f"{_ACTUAL}; pools and approved_bands tables"),
        **dict.fromkeys(("forecast_accuracy", "forecast_scores", "token_growth"), "demand_windows and jobs tables"),
        "drift": "latency_histograms, demand_windows and tenant_usage tables",
        "plan_use": "pools, demand_windows, jobs and approved_plan tables",
        **dict.fromkeys(("hardware", "platforms"), "pools, billing, lifecycle and accelerators tables; plan.yaml"),
        "price_watch": "prices table",
        **dict.fromkeys(("paths", "scenarios"), "demand simulation; approved_plan table"),
        "changes": "decisions, commitments and billing tables; reports of the month before",
        "decisions_due": "decisions, api_prices, billing and use_cases tables",
        "figures_changed": "reports of this month and of the month before",
        "figures_held": "billing, demand_windows, jobs, prices and commitments tables",
        "months_restated": "billing, demand_windows and jobs tables; first report of the month before",
        "governance": "plan.yaml; lifecycle and decisions tables",
    },
}
