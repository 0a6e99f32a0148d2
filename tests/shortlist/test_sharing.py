"""Nodes shared with other use cases: a small one moves to where it costs next to nothing."""

from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_cases import A100, H100, TPU, inventory, market, offer

from aifactory.benchmark import build_benchmark
from aifactory.inputs.weights import MATRIX_CRITERIA
from aifactory.shortlist import build_shortlist
from aifactory.shortlist.plan_terms import price_cells
from aifactory.shortlist.robustness import Robustness, held_by
from aifactory.shortlist.scales import COST_ANCHORS, anchored
from aifactory.shortlist.sharing import ENDS, Shared, pools_of, priced_beside, settle, winner_beside

KEYS = ["use_case_id", "accelerator_id"]
NONE = pd.DataFrame(columns=KEYS)


def two_use_cases(load, small):
    """Demand of chat, and of images beside it."""
    first, second = inventory(per_hour=load), inventory(use_case="images", per_hour=small)
    for name in ("forecast", "demand_profile"):
        setattr(first, name, pd.concat([getattr(first, name), getattr(second, name)], ignore_index=True))
    return first


def three_cells(**changes):
    """Chat on H100, images on H100 or A100; each accelerator serves one unit an hour."""
    base = {"platform_class": "gpu", "tier": "measured", "units_per_s_per_accelerator": 1 / 3600, "low": 1 / 3600, "high": 1 / 3600,
            "failure_rate": 0.0, "total": 0.7, "reason": "scores 0.70", "decision": "choose"} | changes  # fmt: skip
    return pd.DataFrame([{**base, "use_case_id": name, "accelerator_id": chip}
                         for name, chip in (("chat", H100), ("images", H100), ("images", A100))])  # fmt: skip


def settled(mine, cells, costs, ws=None):
    """Where the use cases settle; by money alone without a workspace whose criteria rank them."""
    shared = Shared(mine, cells, costs, NONE)
    winner = winner_beside(ws, shared, cells, costs, NONE) if ws else lambda *_: None
    return settle(shared, pools_of(cells, costs), winner), shared


def with_ends(costs):
    """Prices that are the same at both ends of capacity."""
    return costs.assign(total_low_usd=costs["total_usd"], total_high_usd=costs["total_usd"])


def stage(ws, *, images_a100_usd, once=0.0, scores=None):
    """Chat fills half a node of H100 at USD 2; images needs a tenth of one, on either platform. Where they settle, and prices alone."""
    offers = offer(ws), offer(ws, accelerator_id=A100, usd_per_accelerator_hour=images_a100_usd)
    mine = market(ws, two_use_cases(4.0, 0.8), *offers)
    cells = three_cells()
    costs = price_cells(mine, cells)
    costs["total_usd"] = costs["compute_usd"] + once * (
        (costs["use_case_id"] == "images") & (costs["accelerator_id"] == H100)
    )
    costs = with_ends(costs)
    home, shared = settled(mine, scored(cells, costs, scores) if scores else cells, costs, ws if scores else None)
    return home, shared, costs.set_index(KEYS)["compute_usd"]


def scored(cells, costs, scores):
    """The cells with every criterion but cost at the score of their platform; cost is that of the use case alone."""
    named = cells["accelerator_id"].map(scores)
    today = costs[costs["accelerator_id"] == H100].set_index("use_case_id")["total_usd"]
    usd = costs.set_index(KEYS)["total_usd"].reindex(pd.MultiIndex.from_frame(cells[KEYS])).to_numpy()
    cost = pd.Series(anchored(usd / cells["use_case_id"].map(today), COST_ANCHORS), index=cells.index)
    values = {name: cost if name == "cost" else named for name in MATRIX_CRITERIA}
    return cells.assign(**{f"{name}{end}": value for name, value in values.items() for end in ("", "_low", "_high")})


def test_a_small_use_case_moves_to_the_nodes_that_are_there(mini_ws):
    home, shared, alone = stage(mini_ws, images_a100_usd=1.0)
    assert home == {"chat": H100, "images": H100}
    assert alone["images", A100] < alone["images", H100]
    # chat by day takes 5.6 of 8 accelerators: images finds room and costs nothing there
    assert shared.of("images", H100, home) == pytest.approx(0.0, abs=1e-6)
    assert shared.of("images", A100, home) == alone["images", A100]
    assert shared.together(H100, home) == pytest.approx(alone["chat", H100])


