"""Streams drawn from profiles: their counts, their bursts, their lengths."""

import numpy as np
import pytest

from aifactory.errors import InputError
from aifactory.serving.arrivals import stream_from_profile


def per_minute(stream, minutes):
    return np.bincount((stream.arrival_s // 60).astype(int), minlength=minutes)


def test_counts_follow_the_profile():
    stream = stream_from_profile([3600, 0, 7200], 3600.0, [10, 20], [1, 2], seed=1)
    hours = np.bincount((stream.arrival_s // 3600).astype(int), minlength=3)
    assert hours[1] == 0
    assert abs(hours[0] - 3600) < 4 * 60 and abs(hours[2] - 7200) < 4 * 85
    assert (np.diff(stream.arrival_s) >= 0).all()


@pytest.mark.parametrize("dispersion", [1.0, 5.0, 40.0])
def test_minutes_vary_as_asked(dispersion):
    stream = stream_from_profile(np.full(200, 6000), 3600.0, [10], [1], dispersion=dispersion, seed=2)
    counts = per_minute(stream, 12_000)
    assert counts.var() / counts.mean() == pytest.approx(dispersion, rel=0.08)
    assert counts.mean() == pytest.approx(100, rel=0.02)


def test_lengths_stay_in_pairs_and_the_seed_decides():
    stream = stream_from_profile([500], 60.0, [10, 20], [1, 2], seed=3)
    assert set(zip(stream.input_tokens.tolist(), stream.output_tokens.tolist(), strict=True)) == {(10, 1), (20, 2)}
    again = stream_from_profile([500], 60.0, [10, 20], [1, 2], seed=3)
    assert stream.arrival_s.tobytes() == again.arrival_s.tobytes()
    assert stream.arrival_s.tobytes() != stream_from_profile([500], 60.0, [10, 20], [1, 2], seed=4).arrival_s.tobytes()


@pytest.mark.parametrize(
    ("profile", "window", "inputs", "dispersion"),
    [([-1], 60, [1], 1), ([np.nan], 60, [1], 1), ([], 60, [1], 1), ([5], 0, [1], 1), ([5], 60, [], 1), ([5], 60, [1], 0.5), ([0], 60, [1], 1)],
)  # fmt: skip
def test_bad_profiles_are_refused(profile, window, inputs, dispersion):
    with pytest.raises(InputError, match="profile"):
        stream_from_profile(profile, window, inputs, inputs, dispersion=dispersion)


# bursts of seconds


def second_counts(dispersion, seed=2, per_minute=600.0):
    stream = stream_from_profile(np.full(600, per_minute), 60.0, [100], [10], second_dispersion=dispersion, seed=seed)
    return np.bincount(stream.arrival_s.astype(int), minlength=36_000)[:36_000].reshape(600, 60)


def test_seconds_vary_within_their_minutes_as_asked():
    """Closed form: N D / (N + D - 1) times a multinomial's variance."""
    for dispersion in (1.0, 4.0, 25.0):
        table = second_counts(dispersion)
        found = table.var(axis=1, ddof=1).sum() / table.mean(axis=1).sum()
        assert found == pytest.approx(dispersion * 600 / (600 + dispersion - 1), rel=0.1)


def test_bursts_of_seconds_leave_the_minutes_as_they_are():
    calm, bursty = second_counts(1.0).sum(axis=1), second_counts(25.0).sum(axis=1)
    assert np.array_equal(calm, bursty)


def test_without_bursts_of_seconds_the_draws_are_those_of_before():
    plain = stream_from_profile([600, 60], 60.0, [100, 7], [10, 3], dispersion=3.0, seed=5)
    same = stream_from_profile([600, 60], 60.0, [100, 7], [10, 3], dispersion=3.0, second_dispersion=1.0, seed=5)
    assert np.array_equal(plain.arrival_s, same.arrival_s)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_a_second_dispersion_below_one_is_refused(value):
    with pytest.raises(InputError, match="seconds"):
        stream_from_profile([60], 60.0, [1], [1], second_dispersion=value)
