"""Demand paths: hand cases, limits, properties, and closed forms as oracles."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from aifactory.demand.adoption import bass_share
from aifactory.demand.growth import damped_factors
from aifactory.demand.profile import monthly_trend
from aifactory.demand.scenario_cuts import cut_paths, groups_of_paths
from aifactory.demand.scenarios import (
    WEEKS_PER_MONTH,
    Adopting,
    Launch,
    Settings,
    Spread,
    Workload,
    _stratified,
    remembering,
    simulate_paths,
)
from aifactory.errors import InputError

FEW = settings(max_examples=25)
ONE = Spread(1.0, 1.0, 1.0)
CALM = Settings(months=12, paths=3, damping=ONE)


def exactly(value):
    return Spread(value, value, value)


def workload(name="chat", level=(100.0,), growth=0.0, growth_sd=0.0, noise_sd=0.0, **more):
    size = len(level)
    growth = growth if isinstance(growth, Spread) else exactly(growth)
    return Workload(
        name, np.array(level, dtype=float), growth, np.full(size, growth_sd), np.full(size, noise_sd), **more
    )


def cell(paths, place=0, region=0):
    return paths.units[:, place, region]


# by hand and at the limits


def test_without_spread_every_path_is_the_planned_one():
    paths = simulate_paths([workload(growth=0.1)], ("eu",), replace(CALM, damping=exactly(0.5)))
    np.testing.assert_allclose(cell(paths), np.tile(100 * damped_factors(0.1, 0.5, 12), (3, 1)), rtol=1e-12)
    assert paths.work is paths.units  # no creep: the same array


def test_launch_season_and_end_by_hand():
    season = np.ones(12)
    season[1] = 2.0  # February
    chat = workload(season=season, launches=(Launch(3, 1.5),), retires=6)
    paths = simulate_paths([chat], ("eu",), replace(CALM, first_calendar_month=11))
    # November, December, January x launch, February x season, March, April: gone
    assert cell(paths)[0].tolist() == pytest.approx([100, 100, 150, 200, 100, *[0] * 7])


def test_a_season_of_each_region_is_drawn_once_for_all_years():
    """Months over today's: their logarithms have the mean and covariance of the season, the same month of two years agrees."""
    random = np.random.default_rng(3)
    loads = random.normal(0, 0.1, (12, 12))
    season = np.exp(random.normal(0, 0.3, (2, 12)))
    chat = workload(level=(100.0, 50.0), season=season, season_root=np.stack([loads, np.zeros((12, 12))]))
    settings = replace(CALM, months=24, paths=4000, first_calendar_month=3)
    units = simulate_paths([chat], ("eu", "us"), settings).units[:, 0]
    months = (2 + np.arange(24)) % 12
    np.testing.assert_allclose(units[:, 1], np.broadcast_to(50.0 * season[1, months], (4000, 24)))
    logs = np.log(units[:, 0] / 100.0)
    np.testing.assert_allclose(logs[:, :12], logs[:, 12:], atol=1e-12)
    np.testing.assert_allclose(logs.mean(axis=0), np.log(season[0, months]), atol=0.02)
    np.testing.assert_allclose(np.cov(logs[:, :12].T), (loads @ loads.T)[np.ix_(months[:12], months[:12])], atol=0.012)


def test_a_season_leaves_the_other_draws_as_they_are_and_correlates_like_them():
    wide = workload("chat", growth_sd=0.05, noise_sd=0.1)
    root = np.broadcast_to(0.2 * np.eye(12), (1, 12, 12))
    settings = replace(CALM, paths=4000, correlation=0.4)
    plain = simulate_paths([wide], ("eu",), settings).units
    both = simulate_paths(
        [replace(wide, season_root=root), replace(wide, name="other", season_root=root)], ("eu",), settings
    )
    drawn = np.log(both.units[:, 0] / plain[:, 0])
    assert np.corrcoef(drawn[:, 0, 3], np.log(plain[:, 0, 0, 3]))[0, 1] == pytest.approx(0.0, abs=0.05)
    quiet = [workload(name, season_root=root) for name in ("chat", "other")]
    one, other = np.log(np.swapaxes(simulate_paths(quiet, ("eu",), settings).units, 0, 1)[..., 0, 5])
    assert np.corrcoef(one, other)[0, 1] == pytest.approx(0.4, abs=0.05)
    assert one.std() == pytest.approx(0.2, rel=0.05)


