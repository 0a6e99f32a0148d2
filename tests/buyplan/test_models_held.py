"""Whether the accelerators of a pool hold all models that serve at the same time."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from aifactory.buyplan.models_held import _short_of_room, _weights_gb, room_sentences
from aifactory.units import counted

ROOM = pd.Series({"l4": 0.9 * 24.0, "h100": 0.9 * 80.0})


def streams(models, waits=None, accelerator="l4", works=None):
    """Streams of two months, at work in both or as `works` says by month and stream."""
    units = np.ones((3, 3, len(models)))
    units[:, 1:] = 1.0 if works is None else np.array(works, dtype=float)
    pools = pd.DataFrame({"accelerator_id": [accelerator], "region": ["eu"]})
    return SimpleNamespace(
        pools=pools, pool=np.zeros(len(models), dtype=int), waits=np.zeros(len(models), dtype=bool) if waits is None else np.array(waits),
        table=pd.DataFrame({"model": models}), units=units, months=("2026-09", "2026-10", "2026-11"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("models", "weights", "waits", "held", "short"),
    [
        (["a", "b"], [16.0, 16.0], None, [1, 1], 2),
        (["a", "b"], [16.0, 16.0], None, [2, 1], 1),
        (["a", "b"], [16.0, 16.0], None, [2, 2], 0),
        (["a", "a"], [16.0, 16.0], None, [1, 1], 0),  # one model serves both
        (["a", "b"], [16.0, 16.0], [False, True], [1, 1], 0),  # it loads its model when its turn comes
        (["a"], [30.0], None, [1, 1], 0),  # the size of its replica is asked for elsewhere
        (["a", "b"], [16.0, np.nan], None, [1, 1], 0),  # of unknown size
        (["a", "b"], [10.8, 10.8], None, [1, 1], 0),  # full to the brim
    ],
)
def test_weights_against_the_memory_that_is_held(models, weights, waits, held, short):
    counts = np.array([[0.0], *([float(count)] for count in held)])
    found = list(_short_of_room(streams(models, waits), np.array(weights), ROOM, counts))
    assert len(found) == (short > 0)
    if short:
        assert f"at once in {counted(short, 'month')}" in found[0] and "fill 2 accelerators, held are 1" in found[0]


def test_models_count_in_the_months_in_which_they_have_work():
    """Nothing runs in October and nothing is held; in November two of three models do, on one accelerator of 21.6 GB."""
    works = [[0, 0, 0], [5, 5, 0]]
    held = np.array([[0.0], [0.0], [1.0]])
    (said,) = _short_of_room(streams(["a", "b", "c"], works=works), np.array([16.0, 8.0, 65.0]), ROOM, held)
    assert "at once in 1 month: in 2026-11 their weights (a 16 GB, b 8 GB) fill 2 accelerators, held are 1" in said
    alone = streams(["a", "b"], works=[[0, 1], [1, 0]])  # one after the other
    assert list(_short_of_room(alone, np.array([16.0, 16.0]), ROOM, np.ones((3, 1)))) == []


def test_weights_go_by_what_was_measured_else_by_the_model():
    models = pd.DataFrame(
        {"model": ["a", "b"], "params_total_b": [8.0, 30.0], "default_precision": ["bf16", "fp8"]}
    ).set_index("model")
    table = pd.DataFrame({"use_case_id": ["x", "y", "z", "w"], "accelerator_id": "l4", "model": ["a", "b", "a", None]})
    capacity = pd.DataFrame({"use_case_id": ["x", "y"], "accelerator_id": "l4", "precision": ["int8", None]})
    found = _weights_gb(SimpleNamespace(table=table), models, capacity)
    assert found[:3].tolist() == [8.0, 30.0, 16.0] and np.isnan(found[3])


def test_a_plan_that_has_room_says_nothing_and_one_without_names_the_models(tiny):
    """Chat beside a second live stream of another model: too large for what is held, or not."""
    case = tiny(chat=1.5, train=0.5, inputs={"shapes": {}})
    table = case.streams.table.assign(model=["a", "b"], movable=False)
    case = replace(case, streams=replace(case.streams, table=table))
    held = np.full((len(case.streams.months), len(case.slots.pool)), 1.0)
    answer = SimpleNamespace(expected=SimpleNamespace(load=SimpleNamespace(held=held)))
    facts = {
        "accelerators": pd.DataFrame({"accelerator_id": ["acc"], "memory_gb": [80.0]}),
        "capacity": pd.DataFrame(columns=["use_case_id", "accelerator_id", "precision"]),
    }
    sizes = pd.DataFrame({"model": ["a", "b"], "default_precision": "bf16"})
    total = float(case.slots.total(held * case.slots.size, case.pools)[1, 0])
    for share, said in ((0.49, 0), (0.51, 1)):
        billions = share * total * 0.9 * 80.0 / 2.0
        assert len(room_sentences(case, answer, models=sizes.assign(params_total_b=billions), **facts)) == said
