"""A use case to come, known by its demand chain alone: capacity from the tiers, or named as not covered."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aifactory.benchmark import build_benchmark
from aifactory.benchmark.capacity import output_tokens_per_unit
from aifactory.buyplan import build_buy_plan
from aifactory.buyplan.chain_streams import size_chain_streams
from aifactory.buyplan.reserve_curve import hourly_price
from aifactory.fleet.risk_reserve import DEMAND_CHAIN
from aifactory.inputs.plan import PortUnderWay
from aifactory.inventory import build_inventory
from aifactory.inventory.chains import stated_lengths
from aifactory.report.buy_plan_reserve import chain_blocks
from aifactory.shortlist import build_shortlist

FACTORS = {"seats": 4_000, "active_share": 0.5, "active_share_day_90": 0.4, "units_per_seat_month": 60, "requests_per_unit": 3,
           "input_tokens_per_request": 900, "output_tokens_per_request": 150}  # fmt: skip


def with_launch(ws, model):
    """The tiny workspace with an assistant that is launched in three months, in one region."""
    cases = ws.table("use_cases")
    like = cases[cases["use_case_id"] == "chat"]
    new = like.assign(use_case_id="assistant", name="Assistant", model=model, service_unit="session", stage="idea",
                      launch_month="2027-01", allowed_regions="eu")  # fmt: skip
    chain = pd.DataFrame(
        {"use_case_id": "assistant", "factor": FACTORS.keys(), "value": [float(v) for v in FACTORS.values()]}
    )
    chain = chain.assign(
        region=None, low=np.nan, high=np.nan, owner_role="head of service", source="test", as_of="2026-10-31"
    )
    tables = {"use_cases": pd.concat([cases, new], ignore_index=True), "demand_chain": chain}
    return replace(ws, tables={**ws.tables, **tables})


def plan_of(ws):
    inventory, benchmark = build_inventory(ws), build_benchmark(ws)
    return build_buy_plan(ws, inventory, benchmark, build_shortlist(ws, inventory, benchmark)), benchmark


@pytest.fixture(scope="module")
def launched(mini_ws):
    """Plan and benchmark with a launch whose model is known."""
    return plan_of(with_launch(mini_ws, "Llama-3.1-8B"))


def test_lengths_of_a_chain_by_hand(mini_ws):
    ws = with_launch(mini_ws, "Llama-3.1-8B")
    row = stated_lengths(ws.table("demand_chain"), ws.table("use_cases")).loc["assistant"]
    assert row.to_dict() == {
        "requests_per_unit": 3,
        "input_tokens": 900,
        "output_tokens": 150,
        "output_tokens_per_unit": 450,
    }
    tokens = output_tokens_per_unit(ws)
    assert tokens["assistant"] == 450
    assert tokens["chat"] == output_tokens_per_unit(mini_ws)["chat"]  # measured ones stay
    assert stated_lengths(mini_ws.table("demand_chain").iloc[:0], mini_ws.table("use_cases")).empty


def test_a_chain_with_a_known_model_is_sized_by_the_tiers(mini_ws, launched):
    plan, benchmark = launched
    known = benchmark.capacity.query("use_case_id == 'assistant' and units_per_s_per_accelerator > 0")
    assert len(known)
    assert not known["tier"].isin(["measured", "none"]).any()
    need = plan.need.query("use_case_id == 'assistant' and scenario == 'expected'").set_index("month")
    assert (need["region"] == "eu").all()
    assert (need.loc[:"2026-12", "accelerators_average"] == 0).all()
    assert need["units"].iloc[-1] == pytest.approx(
        4_000 * 0.5 * 60, rel=0.5
    )  # seats x active share x units, adopted in part
    assert need["accelerators_with_reserve"].iloc[-1] > 0
    assert any("assistant" in text and "not measured: benchmark first" in text for text in plan.warnings)
    _reserve_of_the_chain(plan, need)
    page = "\n".join(part.text for part in chain_blocks(mini_ws, plan))
    assert "4,000 paths of its demand chain" in page


def _reserve_of_the_chain(plan, need):
    """Reserve from the paths: whole doubt at the launch, the rest of it later; table, curve, orders and page agree."""
    row = plan.reserves.set_index("use_case_id").loc["assistant"]
    launch = need.loc["2027-01"]
    assert (row["month"], row["known_from"]) == ("2027-01", DEMAND_CHAIN)
    assert 0.009 < row["exceedance_simulated"] <= row["target"] == 0.01
    assert np.isnan(row["exceedance_backtest"])
    assert row["accelerators"] == pytest.approx(launch["accelerators_peak"] * (1 + launch["reserve_ratio"]))
    assert row["capacity_per_hour"] == pytest.approx(row["basis_per_hour"] * (1 + row["reserve"]))
    assert launch["reserve_ratio"] > 3 > need["reserve_ratio"].iloc[-1] > 0.1
    assert launch["accelerators_peak"] / launch["accelerators_average"] == pytest.approx(
        1.41, abs=0.01
    )  # as that of chat
    curve = plan.reserve_curve[plan.reserve_curve["use_case_id"] == "assistant"]
    price = hourly_price(plan.options, row["accelerator_id"], "eu")
    assert curve["usd_per_month"].iloc[-1] == pytest.approx(row["accelerators"] * price * 730)
    assert (curve["exceedance"].iloc[:-1].diff().dropna() < 0).all()
    assert "seats" not in row["note"], "seats are certain"
    assert "(prior) makes 33 % of their doubt" in row["note"]


def test_the_reserve_of_a_chain_by_its_factors(mini_ws):
    """Certain factors leave the hours alone; hours of its own take precedence."""
    ws = with_launch(mini_ws, "Llama-3.1-8B")
    chain = ws.table("demand_chain")
    certain = {name: {"low": 0.0, "high": 0.0, "value": 0.0} for name in ("demand_noise_sd", "launch_slip_months", "size_drift_sd", "unknown_size_growth_sd")}  # fmt: skip
    items = {name: ws.plan.assumptions[name].model_copy(update=ends) for name, ends in certain.items()}
    calm = ws.plan.model_copy(update={"assumptions": ws.plan.assumptions | items})
    sure = replace(ws, plan=calm, tables=ws.tables | {"demand_chain": chain.assign(low=chain["value"], high=chain["value"])})  # fmt: skip
    choice = pd.DataFrame({"use_case_id": ["assistant"], "accelerator_id": ["nvidia-h100-sxm"]})
    prices = pd.DataFrame(columns=["accelerator_id", "region", "purchase_option", "lead_time_weeks"])
    inventory = build_inventory(sure)
    found = size_chain_streams(sure, inventory, choice, prices, ())["assistant", "eu"]
    # the ratio of the two curves of adoption is left, and fades; by day and night chat is 1.41 and 0.71 times its mean
    assert found.over_average[-1] == pytest.approx(1.41, abs=0.02)
    assert np.isnan(found.over_average[:3]).all()  # the period and two months before the launch
    assert size_chain_streams(sure, inventory, choice, prices, {("assistant", "eu")}) == {}


def test_a_chain_that_nothing_can_size_is_named_with_its_demand(mini_ws):
    plan, _ = plan_of(with_launch(mini_ws, None))
    row = plan.not_sized.set_index("use_case_id").loc["assistant"]
    assert row["units_month"] == 0
    assert row["units_most"] == pytest.approx(4_000 * 0.5 * 60, rel=0.5)
    assert "assistant" not in set(plan.need["use_case_id"])
    named = [text for text in plan.warnings if text.startswith("assistant in eu is not in the plan")]
    assert len(named) == 1
    assert "sessions a month are expected by" in named[0]


def test_a_launch_that_waits_for_its_port_begins_with_its_first_users(mini_ws, launched):
    """The port ends in April, the launch was to be in January: users come from May on as they would have come from January on."""
    ws = with_launch(mini_ws, "Llama-3.1-8B")
    under_way = PortUnderWay(use_case_id="assistant", platform_class="gpu", begun="2026-10")
    waiting = ws.plan.model_copy(update={"launch_delay_months": {"gpu": 6.0}, "ports_under_way": [under_way]})
    at_once, late = units_of(launched[0]), units_of(plan_of(replace(ws, plan=waiting))[0])
    assert (late["assistant"].loc[:"2027-04"] == 0).all() and at_once["assistant"]["2027-01"] > 0
    ramp = at_once["assistant"].loc["2027-01":"2027-06"].to_numpy()
    assert late["assistant"].loc["2027-05":"2027-10"].to_numpy() == pytest.approx(ramp, rel=0.1)
    assert ramp[-1] > 2 * ramp[0]
    assert late["chat"].to_numpy() == pytest.approx(at_once["chat"].to_numpy(), rel=1e-9)


def units_of(plan):
    """Units planned a month in the expected scenario, by use case."""
    expected = plan.need[plan.need["scenario"] == "expected"]
    return expected.pivot_table(index="month", columns="use_case_id", values="units", aggfunc="sum")
