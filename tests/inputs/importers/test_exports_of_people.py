"""What exports look like after people and programs had them in hand: read right, or refused with their place."""

import json

import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.inputs.importers.bills import bill_report, read_bill
from aifactory.inputs.importers.command import Target, import_files
from aifactory.inputs.importers.telemetry.large import large_report, read_large

TARGET = Target(today=pd.Timestamp("2026-11-25", tz="UTC"), region="eu")
AZURE = "Datum [Date],BillingAccountId,Abonnement [SubscriptionId],Name [MeterName],Menge [Quantity],UnitOfMeasure,PayGPrice,Kosten [CostInBillingCurrency],Währung [BillingCurrencyCode],ChargeType"


def write(folder, text, name="file.csv"):
    path = folder / name
    path.write_text(text)
    return path


def azure(folder, *days, unit="1 Hour"):
    rows = [f"{day},1,s1,ND96isr H100 v5,2,{unit},3.5,12.5,USD,Usage" for day in days]
    return bill_report(read_bill(write(folder, "\n".join([AZURE, *rows]) + "\n")))


def said(report):
    return " ".join(item["text"] for item in report["warnings"])


def test_translated_headers_may_keep_the_english_name_in_square_brackets(tmp_path):
    assert azure(tmp_path, "2026-10-02")["totals"] == {"billed": "12.5", "effective": "12.5", "list": "7.0"}


@pytest.mark.parametrize(
    ("days", "period", "order"),
    [
        (("10/02/2026", "10/15/2026"), "2026-10", "MM/DD/YYYY"),
        (("02/10/2026", "15/10/2026"), "2026-10", "DD/MM/YYYY"),
        (("10/02/2026", "10/03/2026"), "2026-10", "MM/DD/YYYY"),
        (("02/10/2026",), "2026-02", "MM/DD/YYYY"),
        (("10/2/2026", "10/15/2026"), "2026-10", "MM/DD/YYYY"),
        (("2/10/2026 0:00", "15/10/2026 0:00"), "2026-10", "DD/MM/YYYY"),
        (("10/02/2026 00:00:00", "10/15/2026 12:00:00 AM"), "2026-10", "MM/DD/YYYY"),
        (("20261002", "20261015"), "2026-10", ""),
    ],
)
def test_dates_with_slashes_are_read_in_the_one_way_that_they_allow(tmp_path, days, period, order):
    report = azure(tmp_path, *days)
    assert (report["period"], order in said(report)) == (period, True)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (("02/10/2026", "03/10/2026"), r"row 3, column 'Datum \[Date\]': value '03/10/2026': may be MM/DD/YYYY or DD"),
        (("10/15/2026", "15/10/2026"), r"row 2, column 'Datum \[Date\]': value '10/15/2026': is written another way"),
        (("2026-10-01", "15.10.2026"), r"row 3, column 'Datum \[Date\]': value '15.10.2026': must be a UTC time"),
    ],
)
def test_dates_that_allow_two_ways_are_refused(tmp_path, days, words):
    with pytest.raises(InputError, match=words) as error:
        azure(tmp_path, *days)
    assert str(error.value).count("\n") == 0


def test_the_price_of_a_hundred_hours_makes_no_list_cost(tmp_path):
    report = azure(tmp_path, "2026-10-02", unit="100 Hours")
    assert report["totals"]["list"] is None
    assert [item["rows"] for item in report["warnings"] if "block of units" in item["text"]] == [1]


def test_covered_usage_without_its_cost_names_the_column_to_export(tmp_path):
    head = "bill_billing_period_start_date,line_item_usage_start_date,line_item_usage_end_date,line_item_line_item_type,line_item_unblended_cost,line_item_currency_code"
    row = "2026-10-01T00:00:00Z,2026-10-02T00:00:00Z,2026-10-02T01:00:00Z,{},5.0,USD"
    path = write(tmp_path, "\n".join([head, row.format("Usage"), row.format("SavingsPlanCoveredUsage")]) + "\n")
    with pytest.raises(InputError, match="row 3: .* needs column 'savings_plan_savings_plan_effective_cost'"):
        read_bill(path)


FOCUS = "BillingPeriodStart,ChargePeriodStart,ChargeCategory,BillingCurrency,BilledCost,EffectiveCost,ProviderName\n"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1970-01-01T00:00:00Z,1970-01-01T00:00:00Z,Usage,USD,1,1,X\n", "charges before 2006"),
        ("2026-10-01T00:00:00Z,2026-10-02T00:00:00Z,Usage,USD,-5,5,X\n", "the sum of BilledCost is below zero"),
    ],
)
def test_what_no_bill_is_like_is_said(tmp_path, row, words):
    assert words in said(bill_report(read_bill(write(tmp_path, FOCUS + row))))


