"""The probe itself: needs PyTorch, runs on a processor."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract

torch = pytest.importorskip("torch", reason="the probe needs the extra [bench] (PyTorch)")

from aifactory.serving.probe import kernels, measure, transformer  # noqa: E402
from aifactory.serving.probe.measure import COLUMNS, Probe, run_probe, step_flop, touched_params  # noqa: E402
from aifactory.serving.probe.points import architecture  # noqa: E402
from aifactory.serving.probe.timer import Stopwatch  # noqa: E402
from aifactory.serving.probe.transformer import OWN_SHARE, ROTARY_BASE, RandomTransformer, StepPoint  # noqa: E402

CPU = torch.device("cpu")


def quick(**changes):
    asked = {"device": "cpu", "repeats": 3, "largest_tokens": 64, "budget_s": 3600.0, **changes}
    return Probe("tiny", "fp32", "2026-11-26", "processor-of-the-test", **asked)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    out = tmp_path_factory.mktemp("probe") / "probe.csv"
    said, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)  # two that wait for each other spin where other tests hold the processors
    yield run_probe(quick(all_reduce=2), out, said.append), out, said
    torch.set_num_threads(threads)


def norm(x):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)


def rotated(x, place):
    half = x.shape[-1] // 2
    angle = place * ROTARY_BASE ** (-np.arange(half) / half)
    first, second = x[..., :half], x[..., half:]
    return np.concatenate(
        [first * np.cos(angle) - second * np.sin(angle), second * np.cos(angle) + first * np.sin(angle)], -1
    )


def plain_feed_forward(model, layer, x):
    """One token: the gated product, or the mean of those of its best experts by the softmax of their scores."""
    up_down = model.gate_up[layer].numpy().astype(float), model.down[layer].numpy().astype(float)
    if not model.router:
        return plain_expert(x, *up_down)
    scores = model.router[layer].numpy().astype(float) @ x
    best = np.argsort(-scores)[: model.sizes.experts_per_token]
    weight = np.exp(scores[best] - scores[best].max())
    each = [plain_expert(x, up_down[0][expert], up_down[1][expert]) for expert in best]
    return weight / weight.sum() @ np.array(each)


def plain_expert(x, gate_up, down):
    gate, up = np.split(gate_up @ x, 2)
    return down @ (gate / (1 + np.exp(-gate)) * up)


def plain_step(model, tokens, caches, at):
    """The same step with numpy, one token and one head at a time."""
    s = model.sizes
    stream = model.embedding.numpy().astype(float)[tokens.numpy()]
    places = [at.context - 1] * at.batch + list(range(at.chunk))
    for layer in range(s.layers):
        x = norm(stream) @ model.query_key_value[layer].numpy().astype(float).T
        x = x.reshape(len(tokens), -1, s.head_width)
        query = np.stack([rotated(x[t, : s.heads], places[t]) for t in range(len(tokens))])
        key = np.stack([rotated(x[t, s.heads : s.heads + s.kv_heads], places[t]) for t in range(len(tokens))])
        value = x[:, s.heads + s.kv_heads :]
        attended = np.zeros((len(tokens), s.heads, s.head_width))
        for t in range(len(tokens)):
            for head in range(s.heads):
                shared = head // (s.heads // s.kv_heads)
                if t < at.batch:
                    cached = caches[layer].numpy().astype(float)
                    keys = np.vstack([cached[0, t, shared, :-1], key[t, shared]])
                    values = np.vstack([cached[1, t, shared, :-1], value[t, shared]])
                else:
                    keys, values = key[at.batch : t + 1, shared], value[at.batch : t + 1, shared]
                score = keys @ query[t, head] / np.sqrt(s.head_width)
                weight = np.exp(score - score.max())
                attended[t, head] = weight / weight.sum() @ values
        stream = stream + attended.reshape(len(tokens), -1) @ model.output[layer].numpy().astype(float).T
        stream = stream + np.array([plain_feed_forward(model, layer, x) for x in norm(stream)])
    last = [*range(at.batch)] + ([len(tokens) - 1] if at.chunk else [])
    return (norm(stream[last]) @ model.unembedding.numpy().astype(float).T).argmax(-1)


@pytest.mark.parametrize("at", [StepPoint(3, 5, 0), StepPoint(0, 0, 7), StepPoint(2, 4, 6)])
@pytest.mark.parametrize("attention", kernels.TOKEN_ATTENTION)
@pytest.mark.parametrize("name", ["tiny", "tiny-mixture"])
def test_a_step_is_the_step_of_a_transformer(name, at, attention):
    torch.manual_seed(1)
    model = RandomTransformer(architecture(name), torch.float32, CPU)
    model.embedding.div_(OWN_SHARE)  # so that what the layers add decides the token
    tokens = torch.randint(model.sizes.vocabulary, (at.batch + at.chunk,))
    caches = model.caches(at)
    expected = plain_step(model, tokens, caches, at)
    assert model.step(tokens, caches, at, attention).tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["tiny", "tiny-mixture"])
def test_a_mixed_step_is_its_decodes_and_its_prompt(name):
    torch.manual_seed(2)
    model = RandomTransformer(architecture(name), torch.float32, CPU)
    model.embedding.div_(OWN_SHARE)
    at = StepPoint(4, 9, 11)
    tokens, caches = torch.randint(model.sizes.vocabulary, (15,)), model.caches(at)
    both = model.step(tokens, [cache.clone() for cache in caches], at).tolist()
    decodes = model.step(tokens[:4], caches, StepPoint(4, 9, 0)).tolist()
    prompt = model.step(tokens[4:], [], StepPoint(0, 0, 11)).tolist()
    assert both == decodes + prompt


def test_flop_of_a_step_are_those_of_its_products():
    """Independent count by the framework, which sees the matrix products and attention of a prompt."""
    from torch.utils.flop_counter import FlopCounterMode

    model = RandomTransformer(architecture("tiny"), torch.float32, CPU)
    at = StepPoint(0, 0, 64)
    with FlopCounterMode(display=False) as counter:
        model.step(torch.zeros(64, dtype=torch.long), [], at)
    pairs = 4 * model.sizes.layers * model.sizes.heads * model.sizes.head_width
    products = step_flop(model.sizes, at) - pairs * 64 * 65 / 2
    counted = {str(name): flop for name, flop in counter.get_flop_counts()["Global"].items()}
    assert sum(flop for name, flop in counted.items() if "mm" in name) == products


def test_flop_and_weights_of_a_step_of_a_mixture():
    """One token: two of eight experts and the router; many: all of them, each token two."""
    dense, mixture = architecture("tiny"), architecture("tiny-mixture")
    expert, router = 3 * 256 * 352, 256 * 8
    token = step_flop(mixture, StepPoint(1, 5)) - step_flop(dense, StepPoint(1, 5))
    assert token == 2 * 2 * (2 * expert + router - 3 * 256 * 704)
    assert step_flop(mixture, StepPoint(6, 5)) == 6 * step_flop(mixture, StepPoint(1, 5))
    assert mixture.params - touched_params(mixture, StepPoint(1, 5)) == pytest.approx(2 * 6 * expert)
    assert mixture.params - touched_params(mixture, StepPoint(2, 5)) == pytest.approx(2 * 8 * expert * 0.75**2)
    assert touched_params(mixture, StepPoint(0, 0, 1000)) == pytest.approx(mixture.params)
    assert touched_params(dense, StepPoint(1, 5)) == dense.params


@pytest.mark.parametrize("at", [StepPoint(32, 64, 0), StepPoint(0, 0, 32)])
def test_routers_deal_the_tokens_of_a_step_evenly(at, monkeypatch):
    """Of 64 experts, four a token, 32 tokens find 55.9 where each draws its own: decodes and a prompt alike."""
    sizes = replace(architecture("tiny-mixture"), layers=6, experts=64, experts_per_token=4, feed_forward=32)
    torch.manual_seed(0)
    model, found, grouped = RandomTransformer(sizes, torch.float32, CPU), [], transformer._grouped

    def counted(rows, weights, ends):
        found.append(int((torch.diff(ends, prepend=torch.zeros(1, dtype=ends.dtype)) > 0).sum()))
        return grouped(rows, weights, ends)

    monkeypatch.setattr(transformer, "_grouped", counted)
    model.step(torch.randint(sizes.vocabulary, (32,)), model.caches(at) if at.batch else [], at)
    assert np.mean(found) == pytest.approx(64 * (1 - (1 - 4 / 64) ** 32), rel=0.05)


def test_a_mixture_is_probed_too(tmp_path):
    found = run_probe(replace(quick(), model="tiny-mixture"), tmp_path / "probe.csv")
    steps = found[found["kind"] == "step"]
    assert set(steps["model"]) == {"tiny-mixture"} and (steps["median_ms"] > 0).all() and len(steps) > 12


def test_a_watch_reads_what_a_call_takes():
    timing = Stopwatch(CPU, repeats=5).time(lambda: time.sleep(0.003))
    assert 3.0 <= timing.p10_ms <= timing.median_ms <= timing.p90_ms < 60.0
    two = Stopwatch(CPU, repeats=3).time(lambda: time.sleep(0.006), calls=2)
    assert 3.0 <= two.median_ms < 30.0


def test_the_faster_of_two_ways_is_taken():
    ways = {"slow": lambda: time.sleep(0.02), "fast": lambda: None}
    assert Stopwatch(CPU, repeats=3).fastest(ways) == "fast"


def test_a_probe_measures_every_kind_and_keeps_the_contract(measured):
    rows, out, _ = measured
    assert tuple(rows.columns) == COLUMNS
    assert set(rows["kind"]) == {
        "memory_copy", "memory_read", "matrix_product", "prefill_attention", "decode_attention", "all_reduce", "step",
    }  # fmt: skip
    assert (rows["p10_ms"] <= rows["median_ms"]).all() and (rows["median_ms"] <= rows["p90_ms"]).all()
    assert rows["measurement_id"].is_unique
    names = [field.name for field in load_contract("step_measurements").fields]
    assert names == list(COLUMNS)
    assert rows.loc[rows["kind"] == "all_reduce", "accelerators"].eq(2).all()


def test_a_larger_product_takes_longer(measured):
    products = measured[0].query("kind == 'matrix_product' and n == 1408").sort_values("m")
    assert products["median_ms"].iloc[-1] > products["median_ms"].iloc[0]


def test_a_file_is_continued_and_nothing_is_measured_twice(measured):
    rows, out, _ = measured
    before = out.read_bytes()
    again = run_probe(quick(), out)
    assert out.read_bytes() == before
    pd.testing.assert_frame_equal(again, rows)


def test_what_the_budget_leaves_out_is_said(tmp_path):
    said = []
    rows = run_probe(quick(budget_s=0.0), tmp_path / "probe.csv", said.append)
    assert rows.empty
    assert any("the budget of 0 s is spent" in line for line in said)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"model": "tyni"}, "tiny"), ({"precision": "fp7"}, "fp32")],
)
def test_unknown_models_and_precisions_are_refused(tmp_path, changes, message):
    asked = Probe(**{**quick().__dict__, **changes})
    with pytest.raises(InputError, match=message):
        run_probe(asked, tmp_path / "probe.csv")


def test_a_model_larger_than_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "_processor_memory_gb", lambda: 24.0)
    asked = Probe(**{**quick().__dict__, "model": "Qwen2.5-32B", "budget_s": 0.0})
    with pytest.raises(InputError, match="needs 131.1 GB for its weights; 24.0 GB are there"):
        run_probe(asked, tmp_path / "probe.csv")


def test_a_file_that_is_no_table_and_a_device_without_name_are_refused(tmp_path):
    other = tmp_path / "picture.csv"
    other.write_bytes(b"\x00\xff\xfe")
    with pytest.raises(InputError, match="is no table"):
        run_probe(quick(), other)
    assert other.read_bytes() == b"\x00\xff\xfe"
    with pytest.raises(InputError, match="must name the device"):
        run_probe(Probe(**{**quick().__dict__, "accelerator_id": " "}), tmp_path / "probe.csv")


def test_an_empty_file_of_a_run_ended_at_once_is_begun_again(tmp_path):
    out = tmp_path / "probe.csv"
    out.touch()
    run_probe(quick(budget_s=0.0), out)
    assert out.read_text().splitlines()[0].split(",") == list(COLUMNS)


def test_another_file_is_not_overwritten(tmp_path):
    other = tmp_path / "prices.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no probe of this version"):
        run_probe(quick(), other)
    assert other.read_text() == "a,b\n1,2\n"


def test_the_command_measures_the_device_at_hand(tmp_path):
    out = tmp_path / "probe.csv"
    command = (
        f"bench probe --out {out} --accelerator my-processor --budget-s 1 --repeats 3 --largest-tokens 64 --model tiny"
    )
    done = CliRunner().invoke(app, command.split())
    assert done.exit_code == 0, done.output
    assert f"measurements: {out}" in done.output.replace("\n", "")
    assert pd.read_csv(out)["accelerator_id"].eq("my-processor").all()


@pytest.mark.parametrize(
    ("options", "text"),
    [("--model gpt-9 --out {}/p.csv", "no sizes are known"), ("--out {}/nowhere/p.csv", "folder that does not exist")],
)
def test_the_command_runs_without_sizes_of_kernels_and_says_what_cannot_be(tmp_path, options, text):
    done = CliRunner().invoke(app, ["bench", "probe", "--accelerator", "a", *options.format(tmp_path).split()])
    assert isinstance(done.exception, InputError)
    assert text in str(done.exception)
