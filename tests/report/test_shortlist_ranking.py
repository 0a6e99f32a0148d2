"""What the shortlist page says of robustness."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from aifactory.report import shortlist_page as page
from aifactory.report import shortlist_ranking as ranking
from aifactory.shortlist.knowledge import KNOWLEDGE_COLUMNS
from aifactory.shortlist.migration import COLUMNS
from aifactory.shortlist.outcome import PILOT_COLUMNS


def test_the_platform_that_scores_best_is_not_taken_for_the_one_that_is_chosen(mini_ws):
    cells = pd.DataFrame({"use_case_id": ["chat", "chat"], "accelerator_id": ["h200", "l4"], "total": [0.9, 0.5]})
    short = SimpleNamespace(matrix=cells, choice=pd.DataFrame({"accelerator_id": ["l4", None]}))
    title = page.chart_matrix(mini_ws, short).text
    assert "h200 scores best on average over the use cases, chosen for none of them: cost decides" in title
    card = pd.DataFrame({"accelerator_id": ["a", "b"], "total": [0.8, 0.7], "total_unpriced": [0.75, 0.77]})
    long = pd.DataFrame({"accelerator_id": ["v-a", "v-b"], "criterion": "price", "contribution": [0.1, 0.2]})
    short = SimpleNamespace(scorecard=card.assign(accelerator_id=["v-a", "v-b"]), scorecard_long=long)
    assert (
        "without its one priced criterion v-b leads with 0.77." in page.scorecard_section(mini_ws, short).parts[0].text
    )


def test_a_lead_that_rests_on_shared_nodes_is_named():
    rows = [("chat", "a100", "b200"), ("images", "l4", "l4"), ("voice", None, None)]
    verdicts = pd.DataFrame(rows, columns=["use_case_id", "leader", "leader_alone"])
    text = ranking._only_beside(verdicts)
    assert "b200 for chat" in text and "nodes that others fill" in text
    assert "images" not in text and "voice" not in text
    assert ranking._only_beside(verdicts.iloc[1:]) == ""
    many = pd.DataFrame({"use_case_id": [f"case-{i}" for i in range(9)], "leader": "a100", "leader_alone": ["l4"] * 8 + ["b200"]})  # fmt: skip
    text = ranking._only_beside(many)
    assert "but for l4 for case-0, case-1, case-2, case-3, case-4 and 3 more and b200 for case-8: there" in text


def test_a_platform_that_waits_for_a_run_and_would_mostly_be_first_is_named():
    verdicts = pd.DataFrame([("chat", "mi300x", 0.55), ("images", "l4", 0.2), ("voice", None, np.nan)], columns=["use_case_id", "challenger", "challenger_first"])  # fmt: skip
    text = ranking._ahead(verdicts)
    assert "mi300x for chat (55 %)" in text.replace("\xa0", " ") and "l4" not in text
    assert ranking._ahead(verdicts.iloc[1:]) == ""


def test_months_to_pay_back_are_those_with_interest_like_the_verdict(mini_ws):
    """Without interest the move pays within the horizon, with it never: the page must not count it."""
    horizon = mini_ws.plan.horizon_months
    row = dict.fromkeys(COLUMNS, 1.0) | {
        "use_case_id": "chat", "from_accelerator_id": "a", "accelerator_id": "b", "tier": "measured",
        "payback_months": horizon - 1.0, "payback_months_discounted": np.inf, "verdict": "does not pay",
    }  # fmt: skip
    short = SimpleNamespace(migrations=pd.DataFrame([row]))
    text = ranking.migration_section(mini_ws, short).parts[0].text
    assert "\n0 of 1 move " in text
    short.migrations["payback_months_discounted"] = horizon - 0.5
    text = ranking.migration_section(mini_ws, short).parts[0].text
    assert "\n1 of 1 move " in text and f"after {horizon - 0.5:.1f} months" in text


def test_no_benchmark_is_said_in_words_that_are_no_missing_value(mini_ws):
    short = SimpleNamespace(knowledge=pd.DataFrame(columns=KNOWLEDGE_COLUMNS))
    text = ranking.benchmarks_section(mini_ws, short).parts[0].text
    assert "No benchmark pays" in text and "None" not in text


def test_pilots_whose_benchmark_pays_come_first(mini_ws):
    verdicts = pd.DataFrame(
        {"use_case_id": ["chat", "tuning"], "deciding_measurement": ["", "a run on own prompts on l40s"]}
    )
    rows = [("tuning", "l40s", 0.9), ("chat", "a100", 0.7)]
    pilots = pd.DataFrame(rows, columns=["use_case_id", "accelerator_id", "total"]).reindex(columns=PILOT_COLUMNS)
    nets = pd.DataFrame(
        [("chat", "a100", 5e4), ("tuning", "l40s", -1.0)], columns=["use_case_id", "accelerator_id", "net_usd"]
    )
    short = SimpleNamespace(pilots=pilots, knowledge=nets, robustness=SimpleNamespace(verdicts=verdicts))
    told, shown = ranking.pilots_section(mini_ws, short).parts
    assert "start with the 1 whose benchmark pays for itself" in told.text
    assert shown.html.index(">chat<") < shown.html.index(">tuning<")
    short.knowledge = nets.assign(net_usd=-1.0)
    assert "start with the 1 whose measurement would decide" in ranking.pilots_section(mini_ws, short).parts[0].text


def test_criteria_of_judgements_are_named_in_words(mini_ws):
    row = {"platform": "tpu", "workload_class": "real_time_inference", "criterion": "software_compatibility", "score": 0.5, "low": 0.4,
           "high": 0.6, "owner_role": "x", "as_of": pd.Timestamp("2026-10-01"), "rationale": "r", "lacks": ""}  # fmt: skip
    shown = ranking.judgements_section(mini_ws, pd.DataFrame([row])).parts[1].html
    assert "Software compatibility" in shown and "Real time inference" in shown


def test_what_costs_are_scored_against_without_a_price_of_todays_platform_is_said(mini_ws):
    rows = pd.DataFrame([("chat", "a100", "a hosted model", "assumed", "", np.nan, "")], columns=[
        "use_case_id", "accelerator_id", "basis", "confidence", "seen", "seen_share", "seen_basis"])  # fmt: skip
    shown = page.table_today(mini_ws, rows).html.replace("\xa0", " ")
    assert (
        "where no offer of the plan prices it, cost is scored against what the bill charges a unit, and without that counts as unknown"
        in shown
    )
