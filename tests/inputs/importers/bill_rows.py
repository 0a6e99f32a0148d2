"""A row of a Google Cloud billing export, made by hand from the documented columns."""

import json

GOOGLE = {
    "billing_account_id": "0A-1", "invoice": {"month": "202610"}, "cost_type": "regular",
    "service": {"id": "6F81", "description": "Compute Engine"},
    "sku": {"id": "GPU-1", "description": "Nvidia H100 80GB GPU running in Americas"},
    "usage_start_time": "2026-10-05 00:00:00 UTC", "usage_end_time": "2026-10-05 01:00:00 UTC",
    "project": {"id": "llm", "name": "LLM"}, "location": {"region": "us-central1"},
    "labels": [{"key": "team", "value": "cx"}], "cost": 10.25, "currency": "USD", "cost_at_list": 12.5,
    "usage": {"amount": 28800.0, "unit": "seconds", "amount_in_pricing_units": 8.0, "pricing_unit": "hour"},
    "credits": [{"name": "CUD", "amount": -2.15, "type": "COMMITTED_USAGE_DISCOUNT"}],
}  # fmt: skip


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)
