"""Jobs that need many accelerators at once: what the plan's hours do not say.

Training is planned by its accelerator-hours of a month: a job of 16 accelerators that runs an eighth of the month is 2 on
average. Its hours cost the same whenever they run, but it starts only when its whole size is free (gang). What the pool has
committed, or may rent for the run, decides whether it can. There is no target for its wait but `planning_utilization`;
`aifactory.size_job_pool` sizes a pool for a wait, job by job.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Case, Solution
from aifactory.fleet.orders import FLEXIBLE
from aifactory.fleet.streams import EXPECTED


def gang_sentences(case: Case, solution: Solution, jobs: pd.DataFrame) -> list[str]:
    """One sentence per stream whose widest job of the period is wider than what its pool has committed in some month.

    Parameters
    ----------
    jobs : use_case_id, region, accelerators: the jobs of the period.
    """
    table, found = case.streams.table, []
    widest = jobs.groupby(["use_case_id", "region"])["accelerators"].max()
    held = case.slots.total((solution.orders.state != FLEXIBLE) * case.slots.size, case.pools)[1:]
    work = case.streams.sized(case.streams.units[EXPECTED])[1:]
    for at in np.flatnonzero(table["movable"].to_numpy(dtype=bool)):
        row, pool = table.iloc[at], int(case.streams.pool[at])
        wide, asked = float(widest.get((row["use_case_id"], row["region"]), 0.0)), work[:, at] > 0
        few = asked & (held[:, pool] < wide)
        if not few.any():
            continue
        rented = np.isfinite(case.offers.on_demand[pool]) or np.isfinite(case.offers.spot[pool])
        least = held[few, pool].min()
        way = (
            "the rest must be rented while such a job runs, or it waits for room"
            if rented
            else "such a job cannot start, since no hours are rented there: hold as many, or run smaller jobs"
        )
        found.append(
            f"{row['use_case_id']} in {row['region']} runs jobs of up to {wide:,.3g} accelerators at once and "
            f"{work[asked, at].mean():,.2g} on average. The plan counts its hours, not its width: in "
            f"{few.sum()} of {asked.sum()} months fewer are committed there ({least:,.0f} at the least), so that {way}."
        )
    return found
