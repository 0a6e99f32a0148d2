"""Sobol indices against analytic functions and scipy."""

import numpy as np
import pytest
from scipy import stats

from aifactory.finance.sensitivity import ishigami, sobol_indices


def test_ishigami():
    found = sobol_indices(ishigami, 3, samples=2**15)
    np.testing.assert_allclose(found.first, [0.3139, 0.4424, 0.0], atol=2e-3)
    np.testing.assert_allclose(found.total, [0.5576, 0.4424, 0.2437], atol=2e-3)
    assert found.evaluations == 2**15 * 5


def test_agrees_with_scipy():
    uniform = [stats.uniform(-np.pi, 2 * np.pi)] * 3
    theirs = stats.sobol_indices(
        func=lambda x: ishigami((x.T / np.pi + 1) / 2), n=2**13, dists=uniform, rng=np.random.default_rng(3)
    )
    ours = sobol_indices(ishigami, 3, samples=2**13)
    np.testing.assert_allclose(ours.first, theirs.first_order, atol=0.02)
    np.testing.assert_allclose(ours.total, theirs.total_order, atol=0.02)


def test_g_function():
    # g_i = (|4 u - 2| + a_i) / (1 + a_i), variance of each factor 1 / (3 (1 + a)^2)
    a = np.array([0.0, 1.0, 9.0])
    part = 1 / (3 * (1 + a) ** 2)
    whole = np.prod(1 + part) - 1
    found = sobol_indices(lambda u: np.prod((np.abs(4 * u - 2) + a) / (1 + a), axis=1), 3, samples=2**14)
    np.testing.assert_allclose(found.first, part / whole, atol=5e-3)
    assert found.variance == pytest.approx(whole, rel=5e-3)


def test_groups_move_together_and_constants_explain_nothing():
    found = sobol_indices(lambda u: u[:, 0] * u[:, 1] + u[:, 2], 3, samples=4096, groups=[[0, 1], [2]])
    assert found.first.sum() == pytest.approx(1.0, abs=0.01)
    np.testing.assert_allclose(found.first, found.total, atol=0.01)
    assert sobol_indices(lambda u: np.ones(len(u)), 2, samples=64).total.tolist() == [0, 0]


def test_refusals():
    with pytest.raises(ValueError, match="power of two"):
        sobol_indices(ishigami, 3, samples=1000)
    with pytest.raises(ValueError, match="one finite value"):
        sobol_indices(lambda u: u, 3, samples=64)