def test_a_launch_that_slips_for_certain_moves_by_that_many_months():
    paths = simulate_paths(
        [workload(launches=(Launch(3, 1.5),), retires=8)], ("eu",), replace(CALM, delay=exactly(2.0))
    )
    assert cell(paths)[0].tolist() == pytest.approx([100, 100, 100, 100, 150, 100, 100, 100, 100, 0, 0, 0])


def test_a_growing_unit_is_work_but_no_more_units():
    paths = simulate_paths([workload(size_growth=0.1), workload("other")], ("eu",), CALM)
    np.testing.assert_allclose(cell(paths), 100.0)
    np.testing.assert_allclose(paths.work[0, 0, 0, :2], [110, 121])
    np.testing.assert_allclose(paths.work[:, 1], 100.0)


def test_a_start_below_one_keeps_that_share_of_the_level():
    np.testing.assert_allclose(cell(simulate_paths([workload(start=exactly(0.95))], ("eu",), CALM)), 95.0)


def test_a_region_that_is_not_served_stays_empty():
    paths = simulate_paths([workload(level=(100, 0), noise_sd=0.3)], ("eu", "us"), CALM)
    assert (cell(paths, region=1) == 0).all()
    assert (cell(paths) > 0).all()


def test_adoption_follows_the_bass_curve():
    # without spread: seats x F(t) at the middle of each month, from the launch in month 3 on
    seats = 1000 * bass_share(np.arange(1, 200), 0.2, 12.7)[None]
    new = Adopting(seats, np.ones(1), 3, exactly(5.0), np.array([0.75, 0.25]))
    paths = simulate_paths([workload("new", (0, 0), adopting=new)], ("eu", "us"), CALM)
    middle = (np.arange(10) + 0.5) * WEEKS_PER_MONTH
    expected = np.concatenate([[0, 0], 5000 * bass_share(middle, 0.2, 12.7)])
    # months are read between weeks: within the curvature of one week
    np.testing.assert_allclose(paths.units[0, 0].sum(axis=0), expected, rtol=0.02)
    np.testing.assert_allclose(paths.units[0, 0, 1] * 3, paths.units[0, 0, 0])


# closed forms


def test_growth_has_the_quantiles_it_was_given():
    paths = simulate_paths(
        [workload(growth=Spread(-0.02, 0.03, 0.10))], ("eu",), Settings(months=1, paths=40_000, damping=ONE)
    )
    np.testing.assert_allclose(np.quantile(cell(paths)[:, 0], [0.1, 0.5, 0.9]), [98, 103, 110], atol=0.15)


@pytest.mark.parametrize("correlation", [0.0, 0.4, 1.0])
def test_variance_of_the_total_agrees_with_its_closed_form(correlation):
    """Noise alone is log-normal: mean m e^(v/2), covariance m_i m_j e^(v_i/2 + v_j/2) (e^cov_ij - 1)."""
    memory, months, sd = 0.5, 6, np.array([0.2, 0.1, 0.3])
    parts = [workload(f"w{i}", (level,), noise_sd=sd[i]) for i, level in enumerate((100.0, 300.0, 50.0))]
    paths = simulate_paths(
        parts, ("eu",), Settings(months, 40_000, correlation=correlation, noise_memory=memory, damping=ONE)
    )
    total = paths.units.sum(axis=(1, 2))
    level = np.array([100.0, 300.0, 50.0])
    for month in (1, 6):
        covariance = 2 * (1 - memory**month) * np.outer(sd, sd) * np.where(np.eye(3) > 0, 1.0, correlation)
        mean = level * np.exp(np.diag(covariance) / 2)
        variance = (np.outer(mean, mean) * np.expm1(covariance)).sum()
        assert total[:, month - 1].mean() == pytest.approx(mean.sum(), rel=0.005)
        assert total[:, month - 1].std() == pytest.approx(np.sqrt(variance), rel=0.025)


def test_remembered_noise_has_the_variance_of_its_formula():
    noise = remembering(np.random.default_rng(0).standard_normal((50_000, 13)), 0.8)
    np.testing.assert_allclose(noise.var(axis=0), 2 * (1 - 0.8 ** np.arange(1, 13)), rtol=0.04)


