"""Models that are sold hosted only: by name, in the checks, and in the choice of a platform."""

import dataclasses

import pandas as pd
import pytest

from aifactory.benchmark.estimates import estimate_missing
from aifactory.inputs.checks import foreign_keys
from aifactory.inputs.hosted import HOSTED_ONLY, closed_models, hosted_only, model_key, model_keys
from aifactory.inventory.today import todays_platforms
from aifactory.shortlist.outcome import choose
from aifactory.shortlist.robustness import HOSTED_VERDICT, rank_robustness


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("deepinfra/meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo", "Llama-3.1-8B", True),
        ("groq/whisper-large-v3", "Whisper-large-v3", True),
        ("groq/whisper-large-v3-turbo", "Whisper-large-v3", False),
        ("bedrock/us-gov-west-1/openai.gpt-oss-120b-1:0", "gpt-oss-20b", False),
        ("gpt-4o-mini", "gpt-4o", False),
        ("stability/sd3.5-large", "SD3.5-Large", True),
    ],
)
def test_model_names(left, right, same):
    assert (model_key(left) == model_key(right)) is same


def test_a_row_of_two_models_is_sold_under_either_name():
    row = "Llama-3.1-70B / 3.3-70B"
    sold = ["together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", "meta.llama3-1-70b-instruct-v1:0", "x/Llama-3.3-8B"]
    assert [model_key(name) in model_keys(row) for name in sold] == [True, True, False]
    assert closed_models(pd.Series(["Llama-3.3-70B"]), [row], sold).tolist() == [False]


def test_only_what_is_sold_hosted_and_has_no_known_weights_is_closed():
    named = pd.Series(["vendor/closed-1", "Open-8B", "nobody-knows", None])
    assert closed_models(named, ["Open-8B"], ["vendor/closed-1", "vendor/open-8b"]).tolist() == [True, False, False, False]  # fmt: skip


@pytest.fixture(scope="module")
def hosted_ws(mini_ws):
    cases = mini_ws.table("use_cases")
    chat = cases["use_case_id"] == "chat"
    plan = mini_ws.plan.model_copy(update={"baseline_accelerators": {}})
    tables = {**mini_ws.tables, "use_cases": cases.assign(model=cases["model"].mask(chat, "gpt-4o-mini"))}
    return dataclasses.replace(mini_ws, plan=plan, tables=tables)


def test_a_hosted_model_is_no_unknown_name_and_has_no_platform_of_today(hosted_ws, mini_ws):
    assert (hosted_only(hosted_ws), hosted_only(mini_ws)) == (frozenset({"chat"}), frozenset())
    assert not [found for found in foreign_keys(hosted_ws.tables, hosted_ws.plan) if found.value == "gpt-4o-mini"]
    wrong = {**hosted_ws.tables, "use_cases": hosted_ws.table("use_cases").assign(model="gpt-4o-mimi")}
    assert [found.column for found in foreign_keys(wrong, hosted_ws.plan)] == ["model"]
    bill = hosted_ws.table("billing").assign(use_case="(unattributed)")
    quiet = dataclasses.replace(hosted_ws, tables={**hosted_ws.tables, "billing": bill})
    assert todays_platforms(quiet, ["chat"])["seen"].tolist() == [""]


def test_nobody_is_sent_to_benchmark_a_hosted_model(hosted_ws):
    nothing = pd.DataFrame(columns=["use_case_id", "accelerator_id", "precision", "units_per_s_per_accelerator"])
    found = estimate_missing(hosted_ws, nothing, pd.Series(dtype=float))
    mine = found[found["use_case_id"] == "chat"]
    assert mine["evidence"].unique().tolist() == [HOSTED_ONLY] and mine["units_per_s_per_accelerator"].isna().all()
    cells = mine.assign(decision="not comparable", total=float("nan"), platform_class="gpu", reason=HOSTED_ONLY)
    ranked = rank_robustness(hosted_ws, cells, pd.DataFrame(columns=["use_case_id", "accelerator_id"]), draws=10)
    unknown = dict.fromkeys(("compute_usd", "total_usd", "total_low_usd", "total_high_usd"), float("nan"))
    chosen = choose(cells, cells[["use_case_id", "accelerator_id"]].assign(**unknown), ranked).iloc[0]
    assert (chosen["reason"], chosen["verdict"]) == (HOSTED_ONLY, HOSTED_VERDICT)
