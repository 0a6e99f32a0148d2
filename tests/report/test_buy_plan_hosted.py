"""What the first screen says of a test of hosted models that comes before signing."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd

from aifactory.buyplan.governance import TEST_FIRST
from aifactory.report.buy_plan_hosted import waiting_for_test


def test_orders_due_before_the_test_ends_are_told_with_what_waiting_costs(mini_ws, mini_stages):
    """A test of half a month ends on 16 November: of orders due on the 6th and on 31 December the first waits."""
    order = {"order_month": "2026-11", "start_month": "2027-01", "lead_time_weeks": 8.0, "serves": "chat 90 %", "commitment_usd": 2e6, "order_index": 1, "band": "baseline"}  # fmt: skip
    late = {"order_month": "2026-12", "start_month": "2027-01", "lead_time_weeks": 0.0}
    hosted = pd.DataFrame({"use_case_id": ["chat"], "hosted_share": [0.7]})
    known = pd.DataFrame({"months": [3, 1, None], "wait_usd": [450e3, 120e3, None], "net_usd": [-1.0, -1.0, None]})
    returns = SimpleNamespace(knowledge=known)
    plan = replace(mini_stages.plan, decision=f"{TEST_FIRST} first.", hosted=hosted, orders=pd.DataFrame([order, order | late]))  # fmt: skip
    said = waiting_for_test(mini_ws, plan, returns).replace("\xa0", " ")
    assert said == (
        "The test of hosted models takes one person until 16 November 2026; 1 order for such work, USD 2.00 M, is due before: "
        "let more people test, or these orders wait, which costs USD 120 k for 1 month and USD 450 k for 3 months if all orders of that time do."
    )
    assert waiting_for_test(mini_ws, plan, None).endswith("these orders wait.")
    assert waiting_for_test(mini_ws, replace(plan, decision="Approve."), returns) == ""
    assert waiting_for_test(mini_ws, replace(plan, orders=pd.DataFrame()), returns) == ""
