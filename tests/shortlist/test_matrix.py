"""Exclusions, scores and decisions, cell by cell."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from aifactory.benchmark import build_benchmark
from aifactory.inputs.plan import Restriction
from aifactory.inputs.weights import MATRIX_CRITERIA
from aifactory.inventory.today import baseline_accelerators
from aifactory.shortlist import matrix, scales
from aifactory.shortlist.build import open_market
from aifactory.shortlist.exclusions import find_exclusions, region_sentences, support_ends
from aifactory.shortlist.money import billed_usd, buy_cells, horizon_costs

H100, A100, TPU = "nvidia-h100-sxm", "nvidia-a100-80-sxm", "google-tpu-v6e"
KEYS = matrix.KEYS


def cell(use_case="chat", accelerator=H100, **changes):
    base = {
        "use_case_id": use_case,
        "accelerator_id": accelerator,
        "tier": "anchored",
        "precision": np.nan,
        "units_per_s_per_accelerator": 5.0,
        "binding_slo": "TTFT",
        "usd_per_accelerator_hour": 3.0,
    }
    return pd.DataFrame([{**base, **changes}])


def scored(ws, road, found=None):
    """The matrix of a changed workspace on the road's inventory."""
    benchmark = road.benchmark if found is None else found
    bought = buy_cells(open_market(ws, road.inventory, benchmark), benchmark.capacity)
    return matrix.score_matrix(ws, road.inventory, benchmark, horizon_costs(ws, road.inventory, bought))


@pytest.fixture
def rule(changed, mini_ws):
    """The exclusion rule of a cell, with fields of its use case and chip changed; None where it may stay.

    Offers are sold in nodes of the catalogue, or in `sold` accelerators.
    """

    def find(use_case=None, chip=None, model=None, sold=None, **cell_changes):
        row = cell(**cell_changes)
        name, accelerator = row.loc[0, "use_case_id"], row.loc[0, "accelerator_id"]
        cases = mini_ws.table("use_cases").copy()
        chips, models = mini_ws.table("accelerators").copy(), mini_ws.table("models").copy()
        for column, value in (use_case or {}).items():
            cases.loc[cases["use_case_id"] == name, column] = value
        for column, value in (chip or {}).items():
            chips.loc[chips["accelerator_id"] == accelerator, column] = value
        for column, value in (model or {}).items():
            models.loc[models["model"] == "Llama-3.1-8B", column] = value
        prices = mini_ws.table("prices").copy()
        prices["accelerators_per_node"] = pd.Series(sold, index=prices.index, dtype="Int64")
        found = find_exclusions(changed(use_cases=cases, accelerators=chips, models=models, prices=prices), row)
        return found["rule"].iloc[0] if len(found) else None

    return find


EDGE = {"workload_class": "edge_on_device", "model": None}


def test_an_edge_device_does_not_serve_central_work(rule):
    assert rule(accelerator="nvidia-jetson-agx-orin") == "edge device"
    assert rule(accelerator="nvidia-jetson-agx-orin", use_case=EDGE) is None


def test_the_edge_takes_at_most_150_watts(rule):
    assert rule(use_case=EDGE, chip={"tdp_w": 150.1}) == "edge power"
    assert rule(use_case=EDGE, chip={"tdp_w": 150.0}) is None
    assert rule(use_case=EDGE, chip={"tdp_w": np.nan}) is None
    assert rule(chip={"tdp_w": 1000.0}) is None


def test_what_is_only_rented_in_a_region_cannot_stand_at_the_edge(rule):
    assert rule(use_case=EDGE, chip={"tdp_w": np.nan, "availability": "cloud"}) == "edge site"
    assert rule(use_case=EDGE, chip={"tdp_w": 70.0, "availability": "purchase|cloud"}) is None
    assert rule(chip={"availability": "cloud"}) is None


@pytest.mark.parametrize(
    ("availability", "expected"),
    [
        ("internal", "availability"),
        ("announced", "availability"),
        ("announced|internal", "availability"),
        ("announced|cloud", None),
        ("purchase", None),
    ],
)
def test_what_cannot_be_had_is_excluded(rule, availability, expected):
    assert rule(chip={"availability": availability}) == expected


@pytest.mark.parametrize(
    ("params", "precision", "tier", "expected"),
    [
        (35.6, "bf16", "anchored", None),  # 71.2 + 0.54 of KV cache + 0.23 of activations: 71.97 of 72 GB
        (35.7, "bf16", "anchored", "memory"),
        (35.7, np.nan, "anchored", "memory"),  # the model's own precision where no other is known
        (71.4, "fp8", "anchored", None),
        (71.7, "fp8", "anchored", "memory"),
        (134.0, "int4", "anchored", None),
        (136.0, "int4", "anchored", "memory"),  # 4-bit weights carry scales: 0.53 bytes
        (18.1, "fp32", "anchored", "memory"),
        (400.0, "bf16", "measured", None),  # it ran, so it fits
        (np.nan, "bf16", "anchored", None),
    ],
)
def test_weights_cache_and_activations_must_fit_a_node(rule, params, precision, tier, expected):
    chip = {"memory_gb": 80.0, "accelerators_per_node": 1}
    assert rule(chip=chip, model={"params_total_b": params}, precision=precision, tier=tier) == expected


