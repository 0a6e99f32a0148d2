"""Imported rows in a workspace: appended, never doubled, written whole."""

import json
from decimal import Decimal

import pandas as pd
import pytest
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.cli.printing import print_import
from aifactory.errors import InputError
from aifactory.inputs.importers.command import Target, import_files
from aifactory.inputs.importers.store import add_rows, held_rows
from aifactory.inputs.workspace import load_workspace

HEAD = "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,BillingPeriodStart,ProviderName,BillingAccountId,x_cost_center\n"
CHARGE = "{0},{0},USD,Usage,{1}-05T00:00:00Z,{1}-06T00:00:00Z,{1}-01T00:00:00Z,{2},42,cc-1\n"
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:16:46.6805900,10,1"
PHILLY = "timestamp,duration,num_gpus\n2017-10-09 07:01:55,3600,4\n"
AGENTS = "session,idx,t,in,out\ns1,0,0,100,5\ns1,1,60,120,7\ns2,0,0,90,4\n"


def bill(folder, *charges, name="bill.csv"):
    path = folder / name
    path.write_text(HEAD + "".join(CHARGE.format(*charge) for charge in charges))
    return path


def imported(path, into, kind="billing", *, replace=False, **target):
    return import_files(kind, [path], into, Target(**target), replace=replace)[0]


def total(workspace):
    return sum(load_workspace(workspace).table("billing")["BilledCost"])


def test_a_bill_is_added_to_the_months_that_are_there(mini, tmp_path):
    before = total(mini)
    report = imported(bill(tmp_path, ("7.25", "2026-10", "GCP")), mini)
    assert report["written"] == "billing.csv"
    assert total(mini) == before + Decimal("7.25")


def test_the_same_bill_is_refused_twice_and_replaced_on_demand(mini, tmp_path):
    imported(bill(tmp_path, ("7.25", "2026-10", "GCP")), mini)
    once = total(mini)
    with pytest.raises(
        InputError, match=r"billing\.csv: already holds 1 rows of this delivery \(GCP, 42, 2026-10\); --replace"
    ):
        imported(bill(tmp_path, ("7.25", "2026-10", "GCP")), mini)
    assert total(mini) == once
    imported(bill(tmp_path, ("9.25", "2026-10", "GCP")), mini, replace=True)
    assert total(mini) == once + 2


@pytest.mark.parametrize("replace", [True, False])
def test_late_lines_beside_the_next_month_never_replace_a_whole_month(mini, tmp_path, replace):
    september = [(str(cents), "2026-09", "GCP") for cents in range(1, 6)]
    imported(bill(tmp_path, *september), mini)
    once = total(mini)
    late = bill(tmp_path, ("0.5", "2026-09", "GCP"), ("0.25", "2026-09", "GCP"), ("2", "2026-10", "GCP"))
    with pytest.raises(InputError, match=r"holds 5 rows of GCP, 42, 2026-09, the new file of several months only 2 of"):
        imported(late, mini, replace=replace)
    assert total(mini) == once
    imported(bill(tmp_path, ("0.5", "2026-09", "GCP")), mini, replace=True)  # a month by itself is its own export
    assert total(mini) == once - sum(range(1, 6)) + Decimal("0.5")


def test_another_month_of_the_same_account_is_another_delivery(mini, tmp_path):
    imported(bill(tmp_path, ("1", "2026-09", "GCP")), mini)
    imported(bill(tmp_path, ("2", "2026-10", "GCP")), mini)
    assert load_workspace(mini).table("billing")["ProviderName"].eq("GCP").sum() == 2


def test_own_columns_survive_later_imports(mini, tmp_path):
    imported(bill(tmp_path, ("1", "2026-09", "GCP")), mini)
    imported(bill(tmp_path, ("2", "2026-10", "GCP")), mini)
    assert pd.read_csv(mini / "billing.csv")["x_cost_center"].dropna().tolist() == ["cc-1", "cc-1"]


def test_nothing_is_written_if_one_of_the_files_cannot_be_read(mini, tmp_path):
    before = (mini / "billing.csv").read_bytes()
    broken = bill(tmp_path, ("x", "2026-10", "GCP"), name="broken.csv")
    with pytest.raises(InputError, match="BilledCost"):
        import_files("billing", [bill(tmp_path, ("1", "2026-10", "GCP")), broken], mini, Target())
    assert (mini / "billing.csv").read_bytes() == before


