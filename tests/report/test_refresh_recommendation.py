"""What the refresh says of approved orders against a plan of today, and approvals with the log beside them."""

from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from aifactory.buyplan.duties import AFTER_TEST, HOSTED_TEST
from aifactory.report.refresh_log import _beaten, _recommendation, to_do, waiting_for_test
from aifactory.report.refresh_money import _furthest, _laid_out, beside_plan, to_the_cent
from aifactory.report.refresh_page import _state, finding
from aifactory.report.refresh_triggers import _next_steps, _pools_answer, _steps_answer, _within_reach
from aifactory.review.build import COST

WS = SimpleNamespace(as_of="2026-10-31")


def review(*rows):
    names = ["action", "accelerators", "approved_month", "today_month", "approved_usd", "today_usd"]
    frame = pd.DataFrame([dict(zip(names, row, strict=True)) for row in rows], columns=names)
    frame = frame.assign(region="eu", accelerator_id="h100", purchase_option="lease")
    return SimpleNamespace(
        recommendation=frame, band_triggers=step("quiet"), period="2026-10", governance=pd.DataFrame()
    )


def step(state, order_month="2027-07"):
    row = {"state": state, "kind": "commitment", "region": "eu", "accelerator_id": "h100", "purchase_option": "lease"}
    return pd.DataFrame([row | {"order_month": order_month}])


def against(**more):
    """A review without a plan, a bill or orders."""
    names = ("variance", "plan_variance", "recommendation", "band_triggers", "guardrails", "changes")
    facts = dict.fromkeys(names, pd.DataFrame()) | {"status": "act", "reason": "1 order released", "period": "2026-10"}
    return SimpleNamespace(**{"governance": pd.DataFrame()} | facts | more)


def test_a_plan_made_today_does_not_count_what_is_paid():
    """Orders of USD 714,000 since approval are in no figure of the return of a plan of today, and the page says so."""
    figures = ["value to date", "outlays to date"]
    paid = SimpleNamespace(payback=pd.DataFrame({"figure": figures, "as_it_stands": [252_000.0, 714_000.0]}))
    assert _laid_out(paid).startswith(" What is paid is in none of it, such as USD 714 k of outlays since approval")
    nothing = SimpleNamespace(payback=paid.payback.assign(as_it_stands=[252_000.0, 0.0]))
    assert _laid_out(nothing) == _laid_out(SimpleNamespace(payback=pd.DataFrame())) == ""


def test_the_sentence_adds_up_money_by_action():
    rows = [
        ("keep", 8, "2027-01", "2027-01", 500_000.0, 510_000.0),
        ("keep", 8, "2027-04", "2027-05", 400_000.0, 390_000.0),
        ("cancel", 8, "2027-07", "", 300_000.0, 0.0),
        ("new", 4, "", "2027-02", 0.0, 1_000_000.0),
    ]
    text = to_do(review(*rows))
    assert "would keep USD 910 k and cancel USD 300 k." in text
    assert text.endswith("It adds USD 1.00 M within a year that was neither approved nor placed.")
    soon = to_do(review(*rows, ("new", 2, "", "2026-11", 0.0, 90_000.0)))
    assert soon.endswith("neither approved nor placed: USD 90.0 k of the USD 600 k that it orders by January 2027.")
    assert "to be placed" not in text
    late = to_do(review(*rows, ("defer", 8, "2026-08", "2026-11", 250_000.0, 260_000.0)))
    assert "cancel USD 300 k. USD 250 k of them were to be placed by October 2026." in late
    shown = _recommendation(WS, review(*rows))[0].text
    assert "Lease" in shown and "Jan 2027" in shown


def test_money_far_off_the_plan_is_to_act_on():
    """Cost of 455 where 262 were planned; value of 884 after 827, then 700; without a plan nothing is judged."""
    rows = [(COST, 455.0, 262.0, "bad"), (COST, 263.0, 262.0, "good"), ("value", 884.0, 827.0, "good"), ("value", 700.0, 827.0, "watch"), (COST, 1.0, np.nan, "")]  # fmt: skip
    for name, actual, plan, state in rows:
        assert _state(SimpleNamespace(kpi=name, actual=actual, plan=plan, unit="USD")) == state
    assert _state(SimpleNamespace(kpi="hours", actual=9.0, plan=3.0, unit="h")) == ""


def test_without_an_approved_plan_nothing_is_said():
    assert to_do(review()) == "" and _recommendation(WS, review()) == []


