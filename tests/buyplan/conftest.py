"""Fixtures of the buy-plan tests: the small company of `bp_company`."""

import bp_company
import pytest


@pytest.fixture
def tiny():
    """Builder of a case; plan, prices and demand can be changed by name."""
    return bp_company.make_case
