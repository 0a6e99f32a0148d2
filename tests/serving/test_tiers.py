"""When a size trend may speak for a model that nobody measured."""

import numpy as np
import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.serving.bundled import bundled_rows
from aifactory.serving.fidelity import CROSS_VALIDATION
from aifactory.serving.intervals import ENOUGH
from aifactory.serving.measurements import read_measurements, told_elsewhere, with_features
from aifactory.serving.tier_scores import calibration_scores, family_scores, scenario_scores
from aifactory.serving.tiers import (
    ANCHORED,
    MEASURED,
    REFUSED,
    STEP_MODEL,
    STRAYS,
    look_up,
    train,
    without_wide,
)

HEAD = "id,source,date,accelerator,accelerator_class,accel_count,task,model,params_b,precision,scenario,metric,value\n"
CHIPS = ("nvidia-h100-sxm-80gb", "nvidia-b200-sxm-180gb")


def videos(path, speed_of):
    lines = [
        f"{model}{chip},lab,2025-09-09,{chip},gpu,1,text-to-video,{model},{size},bf16,offline,samples_per_s,{speed * (1 + place)}"
        for model, (size, speed) in speed_of.items()
        for place, chip in enumerate(CHIPS)
    ]
    path.write_text(HEAD + "\n".join(lines) + "\n")
    return with_features(read_measurements(path))


@pytest.mark.parametrize(
    ("speeds", "speaks"),
    [
        ({"a": (2, 0.5), "b": (5, 0.2), "c": (10, 0.1), "d": (20, 0.05)}, True),
        ({"a": (2, 0.005), "b": (5, 2.0), "c": (10, 0.001), "d": (20, 5.0)}, False),
    ],
)
def test_a_new_model_is_refused_where_known_ones_do_not_follow_their_size(tmp_path, speeds, speaks):
    rows = videos(tmp_path / "v.csv", speeds)
    asked = rows.iloc[:1].assign(model="e", params_b=7.0, active_b=7.0, id="new")
    answer = train(rows).predict(asked).iloc[0]
    assert np.isfinite(answer["predicted"]) == speaks
    assert (answer["reason"] == STRAYS) != speaks


def test_new_models_are_calibrated_by_their_own_work_and_never_by_work_that_is_refused(tmp_path):
    sizes = dict(zip("abcdefgh", np.geomspace(1, 20, 8), strict=True))
    spread = {"text-to-video": 1.1, "text-to-image": 1.8, "asr": 40.0}  # factor off, up and down in turn
    paths = []
    for task, factor in spread.items():
        speeds = {
            f"{name}-{task}": (size, factor ** (-1) ** place / size) for place, (name, size) in enumerate(sizes.items())
        }
        videos(tmp_path / f"{task}.csv", speeds)
        paths.append((tmp_path / f"{task}.csv").read_text().replace("text-to-video,", f"{task},").split("\n", 1)[1])
    (tmp_path / "all.csv").write_text(HEAD + "".join(paths))
    predictor = train(with_features(read_measurements(tmp_path / "all.csv")))
    cells = predictor.models["other"].cells
    residual, deviation = predictor.models["other"].leave_out(cells["model"])
    scores = pd.Series(
        np.sort(np.abs(residual) / deviation), index=cells["task"].to_numpy()[np.argsort(np.abs(residual) / deviation)]
    )
    steady, loose, other = (
        predictor.width("other", "new model", work=(task, "samples_per_s"))
        for task in ("text-to-video", "text-to-image", "asr")
    )
    assert steady == scores["text-to-video"].iloc[13]  # ceil(17 x 0.8) = 14th of 16
    assert loose == scores["text-to-image"].iloc[13]
    assert steady < 0.7 * loose
    assert other == scores[["text-to-video", "text-to-image"]].sort_values().iloc[26]  # ceil(33 x 0.8) = 27th of 32
    assert other < scores["asr"].iloc[0]


def test_other_conditions_of_known_models_are_still_answered(tmp_path):
    rows = videos(tmp_path / "v.csv", {"a": (2, 0.005), "b": (5, 2.0), "c": (10, 0.001), "d": (20, 5.0)})
    asked = rows.iloc[:1].assign(accelerators=8.0, id="other")
    assert np.isfinite(train(rows).predict(asked)["predicted"].iloc[0])


