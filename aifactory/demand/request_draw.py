"""Requests of a plan, hour by hour and in order of time, in memory that does not grow with their number.

Every hour of every stream has a random generator of its own, so the rows do not depend on how many hours
are drawn at once. Clients follow a Zipf law; in a window of ten minutes the requests of a client come with
Gamma or Weibull gaps (as ServeGen fits them, arXiv 2505.09999), stretched by the minutes of the stream. Where
a class submits in bursts, each submission brings several. Sessions of agents are drawn by the day of their
start; what would come after the end of the period comes at its beginning, so that the period is in balance
and no request is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import gammaln, ndtr, ndtri

from aifactory.demand.request_classes import CLASSES, TABLE_SIZE, RequestClass, size_table, zipf_shares
from aifactory.demand.request_plan import HOURS_PER_DAY, RequestPlan

MICROSECONDS, HOUR_S, WINDOWS = 1_000_000, 3600, 6
#: Share of clients with Gamma gaps, the others Weibull, and scatter of their CV (ServeGen, fits by client and window).
GAMMA_CLIENTS, CV_SCATTER = 0.78, 0.25
#: Requests of a chat that go on from one before, and the part of their input that is known then.
FOLLOWING = 0.5
#: Part of the order within a session in the length of its input; the rest is the session's own level.
ORDER_IN_INPUT = 0.5
#: Room for the sessions of a stream in an hour.
SESSIONS = 1 << 28
#: A session of agents is over after so many days.
SESSION_DAYS = 2


@dataclass
class Rows:
    """Requests in columns of equal length; times in microseconds from the start of the period."""

    time_us: np.ndarray
    stream: np.ndarray
    client: np.ndarray
    session: np.ndarray
    service_units: np.ndarray
    input_tokens: np.ndarray
    cached_input_tokens: np.ndarray
    output_tokens: np.ndarray
    failed: np.ndarray

    def take(self, places: np.ndarray | slice) -> Rows:
        """Rows at some places."""
        return Rows(*(column[places] for column in vars(self).values()))


def joined(parts: list[Rows]) -> Rows:
    """Rows of several parts, one after the other."""
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Rows(*(np.concatenate(column) for column in columns))


def draw_hours(plan: RequestPlan) -> Iterator[Rows]:
    """Rows of each hour that holds any, in order of time."""
    agents = [place for place, stream in enumerate(plan.streams) if stream.shape.session_requests]
    waiting: dict[int, Rows] = {}
    for hour in range(plan.days * HOURS_PER_DAY):
        day, of_day = divmod(hour, HOURS_PER_DAY)
        if of_day == 0 and agents:
            waiting = _days_of_sessions(plan, agents, day, waiting)
        parts = [
            _draw(plan, place, hour)
            for place in range(len(plan.streams))
            if place not in agents and plan.count[place, hour]
        ]
        begins = np.int64(hour) * HOUR_S * MICROSECONDS
        for rows in waiting.values():
            first, last = np.searchsorted(rows.time_us, (begins, begins + HOUR_S * MICROSECONDS))
            parts += [rows.take(slice(first, last))]
        if parts and sum(len(part.time_us) for part in parts):
            rows = joined(parts)
            yield rows.take(np.argsort(rows.time_us, kind="stable"))


@lru_cache(32)
def _table(name: str, column: str) -> np.ndarray:
    return size_table(getattr(CLASSES[name], column), whole=column.endswith("tokens"))


@lru_cache(256)
def _clients(
    clients: int, top_tenth: float, cv: float, seed: int, place: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each client: share, whether its gaps are Gamma, and their shape."""
    rng = np.random.Generator(np.random.SFC64([seed, 3, place]))
    own = cv * np.exp(CV_SCATTER * rng.standard_normal(clients)) if cv != 1 else np.ones(clients)
    gamma = rng.random(clients) < GAMMA_CLIENTS
    return zipf_shares(clients, top_tenth), gamma, np.where(gamma, own**-2.0, weibull_shape(own))


def weibull_shape(cv: np.ndarray) -> np.ndarray:
    """Shape k of Weibull gaps with a coefficient of variation: cv^2 = G(1 + 2/k) / G(1 + 1/k)^2 - 1.

    >>> np.round(weibull_shape(np.array([1.0, 0.5227])), 3).tolist()
    [1.0, 2.0]
    """
    forms = np.exp(np.linspace(np.log(0.2), np.log(20), 4001))[::-1]
    return np.interp(cv, np.sqrt(np.expm1(gammaln(1 + 2 / forms) - 2 * gammaln(1 + 1 / forms))), forms)


