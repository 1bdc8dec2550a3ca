"""Faulty sensors, lost drivers and new wiring: told once when planted, set aside, and never told in clean real data."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.adapt.clock import Moment, clock
from terracast.adapt.data_faults.data_faults import DataFaults
from terracast.adapt.data_faults.flag_tickets import FlagTickets
from terracast.adapt.data_faults.silence import ReportWatch
from terracast.adapt.initialise import ServiceInit, serve
from terracast.adapt.loop import Loop
from terracast.adapt.promotion.paired_gate import PairedGate
from terracast.adapt.promotion.policy import OnEpisode, Policy
from terracast.adapt.task import ForecastTask
from terracast.stfm.forecaster import Request
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.bitemporal import InMemoryHistory, known_after
from terracast.streams.quality import judge
from terracast.streams.quality.online import QualityControl, Screened, as_known

pytestmark = pytest.mark.integration

BEIJING = Path(__file__).parents[2].parent / "shared" / "data" / "beijing_air_quality" / "beijing_air_quality.nc"
HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
YEAR = 24 * 365


@pytest.fixture(scope="module")
def beijing() -> xr.Dataset:
    if not BEIJING.exists():
        pytest.skip("no shared data")
    with xr.open_dataset(BEIJING) as panel:
        return panel[["PM25", "TEMP", "WSPM"]].isel(time=slice(0, 2 * YEAR)).load().assign_attrs(
            domain="d", kind="sensor", step="1h")


def told(panel: xr.Dataset, name: str, start: int) -> list[tuple[int, tuple[str, ...], str]]:
    """What is told of a variable, day by day from the row ``start``, as in service: learned anew every fortnight."""
    nodes = tuple(map(str, panel["node"].values))
    flags = as_known(judge(panel[[name]]), panel["time"].values[-1])
    heard, found = FlagTickets("d", name, nodes), []
    heard.update(panel["time"].values[start - 1], {"d": flags}, ())
    for row in range(start + 23, panel.sizes["time"], 24):
        heard = FlagTickets.restore(heard.state())
        found += [(row, one.nodes, one.ticket) for one in heard.update(panel["time"].values[row], {"d": flags}, ())]
    return found


@pytest.mark.parametrize("name", ["PM25", "TEMP", "WSPM"])
def test_a_clean_year_is_in_one_unit_and_conversions_are_told(beijing: xr.Dataset, name: str) -> None:
    begin = YEAR + 24 * 60
    clean = told(beijing[[name]].isel(time=slice(YEAR - 24 * 90, 2 * YEAR)), name, 24 * 90)
    assert len(clean) <= {"PM25": 1, "TEMP": 3, "WSPM": 1}[name]  # a frozen counter of repeats told 5, 27 and 11
    assert not any(change_type == "unit" for _, _, change_type in clean)
    factor, offset = {"TEMP": (1.8, 32.0), "PM25": (0.001, 0.0), "WSPM": (3.6, 0.0)}[name]
    part = beijing[[name]].isel(time=slice(begin - 24 * 90, begin + 24 * 20)).copy(deep=True)
    part[name].values[24 * 95:, 3] = factor * part[name].values[24 * 95:, 3] + offset
    units = [one for one in told(part, name, 24 * 90) if one[2] == "unit"]
    assert [one[1] for one in units] == [(str(part["node"].values[3]),)]
    assert 24 * 95 < units[0][0] < 24 * (95 + 9)


def test_a_clean_year_loses_no_driver_and_is_wired_as_ever(beijing: xr.Dataset) -> None:
    nodes = tuple(map(str, beijing["node"].values))
    panel = beijing.rename({"TEMP": "d.TEMP", "WSPM": "d.WSPM"})
    first = panel.isel(time=slice(0, YEAR))
    reports = ReportWatch.fit(nodes, np.timedelta64(1, "h"), np.isfinite(first["PM25"].values), 24)
    faults = DataFaults(reports, FlagTickets("d", "PM25", nodes)).watching(first)
    assert set(faults.drivers) == {"d.TEMP", "d.WSPM"}
    times, heard = beijing["time"].values, []
    for row in range(YEAR, 2 * YEAR, 24):
        heard += faults.update(times[row], panel.isel(time=slice(row - 24 * 7, row)), {})
        faults = DataFaults.restore(faults.state())
    assert heard == []


def city(days: int) -> xr.Dataset:
    """Air and a driver on two nodes, every hour known an hour later."""
    time = pd.date_range("2023-01-01", periods=24 * days, freq="h").to_numpy().astype("datetime64[ns]")
    x, wind = np.random.default_rng(3).normal(size=(2, len(time), 2))
    return xr.Dataset({"x": (("time", "node"), 10 + x, {"units": "degC", "long_name": "x"}),
                       "wind": (("time", "node"), 5 + wind, {"units": "m s-1", "long_name": "wind"})},
                      {"time": time, "node": ["a", "b"], "known_time": ("time", time + HOUR)},
                      {"domain": "d", "kind": "sensor", "step": "1h"})


def broken(fault: str) -> xr.Dataset:
    panel = city(46)
    x, wind = panel["x"].values, panel["wind"].values
    if fault == "lost":
        wind[24 * 36:] = np.nan
    if fault == "wired":
        x[24 * 34:, 1] = x[24 * 34:, 0]
    if fault == "stuck":
        x[24 * 34:24 * 36, 1] = x[24 * 34, 1]
    if fault == "fahrenheit":
        x[24 * 34:24 * 42, 1] = 1.8 * x[24 * 34:24 * 42, 1] + 32
    if fault == "stuck driver":
        wind[24 * 34:] = wind[24 * 34]
    return panel


@pytest.mark.parametrize(("fault", "says", "nodes", "since"), [
    ("lost", "The driver d.wind no longer arrives", ("a", "b"), 36),
    ("wired", "a and b now show the same numbers", ("a", "b"), 34),
    ("stuck", "b repeats one value", ("b",), 34),
    ("fahrenheit", "b reports as if in another unit", ("b",), 34),
    ("stuck driver", "The driver d.wind repeats one value", ("a", "b"), 34)])
def test_the_loop_tells_it_once_and_trains_nothing_for_it(fault: str, says: str, nodes: tuple[str, ...], since: int
                                                          ) -> None:
    panel = broken(fault)
    history = Screened(InMemoryHistory({"d": panel}), QualityControl())
    request = Request("x", np.datetime64("NaT", "ns"), 6, HOUR)
    watched = ForecastTask("d", ("a", "b"), request, 6 * HOUR, 4 * DAY, 6 * HOUR, {"d": ("wind",)})
    first = panel[["x"]].isel(time=slice(0, 24 * 30)).assign({"d.wind": panel["wind"].isel(time=slice(0, 24 * 30))})
    start = panel["time"].values[24 * 30]
    beginning = ServiceInit(SeasonalNaive(), first["time"].values, np.random.default_rng(4).normal(size=(24 * 30, 2)),
                            known=first["x"], panel=first)
    policy = Policy("test", OnEpisode(), False, PairedGate(horizon_steps=1, looks=(20, 40)))
    loop = serve(watched, policy, beginning, "base", start, false_alarms_per_month=0.1, cooldown=DAY, seed=0)
    acts, labels = [], 0
    for moment in clock(history, start, panel["time"].values[24 * 45], 6 * HOUR):
        history.advance(moment.now)
        tick = loop.tick(moment)
        acts.append(tick.act)
        labels += sum(int(score.labels[1]) for score in tick.scores)
        loop = Loop.resume(loop.state(), watched, policy, lambda version: beginning.base)  # type: ignore[arg-type]
    found = [one for one in loop.episodes_by_id.values() if says in one.alarm.what]
    assert len(found) == 1 and found[0].change_type == "health" and found[0].count == 1
    assert found[0].nodes == nodes and abs(found[0].since - panel["time"].values[24 * since]) <= 13 * HOUR
    assert not any(act is not None and act.episode == found[0].id for act in acts)
    if fault in ("stuck", "fahrenheit"):
        assert "count as missing" in found[0].alarm.meaning
        context = watched.context(moment)["x"].values
        assert np.isfinite(context[:, 0]).all()
    assert (labels < 57 * 6) == (fault in ("stuck", "fahrenheit"))


def test_flags_are_read_as_missing_only_from_when_they_were_known() -> None:
    panel = broken("stuck")
    history = Screened(InMemoryHistory({"d": panel}), QualityControl())
    watched = ForecastTask("d", ("a", "b"), Request("x", np.datetime64("NaT", "ns"), 6, HOUR), 6 * HOUR, 4 * DAY,
                           6 * HOUR)
    start, seen = panel["time"].values[24 * 30], {}
    for moment in clock(history, start, panel["time"].values[24 * 38], 6 * HOUR):
        history.advance(moment.now)
        seen[moment.now] = watched.context(moment)["x"].values
    for moment in clock(history, start, panel["time"].values[24 * 38], 6 * HOUR):  # later flags rewrite no past
        np.testing.assert_array_equal(watched.context(moment)["x"].values, seen[moment.now])
    aside = {now: int(np.isnan(values[:, 1]).sum()) for now, values in seen.items()}
    onset = panel["time"].values[24 * 34]
    assert [aside[onset + hours * HOUR] for hours in (0, 6, 12, 48, 72)] == [0, 6, 12, 48, 48]


def test_silence_counts_what_was_set_aside_as_reported() -> None:
    panel = known_after(city(10).drop_vars("known_time"), pd.Timedelta("1h"))
    times, seen = panel["time"].values, np.ones((240, 2), bool)
    reports = ReportWatch.fit(("a", "b"), np.timedelta64(1, "h"), seen[:120], 24)
    assert reports.update(times[120:], seen[120:]) == []
    lost = seen[:100].copy()
    lost[:, 1] = False
    later = times[-1] + HOUR * np.arange(1, 101)
    (ticket,) = reports.update(later, lost)
    assert (ticket.ticket, ticket.nodes, ticket.since) == ("silent", ("b",), times[-1])


def test_poison_after_t_leaves_flags_and_forecasts_up_to_t_bit_identical(
        same_trees: Callable[[object, object], None]) -> None:
    panel = broken("stuck")
    start, until = (panel["time"].values[24 * day] for day in (30, 38))
    hidden = panel["known_time"].values > until
    poison = panel.copy(deep=True)
    for name in ("x", "wind"):
        poison[name].values[hidden] = -1e6
    request = Request("x", np.datetime64("NaT", "ns"), 6, HOUR)
    watched, ran = ForecastTask("d", ("a", "b"), request, 6 * HOUR, 4 * DAY, 6 * HOUR, {"d": ("wind",)}), []
    residuals = np.random.default_rng(4).normal(size=(24 * 30, 2))
    for one in (panel, poison):
        history = Screened(InMemoryHistory({"d": one}), QualityControl())
        history.advance(start)
        past = watched.panel(Moment(start, history), panel["time"].values[0])
        beginning = ServiceInit(SeasonalNaive(), panel["time"].values[:24 * 30], residuals, known=past["x"], panel=past)
        loop = serve(watched, Policy("test", OnEpisode(), False, PairedGate(horizon_steps=1, looks=(20, 40))),
                     beginning,
                     "base", start, false_alarms_per_month=0.1, cooldown=DAY, seed=0)
        forecasts = []
        for moment in clock(history, start, until, 6 * HOUR):
            history.advance(moment.now)
            forecasts.append(loop.tick(moment).forecast)
        ran.append((loop.state(), history.control.state(), xr.concat(forecasts, "issue_time")))
    same_trees(ran[0][0], ran[1][0])
    same_trees(ran[0][1], ran[1][1])
    xr.testing.assert_identical(ran[0][2], ran[1][2])
