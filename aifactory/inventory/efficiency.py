"""What retries add to the load and what reuse of prefixes takes off it, per use case and in money."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.workspace import Workspace
from aifactory.inventory.spend import charged_rows

RETRY_COLUMNS = ["use_case_id", "requests", "errors", "retries", "distinct_requests", "attempts_per_success",
                 "load_multiplier", "given_up_share", "failed_usd", "retry_usd", "retries_measured"]  # fmt: skip
REUSE_COLUMNS = ["use_case_id", "input_tokens", "cached_input_tokens", "cached_share", "prefill_multiplier",
                 "saved_usd", "saved_usd_low", "saved_usd_high", "price_lists"]  # fmt: skip


def retry_amplification(ws: Workspace, monthly: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    """Load that failures and retries add in the month, per serving use case.

    Columns
    -------
    distinct_requests : requests - retries, what users asked for.
    attempts_per_success : requests / (requests - errors).
    load_multiplier : requests / distinct_requests, the load over what users asked for.
    given_up_share : (errors - retries) / distinct_requests, asked for and never answered; NaN where
        there are more retries than errors, since then clients repeat what had not failed.
    failed_usd, retry_usd : attributed cost times the share of requests that failed, that were retries, in the
        regions that the cost pays for (`spend.charged_rows`).
        The two overlap (a retry may fail) and are not to be added; a failed request counts as much as
        any other, which is its upper limit.

    Retries are NaN where they were not counted; infinite multipliers (nothing succeeded) are NaN too.
    """
    serving = ws.table("use_cases").query("service_unit != 'accelerator_hour'")["use_case_id"]
    month = monthly[(monthly["month"] == ws.period) & monthly["use_case_id"].isin(serving)]
    sums = month.groupby("use_case_id")[["requests", "errors", "retries"]].agg(lambda part: part.sum(skipna=False))
    sums = sums[sums["requests"] > 0]
    paid = _charged(ws, month).groupby("use_case_id")[["requests", "errors", "retries"]]
    paid = paid.agg(lambda part: part.sum(skipna=False)).reindex(sums.index)
    cost = cases.set_index("use_case_id")["effective_cost_usd"].reindex(sums.index)
    distinct = sums["requests"] - sums["retries"]
    successes = sums["requests"] - sums["errors"]
    given_up = (sums["errors"] - sums["retries"]) / distinct.where(distinct > 0)
    table = sums.assign(
        distinct_requests=distinct,
        attempts_per_success=sums["requests"] / successes.where(successes > 0),
        load_multiplier=sums["requests"] / distinct.where(distinct > 0),
        given_up_share=given_up.where(given_up >= 0),
        failed_usd=cost * paid["errors"] / paid["requests"],
        retry_usd=cost * paid["retries"] / paid["requests"],
        retries_measured=sums["retries"].notna(),
    )
    return table.reset_index()[RETRY_COLUMNS]


def _charged(ws: Workspace, month: pd.DataFrame) -> pd.DataFrame:
    """Rows of the demand of the month that attributed charges pay for."""
    bill = ws.table("billing")
    return month[charged_rows(bill[bill["month"] == ws.period], month, ws.plan.regions)]


def prefix_reuse(ws: Workspace, monthly: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    """Share of prompt tokens that came from the prefix cache, and what that saves in the month.

    `prefill_multiplier` = input / (input - cached): prompt work without the cache over prompt work with it.
    `saved_usd` weighs tokens as hosted models price them (`saved_share`), so it is what the same work
    would have cost more, given today's attributed cost: median, P10 and P90 over the price lists.
    Regions that do not count cached tokens are left out of both counts; a use case without any has NaN. The money is
    saved in the regions that the cost pays for (`spend.charged_rows`); it is NaN where none of them counts cached tokens.
    """
    month = monthly[(monthly["month"] == ws.period) & (monthly["input_tokens"] > 0)]
    known = month[month["cached_input_tokens"].notna()]
    columns = ["input_tokens", "cached_input_tokens", "output_tokens"]
    names = sorted(month["use_case_id"].unique())
    sums = known.groupby("use_case_id")[columns].sum().reindex(names)
    charged = _charged(ws, month)
    paid = charged[charged["cached_input_tokens"].notna()].groupby("use_case_id")[columns].sum().reindex(names)
    cost = cases.set_index("use_case_id")["effective_cost_usd"].reindex(names)
    cached, given = sums["cached_input_tokens"], sums["input_tokens"]
    prices = ws.table("api_prices")
    shares = np.array([saved_share(*row, prices) for row in paid.to_numpy(dtype=float)]).reshape(-1, 3)
    table = sums.assign(
        cached_share=cached / given,
        prefill_multiplier=given / (given - cached).where(given > cached),
        **{
            name: cost * shares[:, place] for place, name in enumerate(("saved_usd_low", "saved_usd", "saved_usd_high"))
        },
        price_lists=len(_ratios(prices)[0]),
    )
    return table.reset_index(names="use_case_id")[REUSE_COLUMNS]


def _ratios(prices: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Price of a cached input token and of an output token over that of an input token."""
    columns = ["input_usd_per_mtok", "cached_input_usd_per_mtok", "output_usd_per_mtok"]
    known = prices[(prices[columns] > 0).all(axis=1)]
    return tuple((known[name] / known["input_usd_per_mtok"]).to_numpy() for name in columns[1:])


def saved_share(
    input_tokens: float, cached_tokens: float, output_tokens: float, prices: pd.DataFrame
) -> tuple[float, float, float]:
    """What cached tokens save over what is paid: P10, median and P90 over price lists.

    With c and o the prices of a cached input and an output token over that of an input token,

        saved / paid = (1 - c) cached / (input - cached + c cached + o output).

    An own accelerator has no price list; the weights stand for the work that prompt and answer cause.

    >>> prices = pd.DataFrame({"input_usd_per_mtok": [1.0], "cached_input_usd_per_mtok": [0.1], "output_usd_per_mtok": [5.0]})
    >>> [round(share, 4) for share in saved_share(1000, 800, 100, prices)]
    [0.9231, 0.9231, 0.9231]
    """
    cached_price, output_price = _ratios(prices)
    if not len(cached_price) or not np.isfinite(input_tokens + cached_tokens):
        return np.nan, np.nan, np.nan
    answers = output_tokens if np.isfinite(output_tokens) else 0.0
    paid = input_tokens - cached_tokens + cached_price * cached_tokens + output_price * answers
    shares = (1 - cached_price) * cached_tokens / np.where(paid > 0, paid, np.nan)
    low, middle, high = np.quantile(shares, [0.1, 0.5, 0.9])
    return float(low), float(middle), float(high)
