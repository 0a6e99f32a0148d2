"""Lines that the solver's library prints stay out of reports."""

import ctypes
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import numpy as np
import pytest
from scipy import optimize
from stress_cases import small_basis

from aifactory.buyplan.optimise import limits, silence
from aifactory.buyplan.optimise.limits import find_conflicts
from aifactory.buyplan.optimise.recourse import quiet_solver
from aifactory.buyplan.stress import replan
from aifactory.buyplan.stress.replan import Replanner
from aifactory.buyplan.stress.world import world_of

LINE = b"HighsMipSolverData::transformNewIntegerFeasibleSolution tmpSolver.run();"


def library_prints() -> None:
    """What the library does: it writes by the C library, which may hold the line back."""
    ctypes.CDLL("ucrtbase" if os.name == "nt" else None).puts(LINE)


@pytest.fixture
def talking(monkeypatch):
    """A solver that prints as HiGHS does where it repairs a solution."""
    plain = optimize.milp

    def talks(*facts, **options):
        library_prints()
        return plain(*facts, **options)

    monkeypatch.setattr(optimize, "milp", talks)


def test_what_compiled_code_prints_goes_nowhere_and_what_comes_before_and_after_stays(capfd):
    sys.stdout.write("before\n")
    with silence.silent_library():
        library_prints()
    sys.stdout.write("after\n")
    assert capfd.readouterr().out == "before\nafter\n"


def test_searches_in_two_threads_leave_the_output_as_it_was(capfd):
    def search(seconds: float) -> None:
        with silence.silent_library():
            sleep(seconds)
            library_prints()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(search, (0.02, 0.06)))
    sys.stdout.write("after\n")
    assert capfd.readouterr().out == "after\n"


def test_the_output_comes_back_after_an_error(capfd):
    with pytest.raises(ZeroDivisionError), silence.silent_library():
        raise ZeroDivisionError
    sys.stdout.write("after\n")
    assert capfd.readouterr().out == "after\n"


def test_planning_anew_within_limits_prints_nothing(capfd, talking):
    assert replan.milp is limits.milp is silence.milp
    basis = small_basis(seed=1, months=7)
    world = world_of(basis.problem, capital_usd=np.full(1, 1e5))
    Replanner(world, basis.nodes).best()
    find_conflicts(world, np.full(len(world.orders), 3.0))
    assert capfd.readouterr().out == ""


def test_a_search_of_the_decomposition_prints_nothing(capfd, monkeypatch):
    solver = quiet_solver()
    monkeypatch.setattr(solver, "run", library_prints)
    solver.run_whole()
    assert capfd.readouterr().out == ""
