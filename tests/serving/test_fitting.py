"""Fitting: recovers known constants, takes levels out, keeps shares below one."""

import numpy as np
import pytest

from aifactory.serving.bundled import bundled_rows
from aifactory.serving.fitting import coordinate_descent, robust_error
from aifactory.serving.refit import HELD, fit_step_constants
from aifactory.serving.targets import PHYSICAL


def test_coordinate_descent_recovers_two_constants():
    x = np.linspace(1, 9, 40)
    truth = 3.0 * x + 0.4
    found = coordinate_descent(
        lambda c: float(np.abs(np.log(truth / (c["slope"] * x + c["fixed"]))).mean()), {"slope": 1.0, "fixed": 1.0}, 60
    )
    assert found["slope"] == pytest.approx(3.0, rel=0.03)


def test_a_share_never_passes_one():
    assert coordinate_descent(lambda c: -c["bandwidth"], {"bandwidth": 0.5})["bandwidth"] == 1.0


def test_levels_of_groups_do_not_count_but_differences_inside_do():
    group, weight = np.array([0, 0, 1, 1]), np.ones(4)
    level = robust_error(np.array([0.0, 0.0, 0.4, 0.4]), group, weight)
    inside = robust_error(np.array([-0.2, 0.2, -0.2, 0.2]), group, weight)
    assert level == pytest.approx(0.25 * 0.2)
    assert inside == pytest.approx(0.2 + 0.25 * 0.2)


def test_what_throughput_does_not_tell_apart_stays_where_the_fit_starts():
    """Whichever accelerator is left out, shares of the bandwidth and the factor on the cache are the same."""
    rows = bundled_rows()
    found = [fit_step_constants(rows[rows["chip"] != chip], PHYSICAL) for chip in ("amd-mi325x", "nvidia-b200-sxm")]
    assert all(one[name] == PHYSICAL[name] for one in found for name in HELD)
    assert all(list(one) == list(PHYSICAL) for one in found)
    free = [name for name in PHYSICAL if name not in HELD]
    assert all(sum(one[name] != PHYSICAL[name] for name in free) > 5 for one in found)
