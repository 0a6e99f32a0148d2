"""Section of the benchmark page about the error of predictions."""

import dataclasses

import pandas as pd
import pytest

from aifactory.report.benchmark_fidelity import chart_rows, errors_by_group, fidelity_answer, fidelity_section
from aifactory.serving.bundled import BundledFidelity, bundled_fidelity

SPLITS = ("known accelerator and model", "unseen accelerator", "unseen model", "newer round")


def line(split, by="all", group="all", error=0.1, ratio=0.3, rows=10):
    return {
        "split": split, "by": by, "group": group, "rows": rows, "refused": 1, "median_error": error, "p90_error": 2 * error,
        "coverage80": 0.77, "baseline_median_error": ratio,
    }  # fmt: skip


@pytest.fixture
def known():
    rows = [line(split, error=0.01 * (number + 1)) for number, split in enumerate(SPLITS)]
    rows += [line(SPLITS[1], "task", name, rows=size) for name, size in (("asr", 5), ("llm", 90))]
    rows += [line(SPLITS[1], "rounds with two other accelerators", name) for name in ("offline", "server")]
    return BundledFidelity(pd.DataFrame(rows), "2026-11-26", current=True)


def test_answer_names_error_ratio_and_coverage(known):
    said = fidelity_answer(known)
    for part in ("1.0 %", "2.0 %", "datasheet ratio: 30.0 %", "cover 77 %"):
        assert part in said.replace("%", " %").replace("  %", " %"), said
    assert "same conditions" not in said
    tiers = [line(SPLITS[0], "tier", name, error=error) for name, error in (("measured", 0.017), ("anchored", 0.058))]
    apart = dataclasses.replace(known, summary=pd.concat([known.summary, pd.DataFrame(tiers)]))
    said = fidelity_answer(apart).replace("\xa0", " ").replace("%", " %").replace("  %", " %")
    assert "(1.7 % under the same conditions" in said
    assert "5.8 % under other batches" in said
    stale = fidelity_answer(dataclasses.replace(known, current=False))
    assert "work them out again" in stale


def test_groups_come_in_order_largest_first(known):
    found = errors_by_group(known)
    assert found["group"].tolist() == ["all", "llm", "asr"]
    assert found.loc[0, ["known", "new_chip", "new_model", "newer"]].tolist() == [0.01, 0.02, 0.03, 0.04]
    assert found.loc[1, "known"] != found.loc[1, "known"]


def test_chart_sets_ours_beside_the_ratio(known):
    frame = chart_rows(known)
    assert frame["case"].tolist() == [
        "offline, tiers", "offline, datasheet ratio", "server, tiers", "server, datasheet ratio",
    ]  # fmt: skip
    assert frame["error"].tolist() == [0.1, 0.3, 0.1, 0.3]


def test_section_of_the_shipped_figures_shows_every_kind_of_group():
    text = "\n".join(str(part.text) for part in fidelity_section().parts if hasattr(part, "text"))
    assert bundled_fidelity().as_of[:4] in "".join(
        part.html for part in fidelity_section().parts if hasattr(part, "html")
    )
    for name in ("llm", "offline", "neuromorphic", "New accelerator"):
        assert name in text