def test_the_memory_of_a_node_counts_all_its_accelerators(rule):
    model = {"params_total_b": 280.0}  # 560 + 0.5 + 0.5 GB
    assert rule(chip={"memory_gb": 80.0, "accelerators_per_node": 8}, model=model) is None
    assert rule(chip={"memory_gb": 80.0, "accelerators_per_node": 4}, model=model) == "memory"


def test_a_slice_of_several_nodes_that_is_sold_as_one_counts(rule):
    model = {"params_total_b": 70.6}  # 141.2 GB and KV cache: four chips of 32 GB hold 115.2, eight twice that
    chip = {"memory_gb": 32.0, "accelerators_per_node": 4}
    assert rule(chip=chip, model=model) == "memory"
    assert rule(chip={**chip, "largest_slice": 8}, model=model) is None
    assert rule(chip={**chip, "largest_slice": 6144}, model=model) is None
    assert rule(chip={**chip, "largest_slice": 2}, model=model) == "memory"


def test_a_model_fits_the_larger_server_that_is_sold(rule):
    """71.4 GB of weights and 0.8 beside them need 72.2: four cards of 24 GB have 86.4 to use, two have 43.2."""
    chip, model = {"memory_gb": 24.0, "accelerators_per_node": 1}, {"params_total_b": 35.7}
    assert rule(chip=chip, model=model) == rule(chip=chip, model=model, sold=2) == "memory"
    assert rule(chip=chip, model=model, sold=4) is None


def test_the_slices_of_the_catalogue_name_their_source(mini_ws):
    chips = mini_ws.table("accelerators").set_index("accelerator_id")
    slices = chips["largest_slice"].dropna()
    assert slices.to_dict() == {"google-tpu-v5e": 256, "google-tpu-v5p": 6144, "google-tpu-v6e": 256}
    assert chips.loc[slices.index, "note"].str.contains("docs.cloud.google.com/tpu/docs/", regex=False).all()
    assert (slices > chips.loc[slices.index, "accelerators_per_node"]).all()


def test_a_platform_that_misses_its_slo_at_once_is_excluded(rule):
    assert rule(units_per_s_per_accelerator=0.0) == "SLO"
    assert rule(units_per_s_per_accelerator=1e-9) is None
    assert rule(units_per_s_per_accelerator=np.nan) is None


def test_a_platform_without_a_price_is_excluded(rule):
    assert rule(usd_per_accelerator_hour=np.nan) == "price"
    assert rule(usd_per_accelerator_hour=0.01) is None


def test_where_a_part_of_the_regions_has_an_offer_the_way_to_plan_it_there_is_told(mini_ws):
    """One platform serves all regions of a use case."""
    regions = sorted(set(mini_ws.month("demand_windows").query("use_case_id == 'chat'")["region"]))
    found = {}
    for none in (regions[0], ", ".join(regions)):
        lacks = pd.DataFrame([("chat", H100, none)], columns=[*KEYS, "no_offer_in"])
        out = find_exclusions(mini_ws, cell(), lacks)
        found[none] = out["reason"].iloc[0]
        sentences = region_sentences(mini_ws, out, lacks)
        assert [f"(chat: {H100})" in text for text in sentences] == [True] * (none != ", ".join(regions))
    assert all(text.startswith(f"no offer that the plan could take in {none}") for none, text in found.items())
    wide = find_exclusions(mini_ws, cell(replica_accelerators=4.0), lacks)["reason"].iloc[0]
    assert wide == f"no offer that the plan could take in {', '.join(regions)}: a node must hold 4 accelerators"
    told = [text for text in found.values() if "under platform_by_region in plan.yaml" in text]
    assert len(told) == (len(regions) > 1)


def test_a_replica_larger_than_any_node_is_named_as_what_finds_no_offer(changed, mini_ws):
    """Servers of eight join for sixteen; cards that come in hosts of one, two or eight do not."""
    lacks = pd.DataFrame([("chat", H100, "eu")], columns=[*KEYS, "no_offer_in"])
    chips = mini_ws.table("accelerators")
    cards = changed(
        accelerators=chips.assign(
            accelerators_per_node=chips["accelerators_per_node"].mask(chips["accelerator_id"] == H100, 1)
        )
    )
    told = {
        (name, size): find_exclusions(ws, cell().assign(replica_accelerators=size), lacks)["reason"].iloc[0]
        for name, ws in (("servers", mini_ws), ("cards", cards))
        for size in (8.0, 16.0)
    }
    end = ": a replica takes 16 accelerators, the largest node that is sold has 8"
    assert told["cards", 16.0].endswith("in eu" + end)
    assert not any("replica" in text for key, text in told.items() if key != ("cards", 16.0))


