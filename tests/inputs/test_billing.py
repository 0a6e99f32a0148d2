"""What a bill says between the lines, against hand calculation, truth files and the FOCUS examples."""

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs.billing import accelerator_finder, derive_billing, match_accelerators, purchase_option
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.bills import read_bill
from aifactory.inputs.money import exact_total, sum_exact
from aifactory.inputs.tables import read_source
from aifactory.inputs.telemetry import conform

ALIASES = pd.DataFrame(
    {
        "alias": ["p5.48xlarge", "A100", "nvidia-l4", "nvidia-l40s", "v5e"],
        "accelerator_id": ["nvidia-h100-sxm", "nvidia-a100-80-sxm", "nvidia-l4", "nvidia-l40s", "google-tpu-v5e"],
        "accelerators": [8.0, 1.0, 1.0, 1.0, 4.0],
        "kind": ["instance_type", "device_name", "device_name", "device_name", "instance_type"],
        "confidence": ["measured", "assumed", "assumed", "assumed", "measured"],
    }
)
NAMES = {
    "nvidia-h100-sxm": "H100", "nvidia-l4": "L4", "aws-trainium1": "Trainium1", "google-tpu-v5e": "TPU v5e",
    "nvidia-a100-80-pcie": "A100", "(none)": "(none)",
}  # fmt: skip
AMOUNTS = st.decimals(min_value=-(10**6), max_value=10**6, places=6, allow_nan=False)


def bill(*rows):
    """Charges of October 2026, 1 USD each, with the given columns."""
    base = {
        "BillingPeriodStart": "2026-10-01", "ChargePeriodStart": "2026-10-01", "ChargePeriodEnd": "2026-11-01",
        "ProviderName": "AWS", "ChargeCategory": "Usage", "BillingCurrency": "USD",
        "BilledCost": Decimal(1), "EffectiveCost": Decimal(1),
    }  # fmt: skip
    frame = pd.DataFrame([base | row for row in rows])
    for column in ("BillingPeriodStart", "ChargePeriodStart", "ChargePeriodEnd"):
        frame[column] = pd.to_datetime(frame[column], utc=True)
    return conform(frame, "billing")


def accounts(**teams):
    rows = [{"SubAccountId": a, "team": t, "business_unit": u} for a, (t, u) in teams.items()]
    return conform(pd.DataFrame(rows, columns=["SubAccountId", "team", "business_unit"]), "account_map")


def derived(*rows, mapped=None, aliases=ALIASES):
    return derive_billing(bill(*rows), accounts() if mapped is None else mapped, aliases)


@pytest.mark.parametrize(
    ("row", "option", "line"),
    [
        ({}, "on_demand", "unattributed usage"),
        ({"Tags": '{"team": "cx"}'}, "on_demand", "attributed usage"),
        ({"PricingCategory": "Dynamic"}, "spot", "unattributed usage"),
        ({"PricingCategory": "Committed"}, "committed", "unattributed usage"),
        ({"CommitmentDiscountStatus": "Used"}, "committed", "unattributed usage"),
        ({"CommitmentDiscountStatus": "Unused"}, "committed_unused", "idle commitment"),
        ({"ChargeCategory": "Purchase", "EffectiveCost": Decimal(0)}, "commitment_purchase", "commitment purchase"),
        ({"ChargeCategory": "Purchase", "PricingCategory": "Committed"}, "other_purchase", "unattributed usage"),
        ({"ChargeCategory": "Purchase", "Tags": '{"team": "cx"}'}, "other_purchase", "attributed usage"),
        ({"ChargeCategory": "Purchase", "ChargeClass": "Correction"}, "other_purchase", "adjustment and correction"),
        ({"ChargeCategory": "Tax"}, "tax", "tax"),
        ({"ChargeCategory": "Credit", "PricingCategory": "Committed"}, "credit", "credit"),
        ({"ChargeCategory": "Adjustment"}, "adjustment", "adjustment and correction"),
        ({"ChargeClass": "Correction"}, "on_demand", "adjustment and correction"),
        ({"ChargeClass": "Correction", "ChargeCategory": "Tax"}, "tax", "tax"),
        ({"ChargeDescription": "H100 SXM Depreciation"}, "own_kit", "unattributed usage"),
        (
            {"SkuMeter": "amortisation", "PricingCategory": "Other", "Tags": '{"team": "cx"}'},
            "own_kit",
            "attributed usage",
        ),
    ],
)
def test_a_charge_has_one_option_and_one_line(row, option, line):
    charge = derived(row).iloc[0]
    assert (charge["purchase_option"], charge["cost_line"]) == (option, line)


