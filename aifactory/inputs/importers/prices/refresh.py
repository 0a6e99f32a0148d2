"""`aifactory prices refresh`: read price lists, guard them, show what changed, append what holds."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.exchange_rates import ExchangeRate
from aifactory.inputs.hold import writing
from aifactory.inputs.importers.json_text import in_words
from aifactory.inputs.importers.prices.formats import MAX_BYTES, read_prices, rows_skipped
from aifactory.inputs.importers.prices.guards import as_held, compare, gone, guard, is_listed
from aifactory.inputs.importers.prices.hosted import compare_hosted
from aifactory.inputs.importers.prices.names import Names
from aifactory.inputs.importers.prices.offers import KEY, Found, Source
from aifactory.inputs.importers.prices.quotes import FIRST_YEAR, QUOTE, read_mapping, read_quote
from aifactory.inputs.importers.store import append_rows, held_rows, require_workspace
from aifactory.inputs.plan import load_plan
from aifactory.inputs.resources import data_dir
from aifactory.inputs.tables import read_table

ADDED = ("new", "moved", "changed", "same", "older")
SECONDS = 60.0
OFFER = ["accelerator_id", "provider", "sku", "region", "purchase_option"]
STALE = [*OFFER, "as_of", "age_days", "limit_days"]


@dataclass(frozen=True)
class Settings:
    """What the files do not say."""

    today: pd.Timestamp
    as_of: str = ""
    provider: str = ""
    mapping: Path | None = None
    accept: bool = False  # let quarantined prices in
    write: bool = True


@dataclass
class Refreshed:
    """What one source brought."""

    source: str
    format: str = ""
    rows: int = 0
    added: int = 0
    hosted_added: int = 0
    counts_from: str = ""  # month of the newest price added
    states: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    changes: pd.DataFrame = field(default_factory=pd.DataFrame)
    gone: pd.DataFrame = field(default_factory=pd.DataFrame)
    stale: pd.DataFrame = field(default_factory=pd.DataFrame)  # `STALE`, the oldest first
    error: str = ""
    goes_on: bool = False  # a page of a list of which not all pages were read
    skipped: int | None = field(default=None, repr=False)  # rows of the list on the pages before
    listed: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)  # offers of the list, refused ones too

    def as_dict(self) -> dict[str, object]:
        """Plain numbers and texts."""
        parts = {"changes": _texts(self.changes), "gone": _texts(self.gone), "stale": _texts(self.stale)}
        return {name: value for name, value in vars(self).items() if name not in {*parts, "listed", "skipped"}} | parts


def _texts(frame: pd.DataFrame) -> list[dict[str, str | None]]:
    """Rows with every value as text; None where there is none."""
    rows = frame.to_dict("records")
    return [{name: None if pd.isna(value) else str(value) for name, value in row.items()} for row in rows]


def refresh_prices(workspace: Path, sources: Sequence[str], settings: Settings) -> list[Refreshed]:
    """Read every source on its own: one that fails says why and does not stop the others.

    Prices are appended to the workspace's `prices` (and `api_prices`) tables by date; nothing held is
    changed. What more than doubled or halved is quarantined: shown, and added only with `accept`. What is past the
    freshness limit of the plan is added, since it is a price of its day, and shown with its age. Gone is what none of
    the sources lists any more; of a list in pages only where its last
    page is among them, and every page that another one follows.
    """
    require_workspace(workspace, "--workspace")
    if not sources:
        raise InputError("name at least one file or address with --from")
    date = _date(settings)
    mapping = read_mapping(settings.mapping) if settings.mapping else None
    with writing(workspace) if settings.write else nullcontext():
        done = [
            _refresh(
                workspace,
                place,
                Source(_shown(place), _names(workspace), date, settings.provider, _rates(workspace)),
                mapping,
                settings,
            )
            for place in sources
        ]
    _gone_together(done)
    return done


def _gone_together(done: Sequence[Refreshed]) -> None:
    """Of what each list alone lacks, leave what no other one has, told once, by the last list that lacks it."""
    pages = {item.format: [each for each in done if each.format == item.format] for item in done}
    partly = {name: _lacks_pages(items) for name, items in pages.items()}
    others: list[pd.DataFrame] = []
    for item in reversed(done):
        item.goes_on = partly[item.format]
        if item.goes_on:
            item.gone = item.gone.iloc[:0]
        elif len(item.listed) and len(item.gone):
            for other in [*(each.listed for each in done if each is not item and len(each.listed)), *others]:
                item.gone = item.gone[~is_listed(item.gone, other)]
            others += [item.gone] if len(item.gone) else []


def _lacks_pages(pages: Sequence[Refreshed]) -> bool:
    """Whether the last page of a list was not read, or one that the rows skipped by another say stands before it."""
    ends = {page.skipped + page.rows for page in pages if page.skipped is not None}
    unsaid = any(page.goes_on and page.skipped is None for page in pages)
    missing = not unsaid and any(page.skipped and page.skipped not in ends for page in pages)
    return missing or all(page.goes_on for page in pages)


def _refresh(
    workspace: Path, place: str, source: Source, mapping: dict[str, object] | None, settings: Settings
) -> Refreshed:
    try:
        with _file(place) as path:
            found = read_quote(path, source, mapping) if mapping else read_prices(path, source)
        if place.lower().startswith(("http://", "https://")) and (skipped := rows_skipped(place)) is not None:
            found.skipped = skipped
        return _take(workspace, found, source, settings)
    except InputError as error:
        return Refreshed(source.name, error=str(error))
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        rule = f"does not hold what its format holds in one place: {in_words(error)}"
        return Refreshed(source.name, error=str(InputError.at(source.name, rule)))


def _take(workspace: Path, found: Found, source: Source, settings: Settings) -> Refreshed:
    report = Refreshed(source.name, found.format, found.rows, goes_on=found.goes_on, skipped=found.skipped)
    report.left_out = {reason: count for reason, count in found.left_out.items() if count}
    if not found.offers and not found.hosted:
        reasons = "; ".join(report.left_out) or "no rows"
        rule = f"holds no price of an accelerator of the catalogue ({reasons})"
        report.error = str(InputError.at(source.name, rule))
        return report  # a page of a list, read for what is gone
    added: list[pd.DataFrame] = []
    if found.hosted:
        added.append(_as_offers(_add_hosted(workspace, pd.DataFrame(found.hosted), report, settings)))
    if found.offers:
        added.append(_add_offers(workspace, found.frame(), report, settings))
    if found.format == QUOTE:  # it lists what it offers, not all that is sold
        report.gone = report.gone.iloc[:0]
    report.stale = stale_prices(pd.concat(added), _limits(workspace), settings.today)
    return report


def stale_prices(offers: pd.DataFrame, limits: Mapping[str, int], today: pd.Timestamp) -> pd.DataFrame:
    """Offers of which the newest price is past the freshness limit of its way to pay, oldest first: `STALE`.

    Parameters
    ----------
    offers : `OFFER` and as_of; several days of one offer are its history.
    limits : days by way to pay; one without a limit is never stale.

    >>> days = pd.to_datetime(["2026-01-01", "2026-06-01", "2026-05-01"])
    >>> two = pd.DataFrame({name: ["a", "a", "b"] for name in OFFER}).assign(purchase_option="spot", as_of=days)
    >>> stale_prices(two, {"spot": 30}, pd.Timestamp("2026-06-11", tz="UTC"))[["sku", "age_days", "limit_days"]].values.tolist()
    [['b', 41, 30]]
    """
    newest = offers.sort_values("as_of", kind="stable").drop_duplicates(OFFER, keep="last")
    age = (today.tz_localize(None) - pd.to_datetime(newest["as_of"])).dt.days
    dated = newest.assign(age_days=age, limit_days=newest["purchase_option"].map(limits))
    return dated.loc[age > dated["limit_days"].astype(float), STALE].reset_index(drop=True)


def _limits(workspace: Path) -> dict[str, int]:
    """Freshness limits of the workspace's plan, else those of the template."""
    for path in (workspace / "plan.yaml", data_dir() / "templates" / "plan.yaml"):
        with suppress(InputError):
            return load_plan(path).price_freshness_days
    return {}


