"""Price lists of public tools by fixtures in their layouts: read, guarded, compared, appended."""

import datetime as dt
import io
import json
import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from price_lists import AZURE_ITEM, EC2, GCOSTS, GPUHUNT, LITELLM, SKYPILOT

from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.prices.lines import refresh_lines
from aifactory.inputs.importers.prices.names import Names, squeezed
from aifactory.inputs.importers.prices.refresh import Settings, refresh_prices
from aifactory.inputs.new import new_workspace
from aifactory.inputs.tables import read_table

TODAY = pd.Timestamp("2026-11-26", tz="UTC")


@pytest.fixture
def workspace(tmp_path):
    folder = tmp_path / "ws"
    new_workspace(folder)
    return folder


@pytest.fixture
def put(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (
            content if isinstance(content, str) else (yaml.safe_dump if name.endswith("yml") else json.dumps)(content)
        )
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def refresh(workspace, *files, **settings):
    return refresh_prices(workspace, list(files), Settings(TODAY, **({"as_of": "2026-11-20"} | settings)))


def held(workspace, name="prices"):
    return read_table(workspace / f"{name}.csv", load_contract(name)).frame


def prices_of(workspace):
    rows = held(workspace)
    return {
        (row.accelerator_id, row.region, row.purchase_option, row.upfront_fraction): row.usd_per_accelerator_hour
        for row in rows.itertuples()
    }


def test_skypilot(workspace, put):
    (done,) = refresh(workspace, put("catalogs/v8/nebius/vms.csv", SKYPILOT))
    assert done.error == ""
    assert prices_of(workspace) == {
        ("nvidia-h100-sxm", "eu-north1", "on_demand", 0): pytest.approx(2.95),
        ("nvidia-h100-sxm", "eu-north1", "spot", 0): pytest.approx(1.25),
        ("nvidia-l40s", "eu-north1", "on_demand", 0): pytest.approx(1.5484),
    }
    assert set(held(workspace)["provider"]) == {"Nebius"}
    assert done.left_out == {
        "instances without accelerators": 1,
        "device 'Quantum 9' is not in the catalogue": 1,
        "no price": 1,
        "spot is exactly 10 % or 30 % of on-demand, a placeholder": 1,
    }


GOOGLE = """\
InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,Region,AvailabilityZone,Price,SpotPrice
a2-highgpu-1g,12,85,,,,us-central1,us-central1-a,0.74,0.37
a2-highgpu-2g,24,170,,,,us-central1,us-central1-a,1.48,0.74
g2-standard-4,4,16,,,,us-central1,us-central1-a,0.14,0.06
g2-standard-8,8,32,,,,us-central1,us-central1-a,0.29,0.12
,,,A100,1,,us-central1,us-central1-a,2.93,1.17
,,,A100,1,,us-central1,us-central1-b,2.93,1.27
,,,A100,2,,us-central1,us-central1-a,5.86,2.34
,,,A100,1,,me-west1,me-west1-a,2.93,1.17
,,,L4,1,,us-central1,us-central1-a,0.56,0.22
,,,T4,1,,us-central1,us-central1-a,0.35,0.11
TPU-VM,,,tpu-v6e-4,1,,us-east1,us-east1-d,10.8,
TPU-VM,,,tpu-v6e-8,1,,us-east1,us-east1-d,21.6,
"""


def test_devices_without_their_host_are_priced_with_it(workspace, put):
    """Google Cloud prices devices and hosts apart: 2.93 + 0.74 for an A100; what has no host in the list is left out."""
    (done,) = refresh(workspace, put("catalogs/v8/gcp/vms.csv", GOOGLE))
    rows = held(workspace)
    found = {(row.sku, row.purchase_option): row.usd_per_accelerator_hour for row in rows.itertuples()}
    assert found == {
        ("a2-highgpu-1g", "on_demand"): pytest.approx(2.93 + 0.74), ("a2-highgpu-1g", "spot"): pytest.approx(1.22 + 0.37),
        ("a2-highgpu-2g", "on_demand"): pytest.approx(2.93 + 0.74), ("a2-highgpu-2g", "spot"): pytest.approx(1.17 + 0.37),
        ("g2-standard-4", "on_demand"): pytest.approx(0.56 + 0.14), ("g2-standard-4", "spot"): pytest.approx(0.22 + 0.06),
        ("tpu-v6e-4", "on_demand"): pytest.approx(2.7), ("tpu-v6e-8", "on_demand"): pytest.approx(2.7),
    }  # fmt: skip
    assert done.left_out["accelerators without the price of their host"] == 2  # me-west1, T4


def test_hosts_that_are_not_there_or_have_no_spot_price_add_nothing(workspace, put):
    """Without a row of a host the devices are left out; a spot price of 0 of the host is none of the whole."""
    alone = "\n".join(line for line in GOOGLE.splitlines() if not line.startswith(("a2", "g2"))) + "\n"
    (done,) = refresh(workspace, put("catalogs/v8/gcp/vms.csv", alone))
    assert done.error == "" and done.left_out["accelerators without the price of their host"] == 5
    free = GOOGLE.replace("us-central1-a,0.74,0.37", "us-central1-a,0.74,0")
    refresh(workspace, put("catalogs/v9/gcp/vms.csv", free))
    rows = held(workspace)
    assert rows.loc[rows["sku"] == "a2-highgpu-1g", "purchase_option"].tolist() == ["on_demand"]


@pytest.mark.parametrize(
    ("sku", "device", "name", "accelerator"),
    [
        ("1x_H100_SECURE", "H100", "H100 PCIe", "nvidia-h100-pcie"),
        ("gpu_1x_h100_pcie", "H100", "H100", "nvidia-h100-pcie"),
        ("gpu_8x_h100_sxm5", "H100", "H100", "nvidia-h100-sxm"),
        ("1x_A100-80GB_SECURE", "A100-80GB", "A100 PCIe", "nvidia-a100-80-pcie"),
        ("1x_A100-80GB-SXM_SECURE", "A100-80GB-SXM", "A100 SXM", "nvidia-a100-80-sxm"),
        ("x", "H100", "H100", "nvidia-h100-sxm"),
    ],
)
def test_a_stated_form_factor_decides_between_variants(workspace, put, sku, device, name, accelerator):
    about = f"\"{{'Gpus': [{{'Name': '{name}', 'MemoryInfo': {{'SizeInMiB': 81920}}}}]}}\""
    head = "InstanceType,AcceleratorName,AcceleratorCount,Price,SpotPrice,Region,GpuInfo\n"
    (done,) = refresh(workspace, put("v8/runpod/vms.csv", f"{head}{sku},{device},1,2.4,0.0,EU,{about}\n"))
    assert held(workspace)["accelerator_id"].tolist() == [accelerator]
    assert done.left_out == {}  # a spot price of 0 is none


def test_an_nvl_is_a_pcie_card(workspace, put):
    about = "\"{'Gpus': [{'Name': 'H100 PCIe', 'MemoryInfo': {'SizeInMiB': 95830}}]}\""
    head = "InstanceType,AcceleratorName,AcceleratorCount,Price,Region,GpuInfo\n"
    refresh(workspace, put("v8/runpod/vms.csv", f"{head}x,H100,1,2.4,EU,{about}\n"))
    assert held(workspace)["accelerator_id"].tolist() == ["nvidia-h100-nvl"]


def test_a_form_factor_that_the_catalogue_lacks_is_no_other_one(workspace, put):
    head = "InstanceType,AcceleratorName,AcceleratorCount,Price,Region\n"
    (done,) = refresh(workspace, put("v8/runpod/vms.csv", f"{head}gpu_b200_pcie,B200,8,40,EU\n"))
    assert "device 'B200' (pcie) is not in the catalogue" in done.error


def test_one_name_for_instances_of_several_sizes(workspace, put):
    """RunPod lists one name for one and eight devices at one price each: two offers, none of them lost."""
    head = '"instance_name","location","price","cpu","memory","gpu_count","gpu_name","gpu_memory","spot"\n'
    rows = "NVIDIA H100 80GB HBM3,EU-SE-1,2.99,16,125,1,H100,80,False\nNVIDIA H100 80GB HBM3,EU-SE-1,23.92,128,1000,8,H100,80,False\n"
    (done,) = refresh(workspace, put("runpod.csv", head + rows))
    assert (done.added, done.left_out) == (2, {})
    assert held(workspace)["sku"].tolist() == ["NVIDIA H100 80GB HBM3 x1", "NVIDIA H100 80GB HBM3 x8"]


def test_one_price_that_contradicts_a_held_one_does_not_keep_the_others_out(workspace, put):
    refresh(workspace, put("lambdalabs.csv", GPUHUNT))
    new = "gpu_1x_gh200,us-east-1,1.49,64,432,1,GH200,96,False,512,lambdalabs\n"
    changed = GPUHUNT.replace("us-east-1,1.10,", "us-east-1,1.20,")
    (alone,) = refresh(workspace, put("lambdalabs.csv", changed))
    assert "another price of gpu_1x_a100 (on_demand) is held for 2026-11-20: 1.1000" in alone.error
    (done,) = refresh(workspace, put("lambdalabs.csv", changed + new))
    assert (done.error, done.added) == ("", 1)
    (told,) = done.left_out.keys() - {"instances without accelerators"}
    assert told.startswith(
        "another price of gpu_1x_a100 (on_demand) is held for 2026-11-20: 1.1000 (the first of them; 1.2000"
    )
    assert 1.20 not in held(workspace)["usd_per_accelerator_hour"].tolist()


def test_an_older_list_says_nothing_of_offers_held_since(workspace, put):
    newer = GPUHUNT.replace("gpu_8x_h100", "gpu_8x_h100_new")
    refresh(workspace, put("lambdalabs.csv", newer))
    (done,) = refresh(workspace, put("old/lambdalabs.csv", GPUHUNT), as_of="2020-01-01")
    assert done.gone.empty and done.added


def test_azure_items_without_their_page_are_read_too(workspace, put):
    (done,) = refresh(workspace, put("azure.json", [AZURE_ITEM]))
    assert (done.added, done.format) == (1, "Azure retail prices")


def test_cloud_services_are_no_machines(workspace, put):
    role = AZURE_ITEM | {"retailPrice": 120.0, "productName": "NDsr H100 v5 Series Cloud Services"}
    (done,) = refresh(workspace, put("azure.json", {"Items": [AZURE_ITEM, role]}))
    assert done.added == 1 and held(workspace)["usd_per_accelerator_hour"].tolist() == [pytest.approx(98.32 / 8)]


def test_a_second_of_a_reserved_machine_is_no_price_of_speech(workspace, put):
    models = {
        "bedrock/reserved": {"litellm_provider": "bedrock", "mode": "chat", "input_cost_per_second": 0.01},
        "whisper-1": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 0.0001},
    }
    (done,) = refresh(workspace, put("model_prices.json", models))
    rows = held(workspace, "api_prices")
    assert rows["api_model"].tolist() == ["whisper-1"] and rows["usd_per_audio_minute"].tolist() == [
        pytest.approx(0.006)
    ]
    assert done.left_out["models without a price"] == 1