@pytest.mark.parametrize(
    ("tags", "account", "team", "unit"),
    [
        ('{"team": "cx", "business_unit": "retail"}', "a1", "cx", "retail"),
        ('{"Team ": " cx ", "Business-Unit": "retail"}', "a1", "cx", "retail"),
        ('{"team": ""}', "a1", "media", "marketing"),
        ('{"team": "cx"}', "a1", "cx", "marketing"),
        (None, "a1", "media", "marketing"),
        (None, "a2", "(unattributed)", "(unattributed)"),
        (None, None, "(unattributed)", "(unattributed)"),
        ("not json", "a1", "media", "marketing"),
        ("[1, 2]", "a1", "media", "marketing"),
        ('{"team": ["cx"]}', "a1", "media", "marketing"),
        ('{"team": null}', "a1", "media", "marketing"),
        ("[" * 100_000, "a1", "media", "marketing"),
    ],
)
def test_the_tag_wins_over_the_account(tags, account, team, unit):
    charge = derived({"Tags": tags, "SubAccountId": account}, mapped=accounts(a1=("media", "marketing"))).iloc[0]
    assert (charge["team"], charge["business_unit"]) == (team, unit)
    assert charge["account"] == (account or "(none)")


def test_a_tag_with_an_endless_number_is_no_tag():
    assert derived({"Tags": '{"team": ' + "9" * 5000 + "}"})["team"].tolist() == ["(unattributed)"]


@pytest.mark.parametrize(
    ("row", "accelerator", "hours"),
    [
        ({"SkuPriceDetails": '{"InstanceType": "p5.48xlarge"}', "ConsumedUnit": "Hours"}, "nvidia-h100-sxm", 80.0),
        ({"SkuMeter": "P5.48XLARGE hours", "ConsumedUnit": "hrs"}, "nvidia-h100-sxm", 80.0),
        ({"ChargeDescription": "NVIDIA-L40S on demand", "ConsumedUnit": "Hour"}, "nvidia-l40s", 10.0),
        ({"SkuId": "v5e-pod", "ConsumedUnit": "Hours"}, "google-tpu-v5e", 40.0),
        ({"SkuMeter": "p5.48xlarge", "ConsumedUnit": "Minutes"}, "nvidia-h100-sxm", 80.0 / 60),
        ({"SkuMeter": "p5.48xlarge", "ConsumedUnit": "GPU-Hours"}, "nvidia-h100-sxm", 10.0),  # of each accelerator
        ({"SkuId": "v5e-pod", "ConsumedUnit": "TPU chip hours"}, "google-tpu-v5e", 10.0),
        ({"SkuMeter": "p5.48xlarge", "ConsumedUnit": "vCPU-Hours"}, "nvidia-h100-sxm", None),
        ({"ChargeDescription": "xa100", "ConsumedUnit": "Hours"}, "(none)", None),
        ({"ChargeDescription": "a1000", "ConsumedUnit": "Hours"}, "(none)", None),
        ({"ChargeDescription": "A100 storage", "ConsumedUnit": "GB"}, "nvidia-a100-80-sxm", None),
        ({"ChargeDescription": "A100", "ConsumedUnit": "Hours", "CommitmentDiscountStatus": "Unused"}, "(none)", None),
        ({"ChargeDescription": "A100", "ConsumedUnit": "Hours", "ChargeCategory": "Credit"}, "(none)", None),
        ({"SkuPriceDetails": "{broken", "ConsumedUnit": "Hours"}, "(none)", None),
        ({}, "(none)", None),
    ],
)
def test_hours_are_quantity_times_accelerators_of_the_instance(row, accelerator, hours):
    charge = match_accelerators(bill({"ConsumedQuantity": 10.0} | row), ALIASES).iloc[0]
    assert charge["accelerator_id"] == accelerator
    np.testing.assert_equal(charge["accelerator_hours"], np.nan if hours is None else hours)


def test_an_alias_is_found_at_its_second_place():
    charge = bill({"ChargeDescription": "pool-a100x, A100 hours"})
    assert match_accelerators(charge, ALIASES)["accelerator_id"].tolist() == ["nvidia-a100-80-sxm"]


def test_usage_counts_in_its_month_and_the_charge_in_its_invoice():
    charge = derived({"ChargePeriodStart": "2026-09-30"}).iloc[0]
    assert (charge["month"], charge["invoice_month"]) == ("2026-09", "2026-10")


