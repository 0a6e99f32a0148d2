"""Do long prompts get long answers? Correlation of the two from three histograms that can be added."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Histograms of prompt, answer and the root of their product.
LENGTH_METRICS = ("input_tokens", "output_tokens", "pair_tokens")
#: Requests that a correlation needs, and the least variance of a length, in squared buckets: below, all are alike.
MIN_PAIRS, MIN_VARIANCE = 100, 4.0
#: Share of the requests of each histogram that must have both lengths.
MIN_SHARED = 0.99


def length_correlation(counts: pd.DataFrame) -> float:
    """Correlation of the logarithms of prompt and answer length of requests that have both.

    Buckets are logarithms. That of the root of a product lies half-way between those of its factors, so

        cov(x, y) = (4 var((x + y) / 2) - var(x) - var(y)) / 2,   rho = cov / sqrt(var(x) var(y)),

    with nothing but counts that can be added over days, files and engines. NaN with fewer than 100 pairs, where a
    length hardly varies, or where more than 1 % of the requests have one length only (their pairs are not those of
    the histograms).

    Parameters
    ----------
    counts : columns metric (input_tokens, output_tokens, pair_tokens), bucket and count, as in `latency_histograms`;
        any others are left out.

    >>> table = pd.DataFrame({"metric": ["input_tokens", "input_tokens", "output_tokens", "output_tokens", "pair_tokens",
    ...                       "pair_tokens"], "bucket": [0, 200, 0, 100, 0, 150], "count": [500] * 6})
    >>> round(length_correlation(table), 3)
    1.0
    """
    known = counts[counts["metric"].isin(LENGTH_METRICS) & (counts["bucket"] >= 0)]
    variances, sizes = {}, {}
    for metric, rows in known.groupby("metric"):
        weight, place = rows["count"].to_numpy(dtype=float), rows["bucket"].to_numpy(dtype=float)
        sizes[metric] = weight.sum()
        middle = (weight @ place) / weight.sum()
        variances[metric] = float(weight @ (place - middle) ** 2 / weight.sum())
    if set(sizes) != set(LENGTH_METRICS):
        return float("nan")
    prompt, answer, pair = (variances[name] for name in LENGTH_METRICS)
    pairs = sizes[LENGTH_METRICS[2]]
    if pairs < max(MIN_PAIRS, MIN_SHARED * max(sizes.values())) or min(prompt, answer) < MIN_VARIANCE:
        return float("nan")
    return float(np.clip((4 * pair - prompt - answer) / 2 / np.sqrt(prompt * answer), -1.0, 1.0))


def paired(prompts: np.ndarray, answers: np.ndarray, correlation: float, seed: int) -> np.ndarray:
    """Answers in an order in which their ranks go with those of the prompts as two correlated normals do.

    Parameters
    ----------
    prompts, answers : lengths at even ranks, shape (n,) each.
    correlation : of the normals, -1 to 1; NaN draws the two apart.

    >>> prompts = np.array([3.0, 1.0, 2.0])
    >>> paired(prompts, np.array([10.0, 20.0, 30.0]), 1.0, 0).tolist()
    [30.0, 10.0, 20.0]
    """
    draw = np.random.default_rng(seed)
    if np.isnan(correlation):
        return draw.permutation(answers)
    first, second = np.sort(draw.standard_normal(len(prompts))), draw.standard_normal(len(prompts))
    score = np.empty(len(prompts))
    score[np.argsort(prompts, kind="stable")] = correlation * first + np.sqrt(1 - correlation**2) * second
    found = np.empty_like(answers)
    found[np.argsort(score, kind="stable")] = np.sort(answers)
    return found
