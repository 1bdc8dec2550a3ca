"""Each planted drift changes what it claims, where and when it claims, and nothing else."""

from itertools import pairwise

import numpy as np
import pytest

from terracast.streams.city import PlantedDrift, Reporting, Shock, simulate_city
from terracast.streams.city.drifts import CHANGE_TYPES
from terracast.streams.city.faults import FAULT_TYPES

HOUR = np.timedelta64(1, "h")
PERFECT = Reporting(late_share=0, gap_share=0, revised_share={})
FROM, UNTIL = np.datetime64("2023-02-15"), np.datetime64("2023-04-01")
INSIDE, OUTSIDE = slice(FROM, UNTIL - HOUR), slice(None, FROM - HOUR)
SOME = ("air-02", "air-07", "air-11")


def city_of(*drifts, **more):
    return simulate_city(seed=7, days=120, drifts=drifts, **{"reporting": PERFECT, **more})


@pytest.fixture(scope="module")
def calm():
    return city_of()


def drifted(change_type, domain="air", variable="pm25", nodes=SOME, size=1.0, driver=""):
    return city_of(PlantedDrift(change_type, domain, variable, nodes, FROM, UNTIL, size, driver))


@pytest.mark.parametrize("change_type, size", [("level", 1.0), ("scale", 0.8), ("trend", 1.5), ("seasonality", 5.0)])
def test_drift_of_values_leaves_all_else_to_the_bit(calm, change_type, size):
    city = drifted(change_type, size=size)
    for domain, panel in city.panels.items():
        for name in panel:
            changed = panel[name].values != calm.panels[domain][name].values
            if (domain, name) != ("air", "pm25"):
                assert not changed.any()
                continue
            named = np.isin(panel.node.values, SOME)
            within = (panel.time.values >= FROM) & (panel.time.values < UNTIL)
            assert not changed[:, ~named].any()
            assert not changed[~within].any()
            assert changed[np.ix_(within, named)].mean() > 0.99


def test_level_adds_standard_deviations(calm):
    added = (drifted("level").panels["air"].pm25 - calm.panels["air"].pm25).sel(node=list(SOME), time=INSIDE)
    spread = calm.panels["air"].pm25.sel(node=list(SOME)).std("time")
    np.testing.assert_allclose(added.std("time"), 0, atol=1e-9)
    np.testing.assert_allclose(added.mean("time"), spread, rtol=0.1)


