"""plan.yaml: typed, owned, complete; every fault names the place."""

import re
from typing import get_args

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.plan import REQUIRED_ASSUMPTIONS, Plan, PlatformClass, default_assumptions, load_plan
from aifactory.inputs.plan_bounds import bounds
from aifactory.inputs.resources import data_dir
from aifactory.inputs.yaml_file import MAX_YAML_BYTES, read_yaml

TEMPLATE = data_dir() / "templates" / "plan.yaml"


def broken(folder, old, new):
    text = TEMPLATE.read_text(encoding="utf-8")
    assert old in text
    path = folder / "plan.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def write(folder, text):
    path = folder / "plan.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def test_the_template_states_every_assumption_in_its_unit():
    plan = load_plan(TEMPLATE)
    assert {name: plan.assumptions[name].unit for name in REQUIRED_ASSUMPTIONS} == REQUIRED_ASSUMPTIONS
    assert plan.currency == "USD"


def test_the_loaded_values_are_those_of_the_file():
    raw = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))
    plan = load_plan(TEMPLATE)
    assert plan.horizon_months == raw["horizon_months"]
    stated = {name: entry["value"] for name, entry in raw["assumptions"].items()}
    shipped = {name: entry["value"] for name, entry in default_assumptions().items()}
    assert {name: plan.value(name) for name in plan.assumptions} == shipped | stated


