"""`plan.yaml`: what the organisation assumes and decides, typed and owned.

Every numeric assumption carries value, range, unit, owner role, source and date, so that a
report can print it and the tornado can move it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from aifactory.errors import InputError, nearest, share_hint, with_nearest
from aifactory.inputs import plan_bounds as bound
from aifactory.inputs.exchange_rates import ExchangeRates, PlanCurrency
from aifactory.inputs.known_names import names_at
from aifactory.inputs.plan_bounds import Fraction
from aifactory.inputs.providers import by_provider
from aifactory.inputs.resources import data_dir
from aifactory.inputs.said import Said
from aifactory.inputs.weights import check_weights
from aifactory.inputs.yaml_file import read_yaml

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Criticality = Literal["experimental", "internal", "customer_facing", "critical"]
Stability = Literal["stable", "changing", "volatile"]
PlatformClass = Literal[
    "gpu", "tpu", "trainium", "custom_asic", "neuromorphic", "edge", "cpu"
]  # of the accelerators table
TaxDepreciation = Literal["straight_line", "macrs_5", "bonus_100"]
ScenarioName = Literal["conservative", "expected", "aggressive"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Assumption(_Strict):
    """A number that somebody answers for. `low` and `high` are its P10 and P90."""

    value: float
    low: float | None = None
    high: float | None = None
    unit: str
    owner_role: Said
    source: Said
    as_of: dt.date

    @model_validator(mode="after")
    def _ordered(self) -> Assumption:
        low = self.value if self.low is None else self.low
        high = self.value if self.high is None else self.high
        if not low <= self.value <= high:
            msg = f"low <= value <= high must hold, got {low}, {self.value}, {high}"
            raise ValueError(msg)
        least, most = bound.bounds(self.unit)
        if low < least or high > most:
            msg = f"in {self.unit!r} low, value and high must be {least:g} to {most:,.12g}, got {low}, {self.value}, {high}"
            raise ValueError(msg)
        return self

    @property
    def most(self) -> float:
        """The highest value that is reckoned with."""
        return self.value if self.high is None else self.high


class Region(_Strict):
    """A place that serves demand, and provider regions whose prices hold there; its limits are its data centre's: no edge devices."""

    region: Identifier
    name: Said
    provider_regions: Annotated[dict[str, str], AfterValidator(by_provider)]
    usd_per_kwh: bound.UsdPerKwh
    gco2_per_kwh: bound.GramsPerKwh
    power_limit_kw: bound.Kilowatts | None = None
    space_limit_servers: bound.Servers | None = None
    source: Said
    as_of: dt.date


class RegionLatency(_Strict):
    """Round trip between two regions, the same in both directions."""

    between: tuple[Identifier, Identifier]
    round_trip_ms: bound.Milliseconds
    source: Said
    as_of: dt.date


class Scenario(_Strict):
    """One adoption scenario; growth replaces the measured trend where given."""

    scenario: ScenarioName
    monthly_growth: float | None = Field(default=None, gt=-1, le=1)
    growth_multiplier: bound.Multiple = 1.0
    adoption: Fraction = 1.0
    description: str


class HiddenCost(_Strict):
    """A cost centre outside the bill: labour, compliance, tooling and so on.

    Either an amount a month with a share of compute, or an amount per unit of the use cases named (all, if none is): retrieval
    and rerank, editorial approval; or what an hour of waiting in the queue costs, times the wait per unit that was measured.
    """

    name: Said
    usd_per_month: bound.UsdPerMonth = 0.0
    share_of_compute: bound.Multiple = 0.0
    usd_per_unit: bound.UsdEach = 0.0
    usd_per_waiting_hour: bound.UsdEach = 0.0
    use_cases: list[Identifier] = Field(default_factory=list)
    driver: Said
    owner_role: Said
    source: Said
    as_of: dt.date

    @model_validator(mode="after")
    def _one_basis(self) -> HiddenCost:
        bases = (self.usd_per_month or self.share_of_compute, self.usd_per_unit, self.usd_per_waiting_hour)
        if sum(map(bool, bases)) > 1:
            msg = (
                f"{self.name}: usd_per_unit and usd_per_waiting_hour go with no other amount "
                "(usd_per_month, share_of_compute); write two lines"
            )
            raise ValueError(msg)
        if self.use_cases and not (self.usd_per_unit or self.usd_per_waiting_hour):
            msg = f"{self.name}: use_cases belong to an amount per unit or per hour of waiting"
            raise ValueError(msg)
        return self