def test_gpuhunt(workspace, put):
    refresh(workspace, put("lambdalabs.csv", GPUHUNT))
    assert prices_of(workspace) == {
        ("nvidia-a100-40-sxm", "us-east-1", "on_demand", 0): pytest.approx(1.10),
        ("nvidia-h100-sxm", "us-east-1", "on_demand", 0): pytest.approx(2.99),
        ("nvidia-h100-sxm", "us-east-1", "spot", 0): pytest.approx(1.125),
    }


def test_ec2instances(workspace, put):
    (done,) = refresh(workspace, put("instances.json", EC2))
    found = prices_of(workspace)
    assert found["nvidia-h100-sxm", "us-east-1", "on_demand", 0] == pytest.approx(98.32 / 8)
    assert found["nvidia-h100-sxm", "us-east-1", "spot", 0] == pytest.approx(5.0)
    assert found["nvidia-h100-sxm", "us-east-1", "reserved_1y", 0] == pytest.approx(62 / 8)
    assert found["nvidia-h100-sxm", "us-east-1", "reserved_1y", 1] == pytest.approx(58 / 8)
    assert found["nvidia-h100-sxm", "us-east-1", "reserved_3y", 0.5] == pytest.approx(5.0)
    assert not any(region.startswith("us-gov") for _, region, *_ in found)
    assert done.left_out["government or China region, priced apart"] == 1
    assert done.left_out["savings plans and convertible reservations"] == 1