def test_the_sample_plan_loads(sample_dir):
    assert load_plan(sample_dir / "plan.yaml").candidates


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("horizon_months: 36", "horizon_month: 36", "horizon_month: no such name here. Did you mean 'horizon_months'?"),
        (
            "launches: []",
            "launches: [{use_case_id: chat, month: 2027-01, demand_multiplyer: 2, milestone: m}]",
            "demand_multiplyer: no such name here. Did you mean 'demand_multiplier'?",
        ),
        (
            "launches: []",
            "launches: [{use_case_id: chat, month: 2027-01, factor: 2, milestone: m}]",
            "launches.0.factor: no such name here",
        ),
        (
            "capex_usd_per_year:",
            "capex_usd_a_year:",
            "budget.capex_usd_a_year: no such name here. Did you mean 'capex_usd_per_year'?",
        ),
        (
            "horizon_months: 36",
            "horizon_months: 11",
            "horizon_months: value '11': Input should be greater than or equal to 12",
        ),
        ("horizon_months: 36", "horizon_months: 61", "horizon_months: value '61': Input should be less than or equal"),
        ("horizon_months: 36", "horizon_months: many", "horizon_months: value 'many'"),
        ("currency: USD", "currency: EUR", "currency: value 'EUR': plans are in USD; write amounts in USD"),
        ("fiscal_year_start_month: 1", "fiscal_year_start_month: 13", "fiscal_year_start_month: value '13'"),
        ("organisation: Your organisation\n", "", "organisation: Field required"),
        ("reference_accelerator: nvidia", "reference_accelerator: NVIDIA", "value 'NVIDIA-a100-80-sxm'"),
        ("usd_per_kwh: 0.0946", "usd_per_kwh: 0", "regions.0.usd_per_kwh: value '0': Input should be greater than 0"),
        (
            "usd_per_kwh: 0.0946",
            "usd_per_kwh: .nan",
            "regions.0.usd_per_kwh: value 'nan': Input should be a finite number",
        ),
        ("gco2_per_kwh: 323.05", "gco2_per_kwh: -1", "regions.0.gco2_per_kwh: value '-1'"),
        (
            "choose_at: 0.5 ",
            "choose_at: 65 ",
            "choose_at: value '65': Input should be less than or equal to 1; is it percent? 65 % is 0.65",
        ),
        ("experimental: 0.2, ", "", "reserve lacks a ratio for: experimental"),
        ("experimental: 0.2", "experimental: -0.2", "reserve.experimental: value '-0.2'"),
        ("maturity: 0.15", "maturity: 0.25", "matrix_weights must add up to 1, got 1.1"),
        ("performance_per_watt: 0.10", "performance_per_watt: 0.0", "scorecard_weights must add up to 1, got 0.9"),
        (
            "scenario: aggressive",
            "scenario: expected",
            "scenarios must be conservative, expected and aggressive, once each",
        ),
        (
            "value: 0.1, low: 0.08",
            "value: 0.1, low: 0.11",
            "assumptions.wacc: low <= value <= high must hold, got 0.11, 0.1, 0.13",
        ),
        ("unit: fraction/year", "unit: percent", "assumption 'wacc' must be in 'fraction/year', got 'percent'"),
        ("  tax_rate:", "  taxrate:", "assumptions missing: tax_rate"),
        (
            "  devices_per_operator:",
            "  device_per_operator:",
            "assumptions.device_per_operator: no such assumption. Did you mean 'devices_per_operator'?",
        ),
        (
            "  wacc:",
            "  cost_inflaton: {value: 0.02, unit: fraction/year, owner_role: r, source: s, as_of: 2026-09-30}\n  wacc:",
            "assumptions.cost_inflaton: no such assumption. Did you mean 'cost_inflation'?",
        ),
        ("value: 1000, low: 250", "value: 1000, low: 0", "assumption 'devices_per_operator' must be above 0"),
        (
            "unit: devices",
            "unit: accelerators",
            "assumption 'devices_per_operator' must be in 'devices', got 'accelerators'",
        ),
        ("{on_demand: 150, spot", "{ondemand: 150, spot", "'ondemand' is no way to pay. Did you mean 'on_demand'?"),
        (
            "launch_delay_months: {gpu: 0, tpu: 2",
            "launch_delay_months: {gpu: 0, tpuu: 2",
            "launch_delay_months: 'tpuu' is no platform class. Did you mean 'tpu'?",
        ),
        (
            "porting_person_months: {gpu: 0.5, tpu: 5, trainium: 6",
            "porting_person_months: {gpu: 0.5, tpu: 5, trainum: 6",
            "porting_person_months: 'trainum' is no platform class. Did you mean 'trainium'?",
        ),
        (
            "ports_under_way: []",
            "ports_under_way: [{use_case_id: chat, platform_class: tpuu, begun: 2026-09}]",
            "ports_under_way.0.platform_class: value 'tpuu'",
        ),
        (
            "ports_under_way: []",
            "ports_under_way: [{use_case_id: chat, platform_class: tpu, begun: 2026-13}]",
            "ports_under_way.0.begun: value '2026-13'",
        ),
        (
            "ports_under_way: []",
            "ports_under_way: [{use_case_id: chat, platform_class: tpu, begun: 2026-09}, {use_case_id: chat, platform_class: tpu, begun: 2026-08}]",
            "ports_under_way: chat to tpu stands twice",
        ),
        (
            "restrictions: []",
            "restrictions: [{rule: export, platform_classes: [asic], reason: r, source: s, as_of: 2026-01-15}]",
            "restrictions: platform_classes: 'asic' is no platform class.",
        ),
        (
            "launches: []",
            "launches: [{use_case_id: chat, month: 2026-12-24, demand_multiplier: 2, milestone: m}]",
            "launches.0.month: value '2026-12-24': is a date: write a month as YYYY-MM, or text in quotes",
        ),
        (
            "region_latency: []",
            "region_latency: [{between: [us-east, us-east], round_trip_ms: 5, source: s, as_of: 2026-01-15}]",
            "region_latency: 'us-east' stands with itself; name two regions",
        ),
        (
            "candidates:",
            "candidates:\n  - nvidia-h100-sxm\n  - nvidia-h100-sxm",
            "candidates: 'nvidia-h100-sxm' stands twice",
        ),
        ("low: 0.03, high: 0.2,", "low: 0.03, high: 1.0,", "'spot_interruption_share' must stay below 1"),
        ("as_of: 2026-09-30", "as_of: someday", "assumptions.wacc.as_of: value 'someday'"),
        ("owner_role: chief financial officer, source", "source", "assumptions.wacc.owner_role: Field required"),
        (
            "launches: []",
            "launches: [{use_case_id: chat, month: 2026-13, demand_multiplier: 2, milestone: m}]",
            "launches.0.month: value '2026-13'",
        ),
        (
            "launches: []",
            "launches: [{use_case_id: chat, month: 9026-12, demand_multiplier: 2, milestone: m}]",
            "launches.0.month: value '9026-12'",
        ),
        (
            "owner_role: chief financial officer",
            "owner_role: ' '",
            "owner_role: must not be empty",
        ),
        ("owner_role: chief financial officer", 'owner_role: "cfo\\0"', "holds a sign that cannot be printed"),
    ],
)
def test_a_fault_names_the_place_the_value_and_the_rule(tmp_path, old, new, words):
    with pytest.raises(InputError) as caught:
        load_plan(broken(tmp_path, old, new))
    assert str(caught.value).startswith("plan.yaml")
    assert words in str(caught.value)


