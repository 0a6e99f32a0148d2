"""Work whose places must each stand alone: whole nodes at every site, times the sites.

Forty plants with a tenth of an accelerator of work each need forty devices, not four: no site can use those of another, and each
holds its own reserve. With a accelerators of work in a region at S sites that are alike, and nodes of s,

    held = S s ceil(a / (S s))

and with one site nothing changes. Where the plan spreads work over failure domains, each site holds as many nodes more as
one of its domains may have. Limits: sites are taken as alike (the busiest plant needs more than the mean one), and their hours as those of the
region: the peak of a single site above its mean is not in a region's telemetry.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from aifactory.demand.reserve_money import with_one_pool_down

TOLERANCE = 1e-9


def in_sites(accelerators: ArrayLike, sites: ArrayLike, size: ArrayLike) -> np.ndarray:
    """Accelerators of whole nodes at each site; unchanged with one site. Shapes broadcast.

    >>> in_sites([4.0, 40.0, 41.0, 0.0], 40, 1).tolist(), in_sites(4.2, 1, 8).item(), in_sites(4.2, 3, 8).item()
    ([40.0, 40.0, 80.0, 0.0], 4.2, 24.0)
    """
    work, step = np.asarray(accelerators, dtype=float), np.asarray(sites, dtype=float) * np.asarray(size, dtype=float)
    return np.where(np.asarray(sites) > 1, np.ceil(work / step - TOLERANCE).clip(min=0.0) * step, work)


def held_in_sites(accelerators: ArrayLike, sites: ArrayLike, size: ArrayLike, spare: ArrayLike = 1.0) -> np.ndarray:
    """The same for a level with reserve, whose share for failures `spare` (1: none) is that of `with_one_pool_down` at each site.

    >>> held_in_sites(8.0, 40, 1, 2.0).item(), held_in_sites(180.0, 40, 1, 1.5).item(), held_in_sites(8.0, 40, 1).item()
    (80.0, 200.0, 40.0)
    """
    work, count, step = np.asarray(accelerators, dtype=float), np.asarray(sites), np.asarray(size, dtype=float)
    safe = with_one_pool_down(work / np.asarray(spare, dtype=float), count * step, spare)
    return np.where((np.asarray(spare) > 1) & (count > 1), safe, in_sites(work, count, step))
