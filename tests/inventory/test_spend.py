"""The bill by dimension and line: every split adds up to the last digit."""

from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.errors import IdentityError
from aifactory.inputs.money import exact_total
from aifactory.inputs.plan import Region
from aifactory.inputs.workspace import load_workspace
from aifactory.inventory import spend
from aifactory.review.unit_cost import unit_cost_by_month

FEW = settings(max_examples=40)
CATEGORIES = ["team", "business_unit", "account", "ProviderName", "accelerator_id", "purchase_option", "use_case"]
OCTOBER = Decimal("44900.850001")


@pytest.fixture(scope="module")
def bill(mini_ws):
    table = mini_ws.table("billing")
    return table[table["invoice_month"] == "2026-10"]


def edited(mini, old, new):
    path = mini / "billing.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    table = load_workspace(mini).table("billing")
    return table[table["invoice_month"] == "2026-10"]


money = st.decimals(-(10**9), 10**9, places=6)
charges = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        st.sampled_from(spend.COST_LINES),
        money,
        money,
        st.one_of(st.none(), st.floats(0, 1e4)),
    ),
    min_size=1,
    max_size=30,
)


def frame_of(rows):
    frame = pd.DataFrame(rows, columns=["name", "cost_line", "EffectiveCost", "BilledCost", "accelerator_hours"])
    return frame.assign(
        accelerator_hours=frame["accelerator_hours"].astype("float64"),
        invoice_month="2026-10",
        **{column: frame["name"].astype("str") for column in CATEGORIES},
    )


# by dimension


def test_the_tiny_bill_by_hand(bill):
    # 744 h x 40 + 0.10, committed use 12000.000001, 144 unused h x 20 + 0.5, 250.25, 99.99, 10.01, -100
    assert exact_total(bill["EffectiveCost"]) == OCTOBER
    table = spend.spend_by_dimension(bill).set_index(["dimension", "value"])
    assert table.loc["team", "effective_cost"].to_dict() == {
        "cx": Decimal("29760.10"),
        "planning": Decimal("12000.000001"),
        "media": Decimal("250.25"),
        "(unattributed)": Decimal("2890.50"),
    }
    assert table.loc[("account", "(none)"), "effective_cost"] == Decimal("-89.99")
    assert table.loc[("purchase_option", "committed_unused"), "billed_cost"] == 0
    assert table.loc[("purchase_option", "commitment_purchase"), "billed_cost"] == Decimal("14880.500001")
    # eight accelerators an instance: 744 x 8 and 600 x 8; unused hours ran nothing
    hours = table.loc["accelerator", "accelerator_hours"].to_dict()
    assert hours == {"nvidia-h100-sxm": 5952.0, "nvidia-a100-80-sxm": 4800.0, "(none)": 0.0}


@pytest.mark.parametrize("dimension", sorted(spend.DIMENSIONS))
@pytest.mark.parametrize(("part", "whole"), [("effective_cost", "EffectiveCost"), ("billed_cost", "BilledCost")])
def test_each_dimension_adds_up_exactly_to_the_bill(bill, dimension, part, whole):
    parts = spend.spend_by_dimension(bill).query("dimension == @dimension")
    assert exact_total(parts[part]) == exact_total(bill[whole])


@pytest.mark.parametrize("month", ["2025-10", "2026-09", "2026-10"])
def test_each_dimension_of_the_sample_adds_up_exactly(sample_ws, month):
    bill = sample_ws.table("billing")
    bill = bill[bill["invoice_month"] == month]
    table = spend.spend_by_dimension(bill)
    for _, parts in table.groupby("dimension"):
        assert exact_total(parts["effective_cost"]) == exact_total(bill["EffectiveCost"])
        assert exact_total(parts["billed_cost"]) == exact_total(bill["BilledCost"])
        assert parts["accelerator_hours"].sum() == pytest.approx(bill["accelerator_hours"].sum())


@FEW
@given(charges)
def test_any_bill_adds_up_in_every_dimension_and_line(rows):
    frame = frame_of(rows)
    table = spend.spend_by_dimension(frame)
    assert set(table["dimension"]) == set(spend.DIMENSIONS)
    for _, parts in table.groupby("dimension"):
        assert exact_total(parts["effective_cost"]) == exact_total(frame["EffectiveCost"])
        assert exact_total(parts["billed_cost"]) == exact_total(frame["BilledCost"])
    lines = spend.reconcile(frame).set_index("line")
    assert exact_total(lines["effective_cost"].drop("bill")) == lines.loc["bill", "effective_cost"]
    assert exact_total(lines["billed_cost"].drop("bill")) == lines.loc["bill", "billed_cost"]
    assert lines["charges"].drop("bill").sum() == lines.loc["bill", "charges"] == len(rows)


