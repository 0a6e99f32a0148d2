"""First tokens that no queue explains: named, and lighter for the others."""

import numpy as np
import pytest

from aifactory.serving.deployment_doubts import LATE
from aifactory.serving.deployment_gap import GapModel
from aifactory.serving.deployment_model import deployment_constants, with_prior
from aifactory.serving.deployments import evaluate_deployments, read_deployments
from tests.serving.test_deployments import table


@pytest.fixture
def slow(tmp_path):
    """Deployments one of which took 8 times the whole line to its first tokens, and one 2 times."""
    path = table(tmp_path / "d.csv")
    lines = path.read_text().splitlines()
    line = np.exp(with_prior(read_deployments(path), deployment_constants() | {"ttft_burst": 1.0})["prior_ttft"])
    for number, times in ((2, 8.0), (7, 2.0)):
        cells = lines[number + 1].split(",")
        lines[number + 1] = ",".join([*cells[:-2], f"{times * line[number]:.6f}", cells[-1]])
    path.write_text("\n".join(lines) + "\n")
    return read_deployments(path)


def test_a_first_token_later_than_three_whole_lines_is_in_doubt_and_named(slow):
    assert slow["late"].iloc[2] == pytest.approx(np.log(8 / LATE), rel=1e-4)
    assert (slow["late"].drop(2) == 0).all()
    _, answer = evaluate_deployments(slow, None)
    said = answer["reason"].str.contains("in doubt")
    assert said.tolist() == [number == 2 for number in range(len(slow))]
    assert "in doubt: 8 times what all its requests in line explain" in answer["reason"].iloc[2]


def test_it_counts_less_for_first_tokens_only(slow):
    first, each = (GapModel(slow, target, rounds=0) for target in ("ttft", "tpot"))
    place = first.membership.loc[2]
    assert first.base[place] - np.delete(first.base, place) == pytest.approx(np.log(8 / LATE) ** 2, rel=1e-3)
    assert np.ptp(each.base) == pytest.approx(0.0)
    asked = slow.iloc[[1]].assign(concurrency=slow["concurrency"].iloc[2])
    doubted, trusted = (GapModel(d, "ttft", rounds=0).predict(asked)[0][0] for d in (slow, slow.assign(late=0.0)))
    assert doubted < trusted
