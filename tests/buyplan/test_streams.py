"""Streams: demand joined with choice and capacity, reserve and movability."""

import numpy as np
import pandas as pd
import pytest
from bp_company import PERIOD, WAITS, make_inputs, make_plan

from aifactory.fleet.need import need_frame
from aifactory.fleet.nodes import build_load, build_slots, pool_level
from aifactory.fleet.streams import EXPECTED, build_streams, busiest, month_labels, not_sized_sentences
from aifactory.units import HOURS_PER_MONTH


def build(plan=None, **changes):
    plan = plan or make_plan()
    inputs = make_inputs(plan, **WAITS | {k: v for k, v in changes.items() if k not in ("replace",)})
    return build_streams(plan, PERIOD, **(inputs | changes.get("replace", {})))


def test_months_run_on_over_the_year():
    assert month_labels("2026-10", 3) == ("2026-10", "2026-11", "2026-12", "2027-01")


def test_accelerators_by_hand():
    # chat: 8 x 3600 x 730 units at one unit a second = 8 accelerators; train: 4 x 730 accelerator-hours = 4
    streams = build()
    assert list(streams.table["use_case_id"]) == ["chat", "train"]
    np.testing.assert_allclose(streams.accelerators(streams.units[EXPECTED]), np.tile([8.0, 4.0], (13, 1)))


def test_growth_enters_each_scenario_from_the_first_month():
    streams = build(growth={"expected": 0.1, "aggressive": 0.2})
    chat = streams.units[:, :3, 0] / streams.units[0, 0, 0]
    np.testing.assert_allclose(chat, [[1, 1, 1], [1, 1.1, 1.21], [1, 1.2, 1.44]])


def test_served_traffic_keeps_its_shape_and_training_is_flat():
    streams = build()
    assert streams.shape[0].max() == 1.5
    assert (streams.shape[1] == 1).all()
    assert streams.table["movable"].tolist() == [False, True]
    assert streams.table["interruptible"].tolist() == [False, True]


def test_batch_work_with_a_latency_limit_is_interruptible_but_not_movable():
    streams = build(request_pattern=["batch", "scheduled"])
    assert streams.table["movable"].tolist() == [False, True]
    assert streams.table["interruptible"].tolist() == [True, True]


def test_reserve_by_criticality_and_headroom_for_movable_work():
    streams = build(make_plan(values={"planning_utilization": 0.8}))
    np.testing.assert_allclose(streams.reserve, np.tile([0.4, 0.25], (13, 1)))


def test_the_highest_reserve_is_held_in_a_launch_month():
    launch = {"use_case_id": "chat", "month": "2027-01", "demand_multiplier": 2.0, "milestone": "Launch"}
    streams = build(make_plan(launches=[launch]))
    assert streams.reserve[:, 0].tolist() == [0.4, 0.4, 0.4, 0.5, *[0.4] * 9]


def test_short_peaks_raise_the_peak_but_not_the_shape():
    # the forecast says peak 1.5 x average, the hourly shape reaches 1.5: factor 1
    assert build().table["peak_factor"].tolist() == [1.0, 1.0]
    inputs = make_inputs(make_plan(), **WAITS)
    inputs["forecast"]["units_per_hour_peak"] *= 2  # five-minute peaks at 3 x average
    streams = build_streams(make_plan(), PERIOD, **inputs)
    assert streams.table["peak_factor"].tolist() == [2.0, 1.0]


def with_season_peak(month="2026-11", factor=2.0, **changes):
    inputs = make_inputs(make_plan(), **WAITS | changes)
    season = np.where(inputs["forecast"]["month"] == month, factor, 1.0)
    inputs["forecast"]["season_peak"] = season
    inputs["forecast"]["units_per_hour_peak"] *= season
    return build_streams(make_plan(), PERIOD, **inputs)


@pytest.mark.parametrize("factor", [2.0, 0.6])
def test_a_month_of_higher_days_holds_more_and_works_as_much(factor):
    """Chat peaks at 12 accelerators of its 8, with a reserve of 40 % 16.8; in November at twice that, or six tenths. Training waits."""
    usual, streams = build(), with_season_peak(factor=factor)
    assert streams.season_peak[:, 0].tolist() == [1.0, factor] + [1.0] * 11 and (streams.season_peak[:, 1] == 1).all()
    assert streams.table["peak_factor"].tolist() == [1.0, 1.0] and (streams.reserve == usual.reserve).all()
    assert busiest(streams)[:3, 0].tolist() == pytest.approx([12.0, 12.0 * factor, 12.0])
    need = need_frame(streams).query("scenario == 'expected' and use_case_id == 'chat'")
    assert need["accelerators_with_reserve"].tolist()[:2] == pytest.approx([16.8 * factor, 16.8])
    assert need["accelerator_hours"].tolist()[:2] == pytest.approx([8 * HOURS_PER_MONTH] * 2)
    work = streams.sized(streams.units[EXPECTED])
    levels = pool_level(streams, work, streams.reserve, 0)
    assert levels[1:3].tolist() == pytest.approx([16.8 * factor + 4, 16.8 + 4])  # training beside it
    load = build_load(streams, build_slots(streams, np.zeros(1)), streams.units[EXPECTED])
    assert load.use[1].sum() == pytest.approx(load.use[2].sum())  # every hour has its node


