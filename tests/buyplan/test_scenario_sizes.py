"""A scenario in which a unit asks for more work needs the capacity of that work, and is worth its units."""

import numpy as np
import pandas as pd
import pytest
from bp_company import make_inputs, make_plan

from aifactory.buyplan.case import solve_case
from aifactory.buyplan.scenario_orders import demand_ratio
from aifactory.buyplan.statements import roi_frame, use_frame
from aifactory.buyplan.tornado import tornado_frame
from aifactory.buyplan.what_ifs import what_ifs_frame
from aifactory.fleet.need import need_frame
from aifactory.units import SCENARIOS

AGGRESSIVE = SCENARIOS.index("aggressive")


def moved(column, factor=1.5):
    """Forecast in which units or sizes of chat are so many times those expected in the aggressive scenario."""
    forecast = make_inputs(make_plan())["forecast"]
    hit = (forecast["use_case_id"] == "chat") & (forecast["scenario"] == "aggressive")
    columns = ["units", "units_per_hour_avg", "units_per_hour_peak"] if column == "units" else [column]
    return forecast.assign(**{name: forecast[name].where(~hit, forecast[name] * factor) for name in columns})


@pytest.fixture
def sized(tiny):
    return tiny(inputs={"forecast": moved("size")})


@pytest.fixture
def more(tiny):
    return tiny(inputs={"forecast": moved("units")})


def test_accelerators_of_each_scenario_by_hand(sized):
    # eight accelerators serve today's chat; half as much work again in every unit asks for twelve
    need = need_frame(sized.streams).query("use_case_id == 'chat'")
    mean = need.groupby("scenario")["accelerators_average"].mean()
    assert mean.to_dict() == pytest.approx({"conservative": 8.0, "expected": 8.0, "aggressive": 12.0})
    chat = sized.streams.table["use_case_id"].tolist().index("chat")
    assert demand_ratio(sized, AGGRESSIVE)[:, chat] == pytest.approx(1.5)


def test_larger_units_cost_as_much_as_more_of_them_and_are_worth_no_more(sized, more):
    answers = [solve_case(case) for case in (sized, more)]
    by_size, by_units = (
        roi_frame(case, answer).set_index("scenario") for case, answer in zip((sized, more), answers, strict=True)
    )
    for name in ("compute_usd", "accelerators_end", "accelerator_hours_paid", "idle_share", "served_share"):
        assert by_size.loc["aggressive", name] == pytest.approx(by_units.loc["aggressive", name]), name
    assert by_units.loc["aggressive", "value_usd"] == pytest.approx(1.5 * by_size.loc["aggressive", "value_usd"])
    assert by_size.loc["aggressive", "value_usd"] == pytest.approx(by_size.loc["expected", "value_usd"])
    for scenario in ("conservative", "expected"):
        pd.testing.assert_series_equal(by_size.loc[scenario], by_units.loc[scenario])
    for left, right in zip(sized.loads, more.loads, strict=True):
        np.testing.assert_allclose(left.use, right.use)
        np.testing.assert_allclose(left.held, right.held)


def test_hours_at_work_count_the_size_of_their_scenario(sized, more):
    left, right = (use_frame(case, solve_case(case)) for case in (sized, more))
    columns = ["useful_hours", "failed_hours", "idle_hours"]
    np.testing.assert_allclose(left[columns], right[columns])


def test_the_swing_of_demand_is_told_in_its_hours(sized, more):
    def row(case):
        frame = tornado_frame(case, solve_case(case), lambda _plan: case.streams)
        return frame[frame["assumption"].str.contains("demand", case=False)].iloc[0]

    assert row(sized)["high"] == pytest.approx(row(more)["high"])
    assert row(sized)["high"] > 1.2


def test_a_named_scenario_has_units_of_the_expected_size(tiny, sized):
    names = pd.DataFrame(
        {"scenario": ["busy"], "use_case_id": ["chat"], "workload_class": [""], "region": [""],
         "first_month": ["2026-12"], "last_month": [""], "multiplier": [2.0], "note": [""]}
    )  # fmt: skip
    left, right = (what_ifs_frame(case, names) for case in (tiny(), sized))
    pd.testing.assert_frame_equal(left, right)
