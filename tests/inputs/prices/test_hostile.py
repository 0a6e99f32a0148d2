"""Price lists with something else in one place: said or left out by rule, never a crash, never a strange price."""

import copy
import json

import numpy as np
import pandas as pd
import pytest
import yaml
from price_lists import AZURE_ITEM, EC2, GCOSTS, GPUHUNT, LITELLM, SKYPILOT

from aifactory.errors import InputError
from aifactory.inputs.importers.prices.formats import MOST_HOSTED_USD, read_prices
from aifactory.inputs.importers.prices.guards import MOST_USD_HOUR, guard
from aifactory.inputs.importers.prices.names import Names
from aifactory.inputs.importers.prices.offers import COLUMNS, Source
from aifactory.inputs.importers.prices.refresh import Settings, refresh_prices
from aifactory.inputs.new import new_workspace
from aifactory.inputs.resources import data_dir

AZURE = {"Items": [AZURE_ITEM, AZURE_ITEM | {"savingsPlan": [{"term": "1 Year", "retailPrice": 3}]}]}
LISTS = {"instances.json": EC2, "azure.json": AZURE, "models.json": LITELLM, "pricing.yml": GCOSTS}
STRANGE = [None, 0, -1, 1e308, "12.5 USD", True, [], [1], {"a": 1}, 10**20, "1e400", "2026-13-45"]
DAY = pd.Timestamp("2026-11-20")


@pytest.fixture(scope="module")
def names():
    return Names(pd.read_csv(data_dir() / "catalogue" / "accelerator_aliases.csv"))


def places(held, before=()):
    yield before
    items = held.items() if isinstance(held, dict) else enumerate(held) if isinstance(held, list) else ()
    for name, part in items:
        yield from places(part, (*before, name))


def with_one(held, place, value):
    if not place:
        return value
    changed = copy.deepcopy(held)
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return changed


@pytest.mark.parametrize("name", sorted(LISTS))
def test_anything_in_any_place_is_read_or_refused(tmp_path, names, name):
    path = tmp_path / name
    source = Source(name, names, DAY)
    for number, place in enumerate(places(LISTS[name])):
        for value in STRANGE[number % 3 :: 3]:
            held = with_one(LISTS[name], place, value)
            path.write_text(yaml.safe_dump(held) if name.endswith("yml") else json.dumps(held), encoding="utf-8")
            try:
                found = read_prices(path, source)
            except InputError:
                continue
            for offer in found.offers:
                assert isinstance(offer["usd_per_accelerator_hour"], float)
            for row in found.hosted:
                assert not any(value > MOST_HOSTED_USD for key, value in row.items() if key.startswith("usd"))


@pytest.mark.parametrize("content", [
    b"", b"\xef\xbb\xbf", SKYPILOT.encode("utf-16"), SKYPILOT.replace(",", ";").encode(), b"\x1f\x8b\x08000", b"PK\x03\x04",
    SKYPILOT.replace("Price", "Cost").encode(), (SKYPILOT + '"open').encode(), b"compute:\nabout:\n  \xff",
])  # fmt: skip
def test_other_files_say_what_they_are_not(tmp_path, names, content):
    path = tmp_path / "vms.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"vms\.csv"):
        read_prices(path, Source("vms.csv", names, DAY, "Nebius"))


@pytest.mark.parametrize(
    "change", [lambda t: "\ufeff" + t, lambda t: t.replace("\n", "\r\n"), lambda t: t + t.splitlines()[1] + "\n"]
)
def test_byte_order_mark_line_ends_and_repeated_rows_change_nothing(tmp_path, names, change):
    path = tmp_path / "vms.csv"
    path.write_bytes(change(SKYPILOT).encode())
    found = read_prices(path, Source("vms.csv", names, DAY, "Nebius"))
    assert sorted(offer["usd_per_accelerator_hour"] for offer in found.offers) == pytest.approx(
        [0.15484, 1.25, 1.5484, 2.95]
    )


def offers(*rows):
    base = dict.fromkeys(COLUMNS) | {"provider": "p", "sku": "s", "accelerator_id": "a", "region": "r",
            "purchase_option": "on_demand", "term_months": 0, "upfront_fraction": 0.0, "as_of": DAY}  # fmt: skip
    return pd.DataFrame([base | row for row in rows], columns=COLUMNS)


