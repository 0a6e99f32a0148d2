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
