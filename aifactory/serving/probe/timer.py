"""Time of a call on the device: median and spread over samples long enough for the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

WARM_UP_S, LEAST_SAMPLE_S, POWER_S = 0.03, 0.004, 1.2


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one call: median, tenth and ninetieth percentile over `repeats` samples; mean draw in W."""

    median_ms: float
    p10_ms: float
    p90_ms: float
    repeats: int
    power_w: float = np.nan


class Stopwatch:
    """Times calls on a device.

    On a GPU the call is captured as a graph where `graph` is set, so that launching its kernels costs no
    processor time (as serving engines do for decode steps), and the device's own events are the clock.
    A sample repeats the call until it lasts 4 ms.
    """

    def __init__(self, device: torch.device, repeats: int = 15) -> None:
        self.device, self.repeats = device, repeats

    def time(self, call: Callable[[], object], *, graph: bool = False, calls: int = 1, power: bool = False) -> Timing:
        """Time of one call; `calls` is how many the callable makes itself."""
        run = self._captured(call) if graph and self.device.type == "cuda" else call
        once = max(self._warm_up(run), 1e-7)
        inner = max(1, int(np.ceil(LEAST_SAMPLE_S / once)))
        samples = [self._sample(run, inner) / inner / calls for _ in range(self.repeats)]
        return _timing(samples, self._power_w(run, inner) if power else np.nan)

    def fastest(self, calls: dict[str, Callable[[], object]]) -> str:
        """Name of the call that takes least time, from three samples of each on its own."""
        quick = Stopwatch(self.device, repeats=3)
        return min(calls, key=lambda name: quick.time(calls[name], graph=True).median_ms)

    def fixed(self, call: Callable[[], object], *, warm_up: int, inner: int) -> Timing:
        """Time of one call from a given number of calls, for processes that must keep step."""
        for _ in range(warm_up):
            call()
        self._wait()
        return _timing([self._sample(call, inner) / inner for _ in range(self.repeats)])

    def _warm_up(self, run: Callable[[], object]) -> float:
        run()
        self._wait()
        began, count = time.perf_counter(), 0
        while count < 2 or time.perf_counter() - began < WARM_UP_S:
            run()
            self._wait()
            count += 1
        return (time.perf_counter() - began) / count

    def _sample(self, run: Callable[[], object], inner: int) -> float:
        if self.device.type != "cuda":
            began = time.perf_counter()
            for _ in range(inner):
                run()
            return time.perf_counter() - began
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(inner):
            run()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3

    def _power_w(self, run: Callable[[], object], inner: int) -> float:
        """Mean draw in the second half of 1.2 s under load; NaN where the device does not tell."""
        if self.device.type != "cuda":
            return np.nan
        began, draws = time.perf_counter(), []
        while (gone := time.perf_counter() - began) < POWER_S:
            for _ in range(inner):
                run()
            if gone > POWER_S / 2:
                try:
                    draws.append(torch.cuda.power_draw(self.device) / 1e3)
                except (RuntimeError, ModuleNotFoundError):
                    return np.nan
            self._wait()
        return float(np.mean(draws)) if draws else np.nan

    def _captured(self, call: Callable[[], object]) -> Callable[[], object]:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                call()
        torch.cuda.current_stream().wait_stream(side)
        recorded = torch.cuda.CUDAGraph()
        with torch.cuda.graph(recorded):
            call()
        return recorded.replay

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _timing(samples_s: list[float], power_w: float = np.nan) -> Timing:
    low, middle, high = np.quantile(np.array(samples_s) * 1e3, (0.1, 0.5, 0.9))
    return Timing(float(middle), float(low), float(high), len(samples_s), power_w)
