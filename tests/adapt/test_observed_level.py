"""The level itself: told where a forecaster that adapts hides it, in percent, and silent where nothing changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.adapt.monitoring.channels.observed_level import (
    ObservedLevel,
    against_weeks_before,
    levels_of,
    season_of,
)
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


def rainy(days: int, seed: int) -> tuple[xr.DataArray, xr.DataArray]:
    """A street that half as many use on a wet day, and the rain; a fortnight of it from day 320 on."""
    known, draws = street(days, 1, seed), np.random.default_rng(100 + seed)
    wet = draws.random(days) < 0.35
    wet[320:334] = True
    rain = np.repeat(np.where(wet, 1.0, 0.0), 24)
    outside = xr.DataArray(rain[:, None, None], {"time": known["time"].values, "variable": ["weather.rain"],
                                                 "node": known["node"].values}, ("time", "variable", "node"))
    return known * xr.DataArray(np.where(rain > 0, 0.5, 1.0), {"time": known["time"].values}, ("time",)), outside


def level_alarms(known: xr.DataArray, outside: xr.DataArray | None, reference: int = 280) -> list[Evidence]:
    """What the level alone says: of errors there are none."""
    times = known["time"].values[24:]
    levels = levels_of(known, outside, times, HOUR, REACH)
    cut, quiet = times < FIRST + reference * DAY, np.random.default_rng(9).normal(size=(len(times), 1))
    monitor = Monitor.fit(quiet[cut], times[cut], 1.0, seed=0, nodes=["n0"], levels=levels[cut])
    told = monitor.observe(times[~cut], quiet[~cut], levels=levels[~cut])
    return [one for one in told if one.change_type == "level"]


def test_what_the_weather_explains_is_no_change_and_hides_none() -> None:
    """Chance raises an alarm a month, so that many streets are watched: a wet fortnight is told less, a fall sooner."""
    wet, late, text = np.zeros((12, 2), bool), np.full((12, 2), 60.0), ""
    for seed in range(12):
        known, outside = rainy(345, seed)
        fallen = known.copy(deep=True)
        fallen[24 * 300:] *= 0.75
        for column, seen_outside in enumerate((outside, None)):
            wet[seed, column] = any(FIRST + 320 * DAY <= one.time < FIRST + 340 * DAY
                                    for one in level_alarms(known, seen_outside))
            told = [one for one in level_alarms(fallen, seen_outside)
                    if one.time >= FIRST + 300 * DAY and one.direction == "down"]
            late[seed, column] = (told[0].time - FIRST) / DAY - 300 if told else 60.0
            text = text if column or not told else finding(told[0], Subject("Bikes", "", 1))
    assert wet[:, 0].sum() < wet[:, 1].sum()
    assert late[:, 0].mean() < late[:, 1].mean() and np.median(late[:, 0]) <= 7
    assert text.startswith("Bikes at n0 reads below what the weeks before, the weather and holidays make likely. It is")


def test_weather_that_is_not_known_is_ordinary_weather() -> None:
    known, outside = rainy(120, 1)
    levels = levels_of(known, outside, known["time"].values[24 * 60:], HOUR, REACH)
    days = levels.reshape(60, 24, 4, 1).mean(axis=1)
    level = ObservedLevel.fit(days)
    assert level.coefficients[0] < -0.1
    lost = days.copy()
    lost[:, 2:] = np.nan
    np.testing.assert_allclose(level.standardised(lost), days[:, :2])


def test_one_place_of_many_is_named() -> None:
    known = street(340, 6, 3)
    known[24 * 310:, 2] *= 0.6
    told = [one for one in found(known, 280) if one.time >= FIRST + 311 * DAY]
    assert any(one.nodes == ("n2",) and one.change_type == "level" and one.direction == "down" for one in told)


def of_levels(known: xr.DataArray) -> list[Evidence]:
    """What the level is found to do from day 313 on."""
    return [one for one in found(known, 280) if one.time >= FIRST + 313 * DAY
            and one.details.get("form") in ("weeks before", "other places")]


def test_a_place_that_falls_while_all_others_rise_is_told_beside_them() -> None:
    """What all share must not swallow what one of them does, and whoever stays where he was did nothing."""
    known = street(340, 6, 3)
    known[24 * 312:] *= 1.5
    known[24 * 312:, 2] *= 0.4
    told = of_levels(known)
    assert any(one.common and one.direction == "up" for one in told)
    own = [one for one in told if not one.common]
    assert any(one.nodes == ("n2",) and one.direction == "down" for one in own)
    most = street(340, 6, 3)
    most[24 * 312:, :4] *= 0.5
    told = of_levels(most)
    assert told and not [one for one in told if one.direction == "up" and {"n4", "n5"} & set(one.nodes)]


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
    now = level.standardised(np.array([[[3.0], [0.0]]]))
    assert level.distances(now)[0, 0] == pytest.approx(3.0 / np.std(days[:, 0] - days[:, 1]))


@pytest.mark.parametrize(("step", "reach", "season"), [
    ("1h", "64D", "7D"), ("5min", "5D", "1D"), ("1D", "146D", "7D"), ("7D", "365D", "7D"), ("31D", "700D", "31D")])
def test_seasons(step: str, reach: str, season: str) -> None:
    assert season_of(pd.Timedelta(step).to_timedelta64(), pd.Timedelta(reach).to_timedelta64()) == pd.Timedelta(season)


def test_where_nothing_is_known_nothing_is_compared_but_the_shape_stays() -> None:
    known, outside = rainy(70, 0)
    at = known["time"].values[-24:]
    levels = levels_of(known[:0], outside[:0], at, HOUR, REACH)
    assert levels.shape == (24, 4, 1) and np.isnan(levels).all()


def test_the_effect_is_that_of_the_change_and_not_of_the_weather() -> None:
    known, outside = rainy(345, 4)
    fallen = known.copy(deep=True)
    fallen[24 * 320:] *= 0.6  # and it rains from that day on for a fortnight
    told = [one for one in level_alarms(fallen, outside) if one.time < FIRST + 330 * DAY]
    assert told[-1].effect is not None and told[-1].effect.percent is not None
    assert told[-1].effect.percent[0] == pytest.approx(-40, abs=6)
    assert told[-1].effect.percent[1] < -40 < told[-1].effect.percent[2]
    assert "% lower than that" in finding(told[-1], Subject("Bikes", "", 1))


@pytest.mark.parametrize("memory", [0.0, 0.6])
def test_the_interval_of_an_effect_holds_the_change_as_often_as_it_says(memory: float) -> None:
    """Days that remember each other, a fall of 40 % ten blocks ago: is the 90 % interval one?"""
    held = 0
    for seed in range(300):
        draws = np.random.default_rng(seed)
        days = draws.normal(size=66)
        for day in range(1, 66):
            days[day] += memory * days[day - 1]
        means = np.stack([100 * np.exp(0.15 * days), np.full(66, 100.0)], axis=1)[:, :, None]
        level = ObservedLevel.fit(means[:56])
        means[56:, 0] *= 0.6
        seen = level.standardised(means)
        effect = level.effect(seen[:, :, 0], level.distances(seen)[:, 0], 10)
        assert effect is not None and effect.percent is not None
        held += effect.percent[1] <= -40 <= effect.percent[2]
    print(f"memory {memory}: held in {held / 300:.1%}")
    assert held / 300 >= 0.82


def test_a_place_that_does_not_follow_is_told_by_how_far_it_lags() -> None:
    """All rise by 40 %, and weeks later one place falls to 60 %: its size is that beside the others, not beside its
    own weeks, by which it hardly moved."""
    known = street(345, 6, 5)
    known[24 * 295:] *= 1.4
    known[24 * 312:, 4] *= 0.6
    own = [one for one in of_levels(known) if not one.common and one.nodes == ("n4",)]
    assert own and {one.direction for one in own} == {"down"}
    assert min(one.time for one in own) <= FIRST + 315 * DAY
    percent = [one.effect.percent[0] for one in own if one.effect is not None and one.effect.percent is not None]
    assert percent and -46 < np.median(percent) < -34
    assert finding(own[-1], Subject("Bikes", "", 6)).startswith(
        "Bikes at n4 reads below what the weeks before and the other places make likely. It is ")