class Budget(_Strict):
    """Limits on money."""

    capex_usd_per_year: bound.Usd | None = None  # 0: nothing is bought
    opex_usd_per_month: Annotated[bound.Usd, Field(gt=0)] | None = None
    opex_limits_orders: bool = True  # false: it is told where it is exceeded, and keeps no order away


class Event(_Strict):
    """A recurring duty of governance."""

    name: Said
    every_months: Annotated[int, Field(ge=1, le=60)]
    owner_role: Said
    rule: Said


class Restriction(_Strict):
    """A hard exclusion that no table shows: export rules, contracts, support that ends.

    It holds for the accelerators named by id, vendor or class, in the use cases and regions named;
    what is left out holds for all. A region restricts the use cases that run in it, everywhere: one platform serves
    all regions of a use case that `platform_by_region` does not list.
    """

    rule: Literal["export", "region", "framework", "support", "policy"]
    accelerators: list[Identifier] = Field(default_factory=list)
    vendors: list[str] = Field(default_factory=list)
    platform_classes: list[str] = Field(default_factory=list)
    use_cases: list[Identifier] = Field(default_factory=list)
    regions: list[Identifier] = Field(default_factory=list)
    reason: Said
    source: Said
    as_of: dt.date


class Launch(_Strict):
    """A launch window: demand of one use case is multiplied, also in what was measured, and more reserve is held."""

    use_case_id: Identifier
    month: Annotated[str, Field(pattern=r"^20\d{2}-(0[1-9]|1[0-2])$")]
    demand_multiplier: Annotated[bound.Multiple, Field(gt=0)]
    milestone: Said
    may_slip: bool = True  # a season or a holiday does not


class PortUnderWay(_Strict):
    """Work that moves a use case to a class of platform, or off its hosted model to one, begun at the end of a month and paid for: no later plan charges it again."""

    use_case_id: Identifier
    platform_class: PlatformClass
    begun: Annotated[str, Field(pattern=r"^20\d{2}-(0[1-9]|1[0-2])$")]


#: Assumptions every plan must state, with the unit each is counted in.
REQUIRED_ASSUMPTIONS: dict[str, str] = {
    "wacc": "fraction/year",
    "tax_rate": "fraction",
    "planning_utilization": "fraction",
    "spot_interruption_share": "fraction",
    "growth_damping": "fraction/month",
    "engineer_usd_per_month": "USD/month",
    "accelerators_per_operator": "accelerators",
    "devices_per_operator": "devices",
    "operator_usd_per_month": "USD/month",
    "pue": "ratio",
    "colocation_usd_per_kw_month": "USD/kW-month",
    "network_share_of_capex": "fraction",
    "maintenance_share_per_year": "fraction/year",
    "residual_decline_per_year": "fraction/year",
    "storage_gb_per_accelerator": "GB",
    "storage_usd_per_gb_month": "USD/GB-month",
    "egress_usd_per_gb": "USD/GB",
    "egress_bytes_per_output_token": "bytes",
    "orchestration_share": "fraction",
    "safety_check_share": "fraction",
    "retry_backoff_share": "fraction",
    "sla_miss_usd_per_unit_share": "fraction",
    "launch_delay_usd_per_month": "USD/month",
    "contingency_share": "fraction",
}


