"""Demand of the plan in blocks of hours: hours and work are kept, peaks are those of the plan."""

import numpy as np
import pytest
from bp_company import PERIOD, make_inputs, make_plan

from aifactory.buyplan.blocks import BLOCK_COLUMNS, demand_blocks
from aifactory.buyplan.streams import build_streams, need_frame


@pytest.fixture
def streams():
    plan = make_plan()
    return build_streams(plan, PERIOD, **make_inputs(plan, growth={"expected": 0.02, "aggressive": 0.1}))


def test_day_and_night_by_hand(streams):
    first = demand_blocks(streams).query("scenario == 'conservative' and month == '2026-11' and use_case_id == 'chat'")
    # 8 accelerators on average: 12 by day, 4 by night; half of 730 hours each
    assert first["hours"].tolist() == pytest.approx([365, 365])
    assert first["accelerators"].tolist() == pytest.approx([12, 4])
    assert first["accelerators_peak"].tolist() == pytest.approx([12, 4])


def test_hours_and_work_are_kept(streams):
    table, need = demand_blocks(streams), need_frame(streams)
    keys = ["scenario", "month", "region", "use_case_id"]
    grouped = table.assign(work=table["hours"] * table["accelerators"]).groupby(keys)
    assert list(table.columns) == BLOCK_COLUMNS
    np.testing.assert_allclose(grouped["hours"].sum(), 730)
    wanted = need.set_index(keys)["accelerator_hours"].sort_index()
    np.testing.assert_allclose(grouped["work"].sum().sort_index(), wanted, rtol=1e-12)
    peaks = need.set_index(keys)["accelerators_peak"].sort_index()
    np.testing.assert_allclose(grouped["accelerators_peak"].max().sort_index(), peaks, rtol=1e-12)