def test_two_prices_of_one_offer_are_both_left_out_and_one_price_twice_is_not():
    kept, why = guard(offers({"usd_per_accelerator_hour": 2.0}, {"usd_per_accelerator_hour": 3.0}, {"region": "q", "usd_per_accelerator_hour": 4.0},
                             {"region": "q", "usd_per_accelerator_hour": 4.0}))  # fmt: skip
    assert kept["usd_per_accelerator_hour"].tolist() == [4.0, 4.0]
    assert why == {"two prices of the same offer in this file": 2}


@pytest.mark.parametrize("usd", [0.0, -2.0, np.nan, MOST_USD_HOUR * 1.01])
def test_what_is_no_price_of_an_hour_is_left_out(usd):
    kept, why = guard(offers({"usd_per_accelerator_hour": usd}))
    assert kept.empty
    assert sum(why.values()) == 1


@pytest.mark.parametrize("place", ["provider", "sku", "region"])
@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+cmd", "'=x"])
def test_a_name_that_would_be_a_formula_is_left_out(place, text):
    kept, why = guard(offers({"usd_per_accelerator_hour": 2.0, place: text}, {"usd_per_accelerator_hour": 2.0}))
    assert len(kept) == 1
    assert why == {"name that a spreadsheet program would take for a formula": 1}


def test_one_broken_source_stops_no_other_and_held_rows_stay(tmp_path):
    new_workspace(tmp_path / "ws")
    good, bad = tmp_path / "lambdalabs.csv", tmp_path / "instances.json"
    good.write_text(GPUHUNT)
    bad.write_text(json.dumps(with_one(EC2, (0, "pricing", "us-east-1", "linux", "reserved"), [1])))
    settings = Settings(pd.Timestamp("2026-11-26", tz="UTC"), as_of="2026-11-20")
    first, second = refresh_prices(tmp_path / "ws", [str(bad), str(good)], settings)
    assert second.error == ""
    assert second.added > 0
    before = (tmp_path / "ws" / "prices.csv").read_bytes()
    refresh_prices(tmp_path / "ws", [str(good)], settings)
    assert (tmp_path / "ws" / "prices.csv").read_bytes() == before
    assert first.added > 0 or first.error


def lease(price, per="accelerator_hour", count=8, **constants):
    """A one-row lease offer and its mapping."""
    mapping = {"columns": {"accelerator": "Device", "price": "Price"}, "price_per": per}
    stated = {"provider": "Acme", "purchase_option": "lease", "term_months": 36, "currency": "USD", "count": count,
              "as_of": "2026-11-01"}  # fmt: skip
    return f'Device,Price\nnvidia-h100-sxm,"{price}"\n', mapping | {"constants": stated | constants}


@pytest.fixture(scope="module")
def believed(tmp_path_factory):
    """The state or the error of a quote in a workspace without any lease."""
    folder = tmp_path_factory.mktemp("quotes")
    new_workspace(folder / "ws")

    def state(text, mapping):
        (folder / "q.csv").write_text(text, encoding="utf-8")
        (folder / "m.yaml").write_text(yaml.safe_dump(mapping), encoding="utf-8")
        settings = Settings(pd.Timestamp("2026-11-26", tz="UTC"), mapping=folder / "m.yaml", write=False)
        (done,) = refresh_prices(folder / "ws", [str(folder / "q.csv")], settings)
        return done.error or ", ".join(done.states)

    return state