def test_what_a_move_costs_once_keeps_it_away(mini_ws):
    home, shared, alone = stage(mini_ws, images_a100_usd=1.0, once=10_000.0)
    assert home["images"] == H100 and shared.of("images", H100, home) == pytest.approx(10_000.0)
    assert shared.together(H100, home) == pytest.approx(alone["chat", H100] + 10_000.0)
    assert stage(mini_ws, images_a100_usd=1.0, once=alone["images", A100])[0]["images"] == A100


def test_spare_room_is_there_once(mini_ws):
    """Eight H100 stand unused. Alone, both find them; chat needs 5.6 by day, so that images needs hours at USD 2 beside it."""
    demand = two_use_cases(4.0, 4.0)
    demand.pools = inventory(pools=[("us", H100, "purchase", 8.0)]).pools
    mine = market(
        mini_ws, demand, offer(mini_ws), offer(mini_ws, accelerator_id=A100, usd_per_accelerator_hour=0.5), today=A100
    )
    costs = with_ends(price_cells(mine, three_cells()).assign(total_usd=lambda found: found["compute_usd"]))
    alone = costs.set_index(KEYS)["compute_usd"]
    assert alone["images", H100] == pytest.approx(alone["chat", H100])  # the running of one node
    assert alone["images", H100] < alone["images", A100]
    assert settled(mine, three_cells(), costs)[0] == {"chat": H100, "images": A100}


def test_a_winner_is_called_clear_only_where_the_use_case_is():
    firm = Robustness(*[pd.DataFrame()] * 4)
    verdicts = pd.DataFrame({"use_case_id": ["chat", "images", "other"], "leader": [H100, H100, None],
                             "verdict": ["clear winner", "clear winner", "benchmark first"]})  # fmt: skip
    found = held_by(replace(firm, verdicts=verdicts), {"chat": H100, "images": A100},
                    replace(firm, verdicts=verdicts.assign(leader=[H100, A100, None]))).verdicts  # fmt: skip
    assert found["verdict"].tolist() == ["clear winner", "no clear winner", "benchmark first"]
    assert found["leader_alone"].tolist()[:2] == [H100, A100]


def test_what_stands_stays_for_the_others_when_a_use_case_leaves(mini_ws):
    """Eight H100 stand half to chat, half to images, and one node serves both: images adds nothing there, and saves no more than A100 cost."""
    demand = two_use_cases(4.0, 0.8)
    demand.pools = inventory(pools=[("us", H100, "purchase", 8.0)]).pools
    mine = market(mini_ws, demand, offer(mini_ws), offer(mini_ws, accelerator_id=A100, usd_per_accelerator_hour=0.4))
    mine = replace(mine, shares={("chat", "us"): 0.5, ("images", "us"): 0.5})
    costs = with_ends(price_cells(mine, three_cells()).assign(total_usd=lambda found: found["compute_usd"]))
    home, shared = settled(mine, three_cells(), costs)
    assert home["images"] == H100
    away = {"chat": H100, "images": A100}
    assert shared.of("images", H100, away) == pytest.approx(0.0, abs=1e-6)
    assert shared.of("images", A100, away) == pytest.approx(costs.set_index(KEYS).at[("images", A100), "compute_usd"])


def test_work_that_starts_later_makes_what_is_missed_before_no_cheaper(changed, mini_ws):
    """Images fills one node and waits three months for it; chat, worth little, starts in the fifth: images misses its own value."""
    worth = mini_ws.table("use_cases").assign(value_usd_per_unit=0.01, attribution_share=1.0)
    images = worth.iloc[:1].assign(use_case_id="images", value_usd_per_unit=100.0)
    ws = changed(use_cases=pd.concat([worth[worth["use_case_id"] != "images"], images], ignore_index=True))
    demand = two_use_cases(80.0, 8.0)
    late = (demand.forecast["use_case_id"] == "chat") & (demand.forecast["month"] < "2027-03")
    demand.forecast.loc[late, ["units", "units_per_hour_avg", "units_per_hour_peak"]] = 0.0
    lease = offer(ws, purchase_option="lease", term_months=36, usd_per_accelerator_hour=0.1, lead_time_weeks=13.0)
    mine, cells = market(ws, demand, lease), three_cells().iloc[:2]
    costs = with_ends(price_cells(mine, cells).assign(total_usd=lambda found: found["compute_usd"]))
    shared = Shared(mine, cells, costs, NONE)
    alone = costs.set_index("use_case_id").loc["images"]
    lost = ws.plan.value("sla_miss_usd_per_unit_share") * 100.0 * 8 * 730
    factor = (1 + ws.plan.value("wacc")) ** (-1 / 12)
    assert alone["missed_usd"] == pytest.approx(lost * (factor + factor**2 + factor**3))
    assert shared.of("images", H100, {"chat": H100, "images": A100}) == pytest.approx(alone["compute_usd"])


