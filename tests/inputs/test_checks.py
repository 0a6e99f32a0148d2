"""Each check between columns and tables, with one broken workspace that triggers it."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from aifactory.buyplan.ledger import PORTING, REWORK
from aifactory.errors import InputError
from aifactory.finance.tco import CONTINGENCY, OVERHEADS
from aifactory.inputs.checks import CHECKS, check_tables
from aifactory.inputs.demand_checks import far_months, far_windows, lone_windows, moved_windows
from aifactory.inputs.findings import CHECK_COLUMNS, Finding, findings_frame
from aifactory.inputs.plan_checks import OWN_LINES
from aifactory.inputs.region_checks import misspelt_providers, unserved_prices
from aifactory.inputs.workspace import load_workspace

REQUESTS = (
    "request_id,timestamp_utc,use_case_id,region,status,ttft_ms,e2e_ms\nr1,2026-10-05T09:00:00Z,models,us,ok,{0}\n"
)
CHAIN_HEAD = "use_case_id,region,factor,value,low,high,owner_role,source,as_of\n"
BOOK_HEAD = (
    "order_id,plan_period,region,accelerator_id,purchase_option,accelerators,order_month,start_month,end_month,"
    "usd_per_accelerator_hour,upfront_usd,source,as_of\n"
)
LOG_HEAD = "date,kind,subject,text,owner_role,due,status,evidence,review_date\n"
WHAT_IF_HEAD = "scenario,use_case_id,workload_class,region,first_month,last_month,multiplier,note,source,as_of\n"
PRICE_HEAD = (
    "price_id,provider,sku,accelerator_id,region,purchase_option,term_months,"
    "usd_per_accelerator_hour,source,as_of,confidence\n"
)
PRICE = "{0},AWS,s,nvidia-l4,*,{1},0,{2},test,2026-10-01,measured\n"
JOB = "j9,models,us,nvidia-a100-80-sxm,8,2026-10-20T05:00:00Z,{0},{1},completed\n"


def swap(file, old, new):
    """Replace the first occurrence of a text in a file of the workspace."""

    def edit(folder: Path):
        path = folder / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return edit


def first(file, **values):
    """Fill cells of the first row of a file of the workspace."""

    def edit(folder: Path):
        path = folder / file
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        for column, value in values.items():
            table[column] = [str(value), *table.get(column, pd.Series("", table.index)).iloc[1:]]
        table.to_csv(path, index=False)

    return edit


def every_row(file, number=None, **values):
    """Fill cells of all rows of a file of the workspace, or of one."""

    def edit(folder: Path):
        path = folder / file
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        for column, value in values.items():
            if column not in table:
                table[column] = ""
            table.loc[table.index if number is None else number, column] = str(value)
        table.to_csv(path, index=False)

    return edit


def add(file, text):
    """Append rows to a file of the workspace."""

    def edit(folder: Path):
        path = folder / file
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(before + text, encoding="utf-8")

    return edit


STEP = (
    "plan_period,region,accelerator_id,band,kind,purchase_option,accelerators,order_month,start_month,threshold_accelerators,"
    "lead_time_weeks,commitment_usd,milestone,owner_role\n"
    "{0},us,nvidia-h100-sxm,growth,capacity,on_demand,8,2026-09,2026-09,26.4,0,0,growth,head\n"
)
APPROVED = (
    "plan_period,month,use_case_id,region,accelerator_id,units,accelerator_hours,compute_usd,cost_usd\n"
    "{0},2026-10,chat,us,nvidia-h100-sxm,1,1,1,1\n"
)
PURCHASE = (
    "price_id,provider,sku,accelerator_id,region,purchase_option,term_months,upfront_fraction,usd_per_accelerator_hour,"
    "usd_per_accelerator,source,as_of,confidence\nown,Dealer,s,nvidia-l4,*,purchase,0,1,2,2700,test,2026-10-01,measured\n"
)


def one_provider_region(folder: Path):
    """Both regions of the plan name the provider region of the bill."""
    every_row("billing.csv", RegionId="us-east-1")(folder)
    plan = yaml.safe_load((folder / "plan.yaml").read_text(encoding="utf-8"))
    for region in plan["regions"]:
        region["provider_regions"] = {"AWS": "us-east-1"}
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan), encoding="utf-8")


FIRST_WINDOW = "2026-09-01T00:00:00Z,60,chat,us,100,2,2,98,50000,10000,10000"
FIRST_POOL = "2026-09-01T00:00:00Z,1440,chat-pool,us,nvidia-h100-sxm,on_demand,8,0.4,2800"
BROKEN = {
    "a charge that ends before it begins": (
        "bill_in_its_month",
        swap(
            "billing.csv",
            "2026-09-01T00:00:00Z,2026-09-01T00:00:00Z,2026-10-01",
            "2026-09-01T00:00:00Z,2026-09-01T00:00:00Z,2026-08-01",
        ),
        "billing, row 2, column 'ChargePeriodEnd': value '2026-08-01 00:00:00+00:00': is before ChargePeriodStart",
    ),
    "a job of an unknown use case": (
        "foreign_keys",
        swap("jobs.csv", "job-1,models", "job-1,model"),
        "jobs, row 2, column 'use_case_id': value 'model': is not in table use_cases. Did you mean 'models'?",
    ),
    "the end of support of an unknown accelerator": (
        "foreign_keys",
        add(
            "lifecycle.csv",
            "accelerator_id,event,date,note,source,as_of,confidence\nnvidia-t44,end_of_support,2027-09,,x,2026-09-30,claimed\n",
        ),
        "lifecycle, row 2, column 'accelerator_id': value 'nvidia-t44': is not in table accelerators. Did you mean 'nvidia-t4'?",
    ),
    "an unknown accelerator": (
        "foreign_keys",
        swap("pools.csv", "chat-pool,us,nvidia-h100-sxm", "chat-pool,us,nvidia-h100-sxn"),
        "pools, row 2, column 'accelerator_id': value 'nvidia-h100-sxn': is not in table accelerators. "
        "Did you mean 'nvidia-h100-sxm'?",
    ),
    "more errors than requests": (
        "errors_within_requests",
        swap("demand_windows.csv", FIRST_WINDOW, FIRST_WINDOW.replace(",100,2,2", ",100,101,2")),
        "demand_windows, row 2, column 'errors': value '101': exceeds requests",
    ),
    "more retries than requests": (
        "errors_within_requests",
        swap("demand_windows.csv", FIRST_WINDOW, FIRST_WINDOW.replace(",100,2,2", ",100,2,101")),
        "demand_windows, row 2, column 'retries': value '101': exceeds requests",
    ),
    "more cached than prompt tokens": (
        "cached_within_input",
        swap("demand_windows.csv", "50000,10000", "50000,50001"),
        "demand_windows, row 2, column 'cached_input_tokens': value '50001': exceeds input_tokens",
    ),
    "windows of two lengths": (
        "one_window_length",
        swap("demand_windows.csv", "00Z,60,chat", "00Z,30,chat"),
        "demand_windows, column 'window_minutes': value 'chat': has windows of 30 and of 60 minutes in us in 2026-09",
    ),
    "a first token after the last": (
        "ttft_within_e2e",
        add("requests.csv", REQUESTS.format("9000,6000")),
        "requests, row 2, column 'ttft_ms': value '9000.0': exceeds e2e_ms",
    ),
    "a launch of an unknown use case": (
        "plan_names_known",
        swap(
            "plan.yaml",
            "launches: []",
            "launches: [{use_case_id: chatt, month: 2027-01, demand_multiplier: 2, milestone: m}]",
        ),
        "value 'chatt': (plan.yaml) is not in table use_cases. Did you mean 'chat'?",
    ),
    "a port of an unknown use case": (
        "plan_names_known",
        swap(
            "plan.yaml",
            "ports_under_way: []",
            "ports_under_way: [{use_case_id: chatt, platform_class: tpu, begun: 2026-09}]",
        ),
        "column 'ports_under_way': value 'chatt': (plan.yaml) is not in table use_cases. Did you mean 'chat'?",
    ),
    "a job that starts before it is submitted": (
        "jobs_in_order",
        add("jobs.csv", JOB.format("2026-10-20T04:00:00Z", "2026-10-20T06:00:00Z")),
        "jobs, row 10, column 'started_utc': value '2026-10-20 04:00:00+00:00': is before submitted_utc",
    ),
    "a job that ends before it starts": (
        "jobs_in_order",
        add("jobs.csv", JOB.format("2026-10-20T06:00:00Z", "2026-10-20T05:30:00Z")),
        "jobs, row 10, column 'ended_utc': value '2026-10-20 05:30:00+00:00': is before started_utc",
    ),
    "a charge in another currency": (
        "one_currency",
        swap("billing.csv", ",USD,", ",EUR,"),
        "billing, row 2, column 'BillingCurrency': value 'EUR': the plan is in USD; state the rate of its month under exchange_rates of "
        "plan.yaml, currencies are never added; without one: 2026-09",
    ),
    "a region that the plan does not describe": (
        "regions_described",
        swap("pools.csv", "chat-pool,us,", "chat-pool,usa,"),
        "pools, row 2, column 'region': value 'usa': is not described in plan.yaml. Did you mean 'us'?",
    ),
    "a request in a region that the plan does not describe": (
        "regions_described",
        add("requests.csv", REQUESTS.format("50,900").replace(",us,", ",uss,")),
        "requests, row 2, column 'region': value 'uss': is not described in plan.yaml. Did you mean 'us'?",
    ),
    "a residency rule for an unknown region": (
        "allowed_regions_known",
        swap("use_cases.csv", "production,eu,", "production,eu; uss,"),
        "use_cases, row 3, column 'allowed_regions': value 'uss': is not described in plan.yaml. Did you mean 'us'?",
    ),
    "regions of a residency rule with the wrong separator": (
        "allowed_regions_known",
        swap("use_cases.csv", "production,eu,", "production,us|eu,"),
        "use_cases, row 3, column 'allowed_regions': value 'us|eu': separate regions by ';': eu; us",
    ),
    "training that counts requests": (
        "unit_fits_class",
        swap("use_cases.csv", "accelerator_hour", "request"),
        "use_cases, row 4, column 'service_unit': value 'request': training and fine-tuning count accelerator_hour",
    ),
    "chat that counts accelerator hours": (
        "unit_fits_class",
        swap("use_cases.csv", "-8B,request", "-8B,accelerator_hour"),
        "use_cases, row 2, column 'service_unit': value 'accelerator_hour': training",
    ),
    "a wait of jobs for chat": (
        "wait_of_jobs",
        first("use_cases.csv", slo_p95_wait_hours=4),
        "use_cases, row 2, column 'slo_p95_wait_hours': value '4.0': is a limit of training and fine-tuning jobs",
    ),
    "an end before the launch": (
        "life_in_order",
        first("use_cases.csv", launch_month="2027-05", retire_month="2027-05"),
        "use_cases, row 2, column 'retire_month': value '2027-05': must come after launch_month",
    ),
    "a purchase with a price per hour": (
        "price_matches_option",
        add("prices.csv", PRICE_HEAD + PRICE.format("p1", "purchase", 2)),
        "prices, row 2, column 'purchase_option': value 'purchase': a purchase needs usd_per_accelerator",
    ),
    "an offer without its price": (
        "price_matches_option",
        add("prices.csv", PRICE_HEAD + PRICE.format("p1", "on_demand", "")),
        "prices, row 2, column 'purchase_option': value 'on_demand': a purchase needs usd_per_accelerator",
    ),
    "a candidate that nobody knows": (
        "candidates_known",
        swap("plan.yaml", "- nvidia-h100-sxm\n", "- nvidia-h10-sxm\n"),
        "accelerators, column 'candidates': value 'nvidia-h10-sxm': (plan.yaml) is not in table accelerators. "
        "Did you mean 'nvidia-h100-sxm'?",
    ),
    "a reference that nobody knows": (
        "candidates_known",
        swap("plan.yaml", "reference_accelerator: nvidia-a100-80-sxm", "reference_accelerator: nvidia-a100-80"),
        "accelerators, column 'reference_accelerator': value 'nvidia-a100-80': (plan.yaml) is not in table accelerators. ",
    ),
    "a chain whose low is above its value": (
        "demand_chain",
        add("demand_chain.csv", CHAIN_HEAD + "chat,,seats,100,120,150,head,test,2026-10-31\n"),
        "demand_chain, row 2, column 'value': value '100.0': low <= value <= high must hold",
    ),
    "a share in percent": (
        "demand_chain",
        add("demand_chain.csv", CHAIN_HEAD + "chat,,active_share,40,,,head,test,2026-10-31\n"),
        "demand_chain, row 2, column 'value': value '40.0': a share is at most 1; is it percent? 40 % is 0.4",
    ),
    "a factor given twice": (
        "demand_chain",
        add("demand_chain.csv", CHAIN_HEAD + "chat,,seats,100,,,head,test,2026-10-31\n" * 2),
        "demand_chain, row 3, column 'factor': value 'seats': is given twice",
    ),
    "shares of regions that do not add up": (
        "demand_chain",
        add("demand_chain.csv", CHAIN_HEAD + "chat,eu,region_share,0.6,,,head,test,2026-10-31\n"),
        "demand_chain, column 'region_share': value 'chat': shares of the regions must add up to 1, got 0.6",
    ),
    "a launch without its seats": (
        "demand_chain",
        add("demand_chain.csv", CHAIN_HEAD + "chat,,units_per_seat_month,9,,,head,test,2026-10-31\n"),
        "demand_chain, column 'factor': value 'chat': needs seats, active_share, active_share_day_90 above 0",
    ),
    "a share of a region that nobody knows": (
        "demand_chain",
        add("demand_chain.csv", CHAIN_HEAD + "chat,uss,region_share,1,,,head,test,2026-10-31\n"),
        "demand_chain, row 2, column 'region': value 'uss': is not described in plan.yaml. Did you mean 'us'?",
    ),
    "a named scenario that ends before it begins": (
        "demand_what_ifs",
        add("demand_what_ifs.csv", WHAT_IF_HEAD + "boom,chat,,,2027-05,2027-02,2,,test,2026-10-31\n"),
        "demand_what_ifs, row 2, column 'last_month': value '2027-02': comes before first_month",
    ),
    "a named scenario for a region that nobody knows": (
        "demand_what_ifs",
        add("demand_what_ifs.csv", WHAT_IF_HEAD + "boom,,,mars,,,2,,test,2026-10-31\n"),
        "demand_what_ifs, row 2, column 'region': value 'mars': is not described in plan.yaml.",
    ),
    "a decision that was due before it was made": (
        "decision_log",
        add("decisions.csv", LOG_HEAD + "2026-10-05,decision,eu h100,Wait.,head,2026-10-01,open,,\n"),
        "decisions, row 2, column 'due': value '2026-10-01': lies before the date of the entry",
    ),
    "a reserved year of no months": (
        "term_matches_option",
        add("prices.csv", PRICE_HEAD + PRICE.format("p1", "reserved_1y", 2)),
        "prices, row 2, column 'term_months': value '0': reserved_1y has 12 months, reserved_3y 36",
    ),
    "a term without end": (
        "order_book",
        add("commitments.csv", BOOK_HEAD + "o1,,eu,nvidia-h100-sxm,lease,8,2026-09,2026-10,,2.0,,test,2026-10-31\n"),
        "commitments, row 2, column 'end_month': a term needs its first month without it, YYYY-MM; only a purchase has none",
    ),
    "a delivery before its order": (
        "order_book",
        add("commitments.csv", BOOK_HEAD + "o1,,eu,nvidia-h100-sxm,purchase,8,2026-09,2026-08,,,1e5,test,2026-10-31\n"),
        "commitments, row 2, column 'start_month': value '2026-08': lies before order_month",
    ),
    "a term that ends when it begins": (
        "order_book",
        add(
            "commitments.csv", BOOK_HEAD + "o1,,eu,nvidia-h100-sxm,lease,8,2026-09,2026-10,2026-10,2,,test,2026-10-31\n"
        ),
        "commitments, row 2, column 'end_month': value '2026-10': must lie after start_month",
    ),
    "a term without a price": (
        "order_book",
        add(
            "commitments.csv", BOOK_HEAD + "o1,,eu,nvidia-h100-sxm,lease,8,2026-09,2026-10,2027-10,,,test,2026-10-31\n"
        ),
        "commitments, row 2, column 'usd_per_accelerator_hour': state the rent that is still paid, or 0 where upfront_usd",
    ),
    "a purchase that is rented": (
        "order_book",
        add(
            "commitments.csv", BOOK_HEAD + "o1,,eu,nvidia-h100-sxm,purchase,8,2026-09,2026-10,,2,1e5,test,2026-10-31\n"
        ),
        "commitments, row 2, column 'usd_per_accelerator_hour': value '2.0': a purchase has no rent",
    ),
    "an order in a region that no plan describes": (
        "regions_described",
        add(
            "commitments.csv", BOOK_HEAD + "o1,,mars,nvidia-h100-sxm,purchase,8,2026-09,2026-10,,,1e5,test,2026-10-31\n"
        ),
        "commitments, row 2, column 'region': value 'mars': is not described in plan.yaml.",
    ),
    "sites that are none": (
        "sites_known",
        lambda folder: (
            pd.read_csv(folder / "use_cases.csv", dtype=str)
            .assign(sites=["0", None, None])
            .to_csv(folder / "use_cases.csv", index=False)
        ),
        "use_cases, row 2, column 'sites': value '0'",
    ),
    "a run on two use cases": (
        "runs_of_one_kind",
        every_row("benchmarks.csv", 1, use_case_id="images"),
        "benchmarks, row 3, column 'use_case_id': value 'images': differs from the other load points of this benchmark_id",
    ),
    "a copy of a model on more than was under test": (
        "runs_of_one_kind",
        every_row("benchmarks.csv", replica_accelerators=64),
        "benchmarks, row 2, column 'replica_accelerators': value '64': is more than the accelerators under test",
    ),
    "two approved plans": (
        "one_approved_plan",
        add(
            "approved_plan.csv",
            APPROVED.format("2026-08") + APPROVED.format("2026-07").split("\n")[1].replace("2026-10", "2026-11") + "\n",
        ),
        "approved_plan, row 3, column 'plan_period': value '2026-07': is another plan than the first row's",
    ),
    "a purchase with a price an hour": (
        "price_matches_option",
        add("prices.csv", PURCHASE),
        "prices, row 2, column 'usd_per_accelerator_hour': value '2.0': a purchase has no price an hour",
    ),
    "an entry that is logged twice": (
        "decision_log",
        add("decisions.csv", LOG_HEAD + 2 * "2026-10-05,change,bill,Corrected.,head,,done,,\n"),
        "decisions, row 3, column 'subject': value 'bill': the same entry is logged twice; keep one",
    ),
}
RATE = "exchange_rates: [{{currency: GBP, from_month: 2026-09, usd: {0}, source: s, as_of: 2026-09-30}}]"


def in_minutes(folder: Path):
    """What the bill counts of one machine in hours is said to be minutes."""
    path = folder / "billing.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text(
        "".join(line.replace(",Hours,", ",Minutes,") if "p5.48xlarge" in line else line for line in lines),
        encoding="utf-8",
    )


def patient(folder: Path):
    """Training, in the last row, may wait 720 hours."""
    path = folder / "use_cases.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table.assign(slo_p95_wait_hours=["", "", "720"]).to_csv(path, index=False)


def twice_named(folder: Path):
    """The second use case under the name of the first, but for a space."""
    path = folder / "use_cases.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("images,Images,", "images,chat ,", 1), encoding="utf-8")


SUSPECT = {
    "hours of accelerators that are called minutes": (
        "hours_cost_like_offers",
        in_minutes,
        "billing, row 2, column 'ConsumedUnit': value 'Minutes': an accelerator-hour of nvidia-h100-sxm from AWS comes to USD 300",
    ),
    "power at the price of a kilowatt-hour in cents": (
        "unusual_values",
        swap("plan.yaml", "usd_per_kwh: 0.1", "usd_per_kwh: 26"),
        "plan.yaml, column 'regions us: usd_per_kwh': value '26': is above USD 1 a kWh: cents, or a price per MWh?",
    ),
    "pay of a year for a month": (
        "unusual_values",
        swap(
            "plan.yaml",
            "{value: 16000, low: 13000, high: 20000, unit: USD/month",
            "{value: 192000, low: 13000, high: 200000, unit: USD/month",
        ),
        "column 'assumptions: engineer_usd_per_month': value '192000': is above USD 60,000 a month: the pay of a year?",
    ),
    "a rate that is upside down": (
        "unusual_values",
        swap("plan.yaml", "exchange_rates: []", RATE.format("0.75")),
        "column 'exchange_rates GBP from 2026-09: usd': value '0.75': a GBP was worth USD 1 to 2.1 from 2000 to 2025: is it what a "
        "dollar costs? That would be USD 1.333",
    ),
    "a rate in pence": (
        "unusual_values",
        swap("plan.yaml", "exchange_rates: []", RATE.format("131.4")),
        "is it the rate of a hundred? That would be USD 1.314",
    ),
    "regions next door in seconds": (
        "unusual_values",
        swap(
            "plan.yaml",
            "regions:\n",
            "region_latency: [{between: [us, eu], round_trip_ms: 0.08, source: s, as_of: 2026-09-30}]\nregions:\n",
        ),
        "column 'region_latency us and eu: round_trip_ms': value '0.08': is below 0.5 ms between two regions",
    ),
    "a port that begins after the data": (
        "unusual_values",
        swap(
            "plan.yaml",
            "ports_under_way: []",
            "ports_under_way: [{use_case_id: chat, platform_class: tpu, begun: 2027-01}]",
        ),
        "column 'ports_under_way chat: begun': value '2027-01': is after 2026-10, the last month of demand",
    ),
    "a use case that retired and is in use": (
        "unusual_values",
        first("use_cases.csv", retire_month="2026-10"),
        "use_cases, row 2, column 'retire_month': value '2026-10': is the first month without traffic, and demand_windows holds traffic",
    ),
    "a year reserved for three": (
        "unusual_values",
        add(
            "commitments.csv",
            BOOK_HEAD + "o1,,eu,nvidia-h100-sxm,reserved_1y,8,2026-09,2026-10,2029-10,3.4,,test,2026-10-31\n",
        ),
        "commitments, row 2, column 'end_month': value '2029-10': is not 12 months after start_month, as reserved_1y says",
    ),
    "a lease for a century": (
        "unusual_values",
        add(
            "commitments.csv",
            BOOK_HEAD + "o1,,eu,nvidia-h100-sxm,lease,8,2026-09,2026-10,2099-10,3.4,,test,2026-10-31\n",
        ),
        "commitments, row 2, column 'end_month': value '2099-10': is more than 120 months after start_month",
    ),
    "a wait in minutes": (
        "unusual_values",
        patient,
        "use_cases, row 4, column 'slo_p95_wait_hours': value '720.0': is more than 168 hours: minutes in a column of hours?",
    ),
    "a launch that stands twice": (
        "unusual_values",
        swap(
            "plan.yaml",
            "launches: []",
            "launches: [{use_case_id: chat, month: 2027-01, demand_multiplier: 1.4, milestone: m}, {use_case_id: chat, month: 2027-01, demand_multiplier: 1.5, milestone: n}]",
        ),
        "column 'launches chat: month': value '2027-01': stands there before: both count, 1.4 x 1.5 = 2.1 times the demand",
    ),
    "scenarios turned round": (
        "unusual_values",
        swap(
            "plan.yaml",
            "scenario: conservative, growth_multiplier: 0.4",
            "scenario: conservative, growth_multiplier: 2.4",
        ),
        "column 'scenarios conservative: growth_multiplier': value '2.4': is above that of aggressive, 1.6: turned round?",
    ),
    "two use cases of one name": (
        "unlikely_pairs",
        twice_named,
        "use_cases, row 3, column 'name': value 'chat ': is another use case's but for case, spaces or signs",
    ),
    "servers in the column of accelerators": (
        "unlikely_pairs",
        add("commitments.csv", BOOK_HEAD + "o1,,eu,nvidia-h100-sxm,purchase,4,2026-01,2026-12,,,0,test,2026-10-31\n"),
        "commitments, row 2, column 'accelerators': value '4': is bought or leased and fills no whole servers of its kind",
    ),
    "chat on a camera": (
        "unlikely_pairs",
        swap("plan.yaml", "baseline_accelerators: {}", "baseline_accelerators: {chat: nvidia-jetson-agx-orin}"),
        "plan.yaml, column 'baseline_accelerators chat': value 'nvidia-jetson-agx-orin': is a device for the edge, and the use case is real_time_inference",
    ),
    "a region that the provider would not write so": (
        "unlikely_pairs",
        swap("plan.yaml", "AWS: eu-west-1", "AWS: Ireland"),
        "column 'regions eu: provider_regions AWS': value 'Ireland': is no region of AWS, which are written like us-east-1",
    ),
    "a retirement at no time": (
        "unlikely_pairs",
        first("use_cases.csv", stage="retiring"),
        "use_cases, row 2, column 'stage': value 'retiring': and no retire_month",
    ),
    "a first token after the last": (
        "unlikely_pairs",
        first("use_cases.csv", slo_p95_ttft_ms="30000"),
        "use_cases, row 2, column 'slo_p95_ttft_ms': value '30000.0': is above slo_p95_e2e_ms",
    ),
    "a hosted price of a thousand tokens": (
        "unlikely_pairs",
        add(
            "api_prices.csv",
            "api_model,provider,input_usd_per_mtok,output_usd_per_mtok,source,as_of,confidence\n"
            "gpt-4o,openai,0.0025,10,offer,2026-10-01,measured\n",
        ),
        "api_prices, row 2, column 'input_usd_per_mtok': value '0.0025': other prices of the model are 2.5 a million tokens: is it the price of a thousand tokens?",
    ),
    "a lead time in days": (
        "unusual_values",
        add(
            "prices.csv",
            PURCHASE.replace("usd_per_accelerator,source", "usd_per_accelerator,lead_time_weeks,source").replace(
                "1,2,2700,", "1,,2700,210,"
            ),
        ),
        "prices, row 2, column 'lead_time_weeks': value '210.0': is more than 104 weeks: days in a column of weeks?",
    ),
    "a purchase without its outlay": (
        "order_book",
        add("commitments.csv", BOOK_HEAD + "o1,,eu,nvidia-h100-sxm,purchase,8,2026-09,2026-10,,,,test,2026-10-31\n"),
        "commitments, row 2, column 'upfront_usd': no outlay of the purchase",
    ),
    "steps of a plan that is not there": (
        "bands_have_plan",
        add("approved_bands.csv", STEP.format("2026-07")),
        "approved_bands, row 2, column 'plan_period': value '2026-07': has no rows in approved_plan, so that no refresh follows "
        "this step; that table is empty",
    ),
    "a provider region of two regions": (
        "same_provider_region",
        one_provider_region,
        "billing, column 'provider_regions': value 'us-east-1': (plan.yaml) stands under us and eu: charges there count in none",
    ),
    "orders of more than the pools hold": (
        "orders_within_pools",
        add("commitments.csv", BOOK_HEAD + "o1,,us,nvidia-h100-sxm,purchase,800,2026-01,2026-02,,,0,test,2026-10-31\n"),
        "commitments, row 2, column 'accelerators': value '800': running orders hold 800 of it in us, its pools ",
    ),
    "an open decision that is never due": (
        "decision_log",
        add("decisions.csv", LOG_HEAD + "2026-10-05,decision,eu h100,Wait.,head,,open,,\n"),
        "decisions, row 2, column 'due': an open decision without a due date is in no calendar and never overdue",
    ),
    "a model that the catalogue does not know": (
        "foreign_keys",
        swap("use_cases.csv", "Llama-3.1-8B", "Llama-3.1-8X"),
        "use_cases, row 2, column 'model': value 'Llama-3.1-8X': is not in table models. Did you mean 'Llama-3.1-8B'?",
    ),
    "a limit in seconds": (
        "limits_in_ms",
        first("use_cases.csv", slo_p95_tpot_ms=0.04),
        "use_cases, row 2, column 'slo_p95_tpot_ms': value '0.04': is below 1 ms: seconds in a column of ms?",
    ),
    "a measured time in seconds": (
        "runs_in_ms",
        first("benchmarks.csv", p95_e2e_ms=0.9, p50_e2e_ms=0.5, p50_ttft_ms="", p95_ttft_ms=""),
        "benchmarks, row 2, column 'p95_e2e_ms': value '0.9': is below 1 ms: seconds in a column of ms?",
    ),
    "units a minute": (
        "runs_in_units",
        first("benchmarks.csv", units_per_s=120),
        "benchmarks, row 2, column 'units_per_s': value '120.0': times duration_s is more than the requests that succeeded",
    ),
    "seconds in a column of milliseconds": (
        "latency_in_ms",
        add(
            "requests.csv",
            "request_id,timestamp_utc,use_case_id,region,status,output_tokens,e2e_ms\nr1,2026-10-05T09:00:00Z,models,us,ok,50,2.5\n",
        ),
        "requests, column 'e2e_ms': the median of 1 served requests is 2.5: seconds in a column of ms?",
    ),
    "a charge that stands twice": (
        "bill_rows_once",
        lambda folder: add("billing.csv", (folder / "billing.csv").read_text(encoding="utf-8").splitlines()[1] + "\n")(
            folder
        ),
        "billing, row 18, column 'ChargeDescription': value 'on demand': is identical to an earlier charge",
    ),
    "a job larger than its pools": (
        "jobs_fit_pools",
        add("jobs.csv", JOB.format("2026-10-20T06:00:00Z", "2026-10-20T07:00:00Z").replace(",8,", ",9,")),
        "column 'accelerators': value '9.0': more than all pools of this accelerator in its region ever held",
    ),
    "a job that ended and does not say when": (
        "jobs_have_ends",
        add("jobs.csv", JOB.format("2026-10-20T06:00:00Z", "")),
        "column 'status': value 'completed': no longer runs and has no ended_utc: its accelerator-hours are unknown",
    ),
    "a job of five years": (
        "jobs_have_ends",
        add("jobs.csv", JOB.format("2026-10-20T06:00:00Z", "2031-10-20T07:00:00Z")),
        "column 'ended_utc': value '2031-10-20 07:00:00+00:00': has held its accelerators for more than 120 days",
    ),
    "usage below zero": (
        "charges_plausible",
        add(
            "billing.csv",
            "2026-09-01T00:00:00Z,2026-09-01T00:00:00Z,2026-10-01T00:00:00Z,AWS,acc-1,,,slip,Usage,Standard,,1,Hours,USD,1,-9000000000,\n",
        ),
        "billing, row 18, column 'EffectiveCost': value '-9000000000.000000': usage below zero, and no correction",
    ),
    "an accelerator without hours": (
        "accelerators_have_hours",
        add(
            "billing.csv",
            "2026-10-01T00:00:00Z,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,AWS,acc-1,p5.48xlarge,,pod,Usage,Standard,,1,Pods,USD,10,10,\n",
        ),
        "billing, row 18, column 'ConsumedUnit': value 'Pods': the charge names an accelerator, but its unit is no time",
    ),
    "hours of an accelerator that nobody knows": (
        "accelerators_have_hours",
        add(
            "billing.csv",
            "2026-10-01T00:00:00Z,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,own,acc-1,Jetson AGX Orin 32GB,,pod,Usage,Standard,,744,GPU-Hours,USD,10,10,\n",
        ),
        "hours of accelerators, but neither SkuMeter, SkuId nor this text names one of the catalogue",
    ),
    "usage of another month": (
        "bill_in_its_month",
        swap("billing.csv", "2026-09-01T00:00:00Z,2026-09-01", "2026-09-01T00:00:00Z,2026-08-31"),
        "billing, row 2, column 'ChargePeriodStart': value '2026-08-31 00:00:00+00:00': usage of another month",
    ),
    "demand outside the allowed regions": (
        "residency_kept",
        swap("use_cases.csv", "interactive,customer_facing,production,", "interactive,customer_facing,production,us"),
        "demand_windows, column 'region': value 'eu': is where chat has demand, and its residency rule does not allow it",
    ),
    "demand to come outside the allowed regions": (
        "residency_kept",
        add(
            "demand_chain.csv",
            CHAIN_HEAD + "".join(f"images,{place},region_share,0.5,,,head,test,2026-10-31\n" for place in ("eu", "us")),
        ),
        "demand_chain, row 3, column 'region': value 'us': is where images has demand, and its residency rule does not allow it",
    ),
    "sessions that are requests": (
        "units_are_counted",
        swap("use_cases.csv", "-8B,request", "-8B,session"),
        "demand_windows, column 'service_units': value 'chat': every successful request counts as one session, in all 2928 windows",
    ),
    "two prices of one offer on one day": (
        "one_price_an_offer",
        add("prices.csv", PRICE_HEAD + PRICE.format("p1", "on_demand", 2) + PRICE.format("p2", "on_demand", 2.1)),
        "prices, row 3, column 'price_id': value 'p2': another price of this offer on the same day stands above; the lowest "
        "is used, keep the one that holds",
    ),
    "a spot price above on demand": (
        "spot_below_on_demand",
        add("prices.csv", PRICE_HEAD + PRICE.format("p1", "on_demand", 2) + PRICE.format("p2", "spot", 2.01)),
        "prices, row 3, column 'usd_per_accelerator_hour': value '2.01': spot price above on-demand",
    ),
    "a price of a misspelt provider region": (
        "prices_serve_a_region",
        add("prices.csv", PRICE_HEAD + "p1,AWS,s,nvidia-l4,eu-wset-1,on_demand,0,1,test,2026-10-01,measured\n"),
        "prices, row 2, column 'region': value 'eu-wset-1': is a region of AWS that plan.yaml names nowhere under "
        "provider_regions: the price holds in no region and only stands in where none does. Did you mean 'eu-west-1'?",
    ),
    "prices of a provider that no region names": (
        "prices_serve_a_region",
        add("prices.csv", PRICE_HEAD + PRICE.format("p1", "on_demand", 1).replace(",AWS,", ",aws ltd,")),
        "prices, row 2, column 'provider': value 'aws ltd': no region of plan.yaml names this provider",
    ),
    "the price of a node in place of that of an accelerator": (
        "prices_like_others",
        add("prices.csv", PRICE_HEAD + "p1,AWS,s,nvidia-h100-sxm,*,on_demand,0,55.04,test,2026-10-01,measured\n"),
        "is it the price of a node of 8? An accelerator of it costs 6.88",
    ),
    "a price in another unit": (
        "prices_like_others",
        add("prices.csv", PRICE_HEAD + PRICE.format("p1", "on_demand", 0.008)),
        "prices, row 2, column 'usd_per_accelerator_hour': value '0.008': 90 other offers of nvidia-l4 cost 0.1417 to 1.669",
    ),
    "a price of a year to come": (
        "prices_dated_ahead",
        add("prices.csv", PRICE_HEAD + PRICE.format("p1", "on_demand", 0.8).replace("2026-10-01", "2028-10-01")),
        "prices, row 2, column 'as_of': value '2028-10-01': more than a year after the last window of demand, 2026-10-31",
    ),
    "the rent of a node in the contract of its accelerators": (
        "prices_like_others",
        add(
            "commitments.csv",
            BOOK_HEAD + "o1,,eu,nvidia-h100-sxm,lease,8,2026-09,2026-10,2027-10,36.4,,test,2026-10-31\n",
        ),
        "commitments, row 2, column 'usd_per_accelerator_hour': value '36.4'",
    ),
    "a use case with a gap": (
        "candidates_have_gaps",
        add("use_case_candidates.csv", "use_case_id,name,team,source,as_of\nnew,New,cx,test,2026-10-31\n"),
        "1 use cases are in no plan until their gaps are filled (workload_class 1, business_unit 1, owner_role 1, "
        "service_unit 1, request_pattern 1, criticality 1, stage 1)",
    ),
    "a pool that draws more than its accelerators can": (
        "pool_power_plausible",
        swap("pools.csv", FIRST_POOL, FIRST_POOL.replace("2800", "7000")),
        "pools, row 2, column 'pool_id': value 'chat-pool': labelled nvidia-h100-sxm (700 W) but draws 875 W each",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_workspace_is_refused_with_its_place(mini, case):
    _, edit, words = BROKEN[case]
    edit(mini)
    with pytest.raises(InputError) as caught:
        load_workspace(mini)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("case", SUSPECT)
def test_a_suspect_workspace_loads_with_one_warning(mini, case):
    check, edit, words = SUSPECT[case]
    edit(mini)
    found = load_workspace(mini).checks
    warned = found[found["status"] == "warned"]
    assert warned["check"].tolist() == [check]
    assert words in warned["message"].iloc[0]


def test_a_job_that_fits_its_pools_or_whose_pools_are_not_read_is_no_suspect(mini):
    add("jobs.csv", JOB.format("2026-10-20T06:00:00Z", "2026-10-20T07:00:00Z"))(mini)
    away = (
        JOB.format("2026-10-20T06:00:00Z", "2026-10-20T07:00:00Z")
        .replace("a100-80-sxm,8", "l4,99")
        .replace("j9", "j10")
    )
    add("jobs.csv", away)(mini)
    found = load_workspace(mini).checks
    assert found.loc[found["check"] == "jobs_fit_pools", "status"].tolist() == ["passed"]


def test_a_candidate_on_recalled_figures_is_warned_about(mini_ws):
    accelerators = mini_ws.table("accelerators")
    recalled = accelerators.assign(
        verified_sources=accelerators["verified_sources"].mask(accelerators["accelerator_id"] == "google-tpu-v6e", 0)
    )
    found = [
        f for f in check_tables({**mini_ws.tables, "accelerators": recalled}, mini_ws.plan) if f.status != "passed"
    ]
    assert [(f.check, f.status, f.value) for f in found] == [("candidates_known", "warned", "google-tpu-v6e")]


def test_every_check_has_a_workspace_that_triggers_it():
    assert {check for check, _, _ in [*BROKEN.values(), *SUSPECT.values()]} == set(CHECKS) - {"window_length_known"}


def test_windows_fit_into_hours(mini):
    path = mini / "demand_windows.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",60,", ",45,"), encoding="utf-8")
    with pytest.raises(InputError, match=r"row 2, column 'window_minutes': value '45': must divide an hour"):
        load_workspace(mini)


def test_a_sound_workspace_passes_every_check(mini_ws):
    assert set(mini_ws.checks["status"]) == {"passed"}
    without_table = {"ttft_within_e2e", "latency_in_ms", "candidates_have_gaps", "demand_chain", "demand_what_ifs"}
    without_table |= {"decision_log", "order_book", "orders_within_pools", "one_approved_plan", "bands_have_plan"}
    assert set(mini_ws.checks["check"]) == set(CHECKS) - without_table


def test_the_sample_passes_without_a_failure(sample_ws):
    assert "failed" not in set(sample_ws.checks["status"])


@pytest.mark.parametrize(("watts", "warned"), [(8 * 700 * 1.15, False), (8 * 700 * 1.15 + 1, True)])
def test_the_power_of_a_pool_may_exceed_the_design_by_15_percent(mini_ws, watts, warned):
    pools = mini_ws.table("pools").iloc[:1].assign(power_w=watts)
    _, check = CHECKS["pool_power_plausible"]
    assert bool(list(check({**mini_ws.tables, "pools": pools}, mini_ws.plan))) is warned


def test_equal_counts_are_in_order(mini_ws):
    windows = mini_ws.table("demand_windows")
    tables = {
        **mini_ws.tables,
        "demand_windows": windows.assign(errors=windows["requests"], retries=windows["requests"]),
    }
    assert not list(CHECKS["errors_within_requests"][1](tables, mini_ws.plan))


def test_many_bad_rows_are_shown_five_times_and_counted(mini_ws):
    windows = mini_ws.table("demand_windows")
    tables = {**mini_ws.tables, "demand_windows": windows.assign(errors=windows["requests"] + 1)}
    found = list(CHECKS["errors_within_requests"][1](tables, mini_ws.plan))
    assert [f.row for f in found] == [2, 3, 4, 5, 6]
    assert f"({len(windows)} rows in all)" in found[0].message


def test_findings_make_a_table_even_when_there_are_none():
    assert list(findings_frame([]).columns) == CHECK_COLUMNS
    finding = Finding("jobs", "jobs_in_order", "failed", "is before submitted_utc", 4, "started_utc", "x")
    table = findings_frame([finding])
    assert table.loc[0, "message"] == "jobs, row 4, column 'started_utc': value 'x': is before submitted_utc"
    assert table["row"].dtype == pd.Int64Dtype()


def test_a_job_that_never_started_does_not_end_before_it_was_submitted(mini):
    add("jobs.csv", JOB.format("", "2026-10-19T05:00:00Z"))(mini)
    with pytest.raises(InputError, match="ended_utc"):
        load_workspace(mini)


def test_demand_without_any_use_case_is_refused(mini):
    path = mini / "use_cases.csv"
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    with pytest.raises(InputError):
        load_workspace(mini)


#: An exclusion of plan.yaml that holds for somebody.
RESTRICTED = "restrictions: [{rule: export, %s, reason: r, source: s, as_of: 2026-01-15}]"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "launches: []",
            "launches: [{use_case_id: chatt, month: 2027-01, demand_multiplier: 2, milestone: m}]",
            "chatt",
        ),
        ("baseline_accelerators: {}", "baseline_accelerators: {chat: nvidia-h10-sxm}", "nvidia-h10-sxm"),
        ("baseline_accelerators: {}", "owned_accelerators: {nvidia-h10-sxm: 8}", "nvidia-h10-sxm"),
        ("required_frameworks: {}", "required_frameworks: {chatt: [vLLM]}", "'chatt'.* Did you mean 'chat'"),
        ("restrictions: []", RESTRICTED % "vendors: [Nvidia]", "'Nvidia'.* Did you mean 'NVIDIA'"),
        ("restrictions: []", RESTRICTED % "use_cases: [chatt]", "'chatt'.* Did you mean 'chat'"),
        ("name: Prompt management", "name: Rework", "'Rework'.* is a line that the plan works out itself"),
        ("restrictions: []", RESTRICTED % "regions: [uss]", "'uss'.* is no region of the plan. Did you mean 'us'"),
        (
            "restrictions: []",
            RESTRICTED % "accelerators: [nvidia-h10-sxm]",
            "'nvidia-h10-sxm'.* Did you mean 'nvidia-h100-sxm'",
        ),
        ("restrictions: []", RESTRICTED.replace("%s, ", ""), "'r'.* it would rule out everything"),
    ],
)
def test_a_name_in_the_plan_that_no_table_knows_is_refused(mini, old, new, words):
    swap("plan.yaml", old, new)(mini)
    with pytest.raises(InputError, match=words):
        load_workspace(mini)


def test_the_names_that_are_taken_are_the_lines_of_the_plan():
    assert set(OWN_LINES) == {*OVERHEADS, CONTINGENCY, PORTING, REWORK}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("forty", "must be a number of 1 or more, or region=number"),
        ("0", "must be a number of 1 or more"),
        ("eu=3; us", "region=number"),
        ("eu=0", "1 or more"),
        ("40", "is served in several regions: say how many stand in each, as eu=...; us=..."),
        ("eu=30; uss=10", "Did you mean 'us'?"),
        ("eu=30; us=10; eu=3", "each region once"),
    ],
)
def test_sites_say_how_many_stand_in_which_region(mini, text, rule):
    path = mini / "use_cases.csv"
    cases = pd.read_csv(path, dtype=str)
    cases.assign(sites=[text, None, None]).to_csv(path, index=False)
    with pytest.raises(InputError) as caught:
        load_workspace(mini)
    assert "use_cases, row 2, column 'sites'" in str(caught.value) and rule in str(caught.value)


@pytest.mark.parametrize("text", ["1", "eu=30; us=10", "eu=30"])
def test_sites_that_fit_are_kept_as_they_are(mini, text):
    path = mini / "use_cases.csv"
    pd.read_csv(path, dtype=str).assign(sites=[text, "12", None]).to_csv(path, index=False)
    assert load_workspace(mini).table("use_cases")["sites"].fillna("").tolist() == [text, "12", ""]


def test_a_region_is_described_once(mini):
    swap("plan.yaml", "  - {region: eu,", "  - {region: us, name: Twice, provider_regions: {AWS: us-west-2}, "
         "usd_per_kwh: 0.2, gco2_per_kwh: 1, source: test, as_of: 2026-10-01}\n  - {region: eu,")(mini)  # fmt: skip
    with pytest.raises(InputError, match="us"):
        load_workspace(mini)


def test_prices_that_are_meant_for_elsewhere_are_not_doubted(mini_ws):
    offer = {"provider": "AWS", "region": "us-east-1", "purchase_option": "on_demand"}
    rows = [offer, offer | {"region": "us-east-2"}, offer | {"region": "us-west-1"}, offer | {"region": "*"},
            offer | {"provider": "Dell", "region": "*", "purchase_option": "purchase"},
            offer | {"provider": "Lambda", "region": "*"}]  # fmt: skip
    prices = pd.DataFrame(rows).assign(price_id=[f"own-{n}" for n in range(len(rows))])
    assert list(unserved_prices(prices, mini_ws.plan.regions)) == []
    alone = list(unserved_prices(prices.iloc[[2]], mini_ws.plan.regions))
    assert [fault[:3] for fault in alone] == [(4, "region", "us-west-1")]


def test_a_misspelt_provider_of_the_plan_is_named_with_the_right_one():
    prices = pd.DataFrame({"provider": ["AWS", "Lambda", "DigitalOcean"]})
    region = SimpleNamespace(provider_regions={"AWS": "a", "Lamda": "b", "Our leasing company": "c"})
    ((provider, rule),) = misspelt_providers(prices, [region])
    assert provider == "Lamda" and "Did you mean 'Lambda'?" in rule


def test_older_months_may_be_kept_by_day(mini_ws):
    """Within a month a use case has windows of one length; those of another month may be longer."""
    hours = mini_ws.table("demand_windows")
    start = hours["window_start_utc"]
    before = start < pd.Timestamp("2026-10-01", tz="UTC")
    keys = ["use_case_id", "region", start[before].dt.floor("D").rename("window_start_utc")]
    days = hours[before].groupby(keys, as_index=False)["service_units"].sum().assign(window_minutes=1440)
    both = pd.concat([days, hours[~before]], ignore_index=True)
    assert not list(CHECKS["one_window_length"][1](mini_ws.tables | {"demand_windows": both}, mini_ws.plan))


def test_a_window_far_above_its_use_case_is_named_with_its_row():
    windows = pd.DataFrame({"use_case_id": "chat", "region": "eu", "window_minutes": 60, "service_units": [10.0] * 40})
    assert list(far_windows(windows)) == []
    windows.loc[7, "service_units"] = 1e15
    (found,) = far_windows(windows)
    assert found[:3] == (9, "service_units", "1e+15")
    assert found[3].startswith("is 1e+14 times the 95th percentile of chat in eu (10): it counts, check its unit")
    assert list(far_windows(windows.head(10))) == []
    assert list(far_windows(windows.assign(service_units=0.0))) == []


def test_a_month_in_another_unit_is_named():
    """Ten units an hour in four months: in thousands or thousandths one of them stands alone; a launch grows from little, and is no slip."""
    start = pd.date_range("2026-01-01", "2026-04-30", freq="D", tz="UTC")
    windows = pd.DataFrame(
        {
            "use_case_id": "chat",
            "region": "eu",
            "window_minutes": 1440,
            "window_start_utc": start,
            "service_units": 240.0,
        }
    )
    assert list(far_months(windows)) == []
    april, january = start.month == 4, start.month == 1
    (more,) = far_months(windows.assign(service_units=np.where(april, 240e3, 240.0)))
    assert more[:3] == (92, "service_units", "2026-04")
    assert "1e+04 units an hour on average, 1e+03 times as many as in any other month of chat in eu (10)" in more[3]
    (less,) = far_months(windows.assign(service_units=np.where(april, 0.24, 240.0)))
    assert "1e+03 times as few" in less[3]
    assert list(far_months(windows.assign(service_units=np.where(january, 0.24, 240.0)))) == []
    assert list(far_months(windows[start.month < 3].assign(service_units=lambda rows: rows.index + 1.0))) == []


def test_sums_of_months_in_windows_of_a_day_are_named():
    start = pd.date_range("2026-03-01", periods=8, freq="MS", tz="UTC")
    windows = pd.DataFrame(
        {"use_case_id": "chat", "region": "eu", "window_minutes": 1440, "window_start_utc": start, "service_units": 3e6}
    )
    (found,) = lone_windows(windows)
    assert found[:3] == (2, "window_minutes", "1440") and "in all 8 months" in found[3]
    assert list(lone_windows(windows.assign(window_minutes=44_640))) == []
    assert list(lone_windows(windows.head(2))) == []
    daily = pd.date_range("2026-03-01", periods=90, freq="D", tz="UTC")
    both = pd.DataFrame({**windows.iloc[0].to_dict(), "window_start_utc": daily})
    assert list(lone_windows(both)) == [] and list(lone_windows(windows[:0])) == []


def test_days_from_local_midnight_are_named_with_what_the_change_of_clocks_does():
    """Days of Berlin: the one of 29 March 2026 has 23 hours, that of 25 October 25; days in UTC and hours say nothing."""

    def of(starts, minutes=1440):
        utc = pd.DatetimeIndex(starts).tz_convert("UTC")
        return pd.DataFrame({"use_case_id": "chat", "region": "eu", "window_minutes": minutes, "window_start_utc": utc})

    def berlin(first):
        return pd.date_range(first, periods=10, tz="Europe/Berlin")

    ((row, column, value, rule),) = moved_windows(of(berlin("2026-03-25")))
    assert (row, column, value) == (7, "window_start_utc", "2026-03-29T22:00Z")
    assert "10 windows of 1440 minutes of chat in eu begin off UTC" in rule
    assert "1 of chat in eu overlap" in rule and "lacking" not in rule
    ((row, _, value, rule),) = moved_windows(of(berlin("2026-10-20")))
    assert (row, value) == (2, "2026-10-19T22:00Z") and "1 come an hour late" in rule and "overlap" not in rule
    assert not list(moved_windows(of(pd.date_range("2026-03-25", periods=10, tz="UTC"))))
    hours = pd.date_range("2026-03-28", periods=48, freq="h", tz="Europe/Berlin")
    assert not list(moved_windows(of(hours, 60)))
    assert len(list(moved_windows(of(hours, 120)))) == 1