def test_a_part_of_the_streams_keeps_its_months():
    assert with_season_peak().take([0]).season_peak[:, 0].tolist() == [1.0, 2.0] + [1.0] * 11


def test_failed_requests_inflate_the_load_but_failed_job_hours_are_demand_already():
    inputs = make_inputs(make_plan())
    inputs["demand_profile"]["failure_rate"] = [0.2, 0.25]
    inputs["capacity"]["failure_rate"] = [0.1, 0.0]
    table = build_streams(make_plan(), PERIOD, **inputs).table
    assert table["load_factor"].tolist() == pytest.approx([0.9 / 0.8, 1.0])
    assert table["success_share"].tolist() == pytest.approx([1.0, 0.75])


def test_training_succeeds_by_its_hours_and_not_by_its_jobs():
    inputs = make_inputs(make_plan())
    inputs["demand_profile"]["failure_rate"] = [0.2, 0.25]
    inputs["demand_profile"]["failed_work_share"] = [0.2, 0.1]
    table = build_streams(make_plan(), PERIOD, **inputs).table
    assert table["success_share"].tolist() == pytest.approx([1.0, 0.9])


def test_demand_without_choice_or_capacity_is_listed_with_its_reason():
    inputs = make_inputs(make_plan())
    inputs["choice"].loc[0, "accelerator_id"] = ""
    inputs["capacity"].loc[1, "units_per_s_per_accelerator"] = np.nan
    streams = build_streams(make_plan(), PERIOD, **inputs)
    assert streams.table.empty
    assert streams.not_sized.set_index("use_case_id")["reason"].str.split(":").str[0].to_dict() == {
        "chat": "no accelerator chosen in the shortlist",
        "train": "capacity of the chosen accelerator unknown",
    }


def test_sized_and_not_sized_demand_add_up():
    inputs = make_inputs(make_plan())
    inputs["capacity"].loc[1, "units_per_s_per_accelerator"] = np.nan
    streams = build_streams(make_plan(), PERIOD, **inputs)
    total = inputs["demand_profile"]["units_month"].sum()
    assert streams.table["units_month"].sum() + streams.not_sized["units_month"].sum() == pytest.approx(total)


def test_need_frame_by_hand():
    need = need_frame(build()).query("scenario == 'expected' and month == '2026-11'").set_index("use_case_id")
    # chat: peak 1.5 x 8 = 12, with 40 % reserve 16.8; train: 4, no reserve at full planning utilization
    assert need["accelerators_average"].to_dict() == pytest.approx({"chat": 8.0, "train": 4.0})
    assert need["accelerators_peak"].to_dict() == pytest.approx({"chat": 12.0, "train": 4.0})
    assert need["accelerators_with_reserve"].to_dict() == pytest.approx({"chat": 16.8, "train": 4.0})
    assert need["accelerator_hours"].to_dict() == pytest.approx({"chat": 8 * HOURS_PER_MONTH, "train": 4 * 730})


def test_tokens_per_unit():
    table = build().table.set_index("use_case_id")
    assert table.loc["chat", "output_tokens_per_unit"] == pytest.approx(200)
    assert table.loc["train", "output_tokens_per_unit"] == 0


def test_what_is_left_out_is_named_with_the_demand_it_will_have():
    inputs = make_inputs(make_plan(), growth={"expected": 0.1})
    inputs["capacity"] = inputs["capacity"].query("use_case_id == 'train'")
    launch = pd.DataFrame(
        {
            "use_case_id": ["voice"],
            "service_unit": ["session"],
            "allowed_regions": ["eu;us"],
            "stated_units_per_month": [5_000.0],
        }
    )
    inputs["use_cases"] = pd.concat([inputs["use_cases"], launch], ignore_index=True)
    left = build_streams(make_plan(), PERIOD, **inputs).not_sized
    chat, voice = left.iloc[0], left.iloc[1]
    assert chat["units_most"] == pytest.approx(8 * 3600 * HOURS_PER_MONTH * 1.1**12)
    assert chat["month_most"] == "2027-10"
    assert voice[["region", "units_month", "units_most"]].tolist() == ["eu;us", 0.0, 5_000.0]
    first, second = not_sized_sentences(left)
    assert first == (
        "chat in eu is not in the plan: capacity of the chosen accelerator unknown: benchmark first; "
        "up to 66 million requests a month are expected by 2027-10 and not covered."
    )
    assert second.startswith("voice in eu, us is not in the plan: nothing was measured")
    assert "up to 5,000 sessions a month" in second


def test_every_forecast_stream_is_sized_or_named():
    for lost in ([], [0], [0, 1]):
        inputs = make_inputs(make_plan())
        inputs["capacity"] = inputs["capacity"].drop(index=lost)
        inputs["demand_profile"] = inputs["demand_profile"].query("use_case_id == 'train'")  # chat is still to come
        streams = build_streams(make_plan(), PERIOD, **inputs)
        named = {*streams.table["use_case_id"], *streams.not_sized["use_case_id"]}
        assert named == set(inputs["forecast"]["use_case_id"])
