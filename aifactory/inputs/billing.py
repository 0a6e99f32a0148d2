"""What the bill says between the lines: team, accelerator, purchase option, kind of cost."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pandas as pd

from aifactory.inputs.contracts import load_contract
from aifactory.inputs.kinds import row_kinds
from aifactory.inputs.months import month_of
from aifactory.inputs.plan import Region
from aifactory.inputs.resources import data_dir
from aifactory.inputs.tables import read_source

UNATTRIBUTED = "(unattributed)"
OTHER_PURCHASE = "other_purchase"
NO_ACCELERATOR = "(none)"
#: Spellings of the keys that planning needs, without case, blanks and punctuation; the first that is there counts.
_TAG_KEYS = {
    "team": ("team", "teamname", "productteam", "owningteam"),
    "business_unit": ("businessunit", "businessunitname", "bu"),
    "use_case": ("usecase", "usecaseid", "aiusecase"),
}
#: Option of charges for kit of one's own, and what their text says.
OWN_KIT = "own_kit"
_DEPRECIATION = r"(?i)depreciat|amorti[sz]"
#: Columns from which all but hours and months follow.
LABELS = ["Tags", "SubAccountId", "ChargeCategory", "ChargeClass", "PricingCategory", "CommitmentDiscountStatus",
           "SkuPriceDetails", "SkuMeter", "SkuId", "ChargeDescription", "ConsumedUnit"]  # fmt: skip
#: Entry of SkuPriceDetails that marks a charge which lowers the price of others, and the purchase option it has.
DISCOUNT_KEY, DISCOUNT = "x_Discount", "discount"
#: A unit of time, of the whole machine or of each accelerator ("GPU-Hours"), and hours of one by the first letter of its name.
_TIME_UNIT = re.compile(
    r"(?:1[ /]?)?((?:(?:gpu|tpu|npu|xpu|accelerator|chip|card|device)s?[ _-]?)+)?(d(?:ay)?|h(?:(?:ou)?r)?|min(?:ute)?|s(?:ec(?:ond)?)?)s?"
)
#: How many of a device stand before its name.
_TIMES = re.compile(r"(?<!\w)([1-9]\d?)x ?(?:nvidia |tesla |amd |instinct |intel |google |aws )*$")
#: Memory that follows the name of a device, which its form may stand before: `a100-sxm4-40gb`, `agx orin (32 GB)`.
_MEMORY = re.compile(
    r"(?:[ (-]*(?:tensor|core|gpu|sxm\d?|pcie|oam|hbm\d?e?|super|developer|kit|module))*[ (-]*(\d+) ?g(?:i?b)?\b"
)
#: Relative difference from which a memory is another one: 192 GB of a B200 are sold as 180.
MEMORY_TOLERANCE = 0.1
_HOURS = {"d": 24.0, "h": 1.0, "m": 1 / 60, "s": 1 / 3600}


def derive_billing(billing: pd.DataFrame, account_map: pd.DataFrame, aliases: pd.DataFrame) -> pd.DataFrame:
    """Add the derived columns to a bill.

    Adds `team`, `business_unit`, `use_case` (tags first, then the account map), `account`,
    `accelerator_id`, `accelerator_hours` (h), `accelerator_confidence`, `purchase_option`, `cost_line`, `month` (of usage, for
    unit cost) and `invoice_month` (for everything that must add up to the bill). Amounts stay as they
    are.
    """
    told = billing[LABELS]
    kind, first = row_kinds(told)
    labels = _from_labels(told.iloc[first], account_map, aliases).take(kind).set_axis(billing.index)
    labels["accelerator_hours"] *= billing["ConsumedQuantity"]
    labels = _with_other_purchases(labels, billing)
    return billing.assign(
        **labels, month=month_of(billing["ChargePeriodStart"]), invoice_month=month_of(billing["BillingPeriodStart"])
    )


def _with_other_purchases(labels: pd.DataFrame, billing: pd.DataFrame) -> pd.DataFrame:
    """Purchases that no usage row carries on (leases, subscriptions): a commitment has no effective cost of its own."""
    other = (labels["purchase_option"] == "commitment_purchase").to_numpy(copy=True)
    other[other] = billing.loc[other, "EffectiveCost"].astype("float64") != 0
    option = labels["purchase_option"].mask(other, OTHER_PURCHASE)
    lines = _cost_line(billing[other], option[other], labels.loc[other, "team"] != UNATTRIBUTED)
    return labels.assign(purchase_option=option, cost_line=lines.reindex(labels.index).fillna(labels["cost_line"]))


def _from_labels(billing: pd.DataFrame, account_map: pd.DataFrame, aliases: pd.DataFrame) -> pd.DataFrame:
    """What follows from the labels of charges; accelerator-hours for one unit of the quantity."""
    tags = _tags(billing["Tags"])
    mapped = account_map.set_index("SubAccountId").reindex(billing["SubAccountId"].to_numpy())
    option = purchase_option(billing)
    return pd.DataFrame(
        {
            "team": _first(tags["team"], mapped["team"]),
            "business_unit": _first(tags["business_unit"], mapped["business_unit"]),
            "use_case": tags["use_case"].fillna(UNATTRIBUTED),
            "account": billing["SubAccountId"].fillna("(none)"),
            **match_accelerators(billing.assign(ConsumedQuantity=1.0), aliases),
            "purchase_option": option,
            "cost_line": _cost_line(billing, option, tags["team"].notna() | mapped["team"].notna().to_numpy()),
        }
    )


def _first(tagged: pd.Series, mapped: pd.Series) -> pd.Series:
    fallback = pd.Series(mapped.to_numpy(), index=tagged.index, dtype="str")
    return tagged.fillna(fallback).fillna(UNATTRIBUTED)


def _tags(texts: pd.Series) -> pd.DataFrame:
    """Team, business unit and use case of each row; keys lose case and surrounding blanks."""
    number, known = pd.factorize(texts)
    parsed = [_parse_tags(text) for text in known] + [{}]  # the last one is for rows without tags
    return pd.DataFrame(
        {name: pd.Series([_first_tag(tags, keys) for tags in parsed], dtype="str").take(number).to_numpy()
         for name, keys in _TAG_KEYS.items()},
        index=texts.index, dtype="str",
    )  # fmt: skip


def _first_tag(tags: dict[str, str], keys: tuple[str, ...]) -> str | None:
    return next((tags[key] for key in keys if key in tags), None)


def _parse_tags(text: str) -> dict[str, str]:
    try:
        tags = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(tags, dict):
        return {}
    held = {
        str(key).lower().removeprefix("user:"): str(value).strip()
        for key, value in tags.items()
        if isinstance(value, (str, int)) and str(value).strip()
    }
    # a key may stand in a namespace (finance.team, example.org/team); one without it goes first
    inner = {re.split(r"[./]", key)[-1]: value for key, value in held.items()}
    return {re.sub(r"[^a-z0-9]", "", key): value for key, value in [*inner.items(), *held.items()]}


def purchase_option(billing: pd.DataFrame) -> pd.Series:
    """How each charge was bought, from the FOCUS columns; depreciation of own kit, which FOCUS has no word for, from its text."""
    category, pricing = billing["ChargeCategory"], billing["PricingCategory"]
    committed = billing["CommitmentDiscountStatus"].notna() | (pricing == "Committed")
    discount = billing["SkuPriceDetails"].str.contains(f'"{DISCOUNT_KEY}"', regex=False)
    told = billing["SkuMeter"].fillna("").str.cat(billing["ChargeDescription"].fillna(""), sep=" ")
    conditions = [
        category == "Tax",
        category == "Credit",
        category == "Adjustment",
        category == "Purchase",
        billing["CommitmentDiscountStatus"] == "Unused",
        discount,
        committed,
        pricing == "Dynamic",
        told.str.contains(_DEPRECIATION),
    ]
    names = [
        "tax",
        "credit",
        "adjustment",
        "commitment_purchase",
        "committed_unused",
        DISCOUNT,
        "committed",
        "spot",
        OWN_KIT,
    ]
    flags = [condition.fillna(value=False).to_numpy(dtype=bool) for condition in conditions]
    return pd.Series(np.select(flags, names, default="on_demand"), index=billing.index, dtype="str")


def accelerator_charges(billing: pd.DataFrame) -> pd.Series:
    """Which charges of a derived bill are what accelerator-hours cost: those with hours, and discounts on them."""
    named = billing["accelerator_id"] != NO_ACCELERATOR
    return billing["accelerator_hours"].gt(0) | (named & (billing["purchase_option"] == DISCOUNT))


def _cost_line(billing: pd.DataFrame, option: pd.Series, attributed: pd.Series) -> pd.Series:
    """The line of the reconciliation a charge belongs to; each charge has exactly one."""
    correction = (billing["ChargeClass"] == "Correction").fillna(value=False)
    usage = np.where(attributed, "attributed usage", "unattributed usage")
    special = option.map(
        {
            "tax": "tax",
            "credit": "credit",
            "adjustment": "adjustment and correction",
            "commitment_purchase": "commitment purchase",
            "committed_unused": "idle commitment",
        }
    )
    lines = special.fillna(pd.Series(usage, index=option.index, dtype="str"))
    return lines.mask(correction & special.isna(), "adjustment and correction")


def match_accelerators(billing: pd.DataFrame, aliases: pd.DataFrame) -> pd.DataFrame:
    """Accelerator, accelerator-hours and how sure they are, for each charge.

    An instance type that stands in details, meter, SKU or description wins, the longest of several; it
    says how many accelerators it holds. Otherwise the longest name of a device counts, or its identifier, as many as
    `GpuCount` of the details says or stand before it ("8x H100"), else one; not where another memory than its own stands after it ("Orin 32GB"). Hours are counted where the unit is a time; one of each accelerator counts
    one accelerator, whatever the machine holds.

    Returns
    -------
    Columns accelerator_id, accelerator_hours, accelerator_confidence (of the alias; empty without one).
    """
    told = billing[["SkuPriceDetails", "SkuMeter", "SkuId", "ChargeDescription"]]
    sku, first = row_kinds(told)
    each = told.iloc[first]
    details = [_details(text) for text in each["SkuPriceDetails"]]
    names = [
        " | ".join(str(part) for part in (held.get("InstanceType"), *rest) if not pd.isna(part))
        for held, rest in zip(details, each.iloc[:, 1:].itertuples(index=False), strict=True)
    ]
    known = _alias_patterns(aliases)
    matched = [_find_alias(text, known, _gpu_count(held)) for text, held in zip(names, details, strict=True)]
    columns = ["accelerator_id", "accelerators", "accelerator_confidence"]
    found = pd.DataFrame(matched, columns=columns).take(sku).set_axis(billing.index)
    usage = (billing["ChargeCategory"] == "Usage") & (billing["CommitmentDiscountStatus"] != "Unused").fillna(
        value=True
    )
    hours, single = hours_of(billing["ConsumedUnit"])
    each = found["accelerators"].astype("float64").mask(single & found["accelerator_id"].notna(), 1.0)
    return pd.DataFrame(
        {
            "accelerator_id": found["accelerator_id"].where(usage).fillna(NO_ACCELERATOR),
            "accelerator_hours": (billing["ConsumedQuantity"] * hours * each).where(usage),
            "accelerator_confidence": found["accelerator_confidence"].where(usage).fillna(""),
        }
    )


def hours_of(units: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Hours of a unit, NaN where it is no time, and whether it is of each accelerator.

    >>> [part.tolist() for part in hours_of(pd.Series(["Hours", "GPU-Hours", "1 Minute", "GB"]))]
    [[1.0, 1.0, 0.016666666666666666, nan], [False, True, False, False]]
    """
    read = {unit: _TIME_UNIT.fullmatch(unit.lower().strip()) for unit in units.dropna().unique()}
    hours = {unit: _HOURS[found[2][0]] for unit, found in read.items() if found}
    single = {unit for unit, found in read.items() if found and found[1]}
    return units.map(hours).astype("float64"), units.isin(single)


