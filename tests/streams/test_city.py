"""The city as a whole: true panels, the same bits for the same arguments, nothing known too early."""

import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.streams.city import CityError, PlantedDrift, PlantedFault, TrueLink, demo_city, simulate_city
from terracast.streams.city.variables import VARIABLES
from terracast.streams.panel import check_panel

HOUR = np.timedelta64(1, "h")


@pytest.fixture(scope="module")
def year():
    return simulate_city(seed=7)


def test_default_city_is_three_true_panels_of_a_year(year):
    assert {domain: panel.sizes["node"] for domain, panel in year.panels.items()} == {
        "weather": 9, "traffic": 24, "air": 16}
    for domain, panel in year.panels.items():
        xr.testing.assert_identical(check_panel(panel), panel)
        assert panel.sizes["time"] == 365 * 24
        assert str(panel.time.to_numpy()[0])[:13] == "2023-01-01T00"
        assert (panel.attrs["domain"], panel.attrs["kind"], panel.attrs["step"]) == (domain, "sensor", "1h")
        assert panel.known_time.dims == ("time", "node")
        assert {name: panel[name].attrs["units"] for name in panel} == {
            name: variable.units for name, variable in VARIABLES[domain].items()}
        away = np.hypot((panel.lat - 48.2) * 111, (panel.lon - 11.5) * 74)
        assert float(away.max()) < 30


def test_values_are_of_a_real_city_s_size(year):
    ranges = {"temperature": (-30, 45), "wind_speed": (0, 45), "rain": (0, 80), "volume": (0, 15000),
              "speed": (2, 130), "no2": (0.5, 400), "pm25": (0.5, 400)}
    means = {"temperature": (7, 14), "wind_speed": (2, 5), "rain": (0.03, 0.2), "volume": (800, 2500),
             "speed": (35, 80), "no2": (15, 45), "pm25": (8, 25)}
    for panel in year.panels.values():
        for name in panel:
            assert float(panel[name].min()) >= ranges[name][0]
            assert float(panel[name].max()) <= ranges[name][1]
            assert means[name][0] < float(panel[name].mean()) < means[name][1]
    rain = year.panels["weather"].rain
    assert 0.03 < float((rain > 0).sum() / rain.count()) < 0.2


def test_same_arguments_same_bits_other_seed_other_city(year):
    again, other = simulate_city(seed=7), simulate_city(seed=8)
    for domain, panel in year.panels.items():
        xr.testing.assert_identical(panel, again.panels[domain])
        pd.testing.assert_frame_equal(year.revisions[domain], again.revisions[domain], check_exact=True)
        for name in panel:
            assert not panel[name].equals(other.panels[domain][name])
    assert (year.drifts, year.faults, year.truth) == (again.drifts, again.faults, again.truth)


def test_year_takes_less_than_five_seconds_of_one_core():
    begun = time.process_time()
    simulate_city(seed=1)
    assert time.process_time() - begun < 5


def test_days_and_weeks_repeat():
    """Autocorrelation at 24 and 168 h, where it must be: what makes the city forecastable."""
    city = simulate_city(seed=3, days=120, drifts=())
    for domain, name, lag, least in (("traffic", "volume", 168, 0.9), ("traffic", "speed", 168, 0.7),
                                     ("weather", "temperature", 24, 0.5), ("air", "no2", 24, 0.2)):
        mean = city.panels[domain][name].mean("node").to_series()
        assert mean.autocorr(lag) > least
        assert mean.autocorr(lag) > mean.autocorr(lag - 12)


def test_neighbours_are_more_alike_than_strangers(year):
    layout = year.layout
    for domain, name in (("weather", "rain"), ("air", "pm25")):
        alike = np.corrcoef(year.panels[domain][name].to_pandas().interpolate().bfill().diff().dropna().T)
        apart = layout.distances(domain, domain)
        pairs = np.triu_indices(len(apart), 1)
        assert np.corrcoef(apart[pairs], alike[pairs])[0, 1] < -0.5


def test_roads_join_traffic_nodes_both_ways(year):
    edges = year.edges
    assert list(edges.columns) == ["node_from", "node_to", "weight"]
    there = set(zip(edges.node_from, edges.node_to, strict=True))
    assert there == {(end, begin) for begin, end in there}
    assert {name for pair in there for name in pair} == set(year.panels["traffic"].node.to_numpy())
    assert edges.weight.between(0, 1).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), days=st.integers(1, 4), weather=st.integers(1, 4),
       traffic=st.integers(3, 12), air=st.integers(1, 5))
