"""Spend of the LiteLLM proxy as a bill of hosted models: by team, key, model and provider.

Source: BerriAI/litellm, schema.prisma (LiteLLM_SpendLogs, LiteLLM_Daily*Spend), read 2026-11-25.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from aifactory.inputs.importers.bills.common import Converted, as_tags, column
from aifactory.inputs.months import month_of

#: Account under which the proxy counts; an invoice never has it.
PROXY = "LiteLLM proxy"
CALLS = frozenset({"spend", "startTime", "completionStartTime", "request_tags", "prompt_tokens"})
DAILY = frozenset({"spend", "date", "api_key", "api_requests", "successful_requests", "failed_requests"})
#: Provider as the proxy names it -> as invoices do; others stay.
SELLERS = {
    "openai": "OpenAI", "text-completion-openai": "OpenAI", "anthropic": "Anthropic", "azure": "Microsoft",
    "azure_ai": "Microsoft", "azure_text": "Microsoft", "bedrock": "AWS", "bedrock_converse": "AWS", "sagemaker": "AWS",
    "sagemaker_chat": "AWS", "vertex_ai": "Google Cloud", "vertex_ai_beta": "Google Cloud", "gemini": "Google Cloud",
    "mistral": "Mistral AI", "cohere": "Cohere", "cohere_chat": "Cohere",
}  # fmt: skip
VIEWS = {"user_id": "user", "team_id": "team", "organization_id": "organization", "end_user_id": "end user", "agent_id": "agent"}  # fmt: skip
USE_CASE = "use_case:"


def convert_litellm_calls(text: pd.DataFrame) -> Converted:
    """One charge a call, as the proxy prices it; calls to own servers cost nothing there."""
    start = column(text, "startTime")
    asked = column(text, "request_tags")
    tags = {"team": column(text, "team_id"), "use_case": asked.map({item: _use_case(item) for item in asked.unique()})}
    found = _charges(text, start, column(text, "endTime").mask(lambda end: end == "", start), tags)
    found.text["x_ChargeId"] = column(text, "request_id")
    found.source_of |= {"ChargePeriodStart": "startTime", "ChargePeriodEnd": "endTime"}
    found.variant = "calls"
    return found


def convert_litellm_daily(text: pd.DataFrame) -> Converted:
    """Daily sums by one key; tags overlap, so a Tag table adds up to more than was spent and is refused."""
    if "tag" in text:
        raise ValueError(
            "row 1, column 'tag': a call counts under each of its tags, so they cannot be added up; import the Team or User table"
        )
    view = next((name for name in VIEWS if name in text), "")
    if not view:
        raise ValueError(f"row 1: a daily table is by one of {', '.join(VIEWS)}; none is there")
    start = column(text, "date") + "T00:00:00Z"
    end = (pd.to_datetime(column(text, "date"), errors="coerce") + pd.Timedelta(days=1)).dt.strftime(
        "%Y-%m-%dT00:00:00Z"
    )
    found = _charges(text, start, end.fillna(start), {"team": column(text, "team_id")})
    found.source_of |= {"ChargePeriodStart": "date"}
    found.variant = f"daily by {VIEWS[view]}"
    return found


def _charges(text: pd.DataFrame, start: pd.Series, end: pd.Series, tags: dict[str, pd.Series]) -> Converted:
    """Charges of one day or call; the name asked for is the meter, the model that answered a tag, the key the account."""
    spend, called, group = (column(text, name) for name in ("spend", "model", "model_group"))
    meter, model = group.mask(group == "", called), called.mask(called == "", group)
    seller = column(text, "custom_llm_provider").replace(SELLERS)
    tokens = column(text, "total_tokens")
    frame = pd.DataFrame(
        {
            "BilledCost": spend.mask(spend == "", "0"), "EffectiveCost": spend.mask(spend == "", "0"),
            "BillingCurrency": "USD", "ChargeCategory": "Usage", "PricingCategory": "Standard",
            "ChargePeriodStart": start, "ChargePeriodEnd": end, "BillingPeriodStart": start.str[:7] + "-01T00:00:00Z",
            "ProviderName": seller.mask(seller == "", "(not given)"), "BillingAccountId": PROXY,
            "SubAccountId": column(text, "api_key"), "ServiceName": "Hosted models", "SkuMeter": meter,
            "ChargeDescription": meter, "ConsumedQuantity": tokens, "ConsumedUnit": np.where(tokens != "", "Tokens", ""),
            "Tags": as_tags(tags | {"model": model}),
        },
        index=text.index,
    )  # fmt: skip
    notes = [("spend as the proxy counts it at its price list, in USD: billed and effective cost", len(frame))]
    if (spend == "").any():
        notes.append(("calls without a stated spend, counted with 0", int((spend == "").sum())))
    return Converted(frame, {"BilledCost": "spend", "EffectiveCost": "spend"}, notes)


def _use_case(text: str) -> str:
    try:
        held = json.loads(text) if text else []
    except (ValueError, RecursionError):
        return ""
    tags = [tag for tag in held if isinstance(tag, str)] if isinstance(held, list) else []
    return next((tag.removeprefix(USE_CASE) for tag in tags if tag.startswith(USE_CASE)), "")


def tell_proxy_beside_invoice(bills: Sequence[tuple[dict[str, object], pd.DataFrame]], held: pd.DataFrame) -> None:
    """Warn where the spend of the proxy stands beside an invoice of the same provider and month.

    Parameters
    ----------
    bills : report and charges of each file read; the warning is added to the report.
    held : charges that the workspace holds already.
    """
    parts = [charges for _, charges in bills] + ([held] if len(held) else [])
    proxy, invoices = (set().union(*(set(_sold(part, ours=ours)) for part in parts)) for ours in (True, False))
    both = proxy & invoices
    if not both:
        return
    for report, charges in bills:
        again = pd.MultiIndex.from_frame(_keys(charges)).isin(both)
        if again.any():
            sellers = ", ".join(sorted(set(charges.loc[again, "ProviderName"].astype("str"))))
            text = f"spend of the {PROXY} stands beside an invoice of the same provider and month ({sellers}): what the invoice holds of it counts twice; keep one of them"
            report["warnings"] = [*report["warnings"], {"text": text, "rows": int(again.sum())}]


def _keys(charges: pd.DataFrame) -> pd.DataFrame:
    """Provider and month of each charge."""
    return pd.DataFrame(
        {"seller": charges["ProviderName"].astype("str"), "month": month_of(charges["BillingPeriodStart"])}
    )


def _sold(charges: pd.DataFrame, *, ours: bool) -> list[tuple[str, str]]:
    """Providers and months of charges of the proxy (`ours`) or of invoices."""
    account = charges["BillingAccountId"] if "BillingAccountId" in charges else pd.Series("", index=charges.index)
    once = charges[account.fillna("").eq(PROXY) == ours].drop_duplicates(["ProviderName", "BillingPeriodStart"])
    return list(_keys(once).itertuples(index=False, name=None))