def test_all_faults_are_told_at_once(tmp_path):
    path = broken(tmp_path, "horizon_months: 36", "horizon_months: 5\nchoose_it: 1")
    with pytest.raises(InputError) as caught:
        load_plan(path)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must hold a mapping"),
        ("- a\n- b\n", "must hold a mapping"),
        ("a: [1\n", "not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", "line 3: key 'a' is given twice"),
        ("a:\n  b: 1\n  b: 2\n", "line 3: key 'b' is given twice"),
        ("a: &x 1\nb: *x\n", "line 2: '*x': YAML aliases are not accepted: write the value out"),
        ("a: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
        ("a: 1\0\n", "not valid YAML"),
        ("a: " + "x" * MAX_YAML_BYTES, "larger than 1,000,000 bytes"),
    ],
)
def test_yaml_that_cannot_be_trusted_is_refused(tmp_path, text, words):
    with pytest.raises(InputError) as caught:
        read_yaml(write(tmp_path, text))
    assert str(caught.value).startswith("plan.yaml: ")
    assert words in str(caught.value)


def test_a_plan_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=rf"plan\.yaml: file not found in {re.escape(tmp_path.name)}/"):
        load_plan(tmp_path / "plan.yaml")


def test_an_override_replaces_a_value_and_keeps_its_range():
    entry = load_plan(TEMPLATE, {"wacc": 0.09}).assumptions["wacc"]
    assert (entry.low, entry.value, entry.high) == (0.08, 0.09, 0.13)


def test_overrides_that_are_no_names_with_values_say_how_to_write_them():
    with pytest.raises(
        InputError, match=r"overrides: value 'wacc=0.12': must be values by name; papermill takes them by -y"
    ):
        load_plan(data_dir() / "sample" / "plan.yaml", "wacc=0.12")


def test_an_override_outside_the_range_widens_it():
    assert load_plan(TEMPLATE, {"wacc": 0.2}).assumptions["wacc"].high == 0.2
    assert load_plan(TEMPLATE, {"wacc": 0.01}).assumptions["wacc"].low == 0.01


def test_an_override_of_a_field_replaces_it():
    assert load_plan(TEMPLATE, {"horizon_months": 24}).horizon_months == 24


def within(unit):
    """Values that an assumption in this unit may take."""
    low, high = bounds(unit)
    return st.floats(max(low, 0.01), high)


@given(
    st.sampled_from(sorted(REQUIRED_ASSUMPTIONS.items())).flatmap(
        lambda item: st.tuples(st.just(item[0]), within(item[1]))
    )
)
@settings(max_examples=10)
def test_an_override_never_narrows_a_range(override):
    name, value = override
    before, after = load_plan(TEMPLATE).assumptions[name], load_plan(TEMPLATE, {name: value}).assumptions[name]
    assert after.value == value
    assert after.low == min(before.low, value)
    assert after.high == max(before.high, value)