def test_what_has_no_demand_lacks_no_offer(road):
    """Jobs that wait have no hours yet: nothing is priced, and nothing is missing."""
    unknown = road.benchmark.capacity[KEYS].assign(no_offer_in=np.nan)
    assert "price" not in set(find_exclusions(road.ws, road.benchmark.capacity, unknown)["rule"])


def test_an_owned_or_rented_platform_must_be_had_where_the_use_case_may_run(changed, mini_ws):
    here = [r.region for r in mini_ws.plan.regions]
    provider, place = next(iter(mini_ws.plan.regions[0].provider_regions.items()))
    rows = (
        mini_ws.table("prices")
        .iloc[[0]]
        .assign(accelerator_id=TPU, purchase_option="on_demand", provider=provider, region=place)
    )
    prices = pd.concat([mini_ws.table("prices").query("accelerator_id != @TPU"), rows], ignore_index=True)
    for allowed, expected in ((here[1], ["region"]), (here[0], []), (f"{here[0]};{here[1]}", []), (None, [])):
        cases = mini_ws.table("use_cases").assign(allowed_regions=allowed)
        found = find_exclusions(changed(use_cases=cases, prices=prices), cell(accelerator=TPU))
        assert found["rule"].tolist() == expected, allowed
    term = mini_ws.table("commitments").reindex([0]).assign(
        accelerator_id=TPU, region=here[1], purchase_option="reserved_1y", accelerators=16, end_month="2027-03"
    )  # fmt: skip
    cases = mini_ws.table("use_cases").assign(allowed_regions=here[1])
    reason = find_exclusions(changed(use_cases=cases, prices=prices, commitments=term), cell(accelerator=TPU))["reason"]
    assert reason[0].endswith("16 are committed there until 2027-03; add the price of a renewal to prices")


def test_an_end_of_support_of_the_life_table_counts_before_that_of_the_accelerator(changed, mini_ws):
    chips = mini_ws.table("accelerators")
    row = {
        "accelerator_id": H100,
        "event": "end_of_support",
        "date": "2027-03",
        "source": "contract",
        "as_of": mini_ws.as_of,
    }
    for stated, told, expected in (("2060", "2027-03", ["support ends 2027-03-31"]), ("2027-01", "2060", [])):
        ws = changed(accelerators=chips.assign(end_of_support=stated), lifecycle=pd.DataFrame([row | {"date": told}]))
        found = find_exclusions(ws, cell())
        assert [text.split(",")[0] for text in found["reason"]] == expected


def test_support_must_outlast_the_horizon(rule, mini_ws):
    end = pd.Timestamp(mini_ws.as_of) + pd.DateOffset(months=mini_ws.plan.horizon_months)
    assert rule(chip={"end_of_support": f"{end.year - 1}"}) == "support end"
    assert rule(chip={"end_of_support": f"{end.year + 1}-01"}) is None
    for note in ("see lifecycle.csv", "superseded", np.nan, ""):
        assert rule(chip={"end_of_support": note}) is None
    assert support_ends("2027-02-10") == pd.Timestamp("2027-02-10")


def test_what_cannot_run_there_is_named_before_what_cannot_be_had_for_good(rule):
    """Kit that stands serves until its support ends, but not what misses its latency there."""
    soon = {"end_of_support": "2027-01"}
    assert rule(chip=soon) == "support end"
    assert rule(chip=soon, units_per_s_per_accelerator=0.0) == "SLO"
    assert rule(chip={"availability": "discontinued"}, units_per_s_per_accelerator=0.0) == "SLO"
    assert rule(chip={"availability": "discontinued"}) == "availability"


def test_support_need_not_outlast_a_use_case_that_retires_before_the_horizon(changed, mini_ws):
    """Support to the end of September 2027 is enough for what has no traffic from October on, not for what runs to November."""
    chips = mini_ws.table("accelerators").assign(end_of_support="2027-09")
    for retired, expected in (("2027-10", []), ("2027-12", ["support ends 2027-09-30, before the use case does (2027-11-30)"])):  # fmt: skip
        cases = mini_ws.table("use_cases").assign(retire_month=retired)
        assert find_exclusions(changed(accelerators=chips, use_cases=cases), cell())["reason"].tolist() == expected


def test_a_required_framework_must_be_there_under_its_whole_name(changed):
    def rules(chip, required):
        found = find_exclusions(changed(plan={"required_frameworks": required}), cell(accelerator=chip))
        return found["rule"].tolist()

    assert rules(H100, {"chat": ["vLLM"]}) == []
    assert rules(TPU, {"chat": ["vLLM"]}) == ["framework"]
    assert rules(TPU, {"chat": ["vLLM", "jax"]}) == []
    assert rules(TPU, {"*": ["TensorRT-LLM"]}) == ["framework"]
    assert rules(TPU, {"*": ["TensorRT-LLM"], "chat": []}) == []