def test_an_empty_bill_gets_the_derived_columns():
    empty = derive_billing(load_contract("billing").empty(), accounts(), ALIASES)
    assert len(empty) == 0
    assert {"team", "accelerator_id", "purchase_option", "cost_line", "month"} <= set(empty.columns)


ROWS = st.fixed_dictionaries(
    {
        "ChargeCategory": st.sampled_from(["Usage", "Purchase", "Tax", "Credit", "Adjustment"]),
        "PricingCategory": st.sampled_from([None, "Standard", "Dynamic", "Committed", "Other"]),
        "CommitmentDiscountStatus": st.sampled_from([None, "Used", "Unused"]),
        "ChargeClass": st.sampled_from([None, "Correction"]),
        "SubAccountId": st.sampled_from([None, "a1", "a2"]),
        "Tags": st.sampled_from([None, '{"team": "cx"}', "broken"]),
        "EffectiveCost": AMOUNTS,
        "BilledCost": AMOUNTS,
    }
)


@given(st.lists(ROWS, min_size=1, max_size=8))
@settings(max_examples=40)
def test_every_split_adds_up_to_the_bill_to_the_last_digit(rows):
    table = derived(*rows, mapped=accounts(a1=("media", "marketing")))
    for column in ("BilledCost", "EffectiveCost"):
        total = sum((row[column] for row in rows), Decimal(0))
        for by in ("team", "business_unit", "account", "accelerator_id", "purchase_option", "cost_line"):
            assert exact_total(sum_exact(table, by, [column])[column]) == total
    pd.testing.assert_frame_equal(table[load_contract("billing").columns], bill(*rows))


def test_sums_are_exact_where_floats_are_not():
    tenths = [Decimal("0.1")] * 3
    assert exact_total(tenths) == Decimal("0.3")
    assert sum(map(float, tenths)) != 0.3
    assert exact_total([]) == 0


def test_a_missing_amount_is_refused():
    with pytest.raises(TypeError):
        exact_total([Decimal(1), None])


def test_a_missing_amount_of_pandas_is_refused():
    with pytest.raises(TypeError):
        exact_total([Decimal(1), pd.NA])


def test_groups_are_sorted_by_amount_and_rows_without_group_are_kept():
    frame = pd.DataFrame({"team": ["a", "b", None, "a"], "cost": [Decimal(x) for x in ("1.5", "7", "2", "0.5")]})
    table = sum_exact(frame, "team", ["cost"])
    assert table.values.tolist() == [["b", Decimal(7)], ["(none)", Decimal(2)], ["a", Decimal("2.0")]]


@given(st.lists(st.tuples(st.sampled_from("abc"), AMOUNTS), min_size=1, max_size=20))
@settings(max_examples=40)
def test_group_sums_are_those_of_whole_micros(pairs):
    frame = pd.DataFrame(pairs, columns=["team", "cost"])
    micros = frame.assign(cost=[int(amount * 10**6) for amount in frame["cost"]]).groupby("team")["cost"].sum()
    found = sum_exact(frame, "team", ["cost"]).set_index("team")["cost"]
    assert {team: int(amount * 10**6) for team, amount in found.items()} == micros.to_dict()


def test_devices_at_the_edge_are_known_by_their_names(sample_ws):
    """The longest name counts, and a name that goes on (Hailo-8L) is another device."""
    aliases = sample_ws.table("accelerator_aliases")
    for text, expected in (
        ("Jetson Orin Nano depreciation", "nvidia-jetson-orin-nano"),
        ("Hailo-8 M.2", "hailo-8"),
        ("Hailo-10H", "hailo-10h"),
        ("Coral Edge TPU", "google-coral-usb"),
        ("Jetson AGX Thor kit", "nvidia-jetson-thor"),
        ("Hailo-8L", None),
    ):
        assert accelerator_finder(aliases)(text) == expected


