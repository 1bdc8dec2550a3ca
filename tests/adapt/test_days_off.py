"""Holidays: whose they are, when they are left out, and what that is worth."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import xarray as xr

from terracast.adapt.clock import Moment, clock
from terracast.adapt.days_off import DaysOff, unlike_others
from terracast.adapt.initialise import begin, serve
from terracast.adapt.loop import Loop
from terracast.adapt.monitoring.monitor import Monitor
from terracast.adapt.observation import PendingEvidence, leads_due, take_due
from terracast.adapt.promotion.policy import Never, Policy
from terracast.adapt.task import ForecastTask
from terracast.stats.holidays import COUNTRIES, are_off, days_off
from terracast.stfm.forecaster import Request
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.bitemporal import InMemoryHistory

HOUR = np.timedelta64(1, "h").astype("timedelta64[ns]")
DAY, FIRST = 24 * HOUR, np.datetime64("2022-01-01", "ns")
GERMAN = DaysOff("DE", "Europe/Berlin")
TASK = ForecastTask("bikes", ("a", "b"), Request("count", np.datetime64("NaT", "ns"), 12, HOUR), 6 * HOUR, 57 * DAY,
                    12 * HOUR, holidays=(GERMAN,))
POLICY = Policy("frozen", Never(), False, None, False)


@pytest.mark.parametrize(("country", "day", "off"), [
    ("US", "2024-11-28", True), ("US", "2024-11-29", True), ("US", "2024-11-27", False),  # Thanksgiving and its Friday
    ("DE", "2024-05-30", False), ("DE-NW", "2024-05-30", True), ("DE-NW", "2024-05-31", True),  # Corpus Christi
    ("DE", "2024-12-27", True), ("GB", "2024-08-26", False), ("GB-ENG", "2024-08-26", True),
    ("CN", "2024-12-27", False), ("CN", "2024-02-10", True)])
def test_days_off(country: str, day: str, off: bool) -> None:
    assert (date.fromisoformat(day) in days_off(country, int(day[:4]))) == off
    assert are_off(np.array([day], "datetime64[D]"), country).tolist() == [off]


def test_a_day_off_is_a_day_of_its_place() -> None:
    told = ["2024-07-04T04:00", "2024-07-04T05:00", "2024-07-05T04:00", "2024-07-06T05:00"]
    stamps = np.array(told, "datetime64[ns]")
    assert DaysOff("US", "America/Chicago").cover(stamps).tolist() == [False, True, True, False]
    with pytest.raises(KeyError):
        DaysOff("Atlantis").cover(stamps)


def counts(seed: int, days: int, off: float, shift: tuple[int, float] = (10**6, 1.0)) -> xr.DataArray:
    """Hourly counts of two nodes with a daily cycle and good and bad days, ``off`` times as many on German days off,
    and from one day on times a factor."""
    draws, stamps = np.random.default_rng(seed), FIRST + np.arange(24 * days) * HOUR
    daily = 100 + 60 * np.sin(np.arange(24 * days) * 2 * np.pi / 24)[:, None]
    level = np.repeat(np.exp(draws.normal(0, 0.08, days)), 24) * np.where(GERMAN.cover(stamps), off, 1.0)
    level[24 * shift[0]:] *= shift[1]
    values = draws.poisson(daily * level[:, None] * np.ones((1, 2))).astype(float)
    return xr.DataArray(values, {"time": stamps, "node": ["a", "b"]}, ("time", "node"))


def test_the_past_says_whether_they_are_unlike_other_days() -> None:
    every = [DaysOff(country) for country in COUNTRIES]
    for candidates in ([GERMAN], every):
        alike = [unlike_others(candidates, counts(seed, 400, 1.0), HOUR, TASK.history) for seed in range(25)]
        assert alike.count(None) >= 24
        for seed, off in ((0, 0.5), (1, 1.5)):
            found = unlike_others(candidates, counts(seed, 400, off), HOUR, TASK.history)
            assert found is not None and found.country == "DE"
        assert unlike_others(candidates, counts(0, 400, 0.5)[:0], HOUR, TASK.history) is None
        assert unlike_others(candidates, counts(0, 30, 0.5), HOUR, TASK.history) is None, "too little is known"


def history_of(values: xr.DataArray) -> InMemoryHistory:
    known = np.repeat(values["time"].values[:, None], 2, axis=1)
    panel = xr.Dataset({"count": (("time", "node"), values.values, {"units": "1", "long_name": "bikes"})},
                       {"known_time": (("time", "node"), known), "time": values["time"].values, "node": ["a", "b"]},
                       {"domain": "bikes", "kind": "sensor", "step": "1h"})
    return InMemoryHistory({"bikes": panel})


def begun(history: InMemoryHistory, at: np.datetime64, task: ForecastTask) -> Loop:
    beginning = begin(task, Moment(at, history), lambda panel, seed: SeasonalNaive(), seed=0, zero_shot=True)
    return serve(task, POLICY, beginning, "base", at, false_alarms_per_month=1.0, cooldown=7 * DAY, seed=0)


@pytest.mark.integration
def test_a_fall_is_told_sooner_and_christmas_is_no_news() -> None:
    at, fall = FIRST + 400 * DAY, 430
    history, delays = history_of(counts(1, 470, 0.45, (fall, 0.7))), []
    for task in (TASK, TASK.with_days_off(Moment(at, history))):
        assert (task.days_off is not None) == (task is not TASK)
        loop = begun(history, at, task)
        assert isinstance(loop.monitor, Monitor)
        told = [(moment.now, one) for moment in clock(history, at, FIRST + 460 * DAY, task.cadence)
                for one in loop.tick(moment).episodes if one.change_type != "health"]
        assert not [one for now, one in told if now <= FIRST + fall * DAY]
        delays.append(min(((now - FIRST) / DAY - fall for now, one in told), default=60.0))
    assert delays[1] < delays[0] and delays[1] <= 2, delays
    start, end, news = FIRST + 340 * DAY, np.datetime64("2023-01-03"), []
    for task in (TASK, TASK.with_days_off(Moment(start, history))):
        loop = begun(history, start, task)
        news.append([one for moment in clock(history, start, end, task.cadence) for one in loop.tick(moment).episodes
                     if one.change_type != "health"])
    assert news[0] and not news[1]
    again = Loop.resume(loop.state(), TASK, POLICY, lambda version: SeasonalNaive())
    assert again.watched == TASK


def test_evidence_waits_for_late_labels_alone() -> None:
    values = counts(2, 3, 1.0)
    one = PendingEvidence(FIRST + 36 * HOUR, np.zeros((6, 2, 3)), None, None)
    assert leads_due(one, FIRST + 42 * HOUR, values[:43], TASK) == 6, "all that it waits for is known"
    assert leads_due(one, FIRST + 42 * HOUR, values[:42], TASK) == 5, "a day ends before its last forecast does"
    late = values.copy()
    late[40, 1] = np.nan
    assert leads_due(one, FIRST + 42 * HOUR, late[:43], TASK) == 3
    assert leads_due(one, FIRST + 48 * HOUR, late[:49], TASK) == 6, "a cadence later it is waited for no longer"
    late[:, 1] = np.nan
    assert leads_due(one, FIRST + 42 * HOUR, late[:43], TASK) == 6, "a dead sensor holds up nobody"


def test_what_is_known_is_judged_once_and_in_order() -> None:
    values = counts(2, 3, 1.0)
    first, second = (PendingEvidence(FIRST + at * HOUR, np.zeros((6, 2, 3)), None, None) for at in (36, 42))
    due, left = take_due([first, second], FIRST + 42 * HOUR, values[:42], TASK)
    assert [(one.issue_time, until) for one, until in due] == [(first.issue_time, 5)]
    assert [(one.issue_time, one.shown) for one in left] == [(first.issue_time, 5), (second.issue_time, 0)]
    due, left = take_due(left, FIRST + 48 * HOUR, values[:49], TASK)
    assert [(one.shown, until) for one, until in due] == [(5, 6), (0, 6)] and not left
    gone = values.copy()
    gone[38, 0] = np.nan  # set aside after it was judged
    again, left = take_due([replace(first, shown=5)], FIRST + 42 * HOUR, gone[:42], TASK)
    assert not again and left[0].shown == 5
