"""Price lists and public measurements into the tables `prices` and `public_measurements`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from aifactory.inputs.importers.source import source_contract
from aifactory.inputs.tables import read_source
from aifactory.inputs.telemetry import conform

CLOUD_PRICES = source_contract(
    "cloud_prices",
    {"provider": "string", "instance_type": "string", "accelerator": "string", "on_demand_usd_accel_h": "number"},
    {"region": "string", "spot_usd_accel_h": "number", "as_of": "date", "source_ref": "string"},
)
COMMITMENT_PRICES = source_contract(
    "commitment_prices",
    {"provider": "string", "accelerator": "string"},
    {"usd_per_accelerator_hour": "number", "instance_type": "string", "region": "string", "term": "string", "payment_option": "string", "source": "string",
     "as_of": "string"},
)  # fmt: skip
PERFORMANCE = source_contract(
    "public_performance",
    {"id": "string", "source": "string", "date": "string", "accelerator": "string",
     "task": "string", "model": "string", "scenario": "string", "metric": "string",
     "evidence": "string"},
    {"accel_count": "number", "value_per_accel": "number", "precision": "string", "software": "string", "power_w": "number", "power_scope": "string", "notes": "string",
     "catalogue_accelerator_id": "string", "catalogue_model": "string"},
)  # fmt: skip
PER_ACCELERATOR = "price of the instance divided by its accelerators"
#: A spot price of exactly a tenth of on-demand is a floor without a market behind it.
SPOT_FLOOR = 0.1
TERMS = {"1y": ("reserved_1y", 12), "3y": ("reserved_3y", 36)}
METRICS = ("tokens_per_s", "samples_per_s", "sequences_per_s")


def read_cloud_prices(path: Path, accelerators: set[str]) -> pd.DataFrame:
    """On-demand and spot prices per accelerator-hour, rows of the `prices` table.

    Left out: accelerators that the catalogue does not know, undated rows, and spot prices that are a
    floor (a tenth of on-demand) or missing.
    """
    rows = read_source(Path(path), CLOUD_PRICES)
    rows = rows[rows["accelerator"].isin(accelerators) & rows["as_of"].notna()]
    rows = rows.rename(columns={"accelerator": "accelerator_id", "instance_type": "sku", "source_ref": "source"})
    on_demand = rows.assign(purchase_option="on_demand", usd_per_accelerator_hour=rows["on_demand_usd_accel_h"])
    ratio = rows["spot_usd_accel_h"] / rows["on_demand_usd_accel_h"]
    market = rows["spot_usd_accel_h"].notna() & ((ratio - SPOT_FLOOR).abs() > 1e-3)
    spot = rows[market]
    spot = spot.assign(purchase_option="spot", usd_per_accelerator_hour=spot["spot_usd_accel_h"])
    return _prices(pd.concat([on_demand, spot]).assign(term_months=0, upfront_fraction=0.0, note=PER_ACCELERATOR))


def read_commitment_prices(path: Path, accelerators: set[str]) -> pd.DataFrame:
    """Prices of one- and three-year commitments; other terms, undated rows and rows without price are left out.

    A date that names only a month or a year counts as its first day.
    """
    rows = read_source(Path(path), COMMITMENT_PRICES)
    rows = rows.assign(as_of=_day(rows["as_of"]))
    rows = rows[rows["accelerator"].isin(accelerators) & rows["term"].isin(list(TERMS)) & rows["as_of"].notna()]
    frame = rows.rename(columns={"accelerator": "accelerator_id", "instance_type": "sku"}).assign(
        purchase_option=rows["term"].map({term: option for term, (option, _) in TERMS.items()}),
        term_months=rows["term"].map({term: months for term, (_, months) in TERMS.items()}),
        upfront_fraction=_upfront(rows["payment_option"]),
        note=rows["payment_option"],
    )
    return _prices(frame)


def _upfront(texts: pd.Series) -> pd.Series:
    """Share paid at the start: 'all upfront' 1, a stated percentage, else 0."""
    stated = texts.str.extract(r"(\d{1,3}) ?%", expand=False).astype("float64") / 100
    whole = texts.str.contains("all upfront", case=False).fillna(value=False)
    return stated.fillna(0.0).mask(whole, 1.0)


def _day(texts: pd.Series) -> pd.Series:
    return pd.to_datetime(texts.str[:10], format="ISO8601", errors="coerce")


def _prices(frame: pd.DataFrame) -> pd.DataFrame:
    priced = frame[frame["usd_per_accelerator_hour"] > 0]
    priced = priced.assign(region=priced["region"].fillna("*"), confidence="measured")
    keys = ["provider", "sku", "accelerator_id", "region", "purchase_option", "upfront_fraction", "as_of", "source"]
    texts = ["|".join(map(str, row)) for row in priced[keys].itertuples(index=False)]
    named = [
        f"{chip}--{option}--{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        for chip, option, text in zip(priced["accelerator_id"], priced["purchase_option"], texts, strict=True)
    ]
    unique = priced.assign(price_id=named).drop_duplicates("price_id")
    return conform(unique.sort_values("price_id", ignore_index=True), "prices")


def read_public_performance(path: Path, accelerators: set[str]) -> pd.DataFrame:
    """Throughput per accelerator, rows of the `public_measurements` table.

    Left out: other metrics than throughput, rows that are not measured, and accelerators that the
    catalogue does not know.
    """
    rows = read_source(Path(path), PERFORMANCE)
    chip = rows["catalogue_accelerator_id"]
    rows = rows[chip.isin(accelerators) & rows["metric"].isin(METRICS) & rows["evidence"].str.startswith("MEASURED")]
    frame = rows.assign(
        measurement_id=rows["id"],
        accelerator_id=rows["catalogue_accelerator_id"],
        model=rows["catalogue_model"].fillna(rows["model"]),
        accelerators=rows["accel_count"],
        value_per_accelerator=rows["value_per_accel"],
        note=rows["notes"],
        as_of=_day(rows["date"]),
        confidence="measured",
    )
    usable = frame[frame["as_of"].notna() & (frame["value_per_accelerator"] > 0) & (frame["accelerators"] > 0)]
    return conform(usable.reset_index(drop=True), "public_measurements")