def _rates(workspace: Path) -> tuple[ExchangeRate, ...]:
    """Rates of other currencies in the plan of the workspace; none while it does not read."""
    with suppress(InputError):
        return tuple(load_plan(workspace / "plan.yaml").exchange_rates)
    return ()


def _as_offers(hosted: pd.DataFrame) -> pd.DataFrame:
    """Added prices of hosted models in the columns of offers."""
    names = {"accelerator_id": hosted["api_model"], "sku": hosted["api_model"], "region": "", "purchase_option": "api"}
    return hosted.assign(**names)[[*OFFER, "as_of"]]


def _add_offers(workspace: Path, offers: pd.DataFrame, report: Refreshed, settings: Settings) -> pd.DataFrame:
    """Append what holds; the rows that are not older than what is held already."""
    offers["as_of"] = pd.to_datetime(offers["as_of"]).astype("datetime64[us]")
    late = offers["as_of"] > settings.today.tz_localize(None)
    if late.any():
        first = offers[late].iloc[0]
        raise InputError.at(
            report.source,
            f"the price of {first['sku']} ({first['provider']}, {first['purchase_option']}) lies in the future",
            value=f"{first['as_of']:%Y-%m-%d}",
        )
    kept, broken = guard(offers)
    kept = kept.drop_duplicates()
    kept, unfit = as_held(kept.assign(price_id=_ids(kept)), "prices")
    report.left_out |= dict(broken) | dict(unfit)
    held = _held(workspace, "prices")
    seen = compare(kept, held)
    report.states = {str(name): int(count) for name, count in seen["state"].value_counts().items()}
    if (two := seen["state"] == "conflict").any():
        first = seen[two].iloc[0]
        rule = f"another price of {first['sku']} ({first['purchase_option']}) is held for {first['as_of']:%Y-%m-%d}: {first['before']:.4f}"
        if not seen["state"].isin([*ADDED, "quarantined"]).any():
            raise InputError.at(report.source, rule, column="usd_per_accelerator_hour", value=float(first["price"]))
        report.left_out[f"{rule} (the first of them; {first['price']:.4f} in this file)"] = int(two.sum())
    allowed = [*ADDED, "quarantined"] if settings.accept else list(ADDED)
    rows = seen[seen["state"].isin(allowed)]
    shown = ["provider", "sku", "accelerator_id", "region", "purchase_option", "before", "price", "change", "state"]
    report.changes = seen.loc[seen["state"].isin(["new", "moved", "quarantined"]), shown].reset_index(drop=True)
    report.listed = offers[[*KEY, "as_of"]]
    lost = gone(kept, held)
    report.gone = lost.loc[~is_listed(lost, offers), [*KEY, "price", "as_of"]].reset_index(drop=True)
    report.added = len(rows)
    report.counts_from = f"{rows['as_of'].max():%Y-%m}" if len(rows) else ""
    if len(rows) and settings.write:
        append_rows(workspace, "prices", rows[list(load_contract("prices").columns)])
    return rows.loc[rows["state"] != "older", [*OFFER, "as_of"]]


