"""Names in plan.yaml that no table knows, or that the plan uses itself: a rule about them would hold for nothing, and say so nowhere."""

from __future__ import annotations

from collections.abc import Iterator

from aifactory.errors import nearest
from aifactory.inputs.by_region import name_in
from aifactory.inputs.findings import Tables
from aifactory.inputs.plan import Plan

#: (place in plan.yaml, name, rule)
Fault = tuple[str, str, str]
#: Cost lines that the plan works out itself.
OWN_LINES = (
    "Storage", "Network egress", "Orchestration", "Human operations", "Safety checks", "Porting", "Rework", "Contingency",
)  # fmt: skip


def unknown_names(tables: Tables, plan: Plan) -> Iterator[Fault]:
    """Use cases, accelerators, vendors and regions that plan.yaml names and no table does, and cost centres under a name that is taken."""
    cases = set(tables["use_cases"]["use_case_id"])
    chips, vendors = (set(tables["accelerators"][column].dropna()) for column in ("accelerator_id", "vendor"))
    named = [("launches", item.use_case_id, cases, "use_cases") for item in plan.launches]
    named += [("platform_by_region", name, cases, "use_cases") for name in plan.platform_by_region]
    cases |= {name_in(name, item.region) for name in plan.platform_by_region for item in plan.regions}
    named += [("baseline_accelerators", name, cases, "use_cases") for name in plan.baseline_accelerators]
    named += [("ports_under_way", item.use_case_id, cases, "use_cases") for item in plan.ports_under_way]
    named += [("hidden_costs", name, cases, "use_cases") for item in plan.hidden_costs for name in item.use_cases]
    named += [("required_frameworks", name, cases | {"*"}, "use_cases") for name in plan.required_frameworks]
    named += [("baseline_accelerators", name, chips, "accelerators") for name in plan.baseline_accelerators.values()]
    named += [("owned_accelerators", name, chips, "accelerators") for name in plan.owned_accelerators]
    for item in plan.restrictions:
        if not (item.accelerators or item.vendors or item.platform_classes or item.use_cases or item.regions):
            yield (
                "restrictions",
                item.reason,
                "(plan.yaml) names no accelerators, vendors, platform_classes, use_cases or regions: it would rule out everything",
            )
        named += [("restrictions", name, cases, "use_cases") for name in item.use_cases]
        named += [("restrictions", name, chips, "accelerators") for name in item.accelerators]
        named += [("restrictions", name, vendors, "accelerators") for name in item.vendors]
    regions = {item.region for item in plan.regions}
    for name in sorted({name for item in plan.restrictions for name in item.regions} - regions):
        yield "restrictions", name, f"(plan.yaml) is no region of the plan.{nearest(name, sorted(regions))}"
    for item in plan.hidden_costs:
        if item.name in OWN_LINES:
            yield (
                "hidden_costs",
                item.name,
                "(plan.yaml) is a line that the plan works out itself: name the cost centre otherwise",
            )
    for place, value, known, table in named:
        if value not in known:
            yield place, value, f"(plan.yaml) is not in table {table}.{nearest(value, sorted(known))}"