def test_a_stated_restriction_holds_for_what_it_names(changed, mini_ws):
    def rules(**fields):
        item = {
            "rule": "export",
            "reason": "licence needed",
            "source": "export office",
            "as_of": "2026-01-15",
            **fields,
        }
        ws = changed(plan={"restrictions": [Restriction(**item)]}, use_cases=bound)
        return find_exclusions(ws, pd.concat([cell(), cell(accelerator=A100)]))["accelerator_id"].tolist()

    region = mini_ws.plan.regions[0].region
    bound = mini_ws.table("use_cases").assign(allowed_regions=region)
    assert rules(accelerators=[H100]) == [H100]
    assert rules(vendors=["NVIDIA"]) == rules(platform_classes=["gpu"]) == rules() == [H100, A100]
    assert rules(vendors=["AMD"]) == rules(use_cases=["images"]) == rules(regions=["elsewhere"]) == []


def test_a_restriction_of_one_region_holds_where_the_use_case_runs_there_too(changed, mini_ws):
    """Chat runs in us and eu, one platform for both; images in eu alone; a use case yet to come where its chain or its residency says."""
    item = {"rule": "export", "reason": "licence needed", "source": "export office", "as_of": "2026-01-15", "regions": ["us"]}  # fmt: skip

    def reasons(name, **tables):
        ws = changed(plan={"restrictions": [Restriction(**item)]}, **tables)
        return find_exclusions(ws, cell(use_case=name))["reason"].tolist()

    stated = "licence needed (export office, 2026-01-15)"
    assert reasons("chat") == [f"{stated}; holds in us: under platform_by_region in plan.yaml it may run elsewhere"]
    assert reasons("images") == []
    silent = mini_ws.table("demand_windows").query("use_case_id != 'images'")
    nowhere = mini_ws.table("use_cases").assign(allowed_regions="us")
    assert reasons("images", demand_windows=silent, use_cases=nowhere) == [stated]
    assert reasons("images", demand_windows=silent) == []  # bound to eu
    assert (
        reasons("images", demand_windows=silent, use_cases=nowhere.assign(allowed_regions="us;eu")) == []
    )  # it may run in eu
    jobs = mini_ws.table("jobs")
    elsewhere = jobs["region"].mask(jobs["submitted_utc"].dt.month == 10, "eu")
    assert reasons("models", jobs=jobs.assign(region=elsewhere))[0].startswith(stated)  # in us the month before
    both = Restriction(**item).model_copy(update={"regions": ["eu"], "reason": "no"})
    ws = changed(plan={"restrictions": [Restriction(**item), both]})
    assert find_exclusions(ws, cell(use_case="chat"))["reason"].tolist() == [stated]  # nowhere else to run
    chain = mini_ws.table("demand_chain").reindex([0, 1]).assign(
        use_case_id="images", region=["us", "eu"], factor="region_share", value=[1.0, 0.0]
    )  # fmt: skip
    assert reasons("images", demand_windows=silent, demand_chain=chain) == [stated]


def test_the_reason_names_the_figures(changed):
    chips = changed().table("accelerators").copy()
    chips.loc[chips["accelerator_id"] == H100, ["memory_gb", "accelerators_per_node"]] = [10.0, 1]
    alone = changed().table("prices").assign(accelerators_per_node=pd.NA)  # nobody sells it by more than one
    found = find_exclusions(changed(accelerators=chips, prices=alone), cell())
    assert found["reason"].iloc[0] == (
        "weights of 16.1 GB, 0.54 GB of KV cache for 4,096 tokens and 0.23 GB of activations (bf16) need 16.8 GB; "
        "1 x 10 GB have 9 GB to use (90 %)"
    )


def test_long_prompts_need_more_memory(rule, monkeypatch):
    chip = {"memory_gb": 24.0, "accelerators_per_node": 1}
    assert rule(chip=chip) is None
    long = pd.DataFrame({"input_tokens": [60_000.0], "output_tokens": [1000.0]}, index=["chat"])
    monkeypatch.setattr("aifactory.shortlist.exclusions.lengths", lambda ws: long)
    assert rule(chip=chip) == "memory"