def _ids(rows: pd.DataFrame) -> pd.Series:
    """Identifiers that say what a price is of, the same for the same offer and day."""
    price = rows["usd_per_accelerator_hour"].astype(float).fillna(rows["usd_per_accelerator"].astype(float))
    marks = ["provider", "sku", "region", "term_months", "upfront_fraction", "as_of", "price"]
    texts = rows.assign(price=price)[marks].astype(str).itertuples(index=False)
    short = [hashlib.sha256("|".join(mark).encode()).hexdigest()[:10] for mark in texts]
    return (
        rows["accelerator_id"] + "--" + rows["purchase_option"] + "--" + pd.Series(short, index=rows.index, dtype="str")
    )


def _add_hosted(workspace: Path, rows: pd.DataFrame, report: Refreshed, settings: Settings) -> pd.DataFrame:
    """Append prices of hosted models as `_add_offers` does for accelerators; the rows added."""
    rows["as_of"] = pd.to_datetime(rows["as_of"]).astype("datetime64[us]")
    rows, unfit = as_held(rows, "api_prices")
    report.left_out |= dict(unfit)
    state, report.changes, report.gone = compare_hosted(rows, _held(workspace, "api_prices"))
    if (state == "conflict").any():
        first = rows[state == "conflict"].iloc[0]
        rule = f"another price of {first['api_model']} ({first['provider']}) is held for {first['as_of']:%Y-%m-%d}"
        raise InputError.at(report.source, rule)
    report.states = {str(name): int(count) for name, count in state.value_counts().items()}
    rows = rows[state.isin([*ADDED, "quarantined"] if settings.accept else list(ADDED))]
    report.hosted_added = len(rows)
    if len(rows) and settings.write:
        append_rows(
            workspace, "api_prices", rows[[name for name in load_contract("api_prices").columns if name in rows]]
        )
    return rows


