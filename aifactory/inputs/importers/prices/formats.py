"""Readers of public price lists; what each row means is in the docstring of its reader."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import yaml

from aifactory.errors import InputError
from aifactory.inputs.csv_text import read_csv_text
from aifactory.inputs.exchange_rates import OURS, rate_of
from aifactory.inputs.guard import STARTS
from aifactory.inputs.importers.prices.hosts import TPU_HOST, gpu_memory, with_hosts
from aifactory.inputs.importers.prices.names import form_factor
from aifactory.inputs.importers.prices.offers import FORMULA, PER_ACCELERATOR, RESERVED, Found, Source
from aifactory.inputs.yaml_file import UniqueKeys
from aifactory.units import HOURS_PER_MONTH, MEGA

MAX_BYTES = 500_000_000
MOST_HOSTED_USD = 10_000  # a million tokens, an image or a minute; the dearest listed is a hundredth of it
EARLIEST_STAMP, LATEST_STAMP = 946_684_800, 2**32  # 1 January 2000; four bytes
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
NO_NUMBER = "price that is no number, or negative"
#: Keys and marks of a GpuInfo cell around the name of the device.
GPU_NAME = re.compile(r"['{}:,\[\]]")
USD = {"price": "Price", "spot": "SpotPrice"}
SKYPILOT = ("InstanceType", "AcceleratorName", "AcceleratorCount", "Price", "Region")
GPUHUNT = ("instance_name", "location", "price", "gpu_count", "gpu_name", "gpu_memory", "spot")
PROVIDERS = {
    "aws": "AWS", "azure": "Azure", "gcp": "GCP", "lambda": "Lambda", "lambdalabs": "Lambda", "runpod": "RunPod",
    "nebius": "Nebius", "oci": "Oracle", "vastai": "Vast.ai", "vast": "Vast.ai", "datacrunch": "Verda (DataCrunch)",
    "verda": "Verda (DataCrunch)", "digitalocean": "DigitalOcean", "vultr": "Vultr", "scaleway": "Scaleway",
}  # fmt: skip
#: Sellers whose instances bear the name of their device, in gpuhunt, whatever their number of them.
NAMED_BY_DEVICE = ("RunPod",)
ON_DEMAND, SPOT = ("on_demand", 0, 0.0), ("spot", 0, 0.0)


def number(text: Any) -> float:
    """Read a number of a price list; NaN for an empty cell, a word, other digits or more than any number.

    >>> number(" 3.5 "), number(""), number("N/A"), number("1_000"), number("1e999")
    (3.5, nan, nan, nan, nan)
    """
    plain = str(text).strip()
    value = float(plain) if NUMBER.fullmatch(plain) else math.nan
    return value if math.isfinite(value) else math.nan


def table(held: Any) -> dict:
    """A JSON object or YAML mapping; empty where something else stands in its place."""
    return held if isinstance(held, dict) else {}


def listed(held: Any) -> list:
    """A list; empty where something else stands in its place."""
    return held if isinstance(held, list) else []


def needs_date(source: Source, found: pd.Timestamp | None = None) -> pd.Timestamp:
    """Date of the prices: stated by the file, else by the analyst; a price without a date is refused."""
    date = found if found is not None else source.as_of
    if date is None:
        raise InputError.at(source.name, "does not say when its prices held; state it with --as-of YYYY-MM-DD")
    return date


def _provider(source: Source, path: Path) -> str:
    """Stated provider, else the one that the path of a catalogue names: catalogs/v8/aws/vms.csv, aws.csv."""
    if source.provider:
        return source.provider
    for part in (path.stem, path.parent.name):
        name = re.sub(r"[^a-z]", "", part.lower())
        if name in PROVIDERS:
            return PROVIDERS[name]
    raise InputError.at(source.name, "does not say whose prices it holds; name the provider with --provider")


def skypilot(path: Path, source: Source) -> Found:
    """SkyPilot catalogue: hourly price of an instance with AcceleratorCount devices, on demand and spot.

    Spot is given by zone; the median over the zones of a region stands for it, and 0 for none. GPUs of Google Cloud stand
    without an instance, at the price of the devices alone: that of the host that holds so many is added
    (`hosts.with_hosts`).
    """
    text, _ = read_csv_text(path)
    found, as_of, provider = Found("SkyPilot catalogue", rows=len(text)), needs_date(source), _provider(source, path)
    text = text.assign(SpotPrice=text.get("SpotPrice", ""))
    rows = text[text["AcceleratorName"].str.strip() != ""]
    found.left_out["instances without accelerators"] += len(text) - len(rows)
    stated = (rows["Price"].str.strip() != "").astype(int) + (rows["SpotPrice"].str.strip() != "")
    rows = rows.assign(price=rows["Price"].map(number), spot=rows["SpotPrice"].map(number))
    rows["spot"] = rows["spot"].where(rows["spot"] >= 0)  # of a zone: a negative one must not move the median
    rows = rows.assign(unread=stated - rows["price"].notna() - rows["spot"].notna())
    rows["spot"] = rows["spot"].where(rows["spot"] > 0)
    hosts = text[text["AcceleratorName"].str.strip() == ""]
    hosts = hosts.assign(**{name: hosts[column].map(number).astype(float) for name, column in USD.items()})
    rows = with_hosts(rows, hosts, source.names, found)
    keys = ["InstanceType", "AcceleratorName", "AcceleratorCount", "Region"]
    for (sku, device, count, region), group in rows.groupby(keys, sort=False):
        found.left_out[NO_NUMBER] += int(group["unread"].sum())
        if group["price"].max() > group["price"].min():  # spot differs by zone, a list price does not
            found.left_out["two prices of the same offer in this file"] += 1
            continue
        prices = {ON_DEMAND: group["price"].median(), SPOT: group["spot"].median()}
        about = str(group.iloc[0].get("GpuInfo", ""))
        memory, form = gpu_memory(about, device), form_factor(f"{sku} {GPU_NAME.sub(' ', about)}")
        sku = str(sku) if sku and sku != TPU_HOST else str(device)
        found.add(source, provider=provider, sku=sku, region=str(region), device=str(device), count=number(count),
                  prices=_stated(found, prices), as_of=as_of, memory_gb=memory, form=form)  # fmt: skip
    return found


def _stated(found: Found, prices: dict) -> dict:
    """Prices that are there; an instance without any is counted."""
    held = {key: usd for key, usd in prices.items() if not math.isnan(usd)}
    if not held:
        found.left_out["no price"] += 1
    return held


SPOT_WORDS = {"true": True, "1": True, "false": False, "0": False, "": False}


def gpuhunt(path: Path, source: Source) -> Found:
    """Catalogue of gpuhunt: hourly price of an instance, one row on demand and one for spot."""
    text, _ = read_csv_text(path)
    found, as_of = Found("gpuhunt catalogue", rows=len(text)), needs_date(source)
    for row in text.to_dict("records"):
        if not number(row["gpu_count"]) > 0:
            found.left_out["instances without accelerators"] += 1
            continue
        spot = SPOT_WORDS.get(row["spot"].strip().lower())
        if spot is None:
            found.left_out[f"spot {row['spot'][:20]!r} is neither true nor false"] += 1
            continue
        provider = row.get("provider", "").strip()
        provider = PROVIDERS.get(provider.lower(), provider) or _provider(source, path)
        form = form_factor(f"{row['instance_name']} {row['gpu_name']}")
        sku = (
            f"{row['instance_name']} x{number(row['gpu_count']):g}"
            if provider in NAMED_BY_DEVICE
            else row["instance_name"]
        )
        found.add(source, provider=provider, sku=sku, region=row["location"], device=row["gpu_name"],
                  count=number(row["gpu_count"]), memory_gb=number(row["gpu_memory"]), as_of=as_of, form=form,
                  prices=_stated(found, {SPOT if spot else ON_DEMAND: number(row["price"])}))  # fmt: skip
    return found


UPFRONT = {"noUpfront": 0.0, "partialUpfront": 0.5, "allUpfront": 1.0}
EC2_TERM = re.compile(r"yrTerm([13])(Standard|Savings|Convertible)\.(\w+)")


def ec2instances(held: list[dict], source: Source) -> Found:
    """ec2instances.info: pricing[region].linux with hourly on-demand, spot and reserved prices.

    Reserved prices are hourly with what is paid up front spread over the term: standard reservations
    only; savings plans at another price of the same term are left out, convertible ones too.
    """
    found, as_of = Found("ec2instances.info", rows=len(held)), needs_date(source)
    for item in held:
        sku, count = str(item.get("instance_type", "")), number(item.get("GPU", ""))
        if not count > 0 and sku.lower() not in source.names.types:
            found.left_out["instances without accelerators"] += 1
            continue
        for region, systems in table(item.get("pricing")).items():
            linux = systems.get("linux") if isinstance(systems, dict) else None
            if not isinstance(linux, dict):
                continue
            spot = linux.get("spot_avg") or linux.get("spot_min")
            prices = {ON_DEMAND: number(linux.get("ondemand")), SPOT: number(spot or "")}
            for name, usd in table(linux.get("reserved")).items():
                match = EC2_TERM.fullmatch(name)
                if match and match.group(2) == "Standard" and match.group(3) in UPFRONT:
                    term = 12 * int(match.group(1))
                    prices[RESERVED[term], term, UPFRONT[match.group(3)]] = number(usd)
                else:
                    found.left_out["savings plans and convertible reservations"] += 1
            found.add(source, provider="AWS", sku=sku, region=region, device=str(item.get("GPU_model") or ""),
                      count=count if count > 0 else 0.0, prices=_stated(found, prices), as_of=as_of)  # fmt: skip
    return found


def rows_skipped(address: str) -> int | None:
    """Rows of a list that stand before those at an address; None where it does not say.

    >>> rows_skipped("https://prices.example/retail?$filter=a&$skip=1000"), rows_skipped("https://prices.example/retail")
    (1000, None)
    """
    stated = parse_qs(urlsplit(address).query).get("$skip", [""])[0]
    return int(stated) if re.fullmatch(r"[0-9]{1,9}", stated) else None


#: Marks of meters that are no plain Linux machine: cloud services are roles on one, sold at a price of their own.
NO_MACHINE = ("windows", "low priority", "cloud services", "cloudservices")
AZURE_TERM = {"1 Year": 12, "3 Years": 36}


def azure_retail(held: dict, source: Source) -> Found:
    """Azure retail prices: hourly prices of consumption; a reservation's price is for its whole term.

    The service answers in pages; all but the last name the next one. Windows, cloud service, low priority and dev/test meters are left out. Other currencies than USD
    are converted at the rate of the month in the plan of the workspace, and left out where it states none.
    """
    items, as_of, after = held["Items"], needs_date(source), str(held.get("NextPageLink") or "")
    found = Found("Azure retail prices", rows=len(items), goes_on=bool(after))
    if (before_next := rows_skipped(after)) is not None:
        found.skipped = max(before_next - len(items), 0)
    for item in items:
        name = f"{item.get('productName', '')} {item.get('skuName', '')} {item.get('meterName', '')}"
        sku = str(item.get("armSkuName") or "")
        term = AZURE_TERM.get(str(item.get("reservationTerm") or ""), 0)
        kind = str(item.get("type") or item.get("priceType") or "")
        currency = str(item.get("currencyCode", ""))
        rate = None if currency == OURS else rate_of(source.rates, currency, f"{as_of:%Y-%m}")
        why_not = "" if rate or currency == OURS else f"currency {item.get('currencyCode')!r} is not USD"
        why_not = why_not or _azure_refusal(item, name, sku, kind, term, source)
        if why_not:
            found.left_out[why_not] += 1
            continue
        usd = number(item.get("retailPrice", "")) * (float(rate.usd) if rate else 1.0)
        if kind == "Reservation":
            prices = {(RESERVED[term], term, 0.0): usd / (term * HOURS_PER_MONTH)}
        else:
            prices = {SPOT if "spot" in name.lower() else ON_DEMAND: usd}
        for plan in map(table, listed(item.get("savingsPlan"))):
            months = AZURE_TERM.get(str(plan.get("term")), 0)
            if months:
                found.left_out["savings plans, which are no reservations"] += 1
        found.add(source, provider="Azure", sku=sku, region=str(item.get("armRegionName") or ""), device=sku,
                  count=math.nan, prices=_stated(found, prices), as_of=as_of,
                  note="; ".join([PER_ACCELERATOR, *([rate.note] if rate else [])]))  # fmt: skip
    return found


def _azure_refusal(item: dict, name: str, sku: str, kind: str, term: int, source: Source) -> str:
    if sku.lower() not in source.names.types:
        return "instances that the catalogue does not know as accelerators"
    if any(word in name.lower() for word in NO_MACHINE) or kind not in ("Consumption", "Reservation"):
        return "Windows, cloud service, low priority and dev/test prices"
    start, end = (str(item.get(name) or "")[:10] for name in ("effectiveStartDate", "effectiveEndDate"))
    day = f"{needs_date(source):%Y-%m-%d}"
    if start > day or (end and end < day):
        return "prices not in force on the day of the list"
    if kind == "Reservation" and not term:
        return f"term {item.get('reservationTerm')!r} is not 1 or 3 years"
    hourly = str(item.get("unitOfMeasure", "")).strip().lower() in ("1 hour", "1/hour")
    return "" if hourly else f"unit {item.get('unitOfMeasure')!r} is not an hour"


def gcosts(held: dict, source: Source) -> Found:
    """Price table pricing.yml of gcosts: hour, hour_spot, and month_1y, month_3y of committed use, per instance and region."""
    instances = held["compute"]["instance"]
    stamp = table(held.get("about")).get("timestamp")
    sensible = isinstance(stamp, int) and EARLIEST_STAMP < stamp < LATEST_STAMP
    dated = pd.Timestamp(int(stamp), unit="s").normalize() if sensible else None
    found, as_of = Found("gcosts", rows=len(instances)), needs_date(source, dated)
    for sku, item in instances.items():
        if str(sku).lower() not in source.names.types:
            found.left_out["instances that the catalogue does not know as accelerators"] += 1
            continue
        for region, cost in ((place, table(cost)) for place, cost in table(table(item).get("cost")).items()):
            prices = {
                ON_DEMAND: number(cost.get("hour", "")),
                SPOT: number(cost.get("hour_spot", "")),
                ("reserved_1y", 12, 0.0): number(cost.get("month_1y", "")) / HOURS_PER_MONTH,
                ("reserved_3y", 36, 0.0): number(cost.get("month_3y", "")) / HOURS_PER_MONTH,
            }
            found.add(source, provider="GCP", sku=str(sku), region=str(region), device="", count=math.nan,
                      prices=_stated(found, prices), as_of=as_of)  # fmt: skip
    return found


#: Price of a second, and mode of the models that it is of speech for.
PER_SECOND, AUDIO = "input_cost_per_second", "audio"
HOSTED = {
    "input_usd_per_mtok": ("input_cost_per_token", MEGA),
    "cached_input_usd_per_mtok": ("cache_read_input_token_cost", MEGA),
    "output_usd_per_mtok": ("output_cost_per_token", MEGA),
    "batch_input_usd_per_mtok": ("input_cost_per_token_batches", MEGA),
    "batch_output_usd_per_mtok": ("output_cost_per_token_batches", MEGA),
    "usd_per_image": ("output_cost_per_image", 1),
    "usd_per_audio_minute": (PER_SECOND, 60),
}


def litellm(held: dict, source: Source) -> Found:
    """LiteLLM model prices: USD per token, image or second of hosted models, with their end dates."""
    found, as_of = Found("LiteLLM model prices", rows=len(held)), needs_date(source)
    for name, item in held.items():
        if name == "sample_spec" or not isinstance(item, dict):
            continue
        if re.match(STARTS, name):
            found.left_out[FORMULA] += 1
            continue
        if not str(item.get("mode") or AUDIO).startswith(
            AUDIO
        ):  # a second of a machine that is reserved, not of speech
            item = {key: value for key, value in item.items() if key != PER_SECOND}
        prices = {ours: number(item.get(theirs, "")) * factor for ours, (theirs, factor) in HOSTED.items()}
        stated = [ours for ours, (theirs, _) in HOSTED.items() if item.get(theirs) not in (None, "")]
        if any(not prices[ours] >= 0 for ours in stated):
            found.left_out[NO_NUMBER] += 1
            continue
        if any(usd > MOST_HOSTED_USD for usd in prices.values()):
            found.left_out[f"price above USD {MOST_HOSTED_USD:,} a million tokens: in another unit"] += 1
            continue
        if not any(usd > 0 for usd in prices.values()):
            found.left_out["models without a price"] += 1
            continue
        end = pd.to_datetime(str(item.get("deprecation_date") or ""), errors="coerce", format="%Y-%m-%d")
        found.hosted.append(
            {"api_model": name, "provider": str(item.get("litellm_provider") or "unknown")}
            | {ours: usd if usd > 0 else math.nan for ours, usd in prices.items()}
            | {"deprecation_date": end, "source": source.name, "as_of": as_of, "confidence": "claimed"}
        )
    return found


def read_prices(path: Path, source: Source) -> Found:
    """Read a price list of a known format, recognised by its content."""
    if not path.is_file():
        raise InputError.at(source.name, "no such file")
    if path.stat().st_size > MAX_BYTES:
        raise InputError.at(source.name, f"is larger than {MAX_BYTES:,} bytes")
    with path.open("rb") as stream:
        begin = stream.read(4_096).lstrip(b"\xef\xbb\xbf \r\n\t")
    if begin[:1] in (b"{", b"["):
        return _from_json(_json(path, source), source)
    if b"compute:" in begin and b"about:" in begin:
        return gcosts(_yaml(path, source), source)
    header = _header(begin.decode("utf-8", "replace"))
    readers: tuple[tuple[tuple[str, ...], Callable[[Path, Source], Found]], ...] = (
        (SKYPILOT, skypilot),
        (GPUHUNT, gpuhunt),
    )
    for needed, reader in readers:
        if set(needed) <= set(header):
            return reader(path, source)
    known = "SkyPilot, gpuhunt (CSV), ec2instances, Azure retail, LiteLLM (JSON), gcosts (YAML)"
    raise InputError.at(source.name, f"is no price list of a known format ({known}); give its columns with --mapping")


def _header(begin: str) -> list[str]:
    """Names of the columns of a CSV file, quoted or not.

    >>> _header('"InstanceType","Price"'), _header("a,b")
    (['InstanceType', 'Price'], ['a', 'b'])
    """
    return next(csv.reader([begin.split("\n", 1)[0].strip()]), [])


def _from_json(held: Any, source: Source) -> Found:
    if isinstance(held, dict) and isinstance(held.get("Items"), list):
        return azure_retail(held | {"Items": [item for item in held["Items"] if isinstance(item, dict)]}, source)
    if isinstance(held, list) and held and all(isinstance(i, dict) and "armSkuName" in i for i in _some(held)):
        return azure_retail({"Items": [item for item in held if isinstance(item, dict)]}, source)
    if isinstance(held, list) and held and all(isinstance(i, dict) and "instance_type" in i for i in _some(held)):
        return ec2instances([item for item in held if isinstance(item, dict)], source)
    if isinstance(held, dict) and any("litellm_provider" in i for i in _some(held.values()) if isinstance(i, dict)):
        return litellm(held, source)
    raise InputError.at(source.name, "is JSON, but no price list of ec2instances, Azure retail prices or LiteLLM")


def _some(items: Any) -> Iterator[Any]:
    yield from list(items)[:50]


def _json(path: Path, source: Source) -> Any:
    def refuse(word: str) -> None:
        raise InputError.at(source.name, f"holds {word}, which is no price")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        held = dict(pairs)
        if len(held) < len(pairs):
            twice = next((name for name, value in pairs if held[name] != value), None)
            if twice is not None:
                raise InputError.at(source.name, "holds a name twice, with two values", column=twice)
        return held

    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=refuse, object_pairs_hook=once)
    except RecursionError:
        raise InputError.at(source.name, "is nested too deeply") from None
    except ValueError as error:
        raise InputError.at(source.name, f"is not JSON in UTF-8: {str(error)[:100]}") from None


class _PriceLoader(UniqueKeys, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Safe loader, compiled where there is one, with keys that stand once."""


def _yaml(path: Path, source: Source) -> dict:
    """Read YAML of an instance table: safe tags only, no aliases, no double keys."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError.at(source.name, "is not text in UTF-8") from None
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_PriceLoader)):
            raise InputError.at(source.name, "YAML aliases are not accepted")
        held = yaml.load(text, Loader=_PriceLoader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError.at(source.name, f"not valid YAML: {str(error)[:150]}") from None
    compute = held.get("compute") if isinstance(held, dict) else None
    if not isinstance(compute, dict) or not isinstance(compute.get("instance"), dict):
        raise InputError.at(source.name, "has no compute.instance table")
    return held
