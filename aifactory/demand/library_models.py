"""Forecasters of the optional library statsforecast, used only where they win the backtest by more than 5 %."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from aifactory.demand.combine import Forecaster
from aifactory.errors import InputError

MODELS = ("AutoETS", "AutoTheta", "MSTL")


def library_forecasters() -> dict[str, Forecaster]:
    """AutoETS, AutoTheta and MSTL as forecasters of `forecast_series(extra=...)`.

    A history that a model cannot take, or an answer that is not finite, counts as the last value
    again, so that it loses the backtest instead of ending it. Negative answers become zero where the
    history is not negative.

    Raises
    ------
    InputError
        If the library is not installed.
    """
    if find_spec("statsforecast") is None:
        raise InputError.at("--library", "needs the extra aifactory[forecast] (statsforecast), which is not installed")
    return {name: _forecaster(name) for name in MODELS}


def _forecaster(name: str) -> Forecaster:
    from statsforecast import models

    def forecast(history: np.ndarray, season: int, horizon: int) -> np.ndarray:
        season = season if len(history) >= 2 * season else 1
        last = np.full(horizon, history[-1])
        if name == "MSTL" and season == 1:
            return last
        try:
            answer = getattr(models, name)(season_length=season).forecast(y=history.astype(float), h=horizon)["mean"]
        except Exception:  # noqa: BLE001  the library raises bare exceptions on histories it cannot fit
            return last
        answer = np.asarray(answer, dtype=float)
        if not np.isfinite(answer).all():
            return last
        return answer if (history < 0).any() else np.maximum(answer, 0.0)

    return forecast
