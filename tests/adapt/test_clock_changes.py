"""The days after a change of clocks: what people do is forecast as well as on other days, by base and experts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.adapt.clock import Moment, clock
from terracast.adapt.correction.experts.streaming import StreamingExperts
from terracast.adapt.initialise import begin, serve
from terracast.adapt.promotion.policy import policies
from terracast.adapt.task import ForecastTask
from terracast.stfm.base.model import Base
from terracast.stfm.forecaster import Request
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.stfm.wall_clock import forecast_by_clock
from terracast.streams.bitemporal import InMemoryHistory, known_after
from tests.stats.clock_worlds import by_clock, by_sun, hours

ZONE, STEP = "Europe/Berlin", np.timedelta64(1, "h")
SPRING, AUTUMN = np.datetime64("2024-03-31T01", "ns"), np.datetime64("2024-10-27T01", "ns")
UNITS = {"units": "kW", "long_name": "load"}
WEEK = 7 * 24  # hours
CHANGES = pytest.mark.parametrize("change", [SPRING, AUTUMN])


def panel(change: np.datetime64, values: np.ndarray | None = None) -> xr.Dataset:
    """Ninety days before a change and ten after, on two nodes."""
    times = hours(str((change - np.timedelta64(90, "D")).astype("datetime64[D]")), 100)
    one = by_clock(times, ZONE) if values is None else values
    noise = np.random.default_rng(0).normal(0, 0.2, (len(times), 2))
    return xr.Dataset({"load": (("time", "node"), one[:, None] * [1.0, 2.0] + noise, UNITS)},
                      {"time": times, "node": ["a", "b"]}, {"domain": "power", "kind": "sensor", "step": "1h"})


def base_error(whole: xr.Dataset, at: np.datetime64, zone: str | None) -> float:
    request = Request("load", at, 24, STEP, clock_zone=zone)
    forecast = forecast_by_clock(Base.shipped(), whole.sel(time=slice(None, at)), request)
    truth = whole["load"].sel(time=request.valid_times).values
    return float(np.abs(forecast["load"].sel(quantile=0.5)[0].values - truth).mean())


def experts_error(whole: xr.Dataset, at: np.datetime64, zone: str | None) -> float:
    """Mean error of all experts that learn, fed across the change step by step."""
    begin = Request("load", at - np.timedelta64(60, "h"), 24, STEP, clock_zone=zone)
    stream = StreamingExperts.begin(whole["load"].sel(time=slice(None, begin.issue_time)), begin)
    for issue in np.arange(begin.issue_time, at + STEP, 6 * STEP):
        stream.catch_up(whole["load"].sel(time=slice(issue - np.timedelta64(2, "D"), issue)), issue, None)
    request = begin.at(at)
    points = stream.experts.points(stream.rows_ahead(request))[:stream.experts.learned]
    return float(np.abs(points - whole["load"].sel(time=request.valid_times).values).mean())


@CHANGES
@pytest.mark.parametrize("error", [base_error, experts_error])
def test_days_after_a_change_are_like_others(change: np.datetime64, error: Callable[..., float]) -> None:
    whole = panel(change)
    by_clocks, by_sun_alone = ([error(whole, change + np.timedelta64(after, "h"), zone) for after in (27 - WEEK, 27)]
                               for zone in (ZONE, None))
    assert by_clocks[0] == pytest.approx(by_sun_alone[0], rel=0.02), "nothing differs before"
    assert by_clocks[1] < 0.65 * by_sun_alone[1]
    assert by_clocks[1] < 1.5 * by_clocks[0], "the same days of a week"


@CHANGES
def test_the_day_of_the_change_is_read_by_the_clock_ahead(change: np.datetime64) -> None:
    """Issued before the change, for hours on both sides of it."""
    whole, at = panel(change), change - np.timedelta64(6, "h")
    assert base_error(whole, at, ZONE) < 0.6 * base_error(whole, at, None)
    assert experts_error(whole, at, ZONE) < 0.7 * experts_error(whole, at, None)


@CHANGES
def test_nothing_later_than_the_issue_is_read(change: np.datetime64) -> None:
    whole = panel(change)
    for after in (-1, 1):
        at = change + np.timedelta64(after, "h")
        request, poisoned = Request("load", at, 24, STEP, clock_zone=ZONE), whole.copy(deep=True)
        poisoned["load"][whole["time"].values > at] = 1e9
        clean, other = (forecast_by_clock(Base.shipped(), one, request)["load"] for one in (whole, poisoned))
        assert clean.identical(other)
        streams = [StreamingExperts.begin(one["load"], request) for one in (whole, poisoned)]
        rows = streams[0].rows_ahead(request)
        np.testing.assert_array_equal(*(one.experts.points(rows) for one in streams))


@pytest.mark.parametrize("minutes", [15, 60])
@CHANGES
def test_every_step_around_a_change_is_taken(change: np.datetime64, minutes: int) -> None:
    """Clocks that go back show the same quarters of an hour again: rows are counted once, and no step is refused."""
    step = np.timedelta64(minutes, "m")
    times = change - np.timedelta64(20, "D") + np.arange(21 * 1440 // minutes) * step
    known = xr.DataArray(by_clock(times, ZONE)[:, None], dims=("time", "node"), coords={"time": times, "node": ["a"]})
    request = Request("load", change - np.timedelta64(3, "h"), 8, step, clock_zone=ZONE)
    stream = StreamingExperts.begin(known.sel(time=slice(None, request.issue_time)), request)
    for issue in np.arange(request.issue_time, change + np.timedelta64(4, "h"), step):
        stream.catch_up(known.sel(time=slice(issue - np.timedelta64(1, "D"), issue)), issue, None)
        points = stream.experts.points(stream.rows_ahead(request.at(issue)))
        assert np.isfinite(points).all()
    assert (np.diff(stream.rows_ahead(request.at(issue))) == 1).all()


@pytest.mark.integration
def test_a_wrong_guess_ends_six_days_after_the_first_change() -> None:
    """Of a stream of the sun that begins in summer nothing says that it knows no clocks."""
    change, whole = AUTUMN, panel(AUTUMN, by_sun(hours("2024-07-29", 100)))
    history, cadence = InMemoryHistory({"power": known_after(whole, pd.Timedelta(0))}), 12 * STEP
    plain = ForecastTask("power", ("a", "b"), Request("load", np.datetime64("NaT", "ns"), 12, STEP), cadence,
                         np.timedelta64(14, "D"), np.timedelta64(1, "D"))
    at = change - np.timedelta64(25, "h")
    task = plain.with_clocks(Moment(at, history), ZONE)
    beginning = begin(task, Moment(at, history), lambda panel, seed: SeasonalNaive(), seed=0, zero_shot=True)
    policy = next(one for one in policies(cadence, 12 * STEP) if one.name == "mixture")
    loop = serve(task, policy, beginning, "base", at, false_alarms_per_month=1.0,
                 cooldown=np.timedelta64(14, "D"), seed=0)
    zones = {}
    for moment in clock(history, at, change + np.timedelta64(8, "D"), cadence):
        loop.tick(moment)
        zones[moment.now] = (loop.watched.clock_zone, loop.champion.request.clock_zone, loop.deployment.stream.zone)
    assert {one for at, one in zones.items() if at < change + np.timedelta64(6, "D")} == {(ZONE, ZONE, ZONE)}
    assert {one for at, one in zones.items() if at > change + np.timedelta64(7, "D")} == {(None, None, None)}


def test_a_task_finds_out_whether_its_target_follows() -> None:
    whole = panel(AUTUMN)
    for values, follows in ((None, True), (by_sun(whole["time"].values), False)):
        now = whole["time"].values[-1]
        history = InMemoryHistory({"power": known_after(panel(AUTUMN, values), pd.Timedelta(0))})
        task = ForecastTask("power", ("a", "b"), Request("load", np.datetime64("NaT", "ns"), 24, STEP),
                            np.timedelta64(6, "h"), np.timedelta64(14, "D"), np.timedelta64(1, "D"))
        found = task.with_clocks(Moment(now, history), ZONE)
        assert (found.clock_zone == ZONE, found.request.clock_zone == ZONE) == (follows, follows)
        before = task.with_clocks(Moment(AUTUMN - np.timedelta64(2, "D"), history), ZONE)  # nothing shows it yet
        assert before.clock_zone == ZONE
        weather = replace(task, request=replace(task.request, target="wind_speed"))
        assert weather.on_clocks_of(None).clock_zone is None