def test_places_that_stand_alone_share_no_devices_and_find_none_that_stand_elsewhere(changed, mini_ws):
    """Eight H100 stand for images; chat needs a node at each of two sites, misses three months of them and finds no room on that kit."""
    worth = mini_ws.table("use_cases").assign(value_usd_per_unit=100.0, attribution_share=1.0)
    images = worth.iloc[:1].assign(use_case_id="images", value_usd_per_unit=0.01, sites=pd.NA)
    sited = worth[worth["use_case_id"] != "images"].assign(sites="2")
    ws = changed(use_cases=pd.concat([sited, images], ignore_index=True))
    demand = two_use_cases(0.8, 4.0)
    demand.pools = inventory(pools=[("us", H100, "purchase", 8.0)]).pools
    lease = offer(ws, purchase_option="lease", term_months=36, usd_per_accelerator_hour=0.1, lead_time_weeks=13.0)
    mine, cells = market(ws, demand, lease), three_cells().iloc[:2]
    mine = replace(mine, shares={("chat", "us"): 0.0, ("images", "us"): 1.0}, needs={("us", H100): {}})
    costs = with_ends(price_cells(mine, cells).assign(total_usd=lambda found: found["compute_usd"]))
    shared, alone = Shared(mine, cells, costs, NONE), costs.set_index("use_case_id")
    factor = (1 + ws.plan.value("wacc")) ** (-1 / 12)
    lost = ws.plan.value("sla_miss_usd_per_unit_share") * 100.0 * 0.8 * 730 * (factor + factor**2 + factor**3)
    assert alone.at["chat", "missed_usd"] == pytest.approx(lost) and alone.at["images", "missed_usd"] == 0
    home = {"chat": H100, "images": H100}
    for name in home:
        assert shared.of(name, H100, home) == pytest.approx(alone.at[name, "compute_usd"])
    assert shared.together(H100, home) == pytest.approx(alone["compute_usd"].sum())


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
    home = choice.dropna().set_index("use_case_id")["accelerator_id"].to_dict()
    shared = Shared(mine, cells, costs, pd.DataFrame(list(excluded), columns=KEYS))
    return priced_beside(shared, costs, home).set_index(KEYS)


def test_what_is_not_chosen_costs_what_it_would_add_too(mini_ws):
    """Images is on A100, but would add nothing to the node of H100 that chat fills; at a tenth of the capacity it needs a node more."""
    offers = offer(mini_ws), offer(mini_ws, accelerator_id=A100, usd_per_accelerator_hour=1.0)
    mine = market(mini_ws, two_use_cases(4.0, 0.8), *offers)
    rate = 1 / 3600
    base = {"platform_class": "gpu", "tier": "anchored", "units_per_s_per_accelerator": rate, "low": rate / 10, "high": rate * 2,
            "failure_rate": 0.0}  # fmt: skip
    cells = pd.DataFrame([{**base, "use_case_id": name, "accelerator_id": chip}
                          for name, chip in (("chat", H100), ("chat", A100), ("images", H100), ("images", A100))])  # fmt: skip
    slow = price_cells(mine, cells.assign(units_per_s_per_accelerator=cells["low"])).set_index(KEYS)["compute_usd"]
    costs = price_cells(mine, cells).assign(total_usd=lambda found: found["compute_usd"] + 5.0)
    costs["total_low_usd"], costs["total_high_usd"] = costs["total_usd"], costs.set_index(KEYS).index.map(slow) + 5.0
    choice = pd.DataFrame({"use_case_id": ["chat", "images"], "accelerator_id": [H100, A100]})
    found = priced(mine, cells, costs, choice, [("chat", A100)])
    there = found.loc[("images", H100)]
    assert there["beside_usd"] == pytest.approx(5.0) and there["beside_low_usd"] == pytest.approx(5.0)
    assert 5.0 < there["beside_high_usd"] < there["total_high_usd"]
    own = found.loc[("images", A100)]  # nobody else is there
    assert own[["beside_usd", "beside_low_usd", "beside_high_usd"]].tolist() == own[["total_usd", "total_low_usd", "total_high_usd"]].tolist()  # fmt: skip
    assert pd.isna(found.at[("chat", A100), "beside_usd"])


