"""The five reports and the index in a real browser."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
