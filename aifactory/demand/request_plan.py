"""How many requests each stream of the company sends in every hour, before any request is drawn.

A stream is a use case in a region. Its rate is

    rate = share x hour of the day (local) x day of the week x event x minute noise x hour noise,

with autoregressive noise of the logarithm, mean of the rate kept. Events: a launch, an outage, a decay, a
spike that fades. The requests asked for fall on streams and hours by one multinomial draw, which is Poisson
traffic given its total, so that the rows are as many as asked for, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import lfilter

from aifactory.demand.generator_company import REGIONS, USE_CASES
from aifactory.demand.request_classes import CLASSES, RequestClass
from aifactory.errors import InputError

MINUTES_PER_DAY, HOURS_PER_DAY = 1440, 24
MOST_REQUESTS, MOST_DAYS = 10**10, 400
#: Use case -> event, place in the period (share of it), size.
EVENTS = {
    "procurement-agent": ("launch", 0.40, 0.0),
    "faq-bot": ("decay", 0.20, 0.15),
    "support-chat": ("outage", 0.65, 6.0),
    "product-images": ("spike", 0.30, 2.0),
}
OUTAGE_REGION = "eu-west"
#: Days in which a spike fades to a third.
SPIKE_DAYS = 2.0


@dataclass(frozen=True)
class Stream:
    """A use case in a region."""

    use_case: str
    workload_class: str
    team: str
    region: str
    share: float

    @property
    def shape(self) -> RequestClass:
        """Shape of its class."""
        return CLASSES[self.workload_class]


@dataclass(frozen=True)
class RequestPlan:
    """Streams with their `weight` (streams, minutes) and `count` (streams, hours); counts add up to the requests."""

    streams: tuple[Stream, ...]
    weight: np.ndarray
    count: np.ndarray
    days: int
    seed: int


def company_streams(only: str = "") -> list[Stream]:
    """Streams of the company, or of a class, a use case or a use case in a region; shares add up to one.

    >>> round(sum(stream.share for stream in company_streams()), 12)
    1.0
    >>> [stream.team for stream in company_streams("support-chat/eu-west")]
    ['cx']
    """
    found = []
    for name, shape in CLASSES.items():
        loads = {
            (case_id, region): units / case.units_per_request
            for case_id, case in USE_CASES.items()
            for region, units in (case.units_per_hour or {"eu-west": case.job_hours}).items()
            if case.workload_class == name and units > 0
        }
        found += [
            Stream(case_id, name, USE_CASES[case_id].team, region, shape.mix * load / sum(loads.values()))
            for (case_id, region), load in loads.items()
        ]
    if only:
        chosen = [s for s in found if only in (s.workload_class, s.use_case, f"{s.use_case}/{s.region}")]
        if not chosen:
            choices = [*CLASSES, *dict.fromkeys(stream.use_case for stream in found)]
            raise InputError.at("--only", "is no class, use case or use case/region.", value=only, choices=choices)
        found = chosen
    total = sum(stream.share for stream in found)
    return [replace(stream, share=stream.share / total) for stream in found]


def plan_requests(requests: int, days: int, seed: int, only: str = "") -> RequestPlan:
    """Plan a number of requests over whole days, the first a Monday.

    Raises
    ------
    InputError
        If the numbers are out of bounds or there is no such class or use case.
    """
    for name, value, most in (("--requests", requests, MOST_REQUESTS), ("--days", days, MOST_DAYS)):
        if not 1 <= value <= most:
            raise InputError.at(name, f"must lie between 1 and {most:,}", value=value)
    if seed < 0:
        raise InputError.at("--seed", "must be 0 or more", value=seed)
    streams = company_streams(only)
    weight = np.array([_weight(stream, place, days, seed) for place, stream in enumerate(streams)])
    hourly = weight.reshape(len(streams), -1, 60).sum(axis=2, dtype="float64")
    rng = np.random.Generator(np.random.SFC64([seed, 1]))
    count = rng.multinomial(requests, (hourly / hourly.sum()).ravel()).reshape(hourly.shape)
    return RequestPlan(tuple(streams), weight, count, days, seed)


def _weight(stream: Stream, place: int, days: int, seed: int) -> np.ndarray:
    shape, rng = stream.shape, np.random.Generator(np.random.SFC64([seed, 2, place]))
    minutes = days * MINUTES_PER_DAY
    local = np.arange(minutes) // 60 + REGIONS[stream.region]
    load, (idle, days_apart) = np.array(shape.day)[local % HOURS_PER_DAY], shape.idle
    runs = np.repeat(rng.random(days + 2) < 1 / days_apart, MINUTES_PER_DAY)[local[0] * 60 % MINUTES_PER_DAY :][
        :minutes
    ]
    load = np.where(load < idle, load * days_apart * runs, load)
    clock = load * np.array(shape.week)[local // HOURS_PER_DAY % 7]
    minute = _noise(rng, minutes, *shape.minute_noise)
    hour = _noise(rng, days * HOURS_PER_DAY, *shape.hour_noise)
    chance, size = shape.surge
    hour += np.log(size) * (rng.random(len(hour)) < chance)
    rate = clock * np.exp(minute) * np.repeat(np.exp(hour), 60) * _event(stream, days)
    if rate.sum() <= 0:
        rate = np.ones(minutes)
    return (stream.share * rate / rate.sum()).astype("float32")


def _noise(rng: np.random.Generator, count: int, deviation: float, memory: float) -> np.ndarray:
    """Autoregressive noise of first order, its stationary deviation given, less half its variance."""
    keep = np.exp(-1 / memory)
    drawn = rng.standard_normal(count) * deviation * np.sqrt(1 - keep**2)
    drawn[0] = drawn[0] / np.sqrt(1 - keep**2)
    return lfilter([1.0], [1.0, -keep], drawn) - deviation**2 / 2


def _event(stream: Stream, days: int) -> np.ndarray:
    minute = np.arange(days * MINUTES_PER_DAY)
    kind, place, size = EVENTS.get(stream.use_case, ("", 0.0, 0.0))
    begins = int(place * days * HOURS_PER_DAY) * 60
    since = (minute - begins) / MINUTES_PER_DAY
    if kind == "launch":
        return np.where(minute < begins, size, 1.0)
    if kind == "decay":
        return np.where(minute < begins, 1.0, size ** (since / (days * (1 - place))))
    if kind == "spike":
        return np.where(minute < begins, 1.0, 1.0 + size * np.exp(-np.maximum(since, 0.0) * np.log(3) / SPIKE_DAYS))
    if kind == "outage" and stream.region == OUTAGE_REGION:
        return np.where((minute >= begins) & (minute < begins + int(size * 60)), 0.0, 1.0)
    return np.ones(len(minute))
