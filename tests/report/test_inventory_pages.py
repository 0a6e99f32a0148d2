"""Sections of the inventory page: answers are computed, and what is missing is said."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from aifactory.inputs.workspace import load_workspace
from aifactory.inventory import build_inventory
from aifactory.report import inventory_page as page
from aifactory.report.inventory_candidates import _asked
from aifactory.report.inventory_questions import NAMED, _first_names, _signed
from aifactory.report.inventory_service import unmeasured_targets
from aifactory.report.text import usd_compact

SECTIONS = ("three_questions", "table_catalogue", "data_received", "table_profile", "table_seasons", "drift_section", "local_section",
            "waste_section", "overlap_section", "table_pools", "service_section", "tail_section", "tenant_section",
            "retry_section", "reuse_section")  # fmt: skip


@pytest.fixture(scope="module")
def tiny(mini_stages):
    return mini_stages.ws, mini_stages.inventory


@pytest.fixture(scope="module")
def sample(sample_stages):
    return sample_stages.ws, sample_stages.inventory


def text_of(name, pair):
    return getattr(page, name)(*pair).text


def only_demand(mini, kept):
    for path in mini.glob("*.csv"):
        if path.stem not in ("use_cases", kept):
            path.unlink()
    ws = load_workspace(mini)
    return ws, build_inventory(ws)


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize("kept", ["demand_windows", "jobs"])
def test_every_section_says_something_with_little_data(mini, name, kept):
    text = text_of(name, only_demand(mini, kept))
    assert text
    assert "nan" not in text.lower().split()


@pytest.mark.parametrize("name", SECTIONS)
def test_every_block_of_the_sample_has_its_source(sample, name):
    html = getattr(page, name)(*sample).html
    assert html.count("<caption") == html.count("Source:")


def test_the_three_questions_are_answered_in_one_row(tiny):
    row = next(line for line in text_of("three_questions", tiny).splitlines() if line.strip().startswith("Chat"))
    assert "228 k requests, 432 in the highest hour" in row
    assert "USD 29.8 k" in row
    assert "1.8 % failed; no target measured; an hour is worth USD 1.53, the highest USD 2.16" in row
    assert "unknown: no charge names it" in text_of("three_questions", tiny)  # images
    assert "those of nvidia-a100-80-sxm, whatever its jobs run on" in page.three_questions(*tiny).html
    ws, inventory = tiny
    chat = inventory.three_questions.assign(uncharged_regions=["eu", *[""] * (len(inventory.three_questions) - 1)])
    assert ", work in eu left out" in text_of(
        "three_questions", (ws, dataclasses.replace(inventory, three_questions=chat))
    )


def test_usage_of_no_use_case_is_told_beside_that_of_all(sample):
    ws, inventory = sample
    lines = inventory.spend_reconciliation.set_index("line")["effective_cost"].astype(float)
    rest = lines["attributed usage"] + lines["unattributed usage"] - inventory.three_questions["usd"].iloc[-1]
    assert rest > 1 and f"Usage worth {usd_compact(rest)} names no use case." in text_of("three_questions", sample)
    all_named = inventory.spend_reconciliation.assign(effective_cost=0)
    assert "names no use case" not in text_of(
        "three_questions", (ws, dataclasses.replace(inventory, spend_reconciliation=all_named))
    )


def test_an_unknown_value_names_whom_to_ask(mini):
    path = mini / "use_cases.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",0.05,0.01,0.5,", ",0.05,,0.5,"), encoding="utf-8")
    ws = load_workspace(mini)
    text = text_of("three_questions", (ws, build_inventory(ws)))
    assert "value unknown: ask head of service for the value of a unit" in text
    assert "For 1 use case the value is not known." in text


def test_drift_of_the_sample_is_the_finding(sample):
    text = text_of("drift_section", sample)
    assert text.splitlines()[1].startswith("1 distribution of ")
    assert "claims-assistant, prompt length moved most (mean 2,704 to 3,920 tokens, index 0.32" in text


def test_a_first_month_has_no_drift(tiny):
    ws, inventory = tiny
    first = dataclasses.replace(inventory, drift=inventory.drift.iloc[:0])
    assert "there is no earlier month to compare with" in text_of("drift_section", (ws, first))


def test_what_was_not_counted_is_not_measured(tiny):
    assert "Not measured: no requests name their tenant." in text_of("tenant_section", tiny)
    ws, inventory = tiny
    blind = dataclasses.replace(
        inventory,
        retries=inventory.retries.assign(retries=float("nan"), load_multiplier=float("nan"), retries_measured=False),
        prefix_reuse=inventory.prefix_reuse.assign(cached_share=float("nan")),
    )
    assert "Retries were not counted" in text_of("retry_section", (ws, blind))
    assert "Not measured: no counts of cached prompt tokens." in text_of("reuse_section", (ws, blind))


def test_the_largest_causes_of_waste_name_owner_and_action(tiny):
    text = text_of("waste_section", tiny)
    assert "USD 27.1 k of the month, 60 % of the usage paid for, did no work that counted" in text
    assert "chat-pool, idle between peaks: USD 14.9 k a month (50 % of 5,952 h idle" in text
    assert "Owner: head of platform. Rented by the hour" in text


def test_what_is_not_drawn_is_not_called_smaller(tiny):
    """The largest of a small cause is drawn beside the largest of all, so that larger ones are left to the table."""
    ws, inventory = tiny
    row = inventory.waste.iloc[[0]]
    waste = pd.concat(
        [*(row.assign(usd=900.0 - n) for n in range(9)), row.assign(usd=1.0, cause="work that failed")],
        ignore_index=True,
    )
    html = page.waste_section(ws, dataclasses.replace(inventory, waste=waste)).parts[2]
    assert "Drawn are the 7 largest and, of every cause, its largest; 2 more with" in str(
        html.spec if hasattr(html, "spec") else vars(html)
    )


def test_one_cause_is_not_called_several(tiny):
    ws, inventory = tiny
    text = page.waste_section(ws, dataclasses.replace(inventory, waste=inventory.waste.head(1))).text
    assert "largest causes" not in text


def test_staying_local_has_a_price_where_the_bill_names_accelerators(sample):
    text = text_of("local_section", sample)
    assert (
        "Latency or sites, USD" in text and "Not pooled over all: latency or sites" in text
    )  # places that stand alone pool nothing
    assert "costs 16 of 121 accelerators and USD 48.6 k a month, use case by use case; USD 73.3 k a month where" in text
    assert "claims-assistant, fraud-model" in text


def test_seasons_are_said_to_be_tested_and_what_could_not_be(sample):
    text = page.demand_section(sample[1]).text
    assert "tested against chance" in text
    assert "No season of the year is likely so far: the months to come are planned at 0.99 to 1.0" in text
    told = page.demand_section(sample[1])
    assert "A season of the year is forecast as far as 13 months of history bear it out" in str(told)


def test_owners_with_long_lists_are_cut_and_counted():
    names = [f"case-{number}" for number in range(30)]
    assert _first_names(", ".join(names)) == ", ".join(names[:NAMED]) + " and 22 more"
    assert _first_names("a, b") == "a, b"


def test_every_table_of_the_inventory_is_published(sample):
    tables = page.tables(sample[1])
    frames = {
        field.name
        for field in dataclasses.fields(sample[1])
        if isinstance(getattr(sample[1], field.name), pd.DataFrame)
    }
    inside = {"demand_bands", "named_scenarios", "chain_doubts"}  # tables of the scenarios
    assert set(tables) == (frames - {"windows"}) | inside
    assert set(page.SOURCES) == set(tables)
    headline = page.headline(sample[1])
    assert headline["waste"][0] == pytest.approx(tables["waste"]["usd"].sum())
    assert headline["value_at_risk_per_hour"][0] == pytest.approx(1188.21, rel=1e-5)


def test_names_of_data_are_escaped(sample):
    ws, inventory = sample
    hostile = inventory.waste.assign(subject="<script>alert(1)</script>")
    html = page.waste_section(ws, dataclasses.replace(inventory, waste=hostile)).html
    assert "<script>alert" not in html


def test_bought_hardware_outside_the_bill_is_named_beside_the_money(mini):
    path = mini / "pools.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("on_demand,8,0.5", "purchase,16,0.5"), encoding="utf-8")
    ws = load_workspace(mini)
    found = (ws, build_inventory(ws))
    idle = 1 - (5952 + 1488) / (2 * 5952 + 5952)
    assert f"idle for {idle:.0%} of the hours".replace("%", " %") in page.finding(found[1])
    assert page.finding(found[1]).endswith("worth USD 11.2 k without 1 pool that the bill does not price.")
    assert "Not in it are 5,952 idle accelerator-hours of chat-pool" in text_of("waste_section", found)
    assert "nothing: not in the bill" in text_of("table_pools", found)


def test_devices_in_the_field_leave_the_mean_utilisation_alone(mini):
    """930 cameras at 1 % beside 8 accelerators at 50 %: the mean of both would say 1.4 %; of cameras alone it is theirs."""
    ws = load_workspace(mini)
    found = build_inventory(ws)
    row = found.pools.iloc[[0]].assign(
        installed=8.0, accelerator_hours=5952.0, idle_accelerator_hours=2976.0, idle_usd=400.0, in_field=False
    )
    cameras = row.assign(pool_id="cameras", accelerator_id="hailo-8", installed=930.0, accelerator_hours=930 * 744.0,
                         idle_accelerator_hours=0.99 * 930 * 744, idle_usd=50.0, in_field=True)  # fmt: skip
    both = dataclasses.replace(found, pools=pd.concat([row, cameras], ignore_index=True))
    assert page.finding(both).endswith(
        "stood idle for 50 % of the hours installed (930 devices in the field apart), worth USD 400."
    )
    assert page.headline(both)["utilization"][0] == pytest.approx(0.5)
    assert "8 installed, 930 devices in the field apart" in page.inventory_head(ws, both).html.replace("\xa0", " ")
    alone = dataclasses.replace(found, pools=cameras)
    assert "99 % of the hours installed, worth USD 50." in page.finding(alone)


def test_a_target_without_measurements_is_not_counted_as_kept(tiny):
    ws, inventory = tiny
    unmeasured = inventory.three_questions.assign(targets=0, targets_missed=0)
    text = text_of("three_questions", (ws, dataclasses.replace(inventory, three_questions=unmeasured)))
    assert "no latency target was measured" in text and "0 of 0" not in text


@pytest.mark.parametrize(("share", "shown"), [(0.0004, "0.0 %"), (-0.0004, "0.0 %"), (0.012, "+1.2 %"), (0, "0 %")])
def test_a_change_too_small_to_show_has_no_sign(share, shown):
    assert _signed(share) == shown


def test_a_busiest_hour_is_no_finding_where_nothing_repeats(tiny):
    ws, inventory = tiny
    assert inventory.demand_profile["daily_season"].any()
    title = page.chart_demand_heatmap(ws, inventory).text
    assert "Load peaks on " in title
    profile = inventory.demand_profile.assign(daily_season=False, weekly_season=False)
    still = page.chart_demand_heatmap(ws, dataclasses.replace(inventory, demand_profile=profile)).text
    assert still == title.replace("Load peaks on", "No hour or weekday is proven to repeat; load was highest on")


def test_the_busiest_hour_is_not_told_from_days(tiny):
    ws, inventory = tiny
    by_day = inventory.windows.assign(window_minutes=1440)
    text = page.chart_demand_heatmap(ws, dataclasses.replace(inventory, windows=by_day)).text
    assert "longer than an hour" in text and "00:00" not in text


def test_a_proven_yearly_season_is_told_with_its_highest_and_lowest_month(tiny):
    ws, inventory = tiny
    assert "months of the year" not in page.demand_section(inventory).text
    factor = np.ones(12)
    factor[[10, 0]] = 2.4, 0.8
    basis = dataclasses.replace(inventory.demand_basis, seasons={"chat": factor})
    profile = inventory.demand_profile.assign(growth_season=0.9)
    text = page.demand_section(dataclasses.replace(inventory, demand_basis=basis, demand_profile=profile)).text
    assert "repeat chat (highest in November at 2.40 times the mean month, lowest in January at 0.80)" in text
    assert "each month to come is planned at its factor" in text
    unlikely = dataclasses.replace(inventory, demand_basis=basis)
    assert "planned at 0.80 to 2.40 times the mean month" in page.demand_section(unlikely).text


@pytest.mark.parametrize(
    ("within", "said"), [([True, pd.NA], "good"), ([True, False], "watch"), ([pd.NA, pd.NA], ""), ([], "")]
)
def test_limits_of_failures_that_nobody_states_are_not_kept(within, said):
    assert page._kept(pd.Series(within, dtype="boolean")) == said


def test_months_of_higher_days_are_told(tiny):
    ws, inventory = tiny
    basis = dataclasses.replace(inventory.demand_basis, day_peaks={("chat", "eu"): np.array([1.0] * 10 + [2.0, 1.0])})
    text = page.demand_section(dataclasses.replace(inventory, demand_basis=basis)).text
    assert "In November of years before the busiest day was 2 times as high" in text and "(chat in eu)" in text


def test_failures_beyond_their_limit_are_said_beside_the_latency(tiny):
    ws, inv = tiny
    rows = inv.failures_and_queues
    kept = rows.assign(failure_rate=0.001, slo_max_failure_rate=0.005, within_limit=True)
    assert (
        "limits of failures are kept"
        in page.service_section(ws, dataclasses.replace(inv, failures_and_queues=kept)).text
    )
    over = kept.assign(
        failure_rate=[0.006] + [0.001] * (len(kept) - 1), within_limit=[False] + [True] * (len(kept) - 1)
    )
    said = page.service_section(ws, dataclasses.replace(inv, failures_and_queues=over)).text
    first = over.iloc[0]
    assert (
        f"1 of {len(over)} limits of failures is exceeded: {first['use_case_id']} in {first['region']} fails in 0.60"
        in said.replace("\N{NO-BREAK SPACE}", " ")
    )


def test_targets_that_nothing_measured_are_counted(sample):
    ws, inv = sample
    cases = ws.table("use_cases")
    stated = cases[cases["use_case_id"].isin(inv.demand_profile["use_case_id"])]
    stated = int(stated[["slo_p95_ttft_ms", "slo_p95_tpot_ms", "slo_p95_e2e_ms"]].notna().sum().sum())
    none = dataclasses.replace(inv, service_levels=inv.service_levels.iloc[:0])
    known = inv.service_levels.dropna(subset=["slo"])[["use_case_id", "metric"]].drop_duplicates()
    assert unmeasured_targets(ws, none) == stated > 0
    assert unmeasured_targets(ws, inv) == stated - len(known)
    first, rest = known.iloc[0], stated - len(known) + 1
    lost = inv.service_levels[inv.service_levels[["use_case_id", "metric"]].ne(first).any(axis=1)]
    words = f"{rest} more that owners state {'was' if rest == 1 else 'were'} not measured."
    assert words in page.service_section(ws, dataclasses.replace(inv, service_levels=lost)).text


def test_teams_without_an_owner_are_no_owners():
    owners = pd.DataFrame({"owner_role": ["head of data", "(unknown)", "(unknown)"]})
    assert _asked(owners) == "1 owner and 2 teams that name no owner"
    assert _asked(owners.iloc[1:2]) == "1 team that names no owner"


def test_a_use_case_that_fell_silent_stands_on_the_first_screen(mini_ws):
    windows = mini_ws.table("demand_windows")
    october = windows["window_start_utc"] >= pd.Timestamp("2026-10-01", tz="UTC")
    left = windows[~(october & (windows["use_case_id"] == "chat"))]
    ws = dataclasses.replace(mini_ws, tables={**mini_ws.tables, "demand_windows": left})
    (said,) = page.silence_warnings(ws)
    assert said == (
        "chat was asked in the months before and has no demand in October 2026, though the bill charges USD 29.8 k to it: "
        "nothing is planned for it. Import what is missing, or state its retire_month in use_cases."
    )
    assert page.status_of(ws) == "draft" and page.silence_warnings(mini_ws) == []


def test_limits_of_sessions_say_what_they_are_compared_with(sample, tiny):
    words = "E2E limits of dev-copilot and procurement-agent are compared with single requests"
    assert words in page.service_section(*sample).html
    assert "single requests" not in page.service_section(*tiny).html


def test_a_single_tenant_is_no_concentration_of_equals(sample):
    """Whose requests all name one tenant is named first, in the singular; otherwise the fewest equals."""
    ws, inventory = sample
    first = inventory.tenants[inventory.tenants["tenants"] > 0].iloc[0]
    one = inventory.tenants.assign(tenants=inventory.tenants["tenants"].mask(inventory.tenants["use_case_id"] == first["use_case_id"], 1))  # fmt: skip
    text = text_of("tenant_section", (ws, dataclasses.replace(inventory, tenants=one)))
    assert f"All requests of {first['use_case_id']} that name a tenant name the same one" in text
    assert "hangs on the fewest" in text_of("tenant_section", sample)


def test_prices_of_hosted_models_are_told_where_tokens_are_counted(mini_ws, changed):
    windows = mini_ws.table("demand_windows")
    assert page.hosted_price_warnings(mini_ws)
    none = windows.assign(input_tokens=pd.NA, output_tokens=pd.NA)
    assert page.hosted_price_warnings(changed(demand_windows=none)) == []
