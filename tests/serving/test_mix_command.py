"""`aifactory cheapest`: offers keep the SLO, cheapest first; platforms that cannot are named."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.errors import InputError
from aifactory.inputs.resources import data_dir
from aifactory.serving.catalogue_rows import price_remark
from aifactory.serving.mix_command import cheapest

SLO = "p95_ttft_ms=1500,p95_tpot_ms=60"


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    draw = np.random.default_rng(3)
    arrival = np.cumsum(draw.exponential(0.05, 600))
    lines = [f"{at:.4f},{prompt},{answer}" for at, prompt, answer in
             zip(arrival, draw.integers(50, 900, 600), draw.integers(5, 200, 600), strict=True)]  # fmt: skip
    path = tmp_path_factory.mktemp("mix") / "trace.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_offers_come_cheapest_first_and_the_rest_is_named(trace):
    found = cheapest(trace, "Llama-3.1-8B", ["nvidia-l40s", "nvidia-h100-sxm", "intel-loihi2"], SLO)
    prices = [offer["usd_per_hour"] for offer in found["offers"] if offer["usd_per_hour"] is not None]
    assert prices == sorted(prices) and len(prices) >= 2
    assert {"1 x nvidia-h100-sxm"} <= {offer["fleet"] for offer in found["offers"]}
    assert "memory_bw_gb_per_s" in found["refused"]["intel-loihi2"]
    assert all(offer["tiers"] for offer in found["offers"])


def test_prices_name_their_sellers_and_days(trace):
    remark = cheapest(trace, "Llama-3.1-8B", ["nvidia-h100-sxm"], SLO)["remarks"][-1]
    rows = pd.read_csv(data_dir() / "catalogue" / "prices.csv")
    rows = rows[(rows["accelerator_id"] == "nvidia-h100-sxm") & (rows["purchase_option"] == "on_demand")]
    each = rows.groupby("provider")["usd_per_accelerator_hour"].median()
    assert (
        f"USD {each.median():.2f} per accelerator-hour, the median of {len(each)} providers ({', '.join(each.index)})"
        in remark
    )
    assert f"each with its own median, of {len(rows)} prices on demand" in remark
    assert each.median() < 0.5 * rows["usd_per_accelerator_hour"].median(), "one provider lists most regions"
    assert remark.endswith(f"{rows['as_of'].min()} to {rows['as_of'].max()}")
    assert price_remark("intel-loihi2") == "intel-loihi2: no price on demand in the catalogue"


def test_a_platform_is_not_taken_for_one_whose_name_begins_alike(trace):
    found = cheapest(trace, "Llama-3.1-8B", ["nvidia-l4", "nvidia-l40s"], "p95_ttft_ms=1500,p95_tpot_ms=40")
    assert "already" in found["refused"]["nvidia-l4"]  # slower than that when idle
    assert {tuple(offer["tiers"]) for offer in found["offers"]} == {("nvidia-l40s",)}


def test_the_command(trace):
    arguments = ["cheapest", str(trace), "--model", "Llama-3.1-8B", "--platforms", "nvidia-h100-sxm", "--slo", SLO]
    result = CliRunner().invoke(app, arguments)
    assert "1 x nvidia-h100-sxm: USD" in result.stdout
    assert json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)["requests"] == 600


def test_nothing_that_can_serve_is_an_error(trace):
    with pytest.raises(InputError, match="does not fit"):
        cheapest(trace, "Llama-3.1-405B", ["nvidia-l40s"], SLO)
    with pytest.raises(InputError, match="names none"):
        cheapest(trace, "Llama-3.1-8B", [], SLO)


def test_no_offer_at_all_says_why_of_each_platform(trace):
    with pytest.raises(InputError, match="keeps the SLO: cannot keep p95_ttft_ms=1: alone on an idle replica"):
        cheapest(trace, "Llama-3.1-8B", ["nvidia-h100-sxm", "nvidia-l40s"], "p95_ttft_ms=1")
