"""Rates of a gateway on an unknown scale, read as demand."""

import numpy as np
import pandas as pd
import pytest

from aifactory.demand.command import ReserveSettings, reserve_file
from aifactory.demand.windows import ALL_REQUESTS, SCALED, read_demand
from aifactory.errors import InputError

MINUTE = pd.Timedelta(minutes=1)


def written(path, rates, *, step=20.0, others=True, start=1.66e9):
    """A file of rates every `step` seconds, as published: parts by container lie between the rows of all requests."""
    seconds = start + step * np.arange(len(rates))
    rows = pd.DataFrame({"timestamp_anon": seconds, "value": rates, "container_ip": "", "request_type": ALL_REQUESTS})
    parts = rows.assign(container_ip="a", request_type="Generative Requests", value=999.0)
    frame = pd.concat([rows, parts] if others else [rows]).sort_values("timestamp_anon", kind="stable")
    frame.to_csv(path, index=False)
    return path


def test_the_mean_rate_of_each_window_counts_and_parts_by_container_do_not(tmp_path):
    """Three rates a minute: 1, 2, 3 are 2 a second, 120 a minute; the last minute is seen in part."""
    found = read_demand(written(tmp_path / "q.csv", [1, 2, 3, 4, 4, 4, 0, 3, 3, 9]), MINUTE)
    assert found.values.tolist() == [120.0, 240.0, 120.0]
    assert found.unit == "requests, scaled" and SCALED in found.warnings


def test_a_minute_without_a_rate_is_filled_and_named(tmp_path):
    path = written(tmp_path / "q.csv", [1.0] * 30, others=False)
    frame = pd.read_csv(path)
    frame.drop(index=[9, 10, 11]).to_csv(path, index=False)
    found = read_demand(path, MINUTE)
    assert found.values.tolist() == [60.0] * 9
    assert any("missing after row" in text for text in found.warnings)


@pytest.mark.parametrize(("column", "value"), [("value", -1.0), ("timestamp_anon", np.inf), ("value", "many")])
def test_what_is_no_rate_is_named(tmp_path, column, value):
    path = written(tmp_path / "q.csv", [1.0] * 30)
    frame = pd.read_csv(path).astype({column: object})
    frame.loc[7, column] = value
    frame.to_csv(path, index=False)
    with pytest.raises(InputError, match=rf"row 9.*{column}"):
        read_demand(path, MINUTE)


def test_what_cannot_be_counted_is_refused(tmp_path):
    path = written(tmp_path / "q.csv", [1.0] * 30)
    with pytest.raises(InputError, match="spans 9.6.* min: take a --window with two"):
        read_demand(path, pd.Timedelta(hours=1))
    pd.read_csv(path).query("container_ip == 'a'").to_csv(path, index=False)
    with pytest.raises(InputError, match="no rows of all requests"):
        read_demand(path, MINUTE)


def test_the_reserve_does_not_depend_on_the_scale(tmp_path):
    random = np.random.default_rng(4)
    rates = np.exp(random.normal(0, 0.2, 3000))
    plans = [
        reserve_file(written(tmp_path / f"{scale}.csv", scale * rates), ReserveSettings("1min", "10min", 0.05))
        for scale in (1.0, 0.09)
    ]
    assert plans[0]["reserve"] == pytest.approx(plans[1]["reserve"], rel=1e-9)
    assert plans[1]["capacity"] == pytest.approx(0.09 * plans[0]["capacity"], rel=1e-5)  # printed to six digits
    assert plans[0]["exceedance_backtest"] == plans[1]["exceedance_backtest"]


def test_the_published_rates_have_a_reserve(shared_dir):
    path = shared_dir / "data" / "traces" / "gentd26_qps_first70pct.csv.gz"
    if not path.exists():
        pytest.skip("the traces are not at hand")
    found = reserve_file(path, ReserveSettings("1min", "30min", 0.1))
    assert 0.05 <= found["exceedance_backtest"] <= 0.2 and found["reserve"] > 0