def test_gcosts_is_dated_by_itself_and_guarded(workspace, put):
    (done,) = refresh(workspace, put("pricing.yml", GCOSTS), as_of="")
    found = prices_of(workspace)
    assert found["nvidia-a100-40-sxm", "us-central1", "on_demand", 0] == pytest.approx(3.673385)
    assert found["nvidia-a100-40-sxm", "us-central1", "reserved_1y", 0] == pytest.approx(3378.7422784 / 730 / 2)
    assert set(held(workspace)["as_of"].dt.strftime("%Y-%m-%d")) == {"2025-03-06"}
    assert done.left_out["spot above on-demand"] == 1
    assert done.left_out["commitment not below on-demand"] == 1


def test_old_quotes_are_added_with_a_warning_that_names_their_age(workspace, put):
    (done,) = refresh(workspace, put("pricing.yml", GCOSTS), as_of="")
    assert done.added == 5
    assert set(done.stale["age_days"]) == {630}  # 6 March 2025 to 26 November 2026
    assert set(zip(done.stale["purchase_option"], done.stale["limit_days"], strict=True)) <= {
        ("on_demand", 150), ("spot", 45), ("reserved_1y", 150), ("reserved_3y", 150)
    }  # fmt: skip
    lines = refresh_lines(done)
    assert any(f"STALE: {len(done.stale)} offers" in line for line in lines)
    assert any("reports of 2025-03 and later; earlier months take them only where" in line for line in lines)
    assert any("on_demand, 630 days old (of 2025-03-06; limit 150 days)" in line for line in lines)
    assert {row["age_days"] for row in done.as_dict()["stale"]} == {"630"}


def test_the_limit_is_the_plans_and_counts_from_the_day_after(workspace, put):
    plan = workspace / "plan.yaml"
    plan.write_text(plan.read_text().replace("{on_demand: 150, spot: 45", "{on_demand: 6, spot: 5"))
    (done,) = refresh(workspace, put("catalogs/v8/nebius/vms.csv", SKYPILOT))  # of six days ago
    assert done.stale["purchase_option"].tolist() == ["spot"]
    plan.write_text("nonsense: [")
    (again,) = refresh(workspace, put("catalogs/v8/nebius/vms.csv", SKYPILOT), as_of="2026-10-01")
    assert again.stale.empty  # older than what is held: history