def test_trend_rises_linearly_to_its_size(calm):
    added = (drifted("trend", size=1.5).panels["air"].pm25 - calm.panels["air"].pm25).sel(
        node=list(SOME), time=INSIDE)
    spread = calm.panels["air"].pm25.sel(node=list(SOME)).std("time")
    np.testing.assert_allclose(np.diff(added, n=2, axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(added[0], 0, atol=1e-12)
    np.testing.assert_allclose(added[-1], 1.5 * spread, rtol=0.1)


def test_scale_widens_and_keeps_the_mean(calm):
    nodes = ("weather-01", "weather-04")
    city = drifted("scale", "weather", "temperature", nodes, 0.8)
    wide, usual = (one.panels["weather"].temperature.sel(node=list(nodes), time=INSIDE)
                   for one in (city, calm))
    np.testing.assert_allclose(wide.std("time"), 1.8 * usual.std("time"), rtol=1e-9)
    mean = calm.panels["weather"].temperature.sel(node=list(nodes)).mean("time")
    np.testing.assert_allclose((wide - usual).mean("time"), 0.8 * (usual.mean("time") - mean), atol=0.5)


@pytest.mark.parametrize("domain, variable, hours", [("traffic", "volume", 3),
                                                     ("weather", "temperature", -4)])
def test_seasonality_comes_later_in_the_day(calm, domain, variable, hours):
    city = drifted("seasonality", domain, variable, (), hours)

    def cycle(one):
        inside = one.panels[domain][variable].sel(time=INSIDE).mean("node")
        mean = inside.groupby("time.hour").mean().values
        return mean - mean.mean()

    fits = [float(np.dot(cycle(city), np.roll(cycle(calm), shift))) for shift in range(24)]
    assert int(np.argmax(fits)) == hours % 24


def test_drift_of_the_weather_goes_on_to_drive_the_air(calm):
    city = drifted("level", "weather", "wind_speed", (), 1.0)
    for name in ("no2", "pm25"):
        windy, usual = (one.panels["air"][name].sel(time=INSIDE).mean() for one in (city, calm))
        assert float(windy) < 0.85 * float(usual)
    assert (city.panels["traffic"].volume.values == calm.panels["traffic"].volume.values).all()


def response(drifts, at, effect="no2", cause="traffic.volume", lag=1):
    """Log change of the air, lag hours after a shock to its driver, per node."""
    shocked, quiet = city_of(*drifts, shocks=(Shock(cause, at, 0.5),)), city_of(*drifts)
    after = {"time": at + lag * HOUR}
    return np.log(shocked.panels["air"][effect].sel(after) / quiet.panels["air"][effect].sel(after))


@pytest.mark.parametrize("change_type, size, left", [("relation", -0.6, 0.4), ("relation", 0.5, 1.5),
                                              ("lost_driver", 1.0, 0.0)])
def test_drift_of_the_law_changes_what_the_driver_does(change_type, size, left):
    drift = PlantedDrift(change_type, "air", "no2", SOME, FROM, UNTIL, size, "traffic.volume")
    during, before = np.datetime64("2023-03-01T08"), np.datetime64("2023-02-01T08")
    named = np.isin(response((), during).node.values, SOME)
    np.testing.assert_allclose(response((drift,), before), response((), before), rtol=1e-9)
    lawful, changed = response((), during).values, response((drift,), during).values
    assert (lawful > 0.01).all()
    np.testing.assert_allclose(changed[~named], lawful[~named], rtol=1e-6)
    np.testing.assert_allclose(changed[named], left * lawful[named], rtol=1e-6, atol=1e-12)


def test_drift_of_the_law_spreads_only_from_the_named_nodes_and_only_after_onset(calm):
    city = drifted("relation", variable="no2", size=-0.6, driver="traffic.volume")
    changed = city.panels["air"].no2 != calm.panels["air"].no2
    first = changed.sel(time=FROM)
    assert first.sel(node=list(SOME)).all()
    assert int(first.sum()) == len(SOME)
    assert not changed.sel(time=OUTSIDE).any()
    for domain, name in (("weather", "rain"), ("traffic", "volume"), ("air", "pm25")):
        assert (city.panels[domain][name].values == calm.panels[domain][name].values).all()


def test_low_emission_zone_lowers_the_air_and_flattens_its_day(calm):
    city = drifted("relation", variable="no2", nodes=(), size=-0.6, driver="traffic.volume")
    clean, usual = (one.panels["air"].no2.sel(time=INSIDE).mean("node") for one in (city, calm))
    assert float(clean.mean()) < 0.8 * float(usual.mean())
    swing = [np.ptp(one.groupby("time.hour").mean().to_numpy()) / float(one.mean()) for one in (clean, usual)]
    assert swing[0] < 0.8 * swing[1]


def test_lost_driver_leaves_the_level_but_not_the_dependence(calm):
    city = drifted("lost_driver", nodes=(), driver="weather.wind_speed")
    wind = calm.panels["weather"].wind_speed.mean("node").sel(time=INSIDE)

    def dependence(one):
        air = np.log(one.panels["air"].pm25.sel(time=INSIDE).mean("node"))
        return float(np.corrcoef(wind[:-3], air[3:])[0, 1])

    assert dependence(calm) < -0.5
    assert dependence(city) > dependence(calm) + 0.4


def test_default_plan_has_every_sort_after_a_calm_start():
    city = simulate_city(seed=7)
    assert {drift.change_type for drift in city.drifts} == set(CHANGE_TYPES)
    assert {fault.fault_type for fault in city.faults} == set(FAULT_TYPES)
    begin, end = city.panels["air"].time.values[[0, -1]]
    spans = sorted((change.start, change.end) for change in (*city.drifts, *city.faults))
    assert spans[0][0] >= begin + 100 * 24 * HOUR
    assert spans[-1][1] <= end + HOUR
    assert all(one[1] <= two[0] for one, two in pairwise(spans))
    assert all(change.nodes for change in (*city.drifts, *city.faults))
