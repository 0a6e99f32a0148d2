"""Judged values: what each stands on, and what the report says is missing."""

import pandas as pd
import pytest

from aifactory.report.shortlist_ranking import judgements_section
from aifactory.shortlist.judgements import CRITERIA, JUDGEMENT_COLUMNS, judged_values


@pytest.fixture
def judge(changed, mini_ws):
    def found(**columns):
        rows = mini_ws.table("judgements")
        return judged_values(changed(judgements=rows.assign(**columns))), rows

    return found


def test_every_candidate_and_criterion_is_looked_up_once(mini_ws):
    found = judged_values(mini_ws)
    assert found.columns.tolist() == JUDGEMENT_COLUMNS
    assert set(found["criterion"]) == set(CRITERIA)
    assert not found.duplicated(["platform", "workload_class", "criterion"]).any()
    assert (found["low"] <= found["score"]).all()
    assert (found["score"] <= found["high"]).all()


def test_owner_date_and_a_reason_of_its_own_are_asked_for(judge):
    none, _ = judge(owner_role=pd.NA)
    assert none["lacks"].str.contains("an owner").all()
    old, _ = judge(as_of=pd.Timestamp("2020-01-01"))
    assert old["lacks"].str.contains("fresh evidence").all()
    alike, rows = judge(rationale="Because.")
    several = rows.groupby("criterion")["score"].nunique()
    expected = set(several[several > 1].index)
    assert set(alike.loc[alike["lacks"].str.contains("a reason of its own"), "criterion"]) == expected & set(CRITERIA)


def test_a_missing_judgement_is_counted_and_spans_the_scale(changed, mini_ws):
    rows = mini_ws.table("judgements")
    ws = changed(judgements=rows[rows["criterion"] != "portability"])
    found = judged_values(ws)
    gone = found[found["criterion"] == "portability"]
    assert (gone["lacks"] == "a judgement").all()
    assert (gone["low"].eq(0) & gone["high"].eq(1)).all()
    text = judgements_section(ws, found).text
    assert f"{(found['lacks'] != '').sum()} of {len(found)} judged values" in text


def test_bundled_judgements_have_owner_and_date(sample_ws):
    """What no table can back stays visible: orchestration, observability, and maturity on old measurements."""
    found = judged_values(sample_ws)
    assert found["owner_role"].ne("").all()
    assert found["as_of"].notna().all()
    own = found[found["lacks"].str.contains("of its own")]
    assert set(own["criterion"]) == {"orchestration_maturity", "observability"}
    assert set(found.loc[found["lacks"] == "fresh evidence", "criterion"]) <= {"maturity", "supply"}