def test_a_metric_or_a_task_that_nobody_measured_gets_no_number(tmp_path):
    rows = videos(tmp_path / "v.csv", {"a": (2, 0.5), "b": (5, 0.2), "c": (10, 0.1), "d": (20, 0.05)})
    for change in ({"metric": "frames_per_joule"}, {"kind": "cooking"}):
        answer = train(rows).predict(rows.iloc[:1].assign(id="new", accelerators=4.0, **change)).iloc[0]
        assert np.isnan(answer["predicted"])
        assert "in this metric" in answer["reason"]


@pytest.fixture(scope="module")
def on_all_rows():
    return train(bundled_rows())


def test_intervals_of_a_scenario_come_from_its_own_scores_where_enough_accelerators_ran_it(on_all_rows):
    predictor = on_all_rows
    model = predictor.models["llm_rounds"]
    widths = {name: predictor.width("llm_rounds", "new accelerator", name) for name in ("offline", "interactive")}
    for name, width in widths.items():
        scores = scenario_scores(model, name)
        assert np.mean(scores <= width) == pytest.approx(0.8, abs=0.05)
    assert widths["interactive"] != widths["offline"]
    assert scenario_scores(model, "never run") is None
    pooled = predictor.width("llm_rounds", "new accelerator", "never run")
    assert pooled == predictor.width("llm_rounds", "new accelerator")


def test_other_conditions_and_looked_up_rows_are_calibrated_by_their_own_source_and_task(on_all_rows):
    predictor = on_all_rows
    found = family_scores(predictor.models["llm_tables"], "other row")
    assert (
        np.concatenate(list(found.values())).size
        == calibration_scores(predictor.models["llm_tables"], "other row").size
    )
    widths = {}
    for (family, task), scores in found.items():
        if len(scores) >= ENOUGH:
            width = widths[family, task] = predictor.width("llm_tables", "other row", family=family, work=(task, ""))
            assert 0.8 <= np.mean(scores <= width) <= 0.8 + 6 / len(scores), "cells count up to five times"
    assert widths["ml-energy-leaderboard", "llm"] != widths["trtllm-perf", "llm"]
    assert widths["ml-energy-leaderboard", "vlm"] > 1.5 * widths["ml-energy-leaderboard", "llm"]
    whole = [scores for (family, _), scores in found.items() if family == "ml-energy-leaderboard"]
    other = predictor.width("llm_tables", "other row", family="ml-energy-leaderboard", work=("llm-never", ""))
    assert 0.8 <= np.mean(np.concatenate(whole) <= other) <= 0.82, "a task without scores takes those of its source"
    pooled = predictor.width("llm_tables", "other row")
    assert predictor.width("llm_tables", "other row", family="never published") == pooled
    looked_up = predictor.lookup_widths(pd.Series(["nobody"]))
    assert np.isfinite(looked_up).all(), "a source without scores takes those of all"


def test_new_models_and_looked_up_rows_are_calibrated_by_the_scenario_and_metric_of_their_source(on_all_rows):
    asked = ("new accelerator", "concurrency", "xiongjiedai-llamacpp")
    prompts, tokens = (
        on_all_rows.width("llm_tables", *asked, work=("llm", metric))
        for metric in ("prompt_tokens_per_s", "tokens_per_s")
    )
    assert (
        prompts
        > tokens
        > on_all_rows.width("llm_tables", asked[0], "concurrency", "trtllm-perf", ("llm", "tokens_per_s"))
    )
    asked = ("mlperf-inference", ("llm", "tokens_per_s"))
    offline, interactive = (
        on_all_rows.width("llm_rounds", "new model", name, *asked) for name in ("offline", "interactive")
    )
    assert interactive > 1.3 * offline, "limits on latency bind in more ways than capacity"
    families = pd.Series(["mlperf-inference"] * 3)
    free, bound, other = on_all_rows.lookup_widths(families, pd.Series(["offline", "interactive", "never run"]))
    assert free < other < bound, "a scenario without scores takes those of its source"


