"""The table of targets, and the accuracy that was measured, pinned."""

import pytest

from aifactory.serving.bundled import bundled_fidelity
from aifactory.serving.deployments import evaluate_deployments, read_deployments
from aifactory.serving.fidelity import SPLITS
from aifactory.serving.targets import (
    COLUMNS,
    DEPLOYMENT_TARGETS,
    PHYSICAL,
    ROUND_TARGETS,
    deployment_targets,
    nested_deployment_targets,
    round_targets,
    unfitted_round_targets,
)
from tests.serving import test_deployments, test_ratio


def test_the_table_holds_every_figure_beside_its_target_and_the_ratio(tmp_path):
    found = round_targets(test_ratio.table(tmp_path / "m.csv"))
    assert tuple(found.columns) == COLUMNS
    assert found["figure"].tolist()[:2] == ["offline, unseen accelerator", "server, unseen accelerator"]
    assert found["target"].tolist()[:2] == [0.08, 0.11]
    assert found["median_error"].dropna().between(0, 1).all()
    assert found["baseline_median_error"].notna().all()
    unfitted = unfitted_round_targets(tmp_path / "m.csv")
    assert unfitted["figure"].str.endswith("unseen accelerator, constants not fitted").all()
    assert unfitted["target"].tolist() == [0.08, 0.11]
    assert unfitted["median_error"].between(0, 1).all()
    deployed = deployment_targets(test_deployments.table(tmp_path / "d.csv"))
    assert len(deployed) == 6
    assert set(deployed["target"]) == set(DEPLOYMENT_TARGETS.values())


def test_the_physical_start_holds_shares_and_factors_of_order_one():
    shares = [PHYSICAL[name] for name in PHYSICAL if name.startswith(("compute", "bandwidth", "link"))]
    assert all(0.5 <= share <= 1 for share in shares)
    assert PHYSICAL["kv_factor"] >= 1
    assert PHYSICAL["moe_factor"] >= 1


@pytest.mark.parametrize(
    ("split", "scenario", "measured"),
    [
        ("accelerator", "offline", 0.0698), ("accelerator", "server", 0.0926), ("accelerator", "interactive", 0.1406),
        ("model", "offline", 0.132), ("model", "server", 0.250), ("model", "interactive", 0.220),
        ("row", "offline", 0.0164), ("row", "server", 0.0182), ("row", "interactive", 0.0121),
    ],
)  # fmt: skip
def test_published_rounds_are_inside_their_targets_as_measured(split, scenario, measured):
    rows = bundled_fidelity().summary.set_index(["split", "by", "group"])
    said = rows.loc[(SPLITS[split], "rounds with two other accelerators", scenario), "median_error"]
    assert said < ROUND_TARGETS[split, scenario]
    assert said == pytest.approx(measured, abs=0.01)


@pytest.mark.real
def test_deployments_with_whole_systems_paths_and_architectures_left_out_as_measured(shared_dir):
    """Median errors by system, model path and architecture."""
    rows = read_deployments(shared_dir / "data/measured/silicon_ttft_tpot.csv.gz")
    found = evaluate_deployments(rows, None)[0].set_index(["split", "by", "group"])["median_error"]
    for target, measured in {"tpot": (0.119, 0.134, 0.131), "ttft": (0.335, 0.320, 0.315)}.items():
        said = [found[f"unseen {name}", f"{target} all", "all"] for name in ("accelerator", "model", "architecture")]
        assert said == pytest.approx(measured, abs=0.01)


def test_nested_fits_never_see_what_is_left_out(tmp_path, monkeypatch):
    seen = []

    def fit(rows, target, start):
        seen.append((frozenset(rows["chip"]), frozenset(rows["architecture"]), target))
        return start

    monkeypatch.setattr("aifactory.serving.targets.fit_parts", fit)
    found = nested_deployment_targets(test_deployments.table(tmp_path / "d.csv"))
    assert found["figure"].tolist() == [
        f"{name}, unseen {what}, nested" for what in ("accelerator", "architecture") for name in ("tpot", "ttft")
    ]
    assert found["median_error"].between(0, 2).all()
    assert found["coverage80"].between(0, 1).all()
    chips, architectures = (frozenset().union(*(item[part] for item in seen)) for part in (0, 1))
    by_chip, by_architecture = seen[: 2 * len(chips)], seen[2 * len(chips) :]
    assert {chips - item[0] for item in by_chip} == {frozenset([chip]) for chip in chips}
    assert {architectures - item[1] for item in by_architecture} == {frozenset([name]) for name in architectures}
