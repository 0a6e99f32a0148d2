"""Deployments: features, refusals, never the own row, the real figures."""

import numpy as np
import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.serving.deployments import evaluate_deployments, predict_deployments, read_deployments
from aifactory.serving.fidelity_command import run_fidelity

HEAD = "config_id,backend,backend_version,model_path,system,precision,mode,isl,osl,tp_size,silicon_concurrency,silicon_ttft_ms,silicon_tpot_ms\n"


def table(path, systems=("h100_sxm", "h200_sxm", "b200_sxm"), models=("meta-llama/Llama-3.1-70B", "Qwen/Qwen3-32B")):
    lines, number = [], 0
    for system in systems:
        for model in models:
            for load in (1, 4, 16, 64):
                number += 1
                tpot = (10 if system != "b200_sxm" else 6) * (1 + load / 64) * (1 if "70B" in model else 0.6)
                lines.append(
                    f"{number},vllm,0.15.1,{model},{system},fp8,agg,1024,1024,4,{load},{80 * load**0.5},{tpot}"
                )
    path.write_text(HEAD + "\n".join(lines) + "\n")
    return path


def test_features_know_system_model_and_layout(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text(HEAD + "7,trtllm,1.0,nvidia/DeepSeek-R1-0528-NVFP4,gb200,fp4,agg,1024,1024,8,64,,\n")
    row = read_deployments(path).iloc[0]
    assert (row["chip"], row["architecture"], row["gpus"], row["concurrency"]) == ("nvidia-gb200", "deepseek-v3", 8, 64)
    assert (row["params_b"], row["active_b"]) == (671, 37)


def test_closed_forms_move_the_right_way(tmp_path):
    d = read_deployments(table(tmp_path / "d.csv"))
    d = d.assign(key=d["system"] + d["model_path"])
    for _, part in d.groupby("key"):
        ordered = part.sort_values("concurrency")
        assert ordered["prior_tpot"].is_monotonic_increasing
        assert ordered["prior_ttft"].is_monotonic_increasing
    fast, slow = (d.loc[d["system"] == name, "prior_tpot"].mean() for name in ("b200_sxm", "h100_sxm"))
    assert fast < slow


def test_output_columns_and_refusals(tmp_path):
    training = table(tmp_path / "t.csv")
    asked = tmp_path / "a.csv"
    asked.write_text(
        HEAD
        + "1,vllm,0.15.1,meta-llama/Llama-3.1-70B,h200_sxm,fp8,agg,1024,1024,4,8,,\n"
        + "2,vllm,0.15.1,meta-llama/Llama-3.1-70B,mystery_9000,fp8,agg,1024,1024,4,8,,\n"
        + "3,vllm,0.15.1,some/unsized-model,h200_sxm,fp8,agg,1024,1024,4,8,,\n"
    )
    out = tmp_path / "o.csv"
    run_fidelity(asked, training, out=out)
    written = pd.read_csv(out, dtype={"config_id": str})
    assert list(written.columns) == [
        "config_id", "predicted_ttft_ms", "predicted_tpot_ms", "low80_tpot_ms", "high80_tpot_ms", "tier", "reason",
    ]  # fmt: skip
    assert list(written["config_id"]) == ["1", "2", "3"]
    assert written["predicted_tpot_ms"].notna().tolist() == [True, False, False]
    assert written["low80_tpot_ms"].iloc[0] < written["predicted_tpot_ms"].iloc[0] < written["high80_tpot_ms"].iloc[0]
    assert "catalogue" in written["reason"].iloc[1]
    assert "size of the model" in written["reason"].iloc[2]


def test_a_level_that_all_neighbours_share_is_learnt(tmp_path):
    d = read_deployments(table(tmp_path / "d.csv"))
    d["silicon_tpot_ms"] = np.exp(d["prior_tpot"]) * 1.7
    asked, rest = d[d["system"] == "h200_sxm"], d[d["system"] != "h200_sxm"]
    answer = predict_deployments(asked, rest)
    assert answer["predicted_tpot_ms"].to_numpy() == pytest.approx(asked["silicon_tpot_ms"].to_numpy(), rel=0.02)


def test_a_table_of_the_other_kind_or_a_bad_cell_is_refused(tmp_path):
    measured = table(tmp_path / "d.csv")
    other = tmp_path / "o.csv"
    other.write_text("id,accelerator,model,metric,value,scenario\n")
    with pytest.raises(InputError, match="deployments"):
        run_fidelity(measured, other)
    bad = tmp_path / "b.csv"
    bad.write_text(HEAD + "1,vllm,1,m-7b,h100_sxm,fp8,agg,0,1024,4,8,1,1\n")
    with pytest.raises(InputError, match="row 2.*isl"):
        run_fidelity(bad)


@pytest.mark.parametrize("column", ["isl", "osl", "system", "model_path"])
def test_a_missing_column_of_deployments_is_named(tmp_path, column):
    path = table(tmp_path / "d.csv")
    pd.read_csv(path, dtype=str).drop(columns=column).to_csv(path, index=False)
    with pytest.raises(InputError, match=f"'{column}': column is missing"):
        run_fidelity(path)


@pytest.mark.real
def test_every_real_deployment_is_answered_and_rows_seen_before_are_close(shared_dir):
    rows = read_deployments(shared_dir / "data/measured/silicon_ttft_tpot.csv.gz")
    sample = rows[rows["backend"] == "vllm"]
    summary, answer = evaluate_deployments(sample, None)
    assert answer["predicted_tpot_ms"].notna().all()
    line = summary[(summary["by"] == "tpot all") & (summary["split"] == "known accelerator and model")].iloc[0]
    assert line["median_error"] < 0.10


def test_rows_that_are_in_the_training_table_too_teach_nothing_of_themselves(tmp_path):
    """Answers with the rows themselves among the training rows are those without them."""
    both = table(tmp_path / "a.csv")
    head, *lines = both.read_text().splitlines()
    asked, rest = tmp_path / "asked.csv", tmp_path / "rest.csv"
    asked.write_text("\n".join([head, *lines[:2]]) + "\n")
    rest.write_text("\n".join([head, *lines[2:]]) + "\n")
    one, other = (run_fidelity(asked, training).predictions for training in (both, rest))
    pd.testing.assert_frame_equal(one, other)


def test_a_faulty_deployment_is_refused_and_the_others_are_answered(tmp_path):
    measured = table(tmp_path / "a.csv")
    lines = measured.read_text().splitlines()
    cells = lines[1].split(",")
    place = lines[0].split(",").index("isl")
    lines[1] = ",".join([*cells[:place], "0", *cells[place + 1 :]])
    asked = tmp_path / "asked.csv"
    asked.write_text("\n".join(lines) + "\n")
    answer = run_fidelity(asked, measured).predictions
    assert len(answer) == len(lines) - 1
    assert np.isnan(answer["predicted_tpot_ms"].iloc[0])
    assert "row 2, column 'isl'" in answer["reason"].iloc[0]
    assert answer["predicted_tpot_ms"].iloc[1:].gt(0).all()


def test_empty_tables_and_training_rows_without_measurement_say_nothing(tmp_path):
    asked, empty = table(tmp_path / "a.csv"), tmp_path / "e.csv"
    empty.write_text(HEAD)
    silent = tmp_path / "s.csv"
    lines = asked.read_text().splitlines()
    silent.write_text("\n".join([lines[0], *(line.rsplit(",", 2)[0] + ",," for line in lines[1:])]) + "\n")
    with pytest.raises(InputError, match="e.csv, row 2: holds a header and no row to predict"):
        run_fidelity(empty, asked)
    for training in (empty, silent):
        answer = run_fidelity(asked, training).predictions
        assert answer["predicted_tpot_ms"].gt(0).all()
        assert set(answer["tier"]) == {"step model"}


def test_a_time_that_was_not_measured_is_predicted_from_the_rows_that_have_it(tmp_path):
    full, thin = table(tmp_path / "f.csv"), tmp_path / "t.csv"
    lines = full.read_text().splitlines()
    lines[2] = lines[2].rsplit(",", 1)[0] + ","  # row 2: no time per output token
    lines[3] = lines[3].rsplit(",", 2)[0] + ",,"  # row 3: none of the two
    thin.write_text("\n".join(lines) + "\n")
    rows = read_deployments(thin)
    alone = {split: run_fidelity(thin, leave_out=split).predictions for split in ("row", "accelerator", "model")}
    assert all((answer[["predicted_ttft_ms", "predicted_tpot_ms"]] > 0).all(axis=None) for answer in alone.values())
    others = predict_deployments(rows.iloc[[1]], rows[rows["chip"] != rows["chip"].iloc[1]])
    for name in ("predicted_tpot_ms", "low80_tpot_ms", "high80_tpot_ms"):
        assert alone["accelerator"][name].iloc[1] == pytest.approx(others[name].iloc[0])


@pytest.mark.parametrize(
    "row",
    [
        "1,vllm,,m-7b,h100_sxm,??,weird,1,1,0,0,,\n", "1,,,m-7b,gb300,,,3840000,1,4,4000000,,\n",
        "1,vllm,1,acme/x-80b-a3b,mi355x,int4,disagg,128,4096,3.5,0.001,,\n",
    ],
)  # fmt: skip
def test_odd_conditions_get_a_positive_finite_answer(tmp_path, row):
    asked = tmp_path / "a.csv"
    asked.write_text(HEAD + row)
    answer = run_fidelity(asked, table(tmp_path / "t.csv")).predictions.iloc[0]
    numbers = answer[["predicted_ttft_ms", "predicted_tpot_ms", "low80_tpot_ms", "high80_tpot_ms"]].astype(float)
    assert np.isfinite(numbers).all()
    assert (numbers > 0).all()


@pytest.mark.parametrize(("ttft", "tpot", "column"), [("-5", "3", "silicon_ttft_ms"), ("5", "0", "silicon_tpot_ms")])
def test_a_time_that_is_not_positive_is_refused(tmp_path, ttft, tpot, column):
    path = tmp_path / "b.csv"
    path.write_text(HEAD + f"1,vllm,1,m-7b,h100_sxm,fp8,agg,1024,1024,4,8,{ttft},{tpot}\n")
    with pytest.raises(InputError, match=f"row 2.*{column}.*positive time"):
        run_fidelity(path)


@pytest.mark.parametrize(
    ("isl", "tp", "says"),
    [("3840001", "4", "row 2.*isl.*at most 3,840,000"), ("1024", "18433", "row 2.*tp_size.*at most 18,432"),
     ("1024", "-1", "row 2.*tp_size.*at least 0"), ("1024", "0.5", "row 2.*tp_size.*else 1 or more"),
     ("0.5", "4", "row 2.*isl.*1 or more")],
)  # fmt: skip
def test_figures_far_beyond_what_was_measured_are_refused(tmp_path, isl, tp, says):
    path = tmp_path / "b.csv"
    path.write_text(HEAD + f"1,vllm,1,m-7b,h100_sxm,fp8,agg,{isl},1024,{tp},8,5,3\n")
    with pytest.raises(InputError, match=says):
        read_deployments(path)


def test_one_system_or_one_row_alone_is_never_predicted_from_itself(tmp_path):
    rows = read_deployments(table(tmp_path / "d.csv", systems=("h100_sxm",), models=("Qwen/Qwen3-32B",)))
    slower = rows.assign(silicon_tpot_ms=3 * rows["silicon_tpot_ms"], silicon_ttft_ms=3 * rows["silicon_ttft_ms"])
    for part, split in ((slice(None), "accelerator"), (slice(None), "model"), (slice(1), "row")):
        said, again = (evaluate_deployments(d.iloc[part], None, split)[1] for d in (rows, slower))
        pd.testing.assert_frame_equal(said, again)
        assert set(said["tier"] + ": " + said["reason"]) == {
            "step model: closed form alone: no measurement to calibrate it by; assumed: measured on 2026-01-01"
        }
        assert (said["high80_tpot_ms"] / said["low80_tpot_ms"] > 5).all()


def test_what_a_deployment_leaves_open_is_said(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text(
        HEAD.replace("\n", ",pp_size,measured_on\n")
        + "1,vllm,1,m-7b,h100_sxm,fp8,agg,1024,1024,4,8,,,1,2026-01-31\n"
        + "2,vllm,1,m-7b,h100_sxm,,served,1024,1024,,,,,2,\n"
    )
    assert read_deployments(path)["assumed"].tolist() == [
        "",
        "precision bf16, 1 request at a time, aggregated serving for 'served', 1 pipeline stage for 2, measured on 2026-01-01, "
        "1 accelerators a worker",
    ]


def test_engines_are_known_by_any_spelling_and_others_are_said(tmp_path):
    path = tmp_path / "d.csv"
    rows = [f"{n},{engine},1,m-7b,h100_sxm,fp8,agg,1024,1024,4,8,,,2026-01-31\n" for n, engine in enumerate(
        ("vllm", "VLLM", "TensorRT-LLM", "trtllm", "triton", "")
    )]  # fmt: skip
    path.write_text(HEAD.replace("\n", ",measured_on\n") + "".join(rows))
    found = read_deployments(path)
    assert found["backend"].tolist() == ["vllm", "vllm", "trtllm", "trtllm", "triton", ""]
    prior = found["prior_ttft"].round(9).tolist()
    assert prior[0] == prior[1] < prior[2] == prior[3], "the one that shows its first token late is known by its name"
    assert found["assumed"].tolist() == [
        "",
        "",
        "",
        "",
        "the middle of known engines for 'triton'",
        "the middle of known engines",
    ]