def test_old_prices_of_hosted_models_are_named(workspace, put):
    (done,) = refresh(workspace, put("model_prices.json", LITELLM), as_of="2026-01-05")
    assert done.hosted_added == len(done.stale) > 0
    assert (done.stale["purchase_option"] == "api").all()
    assert set(done.stale["age_days"]) == {325}


def test_azure(workspace, put):
    items = [
        AZURE_ITEM,
        AZURE_ITEM | {"skuName": "ND96isr H100 v5 Spot", "retailPrice": 40.0},
        AZURE_ITEM | {"type": "Reservation", "reservationTerm": "3 Years", "retailPrice": 40.0 * 730 * 36},
        AZURE_ITEM | {"productName": "Virtual Machines NDsr H100 v5 Series Windows", "retailPrice": 150.0},
        AZURE_ITEM | {"currencyCode": "EUR"},
        AZURE_ITEM | {"unitOfMeasure": "1/Month", "retailPrice": 71_000.0},
        AZURE_ITEM | {"armSkuName": "Standard_D4s_v5", "retailPrice": 0.2},
    ]
    (done,) = refresh(workspace, put("azure.json", {"Items": items, "NextPageLink": None}))
    assert prices_of(workspace) == {
        ("nvidia-h100-sxm", "eastus", "on_demand", 0): pytest.approx(12.29),
        ("nvidia-h100-sxm", "eastus", "spot", 0): pytest.approx(5.0),
        ("nvidia-h100-sxm", "eastus", "reserved_3y", 0): pytest.approx(5.0),
    }
    assert done.left_out["currency 'EUR' is not USD"] == 1
    assert done.left_out["unit '1/Month' is not an hour"] == 1


def test_azure_prices_in_another_currency_are_converted_at_the_rate_of_their_month(workspace, put):
    """8 accelerators at EUR 80 an hour and USD 1.05: 10.50 each; three years for EUR 40 an hour: 5.25; no franc before December."""
    three_years = {"type": "Reservation", "reservationTerm": "3 Years", "retailPrice": 40.0 * 730 * 36}
    items = [AZURE_ITEM | {"currencyCode": "EUR", "retailPrice": 80.0}, AZURE_ITEM | {"currencyCode": "EUR"} | three_years,
             AZURE_ITEM | {"currencyCode": "CHF", "armRegionName": "north"}]  # fmt: skip
    path, plan = put("azure.json", {"Items": items}), workspace / "plan.yaml"
    (refused,) = refresh(workspace, path)
    assert "currency 'EUR' is not USD" in refused.error
    stated = (("EUR", "2026-01", 1.02), ("EUR", "2026-11", 1.05), ("CHF", "2026-12", 1.1))
    rates = [{"currency": name, "from_month": month, "usd": usd, "source": "ECB", "as_of": "2026-11-01"} for name, month, usd in stated]  # fmt: skip
    text = yaml.safe_load(plan.read_text(encoding="utf-8")) | {"exchange_rates": rates}
    plan.write_text(yaml.safe_dump(text), encoding="utf-8")
    (done,) = refresh(workspace, path)
    assert prices_of(workspace) == {
        ("nvidia-h100-sxm", "eastus", "on_demand", 0): pytest.approx(10.5),
        ("nvidia-h100-sxm", "eastus", "reserved_3y", 0): pytest.approx(5.25),
    }
    assert set(held(workspace)["note"]) == {
        "price of the instance divided by its accelerators; converted at 1.05 USD a EUR (ECB, 2026-11-01)"
    }
    assert done.left_out == {"currency 'CHF' is not USD": 1}


def gone_regions(done):
    return [sorted(item.gone["region"]) for item in done]


def test_what_is_gone_is_told_of_all_pages_of_a_list_together(workspace, put):
    def page(name, after, *regions):
        items = [AZURE_ITEM | {"armRegionName": region} for region in regions]
        return put(name, {"Items": items, "NextPageLink": after})

    refresh(workspace, page("old.json", None, "north", "south", "east"), as_of="2026-10-20")
    first, last = page("1.json", "https://next", "north"), page("2.json", None, "south")
    ours = lambda done: [[r for r in part if r in ("north", "south", "east")] for part in gone_regions(done)]  # noqa: E731
    alone = refresh(workspace, first, write=False)
    assert ours(alone) == [[]]
    assert any("all its pages" in line for line in refresh_lines(alone[0]))
    together = refresh(workspace, first, last, write=False)
    assert ours(together) == [[], ["east"]]  # once, and nothing that another page lists
    assert not any("all its pages" in line for item in together for line in refresh_lines(item))
    assert ours(refresh(workspace, first, last)) == [[], ["east"]]