@pytest.mark.parametrize(
    ("offer", "state"),
    [
        (lease("2.50"), "new"),
        (lease("20.00", "node_hour"), "new"),
        (lease("14,600", "node_month"), "new"),
        (lease("20.00"), "quarantined"),  # price of the node
        (lease("2.50", "node_hour"), "quarantined"),  # price of the accelerator
        (lease("1825"), "quarantined"),  # price of a month
        (lease("0.0007"), "quarantined"),  # price of a second
        (lease("20.00", "node_hour", count=100_000), "quarantined"),
        (lease("2.50", currency="US$"), "new"),
    ],
)
def test_the_first_lease_of_an_accelerator_is_measured_by_its_hours(believed, offer, state):
    assert believed(*offer) == state


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        (lease(""), "price.*must be stated"),
        (lease("0,295"), "decimal point"),
        (lease("12,34"), "decimal point"),
        (lease("2.5", "accelerator_term", purchase_option="on_demand", term_months=0), "needs its term"),
        (lease("=2+1"), "decimal point"),
        (lease("2.5", currency="$"), "must be USD"),
        (lease("2.5", confidence="sure"), "is no level of confidence.*measured"),
        (lease("2.5", as_of="2026-11-01 or so"), "YYYY-MM-DD"),
        (lease("2.5", purchase_option="reserved_1y"), "does not go with reserved_1y: 12 months"),
        (lease("2.5", purchase_option="on_demand"), "does not go with on_demand: no months"),
    ],
)
def test_a_quote_that_contradicts_itself_is_refused(believed, offer, words):
    assert pd.Series([believed(*offer)]).str.contains(words).all(), believed(*offer)


def test_what_a_mapping_means_must_be_pairs(believed):
    text, mapping = lease("2.5")
    with pytest.raises(InputError, match=r"values\.accelerator"):
        believed(text, mapping | {"values": {"accelerator": ["H100"]}})


def test_two_list_prices_in_one_region_are_not_averaged(tmp_path, names):
    path = tmp_path / "vms.csv"
    path.write_text(SKYPILOT + SKYPILOT.splitlines()[2].replace("23.60", "29.00") + "\n", encoding="utf-8")
    found = read_prices(path, Source("vms.csv", names, DAY, "Nebius"))
    assert {offer["accelerator_id"] for offer in found.offers} == {"nvidia-l40s"}
    assert found.left_out["two prices of the same offer in this file"] == 1


def test_prices_not_in_force_on_the_day_are_left_out(tmp_path, names):
    path = tmp_path / "azure.json"
    later, ended = {"effectiveStartDate": "2027-06-01T00:00:00Z"}, {"effectiveEndDate": "2025-06-01T00:00:00Z"}
    path.write_text(json.dumps({"Items": [AZURE_ITEM, AZURE_ITEM | later, AZURE_ITEM | ended]}), encoding="utf-8")
    found = read_prices(path, Source("azure.json", names, DAY))
    assert (len(found.offers), found.left_out["prices not in force on the day of the list"]) == (1, 2)


@pytest.mark.parametrize("price", [-1e-6, "=1+1", "free"])
def test_a_hosted_model_with_a_price_that_is_none_is_left_out_whole(tmp_path, names, price):
    path = tmp_path / "models.json"
    path.write_text(json.dumps({"m": LITELLM["gpt-4o"] | {"input_cost_per_token": price}}), encoding="utf-8")
    found = read_prices(path, Source("models.json", names, DAY))
    assert found.hosted == []
    assert found.left_out == {"price that is no number, or negative": 1}


def twice(tmp_path, name, text):
    """Refresh a new workspace twice with one list; both reports and what the workspace then holds."""
    new_workspace(tmp_path / "ws")
    (tmp_path / name).write_text(text, encoding="utf-8")
    settings = Settings(pd.Timestamp("2026-11-26", tz="UTC"), as_of="2026-11-20", provider="Nebius")
    first, again = (refresh_prices(tmp_path / "ws", [str(tmp_path / name)], settings)[0] for _ in range(2))
    return first, again, pd.read_csv(tmp_path / "ws" / "prices.csv", keep_default_na=False)


@pytest.mark.parametrize(
    ("name", "text", "added", "reason"),
    [
        ("vms.csv", SKYPILOT.replace("gpu-h100-sxm_8gpu", "null"), 3, ""),  # an instance without a name
        ("lambdalabs.csv", GPUHUNT.replace("8x_h100,us-east-1", "8x_h100,null"), 1, "region a value is required"),
        ("lambdalabs.csv", GPUHUNT.replace("True,512,lambdalabs", "True,512,NaN"), 2, "provider a value is required"),
        ("lambdalabs.csv", GPUHUNT.replace("1800,8,H100", "1800,2.95,H100"), 1, "no whole number of them"),
        ("lambdalabs.csv", GPUHUNT.replace("80,True", "80,yes"), 2, "spot 'yes' is neither true nor false"),
        ("lambdalabs.csv", GPUHUNT.replace("A100,40,", "A100,40960,"), 2, "device 'A100' is not in the catalogue"),
        ("lambdalabs.csv", GPUHUNT.replace("23.92", "2_392"), 2, "no price"),
    ],
)  # fmt: skip
def test_what_is_stored_can_be_read_again_and_is_added_once(tmp_path, name, text, added, reason):
    first, again, rows = twice(tmp_path, name, text)
    assert (first.added, again.added, again.error, len(rows)) == (added, 0, "", added)
    assert not reason or any(reason in why for why in first.left_out), first.left_out


