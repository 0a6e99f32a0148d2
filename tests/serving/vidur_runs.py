"""The three recorded runs of Vidur, and what is known of its step times without them."""

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from aifactory.serving.fleet import Fleet, Pool, RequestStream
from aifactory.serving.replay_fit import fit_to_latencies, latency_errors
from aifactory.serving.step_time import StepTime

RATES = (5, 6.45, 8.5)
FITTED_AT = 6.45
#: Scheduler of the runs: chunk and batch cap of their README; blocks = 28 sequences of 16,384 tokens.
KV_TOKENS, CHUNK, BATCH = 458_752, 512, 512
#: Vidur rounds the tokens of a batch up to eight before it looks up matrix products.
TILE = 8
#: Launches: attention of one short prompt (0.412 ms) and of one short decode (0.410 ms), A100, 32 layers.
LAUNCH_S = 0.82e-3


def read_run(shared_dir, rate):
    frame = pd.read_csv(shared_dir / "data" / "measured" / "vidur_runs" / f"llama3_8b_a100_tp1_rate{rate}.csv.gz")
    stream = RequestStream(*(frame[name].to_numpy() for name in ("arrival_s", "input_tokens", "output_tokens")))
    return stream, frame["ttft_s"].to_numpy(), frame["e2e_s"].to_numpy()


def law_of_kernels(shared_dir):
    """Matrix products of this model and chip from the published kernel table; the rest by order of size.

    Attention starts at 4 L h FLOP a pair at a fifth of the peak, KV reads at the bandwidth.
    """
    table = pd.read_csv(shared_dir / "data" / "measured" / "vidur_step_times.csv.gz")
    chosen = table.query("phase == 'linear_all_layers' and model == 'Meta-Llama-3-8B' and device == 'a100' and tp == 1")
    chosen = chosen[chosen["tokens"] <= BATCH + 128]
    tokens, seconds = chosen["tokens"].to_numpy(), chosen["time_ms"].to_numpy() / 1e3

    def law(x):
        return StepTime(
            np.exp(x[0]), np.exp(x[1]), 131072 / 2.039e12, 4 * 32 * 4096 / (0.2 * 312e12), LAUNCH_S, KV_TOKENS,
            knee=1 + np.exp(x[2]), tile_tokens=TILE, chunk_tokens=CHUNK, max_batch=BATCH,
        )  # fmt: skip

    found = least_squares(lambda x: np.log((law(x).linear_s(tokens) - LAUNCH_S) / seconds), np.log([7e-5, 1e-2, 1.0]))
    return law(found.x)


def fit_and_compare(shared_dir, simulate):
    """Law fitted at one rate; errors by rate and latency, at all of them."""
    stream, ttft_s, e2e_s = read_run(shared_dir, FITTED_AT)
    law = fit_to_latencies(stream, ttft_s, e2e_s, Fleet(Pool(law_of_kernels(shared_dir), 1)))
    errors = {}
    for rate in RATES:
        stream, ttft_s, e2e_s = read_run(shared_dir, rate)
        run = simulate(stream, Fleet(Pool(law, 1)))
        errors[rate] = {"ttft": latency_errors(run.ttft_s, ttft_s), "e2e": latency_errors(run.e2e_s, e2e_s)}
    return law, errors
