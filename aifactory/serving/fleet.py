"""What the event simulator is asked: a stream of requests and a fleet that serves them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aifactory.errors import InputError, nearest
from aifactory.serving.step_time import StepTime

ROUTINGS = ("round_robin", "least_outstanding", "least_kv")
LARGEST_TOKENS = 2**30
MOST_REPLICAS = 30_000


@dataclass(frozen=True)
class RequestStream:
    """Requests in order of arrival.

    Attributes
    ----------
    arrival_s : shape (n,), seconds, not decreasing, 0 or more.
    input_tokens, output_tokens : shape (n,), 1 or more.
    cached_tokens : shape (n,) or empty; prompt tokens whose KV cache is reused: they take room, no time.
    priority : shape (n,) or empty; 0 goes first, 7 last.
    """

    arrival_s: np.ndarray
    input_tokens: np.ndarray
    output_tokens: np.ndarray
    cached_tokens: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    priority: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int8))
    source: str = "requests"

    def __post_init__(self) -> None:
        object.__setattr__(self, "arrival_s", np.ascontiguousarray(self.arrival_s, dtype=np.float64))
        for name in ("input_tokens", "output_tokens", "cached_tokens"):
            object.__setattr__(self, name, _whole(self.source, name, getattr(self, name)))
        priority = _whole(self.source, "priority", self.priority)
        self._check(priority)
        object.__setattr__(self, "priority", priority.astype(np.int8))

    def _check(self, priority: np.ndarray) -> None:
        size = self.arrival_s.size
        if size == 0:
            raise InputError.at(self.source, "there are no requests")
        for name, values in (("input_tokens", self.input_tokens), ("output_tokens", self.output_tokens)):
            _refuse(self.source, name, values, values < 1, "must be 1 or more", size)
        for name, values in (("cached_tokens", self.cached_tokens), ("priority", priority)):
            if values.size:
                _refuse(self.source, name, values, values < 0, "must be 0 or more", size)
        if self.cached_tokens.size:
            over = self.cached_tokens >= self.input_tokens
            _refuse(self.source, "cached_tokens", self.cached_tokens, over, "must be less than input_tokens", size)
        if priority.size:
            _refuse(self.source, "priority", priority, priority > 7, "must be at most 7", size)
        times = self.arrival_s
        _refuse(self.source, "arrival_s", times, ~np.isfinite(times), "must be a number", size)
        _refuse(self.source, "arrival_s", times, times < 0, "must not be negative", size)
        back = np.zeros(size, dtype=bool)
        np.less(times[1:], times[:-1], out=back[1:])
        _refuse(self.source, "arrival_s", times, back, "must not be earlier than the row before", size)

    def __len__(self) -> int:
        return self.arrival_s.size

    def scaled(self, rate: float) -> RequestStream:
        """The same requests arriving `rate` times as fast."""
        return RequestStream(
            self.arrival_s / rate, self.input_tokens, self.output_tokens, self.cached_tokens, self.priority, self.source
        )


def _whole(source: str, name: str, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype.kind not in "iu":
        bad = (
            ~np.isfinite(values) | (values != np.floor(values))
            if values.dtype.kind == "f"
            else np.ones(values.shape, bool)
        )
        _refuse(source, name, values, bad, "must be a whole number", values.size)
    _refuse(source, name, values, values > LARGEST_TOKENS, f"must be at most {LARGEST_TOKENS}", values.size)
    return np.ascontiguousarray(values, dtype=np.int32)


def _refuse(source: str, column: str, values: np.ndarray, bad: np.ndarray, rule: str, size: int) -> None:
    if values.size != size:
        raise InputError.at(source, f"has {values.size} values for {size} requests", column=column)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError.at(source, rule, row=row + 2, column=column, value=values[row].item())


@dataclass(frozen=True)
class Pool:
    """Replicas of one kind; `usd_per_hour` of a whole replica, NaN where unknown."""

    law: StepTime
    replicas: int
    usd_per_hour: float = np.nan

    def __post_init__(self) -> None:
        if not 1 <= self.replicas <= MOST_REPLICAS:
            raise InputError.at("fleet", f"must be 1 to {MOST_REPLICAS}", column="replicas", value=self.replicas)
        if self.law.block_tokens & (self.law.block_tokens - 1):
            raise InputError.at("fleet", "must be a power of two", column="block_tokens", value=self.law.block_tokens)


@dataclass(frozen=True)
class Autoscale:
    """Replicas of the main pool follow the load: requests in the pool / `target_load`, `least` to all.

    A new replica serves after `warmup_s` and is paid from the start; after any change the pool shrinks
    no sooner than `cooldown_s` later. `start` replicas are on at the beginning.
    """

    target_load: float
    least: int = 1
    start: int = 1
    tick_s: float = 15.0
    warmup_s: float = 120.0
    cooldown_s: float = 300.0


@dataclass(frozen=True)
class Failures:
    """Each replica fails after exponential times of mean `mtbf_s`, repaired after a mean of `repair_s`."""

    mtbf_s: float
    repair_s: float


@dataclass(frozen=True)
class Api:
    """External API that takes what overflows: fixed latency, price per million tokens."""

    ttft_s: float
    tpot_s: float
    usd_per_mtok_input: float = np.nan
    usd_per_mtok_output: float = np.nan


@dataclass(frozen=True)
class Fleet:
    """Pools and rules of a serving fleet.

    Attributes
    ----------
    main : serves everything; with `decode` it does prompts only and hands over (disaggregated serving).
    spill : slower or cheaper class that takes what the queue limit of the main pool refuses.
    api : takes it instead, where there is no `spill`.
    routing : round_robin, least_outstanding (requests) or least_kv (KV tokens in use and queued).
    queue_limit : waiting requests of a replica at most; None for no limit.
    retries, backoff_s : a refused or lost request is tried again so often, after backoff_s x 2^k x (0.5 to 1.5).
    watermark : share of the KV blocks kept free when a prompt is admitted.
    """

    main: Pool
    decode: Pool | None = None
    spill: Pool | None = None
    api: Api | None = None
    routing: str = "round_robin"
    queue_limit: int | None = None
    retries: int = 0
    backoff_s: float = 1.0
    watermark: float = 0.01
    autoscale: Autoscale | None = None
    failures: Failures | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.routing not in ROUTINGS:
            raise InputError(f"routing {self.routing!r} is not known.{nearest(self.routing, ROUTINGS)}")
        rules = (
            ("watermark", self.watermark, 0 <= self.watermark < 1),
            ("retries", self.retries, 0 <= self.retries <= 20),
            ("backoff_s", self.backoff_s, self.backoff_s > 0),
            ("queue_limit", self.queue_limit, self.queue_limit is None or self.queue_limit >= 0),
        )
        for name, value, good in rules:
            if not good:
                raise InputError.at("fleet", "is out of bounds", column=name, value=value)
        for part in (self.autoscale, self.failures, self.api):
            for name, value in vars(part).items() if part else ():
                if value < 0 or (not name.startswith("usd") and not np.isfinite(value)):
                    raise InputError.at("fleet", "must be 0 or more", column=name, value=value)
        scaled = self.autoscale
        if scaled and not (scaled.target_load > 0 and scaled.tick_s > 0 and 1 <= scaled.least <= self.main.replicas):
            raise InputError("autoscaling needs a target load, a tick and 1 to all replicas at least")
        if self.failures and min(self.failures.mtbf_s, self.failures.repair_s) <= 0:
            raise InputError("failures need a mean time between failures and to repair above 0")

    @property
    def pools(self) -> tuple[Pool | None, Pool | None, Pool | None]:
        """Main, decode and spill pool."""
        return self.main, self.decode, self.spill