def test_images_read_by_a_model_are_work_of_their_own(tmp_path):
    rows = bundled_rows()
    seen = rows[(rows["task"] == "vlm") & (rows["family"] == "ml-energy-leaderboard")]
    assert len(seen) > 20
    assert seen["context"].str.endswith("|vlm").all()
    assert not set(seen["context"]) & set(rows.loc[rows["task"] != "vlm", "context"])
    assert seen["regime"].str.startswith("llm").all(), "and still priced in tokens by the step model"


def editions(path, *lines):
    """Rows of one accelerator and model: id, edition, date, submitter, value."""
    head = "id,source,date,submitter,accelerator,accelerator_class,accel_count,task,model,params_b,precision,scenario,metric,value\n"
    same = "nvidia-h100-sxm-80gb,gpu,8,llm,llama2-70b,70,fp8,offline,tokens_per_s"
    path.write_text(
        head
        + "".join(f"{name},mlperf-inference-{of},{day},{by},{same},{value}\n" for name, of, day, by, value in lines)
    )
    return with_features(read_measurements(path))


@pytest.mark.parametrize(
    ("edition", "date", "expected", "count"),
    [
        ("v6.0", "2026-03-26", 22000.0, 3),  # a newer one: the fastest of the last
        ("v5.1", "2025-09-09", 21000.0, 3),  # its own: the median
        ("v4.0", "2024-03-09", 15500.0, 2),  # an older one: the median of the first
    ],
)
def test_an_edition_that_was_not_measured_is_answered_by_the_next_in_date(tmp_path, edition, date, expected, count):
    known = editions(
        tmp_path / "known.csv",
        ("a", "v4.1", "2024-08-28", "X", 15000), ("b", "v4.1", "2024-08-28", "Y", 16000),
        ("c", "v5.1", "2025-09-09", "X", 20000), ("d", "v5.1", "2025-09-09", "Y", 21000),
        ("e", "v5.1", "2025-09-09", "Z", 22000),
    )  # fmt: skip
    asked = editions(tmp_path / "asked.csv", ("new", edition, date, "W", 1))
    found = look_up(asked, known, exclude_self=True).iloc[0]
    assert found["rows"] == count
    # values of a system of eight, speeds per accelerator
    assert 8 * np.exp(found["speed"]) == pytest.approx(expected, rel=1e-3)


def test_prompts_of_a_reviewed_round_are_not_those_of_other_tables_of_the_same_model(tmp_path):
    head = "id,source,accelerator,accelerator_class,accel_count,task,model,params_b,scenario,metric,value\n"
    row = "nvidia-h100-sxm-80gb,gpu,8,llm,llama3.1-405b,405,concurrency,tokens_per_s,900"
    path = tmp_path / "rows.csv"
    path.write_text(f"{head}round,mlperf-inference-v6.0,{row}\nchat,some-leaderboard,{row}\n")
    lengths = with_features(read_measurements(path)).set_index("id")["input_tokens"]
    assert lengths.to_dict() == {"round": 9400.0, "chat": 512.0}


def test_training_follows_six_flops_a_parameter_and_token_whatever_the_model():
    rows = bundled_rows()
    tpu = rows[(rows["family"] == "google-tpu-recipes") & (rows["metric"] == "tokens_per_s")]
    assert set(tpu["law"]) == {"6ND"}
    share = 6e-3 * np.exp(tpu["speed"]) * tpu["active_b"] / tpu["peak"]
    assert 0.4 < share.median() < 0.6, "share of the dense peak that 6ND says was reached"
    held = tpu["model"] == "mixtral-8x22b-pretrain"
    answer = train(rows[rows["model"] != "mixtral-8x22b-pretrain"]).predict(tpu[held])
    assert len(answer)
    assert (answer["predicted"] / tpu.loc[held, "value"]).between(0.7, 1.4).all()


def test_a_batch_split_over_accelerators_counts_by_accelerator():
    rows = bundled_rows()
    images = rows[(rows["task"] == "text-to-image") & (rows["family"] == "ml-energy-leaderboard")]
    assert images["batch"].tolist() == pytest.approx((images["concurrency"] / images["accelerators"]).tolist())


