"""A bill of an earlier month that comes after a plan was approved and a refresh was made: what moves, what stands."""

import re
import shutil
from types import SimpleNamespace

import pandas as pd
import pytest

from aifactory.inputs.workspace import load_workspace
from aifactory.inventory import build_inventory
from aifactory.review import approve_plan, build_review

FROZEN = ("approved_plan.csv", "approved_bands.csv", "commitments.csv")
LATE_USD = 123.5
PARTS = ["volume", "efficiency", "utilization", "mix", "price", "other"]


def reviewed(folder, period="2026-10"):
    ws = load_workspace(folder, period=period)
    inventory = build_inventory(ws)
    return SimpleNamespace(inventory=inventory, review=build_review(ws, inventory))


def late_charge(folder, month):
    """A charge like the last accelerator charge of a month of chat, of another size, at the end of the bill."""
    bill = folder / "billing.csv"
    rows = pd.read_csv(bill, dtype=str, keep_default_na=False)
    like = rows[(rows["ChargePeriodStart"].str[:7] == month) & rows["Tags"].str.contains("chat")].iloc[-1].copy()
    like["BilledCost"] = like["EffectiveCost"] = str(LATE_USD)
    like["ChargeDescription"] = "late"
    pd.concat([rows, like.to_frame().T]).to_csv(bill, index=False)


@pytest.fixture(scope="module")
def months(mini_ws, september_plan, tmp_path_factory):
    """An approved workspace refreshed, refreshed again, and again with a charge of September that came late."""
    folder = shutil.copytree(mini_ws.path, tmp_path_factory.mktemp("late") / "mini-company")
    approve_plan(september_plan, folder)
    held = {name: (folder / name).read_bytes() for name in FROZEN if (folder / name).is_file()}
    before, again = reviewed(folder), reviewed(folder)
    late_charge(folder, "2026-09")
    after, twice = reviewed(folder), reviewed(folder)
    return SimpleNamespace(folder=folder, held=held, before=before, again=again, after=after, twice=twice)


@pytest.mark.parametrize(("one", "other"), [("before", "again"), ("after", "twice")])
def test_a_refresh_made_twice_is_the_same(months, one, other):
    first, second = getattr(months, one).review, getattr(months, other).review
    for name in ("variance", "plan_variance", "unit_cost", "figures_changed", "band_triggers", "kpis", "roi_to_date"):
        pd.testing.assert_frame_equal(pd.DataFrame(getattr(first, name)), pd.DataFrame(getattr(second, name)))


def test_what_was_approved_stands(months):
    assert {name: (months.folder / name).read_bytes() for name in months.held} == months.held
    assert len(months.held) >= 2


def test_the_variance_against_last_month_moves_by_the_late_charge_and_adds_up(months):
    before, after = (side.review.variance.set_index("use_case_id") for side in (months.before, months.after))
    moved = after["base_usd"] - before["base_usd"]
    assert moved.sum() == pytest.approx(LATE_USD)
    assert after["actual_usd"].tolist() == pytest.approx(before["actual_usd"].tolist())
    for table in (before, after):
        rows = table[table["difference_usd"].notna()]
        assert rows[PARTS].sum(axis=1).tolist() == pytest.approx(rows["difference_usd"].tolist(), abs=1e-6)


def test_the_variance_against_the_plan_stands(months):
    """October against its plan knows nothing of a charge of September."""
    pd.testing.assert_frame_equal(months.before.review.plan_variance, months.after.review.plan_variance)


def test_the_change_log_counts_the_row_that_came(months):
    def billed(side):
        table = side.review.figures_changed
        return table[(table["what"] == "input") & (table["subject"] == "billing")]

    before, after = billed(months.before), billed(months.after)
    assert after["before"].item() == (before["before"].item() if len(before) else after["now"].item()) + 1


def test_a_budget_is_not_kept_while_charges_are_missing(mini_ws, tmp_path):
    """The chat has no accelerator charges in a month in which it was used: the bill so far says nothing of the limit."""
    folder = shutil.copytree(mini_ws.path, tmp_path / "mini-company")
    whole = reviewed(folder).review.guardrails.set_index("guardrail").loc["monthly budget"]
    assert (whole["subject"], whole["state"]) == ("bill", "ok")
    bill = folder / "billing.csv"
    rows = pd.read_csv(bill, dtype=str, keep_default_na=False)
    rows[~((rows["ChargePeriodStart"].str[:7] == "2026-10") & rows["Tags"].str.contains("chat"))].to_csv(
        bill, index=False
    )
    review = reviewed(folder).review
    part = review.guardrails.set_index("guardrail").loc["monthly budget"]
    assert any("No accelerator-hours were charged to chat" in text for text in review.partial)
    assert (part["subject"], part["state"]) == ("bill, of which charges are missing", "watch")
    plan = folder / "plan.yaml"
    plan.write_text(
        re.sub(r"opex_usd_per_month: .*", "opex_usd_per_month: 1", plan.read_text(encoding="utf-8")), encoding="utf-8"
    )
    assert reviewed(folder).review.guardrails.set_index("guardrail").at["monthly budget", "state"] == "breach"
