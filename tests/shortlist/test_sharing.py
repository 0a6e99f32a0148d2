"""Nodes shared with other use cases: a small one moves to where it costs next to nothing."""

from dataclasses import replace

import pandas as pd
import pytest
from market_cases import A100, H100, TPU, inventory, market, offer

from aifactory.inputs.weights import MATRIX_CRITERIA
from aifactory.shortlist import sharing
from aifactory.shortlist.plan_terms import price_cells
from aifactory.shortlist.robustness import Robustness, rank_robustness, unsettled
from aifactory.shortlist.scales import COST_ANCHORS, anchored
from aifactory.shortlist.sharing import cheaper_beside, leads_beside, priced_beside

KEYS = ["use_case_id", "accelerator_id"]


def two_use_cases(load, small):
    """Demand of chat, and of images beside it."""
    first, second = inventory(per_hour=load), inventory(use_case="images", per_hour=small)
    for name in ("forecast", "demand_profile"):
        setattr(first, name, pd.concat([getattr(first, name), getattr(second, name)], ignore_index=True))
    return first


def stage(ws, *, images_a100_usd, verdict="no clear winner", once=0.0, scores=None):
    """Chat fills half a node of H100 at USD 2; images needs a tenth of one, on either platform."""
    offers = offer(ws), offer(ws, accelerator_id=A100, usd_per_accelerator_hour=images_a100_usd)
    mine = market(ws, two_use_cases(4.0, 0.8), *offers)
    base = {"platform_class": "gpu", "tier": "measured", "units_per_s_per_accelerator": 1 / 3600, "low": 1 / 3600, "high": 1 / 3600,
            "failure_rate": 0.0, "total": 0.7, "reason": "scores 0.70", "decision": "choose"}  # fmt: skip
    cells = pd.DataFrame([{**base, "use_case_id": name, "accelerator_id": chip}
                          for name, chip in (("chat", H100), ("images", H100), ("images", A100))])  # fmt: skip
    costs = price_cells(mine, cells)
    costs["total_usd"] = costs["compute_usd"] + once * (
        (costs["use_case_id"] == "images") & (costs["accelerator_id"] == H100)
    )
    choice = pd.DataFrame({"use_case_id": ["chat", "images"], "accelerator_id": [H100, A100], "verdict": ["only one may be chosen", verdict]})  # fmt: skip
    leads = None
    if scores:
        cells = scored(cells, costs, scores)
        for end in ("low", "high"):
            costs[f"total_{end}_usd"] = costs["total_usd"]
        leads = leads_beside(ws, cells, costs, pd.DataFrame(columns=KEYS))
    return cheaper_beside(mine, cells, costs, choice, leads), costs.set_index(KEYS)["compute_usd"]


def scored(cells, costs, scores):
    """The cells with every criterion but cost at the score of their platform; cost is that of the use case alone."""
    named = cells["accelerator_id"].map(scores)
    today = costs[costs["accelerator_id"] == H100].set_index("use_case_id")["total_usd"]
    usd = costs.set_index(KEYS)["total_usd"].reindex(pd.MultiIndex.from_frame(cells[KEYS])).to_numpy()
    cost = pd.Series(anchored(usd / cells["use_case_id"].map(today), COST_ANCHORS), index=cells.index)
    values = {name: cost if name == "cost" else named for name in MATRIX_CRITERIA}
    return cells.assign(**{f"{name}{end}": value for name, value in values.items() for end in ("", "_low", "_high")})


def test_a_small_use_case_moves_to_the_nodes_that_are_there(mini_ws):
    moves, alone = stage(mini_ws, images_a100_usd=1.0)
    assert list(moves) == ["images"]
    chip, saved, usd = moves["images"]
    assert chip == H100
    # chat by day takes 5.6 of 8 accelerators: images finds room and costs nothing there
    assert saved == pytest.approx(alone["images", A100])


