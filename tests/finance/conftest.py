"""A small plan and price list shared by the tests of this room."""

import pandas as pd
import pytest


@pytest.fixture
def price_rows():
    def build(rows):
        frame = pd.DataFrame(rows)
        defaults = {
            "sku": "sku",
            "term_months": 0,
            "upfront_fraction": 0.0,
            "usd_per_accelerator_hour": float("nan"),
            "usd_per_accelerator": float("nan"),
            "minimum_accelerators": 1,
            "lead_time_weeks": 0.0,
            "note": "",
            "source": "hand-made",
            "confidence": "assumed",
            "as_of": "2026-10-01",
            "quoted": False,
        }
        for name, value in defaults.items():
            frame[name] = frame[name].fillna(value) if name in frame else value
        frame["price_id"] = [f"p{i}" for i in range(len(frame))]
        frame["as_of"] = pd.to_datetime(frame["as_of"])
        return frame

    return build


class TinyPlan:
    """Only what the functions of this room read."""

    horizon_months = 36
    candidates = ("a", "b")
    hidden_costs = ()

    def __init__(self, **values):
        self.values = {
            "wacc": 0.0,
            "pue": 1.5,
            "server_power_factor": 1.0,
            "colocation_usd_per_kw_month": 200.0,
            "maintenance_share_per_year": 0.06,
            "network_share_of_capex": 0.1,
            "residual_decline_per_year": 0.0,
            "spot_interruption_share": 0.1,
            "storage_gb_per_accelerator": 1_000.0,
            "storage_usd_per_gb_month": 0.02,
            "egress_usd_per_gb": 0.09,
            "egress_bytes_per_output_token": 5.0,
            "orchestration_share": 0.04,
            "operator_usd_per_month": 16_000.0,
            "accelerators_per_operator": 128.0,
            "devices_per_operator": 1_000.0,
            "safety_check_share": 0.05,
            "contingency_share": 0.1,
        } | values

    def value(self, name):
        return self.values[name]


@pytest.fixture
def tiny_plan():
    return TinyPlan
