"""What the event simulator is asked: a stream of requests and a fleet that serves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from aifactory.errors import InputError, nearest
from aifactory.serving.step_time import StepTime

ROUTINGS = ("round_robin", "least_outstanding", "least_kv")
LARGEST_TOKENS = 2**30
MOST_REPLICAS = 30_000


@dataclass(frozen=True, eq=False)
class Prefixes:
    """Prompts named by blocks: equal number, equal tokens and equal tokens before (as the hashes of an engine).

    Attributes
    ----------
    start : shape (n + 1,), where the blocks of each request begin in `ids`.
    ids : shape (blocks,), 0 or more.
    block_tokens : tokens of a block; what a prompt has beyond its last full block is not kept.
    """

    start: np.ndarray
    ids: np.ndarray
    block_tokens: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", np.ascontiguousarray(self.start, dtype=np.int64))
        object.__setattr__(self, "ids", np.ascontiguousarray(self.ids, dtype=np.int32))
        steps = np.diff(self.start)
        whole = self.start.size > 0 and self.start[0] == 0 and self.start[-1] == self.ids.size and (steps >= 0).all()
        if not whole or self.block_tokens < 1 or (self.ids.size and self.ids.min() < 0):
            raise InputError("prefixes: the blocks of the requests must follow one another, with numbers of 0 or more")

    @classmethod
    def of(cls, blocks: Sequence[Sequence[int | str]], block_tokens: int) -> Prefixes:
        """From one list of hashes per request.

        >>> named = Prefixes.of([["a", "b"], [], ["a", "c"]], 512)
        >>> named.start.tolist(), named.ids.tolist()
        ([0, 2, 2, 4], [0, 1, 0, 2])
        """
        numbers: dict[int | str, int] = {}
        ids = [numbers.setdefault(block, len(numbers)) for held in blocks for block in held]
        return cls(np.cumsum([0, *(len(held) for held in blocks)]), np.array(ids, dtype=np.int32), block_tokens)

    def best_hits(self, input_tokens: np.ndarray) -> np.ndarray:
        """Tokens each prompt finds if nothing is ever evicted and all before it are computed; shape (n,).

        >>> Prefixes.of([["a", "b"], ["a", "b", "c"]], 10).best_hits(np.array([25, 20])).tolist()
        [0, 10]
        """
        known = np.zeros(int(self.ids.max(initial=-1)) + 1, dtype=bool)
        hits = np.zeros(len(input_tokens), dtype=np.int64)
        for i, tokens in enumerate(np.asarray(input_tokens).tolist()):
            held = self.ids[self.start[i] : self.start[i + 1]]
            missing = np.flatnonzero(~known[held[: (tokens - 1) // self.block_tokens]])
            hits[i] = missing[0] if missing.size else min(held.size, (tokens - 1) // self.block_tokens)
            known[held[: tokens // self.block_tokens]] = True
        return hits * self.block_tokens


@dataclass(frozen=True)
class RequestStream:
    """Requests in order of arrival.

    Attributes
    ----------
    arrival_s : shape (n,), seconds, not decreasing, 0 or more.
    input_tokens, output_tokens : shape (n,), 1 or more.
    cached_tokens : shape (n,) or empty; prompt tokens whose KV cache is reused: they take room, no time. Without
        `prefixes` they are taken as given, an upper bound: the trace does not say what memory they lay in.
    priority : shape (n,) or empty; 0 goes first, 7 last.
    prefixes : names of the prompt blocks, or None; with them the simulator works out what is reused, replica by
        replica, in the memory that running requests leave, and `cached_tokens` serves closed forms only.
    """

    arrival_s: np.ndarray
    input_tokens: np.ndarray
    output_tokens: np.ndarray
    cached_tokens: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    priority: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int8))
    source: str = "requests"
    prefixes: Prefixes | None = None

    def __post_init__(self) -> None:
        # Arrays that cannot be written to, as frames give them, are another type to the compiler: a second compile.
        object.__setattr__(self, "arrival_s", np.require(self.arrival_s, np.float64, ["C", "W"]))
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
        if self.prefixes and self.prefixes.start.size != size + 1:
            raise InputError.at(self.source, f"has prefixes of {self.prefixes.start.size - 1} requests for {size}")
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
        return replace(self, arrival_s=self.arrival_s / rate)


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
    return np.require(values, np.int32, ["C", "W"])


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
    queue_limit : requests of a replica at most that its next step leaves waiting (for a seat, memory or tokens of the
        step); 0: none waits longer than for the step in progress; None: no limit.
    retries, backoff_s : a refused, lost or timed-out request is tried again so often, after
        backoff_s x 2^k x (0.5 to 1.5).
    timeout_s : the client gives up a try after so long, in the queue or in the middle of its answer, and what is
        done for it is cancelled at the end of the step in progress; None for never. An API is not paid for those.
    prefix_cache : whether prompts reuse the KV cache of earlier ones.
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
    timeout_s: float | None = None
    prefix_cache: bool = True
    autoscale: Autoscale | None = None
    failures: Failures | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.routing not in ROUTINGS:
            raise InputError(f"routing {self.routing!r} is not known.{nearest(self.routing, ROUTINGS)}")
        outside = self.main.law.s_per_request
        late = self.timeout_s is None or outside < self.timeout_s < np.inf
        rules = (
            ("watermark", "must be 0 or more and below 1", 0 <= self.watermark < 1),
            ("retries", "must be 0 to 20", 0 <= self.retries <= 20),
            ("backoff_s", "must be more than 0", self.backoff_s > 0),
            ("queue_limit", "must be 0 or more", self.queue_limit is None or self.queue_limit >= 0),
            ("timeout_s", f"must be more than the {outside:g} s that every request takes beside its steps", late),
        )
        for name, rule, good in rules:
            if not good:
                raise InputError.at("fleet", rule, column=name, value=getattr(self, name))
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
