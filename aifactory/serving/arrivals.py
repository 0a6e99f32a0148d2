"""Requests drawn from a demand profile, for sizing where there is no trace."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from aifactory.errors import InputError
from aifactory.serving.fleet import RequestStream

#: Length of the windows in which the rate of bursty demand is redrawn.
BURST_S = 60.0


def stream_from_profile(
    requests_per_window: ArrayLike,
    window_s: float,
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
    *,
    dispersion: float = 1.0,
    second_dispersion: float = 1.0,
    seed: int = 0,
) -> RequestStream:
    """Poisson arrivals at the rates of a profile, lengths drawn in pairs from a sample of requests.

    With `dispersion` D above 1 the rate of each minute is its profile times a gamma factor of mean 1, such
    that counts per minute vary D times their mean instead of once (measured services: 16 to 164).

    Parameters
    ----------
    requests_per_window : shape (w,), expected requests of consecutive windows of `window_s` seconds.
    input_tokens, output_tokens : shape (k,), a sample of requests, such as those of a log.
    dispersion : variance over mean of the counts per minute, at least 1.
    second_dispersion : the same of the counts per second within a minute. Above 1 each second of a minute has a gamma
        weight of shape m / (D - 1), m its mean count, and the requests of the minute fall into seconds by weight: of
        N requests their counts then vary N D / (N + D - 1) times what independent ones would.

    >>> stream = stream_from_profile([0, 6000], 600.0, [100], [10])
    >>> bool(stream.arrival_s[0] >= 600.0), 5700 < len(stream) < 6300
    (True, True)
    """
    expected = np.asarray(requests_per_window, dtype=float)
    sample = np.asarray(input_tokens), np.asarray(output_tokens)
    if expected.ndim != 1 or expected.size == 0 or not (np.isfinite(expected) & (expected >= 0)).all():
        raise InputError("profile: expected requests must be numbers of 0 or more, one a window")
    if not (np.isfinite(window_s) and window_s > 0 and np.isfinite(dispersion) and dispersion >= 1):
        raise InputError("profile: the window must be above 0 seconds and the dispersion 1 or more")
    if not (np.isfinite(second_dispersion) and second_dispersion >= 1):
        raise InputError("profile: the dispersion of seconds must be 1 or more")
    if sample[0].size == 0 or sample[0].shape != sample[1].shape:
        raise InputError("profile: needs a sample of requests with as many inputs as outputs")
    draw = np.random.default_rng(seed)
    parts = max(1, round(window_s / BURST_S))
    mean = np.repeat(expected / parts, parts)
    if dispersion > 1:
        shape = mean / (dispersion - 1)
        mean = np.where(mean > 0, draw.gamma(np.maximum(shape, 1e-12)) * (dispersion - 1), 0.0)
    counts = draw.poisson(mean)
    width = window_s / parts
    place = (
        draw.random(counts.sum())
        if second_dispersion == 1
        else _in_seconds(counts, mean, width, second_dispersion, draw)
    )
    arrival = np.sort((np.repeat(np.arange(mean.size), counts) + place) * width)
    if arrival.size == 0:
        raise InputError("profile: no requests were drawn; the expected numbers are too small")
    chosen = draw.integers(0, sample[0].size, arrival.size)
    return RequestStream(arrival, sample[0][chosen], sample[1][chosen], source="profile")


def _in_seconds(
    counts: np.ndarray, mean: np.ndarray, width: float, dispersion: float, draw: np.random.Generator
) -> np.ndarray:
    """Where in its part of the profile each request falls, 0 to 1: seconds by gamma weights, evenly within a second."""
    seconds = max(1, round(width))
    shape = np.repeat(mean[:, None] / seconds / (dispersion - 1), seconds, axis=1)
    weight = draw.gamma(np.maximum(shape, 1e-12))
    total = weight.sum(axis=1, keepdims=True)
    grown = np.cumsum(np.where(total > 0, weight, 1.0), axis=1)
    grown = np.arange(len(counts))[:, None] + grown / grown[:, -1:]  # rises through all parts, one unit each
    part = np.repeat(np.arange(len(counts)), counts)
    second = np.searchsorted(grown.ravel(), part + draw.random(len(part)), side="right") - part * seconds
    return (np.minimum(second, seconds - 1) + draw.random(len(part))) / seconds
