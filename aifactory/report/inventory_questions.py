"""What the inventory is about: the three questions, the catalogue, and whose figures are missing."""

from __future__ import annotations

from typing import Any

import pandas as pd

from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.questions import TOTAL
from aifactory.report.blocks import Block, Col, Group, bullets, group, section, table
from aifactory.report.inventory_candidates import candidates_parts
from aifactory.report.inventory_demand import DEMAND
from aifactory.report.inventory_money import BILL
from aifactory.report.text import compact, is_missing, pct, plural, reference_hours, usd, usd_compact
from aifactory.units import WORKLOAD_CLASSES

CATALOGUE = "use_cases table"
TOP = 12
#: Identifiers that a table names; the workbook and the CSV have all.
NAMED = 8


def three_questions(ws: Workspace, inv: Inventory) -> Group:
    """What is it doing, what does it cost, what happens if it fails: one panel."""
    question = "What is it doing, what does it cost, what happens if it fails?"
    frame = inv.three_questions
    if frame.empty:
        return group(section(question, "No use case had demand in the month."))
    cases, total = frame.iloc[:-1], frame.iloc[-1]
    shown = frame if len(cases) <= TOP else frame.loc[[*cases.index[:TOP], frame.index[-1]]]
    rows = list(shown.itertuples(index=False))
    shown = shown.assign(
        doing=[_doing(row) for row in rows], cost=[_cost(row) for row in rows], failing=[_failing(row) for row in rows]
    )
    columns = {
        "name": Col("Use case"),
        "doing": Col("What is it doing?"),
        "cost": Col("What does it cost?"),
        "failing": Col("What happens if it fails?"),
    }
    note = (
        "Cost is the usage that names the use case, of a unit in the regions that its charges name; changes are against the month before, cost per day. Failed counts failed and cancelled jobs for training. "
        "The value of an hour is value per unit x attribution x units per hour that succeed, on average and in the highest hour."
    )
    note += reference_hours(cases["service_unit"], ws.plan.reference_accelerator)
    if len(cases) > TOP:
        note += f" The {TOP} dearest of {plural(len(cases), 'use case')}; the total is of all."
    return group(
        section(question, _answer(cases, total) + _unnamed(inv, total)),
        table(shown, caption="The three questions, use case by use case", source=f"{DEMAND}; {BILL}; {CATALOGUE}",
              as_of=ws.as_of, columns=columns, note=note),
    )  # fmt: skip


def _doing(row: Any) -> str:
    if row.use_case_id == TOTAL:
        return ""
    units, highest = (compact(value) for value in (row.units_month, row.units_per_peak_hour))
    down = f"; down {plural(row.outage_hours, 'hour')}" if row.outage_hours else ""
    return f"{units} {row.service_unit.replace('_', ' ')}s, {highest} in the highest hour{down}"


def _cost(row: Any) -> str:
    if is_missing(row.usd):
        return "unknown: no charge names it"
    change = "" if is_missing(row.cost_change_share) else f" (per day {_signed(row.cost_change_share)})"
    if is_missing(row.usd_per_unit):
        return f"{usd_compact(row.usd)}{change}"
    unit_change = "" if is_missing(row.unit_cost_change_share) else f" ({_signed(row.unit_cost_change_share)})"
    left = f", work in {row.uncharged_regions} left out" if row.uncharged_regions else ""
    return f"{usd_compact(row.usd)}{change}; {usd(row.usd_per_unit)} a unit{unit_change}{left}"


def _failing(row: Any) -> str:
    untold = "no target told: the limit lies inside a bucket" if row.targets_untold else "no target measured"
    missed = f"{row.targets_missed} of {row.targets} targets missed" if row.targets else untold
    if row.use_case_id == TOTAL:
        parts = [missed]
    else:
        failed = "failures unknown" if is_missing(row.failure_rate) else f"{pct(row.failure_rate, 1)} failed"
        parts = [str(row.criticality).replace("_", " "), failed, missed]
    if is_missing(row.value_per_hour_usd):
        return "; ".join([*parts, f"value unknown: {row.ask}"])
    values = f"an hour is worth {usd(row.value_per_hour_usd)}, the highest {usd(row.value_per_peak_hour_usd)}"
    return "; ".join([*parts, values + (f" ({row.ask})" if row.ask else "")])


def _signed(share: float) -> str:
    """Change with its sign, if it is not too small to show.

    >>> _signed(0.012), _signed(-0.2), _signed(0.0001)
    ('+1.2 %', '−20 %', '0.0 %')
    """
    text = pct(share, int(0 < abs(share) < 0.0995))
    return "+" + text if share > 0 and text.strip("0. %") else text


def _unnamed(inv: Inventory, total: pd.Series) -> str:
    """What of the usage in the bill no use case bears."""
    lines = inv.spend_reconciliation
    if lines.empty or is_missing(total["usd"]):
        return ""
    named = lines.set_index("line")["effective_cost"]
    rest = float(named["attributed usage"]) + float(named["unattributed usage"]) - float(total["usd"])
    return f" Usage worth {usd_compact(rest)} names no use case." if rest >= 1.0 else ""