#: Ways to pay that a price can be fresh or stale for.
PRICED = ("on_demand", "spot", "reserved_1y", "reserved_3y", "lease", "purchase", "capacity_block", "api")
#: An assumption that `with_defaults` takes from another one.
FILLED = "devices_per_operator"
#: Assumptions that something is divided by.
DIVISORS = ("planning_utilization", "accelerators_per_operator", FILLED)


class Plan(_Strict):
    """The whole of `plan.yaml`."""

    organisation: Said
    currency: PlanCurrency = "USD"
    exchange_rates: ExchangeRates = Field(default_factory=list)
    fiscal_year_start_month: Annotated[int, Field(ge=1, le=12)] = 1
    horizon_months: Annotated[int, Field(ge=12, le=60)] = 36
    reference_accelerator: Identifier
    candidates: Annotated[list[Identifier], Field(min_length=1)]
    baseline_accelerators: dict[str, Identifier] = Field(default_factory=dict)
    owned_accelerators: dict[str, bound.Accelerators] = Field(default_factory=dict)
    platform_by_region: list[Identifier] = Field(default_factory=list)
    regions: Annotated[list[Region], Field(min_length=1)]
    region_latency: list[RegionLatency] = Field(default_factory=list)
    reserve: dict[Criticality, bound.Reserve]
    failure_domains: dict[Criticality, Annotated[int, Field(ge=2, le=1000)]] = Field(default_factory=dict)
    scenarios: list[Scenario]
    launches: list[Launch] = Field(default_factory=list)
    budget: Budget = Field(default_factory=Budget)
    vendor_share_most: Annotated[float, Field(gt=0, le=1)] = 1.0
    tax_depreciation: TaxDepreciation = "straight_line"
    matrix_weights: dict[str, bound.Weight]
    scorecard_weights: dict[str, bound.Weight]
    weight_limits: dict[str, tuple[Fraction, Fraction]] = Field(default_factory=dict)
    choose_at: Fraction = 0.5
    pilot_at: Fraction = 0.35
    winner_acceptability: Fraction = 0.7
    winner_confidence: Fraction = 0.8
    required_frameworks: dict[str, list[str]] = Field(default_factory=dict)
    restrictions: list[Restriction] = Field(default_factory=list)
    model_changes_per_year: dict[Stability, bound.PerYear] = Field(
        default_factory=lambda: {"stable": 1.0, "changing": 4.0, "volatile": 12.0}
    )
    rework_share: Fraction = 0.1
    porting_person_months: dict[str, bound.PersonMonths]
    launch_delay_months: dict[str, bound.Months]
    ports_under_way: list[PortUnderWay] = Field(default_factory=list)
    hidden_costs: list[HiddenCost] = Field(default_factory=list)
    governance: Annotated[list[Event], Field(min_length=1)]
    deprecate_below_utilization: Fraction = 0.3
    price_freshness_days: dict[str, bound.Days]
    trigger_utilization: Fraction = 0.7
    seed: bound.Seed = 20260401
    assumptions: dict[str, Assumption]

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, data: object) -> object:
        return with_defaults(data) if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _complete(self) -> Plan:
        rules = (self._assumption_faults, self._name_faults, self._scenario_faults, self._share_faults)
        if fault := next((fault for rule in rules for fault in rule()), ""):
            raise ValueError(fault)
        return self

    def _assumption_faults(self) -> Iterator[str]:
        missing = sorted(set(REQUIRED_ASSUMPTIONS) - set(self.assumptions) - {FILLED})
        if missing:
            hint = nearest(missing[0], set(self.assumptions) - set(REQUIRED_ASSUMPTIONS) - set(default_assumptions()))
            yield f"assumptions missing: {', '.join(missing)}.{hint if 'Did' in hint else ''}"
        known = {**REQUIRED_ASSUMPTIONS, **{name: item["unit"] for name, item in default_assumptions().items()}}
        for name in sorted(set(self.assumptions) - set(known)):
            yield f"assumptions.{name}: {with_nearest('no such assumption', name, known)}"
        for name, unit in known.items():
            if self.assumptions[name].unit != unit:
                yield f"assumption {name!r} must be in {unit!r}, got {self.assumptions[name].unit!r}"
        for name in DIVISORS:
            if self.assumptions[name].value == 0 or self.assumptions[name].low == 0:
                yield f"assumption {name!r} must be above 0"
        if self.assumptions["spot_interruption_share"].most >= 1:
            yield "assumption 'spot_interruption_share' must stay below 1: nothing would be left of an hour"

    def _name_faults(self) -> Iterator[str]:
        regions, centres = [item.region for item in self.regions], [item.name for item in self.hidden_costs]
        for name in (name for pair in self.region_latency for name in pair.between):
            if name not in regions:
                yield f"region_latency: {name!r} is no region of this plan.{nearest(name, set(regions))}"
        ways = [" and ".join(sorted(pair.between)) for pair in self.region_latency]
        for pair in self.region_latency:
            if pair.between[0] == pair.between[1]:
                yield f"region_latency: {pair.between[0]!r} stands with itself; name two regions"
        about = (("hidden_costs", centres, "stands"), ("regions", regions, "is described"), ("candidates", self.candidates, "stands"), ("region_latency", ways, "is stated"))  # fmt: skip
        for field, named, rule in about:
            if len(named) != len(set(named)):
                yield f"{field}: {next(name for name in named if named.count(name) > 1)!r} {rule} twice"
        ports = [(item.use_case_id, item.platform_class) for item in self.ports_under_way]
        if len(ports) != len(set(ports)):
            yield f"ports_under_way: {' to '.join(next(port for port in ports if ports.count(port) > 1))} stands twice"
        for name in self.price_freshness_days:
            if name not in PRICED:
                yield f"price_freshness_days: {name!r} is no way to pay.{nearest(name, PRICED)}"
        classes = {
            "porting_person_months": self.porting_person_months,
            "launch_delay_months": self.launch_delay_months,
            "restrictions: platform_classes": [name for item in self.restrictions for name in item.platform_classes],
        }
        known = get_args(PlatformClass)
        for field, named in classes.items():
            yield from (
                f"{field}: {name!r} is no platform class.{nearest(name, known)}" for name in named if name not in known
            )

    def _scenario_faults(self) -> Iterator[str]:
        names = sorted(s.scenario for s in self.scenarios)
        if names != ["aggressive", "conservative", "expected"]:
            yield f"scenarios must be conservative, expected and aggressive, once each; got {names}"

    def _share_faults(self) -> Iterator[str]:
        absent = sorted(set(get_args(Criticality)) - set(self.reserve))
        if absent:
            yield f"reserve lacks a ratio for: {', '.join(absent)}"
        for label, weights in (("matrix_weights", self.matrix_weights), ("scorecard_weights", self.scorecard_weights)):
            if not math.isclose(sum(weights.values()), 1.0, abs_tol=1e-9):
                yield f"{label} must add up to 1, got {sum(weights.values()):.6g}"

    def port_begun(self, use_case_id: str, platform_class: str, period: str) -> str | None:
        """Month at whose end the work of a port was begun; None where it was not by the end of the period."""
        begun = {(item.use_case_id, item.platform_class): item.begun for item in self.ports_under_way}
        month = begun.get((use_case_id, platform_class))
        return month if month is not None and month <= period else None

    def months_to_port(self, use_case_id: str, platform_class: str, period: str) -> int:
        """Months from a period to the end of the work of a port, begun at its end or before: the delay of the class, at least a month; 0 where it has ended."""
        begun = self.port_begun(use_case_id, platform_class, period) or period
        gone = 12 * (int(period[:4]) - int(begun[:4])) + int(period[5:7]) - int(begun[5:7])
        return max(max(math.ceil(self.launch_delay_months.get(platform_class, 0.0)), 1) - gone, 0)

    def value(self, name: str) -> float:
        """Value of one assumption; unknown names fail with the nearest one."""
        if name not in self.assumptions:
            msg = f"plan.yaml: assumption {name!r} does not exist.{nearest(name, self.assumptions)}"
            raise InputError(msg)
        return self.assumptions[name].value

    def region(self, region: str) -> Region:
        """The region's settings; an unknown one fails with the nearest name."""
        for item in self.regions:
            if item.region == region:
                return item
        msg = f"plan.yaml: region {region!r} is not described.{nearest(region, [r.region for r in self.regions])}"
        raise InputError(msg)

    def scenario(self, name: str) -> Scenario:
        """The scenario with that name."""
        return next(s for s in self.scenarios if s.scenario == name)