def test_a_row_that_stands_alone_is_never_predicted_from_itself(tmp_path):
    lone = editions(tmp_path / "one.csv", ("a", "v5.1", "2025-09-09", "X", 20000))
    said = CROSS_VALIDATION["row"](lone).iloc[0]
    assert said["tier"] == STEP_MODEL
    assert abs(said["predicted"] / 20000 - 1) > 0.01
    unknown = lone.assign(chip="nobody-knows", known_chip=False, prior=np.nan)
    assert np.isnan(CROSS_VALIDATION["row"](unknown)["predicted"].iloc[0])
    rows = bundled_rows()
    odd = rows[~np.isfinite(rows["prior"])]
    answer = CROSS_VALIDATION["row"](rows).loc[odd.index]
    others = look_up(odd, rows, exclude_self=True)
    assert answer.loc[others["rows"] == 0, "tier"].ne(MEASURED).all()
    evidence = answer.loc[answer["tier"] == ANCHORED, "reason"]
    assert evidence.str.startswith("evidence: ").all(), "not that of the row itself"
    counts = answer.loc[answer["tier"] == MEASURED, "reason"].str.extract(r"median of (\d+) measured")[0].astype(int)
    assert counts.tolist() == look_up(rows, rows, exclude_self=True).loc[counts.index, "rows"].tolist()


def test_a_slip_of_units_teaches_nothing(tmp_path):
    speeds = [("a", "v5.1", "2025-09-09", "X", 20000), ("b", "v5.1", "2025-09-09", "Y", 21000)]
    slip = ("c", "v5.1", "2025-09-09", "Y", 21e12)
    asked = editions(tmp_path / "asked.csv", ("new", "v5.1", "2025-09-09", "W", 1))
    sound, wrong = (
        train(editions(tmp_path / f"{len(lines)}.csv", *lines)).predict(asked)["predicted"].iloc[0]
        for lines in (speeds, [*speeds, slip])
    )
    assert wrong == pytest.approx(sound)


@pytest.mark.parametrize(
    ("column", "value"),
    [("accel_count", "0"), ("input_tokens", "-100"), ("slo_tpot_ms", "0"), ("params_b", "70000000000"),
     ("date", "9999-99-99"), ("date", "soon"), ("accel_count", "0.5"), ("tp", "1e-320"), ("output_tokens", "0.2"),
     ("active_params_b", "1e-9"), ("slo_ttft_ms", "0.45"), ("value", "1e300")],
)  # fmt: skip
def test_numbers_that_cannot_be_are_refused_with_their_text(tmp_path, column, value):
    path = tmp_path / "m.csv"
    row = {
        "id": "a",
        "accelerator": "h100",
        "model": "m",
        "metric": "tokens_per_s",
        "value": "5",
        "scenario": "offline",
    }
    pd.DataFrame([row | {column: value}]).to_csv(path, index=False)
    with pytest.raises(InputError, match=f"column '{column}': value '{value}'"):
        read_measurements(path)
    faults = {}
    read_measurements(path, faults=faults)
    assert list(faults) == [0]


def test_capitals_and_the_order_of_a_date_do_not_matter(tmp_path):
    path = tmp_path / "m.csv"
    row = {"accelerator": "nvidia-h100-sxm", "model": "m", "params_b": "7", "value": "5", "task": "LLM"}
    kinds = [("a", "Offline", "Tokens_per_s", "30/06/2025"), ("b", "offline", "tokens_per_s", "2025")]
    pd.DataFrame([row | dict(zip(("id", "scenario", "metric", "date"), kind, strict=True)) for kind in kinds]).to_csv(
        path, index=False
    )
    found = with_features(read_measurements(path))
    assert found["context"].nunique() == 1
    assert found["year"].nunique() == 1


