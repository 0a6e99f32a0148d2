"""Shapes of the requests of each workload class, as measured on public traces, retrieved 2026-11-24.

Sizes are quantiles at `LEVELS` between which the logarithm is a straight line. The last value of a row with
an asterisk is not the maximum of the trace but the value that gives the top 1 % their measured share.

| class | trace | what it stands for |
|---|---|---|
| real_time_inference | Azure LLM inference 2023, conversation (CC-BY-4.0) | tokens, minutes; hours and clients of ServeGen m-small; prefix reuse of Mooncake |
| agentic_orchestration | kv-cache-tester, 496 coding sessions (Apache-2.0) | tokens, requests per session, pauses, prefix reuse |
| multimodal_media | GenTD26 image requests (Alibaba, 2024) | images, hours, groups, failures |
| batch_training | Philly jobs 2017 (Microsoft, CC-BY-4.0) | accelerator time, hours, bursts of submissions |
| parameter_efficient_fine_tuning | Alibaba GPU 2023 pods | proxy: no public trace of tuning; lifetimes, failures |
| edge_on_device | ServeGen m-small (Apache-2.0) | proxy: no public trace of devices; tokens; arrivals of independent devices |

Week shapes are those of GenTD26 and Philly, else of the Wikipedia page of R, a tool of work (MIT, 2008-2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVELS = (0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
#: Values that a size is drawn from: one in so many.
TABLE_SIZE = 1 << 16
WORK_WEEK = (1.07, 1.137, 1.154, 1.146, 1.031, 0.727, 0.735)
#: ServeGen m-small, days 0 to 9: its clock is a convention.
CHAT_DAY = (0.825, 0.674, 0.703, 0.642, 0.632, 0.681, 0.677, 0.83, 0.962, 1.125, 1.139, 1.122, 1.098, 1.093, 1.081, 1.033, 1.04, 1.112,
            1.074, 1.236, 1.474, 1.387, 1.287, 1.074)  # fmt: skip
IMAGE_DAY = (3.502, 0.874, 0.706, 0.701, 0.526, 0.275, 0.363, 0.296, 0.112, 0.064, 0.04, 0.003, 0.0, 0.0, 0.005, 0.047, 0.566, 1.898,
             2.641, 0.501, 1.039, 3.325, 3.314, 3.202)  # fmt: skip
JOB_DAY = (1.454, 1.124, 1.318, 0.908, 0.457, 1.278, 1.751, 2.33, 1.027, 0.943, 0.847, 0.785, 0.684, 0.687, 0.427, 0.435, 1.013, 0.668,
           0.648, 0.628, 1.179, 1.004, 1.265, 1.138)  # fmt: skip


@dataclass(frozen=True)
class RequestClass:
    """Shape of one class. Deviations are of the logarithm of the rate; gaps are in seconds."""

    #: Share of the company's requests: an assumption.
    mix: float
    day: tuple[float, ...]
    week: tuple[float, ...]
    #: Clients of a stream and the share of its requests that the top tenth of them send.
    clients: int
    top_tenth: float
    failure: float
    input_tokens: tuple[float, ...] | None = None
    output_tokens: tuple[float, ...] | None = None
    service_units: tuple[float, ...] | None = None
    #: Share of input tokens that a cache without limit holds already.
    cached: float = 0.0
    #: Median over clients of the CV of the time between requests.
    client_cv: float = 1.2
    #: Noise of the rate from minute to minute and from hour to hour: deviation and memory.
    minute_noise: tuple[float, float] = (0.0, 1.0)
    hour_noise: tuple[float, float] = (0.0, 1.0)
    #: Hours of the day below this load run on one day in so many only, that many times as high.
    idle: tuple[float, int] = (0.0, 1)
    #: Chance that an hour is a surge, and its rate over that of other hours.
    surge: tuple[float, float] = (0.0, 1.0)
    #: Requests of one submission: exponent of a power law, the most, and seconds between them.
    burst: tuple[float, int, float] = (1.0, 1, 0.0)
    #: Requests of a session and seconds between them; None where requests stand alone.
    session_requests: tuple[float, ...] | None = None
    session_gap_s: tuple[float, ...] | None = None


CLASSES: dict[str, RequestClass] = {
    "real_time_inference": RequestClass(
        mix=0.6, day=CHAT_DAY, week=WORK_WEEK, clients=400, top_tenth=0.695, failure=0.02, cached=0.35,
        input_tokens=(2, 29, 207, 396, 1020, 1189, 2734.5, 4083, 4142, 6179.1, 14050),
        output_tokens=(7, 16, 54, 85, 129, 395, 424, 451, 601, 954, 1000),
        minute_noise=(0.22, 4.0), hour_noise=(0.15, 4.0),
    ),
    "agentic_orchestration": RequestClass(
        mix=0.14, day=CHAT_DAY, week=WORK_WEEK, clients=120, top_tenth=0.695, failure=0.02, cached=0.964,
        input_tokens=(6343, 16612, 43050, 66703, 105140, 141250, 246780, 320830, 527420, 820380, 894370),
        output_tokens=(1, 59, 107, 139, 220, 430, 897, 1531, 3648, 8269.7, 18195),
        session_requests=(3, 3, 7, 18, 44, 94, 161.5, 234, 330.6, 499, 573),
        session_gap_s=(0.5, 5, 8, 11, 18, 37, 129, 308, 2195.1, 30358, 143130),
    ),
    "multimodal_media": RequestClass(
        mix=0.08, day=IMAGE_DAY, week=(0.769, 1.162, 1.227, 1.755, 1.02, 0.263, 0.805), clients=2657, top_tenth=0.552, failure=0.0162,
        service_units=(1, 1, 1, 1, 1, 4, 8, 8, 8, 8, 8), client_cv=1.1, minute_noise=(0.1, 4.0), hour_noise=(0.7, 4.0), idle=(0.15, 5),
    ),
    "batch_training": RequestClass(
        mix=0.01, day=JOB_DAY, week=(0.776, 1.01, 1.166, 1.239, 1.515, 0.69, 0.605), clients=13, top_tenth=0.498, failure=0.1,
        # accelerator-hours: GPU time of Philly over 3,600, last six weeks
        service_units=tuple(value / 3600 for value in (1, 29, 65, 336, 1527, 3111, 11228, 50736, 787252, 4279430, 17e6)),
        hour_noise=(0.4, 2.0), surge=(0.01, 18.0), burst=(1.15, 1500, 8.0),
    ),
    "parameter_efficient_fine_tuning": RequestClass(
        mix=0.01, day=JOB_DAY, week=WORK_WEEK, clients=40, top_tenth=0.7, failure=0.252,
        # accelerator-hours: lifetime of a pod times its 0.74 accelerators; services that outlast the trace left out
        service_units=tuple(0.742 * hours for hours in (0.001, 0.005, 0.0233, 0.047, 0.1661, 0.6, 2.067, 5.2, 48.6, 60, 72)),
        hour_noise=(0.5, 2.0), burst=(2.5, 20, 8.0),
    ),
    "edge_on_device": RequestClass(
        mix=0.16, day=(1.0,) * 24, week=(1.02, 1.02, 1.02, 1.02, 1.02, 0.95, 0.95), clients=800, top_tenth=0.2, failure=0.002,
        # * last values
        input_tokens=(1, 9, 19, 20, 40, 54, 332, 576, 1453, 2221, 2600),
        output_tokens=(1, 1, 1, 2, 3, 11, 46, 75, 147, 276, 900),
        client_cv=1.0,
    ),
}  # fmt: skip


def size_table(quantiles: tuple[float, ...], whole: bool = True) -> np.ndarray:
    """`TABLE_SIZE` equally likely sizes of a distribution given by its quantiles at `LEVELS`, rising.

    >>> table = size_table((1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512))
    >>> int(table[TABLE_SIZE // 2]), len(table)
    (8, 65536)
    """
    places = (np.arange(TABLE_SIZE) + 0.5) / TABLE_SIZE
    sizes = np.exp(np.interp(places, LEVELS, np.log(quantiles)))
    return np.rint(sizes).astype("int32") if whole else sizes


def zipf_shares(clients: int, top_tenth: float) -> np.ndarray:
    """Shares by rank, rank^-s, with s such that the top tenth of the clients hold `top_tenth`; sum 1.

    >>> shares = zipf_shares(400, 0.7)
    >>> round(float(shares[:40].sum()), 3)
    0.7
    """
    rank, first, last = np.arange(1.0, clients + 1), 0.0, 6.0
    for _ in range(60):
        middle = (first + last) / 2
        shares = rank**-middle
        held = shares[: max(clients // 10, 1)].sum() / shares.sum()
        first, last = (middle, last) if held < top_tenth else (first, middle)
    return shares / shares.sum()