def accelerator_finder(aliases: pd.DataFrame) -> Callable[[str], str | None]:
    """Function from a text to the accelerator it names, by the rule of `match_accelerators`; None without one."""
    known = _alias_patterns(aliases)
    return lambda text: _find_alias(text, known, 1.0)[0]


def _details(text: object) -> dict[str, object]:
    try:
        held = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


def _gpu_count(details: dict[str, object]) -> float:
    """Accelerators of a charge as its details say; 1 where they do not."""
    try:
        count = float(str(details.get("GpuCount", 1)))
    except ValueError:
        return 1.0
    return count if 0 < count < np.inf else 1.0


def _plain(text: str) -> str:
    """Lower case; blanks, underscores and the word Standard, which meters leave out, as one blank; none before GB and x."""
    words = re.sub(r"[\s_]+", " ", text.lower()).replace("standard ", "")
    return re.sub(r"(?<=\d) (?=(?:gb|x)\b)", "", words)


def _alias_patterns(aliases: pd.DataFrame) -> list[tuple[str, re.Pattern[str], str, float, str]]:
    """Aliases to try, instance types and SKUs before device names, long before short: text, pattern, what it stands for."""
    own = pd.DataFrame({"alias": aliases["accelerator_id"].unique()})
    own = own.assign(accelerator_id=own["alias"], kind="device_name", accelerators=1.0, confidence="assumed")
    aliases = pd.concat([aliases, own[~own["alias"].isin(aliases["alias"])]], ignore_index=True)
    plain = aliases.assign(plain=[_plain(alias) for alias in aliases["alias"]])
    order = [plain["kind"] == "device_name", -plain["plain"].str.len(), plain["plain"]]
    ranked = plain.iloc[np.lexsort([part.to_numpy() for part in reversed(order)])]
    return [
        (row.plain, re.compile(rf"(?<![^\W_]){re.escape(row.plain)}(?![^\W_])"), row.accelerator_id,
         np.nan if row.kind == "device_name" else float(row.accelerators), row.confidence)
        for row in ranked.itertuples(index=False)
    ]  # fmt: skip


