"""Numbers at which engines could disagree about a bucket."""

import numpy as np

from aifactory.inputs.aggregate.buckets import GAMMA, log_bucket


def bound(power):
    """The bound of a bucket as engines compute it, found by halving the distance of two doubles."""
    low, high = GAMMA**power, GAMMA**power * (1 + 1e-9)
    while np.nextafter(low, high) < high:
        middle = low + (high - low) / 2
        low, high = (middle, high) if log_bucket(np.array([middle]))[0] == power else (low, middle)
    return low


def hostile_values():
    """Zero, powers of gamma, the bounds themselves and the doubles beside them, whole and common numbers."""
    powers = np.arange(-900, 2_500)
    edges = [bound(power) for power in range(-400, 2_000, 12)]
    exact = np.concatenate([GAMMA ** powers.astype(float), edges])
    beside = np.concatenate(
        [np.nextafter(exact, 0), np.nextafter(exact, np.inf), exact * (1 + 1e-10), exact * (1 - 1e-10)]
    )
    return np.concatenate([[0.0, 1e-300, 1e-19, 0.1, 1.0, 1e29], exact, beside, np.arange(1.0, 300.0)])