def test_an_override_keeps_a_low_of_zero():
    entry = load_plan(TEMPLATE, {"contingency_share": 0.06}).assumptions["contingency_share"]
    assert (entry.low, entry.value, entry.high) == (0.0, 0.06, 0.1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("pue", 0.99), ("tax_rate", 1.01), ("tax_rate", -0.01), ("egress_usd_per_gb", -1),
     ("accelerators_per_operator", 0), ("planning_utilization", 0)],
)  # fmt: skip
def test_an_assumption_beyond_its_unit_is_refused(name, value):
    with pytest.raises(InputError, match=r"^plan\.yaml"):
        load_plan(TEMPLATE, {name: value})


def test_an_override_of_an_assumption_without_range_sets_its_value(tmp_path):
    path = broken(tmp_path, "value: 0.1, low: 0.08", "value: 0.1, low: null")
    assert load_plan(path, {"wacc": 0.09}).value("wacc") == 0.09


@pytest.mark.parametrize(("name", "near"), [("wac", "wacc"), ("horizon_month", "horizon_months")])
def test_an_unknown_override_names_the_nearest_one(name, near):
    with pytest.raises(InputError, match=rf"column '{name}': cannot be overridden. Did you mean '{near}'"):
        load_plan(TEMPLATE, {name: 1})


@pytest.mark.parametrize("value", ["abc", float("nan"), float("inf"), None])
def test_an_override_that_is_no_number_is_refused(value):
    with pytest.raises(InputError, match=r"assumptions\.wacc\.value"):
        load_plan(TEMPLATE, {"wacc": value})


def test_names_that_do_not_exist_are_told_with_the_nearest():
    plan = load_plan(TEMPLATE)
    with pytest.raises(InputError, match=r"assumption 'tax_rat' does not exist\. Did you mean 'tax_rate'"):
        plan.value("tax_rat")
    with pytest.raises(InputError, match=r"region 'us-eas' is not described\. Did you mean 'us-east'"):
        plan.region("us-eas")
    assert plan.region("us-east").name == "US East"
    assert plan.scenario("expected").growth_multiplier == 1.0


def test_a_plan_cannot_be_changed_after_it_is_loaded():
    with pytest.raises(ValueError, match="frozen"):
        load_plan(TEMPLATE).horizon_months = 12


def test_every_field_of_the_plan_can_be_written_in_the_template():
    written = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))
    assert set(written) == set(Plan.model_fields) - {"owned_accelerators"}


@pytest.mark.parametrize(
    "raw",
    ["a: caf\u00e9\n".encode("cp1252"), b"? [a]\n: b\n", b"a: " + b"[" * 1200 + b"]" * 1200, b"a: " + b"9" * 5000],
    ids=["not UTF-8", "a list as key", "deep nesting", "a huge number"],
)
def test_every_unreadable_plan_ends_in_an_input_error(tmp_path, raw):
    try:
        read_yaml(write(tmp_path, raw))
    except InputError:
        return
    except Exception as error:
        pytest.fail(type(error).__name__)
    pytest.fail("was read")


