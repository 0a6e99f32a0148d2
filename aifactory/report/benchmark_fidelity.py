"""How far off predictions are: cross-validation over the published measurements, in the benchmark page."""

from __future__ import annotations

import pandas as pd

from aifactory.report import charts
from aifactory.report.blocks import Block, Col, Figure, Group, figure, group, section, table
from aifactory.report.text import num, pct
from aifactory.serving.bundled import BundledFidelity, bundled_fidelity
from aifactory.serving.fidelity import ROUND_SCENARIOS, SPLITS
from aifactory.serving.tiers import ANCHORED, MEASURED

ROUNDS = "rounds with two other accelerators"
KNOWN, UNSEEN_CHIP = SPLITS["row"], SPLITS["accelerator"]
OURS, RATIO = "tiers", "datasheet ratio"
SOURCE = "published measurements bundled with the package (data/prediction)"
SHORT = {
    SPLITS["row"]: "known",
    SPLITS["accelerator"]: "new_chip",
    SPLITS["model"]: "new_model",
    SPLITS["round"]: "newer",
}
BY = ("all", "task", "scenario", "accelerator class")
#: Interactive error of language models with the step model's constants refitted without the accelerator, and what it
#: moves between (80 %) when the six accelerators are drawn again (2026-12-01): `python -m aifactory.serving.targets
#: PERFORMANCE.csv DEPLOYMENTS.csv --nested`, data/prediction/README.md.
REFITTED, REDRAWN = 0.142, (0.13, 0.26)


def fidelity_section() -> Group:
    """Cross-validated errors beside the datasheet ratio, with coverage of the intervals and their date."""
    known = bundled_fidelity()
    question = "How far off are predictions of what was not measured?"
    return group(section(question, fidelity_answer(known)), _chart(known), _table(known))


def fidelity_answer(known: BundledFidelity) -> str:
    """Answer of the section in three sentences."""
    rows = known.summary[known.summary["by"] == "all"].set_index("split")
    seen, new = rows.loc[KNOWN], rows.loc[UNSEEN_CHIP]
    text = (
        f"Over {num(seen['rows'], 0)} published measurements the median error is {pct(seen['median_error'], 1)} where accelerator and "
        f"model were measured{_by_conditions(known.summary)}, and {pct(new['median_error'], 1)} for an accelerator nobody measured (datasheet ratio: "
        f"{pct(new['baseline_median_error'], 1)}); its 80 % intervals cover {pct(new['coverage80'], 0)}."
    )
    stale = "" if known.current else " The data changed since these figures were worked out: work them out again."
    return text + stale


def _by_conditions(summary: pd.DataFrame) -> str:
    """Errors of a known pair under measured and under other conditions, "" where they were not worked out apart."""
    tiers = summary[(summary["by"] == "tier") & (summary["split"] == KNOWN)].set_index("group")["median_error"]
    if not {MEASURED, ANCHORED} <= set(tiers.index):
        return ""
    return (
        f" ({pct(tiers[MEASURED], 1)} under the same conditions, about what submitters differ by, {pct(tiers[ANCHORED], 1)} "
        "under other batches, lengths or layouts)"
    )


def errors_by_group(known: BundledFidelity) -> pd.DataFrame:
    """One row per task, scenario and class: median error by split, ratio, tail and coverage of a new accelerator."""
    rows = known.summary[known.summary["by"].isin(BY)]
    wide = rows.pivot_table(index=["by", "group"], columns="split", values="median_error", sort=False)
    wide = wide.rename(columns=SHORT).reindex(columns=list(SHORT.values()))
    new = rows[rows["split"] == UNSEEN_CHIP].set_index(["by", "group"])
    kept = {
        "rows": "rows",
        "baseline_median_error": "ratio",
        "p90_error": "tail",
        "coverage80": "coverage",
        "refused": "refused",
    }
    found = new[list(kept)].rename(columns=kept).join(wide).reset_index()
    found["group"] = found["group"].where(found["by"] != "all", "all")
    rank = {name: number for number, name in enumerate(BY)}
    return found.sort_values(["by", "rows"], key=lambda c: c.map(rank) if c.name == "by" else -c, ignore_index=True)


def _table(known: BundledFidelity) -> Block:
    columns = {
        "group": Col("Group"), "by": Col("By"), "rows": Col("Rows", "int"), "refused": Col("Refused", "int"), "known": Col("Known pair", "pct1"),
        "new_chip": Col("New accelerator", "pct1"), "ratio": Col("Datasheet ratio", "pct1"), "tail": Col("p90, new accelerator", "pct0"),
        "coverage": Col("80 % covers", "pct0"), "new_model": Col("New model", "pct1"), "newer": Col("Newer round", "pct1"),
    }  # fmt: skip
    note = (
        "Median absolute error with the row, its whole accelerator, its whole model or all newer rounds held back. Datasheet ratio: "
        "geometric mean of bandwidth and lowest-precision peak, median over the other accelerators; refused, tail and coverage are of a "
        "new accelerator."
    )
    return table(
        errors_by_group(known), caption="Cross-validated error of the predictions", source=SOURCE, as_of=known.as_of,
        columns=columns, note=note, max_rows=32,
    )  # fmt: skip


def chart_rows(known: BundledFidelity) -> pd.DataFrame:
    """Median errors of a new accelerator in the reviewed rounds, ours and the ratio's."""
    rows = known.summary[(known.summary["by"] == ROUNDS) & (known.summary["split"] == UNSEEN_CHIP)].set_index("group")
    lines = [
        {"case": f"{name}, {method}", "method": method, "error": rows.loc[name, column]}
        for name in ROUND_SCENARIOS
        for method, column in ((OURS, "median_error"), (RATIO, "baseline_median_error"))
        if name in rows.index
    ]
    return pd.DataFrame(lines)


def _chart(known: BundledFidelity) -> Figure:
    frame = chart_rows(known)
    wins = frame.pivot_table(index=frame["case"].str.split(",").str[0], columns="method", values="error")
    better = int((wins[OURS] < wins[RATIO]).sum())
    return figure(
        charts.bars(frame, category="case", value="error", color="method", fmt="pct1", titles={"error": "Median absolute error"}),
        title=f"A new accelerator: closer than the datasheet ratio in {better} of {len(wins)} scenarios of reviewed rounds",
        description="Bars of the median absolute error of predictions for an accelerator left out, by scenario, beside the datasheet ratio.",
        caption="MLPerf Inference rows with two or more other accelerators. The constants of the step model were fitted to all rows: with them "
        f"refitted without the accelerator, the interactive error is {pct(REFITTED, 0)}; only six accelerators ran it, and drawing these again "
        f"moves the figure between {pct(REDRAWN[0], 0)} and {pct(REDRAWN[1], 0)} (80 % of draws).",
        source=SOURCE, as_of=known.as_of,
    )  # fmt: skip
