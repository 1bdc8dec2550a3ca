"""What the base model reads: scenes, closed-form readings and windows, against brute force, and never the future."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.stats.calendar import seasons
from terracast.stfm.base.baselines import NAMES, read
from terracast.stfm.base.panel_tensors import NEIGHBOURS, panel_tensors
from terracast.stfm.base.seasons import calendar
from terracast.stfm.base.window import CONTEXT, PATCH, bounds, cut, units
from terracast.stfm.forecaster import ForecastError
from tests.stfm.base_panels import HOUR, panel

ALONE = np.zeros((1, 1), int), np.zeros((1, 1), bool)


def test_neighbours_are_those_of_brute_force():
    given_panel = panel(steps=3, nodes=20)
    scene = panel_tensors(given_panel, "flow", HOUR, until=given_panel["time"].values[-1], ahead=0)
    lat, lon = (np.radians(given_panel[name].values) for name in ("lat", "lon"))
    cosine = (np.sin(lat)[:, None] * np.sin(lat) + np.cos(lat)[:, None] * np.cos(lat) * np.cos(lon[:, None] - lon))
    distance = np.arccos(cosine.clip(-1, 1)) + 10 * np.eye(20)
    wanted = distance.argsort(1)[:, :NEIGHBOURS]
    assert scene.places.near.all()
    assert [set(row) for row in scene.places.neighbours] == [set(row) for row in wanted]


def test_a_network_that_stays_has_the_same_neighbours_and_one_that_was_moved_has_others():
    here = panel(steps=3, nodes=20)
    turned = here.assign_coords(lat=("node", here["lat"].values[::-1]), lon=("node", here["lon"].values[::-1]))
    places = [panel_tensors(one, "flow", HOUR, until=one["time"].values[-1], ahead=0).places
              for one in (here, turned, here)]
    for first, last in ((0, 2), (0, 1)):
        same = [np.array_equal(getattr(places[first], name), getattr(places[last], name))
                for name in ("neighbours", "offsets")]
        assert same == [last == 2] * 2
    assert np.array_equal(places[1].offsets[::-1], places[0].offsets)


def test_twins_at_one_place_are_neighbours_of_each_other_not_of_themselves():
    given_panel = panel(steps=3, nodes=6)
    given_panel = given_panel.assign_coords(lat=("node", np.full(6, 50.0)), lon=("node", np.full(6, 5.0)))
    places = panel_tensors(given_panel, "flow", HOUR, until=given_panel["time"].values[-1], ahead=0).places
    assert (places.neighbours != np.arange(6)[:, None]).all()
    assert np.isfinite(places.offsets).all()


def test_a_graph_goes_before_coordinates_and_nan_coordinates_have_no_neighbours():
    given_panel = panel(steps=3, nodes=4)
    chain = np.diag(np.ones(3), 1)  # n0 -> n1 -> n2 -> n3
    places = panel_tensors(given_panel, "flow", HOUR, until=given_panel["time"].values[-1], ahead=0, graph=chain).places
    assert places.near.sum(1).tolist() == [0, 1, 1, 1]
    assert places.neighbours[1:, 0].tolist() == [0, 1, 2]
    unknown = given_panel.assign_coords(lat=("node", np.full(4, np.nan)))
    assert not panel_tensors(unknown, "flow", HOUR, until=given_panel["time"].values[-1], ahead=0).places.near.any()


def test_unsorted_time_is_put_in_order_and_stamps_off_the_clock_are_refused():
    given_panel = panel(steps=50)
    until = given_panel["time"].values[-1]
    mixed = given_panel.isel(time=np.random.default_rng(0).permutation(50))
    np.testing.assert_array_equal(panel_tensors(mixed, "flow", HOUR, until=until, ahead=0).target,
                                  panel_tensors(given_panel, "flow", HOUR, until=until, ahead=0).target)
    with pytest.raises(ForecastError, match="off the clock"):
        panel_tensors(given_panel, "flow", HOUR, until=until + np.timedelta64(20, "m"), ahead=0)
    with pytest.raises(ForecastError, match="doubled"):
        panel_tensors(given_panel.isel(time=[0, 1, 1]), "flow", HOUR, until=until, ahead=0)


def test_persistence_is_the_autocorrelation():
    chance = np.random.default_rng(1)
    series = np.zeros(1536)
    for step in range(1, 1536):
        series[step] = 0.9 * series[step - 1] + chance.normal()
    found = read(series[None].astype("float32"), 12, np.timedelta64(366, "D"), *ALONE)  # a step without seasons
    told = found.values[0, NAMES.index("profile + persistence")]
    centred = series - series.mean()
    rho = np.array([centred[lead:] @ centred[:1536 - lead] / (1536 - lead) for lead in range(1, 13)]) / centred.var()
    np.testing.assert_allclose(told, series.mean() + rho * centred[-1], atol=0.05)
    np.testing.assert_allclose(found.spread[0], centred.std() * np.sqrt(1 - rho**2), rtol=0.05)


def test_regression_comes_near_the_conditional_mean_of_an_ar2():
    chance = np.random.default_rng(2)
    series = np.zeros((8, 1536))
    for step in range(2, 1536):
        series[:, step] = 1.5 * series[:, step - 1] - 0.6 * series[:, step - 2] + chance.normal(size=8)
    known, after = series[:, :1500], series[:, 1500]
    nobody = np.zeros((8, 1), int), np.zeros((8, 1), bool)
    found = read(known.astype("float32"), 1, np.timedelta64(366, "D"), *nobody)
    best = 1.5 * known[:, -1] - 0.6 * known[:, -2]
    told = {name: np.abs(found.values[:, place, 0] - best).mean() for place, name in enumerate(NAMES)}
    assert told["profile + regression"] < 0.5 * told["profile + persistence"]
    assert np.isfinite(after).all()


@pytest.mark.parametrize("step, season", [(HOUR, 24), (np.timedelta64(1, "D"), 7), (np.timedelta64(7, "D"), 52)])
def test_a_pure_season_is_read_exactly(step, season):
    assert season in seasons(step)
    wave = np.random.default_rng(0).normal(size=season)
    series = np.tile(wave, 1536 // season + 2)[:1536].astype("float32")
    found = read(series[None], season, step, *ALONE)
    ahead = np.tile(wave, 1536 // season + 3)[1536:1536 + season]
    np.testing.assert_allclose(found.values[0, NAMES.index("season before")], ahead, atol=1e-5)
    if season < 52:  # the profile of a year is smoothed over two weeks
        np.testing.assert_allclose(found.values[0, NAMES.index("profile")], ahead, atol=0.15)


def test_circles_close():
    stamps = np.array(["2023-01-02T00", "2023-01-09T00", "2023-01-08T23"], "datetime64[ns]")
    circles = calendar(stamps, HOUR)
    np.testing.assert_allclose(circles[0, :4], circles[1, :4], atol=1e-6)
    assert np.abs(circles[1, :4] - circles[2, :4]).max() < 0.3


def test_units_never_divide_by_nothing():
    chance = np.random.default_rng(0)
    past = chance.normal(size=(5, 200))
    past[1] = 7.0  # stuck
    past[2] = np.nan  # silent
    past[3] = np.where(np.arange(200) % 50 == 0, 90.0, 0.0)  # mostly one value
    past[4, 3:] = np.nan  # new
    centre, width = units(past)
    assert np.isfinite(centre).all() and (width > 0).all()
    assert width[2] >= width[0] and width[4] >= 0.9 * np.median(width[[0, 3]].min())
    assert centre[1] == 7.0


def test_bounds_are_those_that_were_touched():
    rain = np.where(np.random.default_rng(0).random((1, 300)) < 0.7, 0.0, 2.5 + np.arange(300) / 300)
    assert bounds(rain)[0][0] == 0.0 and np.isinf(bounds(rain)[1][0])
    assert np.isinf(bounds(np.random.default_rng(0).normal(size=(1, 300)))[0][0])


@settings(max_examples=15, deadline=None)
@given(row=st.integers(40, 700), seed=st.integers(0, 5), horizon=st.sampled_from([1, 24, 40]))
def test_poison_after_the_issue_time_changes_nothing(row, seed, horizon):
    clean = panel(seed=seed)
    poisoned = clean.copy(deep=True)
    poisoned["flow"][row + 1:] = 1e9
    poisoned["rain"][row + 1:] = -1e9
    until = clean["time"].values[-1]
    one, other = (cut(panel_tensors(given_panel, "flow", HOUR, until=until, ahead=0), row, horizon)
                  for given_panel in (clean, poisoned))
    for name, part in vars(one).items():
        assert np.array_equal(np.asarray(part), np.asarray(getattr(other, name)), equal_nan=True), name


def test_a_drivers_lag_says_what_is_known_ahead():
    clean = panel()
    scene = panel_tensors(clean, "flow", HOUR, until=clean["time"].values[-1], ahead=0)
    window = cut(scene, 600, PATCH)
    known = window.drivers_known.numpy().reshape(5, 2, -1)[:, :, CONTEXT:]
    assert known[:, 0].sum(1).tolist() == [6.0] * 5  # a past driver acts six steps later: six leads are told
    assert known[:, 1].sum(1).tolist() == [float(PATCH)] * 5  # a future driver is known throughout