def test_nothing_is_gone_while_a_page_is_lacking_that_another_one_follows(workspace, put):
    """Three pages of two rows: the link of the second to the third skips four, so two rows stand before it."""

    def page(name, skip, *regions, sku=AZURE_ITEM["armSkuName"]):
        items = [AZURE_ITEM | {"armRegionName": region, "armSkuName": sku} for region in regions]
        after = f"https://prices.example/retail?$filter=x&$skip={skip}" if skip else None
        return put(name, {"Items": items, "NextPageLink": after})

    refresh(workspace, page("old.json", 0, "north", "south", "west", "east"), as_of="2026-10-20")
    first, second, last = page("1.json", 2, "north", "a"), page("2.json", 4, "south", "b"), page("3.json", 0, "west")

    def ours(*files):
        return ["east" in set(item.gone.get("region", [])) for item in refresh(workspace, *files, write=False)]

    assert ours(second, last) == [False, False]
    assert ours(first, second, last) == [False, False, True]
    assert ours(first, second) == [False, False]
    others = page("2.json", 4, "a", "b", sku="Standard_D4s_v5")  # read, though it prices no accelerator
    assert ours(first, others, last) == [False, False, True]


def test_a_last_page_that_was_fetched_alone_says_nothing_of_the_pages_before(workspace, put, monkeypatch):
    refresh(workspace, put("old.json", {"Items": [AZURE_ITEM, AZURE_ITEM | {"armRegionName": "north"}]}), as_of="2026-10-20")  # fmt: skip
    text = json.dumps({"Items": [AZURE_ITEM], "NextPageLink": None}).encode()
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(text))

    def ours(query):
        (regions,) = gone_regions(refresh(workspace, f"https://prices.example/retail{query}", write=False))
        return "north" in regions

    assert [ours(query) for query in ("?$skip=1000", "?%24skip=1000", "?$skip=0", "")] == [False, False, True, True]


def test_an_offer_whose_price_is_refused_is_not_gone(workspace, put):
    refresh(workspace, put("a.json", {"Items": [AZURE_ITEM | {"armRegionName": "north"}]}), as_of="2026-10-20")
    items = [AZURE_ITEM, *(AZURE_ITEM | {"armRegionName": "north", "retailPrice": usd} for usd in (80.0, 81.0))]
    (done,) = refresh(workspace, put("b.json", {"Items": items}))
    assert done.left_out["two prices of the same offer in this file"] == 2
    assert "north" not in set(done.gone["region"])


def test_the_report_is_json_that_any_program_reads(workspace, put):
    (done,) = refresh(workspace, put("gpuhunt.csv", GPUHUNT))
    assert any(row["before"] is None for row in done.as_dict()["changes"])
    json.dumps(done.as_dict(), allow_nan=False)


def test_a_hosted_model_named_like_a_formula_is_left_out(workspace, put):
    model = {"litellm_provider": "acme", "input_cost_per_token": 1e-6}
    (done,) = refresh(workspace, put("m.json", {'=HYPERLINK("x")': model, "fine": model}))
    assert held(workspace, "api_prices")["api_model"].tolist() == ["fine"]
    assert done.left_out["name that a spreadsheet program would take for a formula"] == 1


def test_litellm_fills_hosted_prices(workspace, put):
    (done,) = refresh(workspace, put("model_prices.json", LITELLM))
    (row,) = held(workspace, "api_prices").to_dict("records")
    assert (row["input_usd_per_mtok"], row["output_usd_per_mtok"]) == (pytest.approx(2.5), pytest.approx(10.0))
    assert row["deprecation_date"] == pd.Timestamp("2027-03-31")
    assert done.hosted_added == 1
    again = refresh(workspace, put("model_prices.json", LITELLM))[0]
    assert again.hosted_added == 0


QUOTE = """\
Item,Monthly fee,Servers cards,Term,Deposit
H100 box,"$17,228.00",8,36,0.1
"""
MAPPING = {
    "columns": {"accelerator": "Item", "price": "Monthly fee", "count": "Servers cards", "term_months": "Term", "upfront_fraction": "Deposit"},
    "values": {"accelerator": {"H100 box": "nvidia-h100-sxm"}},
    "constants": {"provider": "Example Leasing", "purchase_option": "lease", "currency": "USD", "escalator_per_year": 0.03, "buy_out_usd": 9000},
    "price_per": "node_month",
}  # fmt: skip


def test_a_lease_offer_by_mapping(workspace, put, tmp_path):
    put("map.yml", MAPPING)
    refresh(workspace, put("offer.csv", QUOTE), mapping=tmp_path / "map.yml")
    (row,) = held(workspace).to_dict("records")
    mean = (1 + 1.03 + 1.03**2) / 3
    assert row["usd_per_accelerator_hour"] == pytest.approx(17_228 / 8 / 730 * mean)
    assert (row["purchase_option"], row["term_months"], row["upfront_fraction"]) == ("lease", 36, 0.1)
    assert "buy-out USD 9,000" in row["note"]
    assert row["confidence"] == "claimed"