@pytest.mark.parametrize(("ratio", "words"), [(0.999, "as good as"), (1.009, "as good as"), (0.9, "beat"), (1.2, "did not beat")])  # fmt: skip
def test_forecasts_that_differ_by_less_than_a_hundredth_are_equally_good(ratio, words):
    scores = pd.DataFrame({"forecast": ["data up to 2026-09", "last month repeated"], "error_vs_repeat": [ratio, 1.0]})
    assert words in _beaten(SimpleNamespace(forecast_scores=scores))


def test_a_plan_that_forecasts_worse_than_repeating_is_not_left_out():
    names = ["data up to 2026-09", "plan approved for 2026-07", "last month repeated"]
    scores = pd.DataFrame({"forecast": names, "error_vs_repeat": [0.8, 1.467, 1.0]})
    told = _beaten(SimpleNamespace(forecast_scores=scores))
    assert told.endswith("The forecast of the approved plan did not beat repeating last month: 1.47 times its error.")


def test_a_trend_of_six_months_reaches_three_years_at_most():
    found = _within_reach(pd.Series([0.0, 36.0, 36.1, np.inf]))
    assert found.tolist()[:2] == [0.0, 36.0] and found.isna().tolist() == [False, False, True, True]


def test_the_finding_says_what_a_plan_of_today_does_with_orders_that_fired():
    rows = review(("keep", 8, "2027-01", "2027-01", 500_000.0, 500_000.0)).recommendation
    text = finding(against(recommendation=rows, band_triggers=step("fired")))
    assert (
        text == "Act: 1 order released. Of the orders approved and not placed, a plan made today would keep USD 500 k."
    )
    for quiet in (step("quiet"), pd.DataFrame()):
        assert finding(against(recommendation=rows, band_triggers=quiet)) == "Act: 1 order released."


def test_an_order_that_demand_released_and_todays_plan_cancels_is_said_to_be_both():
    rows = review(("cancel", 8, "2027-07", "", 300_000.0, 0.0), ("cancel", 8, "2027-10", "", 1.0, 0.0)).recommendation
    text = to_do(against(recommendation=rows, band_triggers=step("fired")))
    assert "cancel USD 300 k. USD 300 k of what it would cancel is released by demand" in text
    assert "released by demand" not in to_do(against(recommendation=rows, band_triggers=step("fired", "2027-08")))
    dated = step("fired").assign(starts_with="voice starts", fired_in=lambda rows: rows["order_month"])
    assert "released by demand" not in to_do(against(recommendation=rows, band_triggers=dated))


def test_the_finding_names_causes_that_cancel_and_demand_outside_the_plan():
    causes = {"volume": 24_000.0, "efficiency": 0.0, "utilization": -24_500.0, "mix": 0.0, "price": 0.0, "other": 0.0}
    kpis = pd.DataFrame(
        {"kpi": ["cost of accelerator-hours billed to use cases"], "actual": [167_000.0], "plan": [55_200.0]}
    )
    score = pd.DataFrame(
        {"month": "2026-10", "use_case_id": ["chat", "agent", "search"], "forecast": [100.0, 100.0, 100.0],
         "actual": [80.0, 140.0, 101.0], "inside_band": [False, False, True]}
    )  # fmt: skip
    facts = {"plan_variance": pd.DataFrame({"x": [1]}), "kpis": kpis, "forecast_accuracy": score}
    text = finding(
        against(variance=pd.DataFrame([{"use_case_id": "chat", "difference_usd": -500.0, **causes}]), **facts)
    )
    assert (
        "moved by USD −500 against last month: USD −24.5 k by utilisation (chat) and USD 24.0 k by volume (chat)."
        in text
    )
    assert "Accelerator-hours cost USD 167 k, planned were USD 55.2 k." in text
    assert text.endswith("Demand outside the band of the plan: agent 40 % above and chat 20 % below.")
    alone = pd.DataFrame([{"use_case_id": "chat", "difference_usd": -24_500.0, **causes, "volume": 0.0}])
    assert "against last month, most of it by utilisation (chat)." in finding(against(variance=alone))


