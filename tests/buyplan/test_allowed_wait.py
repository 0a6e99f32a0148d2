"""Batch work with hours to wait: spread over them in its load, its peak, its reserve and its past."""

from dataclasses import replace

import numpy as np
import pytest
from bp_company import PERIOD, WAITS, make_inputs, make_plan
from hypothesis import given
from hypothesis import strategies as st

from aifactory.fleet.allowed_wait import spread_over, spread_round
from aifactory.fleet.guests import guest_of, with_guests
from aifactory.fleet.risk_reserve import size_stream_reserves
from aifactory.fleet.streams import build_streams

HOUR_MS = 3_600_000.0
BATCH = {"request_pattern": ["batch", "batch"], "slo_p95_ttft_ms": np.nan}


def streams(limit_ms, **changes):
    inputs = make_inputs(make_plan(), **WAITS | BATCH | {"slo_p95_e2e_ms": [limit_ms, np.nan]} | changes)
    inputs["forecast"]["units_per_hour_peak"] *= 2  # minutes at twice the busiest hour
    inputs["capacity"] = inputs["capacity"].assign(in_progress_per_accelerator=8.0, spread_constant=1.0)
    return build_streams(make_plan(), PERIOD, **inputs), inputs


def test_a_day_to_wait_makes_day_and_night_one_level():
    found = streams(25 * HOUR_MS)[0]
    row = found.table.iloc[0]
    assert (row["wait_hours"], row["movable"], row["interruptible"]) == (24, False, True)
    assert found.shape[0] == pytest.approx(np.ones_like(found.shape[0]))
    assert row["peak_factor"] == 1.0 and (found.chance[:, 0] == 1.0).all()


@pytest.mark.parametrize(
    ("limit", "changes"),
    [(60_000.0, {}), (1.9 * HOUR_MS, {}), (25 * HOUR_MS, {"request_pattern": ["interactive", "batch"]}), (25 * HOUR_MS, {"slo_p95_ttft_ms": [1e3, np.nan]})],
)  # fmt: skip
def test_minutes_people_and_first_answers_wait_for_nothing(limit, changes):
    found = streams(limit, **changes)[0]
    assert found.table["wait_hours"].tolist() == [1, 1]
    assert found.shape[0].max() == 1.5 and found.table["peak_factor"].iloc[0] == 2.0
    assert (found.chance[:, 0] > 1.0).all()


def test_what_may_wait_has_no_chance_on_an_idle_accelerator_either():
    found, inputs = streams(25 * HOUR_MS)
    cell = inputs["capacity"].iloc[0].copy()
    cell["accelerator_id"] = "edge"
    both = with_guests(found, [guest_of(cell, "eu", np.full(13, 0.5))], inputs["accelerators"], make_plan())
    assert (both.chance[:, (both.table["use_case_id"] == "chat").to_numpy()] == 1.0).all()


@given(st.lists(st.floats(0.0, 10.0), min_size=30, max_size=60), st.integers(1, 24))
def test_nothing_waits_longer_and_no_work_is_lost(load, hours):
    done = spread_over(np.array(load), hours) * np.minimum(np.arange(len(load)) + 1, hours) / hours
    came, served = np.cumsum(load), np.cumsum(done)
    assert (served <= came + 1e-9).all()
    late = np.concatenate([np.zeros(hours - 1), came])[: len(came)]  # what came before the last `hours` - 1 hours
    assert (served >= late - 1e-9).all()
    assert spread_round(np.array(load), hours).sum() == pytest.approx(np.sum(load))


def test_the_reserve_is_that_of_the_hours_spread(mini_ws, mini_stages):
    inventory, choice = mini_stages.inventory, mini_stages.shortlist.choice
    cases, found = mini_ws.table("use_cases"), []
    for limit in (60_000.0, 25 * HOUR_MS):
        chat = cases["use_case_id"] == "chat"
        patient = cases.assign(
            request_pattern=cases["request_pattern"].mask(chat, "batch"),
            slo_p95_ttft_ms=cases["slo_p95_ttft_ms"].mask(chat),
            slo_p95_tpot_ms=cases["slo_p95_tpot_ms"].mask(chat),
            slo_p95_e2e_ms=cases["slo_p95_e2e_ms"].mask(chat, limit),
        )
        ws = replace(mini_ws, tables=mini_ws.tables | {"use_cases": patient})
        sized = size_stream_reserves(ws, inventory, choice, mini_ws.table("prices"))
        found.append(next(item for place, item in sized.items() if place[0] == "chat"))
    assert found[1].average_per_hour == found[0].average_per_hour
    assert found[1].average_per_hour <= found[1].found.capacity * 1.001 < 0.9 * found[0].found.capacity