def test_a_quote_in_another_currency_counts_at_the_rate_of_the_plan(workspace, put, tmp_path):
    constants = MAPPING["constants"] | {"currency": "gbp", "as_of": "2026-10-15"}
    put("map.yml", MAPPING | {"constants": constants})
    offer = put("offer.csv", QUOTE.replace("$", ""))
    (done,) = refresh(workspace, offer, mapping=tmp_path / "map.yml")
    assert "must be USD, or exchange_rates of plan.yaml must state its rate for 2026-10" in done.error
    plan = workspace / "plan.yaml"
    rates = [
        {"currency": "GBP", "from_month": "2026-01", "usd": 1.34, "source": "treasury", "as_of": dt.date(2026, 1, 5)}
    ]
    text = yaml.safe_load(plan.read_text(encoding="utf-8")) | {"exchange_rates": rates}
    plan.write_text(yaml.safe_dump(text), encoding="utf-8")
    refresh(workspace, offer, mapping=tmp_path / "map.yml")
    (row,) = held(workspace).to_dict("records")
    assert row["usd_per_accelerator_hour"] == pytest.approx(1.34 * 17_228 / 8 / 730 * (1 + 1.03 + 1.03**2) / 3)
    assert "converted at 1.34 USD a GBP (treasury, 2026-01-05)" in row["note"]


def test_a_quote_says_nothing_of_offers_that_it_does_not_hold(workspace, put, tmp_path):
    refresh(workspace, put("nebius/vms.csv", SKYPILOT))
    constants = MAPPING["constants"] | {"provider": "Nebius", "purchase_option": "on_demand"}
    hourly = {
        name: column for name, column in MAPPING["columns"].items() if name not in ("term_months", "upfront_fraction")
    }
    put("map.yml", MAPPING | {"constants": constants | {"as_of": "2026-11-25"}, "columns": hourly})
    (done,) = refresh(workspace, put("offer.csv", QUOTE), mapping=tmp_path / "map.yml")
    assert (done.error, done.added) == ("", 1)
    assert done.gone.empty


def test_the_day_of_a_quote_may_carry_a_time(workspace, put, tmp_path):
    put("map.yml", MAPPING | {"constants": MAPPING["constants"] | {"as_of": "2026-10-15T00:00:00Z"}})
    refresh(workspace, put("offer.csv", QUOTE), mapping=tmp_path / "map.yml")
    assert held(workspace)["as_of"].tolist() == [pd.Timestamp("2026-10-15")]


def test_shares_of_a_quote_may_be_percentages(workspace, put, tmp_path):
    constants = MAPPING["constants"] | {"escalator_per_year": "3 %", "upfront_fraction": "10%"}
    columns = {name: column for name, column in MAPPING["columns"].items() if name != "upfront_fraction"}
    put("map.yml", MAPPING | {"constants": constants, "columns": columns})
    refresh(workspace, put("offer.csv", QUOTE), mapping=tmp_path / "map.yml")
    (row,) = held(workspace).to_dict("records")
    assert row["usd_per_accelerator_hour"] == pytest.approx(17_228 / 8 / 730 * (1 + 1.03 + 1.03**2) / 3)
    assert row["upfront_fraction"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"columns": {**MAPPING["columns"], "upfront_fraction": "Term"}}, "fraction up to 1"),
        ({"constants": MAPPING["constants"] | {"escalator_per_year": "300%"}}, "fraction up to 1"),
        ({"constants": MAPPING["constants"] | {"escalator_per_year": "x%"}}, "decimal point"),
        ({"columns": {**MAPPING["columns"], "term_months": "Deposit"}}, "whole number of months"),
        ({"constants": MAPPING["constants"] | {"currency": "EUR"}}, "must be USD"),
        ({"constants": {k: v for k, v in MAPPING["constants"].items() if k != "currency"}}, "currency.*must be stated"),
        ({"constants": MAPPING["constants"] | {"purchase_option": "leese"}}, "lease"),
        ({"constants": {k: v for k, v in MAPPING["constants"].items() if k != "provider"}}, "provider.*must be stated"),
        ({"price_per": "node"}, "does not go with"),
        ({"values": {}}, "not in the catalogue"),
        ({"columns": MAPPING["columns"] | {"price": "Fee"}}, "Monthly fee"),
        ({"columns": MAPPING["columns"] | {"price": "Item"}}, "decimal point"),
        ({"columns": MAPPING["columns"] | {"count": "Deposit"}}, "whole number of accelerators"),
        ({"columns": MAPPING["columns"] | {"term_months": "Monthly fee"}}, "240 months at most"),
        *(
            ({"constants": MAPPING["constants"] | {"as_of": text}}, "YYYY-MM-DD")
            for text in ("05/10/2026", "2026", "15.10.2026", "2026-13-01", "10/15/26", "1899-12-31", "46310")
        ),
    ],
)
def test_quotes_that_cannot_be_read_say_why(workspace, put, tmp_path, change, text):
    put("map.yml", MAPPING | change)
    (done,) = refresh(workspace, put("offer.csv", QUOTE), mapping=tmp_path / "map.yml")
    assert pd.Series([done.error]).str.contains(text).all(), done.error
    assert not (workspace / "prices.csv").is_file()


