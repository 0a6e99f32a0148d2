"""Approving a plan: never half, never by accident, and read back the month after."""

import contextlib
import dataclasses
import os
from pathlib import Path

import pandas as pd
import pytest

from aifactory.buyplan.governance import is_firm
from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.workspace import load_workspace
from aifactory.review import approve_plan
from tests.review.conftest import bought_plan

KEYS = ["month", "use_case_id", "region", "accelerator_id"]


def test_the_plan_is_written_with_the_columns_of_its_contract(mini, october_plan):
    path = approve_plan(october_plan, mini)
    table = pd.read_csv(path)
    assert path == mini / "approved_plan.csv"
    assert list(table.columns) == load_contract("approved_plan").columns
    assert len(table) == len(october_plan.approved_plan)
    assert (mini / "approved_plans" / "2026-10.csv").read_bytes() == path.read_bytes()
    assert not list(mini.rglob("*.tmp"))


def test_what_was_approved_is_read_back(mini, october_plan):
    approve_plan(october_plan, mini)
    held = load_workspace(mini).table("approved_plan").set_index(KEYS).sort_index()
    plan = october_plan.approved_plan.set_index(KEYS).sort_index()
    for column in ("units", "accelerator_hours", "compute_usd", "cost_usd", "value_usd"):
        assert held[column].tolist() == pytest.approx(plan[column].tolist(), abs=1e-6)


def test_the_same_period_may_be_approved_again(mini, october_plan):
    first = approve_plan(october_plan, mini).read_bytes()
    assert approve_plan(october_plan, mini).read_bytes() == first


def test_a_changed_plan_of_the_same_period_loses_nothing(mini, october_plan):
    """Each plan that was approved stays on file; the same again adds none."""
    first = approve_plan(october_plan, mini).read_bytes()
    dearer = dataclasses.replace(october_plan, approved_plan=october_plan.approved_plan.assign(cost_usd=1.0))
    cheaper = dataclasses.replace(october_plan, approved_plan=october_plan.approved_plan.assign(cost_usd=0.5))
    second = approve_plan(dearer, mini).read_bytes()
    third = approve_plan(cheaper, mini).read_bytes()
    assert approve_plan(cheaper, mini).read_bytes() == third
    kept = {path.name: path.read_bytes() for path in (mini / "approved_plans").iterdir()}
    assert kept == {"2026-10.1.csv": first, "2026-10.2.csv": second, "2026-10.csv": third}


def test_another_period_is_refused_and_the_old_plan_kept(mini, september_plan, october_plan):
    old = approve_plan(september_plan, mini).read_bytes()
    with pytest.raises(InputError, match=r"2026-10.*approved for 2026-09; use --force"):
        approve_plan(october_plan, mini)
    assert (mini / "approved_plan.csv").read_bytes() == old
    assert not (mini / "approved_plans" / "2026-10.csv").exists()


def test_force_replaces_the_plan_and_keeps_the_history(mini, september_plan, october_plan):
    approve_plan(september_plan, mini)
    approve_plan(october_plan, mini, force=True)
    assert set(pd.read_csv(mini / "approved_plan.csv")["plan_period"]) == {"2026-10"}
    assert sorted(path.name for path in (mini / "approved_plans").iterdir()) == ["2026-09.csv", "2026-10.csv"]


def test_an_empty_plan_cannot_be_approved(mini, october_plan):
    empty = dataclasses.replace(october_plan, approved_plan=october_plan.approved_plan.iloc[:0])
    with pytest.raises(InputError, match="the plan is empty"):
        approve_plan(empty, mini)
    assert not (mini / "approved_plan.csv").exists()


def files(workspace):
    """Bytes of every table, the order book and the steps among them."""
    return {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file() and ".cache" not in path.parts}


@pytest.mark.parametrize("step", ["write", "rename"])
def test_a_failed_write_leaves_the_old_plan(mini, september_plan, october_plan, monkeypatch, step):
    old, before = approve_plan(september_plan, mini).read_bytes(), files(mini)

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((Path, "write_text") if step == "write" else (os, "replace")), full)
        with pytest.raises(OSError, match="No space left"):
            approve_plan(october_plan, mini, force=True)
    assert (mini / "approved_plan.csv").read_bytes() == old
    assert files(mini) == before
    assert load_workspace(mini).table("approved_plan")["plan_period"].unique().tolist() == ["2026-09"]


