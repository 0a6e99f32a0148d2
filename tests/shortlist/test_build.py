"""The shortlist in one call: one choice per use case, also with tables absent."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from aifactory.benchmark import build_benchmark
from aifactory.inputs.workspace import load_workspace
from aifactory.inventory import build_inventory
from aifactory.shortlist import build_shortlist
from aifactory.shortlist.outcome import (
    CHOICE_COLUMNS,
    GENERAL,
    INNOVATION,
    SPECIALISED,
    _why_none,
    architecture,
    drop_hopeless,
    layer,
    plan_pilots,
    reasons_not_chosen,
)
from aifactory.shortlist.outcome import choose as choose_cells

H100, A100, TPU = "nvidia-h100-sxm", "nvidia-a100-80-sxm", "google-tpu-v6e"


def build(ws):
    return build_shortlist(ws, build_inventory(ws), build_benchmark(ws))


def choose(*rows, winner=None, beside=None, home=None):
    """Choice among cells of one use case, given as (name, decision, tier, cost, changes)."""
    base = {"use_case_id": "chat", "platform_class": "gpu", "total": 0.7, "units_per_s_per_accelerator": 10.0,
            "low": 9.0, "high": 11.0, "reason": "scores 0.70"}  # fmt: skip
    cells = pd.DataFrame(
        [{**base, "accelerator_id": name, "decision": decision, "tier": tier, **changes}
         for name, decision, tier, _, changes in rows]
    )  # fmt: skip
    costs = cells[["use_case_id", "accelerator_id"]].assign(total_usd=[row[3] for row in rows], compute_usd=0.0)
    rate, low, high = (cells[name].where(cells[name] > 0) for name in ("units_per_s_per_accelerator", "low", "high"))
    costs["total_low_usd"], costs["total_high_usd"] = (
        costs["total_usd"] * rate / high,
        (costs["total_usd"] * rate / low).fillna(np.inf),
    )
    if beside:
        costs["beside_usd"] = costs["accelerator_id"].map(beside).astype(float)
        costs["beside_low_usd"] = costs["beside_high_usd"] = costs["beside_usd"]
    verdict = "clear winner" if winner else "no clear winner"
    verdicts = pd.DataFrame(
        [{"use_case_id": "chat", "leader": winner, "verdict": verdict, "deciding_measurement": "a run"}]
    )
    return choose_cells(cells, costs, SimpleNamespace(verdicts=verdicts), home and {"chat": home}).iloc[0]


def test_the_cheapest_platform_to_choose_is_chosen():
    row = choose(
        ("dear", "choose", "measured", 200.0, {}),
        ("cheap", "choose", "measured", 100.0, {}),
        ("pilot", "pilot", "measured", 1.0, {}),
    )
    assert (row["accelerator_id"], row["runner_up"], row["margin_usd"]) == ("cheap", "dear", 100.0)
    assert row["reason"] == "cheapest over the horizon among the platforms to choose"


SHARED = {"dear": 70.0, "cheap": 100.0}


def test_a_platform_that_shares_its_nodes_is_chosen():
    rows = ("dear", "choose", "measured", 200.0, {}), ("cheap", "choose", "measured", 100.0, {})
    row = choose(*rows, beside=SHARED)
    assert (row["accelerator_id"], row["runner_up"], row["margin_usd"]) == ("dear", "cheap", 30.0)
    assert row["reason"] == (
        "costs USD 70 beside other use cases, whose nodes it shares: USD 30 less than cheap beside them, though that is cheaper alone"
    )
    assert (row["beside_usd"], row["total_usd"], row["proven"]) == (70.0, 200.0, True)
    lonely = choose(*rows, beside={"dear": 200.0, "cheap": 250.0})
    assert lonely["reason"] == (
        "cheap is cheaper alone, at USD 100, but would add USD 250 to the others on it, whose nodes are of one size; here it costs USD 200"
    )
    assert choose(*rows)["beside_usd"] == choose(*rows)["total_usd"] == 100.0
    itself = choose(*rows, beside={"dear": 170.0, "cheap": 70.0})
    assert (
        itself["reason"] == "cheapest over the horizon among the platforms to choose" and itself["beside_usd"] == 70.0
    )
    won = choose(*rows, winner="cheap", beside=SHARED)
    assert won["reason"] == "clear winner over weights and intervals, though dear is cheaper"
    assert (won["accelerator_id"], won["margin_usd"]) == ("cheap", -30.0)


def test_where_a_use_case_settled_it_stays():
    rows = ("dear", "choose", "measured", 100.5, {}), ("cheap", "choose", "measured", 100.0, {})
    row = choose(*rows, home="dear")
    assert row["accelerator_id"] == "dear"
    assert row["reason"] == "within 1 % of the cheapest beside the other use cases, though cheap is cheaper"


def test_what_is_cheaper_alone_is_not_called_dearer():
    rows = ("dear", "choose", "measured", 200.0, {}), ("cheap", "choose", "measured", 100.0, {})
    cells = pd.DataFrame(
        {"use_case_id": "chat", "accelerator_id": ["dear", "cheap"], "tier": "measured", "decision": "choose"}
    )
    alone, sharing = (pd.DataFrame([choose(*rows, beside=beside)]) for beside in (None, SHARED))
    assert reasons_not_chosen(cells, alone)["chat", "dear"] == "dearer in the expected scenario"
    assert reasons_not_chosen(cells, sharing)["chat", "cheap"] == "dearer where nodes are shared"


def test_a_clear_winner_is_chosen_though_another_is_cheaper():
    rows = ("dear", "choose", "measured", 200.0, {"total": 0.9}), ("cheap", "choose", "measured", 100.0, {"total": 0.8})
    row = choose(*rows, winner="dear")
    assert (row["accelerator_id"], row["runner_up"], row["margin_usd"], row["proven"]) == (
        "dear",
        "cheap",
        -100.0,
        False,
    )
    assert row["reason"] == "clear winner over weights and intervals, though cheap is cheaper"
    assert choose(*rows, winner="cheap")["reason"] == "cheapest over the horizon among the platforms to choose"
    # the dearer one scores 0.1 more: 100 / 0.1 / 100 for each 0.01
    assert choose(*rows)["usd_per_score_point"] == pytest.approx(10.0)
    assert choose(*rows)["verdict"] == "no clear winner"


def test_equal_costs_are_decided_by_the_score():
    row = choose(("a", "choose", "measured", 5.0, {"total": 0.7}), ("b", "choose", "measured", 5.0, {"total": 0.8}))
    assert row["accelerator_id"] == "b"


def test_costs_that_differ_by_rounding_are_equal():
    """Differences of sums leave a millionth of a cent: no price of a point of score, and the score decides."""
    rows = ("a", "choose", "measured", 5.0, {"total": 0.7}), ("b", "choose", "measured", 5.0 + 1e-9, {"total": 0.8})
    row = choose(*rows)
    assert row["accelerator_id"] == "b" and np.isnan(row["usd_per_score_point"])
    assert np.isnan(choose(rows[1], ("c", "choose", "measured", 5.0 + 2e-9, {"total": 0.9}))["usd_per_score_point"])
    dearer = choose(rows[0], ("b", "choose", "measured", 5.02, {"total": 0.8}))
    assert dearer["accelerator_id"] == "a" and dearer["usd_per_score_point"] == pytest.approx(0.02 / 0.1 / 100)


def test_a_margin_is_proven_when_the_cost_intervals_do_not_overlap():
    near = choose(("a", "choose", "measured", 100.0, {}), ("b", "choose", "measured", 120.0, {}))
    far = choose(("a", "choose", "measured", 100.0, {}), ("b", "choose", "measured", 150.0, {}))
    # 100 x 10/9 = 111.1 against 120 x 10/11 = 109.1, and against 150 x 10/11 = 136.4
    assert (bool(near["proven"]), bool(far["proven"])) == (False, True)


def test_a_platform_whose_repeats_mostly_failed_proves_nothing():
    shaky = {"units_per_s_per_accelerator": 100 / 3, "low": -50 / 3, "high": 250 / 3}  # repeats of 0, 0 and 100
    row = choose(("a", "choose", "measured", 100.0, {}), ("b", "choose", "measured", 101.0, shaky))
    assert not row["proven"]


def test_below_the_mark_the_best_measured_one_stands_in():
    row = choose(
        ("guess", "pilot", "anchored", 1.0, {}),
        ("run", "pilot", "measured", 50.0, {}),
        ("bad", "reject", "measured", 10.0, {"reason": "no price from any provider of the plan"}),
    )
    assert row["accelerator_id"] == "run"
    assert row["reason"].startswith("best measured")


def test_without_a_measurement_one_starts_on_the_general_layer():
    row = choose(
        ("chip", "pilot", "anchored", 1.0, {"platform_class": "custom_asic"}), ("card", "pilot", "anchored", 5.0, {})
    )
    assert row["accelerator_id"] == "card"
    assert "general layer" in row["reason"]


def test_a_low_score_is_no_exclusion():
    row = choose(("weak", "reject", "measured", 9.0, {"reason": "scores 0.30, below the mark"}))
    assert row["accelerator_id"] == "weak"


def test_without_a_measurement_the_choice_is_provisional():
    row = choose(("guess", "pilot", "anchored", 1.0, {}), ("other", "pilot", "anchored", 2.0, {}))
    assert row["accelerator_id"] == "guess"
    assert row["reason"].startswith("provisional")


@pytest.mark.parametrize(
    "changes",
    [{"units_per_s_per_accelerator": np.nan}, {"units_per_s_per_accelerator": 0.0}],
)
def test_without_capacity_nothing_is_chosen(changes):
    row = choose(("a", "not comparable", "none", 1.0, changes))
    assert pd.isna(row["accelerator_id"])
    assert row["reason"] == "no platform has a known capacity and price: benchmark first"


def test_without_a_price_nothing_is_chosen():
    assert pd.isna(choose(("a", "choose", "measured", np.nan, {}))["accelerator_id"])


def test_a_lone_platform_has_no_runner_up():
    row = choose(("only", "choose", "measured", 1.0, {}))
    assert pd.isna(row["runner_up"])
    assert pd.isna(row["margin_usd"])


@pytest.mark.parametrize(
    ("platform", "tier", "expected"),
    [("gpu", "anchored", GENERAL), ("cpu", "measured", GENERAL), ("tpu", "measured", SPECIALISED),
     ("trainium", "anchored", INNOVATION), ("neuromorphic", "none", INNOVATION)],
)  # fmt: skip
def test_layers_follow_class_and_evidence(platform, tier, expected):
    assert layer(platform, tier) == expected


def test_the_tiny_workspace_chooses_the_cheapest_measured_platform(road):
    """Chat alone is cheapest on the A100; on the nodes that images fills it costs less."""
    choice = road.shortlist.choice.set_index("use_case_id")
    assert choice["accelerator_id"].to_dict() == {"chat": H100, "images": H100, "models": A100}
    assert list(road.shortlist.choice.columns) == CHOICE_COLUMNS
    money = road.shortlist.penalties.set_index(["use_case_id", "accelerator_id"])
    totals, shared = money["total_usd"], money["beside_usd"]
    assert totals["chat", A100] < totals["chat", H100]
    assert choice.at["chat", "margin_usd"] == pytest.approx(shared["chat", A100] - shared["chat", H100])
    assert choice.at["chat", "margin_usd"] > 0 and choice.at["chat", "beside_usd"] == shared["chat", H100]
    assert "beside other use cases, whose nodes it shares: USD" in choice.at["chat", "reason"]
    images = road.benchmark.capacity["use_case_id"] != "images"
    alone = SimpleNamespace(**vars(road.benchmark) | {"capacity": road.benchmark.capacity[images]})
    kept = build_shortlist(road.ws, road.inventory, alone).choice.set_index("use_case_id")
    assert kept["accelerator_id"].to_dict() == {"chat": A100, "models": A100}
    assert kept.at["chat", "margin_usd"] == pytest.approx(totals["chat", H100] - kept.at["chat", "beside_usd"])
    assert kept.at["chat", "beside_usd"] == pytest.approx(shared["chat", A100])  # models is there in both


def test_pilots_say_what_must_be_seen_by_when(road):
    pilots = road.shortlist.pilots.set_index(["use_case_id", "accelerator_id"])
    costs = road.shortlist.penalties.set_index(["use_case_id", "accelerator_id"])
    chosen = road.shortlist.choice.set_index("use_case_id")
    assert set(pilots["tier"]) == {"anchored"}
    for (use_case, chip), row in pilots.iterrows():
        cost, target = costs.loc[(use_case, chip)], chosen.at[use_case, "beside_usd"]
        # nodes that hold a job of eight make H100 dearer to all others there: models has its own
        usd, low = (
            cost[["total_usd", "total_low_usd"]]
            if cost["total_usd"] < cost["beside_usd"]
            else cost[["beside_usd", "beside_low_usd"]]
        )
        assert (row["beside_usd"], row["target_usd"]) == (usd, target)
        assert low <= target
        assert (row["needed_units_per_s"] <= row["expected_units_per_s"]) == (usd <= target)
        assert row["exit_criterion"].startswith(f"by {row['decide_by']:%Y-%m-%d}: at least ")
    assert (pilots["decide_by"] > pd.Timestamp(road.ws.as_of)).all()


def test_a_pilot_of_the_chosen_platform_has_to_bear_its_own_price(road):
    cell = road.shortlist.pilots[["use_case_id", "accelerator_id"]].head(1)
    shared = cell.assign(total_usd=1.0)  # what it costs beside others on its nodes
    pilots = plan_pilots(road.ws, road.shortlist.matrix.merge(cell), road.shortlist.penalties, shared)
    assert (pilots["needed_units_per_s"] <= pilots["expected_units_per_s"] * (1 + 1e-12)).all()
    cells, kept = drop_hopeless(road.shortlist.matrix.merge(cell), road.shortlist.penalties, shared, pilots)
    assert len(kept) == 1
    assert cells["decision"].tolist() == ["pilot"]


def test_a_pilot_of_the_chosen_platform_must_stay_below_its_runner_up(road):
    """A runner-up that costs twice as much may cost as much as the chosen one does at a capacity below the expected."""
    cell = road.shortlist.pilots[["use_case_id", "accelerator_id"]].head(1)
    usd = road.shortlist.penalties.merge(cell)["total_usd"].iloc[0]
    chosen = cell.assign(total_usd=usd, margin_usd=usd)
    pilot = plan_pilots(road.ws, road.shortlist.matrix.merge(cell), road.shortlist.penalties, chosen).iloc[0]
    assert pilot["target_usd"] == pytest.approx(2 * usd)
    assert pilot["needed_units_per_s"] < pilot["expected_units_per_s"]


def test_a_chosen_platform_whose_accelerators_cost_nothing_more_is_no_hopeless_pilot(road):
    """Beside others it fills what is idle: porting and rework are then all it costs, and no reason to reject it."""
    cell = road.shortlist.pilots[["use_case_id", "accelerator_id"]].head(1)
    money = road.shortlist.penalties.merge(cell)
    once = float((money["total_usd"] - money["compute_usd"]).iloc[0])
    free = money.assign(**dict.fromkeys(("beside_usd", "beside_low_usd", "beside_high_usd"), once - 1.0))
    cells = road.shortlist.matrix.merge(cell)
    pilots = plan_pilots(road.ws, cells, free, cell.assign(total_usd=once - 1.0))
    assert (pilots["needed_units_per_s"] == pilots["expected_units_per_s"]).all()
    assert drop_hopeless(cells, free, cell.assign(total_usd=once - 1.0), pilots)[0]["decision"].tolist() == ["pilot"]


def test_a_pilot_whose_rework_costs_what_the_chosen_platform_adds_is_not_said_to_cost_more(road):
    """Both rework the same prompts, and the chosen one fills nodes that stand: the two are level but for rounding."""
    cell = road.shortlist.pilots[["use_case_id", "accelerator_id"]].head(1)
    money = road.shortlist.penalties.merge(cell)
    once = float((money["total_usd"] - money["compute_usd"]).iloc[0])
    cells, choice = (
        road.shortlist.matrix.merge(cell),
        cell.assign(accelerator_id="another", total_usd=once * (1 - 1e-12)),
    )
    pilots = plan_pilots(road.ws, cells, money, choice)
    reason = drop_hopeless(cells, money, choice, pilots)[0]["reason"].iloc[0]
    assert reason.endswith(f"alone cost no less than the USD {once:,.0f} that the chosen platform adds to the others")


def test_without_a_cost_to_beat_no_pilot_is_hopeless(road):
    """The chosen platform has no cost where demand or price is not known: nothing can be dearer than that."""
    pilots = road.shortlist.pilots.head(1)
    keys = ["use_case_id", "accelerator_id"]
    cells = road.shortlist.matrix.merge(pilots[keys], on=keys)
    unknown = pd.DataFrame({"use_case_id": pilots["use_case_id"], "accelerator_id": np.nan, "total_usd": np.nan})
    planned = plan_pilots(road.ws, cells, road.shortlist.penalties, unknown)
    assert "a measured rate per accelerator" in planned["exit_criterion"].iloc[0]
    assert "nan" not in planned["exit_criterion"].iloc[0]
    changed, kept = drop_hopeless(cells, road.shortlist.penalties, unknown, planned)
    assert (changed["decision"].tolist(), len(kept)) == (["pilot"], 1)


def test_a_capacity_without_a_cost_asks_for_demand_and_price():
    cells = pd.DataFrame({"accelerator_id": ["a", "b"], "reason": ["slow", "scores 0.5"], "units_per_s_per_accelerator": [np.nan, 2.0],
                          "decision": ["reject", "choose"]})  # fmt: skip
    assert _why_none(cells).startswith("b has a known capacity and no cost: state its demand")
    assert (
        _why_none(cells.assign(decision="reject", reason="export"))
        == "no platform has a known capacity and price: benchmark first"
    )


def test_a_pilot_has_to_beat_what_the_chosen_platform_costs_beside_the_others(road):
    pilots = road.shortlist.pilots.head(1)
    keys = ["use_case_id", "accelerator_id"]
    cells = road.shortlist.matrix.merge(pilots[keys], on=keys)
    choice = pd.DataFrame({"use_case_id": pilots["use_case_id"], "accelerator_id": "another", "total_usd": 9e9})
    alone, beside = (
        plan_pilots(road.ws, cells, road.shortlist.penalties, choice.assign(beside_usd=usd)) for usd in (np.nan, 3e5)
    )
    assert alone["needed_units_per_s"].iloc[0] < beside["needed_units_per_s"].iloc[0]
    dear = pilots[keys].assign(total_usd=5e5, total_low_usd=4e5)
    left = [drop_hopeless(cells, dear, choice.assign(beside_usd=usd), pilots)[1] for usd in (np.nan, 3e5)]
    assert [len(table) for table in left] == [1, 0]


def test_a_pilot_that_no_capacity_makes_pay_is_rejected(estimated):
    table = estimated.shortlist.matrix.set_index(["use_case_id", "accelerator_id"])
    row = table.loc[("chat", A100)]
    assert (row["decision"], row["reason"][:10]) == ("reject", "cannot pay")
    assert row["agrees_with_prior"] == (row["prior"] == "reject")
    assert ("chat", A100) not in set(estimated.shortlist.pilots.set_index(["use_case_id", "accelerator_id"]).index)


def test_a_pilot_that_is_dearer_even_at_the_high_end_of_its_capacity_is_rejected(road):
    pilots = road.shortlist.pilots.head(1).assign(needed_units_per_s=50.0, expected_units_per_s=4.0)
    keys = ["use_case_id", "accelerator_id"]
    cells = road.shortlist.matrix.merge(pilots[keys], on=keys).assign(high=6.0)
    choice = pd.DataFrame({"use_case_id": pilots["use_case_id"], "accelerator_id": "another", "total_usd": 900.0})
    dear, fair = (pilots[keys].assign(total_usd=1500.0, total_low_usd=usd) for usd in (1000.0, 800.0))
    changed_cells, left = drop_hopeless(cells, dear, choice, pilots)
    assert left.empty
    assert changed_cells["reason"].tolist() == [
        "cannot pay: adds USD 1,000 to the others even at the high end of its capacity, 6 accelerator-hours/s, against USD 900 of the chosen platform"
    ]
    slow = drop_hopeless(cells.assign(high=0.0005, service_unit="session"), dear, choice, pilots)[0]
    assert slow["reason"].iloc[0].endswith("1.8 sessions an hour, against USD 900 of the chosen platform")
    same, kept = drop_hopeless(cells, fair, choice, pilots)
    assert len(kept) == 1
    assert same["decision"].tolist() == ["pilot"]


def test_a_high_mark_leaves_measured_platforms_as_pilots(changed):
    strict = build(changed(plan={"choose_at": 1.0}))
    assert len(strict.pilots.query("tier == 'measured'"))
    assert strict.choice["accelerator_id"].notna().all()


def test_the_layers_add_up_to_what_the_use_cases_cost_together(road):
    table = road.shortlist.architecture
    assert table["share"].sum() == pytest.approx(1.0)
    assert table["alone_usd"].sum() == pytest.approx(road.shortlist.choice["total_usd"].sum())
    assert table["total_usd"].sum() <= table["alone_usd"].sum() * (1 + 1e-9)
    choice = pd.DataFrame({"use_case_id": ["a", "b", "c"], "accelerator_id": ["x", "x", "y"], "total_usd": [30.0, 10.0, 5.0],
                           "tier_label": [SPECIALISED, INNOVATION, GENERAL]})  # fmt: skip
    none = road.shortlist.pilots.iloc[:0]
    layers = architecture(choice, none, {"x": 20.0, "y": 5.0}).set_index("layer")["total_usd"]
    assert layers.to_dict() == {GENERAL: 5.0, SPECIALISED: 15.0, INNOVATION: 5.0}


def test_an_excluded_cell_is_rejected_with_its_reason(changed, mini_ws):
    chips = mini_ws.table("accelerators").copy()
    chips.loc[chips["accelerator_id"] == TPU, "availability"] = "announced"
    found = build(changed(accelerators=chips))
    assert set(found.exclusions["rule"]) == {"availability"}
    cells = found.matrix.query("accelerator_id == @TPU")
    assert (cells["decision"] == "reject").all()
    assert cells["reason"].str.startswith("cannot be bought or rented").all()
    assert TPU not in set(found.choice["accelerator_id"])


def test_the_anchors_carry_their_weights(road):
    anchors = road.shortlist.anchors.set_index("criterion")
    assert anchors["weight"].to_dict() == road.ws.plan.matrix_weights
    assert anchors["weight"].sum() == pytest.approx(1.0)


def test_nothing_known_about_any_platform_asks_for_a_benchmark(mini):
    for name in ("benchmarks", "jobs", "billing", "pools"):
        (mini / f"{name}.csv").unlink()
    cases = (mini / "use_cases.csv").read_text(encoding="utf-8").splitlines()
    unnamed = [line.replace("Llama-3.1-8B", "").replace("SDXL-base-1.0", "") for line in cases[:3]]
    (mini / "use_cases.csv").write_text("\n".join(unnamed) + "\n", encoding="utf-8")
    found = build(load_workspace(mini))
    assert found.choice["accelerator_id"].isna().all()
    assert found.choice["reason"].str.contains("benchmark first").all()


@pytest.mark.parametrize("absent", [("benchmarks",), ("billing",), ("pools",), ("jobs",), ("demand_windows",),
                                    ("benchmarks", "billing", "pools", "jobs")])  # fmt: skip
def test_missing_tables_leave_gaps_not_errors(mini, absent):
    for name in absent:
        (mini / f"{name}.csv").unlink()
    found = build(load_workspace(mini))
    assert len(found.matrix) == 9
    assert found.choice["use_case_id"].tolist() == ["chat", "images", "models"]
    assert found.choice["reason"].str.len().gt(0).all()
    if "demand_windows" in absent:
        assert found.penalties.query("use_case_id == 'chat'")["total_usd"].isna().all()


def test_the_sample_has_one_choice_per_use_case(sample_ws, sample_short):
    found = sample_short.shortlist
    assert found.choice["use_case_id"].tolist() == sorted(sample_ws.table("use_cases")["use_case_id"])
    assert set(found.matrix["decision"]) <= {"choose", "pilot", "reject", "not comparable"}
    assert found.matrix["total"].dropna().between(0, 1).all()
    excluded = set(zip(found.exclusions["use_case_id"], found.exclusions["accelerator_id"], strict=True))
    chosen = set(zip(found.choice["use_case_id"], found.choice["accelerator_id"], strict=True))
    assert not excluded & chosen