def _answer(cases: pd.DataFrame, total: pd.Series) -> str:
    text = f"{plural(len(cases), 'use case')} ran. "
    if not is_missing(total["usd"]):
        first = cases.iloc[0]
        text = f"{plural(len(cases), 'use case')} ran and cost {usd_compact(total['usd'])} of usage that names them, {first['name']} {usd_compact(first['usd'])} of it. "
    missed = (
        f"{total['targets_missed']} of {total['targets']} latency targets are missed"
        if total["targets"]
        else "no latency target was measured"
    )
    if total["value_per_hour_usd"] > 0:
        text += f"An hour without any service puts {usd(total['value_per_hour_usd'], 0)} of value at stake on average, {usd(total['value_per_peak_hour_usd'], 0)} in each one's highest hour; {missed}."
    else:
        text += f"{missed[0].upper()}{missed[1:]}; what an hour of outage costs nobody has said."
    gaps = int((cases["ask"] != "").sum())
    return text + (f" For {plural(gaps, 'use case')} the value is not known." if gaps else "")


def table_catalogue(ws: Workspace, inv: Inventory) -> Block:
    """Every use case with class, model, request pattern, rules and owner."""
    frame = inv.use_cases.assign(
        workload_class=inv.use_cases["workload_class"].map(WORKLOAD_CLASSES),
        request_pattern=inv.use_cases["request_pattern"].str.replace("_", " "),
    )
    columns = {
        "name": Col("Use case"),
        "use_case_id": Col("Called in other tables"),
        "workload_class": Col("Workload class"),
        "model": Col("Model"),
        "request_pattern": Col("Request pattern"),
        "stage": Col("Stage"),
        "team": Col("Team"),
        "business_unit": Col("Business unit"),
        "allowed_regions": Col("May only run in"),
        "demand_stability": Col("Prompts and model"),
        "owner_role": Col("Owner"),
    }
    return table(
        frame, caption="Catalogue of use cases", source=CATALOGUE, as_of=ws.as_of, columns=columns, max_rows=30
    )


def data_received(ws: Workspace, inv: Inventory) -> Group:
    """What came in, and what is missing from whom."""
    gaps, ask = inv.coverage[inv.coverage["filled"] < inv.coverage["total"]], inv.owners_to_ask
    if inv.use_cases.empty:
        answer = "No use case is complete yet; what is known of them, and whom to ask, stands below."
    elif len(gaps):
        worst = gaps.sort_values("filled_share").iloc[0]
        roles = ask["owner_role"].drop_duplicates()
        answer = (
            f"{plural(len(gaps), 'needed field')} of {len(inv.coverage)} {'is' if len(gaps) == 1 else 'are'} incomplete; {_plain(worst['field'])} is known for {worst['filled']} of {worst['total']} use cases. "
            f"{plural(len(roles), 'owner')} must supply figures, most of all the {roles.iloc[0]}."
        )
    else:
        answer = "Every field that planning needs is filled for every use case."
    parts = [section("What was received, and whose numbers are missing?", answer)]
    parts.append(_coverage(ws, inv))
    if len(ask):
        parts.append(_owners(ws, inv))
    parts += candidates_parts(ws, inv)
    if inv.not_computed:
        parts.append(bullets([f"Could not be computed: {item}." for item in inv.not_computed], ""))
    return group(*parts)


def _coverage(ws: Workspace, inv: Inventory) -> Block:
    columns = {
        "field": Col("Field"),
        "needed_for": Col("Needed for"),
        "filled": Col("Filled", "int"),
        "total": Col("Use cases", "int"),
        "filled_share": Col("Share", "pct0"),
    }
    frame = inv.coverage.assign(field=inv.coverage["field"].map(_plain))
    return table(
        frame, caption="Coverage of the catalogue", source=f"{CATALOGUE}; {DEMAND}", as_of=ws.as_of, columns=columns
    )


def _owners(ws: Workspace, inv: Inventory) -> Block:
    frame = inv.owners_to_ask.assign(
        field=inv.owners_to_ask["field"].map(_plain), use_cases=inv.owners_to_ask["use_cases"].map(_first_names)
    )
    columns = {
        "owner_role": Col("Owner"),
        "field": Col("Must supply"),
        "needed_for": Col("Needed for"),
        "missing": Col("Missing", "int"),
        "of": Col("Of", "int"),
        "use_cases": Col("Use cases"),
    }
    return table(frame, caption="What each owner must supply", source=f"{CATALOGUE}; {DEMAND}; {BILL}", as_of=ws.as_of,
                 columns=columns, max_rows=20, note="Owners with most gaps first.")  # fmt: skip


def _first_names(text: str) -> str:
    names = text.split(", ")
    return text if len(names) <= NAMED else f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"


def _plain(field: str) -> str:
    """Field in words.

    >>> _plain("slo_max_failure_rate"), _plain("value_usd_per_unit"), _plain("volume")
    ('limit of failures', 'value per unit', 'measured volume, or stated before the launch')
    """
    known = {
        "volume": "measured volume, or stated before the launch",
        "cost": "cost in a bill, or own accelerators outside it",
        "slo_max_failure_rate": "limit of failures",
        "value_usd_per_unit": "value per unit",
        "attribution_share": "attribution share",
        "demand_stability": "demand stability",
    }
    return known.get(field, field)
