"""Every file of the shared collection of bad inputs: refused with its place, or read with the right numbers."""

import csv
import tempfile
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.inputs.billing import derive_billing
from aifactory.inputs.checks import CHECKS
from aifactory.inputs.contracts import Field, load_contract
from aifactory.inputs.importers.source import source_contract
from aifactory.inputs.plan import load_plan
from aifactory.inputs.tables import read_source, read_table, read_text
from aifactory.inputs.yaml_file import read_yaml

pytestmark = pytest.mark.real

BILL = load_contract("billing")
#: The samples have no ProviderName; with it optional their other columns can be read.
SHORT_BILL = replace(
    BILL, fields=tuple(replace(f, required=f.required and f.name != "ProviderName") for f in BILL.fields)
)
LOG = source_contract(
    "log",
    {"ts": "datetime", "workload": "string", "in_tokens": "integer", "out_tokens": "integer", "ttft_ms": "number",
     "e2e_ms": "number", "team": "string"},
)  # fmt: skip
INVENTORY = source_contract("inventory", {"use_case": "string", "team": "string", "requests_per_month": "integer"})
PRICE = replace(
    load_contract("prices").field("usd_per_accelerator_hour"), name="price_per_accelerator_hour", required=True
)
PRICES = replace(
    source_contract("prices", {"purchase_option": "string"}), fields=(Field("platform", "string", ""), PRICE)
)
SHARE = replace(
    source_contract("shares", {"ts": "datetime"}), fields=(replace(load_contract("pools").field("utilization")),)
)

#: file -> (contract, words of the refusal)
REFUSED = {
    "07_duplicate_headers.csv": (BILL, "row 1, column 'BilledCost': the column is given twice"),
    "09_missing_column.csv": (LOG, "row 1, column 'out_tokens': required column is missing"),
    "11_zero_bytes.csv": (BILL, "the file is empty"),
    "15_nul_bytes.csv": (LOG, "row 2: holds a NUL byte"),
    "17_azure_german_headers.csv": (BILL, "required column is missing; found: Abonnement-GUID"),
    "19_nan_inf_prices.csv": (PRICES, "row 3, column 'price_per_accelerator_hour': value 'inf'"),
    "21_negative_price.csv": (PRICES, "row 2, column 'price_per_accelerator_hour': value '-2.0': must be above 0"),
    "31_percent_and_fraction.csv": (
        SHARE,
        "row 3, column 'utilization': value '85.0': must be 0 or more; at most 1; is it percent? 85 % is 0.85",
    ),
    "41_ambiguous_dates.csv": (SHORT_BILL, "row 2, column 'ChargePeriodStart': value '03/04/2026'"),
    "43_actual_plus_amortized.csv": (BILL, "required column is missing; found: Date, ChargeType"),
    "63_zip_slip.zip": (BILL, "holds a ZIP archive or spreadsheet"),
    "65_pickle.pkl": (BILL, "65_pickle.pkl"),
    "67_string_tokens.parquet": (LOG, "row 2, column 'in_tokens': value 'nine hundred': must be a whole number"),
}
REFUSED_PLANS = {
    "57_python_tag.yaml": "could not determine a constructor",
    "59_duplicate_keys.yaml": "line 3: key 'utilization_target' is given twice",
    "69_secrets.yaml": "api_key",
    "75_unknown_param.yaml": "utilisation_target",
}
READ: dict[str, Callable] = {}
ELSEWHERE = {
    "README.md", "cases.csv", "cases_runtime.csv",  # about the collection
    "61_run_ids_traversal.txt",  # names of runs belong to the runner
}  # fmt: skip
FAULTY = {
    "03_cp1252_quotes.csv", "27_seconds_in_ms_column.csv", "37_mixed_offsets.csv", "45_future_timestamps.csv",
    "47_prom_error.json", "49_prom_empty.json", "71_deep_json.json",
}  # fmt: skip


@pytest.fixture
def bad(shared_dir):
    return shared_dir / "data" / "bad_inputs"