def test_a_clear_winner_is_one_with_the_money_of_shared_nodes(mini_ws):
    """Alone the A100 costs a third of a node of H100; beside chat images finds room there and costs nothing."""
    ws = replace(
        mini_ws, plan=mini_ws.plan.model_copy(update={"baseline_accelerators": {"chat": H100, "images": H100}})
    )
    level = {H100: 0.8, A100: 0.8}
    home, _, alone = stage(ws, images_a100_usd=0.7, scores=level)
    assert alone["images", A100] < 0.5 * alone["images", H100]
    assert home["images"] == H100
    better = {H100: 0.1, A100: 0.9}  # leads whatever it costs
    assert stage(ws, images_a100_usd=0.7, scores=better)[0]["images"] == A100


def costing(usd):
    """Shared nodes whose prices a function of use case, platform and the others' platforms gives."""
    alone = {pair: usd(*pair, {}) for pair in usd.cells}

    def together(chip, home):
        """What is on a platform, one use case after the other beside those before it."""
        on = [name for name, at in home.items() if at == chip]
        return sum(usd(name, chip, dict.fromkeys(on[:count], chip)) for count, name in enumerate(on))

    return SimpleNamespace(
        alone={"units_per_s_per_accelerator": alone}, of=usd, together=together, apart=False, ahead=lambda *_: None
    )


class Prices:
    """Images is cheap on the A100 only beside models, which leaves for the TPU."""

    cells = (("images", H100), ("images", A100), ("models", A100), ("models", TPU))

    def __call__(self, name, chip, home):
        beside_models = (name, chip) == ("images", A100) and home.get("models", A100) == A100
        return {("images", H100): 10.0, ("images", A100): 5.0 if beside_models else 11.0,
                ("models", A100): 10.0, ("models", TPU): 4.0}[name, chip]  # fmt: skip


POOLS = {name: pd.DataFrame({"accelerator_id": [chip for at, chip in Prices.cells if at == name]}) for name in ("images", "models")}  # fmt: skip


def test_each_settles_where_it_is_cheapest_once_the_others_have_moved():
    assert settle(costing(Prices()), POOLS, lambda *_: None) == {"images": H100, "models": TPU}
    assert settle(costing(Prices()), POOLS, lambda name, _: A100 if name == "models" else None) == {
        "images": A100,
        "models": A100,
    }


def test_winners_that_chase_each_other_end_where_each_is_cheapest():
    """Images wins on the A100 where models is not, models wins where images is: neither ever rests, so money decides."""

    def chasing(name, home):
        together = home["images"] == home["models"]
        if name == "images":
            return H100 if together else A100
        return A100 if home["images"] == A100 else TPU

    assert settle(costing(Prices()), POOLS, chasing) == {"images": H100, "models": TPU}


def test_a_price_that_is_hardly_lower_moves_nobody():
    class Level(Prices):
        def __call__(self, name, chip, home):
            return {H100: 10.0, A100: 9.95 if "models" in home else 10.1, TPU: 10.0}[chip]

    assert settle(costing(Level()), POOLS, lambda *_: None)["images"] == H100


class Nodes:
    """A node of each platform is paid by whoever is there first, and each use case pays its own on top."""

    def __init__(self, node, own):
        self.node, self.own, self.cells = node, own, tuple(own)

    def __call__(self, name, chip, home):
        beside = any(at == chip for other, at in home.items() if other != name)
        return self.own[name, chip] + (0.0 if beside else self.node[chip])

    @property
    def pools(self):
        names = sorted({name for name, _ in self.own})
        return {name: pd.DataFrame({"accelerator_id": [c for n, c in self.own if n == name]}) for name in names}


def test_all_leave_a_platform_on_which_each_stays_for_the_others_sake():
    """Chat and triage would each pay 3 on the H100 that train pays for, and stay on the TPU, 0 beside each other: 10 + 12 in all.

    Both on the H100 are 12 + 3 + 3.
    """
    own = {("chat", TPU): 0.0, ("chat", H100): 3.0, ("triage", TPU): 0.0, ("triage", H100): 3.0, ("train", H100): 0.0}
    found = settle(costing(Nodes({TPU: 10.0, H100: 12.0}, own)), Nodes({}, own).pools, lambda *_: None)
    assert found == {"chat": H100, "train": H100, "triage": H100}
    dear = {pair: usd * 2 for pair, usd in own.items()}  # 12 + 6 + 6 are no less than 10 + 12
    found = settle(costing(Nodes({TPU: 10.0, H100: 12.0}, dear)), Nodes({}, dear).pools, lambda *_: None)
    assert found == {"chat": TPU, "train": H100, "triage": TPU}
    # who leads on the TPU whatever it costs goes back there, and the other with it
    led = settle(costing(Nodes({TPU: 10.0, H100: 12.0}, own)), Nodes({}, own).pools, lambda name, _: TPU if name == "chat" else None)  # fmt: skip
    assert led == {"chat": TPU, "train": H100, "triage": TPU}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=3, max_size=3), st.lists(st.integers(0, 20), min_size=12, max_size=12))
