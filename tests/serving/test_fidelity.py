"""`aifactory fidelity`: own results never used, hostile files, tiers, the real figures."""

import gzip
import json
import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.errors import InputError
from aifactory.serving.deployments import PUBLISHED_MOST as DEPLOYED_MOST
from aifactory.serving.deployments import read_deployments
from aifactory.serving.fidelity import datasheet_ratio
from aifactory.serving.fidelity_command import run_fidelity
from aifactory.serving.measurements import PUBLISHED_MOST, layout_inputs, read_measurements, to_value, with_features
from aifactory.serving.tiers import train
from tests.serving.test_ratio import HEAD, table

COLUMNS = ["id", "predicted", "low80", "high80", "tier", "reason"]


def test_prediction_file_has_one_line_a_row_in_order(tmp_path):
    measured = table(tmp_path / "m.csv")
    out = tmp_path / "out.csv"
    report = run_fidelity(measured, out=out)
    written = pd.read_csv(out)
    assert list(written.columns) == COLUMNS
    assert list(written["id"]) == list(pd.read_csv(measured)["id"])
    assert (written["low80"] < written["predicted"]).all()
    assert (written["predicted"] < written["high80"]).all()
    assert {"known accelerator and model", "unseen accelerator", "unseen model"} <= set(report.summary["split"])
    limits = report.summary[report.summary["by"] == "physical limit"]
    assert limits["rows"].sum() == len(written)


def test_own_result_is_never_used(tmp_path):
    measured = table(tmp_path / "m.csv")
    before = run_fidelity(measured, leave_out="row").predictions.set_index("id")
    frame = pd.read_csv(measured)
    name = frame["id"].iloc[0]
    frame.loc[0, ["value", "value_per_accel"]] *= 50
    changed = tmp_path / "changed.csv"
    frame.to_csv(changed, index=False)
    after = run_fidelity(changed, leave_out="accelerator").predictions.set_index("id")
    reference = run_fidelity(measured, leave_out="accelerator").predictions.set_index("id")
    assert after.loc[name, "predicted"] == pytest.approx(reference.loc[name, "predicted"])
    assert before.loc[name, "predicted"] > 0


def test_training_rows_of_the_same_id_are_taken_out(tmp_path):
    measured = table(tmp_path / "m.csv")
    result = run_fidelity(measured, measured)
    assert (result.predictions["tier"] == "step model").all()
    assert result.predictions["reason"].str.contains("no measurement to calibrate it by").all()


def test_a_measured_row_speaks_first_and_other_chips_anchor(tmp_path):
    measured = table(tmp_path / "train.csv")
    asked = pd.read_csv(measured)
    asked["id"], asked["value"] = asked["id"] + "-asked", asked["value"] * 1.1  # measured again by somebody else
    asked.loc[1, ["accelerator", "id"]] = ["nvidia-gh200-144gb", "new-chip"]
    asked.loc[2, ["accelerator", "id"]] = ["unheard-of-chip", "unknown-chip"]
    asked.loc[3, ["model", "id", "params_b"]] = ["brand-new-13b", "new-model", 13]
    path = tmp_path / "asked.csv"
    asked.to_csv(path, index=False)
    answer = run_fidelity(path, measured).predictions.set_index("id")
    assert answer.loc["llama2-70bnvidia-h100-sxm-80gboffline-asked", "tier"] == "measured"
    assert answer.loc["llama2-70bnvidia-h100-sxm-80gboffline-asked", "predicted"] == pytest.approx(8 * 2900)
    assert answer.loc["new-chip", "tier"] == "anchored"
    assert answer.loc["new-model", "tier"] == "step model"
    assert np.isnan(answer.loc["unknown-chip", "predicted"])
    assert "unknown to the catalogue" in answer.loc["unknown-chip", "reason"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD.replace("value,", "") + "a,s,2025,c,gpu,1,llm,m,1,1,fp8,offline,tokens_per_s,1\n", "'value'"),
        (HEAD + "a,s,2025,c,gpu,1,llm,m,1,1,fp8,offline,tokens_per_s,fast,1\n", "row 2.*'value'.*'fast'"),
        (HEAD + "a,s,2025,c,gpu,1,llm,m,1,1,fp8,offline,tokens_per_s,-3,1\n", "row 2.*positive"),
        (HEAD + "a,s,2025,c,gpu,inf,llm,m,1,1,fp8,offline,tokens_per_s,3,1\n", "row 2.*'accel_count'"),
        (
            HEAD + "a,s,2025,c,gpu,655361,llm,m,1,1,fp8,offline,tokens_per_s,3,1\n",
            "row 2.*'accel_count'.*at most 655,360",
        ),
    ],
)
def test_bad_files_are_refused_with_place(tmp_path, text, says):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        run_fidelity(path)