def reads(name):
    """Register the test of a file that must read."""

    def keep(function):
        READ[name] = function
        return function

    return keep


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_must_be_refused_is_refused(bad, name):
    contract, words = REFUSED[name]
    with pytest.raises(InputError) as caught:
        read_source(bad / name, contract)
    assert str(caught.value).startswith(name)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", REFUSED_PLANS)
def test_a_plan_that_must_be_refused_is_refused(bad, name):
    with pytest.raises(InputError) as caught:
        load_plan(bad / name)
    assert REFUSED_PLANS[name] in str(caught.value)
    assert not (Path(tempfile.gettempdir()) / "aifactory_pwned_57").exists()


def test_a_pickle_by_another_name_is_refused(bad, tmp_path):
    for name in ("t.parquet", "t.csv", "t.csv.gz"):
        (tmp_path / name).write_bytes((bad / "65_pickle.pkl").read_bytes())
        with pytest.raises(InputError, match=name):
            read_source(tmp_path / name, BILL)


@pytest.mark.parametrize(
    "name", ["23_literal_null.csv", "25_leading_zero_ids.csv", "33_currency_mix.csv", "39_outside_month.csv"]
)
def test_a_bill_without_provider_is_refused_by_the_contract(bad, name):
    with pytest.raises(InputError, match="column 'ProviderName': required column is missing"):
        read_source(bad / name, BILL)


@reads("01_utf8_bom.csv")
def test_a_byte_order_mark_is_no_part_of_the_first_column(bad):
    log = read_source(bad / "01_utf8_bom.csv", LOG)
    assert len(log) == 3
    assert log["in_tokens"].tolist() == [900] * 3


@reads("05_semicolon_decimal_comma.csv")
def test_a_decimal_comma_beside_semicolons_is_read(bad):
    bill = read_source(bad / "05_semicolon_decimal_comma.csv", SHORT_BILL)
    assert [bill[name].tolist() for name in ("BilledCost", "EffectiveCost")] == [[Decimal("1234.56")]] * 2


@reads("13_embedded_newlines.csv")
def test_a_newline_stays_inside_its_cell(bad):
    table = read_source(bad / "13_embedded_newlines.csv", INVENTORY)
    assert table["use_case"].tolist() == ['Multi\r\nline, "quoted" case', "Plain"]
    assert table["requests_per_month"].tolist() == [10, 20]


@reads("23_literal_null.csv")
def test_the_word_null_is_no_category_and_no_tag(bad, sample_ws):
    bill = read_source(bad / "23_literal_null.csv", SHORT_BILL)
    assert bill["PricingCategory"].isna().sum() == 1
    assert bill["CommitmentDiscountStatus"].isna().all()
    assert derived(bill, sample_ws)["team"].tolist() == ["(unattributed)", "cx"]


@reads("25_leading_zero_ids.csv")
def test_an_account_keeps_its_leading_zeros(bad):
    charge = read_source(bad / "25_leading_zero_ids.csv", SHORT_BILL).iloc[0]
    assert (charge["BillingAccountId"], charge["SubAccountId"]) == ("000123456789", "001")


@reads("29_ttft_after_e2e.csv")
def test_a_first_token_after_the_last_is_found(bad, sample_ws):
    log = read_source(bad / "29_ttft_after_e2e.csv", LOG)
    found = list(CHECKS["ttft_within_e2e"][1]({"requests": log}, sample_ws.plan))
    assert [(f.status, f.row) for f in found] == [("failed", 2)]


@reads("33_currency_mix.csv")
def test_two_currencies_are_not_added(bad, sample_ws):
    bill = read_source(bad / "33_currency_mix.csv", SHORT_BILL)
    found = list(CHECKS["one_currency"][1]({"billing": bill}, sample_ws.plan))
    assert [(f.status, f.row, f.value) for f in found] == [("failed", 3, "EUR")]


@reads("35_dst_fall_back_naive.csv")
def test_times_without_a_zone_lose_no_row_and_are_said(bad):
    table = read_table_of(bad / "35_dst_fall_back_naive.csv")
    assert table.frame["in_tokens"].sum() == 600
    assert [w.rule for w in table.warnings] == ["3 times without a zone were read as UTC"]