def test_a_plain_loop_over_months_agrees():
    """Independent engine: one cell, one path at a time, with the draws of the package."""
    chat = workload(growth=Spread(0.0, 0.02, 0.05), growth_sd=0.01, noise_sd=0.2, start=Spread(0.9, 1.0, 1.0))
    plan = Settings(months=5, paths=7, seed=3, damping=Spread(0.8, 0.9, 1.0))
    paths = simulate_paths([chat], ("eu",), plan)
    from aifactory.demand.scenarios import DAMPING, GROWTH, START, _Draws

    common, own = _Draws(plan, "", ("eu",)), _Draws(plan, "chat", ("eu",))
    a, b = 0.4**0.5, 0.6**0.5
    for s in range(7):
        z = a * common.persistent[s] + b * own.persistent[s]
        e = a * common.noise[s, 0] + b * own.noise[s, 0]
        g = (1 + float(chat.growth.at(z[GROWTH]))) * np.exp(0.01 * z[GROWTH]) - 1
        d = min(float(plan.damping.at(z[DAMPING])), 1.0)
        level, n = 100 * float(chat.start.at(z[START])), e[0]
        for t in range(5):
            level *= 1 + g * d**t
            n = 0.5 * n + 0.75**0.5 * e[t + 1]
            assert paths.units[s, 0, 0, t] == pytest.approx(level * np.exp(0.2 * (n - e[0])), rel=1e-12)


# properties


def company(count=4, noise=0.2):
    return [
        workload(f"w{i}", (100.0 * (i + 1), 40.0), growth=Spread(0.0, 0.02, 0.05), growth_sd=0.01, noise_sd=noise)
        for i in range(count)
    ]


REGIONS = ("eu", "us")


@FEW
@given(seed=st.integers(0, 2**31), correlation=st.floats(0, 1), paths=st.integers(1, 60))
def test_cuts_are_ordered_and_their_parts_add_up(seed, correlation, paths):
    found = simulate_paths(company(), REGIONS, Settings(12, paths, seed, correlation))
    weight = np.array([[1.0, 2.0], [0.0, 1.0], [3.0, 1.0], [1.0, 0.5]])
    cuts = cut_paths(found, weight)
    assert (np.diff(cuts.total, axis=0) >= 0).all()
    np.testing.assert_allclose(np.einsum("lwrt,wr->lt", cuts.work, weight), cuts.total, rtol=1e-12)
    assert (np.diff(cuts.cell_units, axis=0) >= 0).all()


@FEW
@given(seed=st.integers(0, 2**31), correlation=st.floats(0, 1), paths=st.integers(2, 200))
def test_no_part_falls_with_the_level_and_all_stand_at_one_quantile_of_themselves(seed, correlation, paths):
    found = simulate_paths(company(), REGIONS, Settings(12, paths, seed, correlation))
    cuts = cut_paths(found, np.ones((4, 2)))
    for parts in (cuts.units, cuts.work):
        assert (np.diff(parts, axis=0) >= 0).all()
    for month in (0, 11):  # each part, against numpy's quantile of that cell alone
        for level in range(3):
            alone = np.quantile(found.units[..., month], cuts.place[level, month], axis=0)
            np.testing.assert_allclose(cuts.units[level, :, :, month], alone, rtol=1e-9)


def test_the_middle_of_a_symmetric_case_is_its_planned_path():
    cells = [workload(name, level=(100.0,), growth=Spread(-0.02, 0.0, 0.02)) for name in "abcd"]
    found = simulate_paths(cells, ("eu",), Settings(1, 5000, 3, 0.4, damping=ONE))  # one month: 100 +- a normal
    cuts = cut_paths(found, np.ones((4, 1)))
    np.testing.assert_allclose(cuts.units[1], 100.0, rtol=0.002)
    np.testing.assert_allclose(cuts.units[0] + cuts.units[2], 200.0, rtol=0.002)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("correlation", [0.0, 0.4])