def test_brackets_without_end_are_refused_at_once(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("a: " + "[" * 100_000 + "]" * 100_000)
    with pytest.raises(InputError, match="nested deeper than 50"):
        read_yaml(path)


def test_a_capital_budget_of_zero_says_that_nothing_is_bought(tmp_path):
    folder = broken(tmp_path, "capex_usd_per_year: 6000000", "capex_usd_per_year: 0")
    assert load_plan(folder).budget.capex_usd_per_year == 0


def numbers(model, place=()):
    """Place of every number of plan.yaml outside the assumptions, and its schema."""
    definitions = model.get("$defs", {})

    def walk(schema, place):
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
        parts = schema.get("anyOf", [schema])
        for part in parts:
            if part is not schema:
                yield from walk(part, place)
            elif part.get("type") in ("number", "integer"):
                yield ".".join(place), part
            elif part.get("type") == "array" and "items" in part:
                yield from walk(part["items"], place)
            elif isinstance(part.get("additionalProperties"), dict):
                yield from walk(part["additionalProperties"], place)
            else:
                for name, held in part.get("properties", {}).items():
                    yield from walk(held, (*place, name))

    return dict(walk(model, place))


def test_every_number_of_the_plan_has_an_end_on_both_sides():
    found = {
        place: schema
        for place, schema in numbers(Plan.model_json_schema()).items()
        if not place.startswith(("assumptions", "exchange_rates"))  # bounded by their own rules
    }
    assert len(found) > 30
    for place, schema in found.items():
        assert {"minimum", "exclusiveMinimum"} & set(schema), place
        assert {"maximum", "exclusiveMaximum"} & set(schema), place


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("usd_per_kwh: ", "usd_per_kwh: 1e300 #", "regions.0.usd_per_kwh: value '1e300': Input should be less than"),
        ("seed: ", "seed: 9223372036854775808 #", "seed: value '9223372036854775808': Input should be less than"),
    ],
)
def test_numbers_that_no_report_can_hold_are_refused(tmp_path, old, new, words):
    with pytest.raises(InputError, match=re.escape(words)):
        load_plan(broken(tmp_path, old, new))


@pytest.mark.parametrize("name", ["engineer_usd_per_month", "colocation_usd_per_kw_month", "pue", "egress_usd_per_gb"])
def test_assumptions_that_no_report_can_hold_are_refused(name):
    with pytest.raises(InputError, match=f"assumptions.{name}: in .* must be .* got"):
        load_plan(TEMPLATE, {name: 1e300})


def test_a_reserve_in_percent_is_asked_about():
    with pytest.raises(InputError, match="reserve.critical: value '40': .*is it percent. 40 % is 0.4"):
        load_plan(TEMPLATE, {"reserve": {"experimental": 0.2, "internal": 0.2, "customer_facing": 0.4, "critical": 40}})


def test_devices_take_as_many_people_as_accelerators_where_nobody_says(tmp_path):
    data = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))
    del data["assumptions"]["devices_per_operator"]
    found = load_plan(write(tmp_path, yaml.safe_dump(data))).assumptions["devices_per_operator"]
    assert (found.value, found.low, found.high, found.unit) == (128, 64, 512, "devices")
    path = tmp_path / "plan.yaml"
    set_both = load_plan(path, {"accelerators_per_operator": 200})
    assert set_both.value("devices_per_operator") == 200
    apart = load_plan(path, {"accelerators_per_operator": 200, "devices_per_operator": 900})
    assert (apart.value("accelerators_per_operator"), apart.value("devices_per_operator")) == (200, 900)
    assert load_plan(TEMPLATE, {"accelerators_per_operator": 200}).value("devices_per_operator") == 1000
    del data["assumptions"]["accelerators_per_operator"]
    with pytest.raises(InputError, match=r"assumptions missing: accelerators_per_operator\."):
        load_plan(write(tmp_path, yaml.safe_dump(data)))


def test_classes_of_the_plan_are_those_of_the_accelerators_table():
    assert get_args(PlatformClass) == load_contract("accelerators").field("platform_class").enum


def test_a_way_between_two_regions_is_stated_once(mini_ws):
    way = {"source": "s", "as_of": "2026-01-15"}
    ways = [{**way, "between": ["us", "eu"], "round_trip_ms": 5}, {**way, "between": ["eu", "us"], "round_trip_ms": 9}]
    with pytest.raises(ValueError, match="region_latency: 'eu and us' is stated twice"):
        Plan.model_validate({**mini_ws.plan.model_dump(), "region_latency": ways})
