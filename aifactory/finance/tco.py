"""Total cost of ownership: every cost centre beside the accelerators, month by month."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from aifactory.inputs.plan import HiddenCost, Plan
from aifactory.units import GIGA, HOURS_PER_MONTH, MONTHS_PER_YEAR

PEOPLE = "Human operations"
#: Of the overheads: what providers charge for themselves.
STORAGE_NETWORK = ("Storage", "Network egress")
OVERHEADS = (
    "Storage",
    "Network egress",
    "Orchestration",
    PEOPLE,
    "Safety checks",
)
CONTINGENCY = "Contingency"


def overhead_lines(
    compute_usd: ArrayLike, accelerators: ArrayLike, output_tokens: ArrayLike, plan: Plan, devices: ArrayLike = 0.0
) -> dict[str, np.ndarray]:
    """Monthly cost of what the accelerators need around them, one array per line.

    Parameters
    ----------
    compute_usd : cost of the accelerators in the month, own power and space included, USD.
    accelerators : mean number of accelerators held in data centres in the month.
    output_tokens : tokens sent to users in the month.
    devices : mean number of devices held in the field.

    Returns
    -------
    Storage = accelerators x GB x USD/GB; egress = tokens x bytes x USD/GB; orchestration and
    safety checks = shares of compute; human operations = (accelerators / accelerators per
    operator + devices / devices per operator) x USD per operator.
    """
    compute, held = np.asarray(compute_usd, dtype=float), np.asarray(accelerators, dtype=float)
    people, storage = held_usd_per_month(plan, [False, True])
    gigabytes = np.asarray(output_tokens, dtype=float) * plan.value("egress_bytes_per_output_token") / GIGA
    lines = (
        held * storage[0],
        gigabytes * plan.value("egress_usd_per_gb"),
        compute * plan.value("orchestration_share"),
        held * people[0] + np.asarray(devices, dtype=float) * people[1],
        compute * plan.value("safety_check_share"),
    )
    return dict(zip(OVERHEADS, lines, strict=True))


def price_index(months: int, plan: Plan) -> np.ndarray:
    """Level of pay and cost centres by month, 1 at approval: (1 + cost_inflation)^(t / 12)."""
    return (1.0 + plan.value("cost_inflation")) ** (np.arange(months) / MONTHS_PER_YEAR)


def held_usd_per_month(plan: Plan, field: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """People and storage that go with an accelerator held for a month, USD each, shaped like `field`.

    In the `field` (class edge): operators look after devices, and no block storage stands behind them.
    """
    tended = np.where(field, plan.value("devices_per_operator"), plan.value("accelerators_per_operator"))
    storage = plan.value("storage_gb_per_accelerator") * plan.value("storage_usd_per_gb_month")
    return plan.value("operator_usd_per_month") / tended, np.where(field, 0.0, storage)


def around_usd_per_hour(plan: Plan, field: ArrayLike, pay_level: ArrayLike = 1.0) -> np.ndarray:
    """People and storage that go with each accelerator-hour paid for, rented or owned, USD, shaped like `field` x `pay_level`.

    (people x pay level + storage) / 730 of `held_usd_per_month`, as in `overhead_lines`: a node that is held idle
    costs as much as one that works, so every choice between holding and renting has to count it.
    """
    people, storage = held_usd_per_month(plan, field)
    return (people * np.asarray(pay_level, dtype=float) + storage) / HOURS_PER_MONTH


def hidden_lines(
    compute_usd: ArrayLike,
    plan: Plan,
    units: np.ndarray | None = None,
    use_cases: Sequence[str] = (),
    price_level: ArrayLike = 1.0,
) -> dict[str, np.ndarray]:
    """Cost centres outside the bill by name: amount a month + share of compute + amount per unit x units.

    `units` [..., K] are those of the use cases named in order, K long; an amount per unit counts the
    units of its own use cases only. `price_level` multiplies the amounts, not the share of compute.
    """
    compute, level = np.asarray(compute_usd, dtype=float), np.asarray(price_level, dtype=float)
    lines = {item.name: item.usd_per_month * level + item.share_of_compute * compute for item in plan.hidden_costs}
    if units is not None:
        for item in plan.hidden_costs:
            lines[item.name] = lines[item.name] + item.usd_per_unit * level * (units @ serves(item, use_cases))
    return lines


def serves(item: HiddenCost, use_cases: Sequence[str]) -> np.ndarray:
    """1 where an amount per unit holds for a use case, else 0."""
    return np.array([float(not item.use_cases or name in item.use_cases) for name in use_cases])


def with_contingency(lines: dict[str, np.ndarray], plan: Plan) -> dict[str, np.ndarray]:
    """Add the contingency as last line: a share of the sum of the others."""
    total = np.sum(list(lines.values()), axis=0)
    return {**lines, CONTINGENCY: total * plan.value("contingency_share")}