def test_a_negative_spot_price_of_a_zone_does_not_move_the_median(tmp_path, names):
    path, row = tmp_path / "vms.csv", SKYPILOT.splitlines()[2]
    path.write_text(
        SKYPILOT + row.replace("10.00", "12.00") + "\n" + row.replace("10.00", "-10.00") + "\n", encoding="utf-8"
    )
    found = read_prices(path, Source("vms.csv", names, DAY, "Nebius"))
    assert [offer["usd_per_accelerator_hour"] for offer in found.offers if offer["purchase_option"] == "spot"][
        0
    ] == 11 / 8
    assert found.left_out["price that is no number, or negative"] == 1


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.yml", 'about: {}\ncompute: {"instance": &a {"x": {}}, "again": *a}\n', "aliases"),
        ("x.yml", "about: {}\ncompute:\n  instance:\n    a2-highgpu-1g: {}\n    a2-highgpu-1g: {}\n", "given twice"),
        ("x.json", '{"Items": [{"retailPrice": 98, "retailPrice": 9.8}]}', "retailPrice.*twice, with two values"),
    ],
)
def test_one_name_with_two_values_is_refused(tmp_path, names, name, text, words):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        read_prices(tmp_path / name, Source(name, names, DAY))


def test_a_list_of_which_nothing_holds_says_why(tmp_path):
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(with_one(EC2, (0, "pricing", "us-east-1"), {})), encoding="utf-8")
    new_workspace(tmp_path / "ws")
    settings = Settings(pd.Timestamp("2026-11-26", tz="UTC"), as_of="2026-11-20", write=False)
    (done,) = refresh_prices(tmp_path / "ws", [str(path)], settings)
    assert (done.error, done.added) == ("", 0)
    assert done.left_out == {"instances without accelerators": 1, "government or China region, priced apart": 1}


def test_the_row_of_a_quote_is_that_of_the_file(believed):
    _, mapping = lease("2.5")
    told = believed("Offer of October\n\nDevice,Price\nnvidia-h100-sxm,2.50\n\nnvidia-h100-sxm,free\n", mapping)
    assert "row 6" in told


def test_prices_of_hosted_models_are_compared_as_those_of_accelerators(tmp_path):
    new_workspace(tmp_path / "ws")

    def refreshed(day, cost, **settings):
        model = {"litellm_provider": "acme", "input_cost_per_token": 1e-6, "output_cost_per_token": cost}
        (tmp_path / "models.json").write_text(json.dumps({"acme/m": model}), encoding="utf-8")
        given = Settings(pd.Timestamp("2026-11-26", tz="UTC"), as_of=day, **settings)
        (done,) = refresh_prices(tmp_path / "ws", [str(tmp_path / "models.json")], given)
        return done

    assert refreshed("2026-11-01", 2e-6).states == {"new": 1}
    assert (again := refreshed("2026-11-01", 2e-6)).states == {"held": 1}
    assert again.hosted_added == 0
    assert "another price of acme/m" in refreshed("2026-11-01", 2.1e-6).error
    assert refreshed("2026-11-10", 2.2e-6).changes["change"].tolist() == [pytest.approx(0.1)]
    waits = refreshed("2026-11-20", 2.2e-3)  # a price of a thousand tokens
    assert (waits.states, waits.hosted_added) == ({"quarantined": 1}, 0)
    assert refreshed("2026-11-20", 2.2e-3, accept=True).hosted_added == 1


@pytest.mark.parametrize("sku", ["Standard_NC24ads_A100_v4", "NC24ads_A100_v4", "nc24ads_a100_v4"])
def test_an_instance_type_of_azure_is_known_without_the_word_standard(names, sku):
    assert names.find(sku, "A100", 1.0, 80.0) == ("nvidia-a100-80-pcie", 1.0, "")