def test_where_use_cases_settle_no_platform_is_better_left(node, own):
    """Against every choice of four use cases on three platforms: never below the best, at rest, and no dearer than with one platform less."""
    chips, names = (H100, A100, TPU), ("a", "b", "c", "d")
    cost = Nodes(dict(zip(chips, map(float, node), strict=True)), dict(zip(product(names, chips), map(float, own), strict=True)))  # fmt: skip
    shared = costing(cost)

    def whole(home):
        return sum(shared.together(chip, home) for chip in set(home.values()))

    found = settle(shared, cost.pools, lambda *_: None)
    least = min(whole(dict(zip(names, chosen, strict=True))) for chosen in product(chips, repeat=4))
    assert whole(found) >= least - 1e-9
    for name in names:
        assert min(cost(name, chip, found) for chip in chips) >= 0.99 * cost(name, found[name], found) - 1e-9
    for closed in set(found.values()):
        greedy = dict(found)
        for name in [n for n in names if found[n] == closed]:
            greedy[name] = min((c for c in chips if c != closed), key=lambda c, n=name: (cost(n, c, greedy), c))
        assert whole(greedy) >= 0.99 * whole(found) - 1e-9


def test_adding_a_platform_turns_no_rank(road, changed):
    """The value of a cell hangs on its own money and that of today's platform: without a third platform the rest rank with the same values."""
    found = []
    for plan in ({}, {"candidates": [H100, A100]}):
        ws = changed(plan=plan)
        short = build_shortlist(ws, road.inventory, build_benchmark(ws))
        found.append(short.robustness.ranks.set_index(KEYS)["value"])
    both, fewer = found
    assert TPU in both.index.get_level_values(1) and TPU not in fewer.index.get_level_values(1)
    pd.testing.assert_series_equal(both.reindex(fewer.index), fewer)


def test_the_sample_page_tells_one_ranking(sample_short):
    """Winner, choice, price and layers of the sample go by the same money."""
    short = sample_short.shortlist
    clear = short.robustness.verdicts.query("verdict == 'clear winner'").set_index("use_case_id")["leader"]
    choice = short.choice.set_index("use_case_id")
    assert len(clear) > 5 and (choice.loc[clear.index, "accelerator_id"] == clear).all()
    layers = short.architecture
    money = choice.dropna(subset="accelerator_id")
    assert layers["alone_usd"].sum() == pytest.approx(money["total_usd"].sum())
    assert money["beside_usd"].sum() < layers["total_usd"].sum() < layers["alone_usd"].sum()
    assert layers["share"].sum() == pytest.approx(1.0)


def test_prices_made_at_once_are_those_of_one_after_the_other(mini_ws):
    """Cells whose ends differ, on two platforms, with and without somebody who has left."""
    offers = offer(mini_ws), offer(mini_ws, accelerator_id=A100, usd_per_accelerator_hour=1.0)
    mine = replace(market(mini_ws, two_use_cases(4.0, 0.8), *offers), today=pd.Series({"chat": A100}))
    cells = three_cells(low=1 / 36000, high=1 / 1800)
    costs = price_cells(mine, cells)
    costs = with_ends(costs.assign(total_usd=costs["compute_usd"] + 7.0))
    at_once, one_by_one = Shared(mine, cells, costs, NONE), Shared(mine, cells, costs, NONE)
    pairs = list(cells[KEYS].itertuples(index=False, name=None))
    for home in ({"chat": H100, "images": A100}, {"chat": H100, "images": H100}):
        at_once.ahead(pairs, home, ENDS.values())
        known = dict(at_once._known)
        for pair in pairs:
            assert at_once.ends(*pair, home) == pytest.approx(one_by_one.ends(*pair, home), rel=1e-12, abs=1e-6)
        assert at_once._known == known  # nothing was left to price
    assert set(at_once._known) == set(one_by_one._known) and len(known) > len(pairs)
