"""Cost by workload, team, region and platform: hand-worked carbon, sums, and lines per unit."""

import numpy as np
import pytest
from bp_company import make_plan
from pydantic import ValidationError

from aifactory.buyplan.attribution import unit_cost_frame, unit_summary_frame
from aifactory.buyplan.case import solve_case
from aifactory.buyplan.compare import api_frame
from aifactory.buyplan.dimensions import DIMENSIONS, cost_by_frame

APPROVAL = {
    "name": "Editorial approval", "usd_per_unit": 0.001, "use_cases": ["chat"], "driver": "share read by people",
    "owner_role": "Editor", "source": "hand-made", "as_of": "2026-10-01",
}  # fmt: skip


def test_every_dimension_adds_up_to_the_whole(tiny):
    case = tiny(plan=make_plan(values={"contingency_share": 0.1, "orchestration_share": 0.05}))
    today = solve_case(case).today
    frame = cost_by_frame(case, today)
    whole = unit_cost_frame(case, today)["usd_month"].sum()
    sums = frame.groupby("dimension")["usd_month"].sum()
    assert set(sums.index) == set(DIMENSIONS.values())
    np.testing.assert_allclose(sums, whole)
    np.testing.assert_allclose(frame.groupby("dimension")["share"].sum(), 1.0)
    assert set(frame.loc[frame["dimension"] == "Business unit", "name"]) == {"Sales", "Research"}
    by = frame.set_index(["dimension", "name"])["usd_month"]
    assert set(by["Team"].index) == {"Desk", "not stated"}  # the team of chat is known, that of training is not
    assert by["Team"]["Desk"] == pytest.approx(by["Workload"]["chat"])


def test_carbon_by_hand(tiny):
    case = tiny(plan=make_plan(values={"pue": 1.5}))
    case.streams.pools["tdp_w"] = 700.0
    frame = cost_by_frame(case, solve_case(case).today).set_index(["dimension", "name"])
    # 8,760 paid hours a month at 0.7 kW x 1.5 and 100 g/kWh; chat does two thirds of the work
    assert frame.loc[("Region", "eu"), "carbon_kg_month"] == pytest.approx(8_760 * 0.7 * 1.5 * 0.1)
    assert frame.loc[("Workload", "chat"), "carbon_kg_month"] == pytest.approx(8_760 * 0.7 * 1.5 * 0.1 * 2 / 3)
    case.streams.pools["tdp_w"] = np.nan
    unknown = cost_by_frame(case, solve_case(case).today)
    assert unknown["carbon_kg_month"].isna().all()


def test_an_amount_per_unit_is_a_line_of_its_use_cases_alone(tiny):
    plain, read = tiny(), tiny(plan=make_plan(hidden_costs=[APPROVAL]))
    today = solve_case(read).today
    frame = unit_cost_frame(read, today)
    lines = frame[frame["line"] == "Editorial approval"].set_index("use_case_id")
    assert lines.loc["chat", "usd_per_unit"] == pytest.approx(0.001)
    assert lines.loc["train", "usd_month"] == pytest.approx(0)
    assert (lines.loc["chat", "driver_unit"], lines.loc["chat", "owner_role"]) == ("units", "Editor")
    api = api_frame(read, read.prices.head(0).assign(api_model="", deprecation_date=None), "2026-10-31")
    current = frame.groupby("use_case_id")["usd_month"].sum()
    marginal = unit_summary_frame(read, frame, today, current, api).set_index("use_case_id")["marginal_usd_per_unit"]
    base = unit_summary_frame(plain, frame, solve_case(plain).today, current, api).set_index("use_case_id")
    assert marginal["chat"] - base.loc["chat", "marginal_usd_per_unit"] == pytest.approx(0.001)
    assert marginal["train"] == pytest.approx(base.loc["train", "marginal_usd_per_unit"])


def test_every_line_has_driver_unit_source_and_owner(tiny):
    case = tiny(plan=make_plan(hidden_costs=[APPROVAL]))
    frame = unit_cost_frame(case, solve_case(case).today)
    for column in ("driver", "driver_unit", "source", "owner_role"):
        assert (frame[column].str.len() > 0).all()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"usd_per_month": 5.0}, "write two lines"),
        ({"usd_per_unit": 0.0}, "belong to an amount per unit"),
        ({"usd_per_unit": -1.0}, "greater than or equal"),
    ],
)
def test_a_cost_centre_has_one_basis(change, text):
    with pytest.raises(ValidationError, match=text):
        make_plan(hidden_costs=[APPROVAL | change])


def test_a_name_stands_once():
    with pytest.raises(ValidationError, match="stands twice"):
        make_plan(hidden_costs=[APPROVAL, APPROVAL])
