"""Seasonal naive against a plain loop, closed forms and a poisoned future."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import example, given, settings
from hypothesis import strategies as st

from terracast.stfm.forecaster import Forecaster, ForecastError, Request
from terracast.stfm.seasonal_naive import SeasonalNaive

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2021-01-01", "ns")


def panel_of(values: np.ndarray) -> xr.Dataset:
    rows, nodes = values.shape
    return xr.Dataset({"x": (("time", "node"), values.astype("float64"), {"units": "1", "long_name": "x"})},
                      {"time": START + np.arange(rows) * HOUR, "node": [f"n{i}" for i in range(nodes)]},
                      {"domain": "d", "kind": "sensor", "step": "1h"})


def request_at(row: int, horizon: int = 24, quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)) -> Request:
    return Request("x", START + row * HOUR, horizon, HOUR, quantiles)


def by_hand(values: np.ndarray, issue_row: int, horizon: int, season: int = 24) -> np.ndarray:
    """Last known value a whole number of seasons before each valid time, one cell at a time."""
    out = np.full((horizon, values.shape[1]), np.nan)
    for lead in range(1, horizon + 1):
        for node in range(values.shape[1]):
            row = issue_row + lead - season
            while row >= 0:
                if row <= issue_row and np.isfinite(values[row, node]):
                    out[lead - 1, node] = values[row, node]
                    break
                row -= season
    return out


@settings(max_examples=25, deadline=None)
@example(245, 0.59375, 1, 307)  # an hour of which nothing is known
@given(st.integers(0, 10**6), st.floats(0.0, 0.6), st.integers(1, 60), st.integers(300, 399))
def test_median_is_the_plain_rule(seed: int, gaps: float, horizon: int, issue_row: int) -> None:
    chance = np.random.default_rng(seed)
    values = chance.normal(size=(400, 3))
    values[chance.random(values.shape) < gaps] = np.nan
    got = SeasonalNaive().forecast(panel_of(values), request_at(issue_row, horizon)).x.values[0, :, :, 1]
    expected = by_hand(values, issue_row, horizon).astype("float32")
    ruled = np.isfinite(expected)  # where that hour never had a value the node's median stands in
    np.testing.assert_allclose(got[ruled], expected[ruled])
    assert np.isfinite(got).all()


def test_widths_are_the_centred_errors_of_the_rule() -> None:
    values = np.random.default_rng(1).normal(size=(500, 1))
    got = SeasonalNaive().forecast(panel_of(values), request_at(499, 1)).x.values[0, 0, 0]
    errors = values[24:] - values[:-24]
    expected = values[476, 0] + np.quantile(errors, [0.1, 0.5, 0.9]) - np.median(errors)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_intervals_cover_what_they_say() -> None:
    values = 10 * np.sin(np.arange(4000) / 24 * 2 * np.pi)[:, None] + np.random.default_rng(2).normal(size=(4000, 2))
    panel, inside = panel_of(values), []
    for row in range(700, 3900, 37):
        forecast = SeasonalNaive().forecast(panel.isel(time=slice(row - 690, row + 1)), request_at(row)).x.values[0]
        truth = values[row + 1:row + 25]
        inside.append((truth >= forecast[..., 0]) & (truth <= forecast[..., 2]))
    assert 0.76 < np.mean(inside) < 0.84


def test_nothing_after_the_issue_time_is_read() -> None:
    values = np.random.default_rng(3).normal(size=(400, 2))
    clean, poisoned = panel_of(values), panel_of(values)
    poisoned["x"].values[301:] = 1e9
    request = request_at(300, 48)
    assert SeasonalNaive().forecast(clean, request).identical(SeasonalNaive().forecast(poisoned, request))
    short = SeasonalNaive().forecast(clean.isel(time=slice(0, 301)), request)
    np.testing.assert_array_equal(short.x.values, SeasonalNaive().forecast(poisoned, request).x.values)


def test_constant_series_has_no_width() -> None:
    got = SeasonalNaive().forecast(panel_of(np.full((100, 1), 7.0)), request_at(99)).x.values
    assert (got == 7.0).all()


def test_node_without_history_gets_the_network_and_its_width() -> None:
    values = np.random.default_rng(4).normal(5, 2, size=(300, 3))
    values[:, 1] = np.nan
    got = SeasonalNaive().forecast(panel_of(values), request_at(299)).x.values[0, :, 1]
    known = values[:, [0, 2]]
    np.testing.assert_allclose(got[0], np.quantile(known, [0.1, 0.5, 0.9]), rtol=1e-5)


def test_too_little_history_raises_in_one_line() -> None:
    for values in (np.full((50, 2), np.nan), np.array([[3.0]])):
        with pytest.raises(ForecastError) as error:
            SeasonalNaive().forecast(panel_of(values), request_at(len(values) - 1))
        assert "\n" not in str(error.value) and "x" in str(error.value)


def test_two_seasons_of_history_have_honest_width() -> None:
    values = np.random.default_rng(5).normal(size=(30, 1))  # six errors only: Student-t
    got = SeasonalNaive().forecast(panel_of(values), request_at(29, 3)).x.values[0]
    size = np.sqrt(np.mean((values[24:] - values[:-24]) ** 2))
    assert ((got[..., 2] - got[..., 0]) / 2 > 1.2816 * size).all()


def test_one_known_node_far_from_the_issue_time_and_unsorted_time() -> None:
    values = np.random.default_rng(6).normal(size=(200, 2))
    values[100:, 0] = np.nan
    panel = panel_of(values)
    shuffled = panel.isel(time=np.random.default_rng(7).permutation(200))
    a, b = (SeasonalNaive().forecast(p, request_at(210)).x.values for p in (panel, shuffled))
    np.testing.assert_array_equal(a, b)
    assert np.isfinite(a).all()


def test_season_may_be_given_and_is_chosen_from_the_step() -> None:
    assert SeasonalNaive(pd.Timedelta("7D")).period(HOUR) == 168
    assert [SeasonalNaive().period(np.timedelta64(d, "D")) for d in (1, 7)] == [7, 52]
    assert isinstance(SeasonalNaive(), Forecaster)


def test_missing_variable_and_falling_quantiles_are_refused() -> None:
    panel = panel_of(np.random.default_rng(8).normal(size=(100, 1)))
    with pytest.raises(ForecastError, match="no variable 'y'"):
        SeasonalNaive().forecast(panel, Request("y", START, 1, HOUR))
    with pytest.raises(ForecastError, match="rising"):
        SeasonalNaive().forecast(panel, request_at(99, quantiles=(0.9, 0.5)))
