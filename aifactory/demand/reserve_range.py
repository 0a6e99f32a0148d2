"""What a record of plans says about the next lead time: a range of its risk instead of one figure.

Overloads come in stretches, so a record for 1 % may hold two of them and the next lead time none or three. Their
number in the next lead time is taken as a mixture of Poisson counts whose rate, relative to the one planned, is
drawn about 1 before the record and about what the record met after it:

    rate ~ Gamma(PRIOR, PRIOR)                              planned: mean 1
    rate | record ~ Gamma(PRIOR + E r, PRIOR + E)           E overloads planned in the record, r = risk met / target
    overloads ahead ~ Poisson(rate x A),  A = E / leads of the record       (negative binomial)
    risk ahead = target x overloads ahead / A

E counts at most as two: plans are corrected by their own record (`budget_left`), so that what was overdrawn is not
overdrawn again, and on public series the risk of one quarter of a history says little about that of the next.

Checked on 59 public series of an hour to six years (PRIOR and the limit chosen on 30 of them, these figures from the
29 others): of the lead times in the last quarter, 87 to 91, 86, 80 and 61 % fell into the 80 % range where the lead
time is 1/40, 1/20, 1/10 and 1/5 of the history; 9 to 13, 14, 15 to 18 and 30 % lay above it. So a range from a history
of fewer than ten lead times is too narrow at its upper end.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betainc

PRIOR, MOST_OVERLOADS = 2.0, 2.0
RANGE = (0.1, 0.9)
_COUNTS = np.arange(5000.0)


def risk_range(target: float, met: float, overloads: float, leads: float) -> tuple[float, float]:
    """Low and high end of the risk of the next lead time: 80 % of lead times lie between, in the unit of the target.

    Parameters
    ----------
    target : share of windows over capacity, or of demand not served, that was planned.
    met : what the plans of the record met, in the same unit.
    overloads : separate overloads that the record would hold at the target.
    leads : lead times that the record spans, one at least.

    >>> low, high = risk_range(0.01, 0.01, 2.0, 2.0)  # one overload planned ahead: 0 to 2 of them
    >>> low, round(high, 9)
    (0.0, 0.02)
    >>> risk_range(0.01, 0.03, 2.0, 2.0)[1] > high
    True

    References
    ----------
    Gelman et al. 2013, Bayesian Data Analysis, 3rd ed., section 2.6 (Gamma-Poisson).
    """
    known = min(overloads, MOST_OVERLOADS)
    ahead = min(overloads / max(leads, 1.0), MOST_OVERLOADS)
    if ahead <= 0:
        return 0.0, 0.0
    shape, rate = PRIOR + known * met / target, PRIOR + known
    grown = betainc(shape, _COUNTS + 1, rate / (rate + ahead))
    low, high = np.searchsorted(grown, RANGE) * (target / ahead)
    return float(min(low, 1.0)), float(min(high, 1.0))