def test_what_a_row_leaves_open_is_said_where_it_moves_the_answer(tmp_path):
    path = tmp_path / "m.csv"
    head = "id,source,date,accelerator,accel_count,task,model,params_b,active_params_b,precision,scenario,input_tokens,output_tokens,batch_or_concurrency,tp,metric,value\n"
    given = "lab,2025-06-30,nvidia-h100-sxm,8,llm,m,70,70,fp8,concurrency,1024,128,64,8,tokens_per_s,900"
    path.write_text(
        f"{head}all,{given}\n"
        "open,lab,2025-06-30,nvidia-h100-sxm,,llm,m,70,90,fp7,concurrency,,,,,tokens_per_s,900\n"
        "round,mlperf-inference-v6.0,2025-06-30,nvidia-b200-sxm,8,llm,llama2-70b,70,70,,offline,,,,,tokens_per_s,900\n"
        "image,lab,2025-06-30,nvidia-h100-sxm,1,text-to-image,sdxl,3,3,bf16,offline,,,,,ms_per_request_p90,900\n"
    )
    rows = with_features(read_measurements(path)).set_index("id")
    assert rows["assumed"].to_dict() == {
        "all": "",
        "open": "512 input tokens, 256 output tokens, 1 accelerator, all parameters active (90 of 70 x 10^9 given), "
        "the batch that yields most, precision bf16 for 'fp7'",
        "round": "precision fp4",  # its lengths are those of the benchmark
        "image": "",  # no tokens, one request at a time
    }
    said = train(rows.iloc[:0].reset_index()).predict(rows.reset_index())["reason"]
    assert said.iloc[0] == "step model alone: no measurement to calibrate it by"
    assert said.iloc[1].startswith("step model alone: no measurement to calibrate it by; assumed: 512 input tokens, ")
    assert said.iloc[3] == "nothing of this kind was measured: run the benchmark pack", "a refusal assumes nothing"


def test_scenarios_and_dates_that_cannot_be_read_are_said(tmp_path):
    path = tmp_path / "m.csv"
    head = "id,source,date,accelerator,accel_count,task,model,params_b,precision,scenario,input_tokens,output_tokens,batch_or_concurrency,tp,metric,value\n"
    rest = "nvidia-h100-sxm,8,llm,m,70,fp8,{},1024,128,64,8,tokens_per_s,900\n"
    said = {
        ("2025-06-30", "Offline"): "", ("2025-06", "server"): "", ("30/06/2025", "offline"): "the middle of 2025 for '30/06/2025'",
        ("2024", "offline"): "", ("", "offline"): "the middle of 2025",
        ("2025-06", "batch"): "a scenario that was not measured for 'batch'", ("2025-06", ""): "a scenario that was not measured",
    }  # fmt: skip
    lines = (f"{n},lab,{date},{rest.format(scenario)}" for n, (date, scenario) in enumerate(said))
    path.write_text(head + "".join(lines))
    assert with_features(read_measurements(path))["assumed"].tolist() == list(said.values())


def test_a_split_over_more_accelerators_than_there_are_is_one_over_all_and_said(tmp_path):
    path = tmp_path / "m.csv"
    head = "id,source,date,accelerator,accel_count,task,model,params_b,precision,scenario,input_tokens,output_tokens,batch_or_concurrency,tp,metric,value\n"
    line = "lab,2025-06-30,nvidia-h100-sxm,8,llm,m,70,fp8,offline,1024,128,64,{},tokens_per_s,900\n"
    path.write_text(head + "".join(f"{tp},{line.format(tp)}" for tp in (4, 8, 16)))
    rows = with_features(read_measurements(path)).set_index("id")
    assert rows["assumed"].tolist() == ["", "", "one copy over all accelerators for a split over 16"]
    assert rows.loc["16", ["prior", "tp", "batch"]].tolist() == rows.loc["8", ["prior", "tp", "batch"]].tolist()
    assert rows.loc["4", "prior"] != rows.loc["8", "prior"]


