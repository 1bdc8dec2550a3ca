"""The plain rule of a replay: the season that served each node best up to the start, the usual one beside it."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.adapt.initialise import ServiceInit
from terracast.adapt.task import ForecastTask
from terracast.benchmarks.loop import LoopBench
from terracast.stfm.forecaster import Request
from terracast.stfm.seasonal_naive import SeasonalNaive

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")


def _bench(known: xr.DataArray | None) -> LoopBench:
    start = np.datetime64("2024-02-12", "ns")
    watched = ForecastTask("city", ("road", "tide"), Request("x", start, 24, HOUR), 6 * HOUR, 4 * DAY, DAY)
    times = pd.date_range("2024-01-01", start, freq="h").to_numpy()
    beginning = ServiceInit(SeasonalNaive(), times, np.zeros((len(times), 2)), known=known)
    return LoopBench(None, watched, beginning, lambda: None, start, start + 9 * DAY, 1.0, DAY, 0)


def test_the_better_season_is_the_row_and_the_usual_one_stands_beside_it() -> None:
    times = pd.date_range("2024-01-01", "2024-02-12", freq="h")
    noise = np.random.default_rng(0).normal(size=(len(times), 2))
    busy = np.where(times.day_of_week < 5, 10.0, 1.0)
    known = xr.DataArray(np.stack([busy, np.sin(times.hour / 24 * 2 * np.pi)], axis=1) + 0.01 * noise,
                         {"time": times, "node": ["road", "tide"]}, ("time", "node"))
    bench = _bench(known)
    assert list(bench.baselines) == ["seasonal-naive", "last-value", "seasonal-naive-day"]
    assert bench.baselines["seasonal-naive"].by_node["road"] == pd.Timedelta("7D")
    assert bench._seen_by("seasonal-naive").history >= 21 * DAY
    assert bench._seen_by("last-value").history == 4 * DAY
    assert "by a week" in bench.protocol()["seasons"]


@pytest.mark.parametrize("known", [None])
def test_without_a_past_the_usual_season_is_the_row(known: None) -> None:
    assert list(_bench(known).baselines) == ["seasonal-naive", "last-value"]
