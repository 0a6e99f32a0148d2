"""What ships in `data/`: in step with the contracts and the generator, sourced, small."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import aifactory as af
from aifactory.demand.generator import generate_sample
from aifactory.inputs.contracts import contract_names, document, load_contract
from aifactory.inputs.importers.facts import read_cloud_prices, read_commitment_prices
from aifactory.inputs.new import template_csv
from aifactory.inputs.plan import load_plan

DATA = Path(__file__).parents[2] / "data"
SAMPLE, CATALOGUE = DATA / "sample", DATA / "catalogue"
#: bytes written by a Parquet library may change with its version; its tables may not
MAX_SAMPLE_BYTES = 10_000_000


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    generate_sample(folder)
    return folder


@pytest.fixture(scope="module")
def sample():
    return af.load_workspace(SAMPLE, "2026-10")


def read(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def test_page_of_tables_is_the_contracts():
    assert (DATA / "README.md").read_text().endswith("\n\n" + document())


@pytest.mark.parametrize("name", contract_names())
def test_template_is_the_header_of_its_contract(name):
    assert (DATA / "templates" / f"{name}.csv").read_text() == template_csv(name)


def test_template_of_the_plan_is_valid():
    assert load_plan(DATA / "templates" / "plan.yaml").organisation == "Your organisation"


def test_sample_is_what_the_generator_makes(generated):
    made = sorted(path.name for path in generated.iterdir())
    assert set(made) == {p.name for p in SAMPLE.iterdir() if p.is_file()} - {
        "plan.yaml",
        "README.md",
        "approved_bands.csv",
        "approved_plan.csv",
        "commitments.csv",
        "demand_chain.csv",
        "demand_what_ifs.csv",
    }
    for name in made:
        pd.testing.assert_frame_equal(read(generated / name), read(SAMPLE / name), obj=name)


def test_another_seed_makes_another_company(tmp_path, generated):
    generate_sample(tmp_path, seed=1)
    name = "demand_windows.parquet"
    assert not read(tmp_path / name).equals(read(generated / name))


def test_archives_carry_no_clock(generated):
    with gzip.open(generated / "billing.csv.gz") as file:
        file.read(1)
        assert file.mtime == 0


def test_sample_is_complete_and_small(sample):
    cases, demand = sample.table("use_cases"), sample.table("demand_windows")
    assert len(cases) >= 12
    assert cases["workload_class"].nunique() == 6
    assert cases["team"].nunique() >= 4
    assert demand["region"].nunique() >= 3
    assert len(sample.periods) == 13
    assert cases["allowed_regions"].notna().any()
    assert sum(path.stat().st_size for path in SAMPLE.iterdir() if path.is_file()) <= MAX_SAMPLE_BYTES


def test_sample_has_the_traps_of_real_inputs(sample):
    demand, bill = sample.table("demand_windows"), sample.table("billing")
    chat = demand[(demand["use_case_id"] == "support-chat") & (demand["region"] == "eu-west")]
    outage = chat[chat["window_start_utc"].between("2026-08-19T09:00Z", "2026-08-19T14:59Z")]
    assert len(outage) == 0 or outage["service_units"].sum() == 0
    first = demand[demand["use_case_id"] == "procurement-agent"]["window_start_utc"].min()
    assert first.strftime("%Y-%m") == "2026-05"
    decay = (
        demand[demand["use_case_id"] == "faq-bot"]
        .groupby(demand["window_start_utc"].dt.strftime("%Y-%m"))["requests"]
        .sum()
    )
    assert decay["2026-10"] < 0.6 * decay["2025-10"]
    assert (bill["cost_line"] == "unattributed usage").any()
    platforms = sample.table("accelerators").set_index("accelerator_id")["platform_class"]
    assert {"tpu", "trainium"} <= set(sample.table("pools")["accelerator_id"].map(platforms))


def test_approved_plan_of_the_sample_is_what_approval_writes(tmp_path, sample):
    july = af.load_workspace(SAMPLE, "2026-07")
    inventory, benchmark = af.build_inventory(july), af.build_benchmark(july)
    plan = af.build_buy_plan(july, inventory, benchmark, af.build_shortlist(july, inventory, benchmark))
    book = pd.read_csv(SAMPLE / "commitments.csv")
    book[book["plan_period"] != "2026-07"].to_csv(tmp_path / "commitments.csv", index=False)
    path = af.approve_plan(plan, tmp_path)
    assert len(book[book["plan_period"] == "2026-07"]) > 0
    written = pd.read_csv(tmp_path / "commitments.csv")
    placed = written["order_id"].isin(book["order_id"])
    pd.testing.assert_frame_equal(written[placed].reset_index(drop=True), book, rtol=1e-6)
    # the decision log of 5 August holds servers back: the book has the edge devices alone
    assert set(written.loc[~placed, "accelerator_id"]) == {"nvidia-a100-80-sxm", "nvidia-l4"}
    assert set(book.loc[book["plan_period"] == "2026-07", "accelerator_id"]) == {"nvidia-jetson-agx-orin"}
    for name in ("approved_plan.csv", "approved_bands.csv"):
        pd.testing.assert_frame_equal(pd.read_csv(path.with_name(name)), pd.read_csv(SAMPLE / name), rtol=1e-6)


@pytest.mark.parametrize("path", sorted(CATALOGUE.glob("*.csv")), ids=lambda path: path.stem)
def test_every_fact_has_source_date_and_confidence(path):
    facts = pd.read_csv(path)
    assert facts[["source", "as_of", "confidence"]].notna().all(axis=None)
    assert facts["confidence"].isin(["measured", "claimed", "assumed"]).all()
    assert pd.to_datetime(facts["as_of"]).max() <= pd.Timestamp("2026-11-29")
    assert set(load_contract(path.stem).columns) >= set(facts.columns)


def test_catalogue_covers_the_five_classes_of_the_article():
    classes = set(pd.read_csv(CATALOGUE / "accelerators.csv")["platform_class"])
    assert {"gpu", "tpu", "trainium", "custom_asic", "neuromorphic"} <= classes


def test_peaks_are_dense():
    """NVIDIA H100 SXM: 989 TFLOPS dense BF16 (vendor datasheet halves its sparse 1,979)."""
    chips = pd.read_csv(CATALOGUE / "accelerators.csv").set_index("accelerator_id")
    assert chips.loc["nvidia-h100-sxm", "peak_bf16_dense_tflops"] == pytest.approx(989, abs=1.5)


@pytest.mark.real
def test_specifications_are_those_of_the_source(shared_dir):
    ours = pd.read_csv(CATALOGUE / "accelerators.csv").set_index("accelerator_id")
    source = pd.read_csv(shared_dir / "data/catalogue/accelerators.csv").set_index("id").reindex(ours.index)
    pairs = {
        "memory_gb": "memory_gb",
        "memory_bw_gb_per_s": "memory_bw_gbs",
        "peak_bf16_dense_tflops": "peak_tflops_bf16_dense",
        "peak_fp8_dense_tflops": "peak_tflops_fp8_dense",
        "tdp_w": "tdp_w",
    }
    for mine, theirs in pairs.items():
        pd.testing.assert_series_equal(
            ours[mine], source[theirs].astype("float64").replace(0.0, np.nan), check_names=False
        )


def test_every_candidate_and_alias_is_in_the_catalogue(sample):
    known = set(pd.read_csv(CATALOGUE / "accelerators.csv")["accelerator_id"])
    assert set(sample.plan.candidates) <= known
    assert set(pd.read_csv(CATALOGUE / "accelerator_aliases.csv")["accelerator_id"]) <= known
    assert set(pd.read_csv(CATALOGUE / "prices.csv")["accelerator_id"]) <= known


def test_no_price_is_free_or_negative():
    prices = pd.read_csv(CATALOGUE / "prices.csv")
    assert (prices["usd_per_accelerator_hour"].dropna() > 0).all()
    assert (prices["usd_per_accelerator"].dropna() > 0).all()
    assert prices[["usd_per_accelerator_hour", "usd_per_accelerator"]].notna().any(axis=1).all()


def test_a_collected_price_is_as_old_as_its_source_says():
    """The newest year or month that the source names dates the price, not the day it was collected."""
    prices = pd.read_csv(CATALOGUE / "prices.csv", dtype=str)
    collected = prices[prices["source"].str.startswith("accelerator price list")]
    named = collected["source"].str.findall(r"\b(20\d\d(?:-\d\d)?)\b").map(lambda days: max(days, default=""))
    told = collected.assign(named=named)[named != ""]
    assert len(told) > 10
    assert [row.price_id for row in told.itertuples() if row.as_of[: len(row.named)] > row.named] == []
    ends = collected["note"].str.extract(r"midpoint of (\d+) to (\d+);").dropna()
    assert (ends[0] != ends[1]).all()


@pytest.mark.real
def test_rented_prices_are_those_of_the_source(shared_dir):
    """Each bundled hourly price is a row of the price lists, at the same date."""
    prices = pd.read_csv(CATALOGUE / "prices.csv", parse_dates=["as_of"])
    chips = set(pd.read_csv(CATALOGUE / "accelerators.csv")["accelerator_id"])
    folder = shared_dir / "data" / "catalogue"
    listed = pd.concat(
        [
            read_cloud_prices(folder / "cloud_prices.csv.gz", chips),
            read_commitment_prices(folder / "commitment_prices.csv", chips),
        ]
    )
    keys = ["provider", "accelerator_id", "region", "purchase_option", "as_of"]
    rented = prices[prices["purchase_option"].isin(["on_demand", "spot", "reserved_1y", "reserved_3y"])]
    known = {
        (*row[:-1], round(row[-1], 4)) for row in listed[[*keys, "usd_per_accelerator_hour"]].itertuples(index=False)
    }
    mine = [
        (*row[:-1], round(row[-1], 4)) for row in rented[[*keys, "usd_per_accelerator_hour"]].itertuples(index=False)
    ]
    assert [row for row in mine if row not in known] == []