def test_jobs_wider_than_a_node_need_links_or_a_test(changed, mini_ws):
    """A job of 32 H100 whose hours 320 others would do over the bus of their hosts: more than a node of 8; with links it may."""
    start = pd.Timestamp(f"{mini_ws.period}-03", tz="UTC")
    job = mini_ws.table("jobs").iloc[[0]].assign(
        use_case_id="models", accelerator_id=H100, accelerators=32.0, submitted_utc=start, started_utc=start, ended_utc=start + pd.Timedelta(hours=5)
    )  # fmt: skip
    chips = mini_ws.table("accelerators").copy()
    alone = mini_ws.table("prices").assign(accelerators_per_node=np.nan)

    def rules(link, tier="anchored", rate=0.1, accelerators=32.0):
        chips.loc[chips["accelerator_id"] == A100, ["interconnect_gb_per_s", "accelerators_per_node"]] = [link, 8]
        ws = changed(jobs=job.assign(accelerators=accelerators), accelerators=chips, prices=alone)
        cells = [
            cell("models", H100, units_per_s_per_accelerator=1.0),
            cell("models", A100, units_per_s_per_accelerator=rate, tier=tier),
        ]
        return find_exclusions(ws, pd.concat(cells))[["accelerator_id", "rule"]].to_numpy().tolist()

    assert rules(32.0) == [[A100, "scale-out"]]
    assert rules(300.0) == rules(32.0, tier="measured") == rules(32.0, accelerators=0.8) == []
    assert rules(32.0, rate=4.0) == []  # 32 H100 are 8 of these
    assert rules(32.0, rate=3.9) == [[A100, "scale-out"]]


def test_no_cells_have_no_exclusions(mini_ws):
    found = find_exclusions(mini_ws, cell().iloc[:0])
    assert found.empty
    assert list(found.columns) == [*KEYS, "rule", "reason"]


@pytest.fixture(scope="module")
def decide(mini_ws):
    def decision(excluded=None, prior="", **values):
        base = {"tier": "measured", "platform_class": "gpu", "total": 0.5, "evidence": "benchmark first: no run"}
        return matrix._decision(mini_ws, SimpleNamespace(**{**base, **values}), excluded, prior)

    return decision


@pytest.mark.parametrize(
    ("tier", "total", "expected"),
    [
        ("measured", 1.0, "choose"),
        ("measured", 0.5, "choose"),
        ("measured", 0.4999, "pilot"),
        ("measured", 0.35, "pilot"),
        ("measured", 0.3499, "reject"),
        ("anchored", 1.0, "pilot"),
        ("anchored", 0.35, "pilot"),
        ("anchored", 0.3499, "reject"),
        ("measured", np.nan, "reject"),
        ("none", np.nan, "not comparable"),
    ],
)
def test_the_decision_follows_the_marks_and_the_evidence(decide, tier, total, expected):
    assert decide(tier=tier, total=total)[0] == expected


def test_an_exclusion_rejects_whatever_the_score(decide):
    assert decide(excluded="no price", total=1.0) == ("reject", "no price")
    assert decide(excluded="no price", tier="none") == ("reject", "no price")


@pytest.mark.parametrize(
    ("platform", "prior", "expected"),
    [("neuromorphic", "pilot", "pilot"), ("neuromorphic", "reject", "not comparable"),
     ("custom_asic", "pilot", "not comparable")],
)  # fmt: skip
def test_only_promised_neuromorphic_hardware_is_piloted_blindly(decide, platform, prior, expected):
    assert decide(tier="none", platform_class=platform, prior=prior)[0] == expected


def test_reasons_tell_what_is_lacking(decide):
    assert decide(total=0.7)[1] == "scores 0.70 on measurements (mark 0.50)"
    assert decide(total=0.4)[1] == "scores 0.40, below the mark to choose"
    assert decide(total=0.9, tier="anchored")[1] == "scores 0.90, not measured on own prompts"
    assert decide(total=0.2)[1] == "scores 0.20, below the mark of 0.35 for a pilot"
    assert decide(tier="none")[1] == "benchmark first: no run"


def test_decisions_are_set_beside_the_prior(road):
    table = road.shortlist.matrix.set_index(KEYS)
    assert table.at[("chat", H100), "decision"] == table.at[("chat", H100), "prior"] == "choose"
    assert bool(table.at[("chat", H100), "agrees_with_prior"])
    assert not bool(table.at[("models", TPU), "agrees_with_prior"])


def test_the_cost_score_is_the_whole_price_against_todays_platform(road):
    table, costs = road.shortlist.matrix.set_index(KEYS), road.shortlist.penalties.set_index(KEYS)
    today = {"chat": H100, "images": A100}  # chat by the bill, which names its accelerator; images by the reference
    assert table.at[("chat", H100), "cost"] == 0.5
    for case, chip in (("chat", A100), ("images", TPU)):
        more = costs.at[(case, chip), "beside_usd"] - costs.at[(case, today[case]), "beside_usd"]
        ratio = 1 + more / costs.at[(case, today[case]), "total_usd"]
        assert table.at[(case, chip), "cost"] == pytest.approx(np.clip(1.5 - ratio, 0, 1))
    alone = matrix.with_cost(road.shortlist.matrix, costs.reset_index()[[*KEYS, "total_usd", "total_low_usd", "total_high_usd"]],
                             pd.Series(today), pd.Series(dtype=float)).set_index(KEYS)  # fmt: skip
    ratio = costs.at[("chat", A100), "total_usd"] / costs.at[("chat", H100), "total_usd"]
    assert alone.at[("chat", A100), "cost"] == pytest.approx(np.clip(1.5 - ratio, 0, 1))
    assert math.isnan(table.at[("chat", TPU), "cost"])  # no capacity is predicted, so no cost


