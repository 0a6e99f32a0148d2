"""Demand over the months to come as many seeded paths, by workload and region, from what drives it.

One path of one cell (workload w, region r) is

    units_t = level x start x prod_k (1 + g d^k) x launches_t x season_t x alive_t x exp(noise_t)

and, of a workload that is still to come, seats x adopted share_t x units per seat instead of level and
growth. season_t is exp(m_t + (L z)_t) by the calendar month of t, with twelve draws z that hold for all years.
`work_t` is units_t times the size of a unit relative to today: tokens per request and requests per
session creep, see `demand.unit_size`.
Every draw is a standard normal

    z = sqrt(c) z_common + sqrt(1 - c) z_own,

so that any two workloads agree by the correlation c in each driver: growth, damping of growth, start,
delays, size of a unit, season, noise. Growth, start, size, season and delays are drawn for a workload, the same in all its
regions; noise is that of a cell, autoregressive from month to month and relative to that of today. Without spread every path
is the planned one.

Draws are common random numbers: they depend on the seed, the name of the workload and region, the number of the path and
how many paths there are only, so that another growth rate, workload or horizon (up to 60 months) leaves them as they are.
What a path keeps for good (growth, start, size, season, delays) is drawn once from each of as many strata of equal
probability as there are paths (Latin hypercube: McKay, Beckman and Conover, Technometrics 21, 1979, 239-245), noise freely.
Over seeds the total of the sample company then scatters by 0.3 % (P50), 0.6 % (P10) and 1.3 % (P90) with 4,000 paths, by
1.6, 1.0 and 3.9 % with 1,000 that are all drawn freely (standard deviations, 2026-12-01).
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from aifactory.errors import InputError

#: Standard normal quantile of 90 %.
Z90 = 1.2815515655446004
MONTHS_DRAWN = 60
#: Fewest paths that scenarios are cut from where memory is short.
LEAST_PATHS = 1000
#: Paths at work at once, and bytes of the two arrays of a result: memory is bounded by them.
BLOCK, MOST_BYTES = 250, 2**30
START, GROWTH, DAMPING, SIZE, DELAY, ADOPTION = range(6)
DRIVERS = 6
WEEKS_PER_MONTH = 365 / 7 / 12
YEAR = 12


@dataclass(frozen=True)
class Spread:
    """A number by its 10 %, 50 % and 90 % quantiles: a normal on either side of the middle."""

    low: float | np.ndarray
    middle: float | np.ndarray
    high: float | np.ndarray

    def at(self, normal: np.ndarray) -> np.ndarray:
        """Value at standard normal draws; broadcasts.

        >>> Spread(1.0, 2.0, 5.0).at(np.array([-Z90, 0.0, Z90])).tolist()
        [1.0, 2.0, 5.0]
        """
        side = np.where(normal < 0, np.subtract(self.middle, self.low), np.subtract(self.high, self.middle))
        return self.middle + side * normal / Z90


class LogSpread(Spread):
    """A number above 0 by its 10 %, 50 % and 90 % quantiles: a log-normal on either side of the middle."""

    def at(self, normal: np.ndarray) -> np.ndarray:
        """Value at standard normal draws; broadcasts.

        >>> LogSpread(1.0, 2.0, 8.0).at(np.array([-Z90, 0.0, Z90, 2 * Z90])).round(9).tolist()
        [1.0, 2.0, 8.0, 32.0]
        """
        side = np.where(normal < 0, np.log(self.middle / self.low), np.log(self.high / self.middle))
        return self.middle * np.exp(side * normal / Z90)


@dataclass(frozen=True)
class Adopting:
    """A workload to come or just launched: curves of active seats, and what a seat asks for."""

    curves: np.ndarray  # [draws, weeks] active seats in the weeks after launch, lowest end first
    weight: np.ndarray  # [draws] adds up to 1
    first_month: (
        float  # month of the planned launch, 1 the first of the horizon; below 1: launched already, so long before it
    )
    units_per_seat: LogSpread  # service units a month of an active seat
    region_share: np.ndarray  # [R] adds up to 1


@dataclass(frozen=True)
class Launch:
    """A planned event: demand of a workload times `multiplier` in one month."""

    month: int  # 1 the first of the horizon
    multiplier: float
    slips: bool = True  # comes late on some paths; a season does not


@dataclass(frozen=True)
class Workload:
    """What drives the demand of one workload; arrays over R regions."""

    name: str
    level: np.ndarray  # [R] service units a month today, 0 where it is not served
    growth: Spread  # [R] each: growth a month today
    growth_sd: np.ndarray  # [R] standard error of its logarithm
    noise_sd: np.ndarray  # [R] deviation of the logarithm of a month about its trend
    lumpy: np.ndarray | None = None  # [R] where the level is the mean of lumpy months, not today's; None nowhere
    start: Spread = field(default_factory=lambda: Spread(1.0, 1.0, 1.0))  # share of the level that stays
    size_growth: float = 0.0  # growth a month of the work of a unit
    size_growth_sd: float = 0.0  # standard error of its logarithm
    size_sd: float = 0.0  # doubt of the logarithm of the work of a unit today: stated, not measured
    season: np.ndarray | None = (
        None  # [12] or [R, 12] middle factor by calendar month over that of today's, January first
    )
    season_root: np.ndarray | None = None  # [R, 12, 12] a root of the covariance of its logarithm; None: it is certain
    launches: tuple[Launch, ...] = ()
    retires: int | None = None  # first month without demand, 1 the first of the horizon
    adopting: Adopting | None = None


@dataclass(frozen=True)
class Settings:
    """What holds for all workloads."""

    months: int = 36
    paths: int = 1000
    seed: int = 0
    correlation: float = 0.4
    noise_memory: float = 0.5  # correlation of the noise of a month with that of the month before
    damping: Spread = field(default_factory=lambda: Spread(0.94, 0.94, 0.94))
    delay: Spread = field(default_factory=lambda: Spread(0.0, 0.0, 0.0))  # months that launches and ends slip
    first_calendar_month: int = 1  # calendar month (1 to 12) of the first month of the horizon


@dataclass(frozen=True)
class Paths:
    """Simulated demand: arrays [paths, workloads, regions, months]."""

    workloads: tuple[str, ...]
    regions: tuple[str, ...]
    units: np.ndarray  # service units a month
    work: np.ndarray  # the same at today's size of a unit


def simulate_paths(workloads: list[Workload], regions: tuple[str, ...], settings: Settings) -> Paths:
    """Simulate demand by month.

    Parameters
    ----------
    workloads : names must differ; their arrays have one entry per region.

    Returns
    -------
    Paths of shape (paths, W, R, months), `float64`; the same arguments give the same digits.

    Raises
    ------
    InputError
        If a setting is out of its bounds or the arrays would exceed a gigabyte.

    Examples
    --------
    >>> chat = Workload("chat", np.array([100.0]), Spread(0.1, 0.1, 0.1), np.zeros(1), np.zeros(1))
    >>> calm = Settings(months=2, paths=1, damping=Spread(1.0, 1.0, 1.0))
    >>> simulate_paths([chat], ("eu",), calm).units[0, 0, 0].round(6).tolist()
    [110.0, 121.0]
    """
    check_settings(settings, len(workloads), len(regions))
    names = [item.name for item in workloads]
    if len(set(names)) < len(names):
        raise InputError.at("workloads", "names must differ", value=next(n for n in names if names.count(n) > 1))
    shape = (settings.paths, len(workloads), len(regions), settings.months)
    units = np.zeros(shape)
    same_size = all(item.size_growth == item.size_growth_sd == item.size_sd == 0 for item in workloads)
    work = units if same_size else np.zeros(shape)
    common = _Draws(settings, "", regions)
    for place, item in enumerate(workloads):
        own = _Draws(settings, drawn_as(item.name, names, regions), regions)
        for first in range(0, settings.paths, BLOCK):
            block = slice(first, min(first + BLOCK, settings.paths))
            persistent, noise = _mixed(common, own, settings, block)
            if item.lumpy is not None:
                noise += np.where(item.lumpy, _today(common, own, settings, block), 0.0)[..., None]
            units[block, place] = _units(item, settings, persistent, noise)
            if item.season_root is not None:
                units[block, place] *= _season_drawn(item.season_root, common, own, settings, block)
            if not same_size:
                work[block, place] = units[block, place] * _size(item, settings, persistent)[:, None, :]
    return Paths(tuple(names), tuple(regions), units, work)


def fitting_paths(wanted: int, workloads: int, regions: int, months: int) -> int:
    """Paths of which a quarter of the memory holds the arrays, at most as many as wanted and at least `LEAST_PATHS`.

    >>> fitting_paths(4000, 15, 3, 36), fitting_paths(4000, 80, 6, 60), fitting_paths(500, 15, 3, 36)
    (4000, 1000, 500)
    """
    room = MOST_BYTES // 4 // (2 * 8 * max(workloads, 1) * max(regions, 1) * months)
    return min(wanted, max(room, LEAST_PATHS))


def check_settings(settings: Settings, workloads: int, regions: int) -> None:
    """Raise InputError where a setting is out of its bounds."""
    limits = {"correlation": (0.0, 1.0), "noise_memory": (0.0, 0.99)}
    for name, (least, most) in limits.items():
        if not least <= getattr(settings, name) <= most:
            raise InputError.at(
                "scenarios", f"must be {least:g} to {most:g}", column=name, value=getattr(settings, name)
            )
    for name in ("months", "paths"):
        if getattr(settings, name) < 1:
            raise InputError.at("scenarios", "must be 1 or more", column=name, value=getattr(settings, name))
    each = 2 * 8 * max(workloads, 1) * max(regions, 1) * settings.months
    if settings.paths * each > MOST_BYTES:
        rule = f"{workloads} workloads in {regions} regions over {settings.months} months leave room for {MOST_BYTES // each:,} paths"
        raise InputError.at("scenarios", rule, column="paths", value=settings.paths)


def drawn_as(name: str, names: Collection[str], regions: Collection[str]) -> str:
    """Name that the draws of a workload go by: a use case that is planned region by region (`chat.eu`) keeps those of the whole one.

    >>> drawn_as("chat.eu", ["chat.eu", "chat.us"], ["eu", "us"]), drawn_as("chat.v2", ["chat.v2"], ["eu", "us"])
    ('chat', 'chat.v2')
    """
    whole, _, region = name.rpartition(".")
    return whole if whole and region in regions and whole not in names else name


class _Draws:
    """Standard normal draws of one workload, or of the factor common to all (name '')."""

    def __init__(self, settings: Settings, name: str, regions: tuple[str, ...]) -> None:
        self.year = _stratified(settings.seed, (name, "year"), (settings.paths, YEAR))
        drawn = -(-settings.months // MONTHS_DRAWN) * MONTHS_DRAWN + 1
        months = slice(0, settings.months + 1)
        self.persistent = _stratified(settings.seed, (name, ""), (settings.paths, DRIVERS))
        cells = regions if name else ("",)
        noise = [_normal(settings.seed, (name, f"noise {cell}"), (settings.paths, drawn))[:, months] for cell in cells]
        self.noise = np.stack(noise, axis=1)  # [S, R or 1, T + 1], today first


def _generator(seed: int, key: tuple[str, str]) -> np.random.Generator:
    words = [zlib.crc32(part.encode()) for part in key]
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=words))


def _normal(seed: int, key: tuple[str, str], shape: tuple[int, int]) -> np.ndarray:
    """Draws that depend on the seed and a name only, path after path."""
    return _generator(seed, key).standard_normal(shape)


def _stratified(seed: int, key: tuple[str, str], shape: tuple[int, int]) -> np.ndarray:
    """Standard normal draws, in each column one from each of as many strata of equal probability as there are paths."""
    from scipy.special import ndtri

    rng, (paths, columns) = _generator(seed, key), shape
    stratum = rng.permuted(np.tile(np.arange(paths)[:, None], (1, columns)), axis=0)
    return ndtri(np.clip((stratum + rng.random(shape)) / paths, 1e-15, 1.0 - 1e-15))


def _mixed(common: _Draws, own: _Draws, settings: Settings, block: slice) -> tuple[np.ndarray, np.ndarray]:
    """Correlated drivers [S, DRIVERS] and noise [S, R, T], see `remembering`."""
    shared, alone = np.sqrt(settings.correlation), np.sqrt(1 - settings.correlation)
    persistent = shared * common.persistent[block] + alone * own.persistent[block]
    noise = shared * common.noise[block] + alone * own.noise[block]
    return persistent, remembering(noise, settings.noise_memory)


def _season_drawn(root: np.ndarray, common: _Draws, own: _Draws, settings: Settings, block: slice) -> np.ndarray:
    """Season of a path over the middle one, [S, R, T]."""
    shared, alone = np.sqrt(settings.correlation), np.sqrt(1 - settings.correlation)
    normal = shared * common.year[block] + alone * own.year[block]
    return np.exp(np.einsum("sk,rtk->srt", normal, root[:, _calendar(settings)]))


def _calendar(settings: Settings) -> np.ndarray:
    """Calendar month of each month of the horizon, 0 January, [T]."""
    return (settings.first_calendar_month - 1 + np.arange(settings.months)) % YEAR


def _today(common: _Draws, own: _Draws, settings: Settings, block: slice) -> np.ndarray:
    """Noise of today's month [S, R], which `remembering` takes off."""
    shared, alone = np.sqrt(settings.correlation), np.sqrt(1 - settings.correlation)
    return shared * common.noise[block, :, 0] + alone * own.noise[block, :, 0]