def _held(workspace: Path, name: str) -> pd.DataFrame:
    """Rows of the workspace and of the shipped catalogue: both are the history of a price."""
    shipped = read_table(data_dir() / "catalogue" / f"{name}.csv", load_contract(name)).frame
    own = held_rows(workspace, name)
    return pd.concat([shipped, own], ignore_index=True) if len(own) else shipped


def _names(workspace: Path) -> Names:
    contract = load_contract("accelerator_aliases")
    shipped = read_table(data_dir() / "catalogue" / "accelerator_aliases.csv", contract).frame
    own = held_rows(workspace, "accelerator_aliases")
    return Names(pd.concat([own, shipped], ignore_index=True) if len(own) else shipped)


def _date(settings: Settings) -> pd.Timestamp | None:
    if not settings.as_of:
        return None
    date = pd.to_datetime(settings.as_of, format="%Y-%m-%d", errors="coerce")
    if date is pd.NaT:
        raise InputError.at("--as-of", "must be a date, YYYY-MM-DD", value=settings.as_of)
    if date > settings.today.tz_localize(None):
        raise InputError.at("--as-of", "lies in the future", value=settings.as_of)
    if date.year < FIRST_YEAR:
        raise InputError.at("--as-of", f"lies before {FIRST_YEAR}", value=settings.as_of)
    return date


def _shown(place: str) -> str:
    """Name of a source for the table: a file's last two parts, an address without its query."""
    if place.lower().startswith(("http://", "https://")):
        parts = urlsplit(place)
        return f"{parts.hostname}{parts.path}"
    return "/".join(part.strip("/") for part in Path(place).parts[-2:]).lstrip("/")


@contextmanager
def _file(place: str) -> Iterator[Path]:
    """Yield the file itself, or a copy of what lies at an address the analyst names."""
    if not place.lower().startswith(("http://", "https://")):
        yield Path(place)
        return
    from http.client import HTTPException, InvalidURL
    from urllib.error import URLError
    from urllib.request import urlopen

    if urlsplit(place).username or urlsplit(place).password:
        raise InputError.at(_shown(place), "an address must not hold a login")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / (Path(urlsplit(place).path).name or "prices")
        try:
            with urlopen(place, timeout=SECONDS) as answer, path.open("wb") as out:  # noqa: S310 - http and https only
                held = answer.read(MAX_BYTES + 1)
                out.write(held)
        except InvalidURL:  # its own text repeats the query, which may hold a key
            raise InputError.at(_shown(place), "holds a blank or another sign that no address may hold") from None
        except (URLError, HTTPException, OSError, ValueError) as error:
            raise InputError.at(_shown(place), f"cannot be fetched: {str(error)[:150]}") from None
        yield path