def test_without_a_price_of_todays_platform_costs_stand_against_the_bill(road):
    """Beside USD 100 that the bill charges, 80 score 0.7, and 150 score 0; beside a platform that is priced the bill says nothing."""
    cells = pd.DataFrame([("chat", A100), ("chat", H100)], columns=KEYS)
    money = cells.assign(total_usd=[80.0, 150.0], total_low_usd=[60.0, 150.0], total_high_usd=[90.0, 150.0])
    billed = pd.Series({"chat": 100.0})
    scores = matrix.with_cost(cells, money, pd.Series({"chat": TPU}), billed)
    assert scores["cost"].tolist() == pytest.approx([0.7, 0.0])
    assert scores[["cost_low", "cost_high"]].to_numpy().tolist()[0] == pytest.approx([0.6, 0.9])
    priced = matrix.with_cost(cells, money, pd.Series({"chat": A100}), billed)
    assert priced["cost"].tolist() == pytest.approx([0.5, 0.0])  # 1.5 - 150 / 80 is below 0
    unknown = matrix.with_cost(cells, money, pd.Series({"chat": TPU}), pd.Series(dtype=float))
    assert unknown["cost"].isna().all() and unknown["cost_high"].tolist() == [1.0, 1.0]


def test_the_bill_charges_the_units_of_the_horizon(road):
    """USD of a unit in the month, times the units that each month is expected to bring, at today's value."""
    forecast, each = road.inventory.forecast, road.inventory.use_cases.set_index("use_case_id")["usd_per_unit"]
    mine = forecast[(forecast["use_case_id"] == "chat") & (forecast["scenario"] == "expected")]
    months = mine.groupby("region").cumcount() + 1
    units = (mine["units"] / (1 + road.ws.plan.value("wacc")) ** (months / 12)).sum()
    assert each["chat"] > 0
    assert billed_usd(road.ws, road.inventory)["chat"] == pytest.approx(units * each["chat"], rel=1e-12)


def test_todays_platform_is_the_stated_one_else_the_reference(changed, road):
    ws = changed(plan={"baseline_accelerators": {"chat": H100}})
    assert baseline_accelerators(ws, road.benchmark.capacity).to_dict() == {
        "chat": H100,
        "images": A100,
        "models": A100,
    }
    cells = scored(ws, road).set_index(KEYS)
    assert cells.at[("chat", H100), "cost"] == 0.5


def test_nodes_at_peak_are_counted_in_the_busiest_region_with_reserve(road):
    cells = road.benchmark.capacity
    nodes = pd.Series(matrix.nodes_at_peak(road.ws, road.inventory, cells), index=pd.MultiIndex.from_frame(cells[KEYS]))
    assert nodes["chat", H100] == 1  # 216 an hour are far less than one accelerator
    # eight accelerators run at once, but jobs wait: the plan's fleet holds their average, which one node of eight does
    assert nodes["models", A100] == 1
    need = pd.Series(matrix.nodes_needed(road.ws, road.inventory, cells), index=nodes.index)
    rows = road.inventory.demand_profile.query("use_case_id == 'models'")
    rate = cells.set_index(KEYS).at[("models", A100), "units_per_s_per_accelerator"] * 3600
    mean = rows["units_per_hour_avg"].max() / rate / road.ws.plan.value("planning_utilization")
    assert need["models", A100] * 8 == pytest.approx(mean)
    slow = cells.assign(units_per_s_per_accelerator=216 * 1.4 / 3600 / 17)
    again = matrix.nodes_at_peak(road.ws, road.inventory, slow.query("use_case_id == 'chat'"))
    assert again.tolist() == [5, 3, 3]  # 17 accelerators in nodes of 4, 8 and 8
    bought = slow.assign(node_accelerators=slow["accelerator_id"].map({H100: 2.0})).query("use_case_id == 'chat'")
    bought = bought.drop(columns="in_progress_per_accelerator")  # 17 without what chance adds
    assert matrix.nodes_at_peak(road.ws, road.inventory, bought).tolist() == [5, 3, 9]  # those of the H100 in pairs


def test_nodes_of_batch_work_hold_what_its_hours_to_wait_leave_of_the_peak(changed, road):
    """Chat is twice as high by day: a day to wait leaves its mean, 216 x 34/48 an hour, and no chance of hours."""
    cases = road.ws.table("use_cases")
    chat = cases["use_case_id"] == "chat"
    late = cases.assign(
        request_pattern=cases["request_pattern"].mask(chat, "batch"),
        slo_p95_ttft_ms=cases["slo_p95_ttft_ms"].mask(chat),
        slo_p95_e2e_ms=cases["slo_p95_e2e_ms"].mask(chat, 25 * 3.6e6),
    )
    rate = 216 * 1.4 / 3600 / 23.9  # so many accelerators in the busiest hour with the reserve
    cells = road.benchmark.capacity.query("use_case_id == 'chat'").assign(units_per_s_per_accelerator=rate)
    at_once = matrix.nodes_at_peak(road.ws, road.inventory, cells.drop(columns="in_progress_per_accelerator"))
    assert at_once.tolist() == [6, 3, 3]  # in nodes of 4, 8 and 8
    assert matrix.nodes_at_peak(changed(use_cases=late), road.inventory, cells).tolist() == [5, 3, 3]
    need = matrix.nodes_needed(changed(use_cases=late), road.inventory, cells)
    assert need * [4, 8, 8] == pytest.approx(23.9 * 34 / 48, rel=1e-3)


