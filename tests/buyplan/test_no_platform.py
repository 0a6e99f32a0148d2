"""Use cases without a platform: every constraint that leaves one out is named, with its way out."""

import pandas as pd
import pytest

from aifactory.buyplan.no_platform import no_platform_sentences
from aifactory.shortlist import exclusions

COLUMNS = ["use_case_id", "accelerator_id", "rule", "reason"]


def excluded(**rules):
    return pd.DataFrame([("chat", name, rule, "x") for name, rule in rules.items()], columns=COLUMNS)


def capacity(**usd):
    frame = pd.DataFrame({"accelerator_id": list(usd), "usd_per_1k_units": list(usd.values())})
    return frame.assign(use_case_id="chat", units_per_s_per_accelerator=1.0)


def test_each_rule_is_named_once_with_what_it_frees_and_the_cheapest_is_said():
    gone = excluded(a="SLO", b="SLO", c="region", d="export")
    said = no_platform_sentences(["chat", "chat"], gone, capacity(a=None, b=None, c=2.0, d=1.5), "abcd")
    assert said == [
        "No platform keeps its latency targets, the rule on export and residency of chat together: a slower target would free "
        "a, b (price not known), an exception would free d (USD 1.5 per 1,000 units), another region, or an offer in its own "
        "would free c (USD 2 per 1,000 units). The cheapest known way out: d."
    ]


def test_what_was_never_measured_is_a_way_out_and_a_wrong_kind_is_none():
    gone = excluded(a="memory", edge="edge device")
    said = no_platform_sentences(["chat"], gone, capacity(a=None, b=None, edge=0.1), ["a", "b", "edge"])[0]
    assert "memory and what is measured of chat" in said and "a benchmark would free b" in said and "edge" not in said
    assert "cheapest" not in said


@pytest.mark.parametrize("gone", [excluded(), excluded(edge="edge device"), excluded(z="SLO")])
def test_without_a_rule_of_a_candidate_nothing_contradicts(gone):
    assert no_platform_sentences(["chat"], gone, capacity(a=None, edge=0.1, z=1.0), ["a", "edge"]) == []


def test_every_rule_of_the_shortlist_has_its_words():
    from inspect import getsource

    from aifactory.buyplan.no_platform import KIND, WAYS

    text = getsource(exclusions)
    named = {rule for rule in WAYS if f'return "{rule}", ' in text}
    assert named == set(WAYS) - {"benchmark"} and f'return "{KIND}", ' in text
