"""Bills of other currencies: shown in US dollars at stated rates, refused without one."""

from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs.check import check_workspace
from aifactory.inputs.converted import CONVERTED_FROM, in_dollars
from aifactory.inputs.exchange_rates import ExchangeRate
from aifactory.inputs.importers.command import Target, import_files
from aifactory.inputs.workspace import load_workspace

TODAY = pd.Timestamp("2026-11-25", tz="UTC")
RATES = """exchange_rates:
  - {currency: EUR, from_month: 2026-09, usd: 1.08, source: rate of our accounts, as_of: 2026-09-01}
"""
MONEY = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")


def euros(workspace):
    """The bill of the workspace in euros, and no bill in it."""
    bill = workspace.parent / "bill-in-euros.csv"
    bill.write_text((workspace / "billing.csv").read_text().replace(",USD,", ",EUR,"))
    (workspace / "billing.csv").unlink()
    return bill


def state(workspace, rates):
    """Write rates into the plan."""
    plan = workspace / "plan.yaml"
    kept = [line for line in plan.read_text().splitlines() if not line.startswith("exchange_rates:")]
    plan.write_text("\n".join([*kept, rates]))


def test_a_bill_in_euros_without_a_rate_is_refused_and_says_what_to_write(mini):
    bill = euros(mini)
    with pytest.raises(InputError, match=r"'EUR': the plan of mini-company is in USD and states no rate for 2026-09"):
        import_files("billing", [bill], mini, Target(today=TODAY))
    state(mini, RATES.replace("2026-09,", "2026-10,"))
    with pytest.raises(InputError, match="states no rate for 2026-09: add it to exchange_rates"):
        import_files("billing", [bill], mini, Target(today=TODAY))


def test_two_rates_of_a_currency_for_one_month_are_refused(mini):
    """Whichever came first would count, without a word; the same month of another currency is no second rate."""
    state(mini, RATES + RATES.splitlines()[1].replace("1.08", "1.12"))
    with pytest.raises(InputError, match="EUR has two rates from 2026-09 on: a month has one"):
        load_workspace(mini)
    plan = mini / "plan.yaml"
    plan.write_text(
        plan.read_text().replace("EUR, from_month: 2026-09, usd: 1.12", "GBP, from_month: 2026-09, usd: 1.3")
    )
    load_workspace(mini)


def test_a_bill_in_euros_is_kept_as_it_is_and_shown_in_dollars_to_the_last_digit(mini):
    before = load_workspace(mini).table("billing")
    bill = euros(mini)
    state(mini, RATES)
    report = import_files("billing", [bill], mini, Target(today=TODAY))[0]
    told = (
        "stored in EUR; reports show USD by the rates of plan.yaml: 2026-09 at 1.08 (rate of our accounts, 2026-09-01)"
    )
    assert [item["rows"] for item in report["warnings"] if item["text"].startswith(told)] == [len(before)]
    assert (report["currency"], Decimal(report["totals"]["billed"])) == ("EUR", sum(before["BilledCost"]))
    assert ",EUR," in (mini / "billing.csv").read_text()
    found = load_workspace(mini)
    after = found.table("billing")
    assert sum(after["EffectiveCost"]) == sum(before["EffectiveCost"]) * Decimal("1.08")
    assert set(after["BillingCurrency"]) == {"USD"}
    checks = found.checks[found.checks["check"] == "converted_money"]
    assert checks["rule"].tolist() == [
        f"{len(after)} charges of 2026-09 to 2026-10 are shown in USD at 1.08 for one EUR (rate of our accounts, 2026-09-01)"
    ]
    assert [text for text in check_workspace(mini).warnings if "at 1.08 for one EUR" in text]


@given(
    amounts=st.lists(st.decimals(-(10**9), 10**9, places=9), min_size=1, max_size=8),
    rate=st.decimals("0.0001", 1000, places=4),
)
def test_each_amount_is_multiplied_exactly_and_dollars_are_left_alone(amounts, rate):
    table = pd.DataFrame({"BillingCurrency": ["EUR", "USD"] * len(amounts), "invoice_month": "2026-10"})
    for name in MONEY:
        table[name] = pd.Series([value for value in amounts for _ in range(2)], dtype="object")
    stated = ExchangeRate(currency="EUR", from_month="2026-10", usd=rate, source="test", as_of="2026-10-01")
    found, findings = in_dollars(table, [stated])
    assert found.loc[0::2, "BilledCost"].tolist() == [value * rate for value in amounts]
    assert found.loc[1::2].drop(columns=CONVERTED_FROM).equals(table.loc[1::2]) and len(findings) == 1
    assert found[CONVERTED_FROM].tolist() == ["EUR", None] * len(amounts)
    same, none = in_dollars(table, [])
    assert same.equals(table) and none == []
