"""The page of the questions to the plan: findings in words, tables for the workbook."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aifactory.buyplan.examine import Examination
from aifactory.report import buy_plan_examined as page
from aifactory.shortlist.outcome import NOT_MEASURED


@pytest.fixture
def found():
    frontier = pd.DataFrame({"risk_weight": [0.0, 0.3, 1.0], "expected_usd": [10e6, 10.1e6, 11e6], "tail_usd": [15e6, 14.5e6, 14e6],
                             "overrun_usd": [5e6, 4.4e6, 3e6], "orders_usd": [1e6, 2e6, 4e6], "is_plan": [False, True, False]})  # fmt: skip
    limits = pd.DataFrame({"limit": ["Capital of fiscal year 2027", "Lead time of hardware"], "used": [6e6, 6.0], "most": [6e6, np.nan],
                           "unit": ["USD", "months"], "binds": [True, True], "price_usd": [0.25, 2e5], "per": ["a dollar", "a month longer"]})  # fmt: skip
    stability = pd.DataFrame({"change": ["none", "demand +1 %"], "moved_accelerators": [0.0, 2.0], "moved_share": [0.0, 0.02],
                              "first_orders_moved": [0.0, 8.0], "orders_change_usd": [0.0, -3e4], "keep_usd": [0.0, 5e3],
                              "keep_share": [0.0, 5e-4], "refresh_share": [0.0, 0.0]})  # fmt: skip
    cell = {
        "use_case_id": "chat",
        "chosen_id": "acc",
        "why": "not chosen",
        "tier": "measured",
        "now_usd": 5e6,
        "penalties_usd": -9084.0,
    }
    excluded = pd.DataFrame([
        {**cell, "accelerator_id": "half", "moved_usd": 3e6, "saving_usd": 2009084.0},
        {**cell, "accelerator_id": "other", "moved_usd": 4e6, "saving_usd": 1009084.0},
        {**cell, "accelerator_id": "nowhere", "moved_usd": np.inf, "saving_usd": np.nan},
    ])  # fmt: skip
    peaks = pd.DataFrame([{"use_case_id": "chat", "chosen_id": "acc", "peak_id": "half", "tier": "anchored", "usd_per_accelerator_hour": 2.7, "price_as_of": "2024-12-23", "hours_month": 900.0, "now_usd": 5e6,
                           "then_usd": 4.7e6, "once_usd": 5e4, "held_usd": 2e5, "saving_usd": 2.5e5}])  # fmt: skip
    return Examination(frontier, limits, stability, excluded, peaks, 0.3, 0.9)


def text_of(group):
    return "\n".join(part.text for part in group)


def html_of(group):
    return "\n".join(getattr(part, "html", "") for part in group).replace("\xa0", " ")


def test_findings_are_said_with_their_money(sample_ws, found):
    text = text_of(page.examined_section(sample_ws, found))
    assert "chat on half instead of acc would save USD 2.01 M after risk" in text and "on other instead" not in text
    assert "capital of fiscal year 2027" in text and "lead time of hardware (USD 200 k for a month longer)" in text
    assert "moves 2.0 % of the fleet" in text
    assert "peak hours rented on half (capacity anchored), the rest on acc, cost USD 250 k less than all on acc" in text
    assert "The price of half is of 2024-12-23." in text
    assert "overruns by USD 2.00 M and cost USD 1.00 M more" in text and "with 30 %" in text


def test_rounding_is_no_penalty(found):
    cell = found.excluded.iloc[0]
    assert "penalties" not in page._saved(cell.replace(-9084.0, 2.9e-11))
    assert "penalties (porting, rework, delay, missed targets) USD 9.08 k less" in page._saved(cell)


def test_the_value_of_a_platform_whose_support_ends_is_told_to_reckon_as_if_it_lasted(sample_ws, found):
    told = "A platform whose support ends before is valued as if it lasted."
    ends = replace(found, excluded=found.excluded.assign(why=["not chosen", "support end", "not chosen"]))
    assert told in html_of(page.examined_section(sample_ws, ends))
    assert told not in html_of(page.examined_section(sample_ws, found))


def test_nothing_given_up_is_said(sample_ws, found):
    none = replace(found, excluded=found.excluded.assign(saving_usd=-1.0))
    assert "Nothing: none of 3" in text_of(page.examined_section(sample_ws, none))
    unknown = replace(found, excluded=found.excluded.assign(saving_usd=np.nan))
    assert "no other platform of known capacity" in text_of(page.examined_section(sample_ws, unknown))
    dear = replace(found, peaks=found.peaks.assign(saving_usd=-1.0))
    assert "No: for no use case would it save more" in text_of(page.examined_section(sample_ws, dear))
    assert page.examined_section(sample_ws, None).text.endswith(page.NOT_ASKED)
    assert page.tables(None) == {} and set(page.tables(found)) >= {
        "excluded_platforms",
        "peak_platforms",
        "risk_frontier",
    }


def test_the_first_screen_names_a_platform_that_would_save_a_material_amount(found):
    text = page.given_up_sentence(found, 50e6)
    assert text == (
        "chat on half instead of acc would save USD 2.01 M after risk: these platforms, with what stands there, cost USD 5.00 M now and USD 3.00 M then, "
        "penalties (porting, rework, delay, missed targets) USD 9.08 k less (left out: not chosen): look at the choice of platform again before signing."
    )
    banned = found.excluded.assign(why=["export", "not chosen", "not chosen"])
    assert page.given_up_sentence(replace(found, excluded=banned), 50e6).startswith(
        "chat on other instead of acc would save USD 1.01 M"
    )
    assert page.given_up_sentence(replace(found, excluded=banned.assign(why="policy")), 50e6) == ""
    guessed = replace(found, excluded=found.excluded.assign(tier="anchored", why=NOT_MEASURED))
    assert "half (capacity anchored) instead of acc" in page.given_up_sentence(guessed, 50e6)
    assert page.given_up_sentence(guessed, 50e6).endswith(
        "(left out: not measured on own prompts): benchmark it before signing."
    )
    ends = replace(found, excluded=found.excluded.assign(why="support end"))
    assert page.given_up_sentence(ends, 50e6).endswith(
        "(left out: support end): ask what longer support costs, since this is its value if support lasted, before signing."
    )
    assert page.given_up_sentence(found, 250e6) == ""
    assert page.given_up_sentence(None, 50e6) == ""
    unknown = replace(found, excluded=found.excluded.assign(saving_usd=np.nan))
    assert page.given_up_sentence(unknown, 50e6) == ""


def test_a_limit_of_which_more_is_used_than_is_allowed_is_told(sample_ws, found):
    """What stands may take more than a limit that nothing can be ordered within: that is no limit with room."""
    limits = found.limits.assign(used=[64_386.0, 6.0], most=[40_000.0, np.nan], binds=False)
    group = page._limits(sample_ws, replace(found, limits=limits))
    text = group.parts[0].text
    assert "More than is allowed is used of capital of fiscal year 2027: see the risks." in text
    assert "would save nothing if raised" not in text
    assert "exceeded" in group.parts[1].html


def test_a_share_next_to_its_limit_is_told_from_it(sample_ws, found):
    share = {
        "limit": "Share of one vendor",
        "used": 0.4996,
        "most": 0.5,
        "unit": "share",
        "binds": False,
        "price_usd": 0.0,
        "per": "x",
    }
    group = page._limits(
        sample_ws, replace(found, limits=pd.concat([found.limits, pd.DataFrame([share])], ignore_index=True))
    )
    cells = group.parts[1].html
    assert "0.4996" in cells and "6,000,000.00" in cells