@reads("39_outside_month.csv")
def test_usage_of_another_month_is_reported_apart(bad, sample_ws):
    bill = derived(read_source(bad / "39_outside_month.csv", SHORT_BILL), sample_ws)
    usage = bill.groupby("month")["BilledCost"].sum().to_dict()
    assert usage == {"2026-10": Decimal(70), "2026-09": Decimal(30)}
    assert bill.groupby("invoice_month")["BilledCost"].sum().to_dict() == {"2026-10": Decimal(100)}
    found = list(CHECKS["bill_in_its_month"][1]({"billing": bill}, sample_ws.plan))
    assert [(f.status, f.row) for f in found] == [("warned", 3)]


@reads("51_formula_cells.csv")
def test_a_formula_is_text(bad):
    table = read_source(bad / "51_formula_cells.csv", INVENTORY)
    assert len(table) == 4
    assert [text[0] for text in table["use_case"]] == ["=", "+", "@", "-"]


@reads("53_script_in_team.csv")
def test_a_script_is_text(bad):
    assert read_source(bad / "53_script_in_team.csv", LOG)["team"].tolist() == [
        "<script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    ]  # fmt: skip


@reads("55_template_text.csv")
def test_a_template_is_text(bad):
    assert read_source(bad / "55_template_text.csv", INVENTORY)["use_case"].tolist() == [
        "{{ 7*7 }}", "{0.__class__.__mro__}", "%(x)s %n", "$(id) `id`",
    ]  # fmt: skip


@reads("73_sql_in_values.csv")
def test_a_database_command_is_text(bad):
    log = read_source(bad / "73_sql_in_values.csv", LOG)
    assert log["workload"].tolist() == ["x'; DROP TABLE requests; --", "O'Brien"]
    assert log["in_tokens"].sum() == 150


def test_every_file_of_the_collection_has_its_test(bad):
    covered = set(REFUSED) | set(REFUSED_PLANS) | set(READ) | ELSEWHERE | FAULTY
    assert {path.name for path in bad.iterdir()} == covered


def test_no_file_that_must_be_refused_is_among_those_that_read(bad):
    rows = list(csv.DictReader((bad / "cases.csv").read_text(encoding="utf-8").splitlines()))
    must = {row["file"] for row in rows if row["outcome"] == "reject"}
    assert must - set(REFUSED) - set(REFUSED_PLANS) - ELSEWHERE - FAULTY == {
        "33_currency_mix.csv"
    }  # refused by a check


def derived(bill, ws):
    return derive_billing(bill, load_contract("account_map").empty(), ws.table("accelerator_aliases"))


def read_table_of(path):
    keep = pd.read_csv(path, dtype="str")[LOG.columns]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        keep.to_csv(copy, index=False)
        return read_table(copy, LOG)


def test_both_prices_that_are_no_numbers_are_named(bad):
    with pytest.raises(InputError) as refusal:
        read_source(bad / "19_nan_inf_prices.csv", PRICES)
    assert all(f"row {row}, column 'price_per_accelerator_hour'" in str(refusal.value) for row in (2, 3))


def test_windows_text_is_read_with_a_warning(bad):
    table, notes = read_text(bad / "03_cp1252_quotes.csv")
    assert table["use_case"].tolist() == ["Citizen\u2019s helper \u2013 v2"]
    assert notes == [("not UTF-8: read as Windows text (cp1252)", 1)]


def test_times_of_several_offsets_are_one_hour(bad):
    log = read_source(bad / "37_mixed_offsets.csv", LOG)
    assert set(log["ts"]) == {pd.Timestamp("2026-10-05T09:00Z")}


@pytest.mark.parametrize("name", ["47_prom_error.json", "49_prom_empty.json", "71_deep_json.json"])
def test_a_file_of_another_kind_is_refused(bad, name):
    try:
        read_source(bad / name, BILL)
    except InputError:
        return
    except Exception as error:
        pytest.fail(type(error).__name__)
    pytest.fail("was read")


def test_a_secret_is_not_repeated_in_the_refusal(bad):
    with pytest.raises(InputError) as caught:
        load_plan(bad / "69_secrets.yaml")
    secrets = [value for key, value in read_yaml(bad / "69_secrets.yaml").items() if "key" in key]
    assert not any(secret in str(caught.value) for secret in secrets)