def test_the_bill_beside_the_plan_is_told_by_its_two_largest_causes():
    """USD 100 k by volume and 50 k by mix less 30 k by utilisation are 120 k; 7 k stand on one side alone."""
    causes = {"volume": 1e5, "efficiency": 0.0, "utilization": -3e4, "mix": 5e4, "price": 0.0, "other": 7e3}
    rows = pd.DataFrame([causes])
    text = beside_plan(rows).replace("\xa0", " ")
    assert (
        "cost USD 120 k more, most of it USD 100 k by volume and USD 50.0 k by mix" in text and "add USD 7.00 k" in text
    )
    assert "take USD 7.00 k off" in beside_plan(-rows).replace("\xa0", " ")
    even = beside_plan(rows.assign(volume=3e4, mix=0.0)).replace("\xa0", " ")
    assert "cost as much as planned; charges that one of the two alone has add USD 7.00 k." in even
    assert "cost USD 120 k less" in beside_plan(-rows).replace("\xa0", " ") and beside_plan(rows[:0]) == ""


def test_the_use_case_named_for_a_cause_moved_with_it():
    """Of USD 400 more by volume `chat` made 6,000 and `claims` took 5,600 back, and most of neither's own sign is the other's."""
    none = dict.fromkeys(["efficiency", "utilization", "mix", "price", "other"], 0.0)
    rows = [
        {"use_case_id": name, "difference_usd": usd, "volume": usd, **none}
        for name, usd in (("chat", 6_000.0), ("claims", -7_500.0), ("faq", 1_900.0))
    ]
    assert "most of it by volume (chat)." in finding(against(variance=pd.DataFrame(rows)))


def test_a_longer_month_is_told_by_the_day():
    none = dict.fromkeys(["volume", "efficiency", "utilization", "mix", "price"], 0.0)
    row = {
        "use_case_id": "chat",
        "difference_usd": 100.0,
        "base_usd": 3_000.0,
        "actual_usd": 3_100.0,
        **none,
        "other": 100.0,
    }
    text = finding(against(variance=pd.DataFrame([row])))
    assert "Over 31 days after 30 the bill is USD 100 a day after USD 100." in text
    assert " a day " not in finding(against(variance=pd.DataFrame([row]), period="2026-08"))


def test_charges_in_cents_add_up_to_the_bill_in_cents():
    exact = [Decimal("10.0049"), Decimal("5.005"), Decimal("2.0061")]
    rows = pd.DataFrame(
        {
            "direct_cost": [usd / 2 for usd in exact],
            "pool_cost": Decimal(0),
            "shared_cost": [usd / 2 for usd in exact],
            "charge": exact,
        }
    )
    shown = to_the_cent(rows)
    assert sum(shown["charge"]) == round(sum(exact), 2) == Decimal("17.02")
    assert (shown["direct_cost"] + shown["pool_cost"] + shown["shared_cost"] == shown["charge"]).all()


def test_a_cause_of_less_than_half_is_not_called_most_of_it():
    """Of USD 19 k efficiency made 9 and volume, less what steadier use took back, 7."""
    row = {"use_case_id": "chat", "difference_usd": 19_000.0, "volume": 33_000.0, "utilization": -26_000.0, "efficiency": 9_000.0,
           "mix": 500.0, "price": 0.0, "other": 2_500.0}  # fmt: skip
    said = "moved by USD 19.0 k against last month: USD 9.00 k by efficiency (chat) and USD 7.00 k by volume and utilisation (chat)."
    assert said in finding(against(variance=pd.DataFrame([row])))


def test_work_that_comes_and_goes_on_kit_that_stands_hides_no_other_cause():
    """Jobs double on leased kit: USD 33 k of volume and as much less utilisation; the bill rose by charges of nobody."""
    nothing = dict.fromkeys(["efficiency", "mix", "price", "other"], 0.0)
    jobs = {
        "use_case_id": "train",
        "difference_usd": 0.0,
        **nothing,
        "volume": 33_000.0,
        "utilization": -33_500.0,
        "price": 500.0,
    }
    rest = {
        "use_case_id": "rest of the bill",
        "difference_usd": 10_600.0,
        **nothing,
        "volume": 0.0,
        "utilization": 0.0,
        "other": 10_600.0,
    }
    text = finding(against(variance=pd.DataFrame([jobs, rest])))
    assert "The bill moved by USD 10.6 k against last month, most of it by charges that no use case explains." in text
    less = {**rest, "difference_usd": 400.0, "other": 400.0}  # smaller than what volume and utilisation leave
    assert "USD −33.5 k by utilisation (train) and USD 33.0 k by volume (train)" in finding(
        against(variance=pd.DataFrame([jobs | {"price": 0.0}, less]))
    )


