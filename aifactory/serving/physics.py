"""Physical limits of published and promised speeds: impossible, above anything measured, plausible."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Speech: tokens per utterance of Whisper on LibriSpeech, the factor between the two units.
WHISPER_TOKENS_PER_SAMPLE = (63.0, 77.0)
#: Whisper large: share of the parameters that encode, 0.635 of 1.55 x 10^9, once for each of 1,500 frames of a window of
#: 30 s, to which every sample is padded (Radford et al. 2022, section 2.2 and table 1). Measured: 2 to 25 % of that limit.
WHISPER_ENCODER_SHARE, WHISPER_FRAMES = 0.41, 1500


def upper_bound(d: pd.DataFrame) -> pd.Series:
    """Highest log speed per accelerator that peak and bandwidth allow, language models and Whisper only; else NaN.

    Every generated token costs at least 2 active parameters in operations, at the dense peak of the
    precision used; at batch 1 every token also reads all active weights once from the memories of the
    accelerators that share them. Speculative decoding can pass the second bound, never the first. Speech costs the
    operations of the encoder over a window.
    """
    llm = (d["kind"] == "llm") & d["metric"].isin(["tokens_per_s", "prompt_tokens_per_s", "tokens_per_s_per_user"])
    speech = _whisper_samples(d)
    each = np.where(speech, WHISPER_ENCODER_SHARE * WHISPER_FRAMES, 1.0)
    operations = d["peak"] / d["achievable_share"] * 1e3 / (2 * d["active_b"] * each)
    single = llm & (d["concurrency"] == 1) & (d["metric"] == "tokens_per_s")
    weights = d["active_b"] * d["weight_bytes"]
    reading = d["bandwidth"] / weights
    bound = np.where(single, np.fmin(operations, reading), operations)
    return pd.Series(np.where(llm | speech, np.log(bound.astype(float)), np.nan), index=d.index)


def judge(d: pd.DataFrame, expected_high: pd.Series) -> pd.DataFrame:
    """Verdict and reason for each row with `speed`: a claim or a published figure.

    Parameters
    ----------
    d : rows with features (`with_features`), `speed` and `achievable_share`.
    expected_high : log speed, upper end of the 80 % interval predicted without the row; NaN unknown.
    """
    bound = upper_bound(d)
    speed = d["speed"]
    far = speed - expected_high > np.log(WHISPER_TOKENS_PER_SAMPLE[0]) / 2
    tokens_like = _whisper_samples(d) & (far | (speed > bound))
    per_user = d["metric"] == "tokens_per_s_per_user"
    undisclosed = d["accel_count"].isna() & d["metric"].isin(["tokens_per_s", "samples_per_s"])
    impossible = speed > bound
    above = speed > expected_high
    verdict = np.select(
        [per_user | undisclosed, tokens_like, impossible, above, expected_high.notna() | bound.notna()],
        ["unit suspect", "unit suspect", "impossible", "above anything measured", "plausible"],
        "not decidable",
    )
    reason = np.select(
        [
            per_user | undisclosed,
            tokens_like,
            impossible,
            above,
            expected_high.notna(),
            bound.notna(),
        ],
        [
            "speed of one user with an undisclosed number of chips: latency, not throughput of a chip",
            "63 to 77 times a plausible rate: tokens per second under the heading samples per second",
            "needs more operations or memory traffic than the dense peak or the bandwidth allow",
            "above the 80 % interval of what comparable accelerators reached: ask for the run",
            "inside the range of comparable measurements",
            "below the physical limit; nothing comparable was measured",
        ],
        "no specification and no comparable measurement",
    )
    return pd.DataFrame({"verdict": verdict, "reason": reason, "log_bound": bound}, index=d.index)


def _whisper_samples(d: pd.DataFrame) -> pd.Series:
    return d["model"].str.contains("whisper", case=False) & (d["metric"] == "samples_per_s")
