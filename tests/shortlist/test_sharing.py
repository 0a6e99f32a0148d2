"""Nodes shared with other use cases: a small one moves to where it costs next to nothing."""

from dataclasses import replace

import pandas as pd
import pytest
from market_cases import A100, H100, inventory, market, offer

from aifactory.shortlist.plan_terms import price_cells
from aifactory.shortlist.robustness import Robustness, unsettled
from aifactory.shortlist.sharing import cheaper_beside

KEYS = ["use_case_id", "accelerator_id"]


def two_use_cases(load, small):
    """Demand of chat, and of images beside it."""
    first, second = inventory(per_hour=load), inventory(use_case="images", per_hour=small)
    for name in ("forecast", "demand_profile"):
        setattr(first, name, pd.concat([getattr(first, name), getattr(second, name)], ignore_index=True))
    return first


def stage(ws, *, images_a100_usd, verdict="no clear winner", once=0.0):
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
    return cheaper_beside(mine, cells, costs, choice), costs.set_index(KEYS)["compute_usd"]


def test_a_small_use_case_moves_to_the_nodes_that_are_there(mini_ws):
    moves, alone = stage(mini_ws, images_a100_usd=1.0)
    assert list(moves) == ["images"]
    chip, saved = moves["images"]
    assert chip == H100
    # chat by day takes 5.6 of 8 accelerators: images finds room and costs nothing there
    assert saved == pytest.approx(alone["images", A100])


def test_what_a_move_costs_once_comes_off(mini_ws):
    free, alone = stage(mini_ws, images_a100_usd=1.0)
    moves, _ = stage(mini_ws, images_a100_usd=1.0, once=10_000.0)
    assert moves["images"][1] == pytest.approx(free["images"][1] - 10_000.0)
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
    assert {name: chip for name, (chip, _) in moves.items()} == {"images": A100}
    firm = Robustness(*[pd.DataFrame()] * 4)
    verdicts = pd.DataFrame(
        {"use_case_id": ["chat", "images", "other"], "verdict": ["clear winner", "clear winner", "benchmark first"]}
    )
    after = unsettled(replace(firm, verdicts=verdicts), moves).verdicts["verdict"]
    assert after.tolist() == ["clear winner", "no clear winner", "benchmark first"]


def test_a_clear_winner_stays(mini_ws):
    assert stage(mini_ws, images_a100_usd=1.0, verdict="clear winner")[0] == {}