def test_the_trend_over_dates_is_followed_a_year_beyond_what_was_measured_and_no_further():
    """A date of 1990 was answered 325 times too fast, one of 2030 at half the speed, both without a word."""
    rows = bundled_rows()
    tables = rows[rows["regime"] == "llm_tables"]
    known, asked = train(tables), tables[tables["model"] == "llama3.1-8b"].head(12).assign(concurrency=37.0, id="new")
    last = float(tables["year"].max())
    one, ten = (known.predict(asked.assign(year=last + years)) for years in (1.1, 10.0))
    assert one["tier"].eq(ANCHORED).all()
    pd.testing.assert_frame_equal(one.drop(columns="reason"), ten.drop(columns="reason"))
    assert not one["reason"].str.contains("dated").any()
    assert ten["reason"].str.contains(f"dated beyond what was measured: as of {2026.1 + last:.1f}", regex=False).all()
    first = known.predict(asked.assign(year=-35.0))["predicted"].astype(float)
    assert (first / one["predicted"].astype(float)).between(0.2, 5).all()


def test_an_interval_that_says_nothing_is_a_refusal():
    ends = {"predicted": [10.0, 10.0, np.nan], "low80": [0.1001, 0.0999, np.nan], "high80": [1000.0, 1000.0, np.nan]}
    answer = pd.DataFrame(ends | {"tier": [ANCHORED, ANCHORED, REFUSED], "reason": ["evidence: a", "evidence: b", "c"]})
    kept, wide, refused = without_wide(answer).itertuples(index=False)
    assert kept == tuple(answer.iloc[0])
    assert np.isnan([wide.predicted, wide.low80, wide.high80]).all()
    assert (wide.tier, refused.reason) == (REFUSED, "c")
    assert "wider than 100 times either way: benchmark first" in wide.reason
    rows = bundled_rows()
    few = rows[rows["regime"] == "other"].sample(45, random_state=1)
    for said in (CROSS_VALIDATION["row"](few), train(few).predict(rows)):
        assert said["reason"].eq(wide.reason).any()
        width = said["high80"].astype(float) / said["low80"].astype(float)
        assert (width.isna() | (width <= 1e4)).all()


def left_out_sources(rows):
    """Every row predicted without any of its source: value over prediction (log) and whether the interval holds it."""
    parts = [train(rows[rows["family"] != name]).predict(part) for name, part in rows.groupby("family")]
    said = pd.concat(parts).reindex(rows.index).join(rows[["value", "family", "regime"]])
    said = said[said["predicted"].notna()]
    off = np.log(said["value"] / said["predicted"].astype(float))
    return said.assign(off=off, inside=said["value"].between(said["low80"], said["high80"]))


def test_intervals_hold_for_a_source_that_nobody_measured():
    """Coverage was 72 % of the rows and 3 % of the images of one source before sources calibrated it themselves."""
    said = left_out_sources(bundled_rows())
    by_source = said.groupby(["regime", "family"])["inside"].mean()
    assert 0.75 <= said["inside"].mean() <= 0.85
    assert 0.75 <= by_source.mean() <= 0.88
    assert by_source.min() > 0.4


def test_the_width_of_a_new_source_is_that_of_sources_left_out_and_known_ones_keep_theirs(on_all_rows):
    known = on_all_rows.width("llm_tables", "known", family="trtllm-perf", work=("llm", "tokens_per_s"))
    assert on_all_rows.width("llm_tables", "known", family="my-lab") > known
    assert on_all_rows.width("llm_tables", "known") == on_all_rows.width("llm_tables", "known", family=None)


def test_a_prompt_rate_is_refused_where_none_was_measured():
    rows = bundled_rows()
    asked = rows[rows["metric"] == "prompt_tokens_per_s"]
    answer = train(rows[rows["metric"] != "prompt_tokens_per_s"]).predict(asked)
    assert (answer["tier"] == REFUSED).all(), "decode rates were off by a factor of 380 there"
    assert np.isfinite(train(rows).predict(asked.assign(id="new"))["predicted"].astype(float)).all()


def test_work_that_others_measured_keeps_its_unit_under_the_name_of_another_source(tmp_path):
    """Videos of a known model were off by a factor of 50, trainings by 2,000: only their source told the unit."""
    rows = bundled_rows()
    for task in ("text-to-video", "training"):
        place = (rows["task"] == task) & rows["metric"].isin(["samples_per_s", "tokens_per_s"])
        held = place & (np.arange(len(rows)) % 3 == 0)
        family = "my-lab"
        renamed = rows[held].assign(source=family, family=family, round=False)
        renamed["context"] = renamed["context"].str.replace(r"^[^|]*", family, regex=True)
        said = train(rows[~held]).predict(renamed)
        off = np.abs(np.log(said["predicted"].astype(float) / renamed["value"]))
        assert off.median() < np.log(12), task