@pytest.mark.parametrize(
    ("text", "accelerator", "count"),
    [
        ("Nvidia Tesla A100 GPU running in Iowa", "nvidia-a100-40-sxm", 1),  # of this price list, 80 GB say so
        ("Nvidia Tesla A100 80GB GPU running in Iowa", "nvidia-a100-80-sxm", 1),
        ("NVIDIA A100-SXM4-40GB", "nvidia-a100-40-sxm", 1),
        ("8 x NVIDIA A100 40 GB PCIe", "nvidia-a100-40-pcie", 8),
        ("H100 NVL 94GB", "nvidia-h100-nvl", 1),
        ("server with 8x H100 (640 GB)", "nvidia-h100-sxm", 8),
        ("slice v2x2 with TPU v5p", "google-tpu-v5p", 1),
        ("own nvidia-a100-40-sxm, depreciation", "nvidia-a100-40-sxm", 1),
        ("B200 192GB", "nvidia-b200-sxm", 1),
        ("Jetson AGX Orin 64GB", "nvidia-jetson-agx-orin", 1),
        ("Jetson AGX Orin Developer Kit (32 GB)", "(none)", None),
        ("Jetson Orin Nano 4GB", "(none)", None),
        ("Tesla V100-SXM2-16GB", "(none)", None),
    ],
)
def test_the_size_that_stands_after_a_name_is_that_of_the_device(sample_ws, text, accelerator, count):
    row = {"ChargeDescription": text, "ConsumedQuantity": 10.0, "ConsumedUnit": "Hours"}
    found = match_accelerators(bill(row), sample_ws.table("accelerator_aliases")).iloc[0]
    assert found["accelerator_id"] == accelerator
    assert count is None or found["accelerator_hours"] == 10.0 * count


@pytest.fixture(scope="module")
def synthetic(shared_dir, sample_ws):
    charges = read_source(shared_dir / "data" / "billing" / "focus_1_2_synthetic_ai.csv.gz", load_contract("billing"))
    empty = load_contract("account_map").empty()
    table = derive_billing(charges, empty, sample_ws.table("accelerator_aliases"))
    table["accelerator"] = table["accelerator_id"].map(NAMES)
    return table.replace({column: {"(unattributed)": "(untagged)"} for column in ("team", "business_unit")})


@pytest.fixture(scope="module")
def truth(shared_dir):
    path = shared_dir / "data" / "billing" / "focus_1_2_synthetic_ai.truth.json"
    return json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)


def totals(table, column, amount="EffectiveCost"):
    return {name: sum(rows, Decimal(0)) for name, rows in table.groupby(column)[amount]}


@pytest.mark.real
@pytest.mark.parametrize(
    ("dimension", "column"),
    [("team", "team"), ("business_unit", "business_unit"), ("sub_account", "account"), ("accelerator", "accelerator"),
     ("purchase_option", "purchase_option"), ("provider", "ProviderName")],
)  # fmt: skip
def test_the_bill_with_accelerators_splits_as_the_truth_says(synthetic, truth, dimension, column):
    assert totals(synthetic, column) == truth["effective_by"][dimension]


@pytest.mark.real
def test_the_bill_with_accelerators_adds_up(synthetic, truth):
    assert len(synthetic) == truth["rows"]
    for column, name in (("BilledCost", "billed"), ("EffectiveCost", "effective"), ("ListCost", "list")):
        assert exact_total(synthetic[column]) == truth[name]
    assert totals(synthetic, "cost_line")["idle commitment"] == truth["unused_commitment_effective"]
    assert totals(synthetic, "purchase_option", "BilledCost")["tax"] == truth["tax_billed"]
    assert totals(synthetic, "purchase_option", "BilledCost")["credit"] == truth["credit_billed"]
    outside = synthetic[synthetic["month"] != truth["period"]]
    assert exact_total(outside["BilledCost"]) == truth["outside_usage_month_billed"]
    assert set(synthetic["invoice_month"]) == {truth["period"]}
    tokens = synthetic[synthetic["ConsumedUnit"].str.contains("tokens", na=False)]
    assert exact_total(tokens["EffectiveCost"]) == truth["token_effective"]


@pytest.mark.real
def test_the_accelerator_hours_of_the_bill_are_those_of_the_truth(synthetic, truth):
    hours = synthetic.groupby("accelerator")["accelerator_hours"].sum().drop("(none)").to_dict()
    assert hours == {name: float(value) for name, value in truth["accelerator_hours"].items()}