def test_what_a_move_costs_once_comes_off(mini_ws):
    free, alone = stage(mini_ws, images_a100_usd=1.0)
    moves, _ = stage(mini_ws, images_a100_usd=1.0, once=10_000.0)
    assert moves["images"][1:] == pytest.approx((free["images"].saved_usd - 10_000.0, free["images"].usd + 10_000.0))
    assert stage(mini_ws, images_a100_usd=1.0, once=alone["images", A100])[0] == {}


def test_spare_room_is_there_once(mini_ws):
    """Eight H100 stand unused. Alone, both find them; chat needs 5.6 by day, so that images needs hours at USD 2 beside it."""
    demand = two_use_cases(4.0, 4.0)
    demand.pools = inventory(pools=[("us", H100, "purchase", 8.0)]).pools
    mine = market(
        mini_ws, demand, offer(mini_ws), offer(mini_ws, accelerator_id=A100, usd_per_accelerator_hour=0.4), today=A100
    )
    base = {"platform_class": "gpu", "tier": "measured", "units_per_s_per_accelerator": 1 / 3600, "low": 1 / 3600, "high": 1 / 3600,
            "failure_rate": 0.0, "total": 0.7, "reason": "scores 0.70", "decision": "choose"}  # fmt: skip
    cells = pd.DataFrame([{**base, "use_case_id": name, "accelerator_id": chip}
                          for name, chip in (("chat", H100), ("images", H100), ("images", A100))])  # fmt: skip
    costs = price_cells(mine, cells).assign(total_usd=lambda found: found["compute_usd"])
    alone = costs.set_index(KEYS)["compute_usd"]
    assert alone["images", H100] == pytest.approx(alone["chat", H100])  # the running of one node
    assert alone["images", H100] < alone["images", A100]
    choice = pd.DataFrame(
        {"use_case_id": ["chat", "images"], "accelerator_id": [H100, H100], "verdict": "clear winner"}
    )
    moves = cheaper_beside(mine, cells, costs, choice)
    assert {name: chip for name, (chip, *_) in moves.items()} == {"images": A100}
    firm = Robustness(*[pd.DataFrame()] * 4)
    verdicts = pd.DataFrame(
        {"use_case_id": ["chat", "images", "other"], "verdict": ["clear winner", "clear winner", "benchmark first"]}
    )
    after = unsettled(replace(firm, verdicts=verdicts), moves).verdicts["verdict"]
    assert after.tolist() == ["clear winner", "no clear winner", "benchmark first"]


def test_what_stands_stays_for_the_others_when_a_use_case_leaves(mini_ws):
    """Eight H100 stand half to chat, half to images, and one node serves both: images adds nothing there, and saves no more than A100 cost."""
    demand = two_use_cases(4.0, 0.8)
    demand.pools = inventory(pools=[("us", H100, "purchase", 8.0)]).pools
    mine = market(mini_ws, demand, offer(mini_ws), offer(mini_ws, accelerator_id=A100, usd_per_accelerator_hour=0.4))
    mine = replace(mine, shares={("chat", "us"): 0.5, ("images", "us"): 0.5})
    base = {"platform_class": "gpu", "tier": "measured", "units_per_s_per_accelerator": 1 / 3600, "low": 1 / 3600, "high": 1 / 3600,
            "failure_rate": 0.0, "total": 0.7, "reason": "scores 0.70", "decision": "choose"}  # fmt: skip
    cells = pd.DataFrame([{**base, "use_case_id": name, "accelerator_id": chip}
                          for name, chip in (("chat", H100), ("images", H100), ("images", A100))])  # fmt: skip
    costs = price_cells(mine, cells).assign(total_usd=lambda found: found["compute_usd"])
    choice = pd.DataFrame(
        {"use_case_id": ["chat", "images"], "accelerator_id": [H100, A100], "verdict": "no clear winner"}
    )
    chip, saved, usd = cheaper_beside(mine, cells, costs, choice)["images"]
    assert (chip, usd) == (H100, pytest.approx(0.0, abs=1e-6))
    assert saved == pytest.approx(costs.set_index(KEYS).at[("images", A100), "compute_usd"])