def test_a_bill_in_another_currency_than_the_plan_is_not_stored(mini, tmp_path):
    before = (mini / "billing.csv").read_bytes()
    euro = bill(tmp_path, ("7.25", "2026-10", "GCP"))
    euro.write_text(euro.read_text().replace(",USD,", ",EUR,"))
    with pytest.raises(InputError, match=r"bill\.csv, column 'BillingCurrency': value 'EUR': the plan of .* is in USD"):
        imported(euro, mini)
    assert (mini / "billing.csv").read_bytes() == before
    report = imported(euro, None)
    assert (report["currency"], report["totals"]["billed"]) == ("EUR", "7.25")
    shown = CliRunner().invoke(app, ["import", "billing", str(euro)]).stdout
    assert "  billed: 7.25 EUR\n" in shown and "  list: not given\n" in shown


@pytest.mark.parametrize(("period", "shown"), [(["2026-10-01", "2026-10-16"], "rows, 2026-10-01 to 2026-10-16"), (["2026-10-01"] * 2, "rows, 2026-10-01"), (["", ""], "rows")])  # fmt: skip
def test_the_days_of_a_delivery_read_as_a_sentence(capsys, period, shown):
    report = {"source": "log [1].csv", "format": "a table", "rows_kept": 5, "rows_read": 6, "period": period, "totals": {},
              "rows_left_out": {}, "warnings": []}  # fmt: skip
    print_import(report)
    assert capsys.readouterr().out == f"log [1].csv: a table, 5 of 6 {shown}\n"


def test_a_folder_without_a_plan_is_no_workspace(tmp_path):
    with pytest.raises(InputError, match="is not a workspace"):
        imported(bill(tmp_path, ("1", "2026-10", "GCP")), tmp_path)


def test_a_trace_keeps_its_weekday(mini, tmp_path):
    path = tmp_path / "azure.csv"
    path.write_text(AZURE)
    (mini / "demand_windows.csv").unlink()
    report = imported(path, mini, "trace", use_case="chat", region="us", first_day="2026-10-05")
    assert report["totals"] == {
        "requests": 2,
        "errors": 0,
        "input_tokens": 384,
        "output_tokens": 45,
        "cached_tokens": None,
    }
    rows = pd.read_parquet(mini / "requests.parquet")
    assert rows["timestamp_utc"].dt.day_name().unique().tolist() == ["Thursday"]
    assert rows["timestamp_utc"].min() >= pd.Timestamp("2026-10-05", tz="UTC")


def test_jobs_and_sessions_are_known_by_their_header(mini, tmp_path):
    (tmp_path / "jobs").write_text(PHILLY)
    (tmp_path / "agents").write_text(AGENTS)
    with pytest.raises(InputError, match="names no accelerator; say it with --accelerator"):
        imported(tmp_path / "jobs", mini, "trace", use_case="models", region="us")
    jobs = imported(tmp_path / "jobs", None, "trace", use_case="models", region="us", accelerator="nvidia-l4")
    assert jobs["totals"] == {"jobs": 1, "accelerator_hours": 4.0}
    with pytest.raises(InputError, match="holds no dates"):
        imported(tmp_path / "agents", mini, "trace", use_case="chat", region="us")
    agents = imported(tmp_path / "agents", None, "trace", use_case="chat", region="us", first_day="2026-10-01")
    assert agents["format"] == "agentic coding sessions"
    assert agents["totals"]["requests"] == 3


def test_an_unknown_trace_names_the_known_ones(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="fits no known trace"):
        imported(tmp_path / "t.csv", None, "trace", use_case="chat", region="us")


def test_the_command_prints_a_report_or_json(tmp_path):
    path = bill(tmp_path, ("7.25", "2026-10", "GCP"))
    shown = CliRunner().invoke(app, ["import", "billing", str(path)])
    assert shown.exit_code == 0
    assert "FOCUS, 1 of 1 rows, 2026-10" in shown.output
    asked = CliRunner().invoke(app, ["import", "billing", str(path), "--json"])
    report = json.loads(asked.output)
    assert report["totals"] == {"billed": "7.25", "effective": "7.25", "list": None}
    assert {
        "format",
        "rows_read",
        "rows_kept",
        "rows_left_out",
        "warnings",
        "period",
        "currency",
        "by",
        "coverage",
    } <= set(report)


def test_an_unknown_kind_names_the_nearest(tmp_path):
    with pytest.raises(InputError, match="Did you mean 'billing'"):
        imported(tmp_path / "x", None, "biling")


def test_a_second_export_of_a_bill_says_which_of_both_to_keep(mini):
    bill = held_rows(mini, "billing")
    with pytest.raises(
        InputError, match="actual and amortised export of a month are one delivery: keep the amortised one"
    ):
        add_rows(mini, "billing", bill.iloc[:1])