@pytest.mark.parametrize(
    ("fee", "deposit", "usd"),
    [("17.228,00", "0,1", 17_228), ("17228", "0.1", 17_228), ("17 228,50", "0,1", 17_228.5), ("17.228", "0,1", None), ("17,228", "0.1", None)],
)  # fmt: skip
def test_a_quote_beside_semicolons(workspace, put, tmp_path, fee, deposit, usd):
    """Decimal commas are read; a lone 17.228 may be seventeen or seventeen thousand."""
    put("map.yml", MAPPING)
    head = QUOTE.splitlines()[0].replace(",", ";")
    (done,) = refresh(
        workspace, put("offer.csv", f"{head}\nH100 box;{fee};8;36;{deposit}\n"), mapping=tmp_path / "map.yml"
    )
    if usd is None:
        assert f"row 2, column 'price': value '{fee}': may be thousands or decimals beside semicolons" in done.error
        return
    (row,) = held(workspace).to_dict("records")
    assert row["usd_per_accelerator_hour"] == pytest.approx(usd / 8 / 730 * (1 + 1.03 + 1.03**2) / 3)
    assert row["upfront_fraction"] == 0.1


def test_mappings_are_strict(workspace, put, tmp_path):
    for change in ({"column": {}}, {"price_per": "minute"}, {"constants": {"prize": 1}}):
        put("map.yml", MAPPING | change)
        with pytest.raises(InputError, match=r"map\.yml"):
            refresh(workspace, put("offer.csv", QUOTE), mapping=tmp_path / "map.yml")


def test_what_changed_is_shown_and_nothing_held_is_overwritten(workspace, put):
    file = put("nebius/vms.csv", SKYPILOT)
    refresh(workspace, file)
    before = held(workspace)
    changed = SKYPILOT.replace("23.60", "21.60").replace(",10.00", ",21.0").replace("gpu-l40s-a_1gpu", "gpu-l40s-b")
    (done,) = refresh(workspace, put("nebius/vms.csv", changed), as_of="2026-11-25")
    assert done.states == {"moved": 1, "quarantined": 1, "new": 1}
    after = held(workspace)
    pd.testing.assert_frame_equal(after.iloc[: len(before)], before)
    assert len(after) == len(before) + 2
    assert done.gone["sku"].tolist() == ["gpu-l40s-a_1gpu"]
    text = "\n".join(refresh_lines(done))
    assert "QUARANTINED: nvidia-h100-sxm" in text
    assert "−8 %" in text
    (accepted,) = refresh(workspace, put("nebius/vms.csv", changed), as_of="2026-11-25", accept=True)
    assert accepted.states == {"held": 2, "quarantined": 1}
    assert len(held(workspace)) == len(after) + 1


def test_the_same_list_again_adds_nothing_and_another_price_of_that_day_is_refused(workspace, put):
    refresh(workspace, put("nebius/vms.csv", SKYPILOT))
    size = len(held(workspace))
    (again,) = refresh(workspace, put("nebius/vms.csv", SKYPILOT))
    assert (again.added, len(held(workspace))) == (0, size)
    (other,) = refresh(workspace, put("nebius/vms.csv", SKYPILOT.replace("23.60", "23.00")))
    assert "another price" in other.error
    assert len(held(workspace)) == size


def test_dry_run_and_a_confirmed_price(workspace, put):
    file = put("nebius/vms.csv", SKYPILOT)
    assert refresh(workspace, file, write=False)[0].added == 3
    assert not (workspace / "prices.csv").is_file()
    refresh(workspace, file)
    (same,) = refresh(workspace, file, as_of="2026-11-24")
    assert same.states == {"same": 3}  # a price seen again renews its date
    assert held(workspace)["as_of"].max() == pd.Timestamp("2026-11-24")


def test_a_new_offer_in_another_unit_is_quarantined(workspace, put):
    monthly = SKYPILOT.replace("23.60", "17228")  # a month's price
    (done,) = refresh(workspace, put("nebius/vms.csv", monthly))
    states = done.changes.set_index(["accelerator_id", "purchase_option"])["state"]
    assert states["nvidia-h100-sxm", "on_demand"] == "quarantined"


@pytest.mark.parametrize(
    ("name", "content", "settings", "text"),
    [
        ("nebius/vms.csv", SKYPILOT, {"as_of": ""}, "--as-of"),
        ("some/vms.csv", SKYPILOT, {}, "--provider"),
        ("x.csv", "a,b\n1,2\n", {}, "known format"),
        ("x.json", {"a": 1}, {}, "no price list of"),
        ("x.json", "{", {}, "not JSON"),
        ("x.json", '{"Items": [{"retailPrice": NaN}]}', {}, "NaN"),
        ("x.json", "[" * 100_000, {}, "nested|not JSON"),
        ("x.yml", "about: 1\ncompute: &a {instance: *a}\n", {}, "aliases"),
        ("x.yml", "about: 1\ncompute: [\n", {}, "not valid YAML"),
        ("x.yml", "about: 1\ncompute: 3\n", {}, "compute.instance"),
        ("x.yml", "about: 1\ncompute: !!python/object/apply:os.system [ls]\n", {}, "not valid YAML"),
        ("nebius/vms.csv", SKYPILOT.splitlines()[0] + "\n", {}, "holds no price"),
    ],
)
def test_files_that_are_no_price_list(workspace, put, name, content, settings, text):
    good = put("lambdalabs.csv", GPUHUNT)
    bad, other = refresh(workspace, put(name, content), good, **settings)
    assert pd.Series([bad.error]).str.contains(text).all(), bad.error
    assert (other.error == "") == (settings.get("as_of") != "")  # the other source is read all the same