def _draw(plan: RequestPlan, place: int, hour: int) -> Rows:
    stream, count = plan.streams[place], int(plan.count[place, hour])
    shape, rng = stream.shape, np.random.Generator(np.random.SFC64([plan.seed, 4, place, hour]))
    minutes = plan.weight[place, hour * 60 : hour * 60 + 60].astype("float64")
    sizes = _bursts(rng, count, *shape.burst[:2])
    second, client, first = _arrivals(
        rng, len(sizes), minutes, _clients(shape.clients, shape.top_tenth, shape.client_cv, plan.seed, place)
    )
    if len(sizes) < count:
        second, client, first = _spread(rng, second, client, sizes, shape.burst[2])
    follows = rng.random(count, dtype="float32") < FOLLOWING if shape.cached else np.zeros(count, dtype=bool)
    session = _session_ids(plan, place, hour, np.cumsum(first | ~follows)) if shape.cached else np.full(count, -1)
    tokens = _sizes(rng, stream.workload_class, "input_tokens", count)
    cached = np.zeros(count, dtype="int32")
    if shape.cached:
        # a uniform part with the mean that the share of the class asks for
        mean = min(shape.cached / FOLLOWING, 1.0)
        part = 1 - 2 * (1 - mean) * rng.random(count, dtype="float32")
        cached = (tokens * np.where(follows, np.maximum(part, 0), 0)).astype("int32")
    return Rows(
        time_us=((hour * HOUR_S + second) * MICROSECONDS).astype("int64"),
        stream=np.full(count, place, dtype="int16"),
        client=client.astype("int32"),
        session=session,
        service_units=_units(rng, stream.workload_class, shape, count),
        input_tokens=tokens,
        cached_input_tokens=cached,
        output_tokens=_sizes(rng, stream.workload_class, "output_tokens", count),
        failed=rng.random(count, dtype="float32") < shape.failure,
    )


def _session_ids(plan: RequestPlan, place: int, hour: int, ordinal: np.ndarray) -> np.ndarray:
    return (np.int64(hour) * len(plan.streams) + place) * SESSIONS + ordinal


def _sizes(rng: np.random.Generator, name: str, column: str, count: int) -> np.ndarray:
    if getattr(CLASSES[name], column) is None:
        return np.zeros(count, dtype="int32")
    return _table(name, column)[rng.integers(0, TABLE_SIZE, count, dtype="uint16")]


def _units(rng: np.random.Generator, name: str, shape: RequestClass, count: int) -> np.ndarray:
    if shape.service_units is None:
        return np.ones(count)
    drawn = _table(name, "service_units")[rng.integers(0, TABLE_SIZE, count, dtype="uint16")]
    return np.rint(drawn) if shape.service_units[0] >= 1 else drawn


def _bursts(rng: np.random.Generator, count: int, tail: float, most: int) -> np.ndarray:
    """Sizes of submissions that add up to `count`, P(size >= x) = x^-tail up to `most`; the last one is cut."""
    if most <= 1:
        return np.ones(count, dtype="int64")
    sizes = np.minimum(np.floor((1 - rng.random(count)) ** (-1 / tail)), most).astype("int64")
    sizes = sizes[: int(np.searchsorted(np.cumsum(sizes), count)) + 1]
    sizes[-1] -= sizes.sum() - count
    return rng.permutation(sizes)  # the one that reaches the count is a long one: no client's fate