def test_unicode_text_without_its_mark_is_told_to_be_such(tmp_path):
    path = tmp_path / "bill.csv"
    path.write_bytes((FOCUS + "x" * 200).encode("utf-16-le"))
    with pytest.raises(InputError, match="looks like UTF-16 without its mark"):
        read_bill(path)


LOG = "request_id,timestamp_utc,use_case_id,status,input_tokens,output_tokens\n"


def log(folder, *rows):
    return write(folder, LOG + "".join(f"{row}\n" for row in rows))


def both_ways(path):
    """The report of kept rows, and that of aggregates in an engine."""
    large = read_large([path], TARGET.today, region="eu")
    return import_files("telemetry", [path], None, TARGET)[0], large_report(large)


def test_failed_requests_need_no_tokens_and_served_ones_do(tmp_path):
    calls = ["1,2026-10-05T09:00:00Z,chat,ok,100,50", "2,2026-10-05T09:00:01Z,chat,error,,"]
    for report in both_ways(log(tmp_path, *calls)):
        assert report["totals"] == {"requests": 2, "errors": 1, "input_tokens": 100, "output_tokens": 50, "cached_tokens": None}  # fmt: skip
    bad = log(tmp_path, calls[1], "3,2026-10-05T09:00:02Z,chat,ok,100,")
    for way in (lambda: import_files("telemetry", [bad], None, TARGET), lambda: read_large([bad], TARGET.today, region="eu")):  # fmt: skip
        with pytest.raises(InputError, match="row 3, column 'output_tokens': a value is required"):
            way()


def test_more_tokens_than_a_request_has_are_refused_in_every_size_of_log(tmp_path):
    path = log(tmp_path, "1,2026-10-05T09:00:00Z,chat,ok,100,50", "2,2026-10-05T09:00:01Z,chat,ok,999999999999,5")
    for way in (lambda: import_files("telemetry", [path], None, TARGET), lambda: read_large([path], TARGET.today, region="eu")):  # fmt: skip
        with pytest.raises(InputError, match="row 3, column 'input_tokens': value '999999999999'"):
            way()


def test_a_log_of_nothing_but_later_times_is_refused(tmp_path):
    with pytest.raises(InputError, match="no request that can be counted: 1 after the day of import"):
        import_files("telemetry", [log(tmp_path, "1,2027-10-05T09:00:00Z,chat,ok,100,50")], None, TARGET)


def test_requests_whose_identifiers_a_spreadsheet_cut_all_count(tmp_path):
    row = "1.23E+17,2026-10-05T09:00:00Z,chat,ok,100,50"
    report = import_files("telemetry", [log(tmp_path, row, row)], None, TARGET)[0]
    assert report["totals"]["requests"] == 2
    assert [item["rows"] for item in report["warnings"] if "power of ten" in item["text"]] == [2]


