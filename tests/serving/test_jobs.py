"""Gang scheduling: hand cases, conservation, queueing theory, and the pool that keeps a wait."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.serving.closed_forms import mmc_wait_s
from aifactory.serving.jobs import JobStream, simulate_jobs, size_job_pool


def stream(seed, size=200, widest=16, rate=1 / 50):
    draw = np.random.default_rng(seed)
    return JobStream(
        np.cumsum(draw.exponential(1 / rate, size)), draw.exponential(300, size), draw.integers(1, widest + 1, size)
    )


def peak_use(jobs, start):
    times = np.r_[start, start + jobs.run_s]
    change = np.r_[jobs.accelerators, -jobs.accelerators]
    order = np.lexsort((change, times))
    return np.cumsum(change[order]).max()


def test_a_wide_job_holds_up_the_queue_unless_others_fit_before_it():
    jobs = JobStream([0, 1, 2, 3], [10, 10, 8, 20], [6, 8, 2, 2])
    assert simulate_jobs(jobs, 8).tolist() == [0, 10, 20, 20]
    # the third ends at 10, when the second starts; the fourth would end later and has to wait
    assert simulate_jobs(jobs, 8, backfill=True).tolist() == [0, 10, 2, 20]


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(16, 64), st.booleans())
def test_jobs_start_after_submission_and_never_overfill(seed, accelerators, backfill):
    jobs = stream(seed, 80)
    start = simulate_jobs(jobs, accelerators, backfill=backfill)
    assert (start >= jobs.submit_s).all()
    assert peak_use(jobs, start) <= accelerators
    if not backfill:
        assert (np.diff(start) >= 0).all()


def test_backfill_shortens_the_mean_wait_and_the_first_never_waits_longer():
    jobs = stream(3, 400)
    plain, filled = simulate_jobs(jobs, 32), simulate_jobs(jobs, 32, backfill=True)
    assert np.mean(filled - jobs.submit_s) < np.mean(plain - jobs.submit_s)


def test_single_accelerator_jobs_wait_like_mmc():
    draw = np.random.default_rng(1)
    jobs = JobStream(np.cumsum(draw.exponential(1 / 3.2, 40_000)), draw.exponential(1.0, 40_000), np.ones(40_000, int))
    wait = simulate_jobs(jobs, 4) - jobs.submit_s
    means = wait.reshape(40, -1).mean(axis=1)
    assert abs(wait.mean() - mmc_wait_s(3.2, 1.0, 4)) < 4 * means.std(ddof=1) / np.sqrt(40)


def test_the_pool_keeps_the_wait_and_one_less_does_not():
    jobs = stream(5)
    size = size_job_pool(jobs, 90, 600.0)
    assert size.wait_s <= 600.0
    fewer = simulate_jobs(jobs, size.accelerators - 1, backfill=True) - jobs.submit_s
    assert np.percentile(fewer, 90) > 600.0
    assert size.steady_accelerators <= size.accelerators
    assert 0 < size.utilization <= 1
    assert "binds" in size.because


def test_the_widest_job_can_bind():
    size = size_job_pool(JobStream([0, 1000], [10, 10], [512, 1]), 50, 0.0)
    assert size.accelerators == 512
    assert "widest job binds" in size.because


@pytest.mark.parametrize(
    ("columns", "text"),
    [(([], [], []), "at least one"), (([0.0], [-1.0], [1]), "row 2.*run_s"), (([0.0], [1.0], [0]), "accelerators"),
     (([1.0, 0.0], [1.0, 1.0], [1, 1]), "row 3.*earlier"), (([np.nan], [1.0], [1]), "submit_s")],
)  # fmt: skip
def test_bad_jobs_are_refused(columns, text):
    with pytest.raises(InputError, match=text):
        JobStream(*columns)


def test_a_job_wider_than_the_pool_is_refused():
    with pytest.raises(InputError, match="never starts"):
        simulate_jobs(JobStream([0.0], [1.0], [9]), 8)


def test_jobs_that_end_together_are_all_free_for_what_fills_the_gap():
    """Of 4, two jobs hold 2 and 1 until 10; then the first who waits takes 3 and leaves 1, which may be lent at once."""
    jobs = JobStream([0, 0, 0, 0], [10, 10, 5, 20], [2, 1, 3, 1])
    assert simulate_jobs(jobs, 4, backfill=True).tolist() == [0.0, 0.0, 10.0, 0.0]


@pytest.mark.parametrize("backfill", [False, True])
def test_the_size_is_the_fewest_though_more_may_wait_longer(backfill):
    """Against every count tried; some of these streams wait longer with one accelerator more."""
    draw, odd = np.random.default_rng(4), 0
    for _ in range(60):
        count = int(draw.integers(5, 60))
        submit = np.floor(np.cumsum(draw.exponential(1, count)))
        jobs = JobStream(submit, np.floor(draw.exponential(6, count)), draw.choice([1, 1, 2, 4, 8, 16], count))
        kept = [
            float(np.percentile(simulate_jobs(jobs, n, backfill=backfill) - submit, 90)) <= 1
            for n in range(int(jobs.accelerators.max()), int(jobs.accelerators.sum()) + 1)
        ]
        odd += not all(kept[kept.index(True) :])
        assert (
            size_job_pool(jobs, 90, 1.0, backfill=backfill).accelerators == kept.index(True) + jobs.accelerators.max()
        )
    assert bool(odd) == backfill  # first come first served never does
