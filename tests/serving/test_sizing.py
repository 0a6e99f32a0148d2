"""From demand to accelerator-hours."""

import numpy as np
import pytest

from aifactory.serving.sizing import accelerator_hours


def test_hours_are_units_over_capacity():
    assert float(accelerator_hours(36_000, 5.0)) == 2.0
    assert accelerator_hours([3600.0, 0.0], [1.0, 2.0]).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("capacity", [0.0, -1.0, [1.0, 0.0]])
def test_a_platform_without_capacity_is_refused(capacity):
    with pytest.raises(ValueError, match="capacity must be positive"):
        accelerator_hours(1.0, capacity)


def test_unknown_capacity_stays_unknown():
    assert np.isnan(accelerator_hours(10.0, np.nan))
