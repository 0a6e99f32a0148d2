"""Two months of the sample after its plan was approved in July: steps fire, stay open, and are closed by decisions.

By the weeks of each month, as the refresh counts them.
"""

import pytest

from aifactory.inputs.workspace import load_workspace
from aifactory.inventory.demand import all_windows, demand_by_month, in_whole_weeks
from aifactory.review.band_triggers import band_triggers, by_date
from aifactory.review.build import judge

PLACE = ["region", "accelerator_id", "band", "kind", "order_month"]


@pytest.fixture(scope="module")
def months(sample_dir):
    tables = {}
    for period in ("2026-09", "2026-10"):
        ws = load_workspace(sample_dir, period)
        windows = all_windows(ws)
        monthly = in_whole_weeks(ws, windows, demand_by_month(ws, windows))
        plan, steps, log = (ws.table(name) for name in ("approved_plan", "approved_bands", "decisions"))
        tables[period] = band_triggers(plan, steps, monthly, period, log)
    return tables


def test_both_months_show_a_triggered_band_and_ask_to_act(months):
    for table in months.values():
        assert (table["state"] == "fired").any()
        nothing = table.iloc[:0]
        assert judge(nothing.assign(guardrail=""), nothing, table)[0] == "act"


def test_what_fired_in_a_month_is_at_its_threshold_in_that_month(months):
    for period, table in months.items():
        now = table[(table["state"] == "fired") & (table["fired_in"] == period)]
        dated = by_date(
            now
        )  # 16 H100 end in December 2026: what follows them is decided in October, behind plan or not
        assert (now["value"] >= now["threshold"])[~dated].all()
        assert now.loc[dated, "starts_with"].tolist() == (["16 nvidia-h100-sxm end"] if period == "2026-10" else [])
        quiet = table[table["fired_in"] == ""]
        assert (quiet["value"] < quiet["threshold"]).all()
    assert (months["2026-09"]["fired_in"] == "2026-09").any()


def test_a_step_stays_open_until_it_is_decided(months):
    before, after = (table.set_index(PLACE) for table in months.values())
    open_before = before[before["state"] == "fired"]
    assert after.loc[open_before.index, "state"].isin(["fired", "released"]).all()
    assert (after.loc[open_before.index, "fired_in"] == open_before["fired_in"]).all()
    decided = before.xs(("eu-west", "nvidia-jetson-agx-orin"), level=(0, 1))
    assert (decided.loc[decided["fired_in"] == "2026-08", "state"] == "released").all()