def _spread(
    rng: np.random.Generator, second: np.ndarray, client: np.ndarray, sizes: np.ndarray, gap_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Requests of each submission, `gap_s` apart on average; past the hour they come at its beginning."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    first = np.diff(owner, prepend=-1) > 0
    gaps = np.cumsum(np.where(first, 0.0, rng.standard_exponential(len(owner)) * gap_s))
    return (second[owner] + gaps - gaps[first][owner]) % HOUR_S, client[owner], first


def _arrivals(
    rng: np.random.Generator, count: int, minutes: np.ndarray, clients: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seconds in the hour, clients, and which request is the first of its client in a window."""
    share, gamma, form = clients
    in_window = minutes.reshape(WINDOWS, -1)
    cells = (share[:, None] * in_window.sum(axis=1)).ravel()
    grown = np.cumsum(cells)
    if count > len(cells):
        held = rng.multinomial(count, cells / grown[-1])
    else:
        drawn = np.searchsorted(grown, rng.random(count) * grown[-1], side="right")
        held = np.bincount(np.minimum(drawn, len(cells) - 1), minlength=len(cells))
    used = np.flatnonzero(held)
    held = held[used]
    # one gap more than requests: the last one ends the window
    ends = np.cumsum(held + 1)
    fraction = _gaps(rng, np.repeat(used // WINDOWS, held + 1), gamma, form)
    np.cumsum(fraction, out=fraction)
    before = np.concatenate([[0.0], fraction[ends[:-1] - 1]])
    length = fraction[ends - 1] - before
    inner = np.ones(len(fraction), dtype=bool)
    inner[ends - 1] = False
    cell = np.repeat(np.arange(len(used)), held)
    place = (fraction[inner] - before[cell]) / length[cell]
    first = np.diff(cell, prepend=-1) > 0
    # windows one after the other; within each, minutes take their share of it
    clock = np.cumsum(in_window / np.maximum(in_window.sum(axis=1, keepdims=True), 1e-300), axis=1)
    clock = np.concatenate([[0.0], (clock + np.arange(WINDOWS)[:, None]).ravel()])
    clock = np.maximum.accumulate(clock)
    second = np.interp((used % WINDOWS)[cell] + place, clock, np.arange(61) * 60.0)
    return np.minimum(second, HOUR_S - 1e-6), (used // WINDOWS)[cell], first


def _gaps(rng: np.random.Generator, client: np.ndarray, gamma: np.ndarray, form: np.ndarray) -> np.ndarray:
    """Gaps of mean one by client; exponential where every client is."""
    if np.allclose(form, 1, atol=1e-6):
        return rng.standard_exponential(len(client))
    own, weibull = form[client], ~gamma[client]
    gaps = np.empty(len(client))
    gaps[~weibull] = rng.standard_gamma(own[~weibull]) / own[~weibull]
    gaps[weibull] = rng.standard_exponential(int(weibull.sum())) ** (1 / own[weibull])
    return gaps + 1e-12


def _days_of_sessions(plan: RequestPlan, agents: list[int], day: int, waiting: dict[int, Rows]) -> dict[int, Rows]:
    """Requests of the sessions that began today or in the days before, each day's in order of time."""
    held = min(SESSION_DAYS + 1, plan.days)
    days = [(day - back) % plan.days for back in range(held)]
    return {began: waiting[began] if began in waiting else _sessions(plan, agents, began) for began in days}


def _sessions(plan: RequestPlan, agents: list[int], day: int) -> Rows:
    parts = [_sessions_of(plan, place, day) for place in agents]
    rows = joined(parts)
    return rows.take(np.argsort(rows.time_us, kind="stable"))


def _sessions_of(plan: RequestPlan, place: int, day: int) -> Rows:
    stream, rng = plan.streams[place], np.random.Generator(np.random.SFC64([plan.seed, 5, place, day]))
    count = int(plan.count[place, day * HOURS_PER_DAY : (day + 1) * HOURS_PER_DAY].sum())
    shape, name = stream.shape, stream.workload_class
    sizes = _session_sizes(rng, name, count)
    minutes = plan.weight[place, day * 1440 : (day + 1) * 1440].astype("float64")
    grown = np.concatenate([[0.0], np.cumsum(minutes)])
    start = np.interp(rng.random(len(sizes)) * grown[-1], grown, np.arange(1441) * 60.0)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    first = np.diff(owner, prepend=-1) > 0
    order = np.arange(count) - np.flatnonzero(first)[owner] if count else np.zeros(0, dtype="int64")
    gaps = _table(name, "session_gap_s")[rng.integers(0, TABLE_SIZE, count, dtype="uint16")]
    gaps = np.cumsum(np.where(first, 0.0, gaps))
    offset = (gaps - gaps[first][owner]) % (SESSION_DAYS * 86400.0)
    shares = zipf_shares(shape.clients, shape.top_tenth)
    client = np.searchsorted(np.cumsum(shares)[:-1], rng.random(len(sizes)))
    # normal scores of the session and of the place in it, so that the lengths keep their distribution
    score = rng.standard_normal(len(sizes))[owner] * np.sqrt(1 - ORDER_IN_INPUT**2)
    score += ORDER_IN_INPUT * ndtri((order + 0.5) / sizes[owner])
    tokens = _table(name, "input_tokens")[np.minimum((ndtr(score) * TABLE_SIZE).astype("int64"), TABLE_SIZE - 1)]
    cached = np.where(first, 0, np.concatenate([[0], tokens[:-1]])) if count else tokens
    ordinal = np.cumsum(first)
    return Rows(
        time_us=(((day * 86400.0 + start[owner] + offset) % (plan.days * 86400.0)) * MICROSECONDS).astype("int64"),
        stream=np.full(count, place, dtype="int16"),
        client=client[owner].astype("int32"),
        session=_session_ids(plan, place, day * HOURS_PER_DAY, ordinal),
        service_units=first.astype("float64"),
        input_tokens=tokens,
        cached_input_tokens=cached.astype("int32"),
        output_tokens=_sizes(rng, name, "output_tokens", count),
        failed=rng.random(count, dtype="float32") < shape.failure,
    )


def _session_sizes(rng: np.random.Generator, name: str, count: int) -> np.ndarray:
    """Requests per session that add up to `count`; the last one is cut."""
    drawn = np.zeros(0, dtype="int64")
    table = np.rint(_table(name, "session_requests")).astype("int64")
    while drawn.sum() < count:
        drawn = np.concatenate([drawn, table[rng.integers(0, TABLE_SIZE, count // 50 + 8, dtype="uint16")]])
    sizes = drawn[: int(np.searchsorted(np.cumsum(drawn), count)) + 1] if count else drawn
    if count:
        sizes[-1] -= sizes.sum() - count
    return sizes