def span(number, parent="", tokens=100, **attributes):
    held = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": tokens, "gen_ai.usage.output_tokens": 5}
    kinds = {str: "stringValue", int: "intValue", float: "doubleValue"}
    pairs = [{"key": key, "value": {kinds[type(value)]: value}} for key, value in held.items() if value is not None]
    start = 1_790_935_200_000_000_000
    return {"traceId": "t", "spanId": f"s{number}", "parentSpanId": parent, "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + 10**9), "attributes": pairs}  # fmt: skip


def spans(folder, *held, indent=None):
    whole = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": list(held)}]}]}
    return import_files("telemetry", [write(folder, json.dumps(whole, indent=indent), "spans.json")], None, TARGET)[0]


def test_a_call_that_a_framework_and_its_client_both_tell_counts_once(tmp_path):
    report = spans(tmp_path, span(2, parent="s1"), span(1), span(3), span(4, parent="s9"))
    assert (report["totals"]["requests"], report["totals"]["input_tokens"]) == (3, 300)
    assert report["rows_left_out"] == {"calls inside a call, which tells of the same tokens": 1}
    silent = spans(tmp_path, span(1, tokens=None), span(2, parent="s1"))
    assert (silent["totals"]["requests"], silent["totals"]["input_tokens"]) == (2, 100)
    assert [item["rows"] for item in silent["warnings"] if "their tokens are unknown" in item["text"]] == [1]


def test_spans_printed_for_people_are_read_and_parts_of_tokens_are_not(tmp_path):
    assert spans(tmp_path, span(1), span(2), indent=2)["totals"]["requests"] == 2
    with pytest.raises(InputError, match=r"row 1: .*100\.5 is no whole number"):
        spans(tmp_path, span(1, tokens=100.5))


DAILY = "id,team_id,date,api_key,prompt_tokens,completion_tokens,api_requests,successful_requests,failed_requests\n"


def test_a_row_of_a_daily_table_given_twice_counts_once(tmp_path):
    row = "{},cx,2026-10-05,k,{},50,5,4,1\n"
    path = write(tmp_path, DAILY + row.format("a", 100) * 2 + row.format("b", 100))
    report = import_files("telemetry", [path], None, TARGET)[0]
    assert (report["totals"]["input_tokens"], sum(report["rows_left_out"].values())) == (200, 1)
    with pytest.raises(InputError, match="row 3, column 'id': value 'a': is the id of an earlier row"):
        import_files("telemetry", [write(tmp_path, DAILY + row.format("a", 100) + row.format("a", 7))], None, TARGET)


def test_one_page_of_several_is_said_to_be_one(tmp_path):
    call = {"id": "o1", "traceId": "t", "type": "GENERATION", "level": "DEFAULT", "startTime": "2026-10-05T09:00:00Z",
            "usageDetails": {"input": 100, "output": 50}}  # fmt: skip
    page = {"data": [call], "meta": {"page": 1, "totalPages": 9, "totalItems": 410}}
    report = import_files("telemetry", [write(tmp_path, json.dumps(page), "page.json")], None, TARGET)[0]
    assert {"text": "is page 1 of 9: import all of them", "rows": 410} in report["warnings"]


START = 1_790_812_800


def answers(folder, index=None, **files):
    """A folder of answers of raw counters, by minute."""
    place = folder / "answers"
    place.mkdir(exist_ok=True)
    for name, (metric, values, more) in files.items():
        points = [[START + 60 * at, str(value)] for at, value in enumerate(values)]
        labels = {"namespace": "chat", **({"__name__": metric} if metric else {})}
        held = {"resultType": "matrix", "result": [{"metric": labels, "values": points} | more]}
        (place / f"{name}.json").write_text(json.dumps({"status": "success", "data": held}))
    if index is not None:
        (place / "index.json").write_text(json.dumps(index))
    return place


def test_answers_that_name_their_metric_need_no_index(tmp_path):
    counts = range(0, 1_200, 10)
    folder = answers(tmp_path, requests=("vllm:request_success_total", counts, {}), odd=("nothing_total", counts, {}))
    report = import_files("telemetry", [folder], None, TARGET)[0]
    assert report["totals"]["requests"] == 1_190
    assert "odd.json (nothing_total)" in said(report)


def test_answers_without_a_name_or_with_damage_say_so(tmp_path):
    folder = answers(tmp_path, requests=("", range(9), {}))
    with pytest.raises(InputError, match=r"requests\.json: its series name no metric"):
        import_files("telemetry", [folder], None, TARGET)
    answers(tmp_path, requests=("vllm:request_success_total", [1, -5], {}))
    with pytest.raises(InputError, match=r"requests\.json, row 1, column 'value': value '-5'"):
        import_files("telemetry", [folder], None, TARGET)
    tokens = ("vllm:prompt_tokens_total", range(9), {})
    answers(tmp_path, requests=("vllm:request_success_total", range(9), {"histograms": []}), tokens=tokens)
    with pytest.raises(InputError, match="no count of requests[^\n]*\n.*is a native histogram, which is not read"):
        import_files("telemetry", [folder], None, TARGET)


def test_what_a_server_warns_of_and_what_no_index_names_is_said(tmp_path):
    counts = ("vllm:request_success_total", range(0, 1_200, 10), {})
    index = [{"file": "requests.json", "query": "vllm:request_success_total"}]
    folder = answers(tmp_path, index, requests=counts, other=counts)
    held = json.loads((folder / "requests.json").read_text()) | {"warnings": ["store x is away"]}
    (folder / "requests.json").write_text(json.dumps(held))
    told = said(import_files("telemetry", [folder], None, TARGET)[0])
    assert "requests.json: the server warned: store x is away" in told
    assert "files that index.json does not name, not read: other.json" in told


@pytest.mark.parametrize("cell", ["1e99", "9" * 18])
def test_a_figure_that_no_use_case_has_is_left_unknown_and_named(tmp_path, cell):
    path = write(tmp_path, f"Use case,Cost per month (USD)\nChat,{cell}\nBot,900\n")
    report = import_files("use-cases", [path], None, TARGET)[0]
    assert {"text": "stated_usd_per_month: values that match nothing are left unknown", "rows": 1} in report["warnings"]