def test_the_next_refresh_compares_with_the_approved_plan(approved):
    review, plan = approved.review, approved.ws.table("approved_plan")
    assert review.basis == "plan approved for 2026-09"
    assert set(review.forecast_accuracy["basis"]) == {"plan approved for 2026-09"}
    assert not any("approved plan" in text for text in review.not_computed)
    october = plan[plan["month"] == "2026-10"]
    row = review.plan_variance.set_index("use_case_id").loc["chat"]
    planned = october.loc[october["use_case_id"] == "chat", "compute_usd"].sum() * 744 / 730
    assert row["base_usd"] == pytest.approx(planned)
    assert row["actual_usd"] == pytest.approx(744 * 40 + 0.10)
    assert row[["volume", "efficiency", "utilization", "mix", "price"]].sum() == pytest.approx(row["difference_usd"])
    assert row["efficiency"] == pytest.approx(0.0, abs=1e-6)  # a plan counts no tokens


def test_a_plan_file_without_rows_holds_no_plan(mini, october_plan):
    header = ",".join(load_contract("approved_plan").columns) + "\n"
    (mini / "approved_plan.csv").write_text(header, encoding="utf-8")
    load_workspace(mini)
    assert approve_plan(october_plan, mini).is_file()


def test_a_plan_kept_in_another_format_is_not_doubled(mini, september_plan, october_plan):
    approve_plan(september_plan, mini)
    load_workspace(mini).table("approved_plan").to_parquet(mini / "approved_plan.parquet")
    (mini / "approved_plan.csv").unlink()
    with contextlib.suppress(InputError):  # refused or replaced, but never two files for one table
        approve_plan(october_plan, mini, force=True)
    assert load_workspace(mini).has("approved_plan")


CONTRACT = {
    "order_id": "PO-7", "region": "us", "accelerator_id": "nvidia-h100-sxm", "purchase_option": "lease",
    "accelerators": 8, "order_month": "2026-03", "start_month": "2026-05", "end_month": "2029-05",
    "usd_per_accelerator_hour": 2.25, "source": "contract", "as_of": "2026-03-31",
}  # fmt: skip


def test_firm_orders_go_to_the_order_book_once(mini, september_plan):
    """All orders of the tiny plan are due in its decision window; approved twice they are still there once."""
    for _ in range(2):
        approve_plan(september_plan, mini)
        book = pd.read_csv(mini / "commitments.csv")
        firm = september_plan.orders[is_firm(september_plan.orders)]
        assert len(firm) and book["accelerators"].sum() == firm["accelerators"].sum()
        hours = book["usd_per_accelerator_hour"].fillna(0.0) * 730 * book["accelerators"] * 12
        assert (book["upfront_usd"] + hours).sum() == pytest.approx(firm["commitment_usd"].sum(), abs=0.1)
        assert set(book["plan_period"]) == {"2026-09"}
    steps = pd.read_csv(mini / "approved_bands.csv")
    assert (steps["kind"] != "commitment").all()  # what is firm waits for nothing


def test_other_orders_stay_in_the_book(mini, september_plan, october_plan):
    pd.DataFrame([CONTRACT]).to_parquet(mini / "commitments.parquet")
    approve_plan(september_plan, mini)
    first = pd.read_csv(mini / "commitments.csv")
    assert not (mini / "commitments.parquet").exists()
    assert first.loc[0, list(CONTRACT)].to_dict() == CONTRACT
    approve_plan(october_plan, mini, force=True)
    both = pd.read_csv(mini / "commitments.csv")
    assert both["plan_period"].dropna().unique().tolist() == ["2026-09", "2026-10"]
    pd.testing.assert_frame_equal(both.iloc[: len(first)], first)


def test_the_plan_of_the_next_month_orders_only_the_difference(approved, september_plan, october_plan):
    """September orders for good; October without its approval orders the same again, with it nothing."""
    again, firm = approved.ws.table("commitments"), september_plan.orders[is_firm(september_plan.orders)]
    assert again["accelerators"].sum() == firm["accelerators"].sum()
    assert october_plan.orders.query("order_index <= 1")["accelerators"].sum() > 0
    plan = bought_plan(approved.ws)
    assert plan.orders.empty and "no further commitment now" in plan.decision
    paid = again.loc[again["order_month"] <= "2026-10", "upfront_usd"].sum()
    assert any(f"USD {paid:,.0f} was paid for them before" in text for text in plan.warnings)
    to_pay = again.loc[again["order_month"] > "2026-10", "upfront_usd"].sum()  # hardware that follows the reservation
    assert to_pay > 0 and plan.roi["capex_usd"].tolist() == pytest.approx([to_pay] * 3)
    # the report of September is made anew as it was: it does not see its own orders
    assert load_workspace(approved.ws.path, "2026-09").table("commitments").empty
