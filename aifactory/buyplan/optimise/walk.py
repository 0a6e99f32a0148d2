"""From a known basis to the optimal one of another right-hand side: a few dual simplex steps, compiled.

    min c x   s.t.  sign_i (A x)_i - s_i = sign_i b_i,  0 <= x <= u,  s >= 0

Bounds u are fixed or a right-hand side of their own, which follow those of the rows.

A basis that is optimal for one b is dual feasible for all. Each step drops the variable that is furthest outside its
bounds for the variable that keeps the duals feasible (bounded dual simplex). The last basis is accepted where
its point keeps all bounds and costs what its duals bound from below; all else is left to the solver.
"""

from __future__ import annotations

import numba
import numpy as np

#: Steps that are tried; pivots, reduced costs and bounds below these count as nothing.
MOST_STEPS, PIVOT, ZERO = 60, 1e-9, 1e-9
#: Relative difference of primal and dual value of an accepted basis.
AGREE = 1e-8
#: Where a variable stands: basic, at its lower bound, at its upper bound.
IN, LOW, HIGH = 0, 1, 2


@numba.njit(cache=True)
def walk(start, column, value, costs, upper, bound_of, per_side, sign, inverse, head, status, sides):  # noqa: ANN001, ANN201
    """Values [R], duals [R, m + q], steps [R] (-1: not solved) and statuses [R, n + m] of right-hand sides [R, m + q].

    Parameters
    ----------
    start, column, value : the matrix by columns: entries of column j are `start[j]` to `start[j + 1]`; `column` are rows.
    upper, bound_of, per_side : [n] upper bounds; where `bound_of` is 0 or more it is that right-hand side times `per_side`.
    inverse : [m, m] of the basis to start from; head : [m] its variables, slacks counted from n on.
    status : [n + m] where each variable stands in it.
    """
    rows, columns, count = len(sign), len(costs), len(sides)
    values, duals = np.zeros(count), np.zeros(sides.shape)
    steps, ends = np.full(count, -1), np.zeros((count, columns + rows), dtype=np.int8)
    reduced0 = _reduced(start, column, value, costs, sign, inverse, head, status)
    alpha, image, top = np.zeros(columns + rows), np.zeros(rows), upper.copy()
    for at in range(count):
        binv, basis, stands, reduced = inverse.copy(), head.copy(), status.copy(), reduced0.copy()
        for j in range(columns):
            if bound_of[j] >= 0:
                top[j] = sides[at, bound_of[j]] * per_side[j]
        x = _point(start, column, value, top, binv, stands, sides[at], columns)
        scale = 0.0
        for i in range(sides.shape[1]):
            scale = max(scale, abs(sides[at, i]))
        scale = ZERO * (1.0 + scale)
        for step in range(MOST_STEPS):
            leaves, worst, below = -1, scale, True
            for i in range(rows):
                most = top[basis[i]] if basis[i] < columns else np.inf
                if -x[i] > worst:
                    leaves, worst, below = i, -x[i], True
                elif x[i] - most > worst:
                    leaves, worst, below = i, x[i] - most, False
            if leaves < 0:
                steps[at] = step
                break
            enters = _entering(start, column, value, sign, binv[leaves], stands, reduced, alpha, below, columns)
            if enters < 0:
                break
            _image(start, column, value, sign, binv, enters, columns, image)
            if abs(image[leaves]) < PIVOT:
                break
            gone = basis[leaves]
            bound = 0.0 if below else top[gone]
            change = (x[leaves] - bound) / image[leaves]
            entered = change + (top[enters] if stands[enters] == HIGH else 0.0)
            for i in range(rows):
                x[i] -= change * image[i]
            x[leaves] = entered
            ratio = reduced[enters] / alpha[enters]
            for j in range(columns + rows):
                if stands[j] != IN:
                    reduced[j] -= ratio * alpha[j]
            reduced[enters], reduced[gone] = 0.0, -ratio
            stands[gone], stands[enters], basis[leaves] = LOW if below else HIGH, IN, enters
            _pivot(binv, leaves, image)
        if steps[at] >= 0:
            found = _settle(costs, top, bound_of, per_side, sign, binv, basis, stands, reduced, x, sides[at], values, duals, at, steps[at])  # fmt: skip
            steps[at], ends[at] = found, stands
    return values, duals, steps, ends


