"""Quality on real data and small cases: each oddity that is known to be there must be found, and told apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.streams.bitemporal import known_after
from terracast.streams.quality import (
    Label,
    QualitySettings,
    Reference,
    flag,
    judge,
    learn,
    shared_series,
    summary,
    tickets,
)
from terracast.streams.quality.labels import LABELS, bit
from terracast.streams.storage.tree import pack, unpack

DATA = Path(__file__).parents[2].parent / "shared" / "data"
BEIJING = DATA / "beijing_air_quality" / "beijing_air_quality.nc"
METRO = DATA / "metro_i94_traffic_weather" / "metro_i94.nc"
needs_data = pytest.mark.skipif(not BEIJING.exists(), reason="no shared data beside the repository")


def has(flags: xr.DataArray, label: str) -> np.ndarray:
    return (flags.values & bit(label)) > 0


def panel_of(values: np.ndarray, units: str = "ug m-3", start: str = "2020-01-01", step: str = "1h",
             **attrs: str) -> xr.Dataset:
    values = values[:, None] if values.ndim == 1 else values
    return xr.Dataset(
        {"x": (("time", "node"), values, {"units": units, "long_name": "x", **attrs})},
        {"time": pd.date_range(start, periods=len(values), freq=step),
         "node": [f"n{at}" for at in range(values.shape[1])]},
        {"domain": "d", "kind": "sensor", "step": step})


@pytest.fixture(scope="module")
def beijing() -> xr.Dataset:
    panel = xr.load_dataset(BEIJING)
    return panel.assign_attrs(domain="beijing", kind="sensor", step="1h")


@needs_data
def test_ozone_stuck_at_dongsi(beijing: xr.Dataset) -> None:
    panel = beijing[["O3"]].sel(time=slice("2013-05-01", "2013-08-31"))
    flagged = judge(panel)
    start, end = np.datetime64("2013-08-15T23"), np.datetime64("2013-08-17T04")
    span = flagged.hindsight()["O3"].sel(node="Dongsi", time=slice(start, end))
    above = panel["O3"].sel(node="Dongsi", time=slice(start, end)).values > 1000
    assert above.sum() == 16
    assert ((has(span, "stuck") | has(span, "saturated") | has(span, "spike")) & above).sum() >= 14
    assert has(span, "stuck").sum() == 12  # the last twelve hours stand at 1071.0 exactly
    own = [one for one in tickets(flagged.hindsight()) if one.fault_type == "stuck" and one.nodes == ("Dongsi",)]
    assert any(one.end == end and one.start >= start for one in own)
    assert not has(flagged.first["O3"].sel(node="Dongsi", time=slice(start, "2013-08-16T18")), "stuck").any()


@needs_data
def test_carbon_monoxide_stops_at_its_limit(beijing: xr.Dataset) -> None:
    panel = beijing[["CO"]].sel(time=slice("2015-03-01", "2016-01-31"))
    flags = judge(panel).hindsight()
    at_limit = panel["CO"].values == 10000
    assert at_limit.sum() == 41
    found = has(flags["CO"], "saturated")
    assert (found & at_limit).sum() >= 39 and (found & ~at_limit).mean() < 0.001


@needs_data
def test_weather_that_stations_share_and_the_change_of_it(beijing: xr.Dataset) -> None:
    truth = json.loads((BEIJING.parent / "truth.json").read_text())["duplicated_weather_series"]
    wanted = [{frozenset(group) for group in span["groups"]} for span in truth]
    for name in ("TEMP", "PRES", "DEWP", "WSPM"):
        groups = shared_series(beijing[[name]], at_least_days=28)
        before = {frozenset(one.nodes) for one in groups if one.start <= np.datetime64("2013-03-02")}
        after = {frozenset(one.nodes) for one in groups if one.end >= np.datetime64("2017-02-20")}
        assert before == wanted[0] and after == wanted[1]
        changed = [one for one in groups if len(one.nodes) == 6]
        assert str(min(one.start for one in changed)) == "2015-03-01"
        assert {frozenset(one.nodes) for one in groups} == wanted[0] | wanted[1]


@needs_data
def test_pollutants_share_no_sensor(beijing: xr.Dataset) -> None:
    assert not shared_series(beijing[["PM25", "NO2", "O3"]])


@pytest.mark.skipif(not METRO.exists(), reason="no shared data beside the repository")
def test_impossible_weather_of_the_highway() -> None:
    panel = xr.load_dataset(METRO)[["temp", "rain_1h", "snow_1h", "clouds_all", "traffic_volume"]]
    part = panel.assign_attrs(domain="metro", kind="sensor", step="1h").sel(time=slice("2013-12-01", "2016-09-30"))
    flags = flag(part, settings=QualitySettings(relearn="60D"))
    assert (part["temp"].values == 0).sum() == 10
    np.testing.assert_array_equal(has(flags["temp"], "range"), part["temp"].values == 0)
    np.testing.assert_array_equal(has(flags["rain_1h"], "range"), part["rain_1h"].values > 9000)
    assert has(flags["rain_1h"], "range").sum() == 1
    for name in ("snow_1h", "clouds_all", "traffic_volume"):
        assert not has(flags[name], "range").any()
    for name in ("rain_1h", "snow_1h"):
        assert not has(flags[name], "stuck").any()  # it does not rain for months: that is weather


def test_one_missing_value_and_an_outage() -> None:
    values = np.random.default_rng(0).normal(50, 5, (200, 5))
    values[100, 0] = np.nan
    values[120:130, 1] = np.nan
    values[150, :4] = np.nan  # four of five nodes at once
    flagged = judge(panel_of(values))
    first, later = flagged.first["x"], flagged.hindsight()["x"]
    assert has(first, "missing").sum() == 15 and not has(later, "outage")[100, 0]
    assert has(first, "outage")[122:130, 1].all() and not has(first, "outage")[120:122, 1].any()
    assert has(later, "outage")[120:130, 1].all()
    assert has(first, "outage")[150].tolist() == [True] * 4 + [False]


def test_a_node_that_has_not_joined_yet_is_not_missing() -> None:
    values = np.random.default_rng(0).normal(50, 5, (50, 1))
    values[:20] = np.nan
    assert flag(panel_of(values))["x"].values.max() == 0


def test_zeros_of_the_night_are_not_stuck_but_zeros_of_days_are() -> None:
    hours = np.arange(24 * 60)
    sun = np.maximum(np.sin((hours % 24 - 6) * np.pi / 12), 0) * np.random.default_rng(0).uniform(200, 800, len(hours))
    sun[24 * 40 : 24 * 42] = 0.0
    flagged = judge(panel_of(sun, "W m-2")).hindsight()["x"]
    stuck = has(flagged, "stuck")[:, 0]
    assert stuck[24 * 40 + 10 : 24 * 42].all()
    stuck[24 * 40 - 12 : 24 * 42 + 7] = False
    assert not stuck.any()


def test_a_step_is_no_spike_in_hindsight() -> None:
    random = np.random.default_rng(0)
    values = random.normal(50, 1, 24 * 60)
    values[1000] += 40
    values[1200:] += 40
    flagged = judge(panel_of(values))
    assert has(flagged.first["x"], "spike")[[1000, 1200], 0].all()
    assert has(flagged.hindsight()["x"], "spike")[[1000, 1200], 0].tolist() == [True, False]


def test_limits_of_the_user_and_infinite_settings() -> None:
    values = np.random.default_rng(0).normal(50, 5, 100)
    assert has(flag(panel_of(values), limits={"x": (40.0, 60.0)})["x"], "range").sum() == (abs(values - 50) > 10).sum()
    assert not has(flag(panel_of(values), limits={"x": (-np.inf, np.inf)})["x"], "range").any()


def test_late_backfilled_and_revised_keep_both_values() -> None:
    values = np.random.default_rng(0).normal(50, 5, 48)
    panel = known_after(panel_of(values), pd.Timedelta("1h"))
    known = panel["known_time"].values[:, None].copy()
    known[10] += np.timedelta64(5, "h")
    known[20:25] = known[24] + np.timedelta64(1, "h")
    panel = panel.assign_coords(known_time=(("time", "node"), known))
    ledger = pd.DataFrame({"time": panel["time"].values[[30]], "node": ["n0"], "variable": ["x"], "value": [1.0],
                           "known_time": panel["time"].values[[40]]})
    flagged = judge(panel, revisions=ledger)
    later = flagged.hindsight()["x"]
    assert np.flatnonzero(has(later, "late")[:, 0]).tolist() == [10, *range(20, 25)]
    assert np.flatnonzero(has(later, "backfilled")[:, 0]).tolist() == [*range(20, 25)]
    before, after = (flagged.as_known_at(panel["time"].values[at])["x"] for at in (39, 40))
    assert not has(before, "revised").any() and np.flatnonzero(has(after, "revised")).tolist() == [30]


def test_flags_carry_cf_attributes_and_fold_into_tickets() -> None:
    values = np.random.default_rng(0).normal(10, 1, (60, 3))
    values[30:50, :2] = np.nan
    flags = judge(panel_of(values, "degC", standard_name="air_temperature")).hindsight()
    attrs = flags["x"].attrs
    assert flags["x"].dtype == np.uint16 and flags["x"].dims == ("time", "node")
    assert dict(zip(attrs["flag_meanings"].split(), attrs["flag_masks"].tolist(), strict=True))["outage"] == 2
    assert attrs["flag_meanings"].split() == list(LABELS) and max(attrs["flag_masks"]) == int(Label.REVISED)
    found = [one for one in tickets(flags) if one.fault_type == "outage"]
    assert [(one.nodes, one.cells) for one in found] == [(("n0", "n1"), 40)]
    assert found[0].words == ("n0 and n1 sent no x from 2020-01-02 06:00 to 2020-01-03 01:00. The data are missing; "
                              "the world need not have changed.")
    table = summary(flags).set_index(["node", "label"])["values"]
    assert table["n0", "outage"] == 20 and ("n2", "outage") not in table.index


def test_a_reference_survives_a_restart_and_new_nodes() -> None:
    values = np.random.default_rng(0).gamma(4, 10, (24 * 40, 6))
    values[24 * 35, 2] = 5000.0
    panel = panel_of(values)
    reference = learn(panel.isel(time=slice(0, 24 * 30)))
    again = Reference.restore(unpack(pack(reference.state())))
    since = panel["time"].values[24 * 31]
    one, other = (flag(panel, reference=held, since=since) for held in (reference, again))
    xr.testing.assert_identical(one, other)
    assert has(one["x"], "spike").sum() >= 1
    grown = xr.concat([panel, panel.isel(node=[0]).assign_coords(node=["new"])], "node", combine_attrs="override")
    more = flag(grown[["x"]].isel(node=[6, 0, 1, 2, 3, 4, 5]), reference=reference, since=since)
    spikes = has(more["x"], "spike")[:, 1:]
    np.testing.assert_array_equal(spikes, has(one["x"], "spike"))


def test_judging_never_changes_the_panel() -> None:
    panel = panel_of(np.random.default_rng(0).gamma(4, 10, (24 * 30, 4)))
    before = panel.copy(deep=True)
    judge(panel, settings=QualitySettings(learn_after="5D"))
    xr.testing.assert_identical(panel, before)
