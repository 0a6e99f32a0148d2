"""The criteria that platforms and vendors are scored by, and what their weights must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aifactory.errors import InputError

MATRIX_CRITERIA = ("maturity", "cost", "throughput", "latency", "portability", "operational_risk")
SCORECARD_CRITERIA = ("performance_per_dollar", "performance_per_watt", "software_compatibility",
                      "orchestration_maturity", "observability", "supply", "lock_in")  # fmt: skip
#: The criterion that holds all money; it never enters the score of a cell.
PRICED = "cost"
FILE = "plan.yaml"
TOLERANCE = 1e-9


def check_weights(
    matrix: Mapping[str, float], scorecard: Mapping[str, float], limits: Mapping[str, Sequence[float]]
) -> None:
    """Refuse weights that make no score.

    The matrix names its six criteria, each once, with some weight beside cost; the scorecard names criteria of its
    own; limits (low, high) name criteria of the matrix, in order, and leave weights that add up to 1.

    >>> check_weights(dict.fromkeys(MATRIX_CRITERIA, 1 / 6), {"supply": 1.0}, {"cost": (0.1, 0.5)})
    >>> check_weights({"latncy": 1.0}, {}, {})
    Traceback (most recent call last):
    aifactory.errors.InputError: plan.yaml, column 'matrix_weights': value 'latncy': no such criterion. Did you mean 'latency'?
    """
    for column, names, known in (
        ("matrix_weights", matrix, MATRIX_CRITERIA),
        ("scorecard_weights", scorecard, SCORECARD_CRITERIA),
        ("weight_limits", limits, MATRIX_CRITERIA),
    ):
        for name in names:
            if name not in known:
                raise InputError.at(FILE, "no such criterion", column=column, value=name, choices=known)
    missing = [name for name in MATRIX_CRITERIA if name not in matrix]
    if missing:
        raise InputError.at(FILE, f"lacks a weight for {', '.join(missing)} (0 is allowed)", column="matrix_weights")
    if not sum(value for name, value in matrix.items() if name != PRICED) > 0:
        rule = "only cost has a weight: a score needs another criterion"
        raise InputError.at(FILE, rule, column="matrix_weights")
    _check_limits(limits)


def _check_limits(limits: Mapping[str, Sequence[float]]) -> None:
    for name, (low, high) in limits.items():
        if low > high:
            raise InputError.at(FILE, f"the low end {low:g} lies above the high end {high:g}", column="weight_limits", value=name)  # fmt: skip
    least, most = (sum(limits.get(name, (0.0, 1.0))[end] for name in MATRIX_CRITERIA) for end in (0, 1))
    if least > 1 + TOLERANCE or most < 1 - TOLERANCE:
        rule = f"no weights within the limits add up to 1: they reach from {least:.6g} to {most:.6g}"
        raise InputError.at(FILE, rule, column="weight_limits")
