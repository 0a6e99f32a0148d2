"""The pack of the buyer's mix: what is written reads back, the same seed gives the same bytes, nothing is overwritten."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.errors import InputError
from aifactory.serving.bench_pack import named_traces, pack_lines, write_pack
from aifactory.serving.command import read_stream


@pytest.fixture
def trace(tmp_path):
    """200 requests, half a second apart, of 100 to 299 + 10 tokens."""
    rows = [f"{n / 2},{100 + n},{10 + n % 3}" for n in range(200)]
    path = tmp_path / "chat.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_milliseconds_read_back_as_the_window_of_the_trace(trace, tmp_path):
    manifest = write_pack({"chat": trace}, tmp_path / "pack", requests=100, seed=1)
    whole, back = read_stream(trace), read_stream(tmp_path / "pack" / "chat.mooncake.milliseconds.jsonl")
    first = int(back.input_tokens[0]) - 100
    assert back.arrival_s.tolist() == [n / 2 for n in range(100)]
    np.testing.assert_array_equal(back.input_tokens, whole.input_tokens[first : first + 100])
    np.testing.assert_array_equal(back.output_tokens, whole.output_tokens[first : first + 100])
    (item,) = manifest["classes"]
    assert (item["requests"], item["duration_s"], item["weight"]) == (100, 49.5, 1.0)
    assert item["input_tokens_mean"] == pytest.approx(100 + first + 49.5)


def test_seconds_are_the_milliseconds_over_a_thousand(trace, tmp_path):
    write_pack({"chat": trace}, tmp_path / "pack", requests=60, seed=1)
    ms, seconds = (
        [json.loads(line) for line in (tmp_path / "pack" / f"chat.mooncake.{unit}.jsonl").read_text().splitlines()]
        for unit in ("milliseconds", "seconds")
    )
    assert [row["timestamp"] for row in seconds] == [row["timestamp"] / 1000 for row in ms]
    assert {type(row["timestamp"]) for row in ms} == {int}
    assert [{**row, "timestamp": 0} for row in seconds] == [{**row, "timestamp": 0} for row in ms]


def test_the_seed_decides_the_window_and_a_short_trace_is_whole(trace, tmp_path):
    packs = [
        write_pack({"chat": trace}, tmp_path / f"p{n}", requests=60, seed=seed) for n, seed in enumerate((1, 1, 2))
    ]
    assert packs[0] == packs[1]
    assert packs[0]["pack_sha256"] != packs[2]["pack_sha256"]
    whole = write_pack({"chat": trace}, tmp_path / "all", requests=1000, seed=1)
    assert whole["classes"][0]["requests"] == 200


def test_weights_are_shares_of_the_rates_and_limits_come_from_the_use_cases(trace, tmp_path, mini):
    slow = tmp_path / "images.csv"
    rows = [f"{n},50,5" for n in range(101)]
    slow.write_text("arrival_s,input_tokens,output_tokens\n" + "\n".join(rows), encoding="utf-8")
    with pytest.raises(InputError, match="--workspace: .*no such folder"):
        write_pack({"chat": trace}, tmp_path / "pack", requests=80, seed=1, workspace=tmp_path / "none")
    manifest = write_pack({"chat": trace, "images": slow}, tmp_path / "pack", requests=80, seed=1, workspace=mini)
    chat, images = manifest["classes"]
    fast = 200 / 99.5  # per second; the other 101 in 100 s
    assert chat["weight"] == pytest.approx(fast / (fast + 1.01), abs=1e-6)
    assert chat["weight"] + images["weight"] == pytest.approx(1.0)
    assert chat["limits"] == {"slo_p95_ttft_ms": 1000.0, "slo_p95_e2e_ms": 20000.0, "slo_max_failure_rate": 0.05}
    assert images["limits"] == {"slo_p95_e2e_ms": 60000.0}
    assert "weight 0.6" in pack_lines(manifest)[0]


def test_what_cannot_be_a_pack_is_refused(trace, tmp_path):
    with pytest.raises(InputError, match="must be 52 or more"):
        write_pack({"chat": trace}, tmp_path / "pack", requests=51, seed=1)
    write_pack({"chat": trace}, tmp_path / "pack", requests=52, seed=1)
    with pytest.raises(InputError, match="never overwritten"):
        write_pack({"chat": trace}, tmp_path / "pack", requests=52, seed=1)
    for sources, match in (
        (["Chat=a.csv"], "no name of a class"),
        (["a/x.csv", "b/x.csv"], "name of two classes"),
        (["../=a"], "no name"),
    ):
        with pytest.raises(InputError, match=match):
            named_traces(sources)
    with pytest.raises(InputError, match="no such file"):
        write_pack({"chat": tmp_path / "none.csv"}, tmp_path / "other", requests=52, seed=1)
    assert not (tmp_path / "other").exists()


def test_the_command_writes_a_pack(trace, tmp_path):
    done = CliRunner().invoke(app, ["bench", "pack", str(trace), "--out", str(tmp_path / "pack"), "--requests", "60"])
    assert done.exit_code == 0, done.output
    assert "chat: 60 requests in 30 s, weight 1.000" in done.output
    assert sorted(path.name for path in (tmp_path / "pack").iterdir()) == [
        "chat.mooncake.milliseconds.jsonl", "chat.mooncake.seconds.jsonl", "manifest.json"
    ]  # fmt: skip