def test_scores_count_nodes_in_the_size_that_is_bought(road):
    table = road.shortlist.matrix.merge(road.shortlist.penalties[[*KEYS, "node_accelerators"]], on=KEYS)
    assert (table["node_accelerators_x"] == table["node_accelerators_y"]).all()
    nodes = matrix.nodes_at_peak(road.ws, road.inventory, road.shortlist.matrix)
    known = road.shortlist.matrix["throughput"].notna() & road.shortlist.matrix["platform_class"].ne("edge")
    scores = np.clip(1 - np.log2(nodes) / 6, 0, 1)
    assert road.shortlist.matrix.loc[known, "throughput"].to_numpy() == pytest.approx(scores[known])


def test_nodes_are_unknown_without_capacity_or_demand(road):
    cells = road.benchmark.capacity.assign(units_per_s_per_accelerator=np.nan)
    assert np.isnan(matrix.nodes_at_peak(road.ws, road.inventory, cells)).all()
    silent = SimpleNamespace(demand_profile=pd.DataFrame())
    assert np.isnan(matrix.nodes_at_peak(road.ws, silent, cells)).all()


def test_a_score_next_to_a_mark_is_told_from_it(changed, road):
    ws = changed(plan={"choose_at": 0.5, "pilot_at": 0.35})
    for total, told in (
        (0.4996, "scores 0.4996, below the mark to choose"),
        (0.5, "scores 0.50 on measurements (mark 0.50)"),
    ):
        cell = SimpleNamespace(tier="measured", total=total)
        assert matrix._decision(ws, cell, None, "")[1] == told


def test_the_throughput_score_is_logarithmic_in_nodes(road):
    table = road.shortlist.matrix.set_index(KEYS)
    assert table.at[("models", A100), "throughput"] == 1.0  # one node
    slow = road.benchmark.capacity.assign(units_per_s_per_accelerator=216 * 1.4 / 3600 / 17)
    slow = slow.query("use_case_id == 'chat'").drop(columns="in_progress_per_accelerator")
    few = matrix._throughput(road.ws, road.inventory, slow)
    assert few == pytest.approx(1 - np.log2([5, 3, 3]) / 6)  # 17 accelerators in nodes of 4, 8 and 8
    assert table.at[("chat", H100), "throughput"] == 1.0


def test_the_latency_score_is_read_at_half_of_capacity(road, mini_ws, changed):
    # half of 6 a second is 3: a TTFT of 300 ms is 0.3 of its limit, an end-to-end of 9 s is 0.45 of 20 s
    table = road.shortlist.matrix.set_index(KEYS)
    assert table.at[("chat", H100), "latency"] == 1.0
    # with a limit of 12 s, 9 s are 0.75 of it: half way between the anchors
    cases = mini_ws.table("use_cases").assign(slo_p95_e2e_ms=12_000.0)
    again = scored(changed(use_cases=cases), road).set_index(KEYS)
    assert again.at[("chat", H100), "latency"] == pytest.approx(0.5)


def test_latency_without_a_curve_is_the_engines_and_perfect_without_a_limit(road, estimated):
    row = estimated.shortlist.matrix.set_index(KEYS).loc[("chat", A100)]
    assert row["latency_tier"] == "engine, fitted step model"
    assert row["latency"] == pytest.approx(float(scales.anchored(row["latency_ratio"], scales.LATENCY_ANCHORS)))
    assert row["latency_low"] <= row["latency"] <= row["latency_high"]
    table = road.shortlist.matrix.set_index(KEYS)
    assert math.isnan(table.loc[("chat", TPU), "latency"])  # its class was never reviewed for such work
    assert table.loc["models", "latency"].tolist() == [1.0, 1.0, 1.0]
    assert table.loc[("images", TPU), "latency_tier"] == "unknown"
    assert math.isnan(table.loc[("images", TPU), "latency"])


