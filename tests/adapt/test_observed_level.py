"""The level itself: told where a forecaster that adapts hides it, in percent, and silent where nothing changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.adapt.monitoring.channels.observed_level import ObservedLevel, against_weeks_before, season_of
from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.adapt.monitoring.episodes.alarm_text import Subject, finding
from terracast.adapt.monitoring.monitor import Monitor

HOUR, DAY, REACH = np.timedelta64(1, "h"), np.timedelta64(1, "D"), np.timedelta64(64, "D")
FIRST = np.datetime64("2021-01-04", "ns")


def street(days: int, nodes: int, seed: int, factor: float = 1.0, since: int = 0) -> xr.DataArray:
    """Counts an hour with rush hours and weekends, busy and quiet days; ``factor`` times as many from a day on."""
    draws, hours = np.random.default_rng(seed), np.arange(24 * days)
    week = np.where(hours // 24 % 7 < 5, 1.0, 0.6) * (1.2 + np.sin((hours % 24 - 8) * np.pi / 12))
    days_ = np.zeros(days)
    for day in range(1, days):
        days_[day] = 0.5 * days_[day - 1] + 0.12 * draws.normal()
    noise = 0.1 * draws.normal(size=(24 * days, nodes))
    values = 200 * week[:, None] * np.exp(np.repeat(days_, 24)[:, None] + noise)
    values[24 * since:] *= factor if since else 1.0
    return xr.DataArray(values, {"time": FIRST + hours * HOUR, "node": [f"n{one}" for one in range(nodes)]},
                        ("time", "node"))


def seen(known: xr.DataArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stamps, residuals of a forecaster that follows within a day, and the level beside the weeks before."""
    values, times = known.values, known["time"].values
    level = np.array([values[max(0, at - 24):at].mean(axis=0) for at in range(24, len(values), 24)])
    week = np.full_like(values, np.nan)
    week[24 * 7:] = values[:-24 * 7]
    followed = np.repeat(level, 24, axis=0)[:len(values) - 24]
    old = np.repeat(np.array([week[at - 24:at].mean(axis=0) for at in range(24, len(values), 24)]), 24, axis=0)
    residuals = np.log(values[24:] / (week[24:] * followed / old))
    return times[24:], residuals / 0.15, against_weeks_before(known, times, HOUR, REACH)[24:]


def found(known: xr.DataArray, reference: int) -> list[Evidence]:
    times, residuals, levels = seen(known)
    cut = times < FIRST + reference * DAY
    monitor = Monitor.fit(residuals[cut], times[cut], 1.0, seed=0, nodes=[*map(str, known["node"].values)],
                          levels=levels[cut])
    return [*monitor.observe(times[~cut], residuals[~cut], levels=levels[~cut])]


def test_a_fall_that_the_forecaster_follows_is_told_within_days_and_as_a_fall() -> None:
    delays = []
    for seed in range(6):
        known, onset = street(340, 1, seed, 0.6, 310), FIRST + 310 * DAY
        told = [one for one in found(known, 280) if one.time >= onset and one.change_type == "level"]
        assert told and told[0].direction == "down"
        delays.append((told[0].time - onset) / DAY)
    assert np.median(delays) <= 4 and max(delays) <= 10, delays


def test_one_place_of_many_is_named() -> None:
    known = street(340, 6, 3)
    known[24 * 310:, 2] *= 0.6
    told = [one for one in found(known, 280) if one.time >= FIRST + 311 * DAY]
    assert any(one.nodes == ("n2",) and one.change_type == "level" and one.direction == "down" for one in told)


@pytest.mark.slow
def test_the_promise_holds_with_the_level_watched() -> None:
    alarms = months = 0.0
    for seed in range(10, 26):
        times = np.array([one.time for one in found(street(900, 1 + seed % 3, seed), 365)])
        alarms += 1 + (np.diff(times) > 7 * DAY).sum() if len(times) else 0
        months += (900 - 365) / 30.44
    assert alarms <= 1.2 * months, (alarms, months)


def test_what_is_said_is_about_the_weeks_before() -> None:
    at = np.datetime64("2024-06-20", "ns")
    clue = Evidence(at, at, ("a",), "level", "down", 2.0, details={"form": "weeks before"})
    assert finding(clue, Subject("Bikes", "", 3)) == "Bikes at a reads below what the weeks before had."


def test_nothing_later_is_read_and_gaps_stay_gaps() -> None:
    known = street(70, 2, 0)
    at = known["time"].values[24 * 60:24 * 61]
    poisoned = known.copy(deep=True)
    poisoned[24 * 61:] = 1e9
    np.testing.assert_array_equal(*(against_weeks_before(one, at, HOUR, REACH) for one in (known, poisoned)))
    holes = known.copy(deep=True)
    holes[:24 * 50, 1] = np.nan
    level = against_weeks_before(holes, at, HOUR, REACH)
    assert np.isfinite(level[:, :, 0]).all() and np.isnan(level[:, 1, 1]).all(), "one week says nothing yet"


def test_values_below_zero_are_compared_by_their_difference() -> None:
    days = np.random.default_rng(0).normal(size=(60, 2, 1))
    level = ObservedLevel.fit(days)
    assert not level.relative
    now = np.array([[[3.0], [0.0]]])
    assert level.distances(now)[0, 0] == pytest.approx(3.0 / np.std(days[:, 0] - days[:, 1]))


@pytest.mark.parametrize(("step", "reach", "season"), [
    ("1h", "64D", "7D"), ("5min", "5D", "1D"), ("1D", "146D", "7D"), ("7D", "365D", "7D"), ("31D", "700D", "31D")])
def test_seasons(step: str, reach: str, season: str) -> None:
    assert season_of(pd.Timedelta(step).to_timedelta64(), pd.Timedelta(reach).to_timedelta64()) == pd.Timedelta(season)
