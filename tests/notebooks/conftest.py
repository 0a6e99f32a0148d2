"""The road on the sample company, run once for all tests that look at its reports."""

import pytest
from road_runs import Road, run_copy

from aifactory.run.stages import STAGES


@pytest.fixture(scope="session")
def road(sample_dir, tmp_path_factory) -> Road:
    result = run_copy(sample_dir, tmp_path_factory.mktemp("road"))
    assert [(item.stage.name, item.message) for item in result.outcome.failed] == []
    return result


@pytest.fixture(params=[stage.name for stage in STAGES])
def stage(request) -> str:
    return request.param
