"""Use cases that run on a hosted model alone today, as the bill shows it: which model, what a unit of it costs, when it ends."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.billing import NO_ACCELERATOR, UNATTRIBUTED, accelerator_charges
from aifactory.inputs.hosted import closed_models, hosted_only
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.findings import Finding
from aifactory.inventory.retiring import charged_models
from aifactory.inventory.spend import USAGE
from aifactory.units import three_digits

#: FOCUS category that holds charges for hosted models, and services in it that are tools or machines of one's own.
AI_SERVICES = "AI and Machine Learning"
TOOLS = "sagemaker|machine learning|databricks|comprehend|rekognition|textract|translate|personalize|kendra"
#: Names of services of hosted models, for bills that state no category.
SELLERS = "bedrock|openai|foundry|cognitive services|vertex|gemini|hosted models|anthropic|claude"
COLUMNS = ["use_case_id", "model", "provider", "usd_month", "units_month", "usd_per_unit", "retires", "source", "as_of"]


def hosted_usage(bill: pd.DataFrame) -> pd.DataFrame:
    """Usage of hosted models that names its use case: rows of a derived bill with `usd`, their effective cost as a number."""
    named = bill["cost_line"].isin(USAGE) & (bill["use_case"] != UNATTRIBUTED)
    rows = bill[named & (bill["accelerator_id"] == NO_ACCELERATOR)]
    rows = rows[sells_models(rows)]
    return rows.assign(usd=rows["EffectiveCost"].astype("float64"))


def sells_models(charges: pd.DataFrame) -> pd.Series:
    """Which charges are of a service of hosted models, by its category and name."""
    service = charges["ServiceName"].fillna("").astype("str").str.lower()
    by_category = (charges["ServiceCategory"] == AI_SERVICES).fillna(value=False) & ~service.str.contains(TOOLS)
    return by_category | service.str.contains(SELLERS)


def hosted_alone(ws: Workspace) -> frozenset[str]:
    """Use cases that the bill of the month charges for hosted models, and that neither bill, jobs nor plan.yaml show on accelerators."""
    return frozenset(_charged_alone(ws).index) - set(ws.plan.baseline_accelerators)


def _charged_alone(ws: Workspace) -> pd.Series:
    """USD of the month for hosted models by use case, of those that neither bill nor jobs show on accelerators."""
    bill = ws.table("billing")
    bill = bill[bill["month"] == ws.period]
    usd = hosted_usage(bill).groupby("use_case")["usd"].sum()
    own = set(bill.loc[accelerator_charges(bill), "use_case"]) | set(ws.month("jobs")["use_case_id"])
    return usd[(usd > 0) & ~usd.index.isin(list(own))]


def closed_today(ws: Workspace) -> frozenset[str]:
    """Use cases that no accelerator is to be chosen for: their model is sold hosted only.

    The use case names it (`hosted_only`); where it names none and runs on hosted models alone, the charges of the month
    do: the model that most money goes to.
    """
    cases, bill = ws.table("use_cases"), ws.table("billing")
    unnamed = cases.loc[cases["model"].isna(), "use_case_id"]
    used = hosted_usage(bill[bill["month"] == ws.period])
    used = used[used["use_case"].isin(hosted_alone(ws)) & used["use_case"].isin(unnamed)]
    if used.empty:
        return hosted_only(ws)
    paid = _models_paid(used, ws.table("api_prices"))
    closed = closed_models(paid, ws.table("models")["model"], ws.table("api_prices")["api_model"])
    return hosted_only(ws) | frozenset(paid.index[closed])


def _models_paid(used: pd.DataFrame, api_prices: pd.DataFrame) -> pd.Series:
    """Model that most of the charges name, by use case, those that name one."""
    used = used.assign(model=charged_models(used, api_prices))
    usd = used[used["model"] != ""].groupby(["use_case", "model"])["usd"].sum()
    return pd.Series({case: mine.idxmax()[1] for case, mine in usd.groupby(level=0)}, dtype="str")


def hosted_today(ws: Workspace, units: pd.Series, retiring: pd.DataFrame) -> pd.DataFrame:
    """One row per use case that runs on hosted models alone (`hosted_alone`), most money first.

    Parameters
    ----------
    units : service units of the month by use case.
    retiring : `retiring_models`: announced ends of the models in use.

    Returns
    -------
    Columns model (as most of its charges name it, else as its use case does) and provider, usd_month (effective cost),
    usd_per_unit = usd_month / units_month (NaN where nothing was counted), retires (the first announced end, NaT without),
    source and as_of.
    """
    bill, names = ws.table("billing"), hosted_alone(ws)
    used = hosted_usage(bill[bill["month"] == ws.period])
    cases = ws.table("use_cases").set_index("use_case_id")
    used = used[used["use_case"].isin(names) & used["use_case"].isin(cases.index)]
    paid = _models_paid(used, ws.table("api_prices"))
    ends, rows = retiring.groupby("use_case_id")["retires"].min(), []
    for name, mine in used.groupby("use_case"):
        usd, count = float(mine["usd"].sum()), float(units.get(name, float("nan")))
        model = paid.get(name, cases.loc[name, "model"])
        provider = mine.groupby("ProviderName")["usd"].sum().idxmax()
        each = usd / count if count > 0 else float("nan")
        about = "" if pd.isna(model) else str(model)
        rows.append((name, about, provider, usd, count, each, ends.get(name), "billing table", ws.as_of))
    found = pd.DataFrame(rows, columns=COLUMNS).astype({"retires": "datetime64[ns]"})
    return found.sort_values("usd_month", ascending=False, kind="stable", ignore_index=True)


def hosted_findings(today: pd.DataFrame, closed: frozenset[str]) -> list[Finding]:
    """Which use cases run on a hosted model, one sentence each; for those not `closed` own accelerators are a choice."""
    return [
        Finding("hosted", f"{hosted_sentence(row)}.{_choice(row.use_case_id in closed)}", row.usd_month)
        for row in today.itertuples()
    ]


def stated_findings(ws: Workspace) -> list[Finding]:
    """Use cases of which plan.yaml states an accelerator while the bill knows hosted models alone: the plan believes the statement."""
    usd, stated = _charged_alone(ws), ws.plan.baseline_accelerators
    return [
        Finding(
            "hosted",
            f"{name} is charged for hosted models alone, USD {amount:,.0f} in the month (billing, {ws.as_of}), while plan.yaml states that it "
            f"runs on {stated[name]}: if it does not, remove it from baseline_accelerators, and the buy plan decides whether it stays hosted.",
            amount,
        )
        for name, amount in usd.items()
        if name in stated
    ]


def hosted_sentence(row: object) -> str:
    """What a use case runs on, and what it pays for it, without a full stop."""
    model = f"the hosted model {row.model}" if row.model else "a hosted model"
    each = f", USD {three_digits(row.usd_per_unit)} a unit" if row.usd_per_unit > 0 else ", its units are not counted"
    return f"{row.use_case_id} runs on {model} of {row.provider} today: USD {row.usd_month:,.0f} in the month{each} (billing, {row.as_of})"


def _choice(closed: bool) -> str:
    return (
        " Nobody can run its weights elsewhere."
        if closed
        else " Whether own accelerators would pay is decided in the buy plan."
    )