@cache
def default_assumptions() -> dict[str, dict]:
    """Assumptions that a plan may leave out, from the catalogue."""
    return read_yaml(data_dir() / "catalogue" / "plan_defaults.yaml")


def with_defaults(data: dict) -> dict:
    """The plan's data with the assumptions that it leaves out; a device in the field takes as many people as an accelerator."""
    given = data.get("assumptions")
    if not isinstance(given, dict):
        return data
    tended = given.get("accelerators_per_operator")
    if isinstance(tended, dict):
        given = {FILLED: {**tended, "unit": "devices"}, **given}
    missing = {name: item for name, item in default_assumptions().items() if name not in given}
    return {**data, "assumptions": {**given, **missing}}


def load_plan(path: Path, overrides: dict[str, object] | None = None) -> Plan:
    """Read and validate `plan.yaml`.

    `overrides` replaces top-level fields or the `value` of an assumption, by name; the range of
    an overridden assumption is widened where the new value lies outside.
    """
    if not isinstance(overrides or {}, dict):
        rule = "must be values by name; papermill takes them by -y 'overrides: {wacc: 0.12}', `aifactory run` by --set wacc=0.12"
        raise InputError.at("overrides", rule, value=str(overrides))
    if path.parent.resolve() not in path.resolve().parents:
        raise InputError.at(path.name, "is a link that leaves the workspace")
    given, told = read_yaml(path), overrides or {}
    if "accelerators_per_operator" in told and FILLED not in (given.get("assumptions") or {}):
        told = {FILLED: told["accelerators_per_operator"], **told}
    data = with_defaults(given)
    for name, value in told.items():
        _override(data, name, value, path.name)
    try:
        plan = Plan.model_validate(data)
    except ValidationError as error:
        raise InputError("\n".join(_explain(path.name, item) for item in error.errors())) from None
    check_weights(plan.matrix_weights, plan.scorecard_weights, plan.weight_limits)
    return plan