def test_what_is_chosen_costs_what_it_adds_to_the_others(mini_ws):
    """Chat and images fit on one node of H100 together: images adds nothing, and chat the hours that images does not pay."""
    mine = market(mini_ws, two_use_cases(4.0, 0.8), offer(mini_ws))
    base = {"platform_class": "gpu", "tier": "measured", "units_per_s_per_accelerator": 1 / 3600, "low": 1 / 3600, "high": 1 / 3600,
            "failure_rate": 0.0, "accelerator_id": H100}  # fmt: skip
    cells = pd.DataFrame([{**base, "use_case_id": name} for name in ("chat", "images")])
    costs = price_cells(mine, cells).assign(total_usd=lambda found: found["compute_usd"] + 5.0)
    alone = costs.set_index("use_case_id")["compute_usd"]
    choice = pd.DataFrame({"use_case_id": ["chat", "images", "other"], "accelerator_id": [H100, H100, None]})
    found = priced(mine, cells, costs, choice)["beside_usd"]
    assert found["chat", H100] == pytest.approx(alone["chat"] - alone["images"] + 5.0)
    assert found["images", H100] == pytest.approx(5.0)
    assert priced(mine, cells, costs, choice.iloc[2:])["beside_usd"].tolist() == costs["total_usd"].tolist()


def priced(mine, cells, costs, choice, excluded=()):
    """`priced_beside` by use case and accelerator, the ends as given or the price itself."""
    costs = costs.assign(
        **{f"total_{end}_usd": costs.get(f"total_{end}_usd", costs["total_usd"]) for end in ("low", "high")}
    )
    return priced_beside(mine, cells, costs, choice, pd.DataFrame(list(excluded), columns=KEYS)).set_index(KEYS)


def test_what_is_not_chosen_costs_what_it_would_add_too(mini_ws):
    """Images is on A100, but would add nothing to the node of H100 that chat fills; at a tenth of the capacity it needs a node more."""
    offers = offer(mini_ws), offer(mini_ws, accelerator_id=A100, usd_per_accelerator_hour=1.0)
    mine = market(mini_ws, two_use_cases(4.0, 0.8), *offers)
    rate = 1 / 3600
    base = {"platform_class": "gpu", "tier": "anchored", "units_per_s_per_accelerator": rate, "low": rate / 10, "high": rate * 2,
            "failure_rate": 0.0}  # fmt: skip
    cells = pd.DataFrame([{**base, "use_case_id": name, "accelerator_id": chip}
                          for name, chip in (("chat", H100), ("images", H100), ("images", A100))])  # fmt: skip
    slow = price_cells(mine, cells.assign(units_per_s_per_accelerator=cells["low"])).set_index(KEYS)["compute_usd"]
    costs = price_cells(mine, cells).assign(total_usd=lambda found: found["compute_usd"] + 5.0)
    costs["total_low_usd"], costs["total_high_usd"] = costs["total_usd"], costs.set_index(KEYS).index.map(slow) + 5.0
    choice = pd.DataFrame({"use_case_id": ["chat", "images"], "accelerator_id": [H100, A100]})
    found = priced(mine, cells, costs, choice, [("chat", H100)])
    there = found.loc[("images", H100)]
    assert there["beside_usd"] == pytest.approx(5.0) and there["beside_low_usd"] == pytest.approx(5.0)
    assert 5.0 < there["beside_high_usd"] < there["total_high_usd"]
    own = found.loc[("images", A100)]  # nobody else is there
    assert own[["beside_usd", "beside_low_usd", "beside_high_usd"]].tolist() == own[["total_usd", "total_low_usd", "total_high_usd"]].tolist()  # fmt: skip
    assert pd.isna(found.at[("chat", H100), "beside_usd"])


def test_a_clear_winner_stays(mini_ws):
    assert stage(mini_ws, images_a100_usd=1.0, verdict="clear winner")[0] == {}