def _find_alias(text: str, known: list, gpus: float) -> tuple[str | None, float, str | None]:
    plain = _plain(text)
    for alias, pattern, accelerator, count, confidence in known:
        found = pattern.search(plain) if alias in plain else None
        if found and not (np.isnan(count) and _of_other_memory(plain[found.end() :], accelerator)):
            return accelerator, _devices(plain[: found.start()], gpus) if np.isnan(count) else count, confidence
    return None, np.nan, None


def _devices(before: str, told: float) -> float:
    """Devices of a charge: as its details tell, or as the text before the name does.

    >>> [_devices(text, 1.0) for text in ("server with 8x nvidia ", "4x", "v2x ", "")], _devices("8x ", 2.0)
    ([8.0, 4.0, 1.0, 1.0], 2.0)
    """
    said = _TIMES.search(before)
    return float(said[1]) if said and told == 1 else told


def _of_other_memory(after: str, accelerator: str) -> bool:
    """Whether the text after a device's name says another memory than the catalogue; that of several devices may stand there.

    >>> [_of_other_memory(text, "nvidia-h100-sxm") for text in (" 80gb", " (640 gb)", "-40gb", " server, 96 gb", "")]
    [False, False, True, False, False]
    """
    said, own = _MEMORY.match(after), _memory_gb().get(accelerator)
    if not said or not own:
        return False
    ratio = float(said[1]) / own
    return abs(ratio / max(round(ratio), 1) - 1) > MEMORY_TOLERANCE


@cache
def _memory_gb() -> dict[str, float]:
    """Memory of the accelerators of the catalogue whose memory is known."""
    chips = read_source(data_dir() / "catalogue" / "accelerators.csv", load_contract("accelerators"))
    return chips.set_index("accelerator_id")["memory_gb"].dropna().to_dict()


def plan_regions(billing: pd.DataFrame, regions: Sequence[Region]) -> pd.Series:
    """Region of the plan of each charge: the one it names, or that its provider's region belongs to; "" if none or several."""
    held = Counter(theirs for item in regions for theirs in set(item.provider_regions.values()))
    ours = {theirs: item.region for item in regions for theirs in item.provider_regions.values() if held[theirs] == 1}
    ours |= {item.region: item.region for item in regions}
    return billing["RegionId"].astype("str").map(ours).fillna("")
