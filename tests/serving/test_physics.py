"""Physical limits: impossible claims, unit traps, plausible figures."""

import numpy as np
import pandas as pd
import pytest

from aifactory.serving.measurements import read_measurements, with_features
from aifactory.serving.physics import judge, upper_bound
from aifactory.serving.tiers import train
from tests.serving.test_ratio import HEAD


def rows(tmp_path, *lines):
    path = tmp_path / "claims.csv"
    path.write_text(HEAD.replace("value_per_accel", "value_per_accel,batch_or_concurrency") + "\n".join(lines) + "\n")
    return with_features(read_measurements(path))


def test_bounds_are_those_of_peak_and_bandwidth(tmp_path):
    d = rows(tmp_path, "a,s,2025,nvidia-h100-sxm-80gb,gpu,1,llm,m-70b,70,70,fp8,concurrency,tokens_per_s,10,10,1",
             "b,s,2025,nvidia-h100-sxm-80gb,gpu,1,llm,m-70b,70,70,fp8,offline,tokens_per_s,10,10,")  # fmt: skip
    bound = np.exp(upper_bound(d))
    assert bound.iloc[0] == pytest.approx(3350 / 70)
    assert bound.iloc[1] == pytest.approx(1979e3 / 140)


def test_speech_in_tokens_under_the_heading_of_samples_passes_the_limit_and_teaches_nothing(tmp_path):
    line = (
        "{},mlperf-inference-v6.0,2026,nvidia-{},gpu,1,asr,whisper-large-v3,1.55,1.55,fp16,offline,samples_per_s,{},,"
    )
    sound = [("a", "b200-sxm", 90), ("b", "h200-sxm", 66), ("c", "l40s", 24)]
    d = rows(
        tmp_path,
        *(line.format(*row) for row in [*sound, ("tokens", "h200-sxm", 66 * 70), ("more", "b200-sxm", 90 * 63)]),
    )
    assert list(judge(d, pd.Series(np.nan, index=d.index))["verdict"]) == ["plausible"] * 3 + ["unit suspect"] * 2
    assert np.exp(upper_bound(d))[1] == pytest.approx(989e3 / (2 * 1.55 * 0.41 * 1500))
    assert list(train(d).rows["id"]) == ["a", "b", "c"]


def test_verdicts(tmp_path):
    d = rows(
        tmp_path,
        "impossible,s,2025,nvidia-h100-sxm-80gb,gpu,1,llm,m-70b,70,70,fp8,offline,tokens_per_s,20000,20000,",
        "above,s,2025,nvidia-h100-sxm-80gb,gpu,1,llm,m-70b,70,70,fp8,offline,tokens_per_s,9000,9000,",
        "fine,s,2025,nvidia-h100-sxm-80gb,gpu,1,llm,m-70b,70,70,fp8,offline,tokens_per_s,3000,3000,",
        "user,s,2025,cerebras-wse-3,asic,,llm,m-70b,70,70,,concurrency,tokens_per_s_per_user,2000,,1",
        "whisper,s,2025,nvidia-h200-sxm-141gb,gpu,1,asr,whisper-large-v3,1.55,1.55,fp16,offline,samples_per_s,4400,4400,",
        "unknown,s,2025,mystery,gpu,1,text-to-video,m,,,fp8,offline,samples_per_s,3,3,",
    )
    high = pd.Series([np.log(4000)] * 3 + [np.nan, np.log(80), np.nan], index=d.index)
    verdict = judge(d, high).assign(id=d["id"]).set_index("id")["verdict"]
    assert verdict.to_dict() == {
        "impossible": "impossible",
        "above": "above anything measured",
        "fine": "plausible",
        "user": "unit suspect",
        "whisper": "unit suspect",
        "unknown": "not decidable",
    }
