"""The stages of a workspace as one notebook sees them: what another notebook of the same run has computed is taken over.

A run builds its reports side by side in a folder that is removed when it ends. The notebook that first needs the result of a
stage computes it there under a lock and leaves it (`handed`); the others wait and read it. A notebook opened by
hand computes for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from aifactory.benchmark import Benchmark, build_benchmark
from aifactory.buyplan import BuyPlan, build_buy_plan
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory, build_inventory
from aifactory.run.handed import NotStorableError, read_result, write_result
from aifactory.run.publish import STAGING
from aifactory.shortlist import Shortlist, build_shortlist

Result = TypeVar("Result")


class Road:
    """Results of the stages of a workspace, each computed when it is first asked for.

    Parameters
    ----------
    ws : the workspace, with the settings of the run.
    out_dir : folder of the report that is being built; empty where nothing is written.
    """

    def __init__(self, ws: Workspace, out_dir: str | Path = "") -> None:
        self.ws = ws
        staging = Path(out_dir).resolve().parent
        self._shared = staging / ".results" if str(out_dir) and staging.name == STAGING else None

    @cached_property
    def inventory(self) -> Inventory:
        """Stage 1: demand, spend and service levels."""
        return self._once(Inventory, lambda: build_inventory(self.ws))

    @cached_property
    def benchmark(self) -> Benchmark:
        """Stage 2: capacity and cost of every use case and candidate."""
        return self._once(Benchmark, lambda: build_benchmark(self.ws))

    @cached_property
    def shortlist(self) -> Shortlist:
        """Stage 3: matrix, ranking and choice."""
        return self._once(Shortlist, lambda: build_shortlist(self.ws, self.inventory, self.benchmark))

    @cached_property
    def buy_plan(self) -> BuyPlan:
        """Stage 4: tables and texts of the plan; what its further questions ask of is only in `make_buy_plan`."""
        return self._once(BuyPlan, lambda: _told(self._built()))

    def make_buy_plan(self) -> BuyPlan:
        """Stage 4 in full, computed here and left to the others."""
        found = []
        self._once(BuyPlan, lambda: found.append(self._built()) or _told(found[0]))
        return found[0] if found else self._built()

    def _built(self) -> BuyPlan:
        return build_buy_plan(self.ws, self.inventory, self.benchmark, self.shortlist)

    def _once(self, kind: type[Result], compute: Callable[[], Result]) -> Result:
        """The result that lies there, else the one computed now, which then lies there."""
        if self._shared is None:
            return compute()
        self._shared.mkdir(exist_ok=True)
        there, aside = self._shared / kind.__name__, self._shared / f".{kind.__name__}"
        with FileLock(f"{there}.lock"):
            if there.is_dir():
                return read_result(kind, there)
            found = compute()
            aside.mkdir(exist_ok=True)
            with suppress(NotStorableError):
                write_result(found, aside)
                aside.rename(there)
            return found


def _told(plan: BuyPlan) -> BuyPlan:
    return replace(plan, futures=None, stress=None, history=None, examined=None, returns=None)
