"""A month reported again sees what it saw: later rows are not there, and its hash stays."""

import dataclasses

import pandas as pd
import pytest

from aifactory.inputs.contracts import contract_names, load_contract
from aifactory.inputs.horizon import DATED, seen_hash, seen_until
from aifactory.inputs.workspace import load_workspace
from aifactory.report.inventory_page import later_run_warnings


def hashes(folder, period):
    tables = load_workspace(folder, period).tables
    return {name: seen_hash(table) for name, table in tables.items() if len(table)}


def test_rows_of_later_months_are_not_there(mini):
    ws = load_workspace(mini, "2026-09")
    assert ws.periods == ["2026-09"]
    assert ws.table("demand_windows")["window_start_utc"].max() < pd.Timestamp("2026-10-01", tz="UTC")
    assert ws.table("pools")["window_start_utc"].max() < pd.Timestamp("2026-10-01", tz="UTC")
    assert set(ws.table("billing")["invoice_month"]) == {"2026-09"}
    assert set(load_workspace(mini, "2026-10").table("billing")["invoice_month"]) == {"2026-09", "2026-10"}


def test_every_dated_table_of_the_contracts_is_cut():
    tables = {name: load_contract(name).empty() for name in contract_names()}
    tables["billing"] = pd.DataFrame(
        {"ChargePeriodStart": pd.to_datetime([], utc=True), "BillingPeriodStart": pd.to_datetime([], utc=True)}
    )
    assert seen_until(tables, "2026-10").keys() == tables.keys()
    assert set(DATED) <= set(tables)


@pytest.mark.parametrize(
    ("used", "billed", "kept"),
    [
        ("2026-09-30", "2026-09-01", True),
        ("2026-09-30", "2026-10-01", True),  # a late correction of the month
        ("2026-10-01", "2026-09-01", True),  # billed ahead
        ("2026-10-01", "2026-10-01", False),
    ],
)
def test_a_charge_counts_from_the_earlier_of_its_two_months(mini_ws, used, billed, kept):
    bill = pd.DataFrame(
        {
            "ChargePeriodStart": pd.to_datetime([used], utc=True),
            "BillingPeriodStart": pd.to_datetime([billed], utc=True),
        }
    )
    assert len(seen_until({**mini_ws.tables, "billing": bill}, "2026-09")["billing"]) == kept


def test_a_benchmark_of_later_counts_only_where_there_is_no_earlier_one(mini_ws):
    runs = pd.DataFrame(
        {
            "benchmark_id": ["old", "new", "alone"],
            "use_case_id": "chat",
            "accelerator_id": ["a", "a", "b"],
            "as_of": pd.to_datetime(["2026-09-30", "2026-10-01", "2026-10-20"]),
        }
    )
    tables = {**mini_ws.tables, "benchmarks": runs}
    seen = dataclasses.replace(mini_ws, period="2026-09", tables=seen_until(tables, "2026-09"))
    assert seen.table("benchmarks")["benchmark_id"].tolist() == ["old", "alone"]
    assert later_run_warnings(seen) == [
        "1 benchmark is later than this report (alone, up to 2026-10-20) and stands in for want of an earlier one of the "
        "same use case and accelerator."
    ]
    later = dataclasses.replace(mini_ws, tables=seen_until(tables, "2026-10"))
    assert len(later.table("benchmarks")) == 3
    assert later_run_warnings(later) == []


def test_a_plan_approved_later_does_not_exist_yet(mini_ws):
    plan = pd.DataFrame({"plan_period": ["2026-08", "2026-09", "2026-10"]})
    seen = seen_until({**mini_ws.tables, "approved_plan": plan, "approved_bands": plan}, "2026-09")
    assert seen["approved_plan"]["plan_period"].tolist() == ["2026-08", "2026-09"]
    assert seen["approved_bands"]["plan_period"].tolist() == ["2026-08", "2026-09"]


def test_orders_placed_later_or_by_the_own_plan_are_not_there(mini_ws):
    """July's plan sees contracts of July and before and firm orders of June's plan, placed or not; never its own."""
    book = pd.DataFrame(
        [("contract", None, "2026-07"), ("later", None, "2026-08"), ("june", "2026-06", "2026-09"), ("own", "2026-07", "2026-08")],
        columns=["order_id", "plan_period", "order_month"],
    )  # fmt: skip
    seen = seen_until({**mini_ws.tables, "commitments": book}, "2026-07")
    assert seen["commitments"]["order_id"].tolist() == ["contract", "june"]


def test_a_month_added_later_changes_nothing_before_it(mini):
    october = {name: (mini / f"{name}.csv").read_text() for name in ("demand_windows", "billing", "pools", "jobs")}
    whole = hashes(mini, "2026-09")
    for name, text in october.items():
        head, *rows = text.splitlines()
        kept = [row for row in rows if "2026-10-0" not in row.split("2026-09")[0] and not row.startswith("2026-10")]
        kept = [row for row in kept if name != "jobs" or "2026-10" not in row]
        (mini / f"{name}.csv").write_text("\n".join([head, *kept]) + "\n")
    assert hashes(mini, "2026-09") == whole