def test_a_row_that_states_neither_layout_nor_load_is_read_as_the_best_of_both(tmp_path):
    head = "id,source,date,accelerator,accel_count,task,model,params_b,precision,scenario,input_tokens,output_tokens,batch_or_concurrency,metric,value\n"
    line = "my-lab,2025-06-30,nvidia-h100-sxm,8,llm,m,8,fp8,offline,1024,512,{},tokens_per_s,90000"
    (tmp_path / "m.csv").write_text(f"{head}free,{line.format('')}\nfixed,{line.format(64)}\n")
    rows = with_features(read_measurements(tmp_path / "m.csv")).set_index("id")
    assert rows.loc["free", "layout_tp"] < 8
    assert rows.loc["fixed", "layout_tp"] == 8
    assert "one copy over all accelerators" not in rows.loc["free", "assumed"]
    assert rows.loc["free", "prior"] > rows.loc["fixed", "prior"]


def test_what_other_rows_of_a_model_or_accelerator_tell_fills_empty_cells(tmp_path):
    head = "id,accelerator,accelerator_class,task,model,params_b,precision,scenario,metric,value\n"
    (tmp_path / "a.csv").write_text(
        head + "a,chip,gpu,llm,m,8,fp8,offline,tokens_per_s,9\nb,chip,asic,llm,n,3,fp8,offline,tokens_per_s,9\n"
    )
    (tmp_path / "b.csv").write_text(
        head + "c,chip,,llm,m,,fp8,offline,tokens_per_s,9\nd,chip,,llm,q,,fp8,offline,tokens_per_s,9\n"
    )
    others, asked = (read_measurements(tmp_path / name) for name in ("a.csv", "b.csv"))
    filled = told_elsewhere(asked, others)
    assert filled["params_b"].iloc[0] == 8
    assert np.isnan(filled["params_b"].iloc[1])
    assert list(filled["accelerator_class"]) == ["", ""], "the rows of this accelerator do not agree"
    pd.testing.assert_frame_equal(told_elsewhere(asked), asked)


def test_names_in_capitals_or_with_underlines_are_those_of_the_other_file(tmp_path):
    head = "id,accelerator,task,model,params_b,precision,scenario,metric,value\n"
    (tmp_path / "a.csv").write_text(head + "a,chip-x1,llm,Model-7b,7,fp8,offline,tokens_per_s,9\n")
    (tmp_path / "b.csv").write_text(head + "b,CHIP X1,,MODEL_7B,,fp8,offline,tokens_per_s,9\n")
    others, asked = (read_measurements(tmp_path / name) for name in ("a.csv", "b.csv"))
    filled = told_elsewhere(asked, others).iloc[0]
    assert (filled["accelerator"], filled["model"]) == ("chip-x1", "Model-7b")
    assert (filled["task"], filled["params_b"]) == ("llm", 7)


def test_a_system_of_an_unstated_number_of_accelerators_may_be_one_to_eight(on_all_rows):
    rows = bundled_rows()
    rows = rows[(rows["metric"] == "tokens_per_s") & (rows["scenario"] == "offline")].head(40)
    stated = on_all_rows.predict(rows.assign(id=rows["id"] + "new"))
    asked = rows.assign(accel_count=np.nan, id=rows["id"] + "new")
    wide = on_all_rows.predict(asked)
    pd.testing.assert_series_equal(wide["predicted"], stated["predicted"])
    half = np.log(wide["high80"].astype(float) / wide["predicted"].astype(float))
    assert (half >= np.log(8) - 1e-9).all()
    latency = bundled_rows().query("metric == 'ms_per_request_p90'").head(5)
    known, unknown = (on_all_rows.predict(latency.assign(accel_count=n)) for n in (1.0, np.nan))
    pd.testing.assert_frame_equal(known, unknown)
