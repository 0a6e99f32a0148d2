"""What came out of a run of the event simulator: per request, per minute, in total."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from aifactory.errors import IdentityError
from aifactory.serving import engine_state as st
from aifactory.serving.fleet import Fleet, RequestStream
from aifactory.units import MEGA, SECONDS_PER_HOUR

OUTCOMES = ("unfinished", "served", "failed", "overflowed")
CAUSES = ("", "refused", "too large", "replica lost", "timed out")
PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class FleetRun:
    """Result of `simulate_fleet`.

    Times of requests that did not finish are NaN; of failed ones e2e_s says when the client gave up.
    An overflowed request was taken by the spill class or the API and has their times.
    """

    requests: RequestStream
    fleet: Fleet
    sim: st.Sim
    end_s: float

    def __post_init__(self) -> None:
        if sum(self.counts.values()) != len(self.requests):
            raise IdentityError(f"{len(self.requests)} requests in, but {self.counts} out")

    @cached_property
    def status(self) -> np.ndarray:
        """Code of the outcome per request, an index into `OUTCOMES`."""
        status = self.sim.requests["status"].copy()
        if self.sim.ledger["end_s"][0] > self.end_s:
            status[self.sim.requests["finish_s"] > self.end_s] = st.WAITING
        return status

    @cached_property
    def counts(self) -> dict[str, int]:
        """Requests by outcome."""
        return {name: int(np.count_nonzero(self.status == code)) for code, name in enumerate(OUTCOMES)}

    @property
    def causes(self) -> dict[str, int]:
        """Failed requests by cause: of their last try."""
        why = self.sim.requests["left"][self.status == st.FAILED]
        return {name: int(np.count_nonzero(why == code)) for code, name in enumerate(CAUSES) if code}

    @property
    def lost_tokens(self) -> int:
        """Prompt and answer tokens computed for tries that a client abandoned or that went down with a replica."""
        return int(self.sim.ledger["lost_tokens"][0])

    @property
    def preempted_tokens(self) -> int:
        """Tokens computed, thrown away by preemption and computed again."""
        return int(self.sim.ledger["preempted_tokens"][0])

    @property
    def reused_tokens(self) -> np.ndarray:
        """Prompt tokens of each request whose KV cache was found; 0 where no replica answered."""
        if self.sim.hits.size:
            reused = self.sim.hits.astype(np.int64) * self.requests.prefixes.block_tokens
        elif self.sim.cached_tokens.size:
            reused = self.sim.cached_tokens.astype(np.int64)
        else:
            reused = np.zeros(len(self.requests), dtype=np.int64)
        return np.where(self.by_replica, reused, 0)

    @property
    def by_replica(self) -> np.ndarray:
        """Whether a replica answered, of the main pool or the slower class."""
        return self.answered & (self.sim.requests["replica"] != st.NOBODY)

    @property
    def prefix_hit_rate(self) -> float:
        """Share of the prompt tokens answered by replicas that was reused; NaN where they answered nothing.

        Measured where the stream names its prefixes; else what the trace claims, an upper bound.
        """
        prompts = self.requests.input_tokens[self.by_replica].sum(dtype=float)
        return float(self.reused_tokens.sum(dtype=float) / prompts) if prompts else np.nan

    @property
    def answered(self) -> np.ndarray:
        """Whether a request was answered: served or overflowed."""
        return (self.status == st.SERVED) | (self.status == st.OVERFLOWED)

    def _since_arrival(self, name: str, known: np.ndarray) -> np.ndarray:
        seconds = self.sim.requests[name] - self.requests.arrival_s
        seconds[~known] = np.nan
        outside = self.fleet.main.law.s_per_request
        if outside and name != "start_s":
            timed_out = (self.status == st.FAILED) & (self.sim.requests["left"] == st.TIMED_OUT)
            seconds[(self.status == st.SERVED) | timed_out] += outside
        return seconds

    @property
    def ttft_s(self) -> np.ndarray:
        """Arrival to first token."""
        return self._since_arrival("first_s", self.answered)

    @property
    def e2e_s(self) -> np.ndarray:
        """Arrival to last token."""
        return self._since_arrival("finish_s", self.status != st.WAITING)

    @property
    def tpot_s(self) -> np.ndarray:
        """Time per output token after the first, (e2e - ttft) / (output - 1); NaN for one token."""
        seconds = self.sim.requests["finish_s"] - self.sim.requests["first_s"]
        seconds[~self.answered | (self.requests.output_tokens < 2)] = np.nan
        seconds /= np.maximum(self.requests.output_tokens - 1, 1)
        return seconds

    @property
    def queue_s(self) -> np.ndarray:
        """Arrival to admission into a batch."""
        return self._since_arrival("start_s", self.answered)

    def table(self) -> pd.DataFrame:
        """One row per request."""
        records = self.sim.requests
        return pd.DataFrame(
            {
                "arrival_s": self.requests.arrival_s,
                "input_tokens": self.requests.input_tokens,
                "output_tokens": self.requests.output_tokens,
                "outcome": pd.Categorical.from_codes(self.status, OUTCOMES),
                "cause": pd.Categorical.from_codes(np.where(self.status == st.FAILED, records["left"], 0), CAUSES),
                "reused_tokens": self.reused_tokens,
                "queue_s": self.queue_s,
                "ttft_s": self.ttft_s,
                "tpot_s": self.tpot_s,
                "e2e_s": self.e2e_s,
                "retries": records["retries"],
                "replica": np.where(self.answered, records["replica"], st.NOBODY),
            }
        )

    def percentiles(self, seconds: np.ndarray, *, overwrite: bool = False) -> dict[str, float | None]:
        """P50, P90, P95 and P99 in milliseconds; None where nothing was measured.

        With `overwrite` the array may be left in another order: nothing is copied.
        """
        values = seconds if overwrite else seconds.copy()
        unknown = int(np.count_nonzero(np.isnan(values)))
        if unknown:
            values.sort()  # NaN last
        if unknown == values.size:
            return {f"p{p}": None for p in PERCENTILES}
        found = np.percentile(values[: values.size - unknown], PERCENTILES, overwrite_input=True) * 1e3
        return {f"p{p}": float(value) for p, value in zip(PERCENTILES, found, strict=True)}

    @cached_property
    def totals(self) -> np.ndarray:
        """Integrals of the minute table, shape (pools, columns)."""
        return self.sim.minutes.sum(axis=1)

    @property
    def utilization(self) -> float:
        """Share of the paid replica time of the main pool in which a step ran; 0 where nothing took time."""
        busy, paid = self.totals[0, [st.BUSY, st.PAID]]
        return float(busy / paid) if paid > 0 else 0.0

    def minutes(self) -> pd.DataFrame:
        """One row per pool and minute: means over the minute, energy and cost of it."""
        pools = [pool for pool in self.fleet.pools if pool is not None]
        used = int(np.ceil(self.end_s / st.MINUTE_S))
        frames = []
        for number, pool in enumerate(pools):
            row = self.sim.minutes[number, :used]
            paid, busy = row[:, st.PAID], row[:, st.BUSY]
            energy_j = busy * pool.law.busy_w + np.maximum(paid - busy, 0) * pool.law.idle_w
            width = np.minimum(st.MINUTE_S, self.end_s - np.arange(used) * st.MINUTE_S)
            with np.errstate(invalid="ignore", divide="ignore"):
                frames.append(
                    pd.DataFrame(
                        {
                            "pool": ("main", "decode", "spill")[self.sim.laws["pool"][number]],
                            "minute": np.arange(used),
                            "replicas": paid / width,
                            "utilization": np.where(paid > 0, busy / paid, 0.0),
                            "batch": np.where(busy > 0, row[:, st.BATCH] / busy, 0.0),
                            "kv_share": np.where(paid > 0, row[:, st.KV] / (paid * pool.law.kv_capacity_tokens), 0.0),
                            "queue": row[:, st.QUEUE] / width,
                            "output_tokens": row[:, st.DECODED],
                            "prompt_tokens": row[:, st.PREFILLED],
                            "power_w": energy_j / width,
                            "energy_kwh": energy_j / (1e3 * SECONDS_PER_HOUR),
                            "cost_usd": paid / SECONDS_PER_HOUR * pool.usd_per_hour,
                        }
                    )
                )
        return pd.concat(frames, ignore_index=True)

    @property
    def cost_usd(self) -> float:
        """Paid replica hours and API tokens; NaN where a price is unknown."""
        pools = [pool for pool in self.fleet.pools if pool is not None]
        total = sum(
            self.totals[number, st.PAID] / SECONDS_PER_HOUR * pool.usd_per_hour for number, pool in enumerate(pools)
        )
        sent = self.status == st.OVERFLOWED
        if self.fleet.api and not self.fleet.spill and sent.any():
            total += self.requests.input_tokens[sent].sum(dtype=float) / MEGA * self.fleet.api.usd_per_mtok_input
            total += self.requests.output_tokens[sent].sum(dtype=float) / MEGA * self.fleet.api.usd_per_mtok_output
        return float(total)

    @property
    def usd_per_million_tokens(self) -> float:
        """Cost per million output tokens of answered requests."""
        tokens = self.requests.output_tokens[self.answered].sum(dtype=float)
        return self.cost_usd / tokens * MEGA if tokens else np.nan

    def computed_tokens(self) -> tuple[float, float]:
        """Tokens the steps computed, and where they went: answers, preempted and lost work.

        The left side adds up step by step; the right side is prompt less reuse plus answer, less its first
        token (which its prompt brings), of what replicas answered, plus what was thrown away. Only for
        runs that finished.
        """
        done = self.totals[:, [st.DECODED, st.PREFILLED]].sum()
        kept = self.by_replica
        useful = self.requests.input_tokens[kept].sum(dtype=float) - self.reused_tokens.sum(dtype=float)
        useful += (self.requests.output_tokens[kept] - 1).sum(dtype=float)
        return float(done), useful + self.preempted_tokens + self.lost_tokens

    def little(self) -> tuple[float, float]:
        """Little's law as an identity: integral of the requests in the system, and sum of their stays.

        The left side adds up step by step what was in batches and queues, plus back-off, transfer and
        API time, less what lingered after its client had left; the right side is the sum of departure minus
        arrival. Only for runs that finished.
        """
        ledger = self.sim.ledger[0]
        inside = self.totals[:, [st.BATCH, st.QUEUE]].sum() - ledger["lingering_s"]
        inside += ledger["backoff_s"] + ledger["moving_s"]
        return float(inside), float(np.sum(self.sim.requests["finish_s"] - self.requests.arrival_s))