def test_a_faulty_row_is_refused_and_the_others_are_answered(tmp_path):
    measured = table(tmp_path / "train.csv")
    asked = pd.read_csv(measured, dtype=str).assign(id=lambda rows: rows["id"] + "-asked")
    asked.loc[0, "value"], asked.loc[1, "value"], asked.loc[2, "accel_count"] = "-3", "inf", "many"
    asked.loc[4, "id"] = asked.loc[3, "id"]
    path = tmp_path / "asked.csv"
    asked.to_csv(path, index=False)
    answer = run_fidelity(path, measured).predictions
    assert answer["id"].tolist() == asked["id"].tolist()
    faults = {0: "row 2.*'value'.*positive", 1: "row 3.*'value'.*finite", 2: "row 4.*'accel_count'", 4: "row 6.*once"}
    for row, words in faults.items():
        assert np.isnan(answer["predicted"].iloc[row])
        assert re.search(words, answer["reason"].iloc[row])
    others = answer.drop(index=answer.index[list(faults)])
    assert others["predicted"].gt(0).all()


def test_rows_without_their_value_are_predicted_and_not_scored(tmp_path):
    measured = table(tmp_path / "train.csv")
    asked = pd.read_csv(measured, dtype=str).assign(id=lambda rows: rows["id"] + "-asked")
    whole = tmp_path / "whole.csv"
    asked.to_csv(whole, index=False)
    expected = run_fidelity(whole, measured)
    asked.loc[::2, "value"] = ""
    asked.to_csv(tmp_path / "some.csv", index=False)
    some = run_fidelity(tmp_path / "some.csv", measured)
    asked.drop(columns="value").to_csv(tmp_path / "none.csv", index=False)
    none = run_fidelity(tmp_path / "none.csv", measured)
    for found in (some, none):
        np.testing.assert_allclose(found.predictions["predicted"], expected.predictions["predicted"])
    scored = expected.summary.query("by == 'all'")["rows"].sum()
    assert some.summary.query("by == 'all'")["rows"].sum() == scored // 2
    assert none.summary.empty


def test_sparse_gzipped_files_and_an_empty_training_table_work(tmp_path):
    few = tmp_path / "few.csv.gz"
    frame = pd.read_csv(table(tmp_path / "m.csv"))[["id", "accelerator", "model", "scenario", "metric", "value"]]
    frame.to_csv(few, index=False)
    empty = tmp_path / "empty.csv"
    empty.write_text(HEAD)
    answer = run_fidelity(few, empty).predictions
    assert len(answer) == len(frame)
    sized = run_fidelity(tmp_path / "m.csv", empty).predictions
    assert set(sized["tier"]) == {"step model"}
    error = np.abs(sized["predicted"] / pd.read_csv(tmp_path / "m.csv")["value"] - 1)
    assert error.median() < 0.6
    assert (answer["reason"] != "").all()


def test_baseline_is_the_datasheet_ratio(tmp_path):
    rows = with_features(read_measurements(table(tmp_path / "m.csv", models=(("llama2-70b", 70),))))
    h200 = rows[(rows["chip"] == "nvidia-h200-sxm") & (rows["scenario"] == "offline")]
    of = {"h100": (3350 * 1979, 2900), "mi300x": (5300 * 2614, 3400), "b200": (8000 * 9000, 12000)}
    ratios = [speed * np.sqrt(4800 * 1979 / product) for product, speed in of.values()]
    assert datasheet_ratio(h200, rows).iloc[0] == pytest.approx(8 * np.median(ratios))


def test_values_and_speeds_are_inverse_for_both_directions(tmp_path):
    rows = with_features(read_measurements(table(tmp_path / "m.csv")))
    assert to_value(rows, rows["speed"].to_numpy()) == pytest.approx(rows["value"].to_numpy())
    timed = rows.assign(metric="time_to_train_min")
    again = with_features(timed[[*rows.columns[:26]]].assign(metric="time_to_train_min"))
    assert to_value(again, again["speed"].to_numpy()) == pytest.approx(again["value"].to_numpy())


