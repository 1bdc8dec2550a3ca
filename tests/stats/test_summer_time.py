"""Clocks that are changed: when, by how much, and who follows them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from terracast.stats.summer_time import clock_changes, follows_clocks, summer_time
from tests.stats.clock_worlds import by_clock, by_sun, hours

ZONES = ("Europe/Berlin", "America/Chicago", "Australia/Sydney", "America/Sao_Paulo", "Asia/Shanghai", "Europe/Dublin")


@pytest.mark.parametrize("zone", ZONES)
def test_it_is_what_the_zone_says_beyond_its_least_offset(zone: str) -> None:
    stamps = pd.date_range("2016-01-01", "2018-12-31", freq="7h", tz="UTC")
    offsets = np.array([(one.astimezone(ZoneInfo(zone)).utcoffset() or pd.Timedelta(0)).total_seconds()
                        for one in stamps.to_pydatetime()])
    ahead = summer_time(stamps.tz_localize(None).values, zone) / np.timedelta64(1, "s")
    np.testing.assert_array_equal(ahead, offsets - offsets.min())


@pytest.mark.parametrize("zone", ZONES)
def test_changes_lie_where_the_offset_changes(zone: str) -> None:
    every = hours("2016-01-01", 3 * 365)
    ahead = summer_time(every, zone)
    np.testing.assert_array_equal(clock_changes(every[0], every[-1], zone),
                                  every[1:][np.diff(ahead) != np.timedelta64(0, "h")])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Chicago", "Australia/Sydney"])
@pytest.mark.parametrize("seed", range(5))
def test_who_follows(zone: str, seed: int) -> None:
    """A rhythm of people and one of the sun, both noisy and with gaps; over one change and over several."""
    draws = np.random.default_rng(seed)
    for days in (120, 500):
        times = hours("2024-02-01", days)
        noise = draws.normal(0, 0.5, (len(times), 2))
        noise[draws.random(noise.shape) < 0.05] = np.nan
        noise = np.column_stack([noise, np.full(len(times), np.nan)])  # a dead sensor
        assert follows_clocks(times, by_clock(times, zone)[:, None] + noise, zone) is True
        assert follows_clocks(times, by_sun(times)[:, None] + noise, zone) is False


def test_nothing_is_known_where_no_change_has_been() -> None:
    times = hours("2024-05-01", 100)
    assert follows_clocks(times, by_sun(times)[:, None], "Europe/Berlin") is None
    assert follows_clocks(times[:1], np.zeros((1, 1)), "Europe/Berlin") is None
    days = np.datetime64("2020-01-01", "ns") + np.arange(900) * np.timedelta64(1, "D")
    assert follows_clocks(days, np.zeros((900, 1)), "Europe/Berlin") is None
    assert follows_clocks(hours("2024-02-01", 120), np.full((2880, 1), np.nan), "Europe/Berlin") is None