def test_a_thousand_tenths_are_a_hundred():
    frame = frame_of([("a", "attributed usage", Decimal("0.1"), Decimal("0.1"), None)] * 1000)
    assert set(spend.spend_by_dimension(frame)["effective_cost"]) == {Decimal(100)}


def test_the_largest_value_of_a_dimension_comes_first(bill):
    for _, parts in spend.spend_by_dimension(bill).groupby("dimension"):
        assert parts["effective_cost"].tolist() == sorted(parts["effective_cost"], reverse=True)


@pytest.mark.parametrize("dimension", ["team", "use_case"])
def test_teams_and_use_cases_are_charged_usage_only(mini, dimension):
    tagged = '2880.5,"{""team"": ""planning"", ""use_case"": ""models""}"\n'
    bill = edited(mini, "Unused,144,Hours,USD,0,2880.5,\n", "Unused,144,Hours,USD,0," + tagged)
    table = spend.spend_by_dimension(bill).set_index(["dimension", "value"])["effective_cost"]
    name = {"team": "planning", "use_case": "models"}[dimension]
    assert table[dimension, name] == Decimal("12000.000001")


# the reconciliation


def test_the_lines_of_the_tiny_bill_by_hand(bill):
    table = spend.reconcile(bill).set_index("line")
    assert table.index.tolist() == [*spend.COST_LINES, "bill"]
    assert table["effective_cost"].to_dict() == {
        "attributed usage": Decimal("42010.350001"),
        "unattributed usage": Decimal("99.99"),
        "idle commitment": Decimal("2880.5"),
        "commitment purchase": Decimal(0),
        "adjustment and correction": Decimal(0),
        "credit": Decimal(-100),
        "tax": Decimal("10.01"),
        "bill": OCTOBER,
    }
    assert table["charges"].tolist() == [3, 1, 1, 1, 0, 1, 1, 8]


def test_a_line_nobody_knows_is_refused(bill):
    with pytest.raises(IdentityError, match="adds up to"):
        spend.reconcile(bill.assign(cost_line=bill["cost_line"].replace("tax", "duty")))


def test_an_empty_bill_has_empty_lines(bill):
    table = spend.reconcile(bill.iloc[:0])
    assert (table["effective_cost"] == 0).all()
    assert (table["charges"] == 0).all()


def test_a_correction_is_a_line_of_its_own(mini):
    bill = edited(mini, "acc-3,,,transfer,Usage,Standard", "acc-3,,,transfer,Adjustment,Standard")
    lines = spend.reconcile(bill).set_index("line")["effective_cost"]
    assert lines["adjustment and correction"] == Decimal("99.99")
    assert lines["unattributed usage"] == 0


# by month, use case and accelerator


def test_monthly_spend_by_hand(mini_ws):
    table = spend.monthly_spend(mini_ws.table("billing")).set_index(["month", "purchase_option"])["effective_cost_usd"]
    assert table["2026-09", "on_demand"] == pytest.approx(720 * 40 + 0.10 + 250.25 + 99.99)
    assert table["2026-10", "on_demand"] == pytest.approx(744 * 40 + 0.10 + 250.25 + 99.99)
    assert table["2026-09", "committed_unused"] == pytest.approx(2400.5)
    assert table["2026-10", "credit"] == -100


def test_monthly_spend_agrees_with_pandas(sample_ws):
    bill = sample_ws.table("billing")
    floats = bill["EffectiveCost"].astype("float64")
    expected = floats.groupby([bill["invoice_month"], bill["purchase_option"]]).sum()
    table = spend.monthly_spend(bill).set_index(["month", "purchase_option"])["effective_cost_usd"]
    assert table.sort_index().tolist() == pytest.approx(expected.sort_index().tolist(), rel=1e-9)


def test_a_use_case_costs_what_is_tagged_with_it(bill):
    cost = spend.use_case_cost(bill)
    assert cost.to_dict() == pytest.approx({"chat": 29760.10, "models": 12000.000001})
    assert spend.use_case_cost(bill.iloc[:0]).empty


def test_a_charge_that_names_only_its_use_case_counts_for_it(mini):
    bill = edited(mini, "USD,99.99,99.99,\n", 'USD,99.99,99.99,"{""use_case"": ""chat""}"\n')
    assert spend.use_case_cost(bill)["chat"] == pytest.approx(29760.10 + 99.99)


