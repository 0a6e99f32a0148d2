"""Fixtures of the stress tests."""

import pytest
from stress_cases import hand_basis, small_basis


@pytest.fixture
def basis():
    return small_basis()


@pytest.fixture
def one_path():
    return hand_basis()