def _override(data: dict, name: str, value: object, file: str) -> None:
    if name in (data.get("assumptions") or {}):
        entry = dict(data["assumptions"][name], value=value)
        if isinstance(value, (int, float)):
            for edge, widest in (("low", min), ("high", max)):
                held = entry.get(edge)
                entry[edge] = value if held is None else widest(value, held)
        data["assumptions"][name] = entry
    elif name in Plan.model_fields:
        data[name] = value
    else:
        choices = [*Plan.model_fields, *(data.get("assumptions") or {})]
        raise InputError.at(file, "cannot be overridden", column=name, choices=choices)


def _explain(file: str, item: dict) -> str:
    place = ", ".join([file, ".".join(str(part) for part in item["loc"])]).removesuffix(", ")
    # an unknown name may hold a secret: its value is not repeated
    shown = "" if item["type"] in {"missing", "value_error"} else f" value {str(item.get('input'))[:80]!r}:"
    if item["type"] == "extra_forbidden":
        return f"{place}: {with_nearest('no such name here', str(item['loc'][-1]), names_at(Plan, item['loc']))}"
    rule = item["msg"].removeprefix("Value error, ")
    if item["type"] == "string_type" and isinstance(item.get("input"), dt.date):
        rule = "is a date: write a month as YYYY-MM, or text in quotes"
    ratio = item["loc"][:1] == ("reserve",) or item.get("ctx", {}).get("le") == 1
    rule += share_hint(item.get("input")) if ratio else ""
    return f"{place}:{shown} {rule}"
