"""Contracts: one schema per table, true for loader, checks, templates and documentation."""

import json
import re
from dataclasses import replace

import frictionless
import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.inputs.contracts import CONTRACTS_DIR, FORMS, contract_names, document, load_contract
from aifactory.inputs.resources import data_dir
from aifactory.inputs.tables import bound_problems

V2 = "https://datapackage.org/profiles/2.0/tableschema.json"
TYPES = {"string", "number", "integer", "boolean", "datetime", "date", "yearmonth"}
FIELDS = [(name, field) for name in contract_names() for field in load_contract(name).fields]
#: One column for each kind of limit.
LIMITED = {
    (field.type, field.minimum, field.maximum, field.exclusive_minimum): pytest.param(
        name, field, id=f"{name}.{field.name}"
    )
    for name, field in FIELDS
    if {field.minimum, field.maximum, field.exclusive_minimum} != {None}
}


def rules_broken(table, field, value):
    contract = replace(load_contract(table), fields=(field,), primary_key=())
    return [problem.rule for problem in bound_problems(pd.DataFrame({field.name: [value]}), contract)]


@pytest.mark.parametrize("name", contract_names())
def test_a_contract_is_a_valid_table_schema(name):
    descriptor = json.loads((CONTRACTS_DIR / f"{name}.json").read_text(encoding="utf-8"))
    with frictionless.system.use_context(standards="v2"):
        schema = frictionless.Schema.from_descriptor(descriptor | {"$schema": V2})
    contract = load_contract(name)
    assert contract.name == name
    assert contract.columns == [field.name for field in schema.fields]
    assert len(set(contract.columns)) == len(contract.columns)
    assert list(contract.primary_key) == list(schema.primary_key)
    assert {field.type for field in contract.fields} <= TYPES
    assert all(field.description for field in contract.fields)


@pytest.mark.parametrize("name", contract_names())
def test_keys_point_at_columns_that_exist(name):
    contract = load_contract(name)
    assert set(contract.primary_key) <= set(contract.columns)
    for key in contract.foreign_keys:
        assert key.column in contract.columns
        assert load_contract(key.table).field(key.reference).unique


@pytest.mark.parametrize("name", contract_names())
def test_an_empty_table_has_every_column_in_its_dtype(name):
    contract = load_contract(name)
    frame = contract.empty()
    assert len(frame) == 0
    assert {column: str(kind) for column, kind in frame.dtypes.items()} == {f.name: f.dtype for f in contract.fields}


@pytest.mark.parametrize(("table", "field"), LIMITED.values())
def test_a_limit_holds_at_its_edge_and_not_beyond(table, field):
    if field.minimum is not None:
        assert not rules_broken(table, field, field.minimum)
        assert rules_broken(table, field, field.minimum - 1) == [f"must be {field.rule}"]
    if field.exclusive_minimum is not None:
        assert not rules_broken(table, field, field.exclusive_minimum + 1e-9)
        assert rules_broken(table, field, field.exclusive_minimum) == [f"must be {field.rule}"]
    if field.maximum is not None:
        assert not rules_broken(table, field, field.maximum)
        percent = "; is it percent? 2 % is 0.02" if field.unit == "fraction" else ""
        assert rules_broken(table, field, field.maximum + 1) == [f"must be {field.rule}{percent}"]


def test_every_money_column_of_the_bill_is_exact():
    exact = {field.name for field in load_contract("billing").fields if field.exact}
    assert exact == {"BilledCost", "EffectiveCost", "ListCost", "ContractedCost"}


def test_the_rule_of_a_column_is_said_in_words():
    share = load_contract("pools").field("utilization")
    assert share.rule == "0 or more; at most 1"
    assert load_contract("prices").field("usd_per_accelerator_hour").rule == "above 0"
    assert load_contract("billing").field("CommitmentDiscountStatus").rule == "one of Used, Unused"
    assert load_contract("jobs").field("job_id").rule == "unique"


def test_an_unknown_table_names_the_nearest_one():
    with pytest.raises(InputError, match=r"value 'demand_window': no such table\. Did you mean 'demand_windows'\?"):
        load_contract("demand_window")


def test_the_documentation_holds_every_column_of_every_table():
    text = document()
    for name in contract_names():
        section = text.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]
        assert all(f"| {column} |" in section for column in load_contract(name).columns)


def test_the_shipped_documentation_is_the_one_of_the_contracts():
    assert document().strip() in (data_dir() / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("text", "broken"), [("chat", False), ("chat-2.b_c", False), ("Chat", True), ("-chat", True)])
def test_a_use_case_id_is_a_plain_name(text, broken):
    assert bool(rules_broken("use_cases", load_contract("use_cases").field("use_case_id"), text)) is broken


def test_an_id_has_at_most_64_characters():
    field = load_contract("use_cases").field("use_case_id")
    assert not rules_broken("use_cases", field, "a" * 64)
    assert rules_broken("use_cases", field, "a" * 65)


def test_an_id_does_not_end_in_a_line_end():
    assert rules_broken("use_cases", load_contract("use_cases").field("use_case_id"), "chat\n")


def test_every_pattern_is_told_in_words():
    fields = [field for name in contract_names() for field in load_contract(name).fields if field.pattern]
    assert {field.pattern for field in fields} == set(FORMS)
    assert load_contract("lifecycle").field("date").rule == "of the form 2028, 2028-05 or 2028-05-31"


@pytest.mark.parametrize(
    ("date", "good"),
    [
        ("2028", True),
        ("2028-05", True),
        ("2028-05-31", True),
        ("2028-13", False),
        ("2028-00-01", False),
        ("May 2028", False),
    ],
)
def test_the_end_of_support_is_a_year_a_month_or_a_day(date, good):
    assert bool(re.fullmatch(load_contract("lifecycle").field("date").pattern, date)) is good