@numba.njit(cache=True)
def _settle(costs, top, bound_of, per_side, sign, binv, basis, stands, reduced, x, side, values, duals, at, steps):  # noqa: ANN001, ANN202
    """Write value and duals; -1 where primal and dual value differ or a reduced cost has the wrong sign."""
    columns, rows = len(costs), len(sign)
    primal, dual, largest = 0.0, 0.0, 1.0
    for j in range(columns):
        largest = max(largest, abs(costs[j]))
    for i in range(rows):
        price = costs[basis[i]] if basis[i] < columns else 0.0
        if price != 0.0:
            primal += price * x[i]
            for k in range(rows):
                duals[at, k] += price * binv[i, k]
    for j in range(columns + rows):
        if (reduced[j] if stands[j] == LOW else -reduced[j] if stands[j] == HIGH else 0.0) < -AGREE * largest:
            return -1
        if stands[j] == HIGH:
            primal += costs[j] * top[j]
            dual += min(reduced[j], 0.0) * top[j]
            if bound_of[j] >= 0:
                duals[at, bound_of[j]] += min(reduced[j], 0.0) * per_side[j]
    for k in range(rows):
        # against the sign of its row: rounding
        duals[at, k] = sign[k] * max(sign[k] * duals[at, k], 0.0)
        dual += duals[at, k] * side[k]
    values[at] = dual
    return steps if abs(primal - dual) <= AGREE * (1.0 + abs(dual)) else -1


@numba.njit(cache=True)
def _reduced(start, column, value, costs, sign, inverse, head, status):  # noqa: ANN001, ANN202
    columns, rows = len(costs), len(sign)
    dual = np.zeros(rows)
    for i in range(rows):
        if head[i] < columns:
            for k in range(rows):
                dual[k] += costs[head[i]] * inverse[i, k]
    found = np.zeros(columns + rows)
    for j in range(columns):
        if status[j] != IN:
            total = costs[j]
            for e in range(start[j], start[j + 1]):
                total -= dual[column[e]] * value[e]
            found[j] = total
    for k in range(rows):
        if status[columns + k] != IN:
            found[columns + k] = sign[k] * dual[k]
    return found


@numba.njit(cache=True)
def _point(start, column, value, top, binv, stands, side, columns):  # noqa: ANN001, ANN202
    left = side.copy()
    for j in range(columns):
        if stands[j] == HIGH:
            for e in range(start[j], start[j + 1]):
                left[column[e]] -= value[e] * top[j]
    found = np.zeros(len(binv))
    for i in range(len(binv)):
        for k in range(len(binv)):
            found[i] += binv[i, k] * left[k]
    return found


@numba.njit(cache=True)
def _entering(start, column, value, sign, row, stands, reduced, alpha, below, columns):  # noqa: ANN001, ANN202
    """Variable with the least ratio that moves the leaving one back to its bound; of ties the largest pivot. Fills `alpha`."""
    best, least, size = -1, np.inf, 0.0
    for j in range(len(stands)):
        if stands[j] == IN:
            continue
        if j < columns:
            total = 0.0
            for e in range(start[j], start[j + 1]):
                total += row[column[e]] * value[e]
        else:
            total = -sign[j - columns] * row[j - columns]
        alpha[j] = total
        push = total if (stands[j] == LOW) != below else -total
        if push <= PIVOT:
            continue
        ratio = abs(reduced[j]) / abs(total)
        if ratio < least - ZERO or (ratio < least + ZERO and abs(total) > size):
            best, least, size = j, min(ratio, least), abs(total)
    return best


@numba.njit(cache=True)
def _pivot(binv, leaves, image):  # noqa: ANN001, ANN202
    """The inverse once the variable of a row is exchanged."""
    rows = len(image)
    for k in range(rows):
        binv[leaves, k] /= image[leaves]
    for i in range(rows):
        if i != leaves and image[i] != 0.0:
            for k in range(rows):
                binv[i, k] -= image[i] * binv[leaves, k]


@numba.njit(cache=True)
def _image(start, column, value, sign, binv, variable, columns, image):  # noqa: ANN001, ANN202
    """Column of a variable in terms of the basis."""
    rows = len(image)
    for i in range(rows):
        image[i] = 0.0
    if variable < columns:
        for e in range(start[variable], start[variable + 1]):
            for i in range(rows):
                image[i] += binv[i, column[e]] * value[e]
    else:
        for i in range(rows):
            image[i] = -sign[variable - columns] * binv[i, variable - columns]