def test_an_uncertain_cell_beside_certain_ones_is_not_inflated(seed, correlation):
    """A cell whose mean is many times its median stands near the median, certain ones where they are."""
    wild = workload("wild", growth_sd=0.15)
    sure = [workload(name) for name in "abc"]
    found = simulate_paths([wild, *sure], ("eu",), Settings(36, 2000, seed, correlation, damping=ONE))
    cuts = cut_paths(found, np.ones((4, 1)))
    median = np.median(found.units[:, 0, 0], axis=0)
    assert found.units[:, 0, 0, -1].mean() > 20 * median[-1]
    np.testing.assert_allclose(cuts.units[1, 0, 0], median, rtol=1e-9)
    np.testing.assert_allclose(cuts.units[:, 1:], 100.0, rtol=1e-9)


def test_a_use_case_without_cost_stands_at_the_level_of_the_cut():
    """It does not move the total; beside a certain total it keeps its own quantiles."""
    found = simulate_paths([workload("sure"), workload("free", noise_sd=0.3)], ("eu",), Settings(6, 500, 1))
    cuts = cut_paths(found, np.array([[1.0], [0.0]]))
    np.testing.assert_allclose(cuts.place, np.repeat([[0.1], [0.5], [0.9]], 6, axis=1))
    np.testing.assert_allclose(cuts.units[:, 1], cuts.cell_units[:, 1], rtol=1e-9)


def test_a_single_path_is_its_own_cut():
    found = simulate_paths(company(), REGIONS, Settings(12, 1, 5))
    cuts = cut_paths(found, np.ones((4, 2)))
    for level in range(3):
        np.testing.assert_allclose(cuts.units[level], found.units[0], rtol=1e-12)


def test_more_correlation_makes_the_total_wider():
    widths = []
    for correlation in (0.0, 0.3, 0.6, 1.0):
        total = simulate_paths(company(8), REGIONS, Settings(12, 4000, 1, correlation)).units.sum(axis=(1, 2))
        widths.append(np.ptp(np.quantile(total, [0.1, 0.9], axis=0), axis=0)[-1])
    assert widths == sorted(widths)
    assert widths[-1] > 1.5 * widths[0]


def test_cells_are_wider_than_their_share_of_the_total():
    cuts = cut_paths(simulate_paths(company(), REGIONS, Settings(12, 2000, 1, 0.2)), np.ones((4, 2)))
    inside = cuts.units[2] - cuts.units[0]
    assert (np.ptp(cuts.cell_units, axis=0).sum(axis=(0, 1)) > inside.sum(axis=(0, 1))).all()


def test_the_same_call_gives_the_same_digits_and_another_seed_others():
    one, same, other = (simulate_paths(company(), REGIONS, Settings(6, 300, seed)).units for seed in (7, 7, 8))
    assert one.tobytes() == same.tobytes()
    assert not np.array_equal(one, other)


def test_random_numbers_are_common_to_changed_questions():
    base = simulate_paths(company(), REGIONS, Settings(6, 300, 7)).units
    fewer = simulate_paths(company()[1:3], REGIONS, Settings(6, 300, 7)).units
    np.testing.assert_array_equal(base[:, 1:3], fewer)
    longer = simulate_paths(company(), REGIONS, Settings(24, 300, 7)).units
    np.testing.assert_allclose(longer[:, :, :, :6], base, rtol=1e-12)
    one_region = simulate_paths([replace(w, level=w.level[:1], growth_sd=w.growth_sd[:1], noise_sd=w.noise_sd[:1]) for w in company()], ("eu",), Settings(6, 300, 7))  # fmt: skip
    np.testing.assert_array_equal(one_region.units[:, :, 0], base[:, :, 0])


@pytest.mark.parametrize("paths", [1, 7, 250])
def test_what_a_path_keeps_is_drawn_once_from_each_stratum(paths):
    drawn = _stratified(3, ("chat", ""), (paths, 6))
    strata = np.floor(norm.cdf(drawn) * paths).astype(int)
    assert np.isfinite(drawn).all()
    assert (np.sort(strata, axis=0) == np.arange(paths)[:, None]).all()


def test_columns_of_strata_know_nothing_of_each_other():
    drawn = _stratified(3, ("chat", ""), (4000, 6))
    assert np.abs(np.corrcoef(drawn.T) - np.eye(6)).max() < 0.06  # four standard errors of 4,000 draws
    assert (np.abs(drawn.mean(axis=0)) < 1e-3).all() and drawn.std(axis=0) == pytest.approx(1.0, abs=2e-3)