def test_a_use_case_is_not_named_for_work_that_its_utilisation_takes_back():
    """Longer prompts of `claims` are 9 k of efficiency and 9.5 k less by utilisation: its bill rose by 1.4 k, that of `chat` by 6.3 k."""
    none = {"mix": 0.0, "price": 0.0, "other": 0.0}
    rows = [
        {"use_case_id": "claims", "difference_usd": 1_400.0, "volume": 2e3, "efficiency": 8_900.0, "utilization": -9_500.0, **none},
        {"use_case_id": "chat", "difference_usd": 6_300.0, "volume": 9_800.0, "efficiency": 0.0, "utilization": -3_500.0, **none},
    ]  # fmt: skip
    text = finding(against(variance=pd.DataFrame(rows)))
    assert "by USD 7.70 k against last month, most of it by volume, work per unit and utilisation (chat)." in text


def test_a_bill_that_stands_still_is_said_to():
    nothing = dict.fromkeys(["difference_usd", "volume", "efficiency", "utilization", "mix", "price", "other"], 0.0)
    text = finding(against(variance=pd.DataFrame([{"use_case_id": "rest of the bill", **nothing}])))
    assert "Neither the bill nor the part of any use case moved against last month." in text and "USD" not in text


def test_broken_guardrails_are_named_with_whom_they_concern():
    rows = [("failure rate", "chat, us", "breach"), ("failure rate", "faq, de", "breach"), ("failure rate", "x", "ok"),
            ("utilisation floor", "pool", "breach"), ("rise of unit cost in a month", "chat", "breach")]  # fmt: skip
    rails = pd.DataFrame(rows, columns=["guardrail", "subject", "state"])
    assert finding(against(guardrails=rails)).endswith(
        "Broken: failure rate of chat, us and faq, de; rise of unit cost in a month of chat."
    )


def test_the_order_book_of_the_month_is_on_the_first_screen():
    rows = [("order book", "8 h100 in eu", "ended with 2026-09"), ("decision", "x", "y"), ("order book", "b", "c"), ("order book", "d", "e")]  # fmt: skip
    changes = pd.DataFrame(rows, columns=["kind", "subject", "text"])
    text = finding(against(changes=changes))
    assert text.endswith("Order book: 8 h100 in eu ended with 2026-09; b c; 1 more in the change log.")


def test_a_pool_past_its_trigger_says_what_the_plan_holds_for_it():
    pools = pd.DataFrame({"pool_id": ["a", "b"], "region": "eu", "accelerator_id": ["h100", "l40s"], "state": "fired"})
    steps = step("approaching").assign(accelerators=8)
    first, second = _next_steps(against(triggers=pools, band_triggers=steps))
    assert first == "a: the next step adds 8, planned for July 2027 (approaching)."
    assert second == "b: no step of the approved plan adds l40s in eu, so its work is to be planned anew."


def test_the_prices_that_moved_most_are_named():
    rows = [
        ("a100, eu, on_demand", -0.271),
        ("l4, eu, spot", 0.5),
        ("l4, us, spot", 0.02),
        ("h100, eu, spot", 0.1),
        ("x", 0.0),
    ]
    text = _furthest(pd.DataFrame(rows, columns=["subject", "change"]))
    assert text == "; furthest l4, eu, spot by 50.0 %; a100, eu, on demand by −27.1 %; h100, eu, spot by 10.0 %"
    assert _furthest(pd.DataFrame({"subject": ["x"], "change": [0.0]})) == ""


def test_a_utilisation_next_to_its_trigger_is_told_from_it():
    row = {"pool_id": "p", "value": 0.7996, "threshold": 0.8, "state": "approaching", "months_to_trigger": np.nan}
    review = SimpleNamespace(triggers=pd.DataFrame([row]), band_triggers=pd.DataFrame())
    assert "past the trigger of 80 %" in _pools_answer(review) and "p at 79.96 %" in _pools_answer(review).replace(
        "\xa0", " "
    )


