"""Names of cloud providers: bills and price lists do not call them alike."""

from __future__ import annotations

import re

import pandas as pd

#: Names in small letters without what is no letter or digit -> the name in the price table.
KNOWN = {
    "aws": "AWS", "amazon": "AWS", "amazonwebservices": "AWS", "amazonwebservicesinc": "AWS",
    "azure": "Azure", "microsoft": "Azure", "microsoftazure": "Azure", "microsoftcorporation": "Azure",
    "gcp": "GCP", "google": "GCP", "googlecloud": "GCP", "googlecloudplatform": "GCP",
    "oracle": "Oracle", "oci": "Oracle", "oraclecloud": "Oracle", "oraclecloudinfrastructure": "Oracle",
}  # fmt: skip


def provider_name(text: str) -> str:
    """The name that the price table has for a provider; as it is where none is known.

    >>> provider_name("Microsoft"), provider_name("Google Cloud"), provider_name("Our own site")
    ('Azure', 'GCP', 'Our own site')
    """
    return KNOWN.get(re.sub(r"[^a-z0-9]", "", text.lower()), text)


def by_provider(named: dict[str, str]) -> dict[str, str]:
    """A table by provider under the names of the price table; raises ValueError where two are one provider."""
    found: dict[str, str] = {}
    for name, value in named.items():
        if provider_name(name) in found:
            msg = f"{provider_name(name)} is named twice: {', '.join(named)}"
            raise ValueError(msg)
        found[provider_name(name)] = value
    return found


def with_provider_names(prices: pd.DataFrame) -> pd.DataFrame:
    """Prices whose providers have the names of the price table; who sells hardware keeps his own."""
    rented = ~prices["purchase_option"].isin(("purchase", "lease"))
    named = prices["provider"].map({name: provider_name(name) for name in prices["provider"].dropna().unique()})
    return prices.assign(provider=prices["provider"].mask(rented, named))
