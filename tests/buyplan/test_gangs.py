"""Jobs wider than their average: said where the plan has fewer accelerators than one of them needs."""

import numpy as np
import pandas as pd
import pytest
from bp_company import WAITS, make_prices

from aifactory.buyplan.case import solve_expected
from aifactory.buyplan.gangs import gang_sentences
from aifactory.fleet.orders import FLEXIBLE


def jobs(*sizes, name="train"):
    return pd.DataFrame({"use_case_id": name, "region": "eu", "accelerators": sizes})


def test_a_job_of_sixteen_that_is_four_on_average_is_named(tiny):
    """The plan reserves what works half the time or more: four nodes of four, or none of them."""
    case = tiny(**WAITS)
    held = solve_expected(case)
    committed = int(((held.orders.state[1:] != FLEXIBLE) * case.slots.size).sum(axis=1).min())
    assert gang_sentences(case, held, jobs(1.0, float(committed))) == []
    said = gang_sentences(case, held, jobs(1.0, committed + 1.0))
    assert len(said) == 1 and f"jobs of up to {committed + 1} accelerators at once and 4 on average" in said[0]
    assert f"({committed} at the least), so that the rest must be rented" in said[0]
    nothing = solve_expected(case, np.full(held.orders.state.shape, FLEXIBLE))
    assert (
        "in 12 of 12 months fewer are committed there (0 at the least)" in gang_sentences(case, nothing, jobs(16.0))[0]
    )


def test_where_no_hours_are_rented_it_cannot_start(tiny):
    case = tiny(prices=make_prices(drop=["on_demand"]), **WAITS)
    said = gang_sentences(case, solve_expected(case), jobs(1000.0))
    assert "such a job cannot start" in said[0]


@pytest.mark.parametrize("rows", [jobs(), jobs(64.0, name="chat"), jobs(64.0, name="other")])
def test_live_work_and_streams_without_jobs_are_not_named(tiny, rows):
    case = tiny()
    assert gang_sentences(case, solve_expected(case), rows) == []