def remembering(shocks: np.ndarray, memory: float) -> np.ndarray:
    """Noise of months 1 to T relative to that of today, from T + 1 shocks e_0 ... e_T on the last axis.

    n_0 = e_0, n_t = m n_{t-1} + sqrt(1 - m^2) e_t has variance 1 throughout; today's level carries n_0 too,
    so the answer is n_t - n_0, with variance 2 (1 - m^t).

    >>> remembering(np.array([[1.0, 0.0, 0.0]]), 0.5).tolist()
    [[-0.5, -0.75]]
    """
    noise = shocks.copy()
    noise[..., 1:] *= np.sqrt(1 - memory**2)
    for month in range(1, noise.shape[-1]):
        noise[..., month] += memory * noise[..., month - 1]
    return noise[..., 1:] - noise[..., :1]


def _units(item: Workload, settings: Settings, persistent: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Units [S, R, T] of one workload."""
    months = np.arange(1, settings.months + 1)
    if item.adopting is None:
        path = item.level[:, None] * grown(item, settings, persistent)
    else:
        path = _adopted(item.adopting, settings, persistent)[:, None, :] * item.adopting.region_share[:, None]
    slip = np.rint(np.maximum(settings.delay.at(persistent[:, DELAY]), 0.0)).astype(int)
    factor = item.start.at(persistent[:, START]).clip(min=0.0)[:, None] * np.ones(settings.months)
    for launch in item.launches:
        late = slip if launch.slips else np.zeros_like(slip)
        factor *= np.where(months == (launch.month + late)[:, None], launch.multiplier, 1.0)
    if item.season is not None:
        path = path * item.season[..., _calendar(settings)]
    if item.retires is not None:
        factor *= months < (item.retires + slip)[:, None]
    noise *= item.noise_sd[:, None]
    if item.lumpy is not None:
        noise -= np.where(item.lumpy, item.noise_sd**2 / 2, 0.0)[:, None]  # the level is the mean of such a month
    path = path * np.exp(noise, out=noise)
    path *= factor[:, None, :]
    return path


def grown(item: Workload, settings: Settings, persistent: np.ndarray) -> np.ndarray:
    """Level relative to today, [S, R, T]: prod_k (1 + g d^k), growth g and damping d drawn."""
    damping = settings.damping.at(persistent[:, DAMPING]).clip(0.0, 1.0)
    judged = np.maximum(item.growth.at(persistent[:, GROWTH, None]), -0.99)
    growth = (1 + judged) * np.exp(item.growth_sd * persistent[:, GROWTH, None]) - 1
    fading = damping[:, None] ** np.arange(settings.months)
    steps = np.log1p(np.broadcast_to(growth, (len(damping), len(item.level)))[:, :, None] * fading[:, None, :])
    return np.exp(np.cumsum(steps, axis=-1, out=steps), out=steps)


def _size(item: Workload, settings: Settings, persistent: np.ndarray) -> np.ndarray:
    """Work of a unit relative to what it is taken for today, [S, T]: exp(a z + sum_k (log(1 + c) + s z) d^k).

    Creep c with its doubt s and the doubt a of a stated size share one draw z; creep is damped like demand.
    """
    damping = settings.damping.at(persistent[:, DAMPING]).clip(0.0, 1.0)
    drawn = persistent[:, SIZE]
    rate = np.log1p(item.size_growth) + item.size_growth_sd * drawn
    grown = np.cumsum(rate[:, None] * damping[:, None] ** np.arange(settings.months), axis=-1)
    return np.exp(grown + item.size_sd * drawn[:, None])


def _adopted(new: Adopting, settings: Settings, persistent: np.ndarray) -> np.ndarray:
    """Units of a new workload, [S, T]: each path follows one curve, chosen by rank, from its own launch on.

    A month counts the seats at its middle. A launch that slips moves the whole curve.
    """
    from scipy.special import ndtr

    rank = np.searchsorted(np.cumsum(new.weight), ndtr(persistent[:, ADOPTION]) * new.weight.sum())
    curve = new.curves[np.minimum(rank, len(new.curves) - 1)]
    slip = np.rint(np.maximum(settings.delay.at(persistent[:, DELAY]), 0.0)) if new.first_month >= 1 else 0.0 * rank
    since = np.arange(1, settings.months + 1) - (new.first_month + slip)[:, None]
    weeks = (since + 0.5) * WEEKS_PER_MONTH - 1.0  # curves start with week 1
    before = np.clip(np.floor(weeks).astype(int), 0, curve.shape[1] - 2)
    left, right = (np.take_along_axis(curve, before + step, axis=1) for step in (0, 1))
    seats = left + (right - left) * np.clip(weeks - before, 0.0, 1.0)
    per_seat = new.units_per_seat.at(persistent[:, GROWTH])
    return np.where(since >= 0, seats * per_seat[:, None], 0.0)
