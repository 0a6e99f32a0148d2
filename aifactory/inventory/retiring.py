"""Hosted models in use whose provider has announced their end: which use case, when, by which source, what to do.

A model is in use where a charge of the month names it, or where a use case names it and its weights cannot be run on own
accelerators (no row of `models`). Names are compared without case and punctuation ("Claude Sonnet 4.5 (Bedrock)" is
`claude-sonnet-4-5`); a longer name is another model (`gpt-5-mini` is not `gpt-5`), a date behind a name is a snapshot of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.inputs.billing import NO_ACCELERATOR, UNATTRIBUTED
from aifactory.inputs.kinds import row_kinds
from aifactory.inputs.money import exact_total
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.findings import Finding
from aifactory.inventory.spend import USAGE

COLUMNS = ["model", "provider", "use_case_id", "retires", "usd_month", "named_in", "owner_role", "action", "source", "as_of"]  # fmt: skip
#: Provider of a hosted price as price lists write it -> words of which an invoice's provider name holds one.
SELLER_WORDS = {
    "openai": ("openai",), "azure": ("microsoft", "azure"), "azure_ai": ("microsoft", "azure"), "anthropic": ("anthropic",),
    "bedrock": ("aws", "amazon"), "bedrock_converse": ("aws", "amazon"), "gemini": ("google",), "vertex_ai": ("google",),
}  # fmt: skip
#: A word behind the name of a model that makes it another one.
OTHER_MODEL = "mini|nano|micro|pro|max|lite|flash|turbo|small|medium|large|audio|realtime|transcribe|tts|search|codex|image|vision|embedding|thinking|reasoning|preview|instruct|coder|oss"
#: Words of a name that say what else than text it takes or gives.
KINDS = re.compile("transcribe|whisper|audio|realtime|tts|speech|embed|image|vision|code")
SNAPSHOT = re.compile(r"[-@](20\d{6}|20\d\d-\d\d-\d\d|latest)$")
BILL, CATALOGUE = "billing", "use_cases"
CHARGE_TEXTS = ["ChargeDescription", "SkuMeter", "SkuId", "SkuPriceDetails"]


@dataclass(frozen=True)
class Offered:
    """A hosted model of the price table: name without provider and snapshot, and the pattern that finds it in a text."""

    row: int
    base: str
    snapshot: str
    pattern: re.Pattern[str]


def retiring_models(ws: Workspace, bill: pd.DataFrame) -> pd.DataFrame:
    """Hosted models in use with an announced end, the first to go first; empty where none is known.

    Parameters
    ----------
    bill : derived charges of usage of the reporting month.

    Returns
    -------
    Columns model, provider (whose announcement it is), use_case_id (empty where a charge names none), retires (date; in the
    past where it is gone already), usd_month (effective cost of the month, NaN where the bill does not name the model),
    named_in, owner_role, action, source and as_of of the date. The newest price rows known by the end of the month count; of
    an alias without a date the last of its snapshots, if all of them end.
    """
    prices = ws.table("api_prices").reset_index(drop=True)
    if not prices["deprecation_date"].notna().any():
        return pd.DataFrame(columns=COLUMNS)
    offered = [_offered(row, name) for row, name in enumerate(prices["api_model"])]
    cases = ws.table("use_cases").query("use_case_id not in @ws.ended").set_index("use_case_id")
    rows = [*_billed(bill, offered, prices), *_named(cases, ws.table("models")["model"], offered, prices)]
    found = pd.DataFrame(rows, columns=[*COLUMNS[:6], "source", "as_of", "row"])
    found = found.drop_duplicates(["model", "use_case_id"])  # of a model in bill and catalogue the charge counts
    found = found.assign(owner_role=found["use_case_id"].map(cases["owner_role"]).fillna(""))
    ends = found["use_case_id"].map(cases["retire_month"])
    found["action"] = [
        _action(prices.iloc[n], end, prices, ws.as_of) for n, end in zip(found["row"], ends, strict=True)
    ]
    return found.sort_values(["retires", "model", "use_case_id"], ignore_index=True)[COLUMNS]


def retiring_findings(retiring: pd.DataFrame, as_of: str) -> list[Finding]:
    """The same in words, one sentence a model and use case."""
    return [
        Finding("retiring", f"{retiring_sentence(row, as_of)} {row.action}.", None if pd.isna(row.usd_month) else row.usd_month)
        for row in retiring.itertuples()
    ]  # fmt: skip


def retiring_sentence(row: object, as_of: str) -> str:
    """Which model ends when, for whom, by which source."""
    who = row.use_case_id or "charges without a use case"
    verb = "ended" if row.retires < pd.Timestamp(as_of) else "ends"
    paid = "" if pd.isna(row.usd_month) else f", USD {row.usd_month:,.0f} in the month"
    return f"Hosted model {row.model} of {who} {verb} {row.retires:%Y-%m-%d} at {row.provider} ({row.source}, {row.as_of:%Y-%m-%d}{paid})."


def _offered(row: int, api_model: str) -> Offered:
    last = re.sub(r"^([a-z]+\.)+", "", api_model.lower().split("/")[-1])
    last = re.sub(r"-v\d+:\d+$|:\d+$", "", last)
    base = SNAPSHOT.sub("", last)
    words = [re.escape(word) for word in re.findall(r"[a-z]+|\d+", base)]
    # no letter, digit or part of a version before or behind; a number of tokens ("1K tokens") or the release of Bedrock ("-v1:0") may follow
    behind = rf"(?![a-z0-9])(?![\W_]{{1,2}}(?:{OTHER_MODEL})(?![a-z]))(?!(?!-v\d+:\d)[-._ ]v?\d{{1,2}}(?![\dkm]| [km]))"
    pattern = re.compile(rf"(?<![a-z0-9]){'[^a-z0-9]{0,2}'.join(words)}{behind}")
    return Offered(row, base, last if last != base else "", pattern)


def _billed(bill: pd.DataFrame, offered: list[Offered], prices: pd.DataFrame) -> Iterator[tuple]:
    """Models that charges of usage name, with what they cost by use case."""
    usage = bill[bill["cost_line"].isin(USAGE) & (bill["accelerator_id"] == NO_ACCELERATOR)]
    if usage.empty:
        return
    kind, first = row_kinds(usage[["Tags", *CHARGE_TEXTS, "ProviderName"]])
    told = usage.iloc[first]
    texts = [tagged_model(row.Tags) or _joined(getattr(row, name) for name in CHARGE_TEXTS) for row in told.itertuples()]  # fmt: skip
    hits = [_end(text, offered, prices, str(seller)) for text, seller in zip(texts, told["ProviderName"], strict=True)]
    named = np.array([hit is not None for hit in hits])[kind]
    usage = usage.assign(row=[hits[k][0] if hits[k] else -1 for k in kind], model=[hits[k][1] if hits[k] else "" for k in kind])  # fmt: skip
    for (row, model, case), part in usage[named].groupby(["row", "model", "use_case"]):
        cost = float(exact_total(part["EffectiveCost"]))
        yield _told(row, prices, model, "" if case == UNATTRIBUTED else case, cost, BILL)


def _named(cases: pd.DataFrame, weights: pd.Series, offered: list[Offered], prices: pd.DataFrame) -> Iterator[tuple]:
    """Models that use cases name and that nobody can run on own accelerators."""
    own = [_offered(0, part) for name in weights for part in name.split(" / ")]
    for case, model in (
        cases["model"].fillna(pd.Series(cases.index, cases.index)).items()
    ):  # gateways name use cases after models
        if not any(one.pattern.search(model.lower()) for one in own) and (hit := _end(model, offered, prices, "")):
            yield _told(hit[0], prices, hit[1], str(case), np.nan, CATALOGUE)


def _told(row: int, prices: pd.DataFrame, model: str, case: str, usd: float, where: str) -> tuple:
    price = prices.iloc[row]
    return model, price["provider"], case, price["deprecation_date"], usd, where, price["source"], price["as_of"], row


def _end(text: str, offered: list[Offered], prices: pd.DataFrame, seller: str) -> tuple[int, str] | None:
    """Row of the price table that dates the end of the model which a text names, and its name; None without one."""
    text = text.lower()
    sold = _sold([one for one in offered if one.pattern.search(text)], prices, seller)
    if not sold:
        return None
    base = max((one.base for one in sold), key=len)
    same = [one for one in sold if one.base == base]
    exact = [one for one in same if one.snapshot and one.snapshot in text]
    alias = [one for one in same if not one.snapshot]
    for group in (exact, alias):
        rows = [one.row for one in group if pd.notna(prices["deprecation_date"].iloc[one.row])]
        if rows:
            row = min(rows, key=lambda row: prices["deprecation_date"].iloc[row])
            return row, (exact[0].snapshot if group is exact else base)
        if exact:
            return None
    ends = prices["deprecation_date"].iloc[[one.row for one in same if one.snapshot]]
    return (int(ends.idxmax()), base) if len(ends) and ends.notna().all() else None


def _sells(provider: str, seller: str) -> bool:
    return any(word in seller.lower() for word in SELLER_WORDS.get(provider, (provider.replace("_", " "),)))


def _action(price: pd.Series, case_ends: object, prices: pd.DataFrame, as_of: str) -> str:
    """What to do about a price row that ends; `case_ends` is the month of retirement of the use case, if it has one."""
    if isinstance(case_ends, str) and pd.Period(case_ends, "M").end_time < price["deprecation_date"]:
        return f"Nothing to move: the use case ends in {case_ends}"
    nearest = _nearest(price, prices)
    known = f" (nearest in price there without an announced end: {', '.join(nearest)})" if nearest else ""
    if price["deprecation_date"] < pd.Timestamp(as_of):
        return f"Ask the provider what answers now, and name the successor{known} in use_cases and price it again"
    return f"Test a successor{known} or an own model on own prompts and move before that day"


def _nearest(price: pd.Series, prices: pd.DataFrame) -> list[str]:
    """Two models of the same provider and kind without an announced end whose output tokens cost most nearly the same."""
    kind = lambda name: set(KINDS.findall(name.lower()))  # noqa: E731
    same = (prices["provider"] == price["provider"]) & prices["deprecation_date"].isna() & (prices["output_usd_per_mtok"] > 0)  # fmt: skip
    alike = prices["api_model"].map(lambda name: kind(name) == kind(price["api_model"])).astype(bool)
    others = prices[same & alike]
    if not price["output_usd_per_mtok"] > 0:
        return []
    apart = np.abs(np.log(others["output_usd_per_mtok"] / price["output_usd_per_mtok"]))
    return list(others.loc[apart.sort_values(kind="stable").index[:2], "api_model"])


def charged_models(charges: pd.DataFrame, api_prices: pd.DataFrame) -> np.ndarray:
    """Model of each charge, [n] of text: as its tags name it, else the listed one whose name its texts hold, "" where none is."""
    if charges.empty:
        return np.array([], dtype=object)
    offered = [_offered(row, name) for row, name in enumerate(api_prices["api_model"])]
    kind, first = row_kinds(charges[["Tags", *CHARGE_TEXTS, "ProviderName"]])
    names = []
    for row in charges.iloc[first].itertuples():
        text = _joined(getattr(row, name) for name in CHARGE_TEXTS)
        hits = _sold([one for one in offered if one.pattern.search(text.lower())], api_prices, str(row.ProviderName))
        names.append(tagged_model(row.Tags) or max((one.base for one in hits), key=len, default=""))
    return np.array(names, dtype=object)[kind]


def _sold(hits: list[Offered], prices: pd.DataFrame, seller: str) -> list[Offered]:
    """Those that a seller sells, all where it sells none."""
    return [one for one in hits if _sells(prices["provider"].iloc[one.row], seller)] or hits


def tagged_model(tags: object) -> str:
    """Model that the tags of a charge name; "" without one."""
    try:
        held = json.loads(tags) if isinstance(tags, str) else {}
    except (ValueError, RecursionError):
        return ""
    model = held.get("model") if isinstance(held, dict) else ""
    return model if isinstance(model, str) else ""


def _joined(parts: Iterable[object]) -> str:
    return " | ".join(part for part in parts if isinstance(part, str))