def test_the_latency_score_is_that_of_the_precision_that_counts(mini_ws, changed, road):
    runs = mini_ws.table("benchmarks")
    slow = runs[runs["benchmark_id"] == f"chat--{H100}"].assign(
        benchmark_id="chat--slow", precision="fp16", p95_ttft_ms=[900.0, 2000.0, 3000.0]
    )
    both = changed(benchmarks=pd.concat([runs, slow], ignore_index=True))
    found = build_benchmark(both)
    row = found.capacity.set_index(KEYS).loc[("chat", H100)]
    assert (row["precision"], row["units_per_s_per_accelerator"]) == ("bf16", 6.0)
    score = scored(both, road, found).set_index(KEYS).at[("chat", H100), "latency"]
    assert score == road.shortlist.matrix.set_index(KEYS).at[("chat", H100), "latency"]


def test_totals_are_the_weighted_mean_of_the_five_scores_without_a_price(road):
    table, weights = road.shortlist.matrix, dict(road.ws.plan.matrix_weights)
    assert set(weights) == set(MATRIX_CRITERIA)
    weights.pop("cost")
    expected = table[list(weights)].fillna(0.0).to_numpy() @ np.array(list(weights.values())) / sum(weights.values())
    known = (table["units_per_s_per_accelerator"] > 0).to_numpy()
    assert known.sum() >= 7
    np.testing.assert_allclose(table["total"], np.where(known, expected, np.nan), atol=1e-12)


def test_money_never_enters_the_score(changed, road, mini_ws):
    dear = mini_ws.table("prices").assign(usd_per_accelerator_hour=lambda t: t["usd_per_accelerator_hour"] * 7)
    plan = {"porting_person_months": {"tpu": 90.0}, "launch_delay_months": {"tpu": 9.0}, "rework_share": 1.0}
    ws = changed(plan=plan, prices=dear)
    again = scored(ws, road, build_benchmark(ws))
    pd.testing.assert_series_equal(again["total"], road.shortlist.matrix["total"])


def test_intervals_hold_their_scores_and_unknown_is_open(road):
    table = road.shortlist.matrix
    for name in MATRIX_CRITERIA:
        known = table[table[name].notna()]
        assert (known[f"{name}_low"] <= known[name] + 1e-12).all()
        assert (known[f"{name}_high"] >= known[name] - 1e-12).all()
        assert table.loc[table[name].isna(), [f"{name}_low", f"{name}_high"]].to_numpy().tolist() == [[0, 1]] * int(
            table[name].isna().sum()
        )


def test_every_criterion_has_its_evidence(road):
    long = road.shortlist.criteria
    assert len(long) == len(road.shortlist.matrix) * 6
    judged = long[long["criterion"].isin(matrix.JUDGED)]
    assert judged["rationale"].str.len().gt(0).all()
    assert judged["as_of"].notna().all()
    assert set(judged["tier"]) <= {"judged, assumed", "judged, claimed", "judged, measured"}


def test_cells_without_capacity_have_no_total(road, changed, mini_ws):
    dark = SimpleNamespace(
        capacity=road.benchmark.capacity.assign(units_per_s_per_accelerator=np.nan, usd_per_1k_units=np.nan),
        curves=road.benchmark.curves.iloc[:0],
    )
    assert scored(mini_ws, road, dark)["total"].isna().all()


def test_adding_a_candidate_never_changes_the_other_cells(road, changed):
    ws = changed(plan={"candidates": [*road.ws.plan.candidates, "nvidia-l40s"]})
    again = scored(ws, road, build_benchmark(ws)).set_index(KEYS)["total"]
    before = road.shortlist.matrix.set_index(KEYS)["total"]
    assert len(again) == len(before) + 3
    pd.testing.assert_series_equal(again.reindex(before.index), before)


def test_what_runs_in_production_may_be_chosen_without_a_run(mini_ws):
    empty = mini_ws.table("benchmarks").iloc[:0]
    cases = mini_ws.table("use_cases").assign(model="nobody-knows")
    ws = dataclasses.replace(mini_ws, tables={**mini_ws.tables, "benchmarks": empty, "use_cases": cases})
    bounds = pd.DataFrame({
        "window_start_utc": pd.to_datetime(["2026-10-01"], utc=True), "use_case_id": "chat", "region": "us",
        "metric": "ttft_ms", "lower_ms": [100.0], "upper_ms": [800.0], "count": [100],
    })  # fmt: skip
    ws = dataclasses.replace(ws, tables={**ws.tables, "latency_bounds": bounds})
    benchmark = build_benchmark(ws)
    shares = matrix.latency_shares(ws, benchmark, benchmark.capacity, [benchmark.capacity["low"]] * 3)
    row = benchmark.capacity.assign(**shares[["ratio"]], latency_tier=shares["tier"]).set_index(KEYS).loc["chat", H100]
    assert (row["tier"], row["latency_tier"], row["ratio"]) == ("own telemetry", "own telemetry", 0.8)
    cell = row.to_dict() | {"use_case_id": "chat", "accelerator_id": H100, "total": 0.9}
    table = matrix.decide(ws, pd.DataFrame([cell]), pd.DataFrame(columns=[*KEYS, "reason"]))
    assert table["decision"].tolist() == ["choose"]
    assert table["reason"].iloc[0].startswith("scores 0.90 on what production shows")