def test_late_data_change_their_month_and_those_after_it_only(mini):
    before = {month: hashes(mini, month) for month in ("2026-09", "2026-10")}
    row = "2026-10-31T00:00:00Z,1440,late-pool,us,nvidia-h100-sxm,on_demand,8,0.5,2800,0.5\n"
    with (mini / "pools.csv").open("a") as file:
        file.write(row)
    assert hashes(mini, "2026-09") == before["2026-09"]
    assert hashes(mini, "2026-10") != before["2026-10"]
    with (mini / "pools.csv").open("a") as file:
        file.write(row.replace("2026-10-31", "2026-09-30"))
    assert hashes(mini, "2026-09") != before["2026-09"]


def test_a_price_noted_later_waits_where_an_earlier_one_of_its_offer_is_known(mini_ws):
    rows = [("a", "x", 3.43, "2026-07-20"), ("b", "x", 2.50, "2026-10-12"), ("c", "x", 2.40, "2026-09-30"), ("d", "y", 9.0, "2026-11-01")]  # fmt: skip
    prices = pd.DataFrame(rows, columns=["price_id", "sku", "usd_per_accelerator_hour", "as_of"]).assign(
        provider="AWS", accelerator_id="a100", region="us-east-1", purchase_option="on_demand", term_months=0.0,
        upfront_fraction=float("nan"), as_of=lambda table: pd.to_datetime(table["as_of"]),
    )  # fmt: skip
    tables = {**mini_ws.tables, "prices": prices}
    assert seen_until(tables, "2026-09")["prices"]["price_id"].tolist() == ["a", "c", "d"]  # y has no other price
    assert seen_until(tables, "2026-10")["prices"]["price_id"].tolist() == ["a", "b", "c", "d"]


def test_hosted_prices_are_the_newest_known_by_the_end_of_the_month(mini_ws):
    """Unlike hardware, which is always for sale, a hosted model of next month has no price in this one."""
    rows = [("old", "2026-06-30", 3.0), ("old", "2026-10-14", 2.0), ("old", "2026-11-24", 1.0), ("new", "2026-11-24", 9.0)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["api_model", "as_of", "input_usd_per_mtok"])
    tables = {**mini_ws.tables, "api_prices": table.assign(as_of=pd.to_datetime(table["as_of"]))}
    known = {month: seen_until(tables, month)["api_prices"] for month in ("2026-05", "2026-09", "2026-10", "2026-11")}
    assert {month: frame["input_usd_per_mtok"].tolist() for month, frame in known.items()} == {
        "2026-05": [], "2026-09": [3.0], "2026-10": [2.0], "2026-11": [1.0, 9.0],
    }  # fmt: skip


def test_the_catalogue_holds_hosted_prices_for_the_months_of_the_sample(mini):
    for month in ("2026-09", "2026-10"):
        table = load_workspace(mini, month).table("api_prices")
        assert len(table) > 50
        assert table["api_model"].is_unique
        assert table["as_of"].max() <= pd.Timestamp(f"{month}-01") + pd.offsets.MonthEnd()


def test_own_hosted_prices_replace_the_bundled_ones_from_their_date_on(mini):
    columns = ",".join(load_contract("api_prices").columns)
    row = {"api_model": "gpt-4o", "provider": "openai", "input_usd_per_mtok": "2", "output_usd_per_mtok": "8"}
    row |= {"source": "contract", "as_of": "2026-10-01", "confidence": "measured"}
    cells = ",".join(row.get(name, "") for name in load_contract("api_prices").columns)
    (mini / "api_prices.csv").write_text(
        f"{columns}\n{cells}\n{cells.replace('2026-10-01', '2026-10-20').replace(',8,', ',7,')}\n"
    )

    def held(month):
        table = load_workspace(mini, month).table("api_prices").set_index("api_model")
        return float(table.loc["gpt-4o", "output_usd_per_mtok"])

    assert held("2026-10") == 7.0  # not the bundled price of 14 October, nor the own one before it
    assert held("2026-09") == 10.0


def test_a_month_reported_again_warns_of_no_later_one(mini):
    """A pool draws more than its hardware can, first in October, then in September: each month has its own reading, under its row."""
    row = "2026-10-31T00:00:00Z,1440,late-pool,us,nvidia-h100-sxm,on_demand,8,0.5,9000,0.5\n"
    with (mini / "pools.csv").open("a") as file:
        file.write(row)

    def warned(month):
        checks = load_workspace(mini, month).checks.query("table == 'pools' and status == 'warned'")
        return [int(number) for number in checks["row"]]

    assert warned("2026-09") == []
    last = len((mini / "pools.csv").read_text().splitlines())
    assert warned("2026-10") == [last]
    with (mini / "pools.csv").open("a") as file:
        file.write(row.replace("2026-10-31", "2026-09-30"))
    assert warned("2026-09") == [last + 1]