def test_a_clear_winner_stays_only_while_it_leads_with_the_money_of_shared_nodes(mini_ws):
    """Alone the A100 costs a third of a node of H100; beside chat images finds room there and costs nothing."""
    ws = replace(
        mini_ws, plan=mini_ws.plan.model_copy(update={"baseline_accelerators": {"chat": H100, "images": H100}})
    )
    level = {H100: 0.8, A100: 0.8}
    moves, alone = stage(ws, images_a100_usd=0.7, verdict="clear winner", scores=level)
    assert alone["images", A100] < 0.5 * alone["images", H100]
    chip, saved, usd = moves["images"]
    assert (chip, saved) == (H100, pytest.approx(alone["images", A100]))
    better = {H100: 0.1, A100: 0.9}  # leads whatever it costs
    assert stage(ws, images_a100_usd=0.7, verdict="clear winner", scores=better)[0] == {}


def test_what_leads_beside_is_asked_with_the_money_of_shared_nodes(mini_ws):
    ws = replace(mini_ws, plan=mini_ws.plan.model_copy(update={"baseline_accelerators": {"images": H100}}))
    about = {
        "use_case_id": "images",
        "decision": "choose",
        "tier": "measured",
        "units_per_s_per_accelerator": 1.0,
        "evidence": "",
    }
    cells = pd.DataFrame([{**about, "accelerator_id": H100}, {**about, "accelerator_id": A100}])
    costs = cells[KEYS].assign(compute_usd=[80.0, 40.0], total_usd=[100.0, 60.0])
    costs = costs.assign(total_low_usd=costs["total_usd"] - 8.0, total_high_usd=costs["total_usd"] + 8.0)
    cells = scored(cells, costs, {H100: 0.8, A100: 0.8})
    verdict = rank_robustness(ws, cells, pd.DataFrame(columns=KEYS)).verdicts.iloc[0]
    assert (verdict["leader"], verdict["verdict"]) == (A100, "clear winner")
    leads = leads_beside(ws, cells, costs, pd.DataFrame(columns=KEYS))
    assert leads("images", A100, {H100: 100.0, A100: 60.0})
    assert leads("images", A100, {H100: 90.0, A100: 60.0})
    assert not leads("images", A100, {H100: 20.0, A100: 60.0})
    assert leads("images", H100, {H100: 20.0, A100: 60.0})


def test_a_winner_that_leads_again_once_the_others_have_moved_stays(monkeypatch):
    """Images is cheap on the A100 only beside models, which leaves for the TPU: then the H100 leads images as before."""
    usd = {"images": {H100: 10.0, A100: 9.0}, "models": {A100: 10.0, TPU: 4.0}}

    class Beside:
        def __init__(self, *_):
            pass

        def all_of(self, name, pool, home):
            found = dict(usd[name])
            if name == "images" and home["models"] == A100:
                found[A100] = 5.0
            return {chip: found[chip] for chip in pool["accelerator_id"]}

        def of(self, name, chip, home):
            return self.all_of(name, pd.DataFrame({"accelerator_id": [chip]}), home)[chip]

    monkeypatch.setattr(sharing, "_Beside", Beside)
    monkeypatch.setattr(sharing, "streams_alone", lambda *_: None)
    monkeypatch.setattr(sharing, "_guests", lambda *_: set())
    base = {"decision": "choose", "tier": "measured", "total": 0.7, "reason": "scores 0.70", "units_per_s_per_accelerator": 1.0,
            "platform_class": "gpu"}  # fmt: skip
    cells = pd.DataFrame([{**base, "use_case_id": name, "accelerator_id": chip} for name in usd for chip in usd[name]])
    costs = cells[KEYS].assign(total_usd=10.0, compute_usd=10.0)
    choice = pd.DataFrame(
        {"use_case_id": ["images", "models"], "accelerator_id": [H100, A100], "verdict": "clear winner"}
    )
    moves = cheaper_beside(None, cells, costs, choice, lambda name, _, price: name == "images" and price[A100] > 8.0)
    assert {name: move.accelerator_id for name, move in moves.items()} == {"models": TPU}