def test_answers_of_a_beam_search_count_as_the_tokens_they_decode(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(
        HEAD
        + "a,mlperf-inference-v4.1,2024-08,nvidia-h100-sxm-80gb,gpu,8,llm,gptj-6b,6,6,fp8,offline,samples_per_s,80,10\n"
    )
    row = with_features(read_measurements(path))
    assert row["regime"].iloc[0] == "llm_rounds"
    assert row["speed"].iloc[0] == pytest.approx(np.log(80 / 8 * 69 * 4))  # 69 tokens an answer, 4 beams
    assert to_value(row, row["speed"].to_numpy()) == pytest.approx([80])
    assert layout_inputs(row)["input_tokens"].iloc[0] == pytest.approx(778 / 4)  # beams share the prompt


def test_command_prints_json(tmp_path):
    found = CliRunner().invoke(app, ["fidelity", "--measurements", str(table(tmp_path / "m.csv")), "--json"])
    assert found.exit_code == 0, found.output
    lines = json.loads(found.output)
    assert {"split", "by", "group", "median_error", "coverage80", "baseline_median_error"} <= set(lines[0])


@pytest.mark.real
def test_no_published_row_lies_beyond_the_figures_that_answers_are_bounded_by(shared_dir):
    rows = read_measurements(shared_dir / "data/measured/public_performance.csv")
    assert {name: rows[name].max() for name in PUBLISHED_MOST} == PUBLISHED_MOST
    rows = read_deployments(shared_dir / "data/measured/silicon_ttft_tpot.csv.gz")
    assert all(rows[name].max() <= most for name, most in DEPLOYED_MOST.items())
    assert {name: rows[name].max() for name in ("isl", "osl", "tp_size")} == {
        "isl": 15_000,
        "osl": 8_192,
        "tp_size": 72,
    }


def test_public_rounds_with_the_whole_accelerator_left_out(shared_dir):
    rows = with_features(read_measurements(shared_dir / "data/measured/public_performance.csv"))
    rows = rows[(rows["regime"] == "llm_rounds") & (rows["source"] == "mlperf-inference-v5.1")]
    errors, baseline, inside = [], [], []
    for chip in ("nvidia-h200-sxm", "nvidia-b200-sxm", "amd-mi325x"):
        asked = rows[(rows["chip"] == chip) & rows["scenario"].isin(["offline", "server"])]
        answer = train(rows[rows["chip"] != chip]).predict(asked)
        errors.append((answer["predicted"] / asked["value"] - 1).abs())
        baseline.append((datasheet_ratio(asked, rows) / asked["value"] - 1).abs())
        inside.append(asked["value"].between(answer["low80"], answer["high80"]))
    assert pd.concat(errors).median() < pd.concat(baseline).median()
    assert pd.concat(errors).median() < 0.25
    assert pd.concat(inside).mean() > 0.5


def test_a_file_without_rows_and_one_accelerator_alone_claim_nothing(tmp_path):
    training = tmp_path / "t.csv"
    head = "id,accelerator,model,metric,value,scenario,source,task,accel_count,precision,params_b\n"
    line = "{},nvidia-h100-sxm-80gb,{},tokens_per_s,{},offline,lab-v1,llm,8,fp8,70\n"
    training.write_text(head + "".join(line.format(n, "llama2-70b", 20_000 + 100 * n) for n in range(20)))
    asked = tmp_path / "a.csv"
    asked.write_text(head)
    with pytest.raises(InputError, match="a.csv, row 2: holds a header and no row to predict"):
        run_fidelity(asked, training)
    asked.write_text(head + line.format("new", "new-90b", 16_000))
    answer = run_fidelity(asked, training).predictions.iloc[0]
    assert answer["low80"] < 0.95 * answer["predicted"] < 0.9 * answer["high80"], "one model tells no spread of models"


def test_a_folder_that_is_not_there_is_said_before_anything_is_predicted(tmp_path):
    with pytest.raises(InputError, match="--out.*folder that does not exist"):
        run_fidelity(tmp_path / "never-read.csv", out=tmp_path / "nowhere" / "o.csv")


def test_a_table_reads_the_same_however_spreadsheets_write_it(tmp_path):
    plain = table(tmp_path / "m.csv")
    text, expected = plain.read_text(), read_measurements(plain)
    comma = text.replace(",", ";").replace(".", ",").replace("v5,1", "v5.1")
    for written in (comma.encode(), text.replace(",", "\t").encode(), text.replace("\n", "\r\n").encode(), text.encode("utf-16"),
                    b"\xef\xbb\xbf" + text.encode(), (text + "\n\n").encode(), gzip.compress(text.encode())):  # fmt: skip
        path = tmp_path / "w.csv"
        path.write_bytes(written)
        pd.testing.assert_frame_equal(read_measurements(path), expected)


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "the file is empty"), ("id,id\n1,2\n", "row 1, column 'id'.*given twice"), ("id,model\n1\n", "row 2: has 1 cells"),
     ("id,model\n1,a\0b\n", "NUL byte"), ("ID,accelerator\n1,h100\n", "'id': column is missing. Did you mean 'ID'"),
     ("MODEL_PATH,ISL,OSL\nm,1,2\n", "'system': column is missing")],
)  # fmt: skip
def test_a_file_that_is_no_such_table_is_refused_as_such(tmp_path, text, says):
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=f"m.csv.*{says}"):
        run_fidelity(path)
