"""Fees of committed use on Google Cloud land on the usage that they cover, to the last digit."""

import copy
from decimal import Decimal

import pytest
from bill_rows import GOOGLE, lines
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.inputs.importers.bills import bill_report, read_bill


def usage(team="cx", hours=8.0, cost=80.0, credit=-80.0, sku="Nvidia H100 80GB GPU running in Iowa", day=5, **more):
    row = copy.deepcopy(GOOGLE)
    row |= {"cost": cost, "labels": [{"key": "team", "value": team}], "sku": {"id": sku[:9], "description": sku}}
    row["usage_start_time"], row["usage_end_time"] = f"2026-10-{day:02} 00:00:00 UTC", f"2026-10-{day:02} 23:00:00 UTC"
    row["usage"] = {"amount": hours * 3600, "unit": "seconds", "amount_in_pricing_units": hours, "pricing_unit": "hour"}
    row["credits"] = [{"name": "CUD", "amount": credit, "type": "COMMITTED_USAGE_DISCOUNT"}] if credit else []
    return row | more


def fee(cost, hours, sku="Commitment v1: Nvidia H100 80GB GPU in Iowa for 1 Year", day=5, **more):
    return usage("", hours, cost, 0, sku, day, labels=[], project={"id": "admin", "name": "admin"}, **more)


def report(tmp_path, *rows):
    path = tmp_path / "export.json"
    path.write_text(lines(*rows))
    return bill_report(read_bill(path))


def by(found, what):
    return {name: Decimal(value) for name, value in found["by"][what].items() if Decimal(value)}


def test_a_fee_that_is_used_up_is_shared_by_covered_hours(tmp_path):
    found = report(tmp_path, usage("cx", 8, 80, -80), usage("ops", 24, 240, -240), fee(200.01, 32))
    assert by(found, "team") == {"cx": Decimal("50.0025"), "ops": Decimal("150.0075")}
    assert {Decimal(found["totals"][name]) for name in ("effective", "billed")} == {Decimal("200.01")}
    assert by(found, "purchase_option") == {"committed": Decimal("200.01")}
    assert by(found, "accelerator") == {"nvidia-h100-sxm": Decimal("200.01")}


def test_what_was_committed_and_not_used_is_idle(tmp_path):
    found = report(tmp_path, usage("cx", 8, 80, -80), fee(200, 32))
    assert by(found, "team") == {"cx": 50, "(untagged)": 150}
    assert by(found, "purchase_option") == {"committed": 50, "committed_unused": 150}
    assert found["accelerator_hours"] == {"nvidia-h100-sxm": 8.0}


def test_a_fee_without_any_covered_usage_is_idle_as_a_whole(tmp_path):
    found = report(tmp_path, usage("cx", 8, 80, 0), fee(200, 32))
    assert by(found, "purchase_option") == {"on_demand": 80, "committed_unused": 200}
    assert any("unused commitment" in item["text"] for item in found["warnings"])


def test_days_regions_and_devices_are_kept_apart(tmp_path):
    ram = "A3 Instance Ram running in Iowa"
    found = report(
        tmp_path,
        usage("cx", 8, 80, -80, day=5), usage("ops", 8, 80, -80, day=6), usage("ram", 100, 10, -10, ram),
        usage("far", 8, 80, -80, location={"region": "us-east4"}),
        fee(40, 8, day=5), fee(44, 8, day=6), fee(7, 100, "Commitment v1: A3 Ram in Iowa for 1 Year"),
        fee(60, 8, location={"region": "us-east4"}),
    )  # fmt: skip
    assert by(found, "team") == {"cx": 40, "ops": 44, "ram": 7, "far": 60}


def test_half_covered_usage_takes_the_covered_half(tmp_path):
    """16 hours at 10 USD of which 8 are covered: 80 USD are paid on demand, the fee is used up."""
    found = report(tmp_path, usage("cx", 16, 160, -80), fee(40, 8))
    assert by(found, "team") == {"cx": 120}


def test_spend_commitments_go_to_what_their_credits_cover(tmp_path):
    dollar = [{"name": "CUD", "amount": -30.0, "type": "COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE"}]
    found = report(
        tmp_path,
        usage("cx", 8, 80, 0) | {"credits": dollar}, usage("ops", 8, 80, -80),
        fee(20, 20, "Commitment - dollar based v1: GCE for 1 year"), fee(44, 8),
    )  # fmt: skip
    assert by(found, "team") == {"cx": 70, "ops": 44}


def test_promotions_beside_fees_stay_their_own_charges(tmp_path):
    gift = {"name": "gift", "amount": -5.0, "type": "PROMOTION"}
    row = usage("cx", 8, 80, -80)
    found = report(tmp_path, row | {"credits": [*row["credits"], gift]}, fee(50, 16))
    assert by(found, "purchase_option") == {"committed": 25, "committed_unused": 25, "credit": -5}


@settings(max_examples=15)
@given(
    hours=st.lists(st.decimals("0.1", "900", places=1), min_size=1, max_size=5),
    fees=st.lists(st.tuples(st.decimals("0.01", "9999", places=2), st.decimals("1", "3000", places=0)), min_size=1, max_size=3),
)  # fmt: skip
def test_no_digit_of_a_fee_is_lost(tmp_path_factory, hours, fees):
    rows = [usage(f"t{place}", float(part), 10.0, -10.0) for place, part in enumerate(hours)]
    found = report(tmp_path_factory.mktemp("bill"), *rows, *(fee(float(cost), float(size)) for cost, size in fees))
    assert Decimal(found["totals"]["effective"]) == Decimal(found["totals"]["billed"]) == sum(cost for cost, _ in fees)
    used = min(Decimal(1), sum(hours) / sum(size for _, size in fees))
    committed = by(found, "purchase_option").get("committed", Decimal(0))
    assert float(committed) == pytest.approx(float(used * sum(cost for cost, _ in fees)), rel=1e-9)
