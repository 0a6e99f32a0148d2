"""What stands out: gaps, late usage, what could not be computed."""

from decimal import Decimal

import pandas as pd
import pytest

from aifactory.inputs.workspace import load_workspace
from aifactory.inventory import build_inventory, findings
from aifactory.inventory.findings import Finding


@pytest.fixture(scope="module")
def inventory(mini_stages):
    return mini_stages.inventory


def lines(**costs):
    names = {name.replace("_", " "): Decimal(str(cost)) for name, cost in costs.items()}
    return pd.DataFrame({"line": list(names), "effective_cost": list(names.values())})


def replaced(mini, table, *pairs):
    path = mini / f"{table}.csv"
    text = path.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return load_workspace(mini)


NO_POOLS = pd.DataFrame({"pool_id": [], "idle_usd": [], "accelerator_hours": [], "label_suspect": []})


# gaps


def test_what_was_to_be_gone_and_is_not_is_named(mini):
    """A month of retirement that has passed takes all of the months to come, so who still serves is asked."""
    path = mini / "use_cases.csv"
    rows = pd.read_csv(path, dtype=str)
    rows["retire_month"] = rows["use_case_id"].map({"chat": "2026-09"})
    rows.to_csv(path, index=False)
    found = build_inventory(load_workspace(mini))
    assert found.forecast.loc[found.forecast["use_case_id"] == "chat", "units"].sum() == 0
    told = [item.text for item in found.gaps if item.kind == findings.LEVEL]
    assert any(text.startswith("chat was to end by 2026-09 (retire_month in use_cases), but ") for text in told)
    rows["retire_month"] = rows["use_case_id"].map({"chat": "2026-12"})
    rows.to_csv(path, index=False)
    assert not any("was to end" in item.text for item in build_inventory(load_workspace(mini)).gaps)


def test_what_the_decision_log_holds_open_is_to_be_settled():
    log = pd.DataFrame(
        {
            "kind": ["decision", "assumption", "decision"],
            "subject": ["lease", "growth", "pool"],
            "text": ["Renew or return?", "Seats double.", "Named."],
            "owner_role": ["head of platform", "head of sales", "head of platform"],
            "due": pd.to_datetime(["2026-11-20", "2026-10-05", None]),
            "status": ["open", "open", "done"],
        }
    )
    assert [item.text for item in findings.open_entries(log, "2026-10-31")] == [
        "Seats double: open assumption on growth, head of sales, overdue since 5 October 2026.",
        "Renew or return: open decision on lease, head of platform, due 20 November 2026.",
    ]
    assert findings.open_entries(log.iloc[2:], "2026-10-31") == []


def test_spend_without_a_team_is_named_with_its_share(inventory):
    gap = next(item for item in inventory.gaps if item.kind == "tagging")
    assert gap == Finding("tagging", "0.2 % of the bill has no team.", 99.99)


def test_a_bill_that_credits_cancel_has_no_share():
    table = lines(unattributed_usage=100, credit=-100, bill=0)
    gap = findings.gaps(table, NO_POOLS.iloc[:0], pd.DataFrame(), pd.DataFrame())
    assert [item.money_usd for item in gap] == [100.0]


def test_missed_targets_and_doubtful_labels_are_gaps():
    pools = pd.DataFrame(
        {"pool_id": ["p", "q"], "label_suspect": [True, False], "label_note": ["draws 500 W each", ""]}
    )
    levels = pd.DataFrame(
        {
            "use_case_id": ["chat", "chat", "chat"],
            "region": ["us", "eu", "ap"],
            "metric": ["ttft_ms", "ttft_ms", "queue_ms"],
            "p95": [1500.0, 900.0, 10.0],
            "slo": [1000.0, 1000.0, float("nan")],
            "meets_slo": pd.array([False, True, None], dtype="boolean"),
        }
    )
    found = findings.gaps(pd.DataFrame(), pools, levels, pd.DataFrame())
    assert [item.text for item in found] == [
        "Pool p: draws 500 W each; its label is in doubt.",
        "chat in us missed its p95 TTFT of 1,000 ms: 1,500 ms.",
    ]


def test_an_outage_and_a_month_seen_in_part_are_gaps():
    profile = pd.DataFrame(
        {
            "use_case_id": ["a", "b", "c"],
            "region": "us",
            "outage_hours": [6, 0, 0],
            "observed_share": [1.0, 0.9, 0.5],
            "observed_hours": [744.0, 669.6, 372.0],
        }
    )
    found = findings.gaps(pd.DataFrame(), NO_POOLS, pd.DataFrame(), profile)
    assert [item.kind for item in found] == ["outage", "coverage"]
    assert found[0].text == "a in us was down for 6 hours."
    assert "c in us covers 372 hours, 50 % of the month" in found[1].text


def test_nothing_known_has_no_gaps():
    assert findings.gaps(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), pd.DataFrame()) == []


# late usage


def test_usage_of_another_month_is_named_with_its_amount(mini):
    old = "2026-10-01T00:00:00Z,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,AWS,acc-3"
    new = "2026-10-01T00:00:00Z,2026-09-30T00:00:00Z,2026-10-01T00:00:00Z,AWS,acc-3"
    inventory = build_inventory(replaced(mini, "billing", (old, new)))
    late = [item for item in inventory.gaps if item.kind == "invoice"]
    assert late == [Finding("invoice", "1 charge of the invoice is usage of another month.", 99.99)]
    bill = inventory.spend_reconciliation.set_index("line").loc["bill", "effective_cost"]
    assert bill == Decimal("44900.850001")  # it stays part of the bill


def test_a_bill_of_its_own_month_has_no_late_usage(mini_ws):
    bill = mini_ws.table("billing")
    assert findings.late_usage(bill) == []
    assert findings.late_usage(bill.iloc[:0]) == []


def test_the_late_charge_of_the_sample_is_found(sample_ws):
    bill = sample_ws.table("billing")
    found = findings.late_usage(bill[bill["invoice_month"] == "2026-10"])
    assert [item.money_usd for item in found] == [512.75]


# what could not be computed


def test_only_what_is_missing_is_not_computed(mini_ws, sample_ws):
    absent = ("latency_histograms", "tenant_usage")
    assert findings.not_computed(mini_ws) == [findings.UNANSWERED[name] for name in absent]
    assert findings.not_computed(sample_ws) == []


def test_services_that_fail_too_often_and_work_that_shifted_stand_out():
    """4 % against a limit of 3 % is named; within the limit, without one, or told twice is not."""
    rows = [("a", "eu", 0.04, 0.03, False), ("b", "eu", 0.01, 0.03, True), ("c", "eu", 0.04, float("nan"), None)]
    services = pd.DataFrame(rows, columns=["use_case_id", "region", "failure_rate", "slo_max_failure_rate", "within_limit"])  # fmt: skip
    services["within_limit"] = services["within_limit"].astype("boolean")
    assert [item.text for item in findings.failing(services)] == ["a in eu failed in 4 % of its requests, above its limit of 3 %."]  # fmt: skip
    assert findings.failing(services[:0]) == findings.failing(pd.DataFrame()) == []
    rows = [("a", "prompt length", "2026-09", "shifted"), ("a", "prompt length", "2026-08", "shifted"), ("b", "prompt length", "2026-09", "stable")]  # fmt: skip
    drift = pd.DataFrame(rows, columns=["use_case_id", "what", "compared_with", "verdict"]).assign(moved="mean 9 to 13 tokens")  # fmt: skip
    assert [item.text for item in findings.drifted(drift)] == [
        "a: prompt length has shifted since 2026-09, mean 9 to 13 tokens: measurements of before are of other work."
    ]