def test_steps_that_are_due_later_are_told_from_none():
    def said(*periods, plan="2026-08", file=True):
        steps = pd.DataFrame(
            {"plan_period": periods, "order_month": ["2029-07", "2028-06"][: len(periods)]}, dtype="str"
        )
        tables = {
            "approved_bands": steps,
            "approved_plan": pd.DataFrame({"plan_period": [plan] * (plan != "")}, dtype="str"),
        }
        sources = pd.DataFrame({"table": ["approved_bands"] * file}, dtype="str")
        ws = SimpleNamespace(period="2026-10", table=tables.get, sources=sources)
        return _steps_answer(ws, SimpleNamespace(band_triggers=pd.DataFrame()))

    due = "No step of the approved plan is due within a year; it has 2, the first planned for June 2028."
    assert said("2026-08", "2026-08") == due
    assert said() == said("2026-10", "2026-10") == "The approved plan has no steps beside its firm orders."
    none = said(file=False)
    assert none.endswith("no plan with steps was approved before this month.")
    assert none == said("2026-08", "2026-08", plan="")  # steps of a plan whose table is lacking
    assert none == said("2026-10", "2026-10", plan="2026-10")  # of the month's own plan


@pytest.mark.parametrize(("months", "words"), [(0.65, "less than a month away"), (1.2, "1 month away"), (4.0, "4 months away"), (0.0, None), (40.0, None), (np.inf, None)])  # fmt: skip
def test_the_wait_for_a_trigger_is_said_in_whole_months(months, words):
    row = {
        "state": "quiet",
        "pool_id": "p",
        "region": "eu",
        "accelerator_id": "h100",
        "value": 0.66,
        "threshold": 0.7,
        "months_to_trigger": months,
    }
    text = _pools_answer(SimpleNamespace(triggers=pd.DataFrame([row]), band_triggers=step("quiet").iloc[:0]))
    assert ("away" in text) == bool(words) and (words or "") in text


def test_steps_whose_load_is_there_before_the_power_is_are_told_apart_from_those_released():
    rows = pd.DataFrame(
        {"state": ["no room yet", "no room yet", "quiet"], "accelerators": [8, 16, 4], "accelerator_id": ["mi300x", "mi300x", "l4"],
         "region": "home", "not_before": ["2027-02", "2027-02", None], "fired_in": "", "starts_with": None, "order_month": "2027-04"}
    )  # fmt: skip
    text = _steps_answer(SimpleNamespace(period="2026-10"), SimpleNamespace(band_triggers=rows))
    assert text == (
        "Demand released no step of the approved plan that waits for a decision in October 2026; none come near; demand has reached "
        "2 steps for which the limits of the plan leave no room yet: 24 mi300x in home not before February 2027."
    )


def test_a_released_step_whose_load_fell_again_is_told():
    """Released by demand in August at 5, which stands at 4.8 now; the other is at its trigger still, the third was released by its date."""
    rows = pd.DataFrame(
        {"state": "fired", "accelerators": [2, 8, 1], "accelerator_id": ["orin", "h100", "l4"], "region": "eu", "band": "growth",
         "fired_in": ["2026-08", "2026-08", "2026-10"], "starts_with": [None, None, "24 a100 end"], "order_month": "2026-10", "value": [4.8, 9.0, 1.0],
         "threshold": [5.0, 9.0, 3.0]}
    )  # fmt: skip
    ws = SimpleNamespace(period="2026-10")
    text = _steps_answer(ws, SimpleNamespace(band_triggers=rows))
    assert "demand has fallen below the trigger of 2 orin in eu again: wait with the order, or decide why not" in text
    assert "again" not in _steps_answer(ws, SimpleNamespace(band_triggers=rows.iloc[1:]))


def test_orders_that_wait_for_a_test_of_hosted_models_are_told_beside_those_released():
    """Released by demand, and yet not to be signed: the plan of the same month asks for the test first."""
    waits = f"firm {AFTER_TEST}"
    dates = pd.DataFrame(
        [("2026-11-06", "order", waits, "order|a"), ("2026-12-07", "order", f"on this date, {waits}", "order|b"),
         ("2026-11-01", "order", "firm on approval of the plan", "order|c"), ("2026-12-16", "decision due", "before", HOSTED_TEST)],
        columns=["date", "kind", "rule", "event_id"],
    )  # fmt: skip
    told = waiting_for_test(SimpleNamespace(governance=dates))
    assert told.startswith(
        " A plan made today tests hosted models first, due 16 December 2026: 2 of its orders within a year wait for it"
    )
    assert "1 of its orders within a year waits for it" in waiting_for_test(
        SimpleNamespace(governance=dates.iloc[[0, 2]])
    )
    assert waiting_for_test(SimpleNamespace(governance=dates.iloc[[2]])) == ""
    assert waiting_for_test(SimpleNamespace(governance=dates.iloc[:0])) == ""