def test_the_rate_is_effective_cost_over_accelerator_hours(bill):
    rate = spend.accelerator_rate(bill)
    assert rate.to_dict() == pytest.approx(
        {"nvidia-h100-sxm": 29760.10 / (744 * 8), "nvidia-a100-80-sxm": 12000.000001 / (600 * 8)}
    )
    assert spend.accelerator_rate(bill.iloc[:0]).empty


@FEW
@given(st.floats(1, 1e4), st.integers(1, 8))
def test_the_rate_does_not_change_with_the_number_of_rows(hours, copies):
    row = frame_of([("a", "attributed usage", Decimal("10.50"), Decimal(0), hours)])
    one = spend.accelerator_rate(row)
    many = spend.accelerator_rate(pd.concat([row] * copies, ignore_index=True))
    assert many["a"] == pytest.approx(one["a"]) == pytest.approx(10.5 / hours)


def test_rows_without_hours_have_no_rate():
    rows = [
        ("a", "attributed usage", Decimal(5), Decimal(5), 2.0),
        ("a", "attributed usage", Decimal(7), Decimal(7), None),
    ]
    assert spend.accelerator_rate(frame_of(rows))["a"] == 2.5


def test_a_charge_without_a_business_unit_has_that_of_the_catalogue():
    none = spend.UNATTRIBUTED
    cases = pd.DataFrame({"use_case_id": ["ct", "chat", "study"], "team": ["radiology", "clinics", "clinics"],
                          "business_unit": ["hospitals", "hospitals", "institute"]})  # fmt: skip
    bill = pd.DataFrame([(none, none, "radiology", "hospitals"), (none, "study", "radiology", "institute"), (none, none, "clinics", none),
                         ("lab", "ct", "radiology", "lab"), (none, none, "it", none), (none, none, none, none)],
                        columns=["business_unit", "use_case", "team", "wanted"])  # fmt: skip
    assert spend.with_business_units(bill, cases)["business_unit"].tolist() == bill["wanted"].tolist()
    assert spend.with_business_units(bill, cases.iloc[:0])["business_unit"].tolist() == bill["business_unit"].tolist()


# units that a charge pays for


def charged(*rows):
    """Units of `guide` in three regions against charges (use case, region, cost line)."""
    bill = pd.DataFrame(rows, columns=["use_case", "RegionId", "cost_line"])
    units = pd.DataFrame({"use_case_id": "guide", "region": ["eu", "us", "ap"], "units": [100.0, 40.0, 0.0]})
    regions = [
        Region(
            region=name, name=name, provider_regions={"AWS": f"{name}-1"}, usd_per_kwh=0.1, gco2_per_kwh=1, source="s", as_of="2026-01-01"
        )
        for name in ("eu", "us", "ap")
    ]  # fmt: skip
    return spend.units_charged(bill, units, regions)["guide"]


USED = "attributed usage"


@pytest.mark.parametrize(
    ("rows", "units"),
    [
        ([("guide", "us-1", USED)], 40.0),  # eu runs on kit that no charge names
        ([("guide", "us-1", USED), ("guide", "eu", USED)], 140.0),
        ([("guide", "us-1", USED), ("guide", None, USED)], 140.0),  # a hosted model of no region
        ([("guide", "ap-1", USED)], 140.0),  # its charges stand where nothing was served
        ([("other", "us-1", USED)], 140.0),
        ([("guide", "us-1", "credit")], 140.0),
        ([], 140.0),
    ],
)
def test_a_charge_pays_for_the_units_of_its_regions(rows, units):
    assert charged(*rows) == units


def test_the_cost_of_a_unit_leaves_out_regions_without_a_charge(sample_ws, sample_stages):
    """Summaries are charged in the US alone; those of the other region ran on kit that no charge names."""
    inventory = sample_stages.inventory
    row = inventory.use_cases.set_index("use_case_id").loc["doc-summary"]
    month = inventory.demand_monthly.query("month == @sample_ws.period and use_case_id == 'doc-summary'")
    there = month.loc[month["region"] == "us-east", "units"].sum()
    assert 0 < there < row["units_month"]
    assert row["usd_per_unit"] == pytest.approx(row["effective_cost_usd"] / there)
    asked = inventory.three_questions.set_index("use_case_id").loc["doc-summary"]
    assert asked["usd_per_unit"] == row["usd_per_unit"] and abs(asked["unit_cost_change_share"]) < 0.1
    others = set(month.loc[month["region"] != "us-east", "region"])
    assert set(asked["uncharged_regions"].split(", ")) == others
    costs = unit_cost_by_month(sample_ws, inventory).set_index(["month", "use_case_id"])
    assert costs.loc[(sample_ws.period, "doc-summary"), "usd_per_unit"] == pytest.approx(row["usd_per_unit"])
