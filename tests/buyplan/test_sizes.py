"""Three sizes of a stream, and the extra for chance in fleet, paths and need."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bp_company import PERIOD, WAITS, make_case, make_inputs, make_plan

from aifactory.benchmark.chance import LIMIT, MEASURED, NOTHING, OF_TRACE
from aifactory.buyplan.caveats import _evidence_warnings
from aifactory.buyplan.futures import block_demand
from aifactory.buyplan.sizes import _first_months, _slo, sizes_frame
from aifactory.fleet.need import need_frame
from aifactory.fleet.risk_reserve import OWN_HOURS
from aifactory.fleet.streams import build_streams, busiest, chance_of
from aifactory.serving.staffing import chance_factor


def with_chance(plan=None, held=4.0, k=2.0, **changes):
    """Inputs of the company in which chat has `held` requests in progress per accelerator."""
    tables = make_inputs(plan or make_plan(), **WAITS | changes)
    capacity = tables["capacity"].assign(
        in_progress_per_accelerator=[held, held], spread_constant=[k, k], binding_slo=["TTFT", np.nan]
    )
    return tables | {"capacity": capacity}


def streams(**changes):
    return build_streams(make_plan(), PERIOD, **with_chance(**changes))


def test_a_capacity_table_without_chance_adds_none():
    assert (build_streams(make_plan(), PERIOD, **make_inputs(make_plan())).chance == 1.0).all()


def test_the_factor_is_that_of_the_planned_fleet_and_none_for_jobs():
    found = streams()
    # chat: 12 accelerators in the busiest hour and 40 % reserve; 4 requests in progress each
    chat, train = (found.table["use_case_id"].to_list().index(name) for name in ("chat", "train"))
    assert busiest(found)[1, chat] == pytest.approx(12.0)
    assert found.chance[1, chat] == pytest.approx(1 + 2 / np.sqrt(16.8 * 4))
    assert (found.chance[:, train] == 1.0).all()


def test_less_reserve_never_makes_hours_dearer():
    """A reserve below 0 leaves a part of the busiest window to rented hours: its fleet of 12 stays, and so does the factor."""
    found = streams()
    chat = found.table["use_case_id"].to_list().index("chat")
    factors = [
        chance_of(replace(found, reserve=np.full_like(found.reserve, ratio)))[1, chat] for ratio in (0.4, 0.0, -0.3)
    ]
    assert factors == pytest.approx([1 + 2 / np.sqrt(16.8 * 4), 1 + 2 / np.sqrt(12 * 4), 1 + 2 / np.sqrt(12 * 4)])


def test_three_sizes_by_hand():
    table = sizes_frame(streams(), make_plan(), {}).set_index("use_case_id")
    chat = table.loc["chat"]
    # 12 even; 12 + 2 sqrt(12 / 4) = 15.46; 16.8 + 2 sqrt(16.8 / 4) = 20.9
    assert chat[["steady", "slo", "reserve", "total"]].to_list() == [12, 16, 5, 21]
    # capacity 10 % up or down: 10.9 + 3.3 and 13.3 + 3.7
    assert chat[["slo_low", "slo_high"]].to_list() == [15, 17]
    assert chat["understated_share"] == pytest.approx(np.sqrt(12) / 12)
    assert "first token" in chat["steady_because"]
    assert "48 requests" in chat["slo_because"]
    assert "+40 %" in chat["reserve_because"]
    assert table.loc["train", ["steady", "slo"]].to_list() == [4, 4]


def test_work_that_comes_later_has_the_sizes_of_its_first_month():
    """Chat starts in month 3, jobs in month 1; a platform that only stands in from month 5 on shows nothing of months without its work."""
    found = streams()
    chat = (found.table["use_case_id"] == "chat").to_numpy()
    late = np.where(chat & (np.arange(len(found.months)) < 3)[:, None], 0.0, 1.0)
    table = sizes_frame(replace(found, units=found.units * late), make_plan(), {}).set_index("use_case_id")
    whole = sizes_frame(found, make_plan(), {}).set_index("use_case_id")
    assert table["month"].to_dict() == {"chat": found.months[3], "train": found.months[1]}
    counts = ["steady", "slo", "reserve", "total"]
    assert table.loc["chat", counts].tolist() == whole.loc["chat", counts].tolist()
    twice = replace(found, table=pd.concat([found.table] * 2, ignore_index=True).assign(
        accelerator_id=[*found.table["accelerator_id"], "twin", "twin"]), units=np.concatenate([found.units, found.units * late], axis=2))  # fmt: skip
    assert _first_months(twice)[found.table.index[chat]] == 1 and (_first_months(twice) == 1).all()


def test_a_part_of_a_replica_takes_the_accelerators_of_all_of_it():
    """Replicas of five accelerators: 12, 15.46 and 20.9 are three, four and five of them; 4 of training are one."""
    found = streams()
    split = replace(found, table=found.table.assign(replica_accelerators=5.0))
    table = sizes_frame(split, make_plan(), {}).set_index("use_case_id")
    assert table.loc["chat", ["steady", "slo", "reserve", "total"]].to_list() == [15, 20, 5, 25]
    assert table.loc["train", ["steady", "slo"]].to_list() == [5, 5]


def test_small_fleets_are_understated_most():
    small, large = (
        sizes_frame(streams(chat=average), make_plan(), {}).set_index("use_case_id").loc["chat"]
        for average in (0.5, 50.0)
    )
    assert small["understated_share"] == pytest.approx(10 * large["understated_share"])
    assert small["slo"] > small["steady"]


def test_need_and_fleet_hold_the_extra():
    plain, spread = make_case(**WAITS), make_case(inputs=with_chance())
    factor = spread.streams.chance[1].max()
    need = need_frame(spread.streams).query("use_case_id == 'chat' and scenario == 'expected'").iloc[0]
    assert need["accelerators_with_reserve"] == pytest.approx(16.8 * factor)
    assert spread.loads[1].level[1, 0] - plain.loads[1].level[1, 0] == pytest.approx(16.8 * (factor - 1))
    assert spread.loads[1].average[1, 0] == pytest.approx(plain.loads[1].average[1, 0])


def test_paths_occupy_the_extra_and_keep_whole_nodes():
    plain, spread = make_case(**WAITS), make_case(inputs=with_chance())
    wanted = plain.streams.sized(plain.streams.units[1])[None, 1:]
    chat = plain.streams.table["use_case_id"].to_list().index("chat")
    one, other = (block_demand(case, wanted)[:, :, chat] for case in (plain, spread))
    assert (other >= one - 1e-9).all() and (other > one).any()
    assert other[0, 0, 0] / 4 == pytest.approx(round(other[0, 0, 0] / 4))


def test_today_held_flat_keeps_todays_fleet():
    growing = streams(growth={"expected": 0.05})
    assert growing.chance[-1, 0] < growing.chance[0, 0]
    assert (growing.of_today().chance == growing.chance[0]).all()


def test_the_linear_plan_is_off_by_little_where_a_path_differs():
    # a path of half or twice the planned demand: the factor kept against the one it would need
    planned, held, k = 16.8, 4.0, 2.0
    kept = chance_factor(planned, held, k)
    own = chance_factor(np.array([0.5, 2.0]) * planned, held, k)
    assert (own - 1) / (kept - 1) == pytest.approx([2**0.5, 0.5**0.5])


def test_unknown_requests_in_progress_are_named():
    found = streams()
    bare = replace(found, table=found.table.assign(in_progress_per_accelerator=np.nan))
    chat = sizes_frame(bare, make_plan(), {("chat", "eu"): OWN_HOURS}).set_index("use_case_id").loc["chat"]
    assert chat["steady"] == chat["slo"]
    assert "unknown" in chat["slo_because"]


def test_what_chance_rests_on_is_a_caveat():
    tables = with_chance(held=np.nan)
    for basis, said in ((NOTHING, "Nothing is held"), (LIMIT, "half of the latency limits"), (MEASURED, None)):
        capacity = tables["capacity"].assign(chance_basis=basis)
        case = make_case(inputs=tables | {"capacity": capacity})
        found = [text for text in _evidence_warnings(case, tables["accelerators"]) if "by chance" in text]
        assert [said in text and "chat" in text and "train" not in text for text in found] == [True] * bool(said)


def test_unmeasured_work_on_a_second_accelerator_is_named_with_it():
    """Chat is measured where it was chosen for, not on the idle kit that takes a part of it."""
    case = make_case()
    table = case.streams.table
    chat = table[table["use_case_id"] == "chat"]
    second = pd.concat(
        [table.assign(tier="measured"), chat.assign(accelerator_id="idle", tier="anchored")], ignore_index=True
    )
    case = replace(case, streams=replace(case.streams, table=second))
    accelerators = pd.DataFrame({"accelerator_id": ["acc", "idle"], "verified_sources": [1, 1]})
    found = [text for text in _evidence_warnings(case, accelerators) if text.startswith("Capacity")]
    assert found == ["Capacity of chat on idle is anchored, not measured: benchmark first."]


def test_one_of_three_pools_may_be_down():
    """Two thirds of the fleet hold what all of it held: 1.4 x 3 / 2 - 1; chance is that of the pools that are left."""
    plan = make_plan(failure_domains={"customer_facing": 3})
    found, before = build_streams(plan, PERIOD, **with_chance(plan)), streams()
    chat, train = (found.table["use_case_id"].to_list().index(name) for name in ("chat", "train"))
    assert found.reserve[1, chat] == pytest.approx(1.4 * 1.5 - 1)
    assert (found.reserve[:, train] == before.reserve[:, train]).all(), "work that may wait needs none"
    np.testing.assert_array_equal(found.chance, before.chance)
    np.testing.assert_array_equal(found.rule, before.rule)
    table = sizes_frame(found, plan, {}).set_index("use_case_id")
    # 1.5 x (16.8 + 2 sqrt(16.8 / 4)) = 31.3
    assert table.loc["chat", "total"] == 32
    assert table.loc["chat", "reserve_because"].endswith("on the busiest window, one of 3 pools down")
    assert "pools" not in table.loc["train", "reserve_because"]


@pytest.mark.parametrize("pools", [0, 1, 1001])
def test_pools_of_which_none_could_be_spared_are_refused(pools):
    with pytest.raises(ValueError, match="failure_domains"):
        make_plan(failure_domains={"customer_facing": pools})


@pytest.mark.parametrize(
    ("in_progress", "said"),
    [(1.2, "1 request in"), (2.0, "2 requests in"), (0.3, "less than 1 request in"), (1234.0, "1,234 requests in")],
)
def test_requests_in_progress_are_counted_in_words(in_progress, said):
    stream = SimpleNamespace(movable=False, wait_hours=1)
    assert said in _slo(stream, in_progress, spread=True)


def test_a_test_of_a_trace_needs_nothing_for_chance():
    tables = with_chance(k=0.0)
    tables["capacity"] = tables["capacity"].assign(chance_basis=OF_TRACE)
    found = build_streams(make_plan(), PERIOD, **tables)
    assert (found.chance == 1.0).all()
    row = sizes_frame(found, make_plan(), {}).set_index("use_case_id").loc["chat"]
    assert "the test replayed a trace" in " ".join(str(value) for value in row)