def test_dates(workspace, put):
    file = put("nebius/vms.csv", SKYPILOT)
    for as_of, text in (("2026-12-01", "future"), ("20.11.2026", "must be a date")):
        with pytest.raises(InputError, match=text):
            refresh(workspace, file, as_of=as_of)


def test_an_address_that_the_analyst_names(workspace, put, tmp_path):
    put("nebius/vms.csv", SKYPILOT)
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        port = server.stdout.readline().split("port ")[1].split()[0]
        address = f"http://127.0.0.1:{port}/nebius/vms.csv"
        (done,) = refresh(workspace, address, provider="Nebius")
        assert (done.error, done.added) == ("", 3)
        (missing,) = refresh(workspace, address + "x", provider="Nebius")
        assert "cannot be fetched" in missing.error
    finally:
        server.kill()
        server.wait()
    (login,) = refresh(workspace, "http://me:secret@127.0.0.1/x.csv")
    assert "login" in login.error
    assert "secret" not in login.error


def test_a_folder_that_is_no_workspace(tmp_path):
    with pytest.raises(InputError, match="--workspace.*not a workspace"):
        refresh(tmp_path, "x.csv")


ALIASES = pd.DataFrame(
    {"alias": ["p5.48xlarge"], "accelerator_id": ["nvidia-h100-sxm"], "accelerators": [8.0], "kind": ["instance_type"]}
)


@pytest.mark.parametrize(
    ("sku", "device", "count", "memory", "found"),
    [
        ("p5.48xlarge", "", 0, None, ("nvidia-h100-sxm", 8)),
        ("p5.48xlarge", "H100", 16, None, ("", 0)),  # counted in halves or cores: not believed
        ("p5.48xlarge", "H200", 8, None, ("", 0)),  # another product than the type holds: not believed
        ("p5.48xlarge", "H100 NVL", 8, None, ("nvidia-h100-sxm", 8)),  # another form of the same: the type tells
        ("p5.48xlarge", "Trainium", 8, None, ("nvidia-h100-sxm", 8)),  # of no generation, so no product
        ("x", "A100", 2, 80, ("nvidia-a100-80-sxm", 2)),
        ("x", "A100", 2, 40, ("nvidia-a100-40-sxm", 2)),
        ("x", "A100-80GB", 2, None, ("nvidia-a100-80-sxm", 2)),
        ("x", "NVIDIA H100 NVL", 1, None, ("nvidia-h100-nvl", 1)),
        ("x", "V100", 1, 16, ("", 0)),
        ("x", "V100", 1, 32, ("nvidia-v100-32", 1)),
        ("x", "MI250X", 8, None, ("amd-mi250x", 4)),
        ("x", "tpu-v5litepod-8", 1, None, ("google-tpu-v5e", 8)),
        ("x", "tpu-v5p-8", 1, None, ("google-tpu-v5p", 4)),
        ("x", "tpu-v6e-4", 1, None, ("google-tpu-v6e", 4)),
        ("x", "tpu-v3-8", 1, None, ("", 0)),
        ("x", "H100", 0, None, ("", 0)),
        ("x", "B9000", 1, None, ("", 0)),
    ],
)
def test_names(sku, device, count, memory, found):
    accelerator, number, why_not = Names(ALIASES).find(sku, device, count, float("nan") if memory is None else memory)
    assert (accelerator, number) == found
    assert bool(why_not) == (accelerator == "")


def test_every_device_is_in_the_catalogue(repo_catalogue):
    from aifactory.inputs.importers.prices.names import DEVICES, MEMORY_CHOICES

    ids = set(DEVICES.values()) | {choice for choices in MEMORY_CHOICES.values() for _, choice in choices}
    assert ids <= repo_catalogue
    assert squeezed("Tesla T4") == "T4"


@pytest.fixture
def repo_catalogue():
    from aifactory.inputs.resources import data_dir

    return set(pd.read_csv(data_dir() / "catalogue" / "accelerators.csv")["accelerator_id"])


@pytest.mark.real
def test_the_published_tables_are_no_price_list_but_map_as_quotes(workspace, put, shared_dir, tmp_path):
    file = shared_dir / "data" / "catalogue" / "commitment_prices.csv"
    (done,) = refresh(workspace, str(file))
    assert "known format" in done.error


def test_settings_are_plain():
    assert SimpleNamespace(**vars(Settings(TODAY))).accept is False