@pytest.mark.real
def test_the_official_sample_adds_up(shared_dir, sample_ws):
    folder = shared_dir / "data" / "billing"
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))["focus_1_0_official_sample.csv.gz"]
    charges = read_source(folder / "focus_1_0_official_sample.csv.gz", load_contract("billing"))
    table = derive_billing(charges, accounts(), sample_ws.table("accelerator_aliases"))

    def expected(name):
        return {key: Decimal(value) for key, value in truth[name].items()}

    assert len(table) == truth["rows"]
    for column, name in (("BilledCost", "billed"), ("EffectiveCost", "effective"), ("ListCost", "list")):
        assert exact_total(table[column]) == Decimal(truth[name])
    assert totals(table, "ProviderName", "BilledCost") == expected("billed_by_provider")
    assert totals(table, "ChargeCategory") == expected("effective_by_charge_category")
    by_price = totals(table.fillna({"PricingCategory": "(none)"}), "PricingCategory")
    assert by_price == expected("effective_by_pricing_category")
    tagged = expected("effective_by_tag_business_unit")
    tagged["(unattributed)"] = tagged.pop("(untagged)")
    assert totals(table, "business_unit") == tagged
    assert table["Tags"].isna().sum() == truth["untagged_rows"]
    hours = table[table["accelerator_id"] != "(none)"].groupby("accelerator_id")["accelerator_hours"]
    assert hours.size().to_dict() == {"nvidia-a10g": 8}  # eight charges of g5.4xlarge, one accelerator each
    assert hours.sum()["nvidia-a10g"] == pytest.approx(5 + 0.296111 + 0.683889 + 0.303056)


@pytest.mark.real
def test_what_a_commitment_costs_is_what_was_used_and_what_lay_idle(shared_dir, tmp_path):
    """In the FOCUS examples the amortised cost of each commitment equals its purchase."""
    source = pd.read_csv(shared_dir / "data/billing/focus_1_2_spec_examples.csv", dtype="str", keep_default_na=False)
    dated = source[source["ChargePeriodEnd"].str.endswith("Z") & ~source["ChargePeriodEnd"].str.contains("T30")]
    dated = dated.assign(ProviderName="AWS", BillingCurrency="USD")
    dated.drop(columns="scenario").to_csv(tmp_path / "bill.csv", index=False)
    frame = read_source(tmp_path / "bill.csv", load_contract("billing"))
    frame = frame.assign(option=purchase_option(frame).to_numpy(), scenario=dated["scenario"].to_numpy())
    assert len(frame) == 23
    for _, rows in frame[frame["scenario"].str.contains("flexibility")].groupby("scenario"):
        bought = exact_total(rows.loc[rows["option"] == "commitment_purchase", "BilledCost"])
        amortised = exact_total(rows.loc[rows["option"].isin(["committed", "committed_unused"]), "EffectiveCost"])
        assert bought == amortised > 0
    half_idle = frame[frame["scenario"].str.endswith("usage_scenario_3")]
    assert totals(half_idle, "option") == {"committed": Decimal("0.75"), "committed_unused": Decimal("0.25")}


@pytest.mark.real
def test_dates_in_mixed_formats_are_refused_with_their_row(shared_dir):
    with pytest.raises(InputError, match=r"row 27, column 'BillingPeriodStart': value '4/1/25': must be a UTC time"):
        read_bill(shared_dir / "data" / "billing" / "focus_1_2_spec_examples.csv")


@pytest.mark.real
def test_a_focus_file_keeps_its_text_amounts(shared_dir):
    frame = read_bill(shared_dir / "data" / "billing" / "focus_1_0_official_sample.csv.gz").table
    assert exact_total(frame["BilledCost"]) == Decimal("20.52022672899")
    assert "SkuMeter" not in frame


def matched(**row):
    row = {"ConsumedQuantity": 10.0, "ConsumedUnit": "Hours"} | row
    return match_accelerators(bill(row), ALIASES).iloc[0].tolist()


def test_an_instance_type_wins_over_the_name_of_a_device():
    text = "p5.48xlarge with nvidia-l40s and A100"
    assert matched(ChargeDescription=text) == ["nvidia-h100-sxm", 80.0, "measured"]


def test_a_device_counts_as_often_as_the_details_say():
    details = '{"GpuCount": %s}'
    assert matched(SkuMeter="A100 hours", SkuPriceDetails=details % 4) == ["nvidia-a100-80-sxm", 40.0, "assumed"]
    assert matched(SkuMeter="A100 hours") == ["nvidia-a100-80-sxm", 10.0, "assumed"]
    for odd in ('"many"', "0", "-2", "null", "1e999"):
        assert matched(SkuMeter="A100 hours", SkuPriceDetails=details % odd)[1] == 10.0


def test_blanks_underscores_and_the_word_standard_make_no_difference():
    azure = ALIASES.assign(alias=["Standard_ND96isr_H100_v5", *ALIASES["alias"][1:]])
    for meter in ("ND96isr H100 v5", "Standard_ND96isr_H100_v5 Spot", "ND96isr_H100_v5/Low Priority"):
        found = match_accelerators(bill({"SkuMeter": meter}), azure)["accelerator_id"].tolist()
        assert found == ["nvidia-h100-sxm"], meter