def test_the_middle_of_demand_hardly_moves_with_the_seed():
    """Growth that is known to a factor of two: its median over seeds scatters less than a third as much as that of free draws would."""
    doubt = replace(CALM, paths=400, correlation=0.0)
    item = workload(growth=0.0, growth_sd=0.05)
    found = [
        np.median(simulate_paths([item], ("eu",), replace(doubt, seed=seed)).units[:, 0, 0, -1]) for seed in range(20)
    ]
    logs = np.log(simulate_paths([item], ("eu",), doubt).units[:, 0, 0, -1])
    free = np.sqrt(np.pi / 2) * logs.std() / np.sqrt(400)  # standard error of a median of normal draws
    assert np.log(found).std() < free / 3


def test_groups_add_up_to_the_whole():
    units = simulate_paths(company(), REGIONS, Settings(6, 50, 7)).units
    member = np.zeros((2, 4, 2))
    member[0, :2], member[1, 2:] = 1, 1
    np.testing.assert_allclose(groups_of_paths(units, member).sum(axis=1), units.sum(axis=(1, 2)))


@pytest.mark.parametrize(
    ("change", "word"),
    [({"correlation": 1.2}, "correlation"), ({"paths": 0}, "paths"), ({"months": 0}, "months"), ({"noise_memory": 1.0}, "noise_memory"), ({"paths": 10**7}, "leave room for")],
)  # fmt: skip
def test_settings_out_of_bounds_are_refused(change, word):
    with pytest.raises(InputError, match=word):
        simulate_paths(company(), REGIONS, replace(Settings(), **change))


def test_names_must_differ_and_one_weight_must_count():
    with pytest.raises(InputError, match="differ"):
        simulate_paths([workload(), workload()], ("eu",), CALM)
    with pytest.raises(InputError, match="above 0"):
        cut_paths(simulate_paths([workload()], ("eu",), CALM), np.zeros((1, 1)))


@pytest.mark.parametrize(("history", "least", "most"), [(12, 0.82, 0.9), (24, 0.93, 0.98)])
def test_bands_a_year_ahead_on_a_real_work_tool(shared_dir, history, least, most):
    """Months of a work-tool page, every origin with that much history, 12 months ahead: shares of `plan_defaults.yaml`."""
    days = pd.read_csv(shared_dir / "data/traces/series/wp_R_daily.csv", parse_dates=["ds"]).set_index("ds")["y"]
    months = days.resample("MS").mean().to_numpy()
    held = []
    for origin in range(history, len(months) - 11):
        past = months[origin - history : origin]
        trend = monthly_trend(past)
        noise = np.sqrt((trend.months * trend.scatter**2 + 12 * 0.15**2) / (trend.months + 12))
        page = workload(level=(past[-1],), growth=trend.growth, growth_sd=np.hypot(trend.log_sd, 0.03), noise_sd=noise)
        plan = Settings(12, 400, seed=origin, damping=Spread(0.88, 0.94, 1.0))
        low, high = np.quantile(cell(simulate_paths([page], ("eu",), plan)), [0.1, 0.9], axis=0)
        held.append((months[origin : origin + 12] >= low) & (months[origin : origin + 12] <= high))
    assert least <= np.mean(held) <= most


def test_a_use_case_that_is_planned_region_by_region_keeps_its_draws():
    """Each region of `chat.eu` and `chat.us` moves as that of `chat`, and nothing else moves for the split."""
    both, none = np.array([100.0, 50.0]), np.zeros(2)
    facts = {"growth": Spread(0.01, 0.02, 0.04), "growth_sd": np.full(2, 0.02), "noise_sd": np.full(2, 0.1)}
    other = Workload("search", both, **facts)
    settings = Settings(months=6, paths=50, seed=3)
    whole = simulate_paths([Workload("chat", both, **facts), other], ("eu", "us"), settings).units
    parts = [Workload("chat.eu", both * [1, 0], **facts), Workload("chat.us", both * [0, 1], **facts)]
    split = simulate_paths([*parts, other], ("eu", "us"), settings).units
    np.testing.assert_array_equal(split[:, 0, 0], whole[:, 0, 0])
    np.testing.assert_array_equal(split[:, 1, 1], whole[:, 0, 1])
    np.testing.assert_array_equal(split[:, 2], whole[:, 1])
    assert none.sum() == split[:, 0, 1].sum()
