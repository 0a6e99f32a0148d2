"""One call that several layers tell of counts once; what a call cannot tell is left out and named."""

import json

import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.inputs.importers.command import Target
from aifactory.inputs.importers.telemetry import import_telemetry
from tests.inputs.importers.test_telemetry_exports import TARGET, TODAY, call, span, texts, write

SERVICE = {"attributes": [{"key": "service.name", "value": {"stringValue": "bot"}}]}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10}


def group(*held):
    return {"resource": SERVICE, "scopeSpans": [{"spans": list(held)}]}


def chain(*kinds):
    """Spans, each within the one before: a call, a span of transport, or a tool."""
    attributes = {
        "call": CHAT,
        "http": {"http.request.method": "POST"},
        "tool": {"gen_ai.operation.name": "execute_tool"},
    }
    parents = [None, *range(1, len(kinds))]
    made = [span(number, **attributes[kind]) for number, kind in enumerate(kinds, 1)]
    ids = [{"traceId": "t", "spanId": f"s{number}"} for number in range(1, len(kinds) + 1)]
    above = [{"parentSpanId": f"s{number}"} if number else {} for number in parents]
    return [one | own | up for one, own, up in zip(made, ids, above, strict=True)]


@pytest.mark.parametrize(
    ("kinds", "requests"),
    [(("call", "http", "http", "call"), 1), (("call", "http", "call", "http", "call"), 1), (("call", "tool", "call"), 2),
     (("http", "call"), 1), (("call", "http", "tool", "http", "call"), 2)],
)  # fmt: skip
def test_a_gateway_behind_spans_of_transport_tells_of_the_same_call(tmp_path, kinds, requests):
    lines = [json.dumps({"resourceSpans": [group(one)]}) for one in reversed(chain(*kinds))]
    report, _ = import_telemetry(write(tmp_path, "\n".join(lines)), TARGET)
    totals = report["totals"]
    assert (totals["requests"], totals["input_tokens"]) == (requests, 100 * requests)


@pytest.mark.parametrize("kind", ["list", "tempo"])
def test_spans_in_a_list_and_batches_are_read(tmp_path, kind):
    held = [{"resourceSpans": [group(*chain("call"))]}] if kind == "list" else {"batches": [group(*chain("call"))]}
    report, _ = import_telemetry(write(tmp_path, json.dumps(held)), TARGET)
    assert report["totals"]["input_tokens"] == 100


def test_a_call_that_had_not_ended_is_left_out_and_counted(tmp_path):
    done, open_ = chain("call", "call")
    held = {"resourceSpans": [group(done, open_ | {"parentSpanId": "", "endTimeUnixNano": "0"})]}
    report, _ = import_telemetry(write(tmp_path, json.dumps(held)), TARGET)
    assert (report["totals"]["requests"], report["rows_left_out"]) == (1, {"calls that had not ended": 1})


@pytest.mark.parametrize(("outer", "inner"), [(0.0125, 0.0125), (0.0125, None), (None, 0.0125)])
def test_a_generation_inside_a_generation_is_the_same_call(tmp_path, outer, inner):
    held = [call(1, total_cost=outer), call(2, parent_observation_id="o1", total_cost=inner)]
    held += [call(3), call(4, type="SPAN", parent_observation_id="o3"), call(5, parent_observation_id="o4")]
    held += [call(6), call(7, type="TOOL", parent_observation_id="o6"), call(8, parent_observation_id="o7")]
    report, _ = import_telemetry(write(tmp_path, "\n".join(map(json.dumps, held))), TARGET)
    totals = report["totals"]
    assert (totals["requests"], totals["input_tokens"], totals["spend_usd"]) == (4, 400, "0.0500")


@pytest.mark.parametrize("middle", [None, 0.5])
def test_the_cost_of_a_call_is_found_however_deep_it_is_stated(tmp_path, middle):
    """Call over span over call over call: the dollar of the innermost counts unless one above it states its own."""
    held = [
        call(1, total_cost=None), call(2, type="SPAN", parent_observation_id="o1", total_cost=None),
        call(3, parent_observation_id="o2", total_cost=middle), call(4, parent_observation_id="o3", total_cost=1.0),
    ]  # fmt: skip
    report, _ = import_telemetry(write(tmp_path, "\n".join(map(json.dumps, held))), TARGET)
    assert (report["totals"]["requests"], float(report["totals"]["spend_usd"])) == (1, middle or 1.0)


@pytest.mark.parametrize("place", ["usage", "unit"])
def test_usage_in_characters_is_no_usage_in_tokens(tmp_path, place):
    counted = {"usage_details": {}, "usage": {"input": 400, "output": 40}}
    counted |= {"unit": "CHARACTERS"} if place == "unit" else {"usage": counted["usage"] | {"unit": "CHARACTERS"}}
    plain = call(2, usage_details={}, usage={"input": 80, "output": 30, "unit": "TOKENS"}, unit=None)
    report, _ = import_telemetry(write(tmp_path, json.dumps([call(1, **counted), plain])), TARGET)
    assert report["totals"]["input_tokens"] == 80
    assert "usage is counted in CHARACTERS: tokens are unknown" in texts(report)


def samples(*seconds, devices=2):
    rows = [
        f"2026-10-05T09:00:{second:02d}Z,{device},{(17 * number + device) % 100},L4"
        for number, second in enumerate(seconds)
        for device in range(devices)
    ]
    return "\n".join(["timestamp,gpu,utilization.gpu [%],modelName", *rows]) + "\n"


@pytest.mark.parametrize(
    ("seconds", "read"),
    [((0, 0, 1, 1, 2, 2), True), ((0, 0, 0, 1, 1, 2, 2, 2), True), ((0, 1, 2, 0, 1, 2), False), ((0, 0, 10, 10), False), ((0, 0), False)],
)  # fmt: skip
def test_a_loop_faster_than_its_stamps_is_one_host(tmp_path, seconds, read):
    path = write(tmp_path, samples(*seconds), "smi.csv")
    target = Target(region="us", today=TODAY, purchase_options={"*": "on_demand"})
    if not read:
        with pytest.raises(InputError, match="several hosts"):
            import_telemetry(path, target)
        return
    report, (((_, pools, _)),) = import_telemetry(path, target)
    uses = pd.read_csv(path)["utilization.gpu [%]"]
    assert "one host's, faster than its stamps tell" in texts(report)
    assert pools[["installed", "utilization"]].to_numpy().tolist() == [
        [2.0, pytest.approx(uses.mean() / 100, abs=0.01)]
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"resource_spans": [{"scope_spans": [{"spans": [{"trace_id": "t", "status": {}}]}]}]}', "names its fields as resource_spans"),
        ('{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "gen_ai.client.operation.duration", "exponentialHistogram": {"dataPoints": [{}]}}]}]}]}',
         "exponential ones are not read"),
    ],
)  # fmt: skip
def test_spans_and_metrics_in_another_form_are_refused_with_what_to_do(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        import_telemetry(write(tmp_path, text), TARGET)