def test_cities_of_any_size_are_true_panels(seed, days, weather, traffic, air):
    city = simulate_city(seed, days=days, weather_nodes=weather, traffic_nodes=traffic, air_nodes=air,
                         drifts=())
    for panel, count in zip(city.panels.values(), (weather, traffic, air), strict=True):
        check_panel(panel)
        assert dict(panel.sizes) == {"time": 24 * days, "node": count}
        known = panel.known_time.to_numpy()
        assert (np.isnat(known) | (known >= panel.time.to_numpy()[:, None] + HOUR)).all()


def test_history_shows_only_what_was_known(year):
    history = year.history()
    assert history.domains == ("weather", "traffic", "air")
    for hour in (1500, 4000, 8000):
        now = year.panels["air"].time.to_numpy()[hour]
        part = history.as_known_at("air", now, since=now - 200 * HOUR)
        whole = year.panels["air"].sel(time=part.time)
        seen = np.isfinite(part.pm25.to_numpy())
        assert not seen[~(whole.known_time.to_numpy() <= now)].any()
        ledger = year.revisions["air"].query("variable == 'pm25' and known_time <= @now")
        revised = set(zip(ledger.time, ledger.node, strict=True))
        changed = np.argwhere(seen & (part.pm25 != whole.pm25).to_numpy())
        stamps, nodes = part.time.to_numpy(), part.node.to_numpy()
        assert {(pd.Timestamp(stamps[row]), nodes[column]) for row, column in changed} <= revised


def test_demo_has_three_clear_changes_far_apart():
    for variable in ("no2", "pm25"):
        city, calm = demo_city(seed=7, variable=variable), simulate_city(seed=7, drifts=())
        changes = [*city.drifts, *city.faults]
        assert [drift.change_type for drift in city.drifts] == ["level", "relation"]
        assert [fault.fault_type for fault in city.faults] == ["stuck"]
        assert {change.series for change in changes} == {f"air.{variable}"}
        begin = city.panels["air"].time.to_numpy()[0]
        onsets = [(change.start - begin) / np.timedelta64(24, "h") for change in changes]
        assert onsets[0] > 150
        assert min(np.diff(onsets)) >= 40
        assert set(changes[1].nodes) == set(city.panels["air"].node.to_numpy())
        moved = (city.panels["air"] - calm.panels["air"])[variable]
        spread = calm.panels["air"][variable].std("time")
        for change, least in ((changes[0], 0.9), (changes[1], 0.4)):
            late = slice(change.start + 24 * HOUR, change.start + 14 * 24 * HOUR)
            before = moved.sel(time=slice(change.start - 14 * 24 * HOUR, change.start - HOUR))
            step = (moved.sel(time=late).mean("time") - before.mean("time")) / spread
            assert float(np.abs(step.sel(node=list(change.nodes))).min()) > least
        for domain in ("weather", "traffic"):
            xr.testing.assert_identical(city.panels[domain], calm.panels[domain])


DAY = np.datetime64("2023-01-05"), np.datetime64("2023-01-06")


@pytest.mark.parametrize("wrong, words", [
    ({"days": 0}, "at least 1"),
    ({"seed": -1}, "0 or more"),
    ({"traffic_nodes": 2}, "at least 3"),
    ({"drifts": "some"}, "'default' or planned changes"),
    ({"drifts": "default", "days": 5}, "drifts=()"),
    ({"drifts": (PlantedDrift("slide", "air", "no2", (), *DAY),)}, "one of level"),
    ({"drifts": (PlantedDrift("level", "air", "ozone", (), *DAY),)}, "air.no2"),
    ({"drifts": (PlantedDrift("level", "air", "no2", ("air-99",), *DAY),)}, "air-01 … air-16"),
    ({"drifts": (PlantedDrift("level", "air", "no2", (), *DAY[::-1]),)}, "start before end"),
    ({"drifts": (PlantedDrift("relation", "air", "no2", (), *DAY, driver="weather.rain"),)}, "driver"),
    ({"drifts": (PlantedFault("melted", "air", "no2", (), *DAY),)}, "one of outage"),
    ({"links": (TrueLink("air.no2", "weather.rain", 1, 1.0),)}, "a pair of series"),
])
def test_what_cannot_be_simulated_is_refused_in_words(wrong, words):
    with pytest.raises(CityError, match=words.replace("(", r"\(").replace(")", r"\)")):
        simulate_city(**{"days": 10, "drifts": (), **wrong})
