"""The base model of counts: quantiles against scipy, what it learns of made-up rates, how it is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import nbinom, poisson

from terracast.adapt.evaluation.scores import crps
from terracast.stfm import serialization
from terracast.stfm.forecaster import QUANTILES, Request
from terracast.stfm.poisson.forecaster import CountForecaster
from terracast.stfm.poisson.regression import quantiles
from terracast.streams.kinds.counts import as_counts, expected_of


def _panel(steps: int = 500, seed: int = 0) -> tuple[xr.Dataset, np.ndarray]:
    """Cells of many rates, a rhythm of the week, and a network that doubles half-way."""
    random = np.random.default_rng(seed)
    week = 1 + 0.6 * np.sin(2 * np.pi * np.arange(steps) / 7)
    mean = random.gamma(1, 1, 30) * week[:, None] * np.where(np.arange(steps) < steps // 2, 1, 2)[:, None]
    about = {"units": "1", "long_name": "events", "cell_methods": "time: sum"}
    return xr.Dataset({"events": (("time", "node"), random.poisson(mean).astype(float), about)},
                      {"time": pd.date_range("2020-01-01", periods=steps), "node": [f"c{one}" for one in range(30)],
                       "lat": ("node", random.uniform(50, 51, 30)), "lon": ("node", random.uniform(7, 8, 30))},
                      {"domain": "crime", "kind": "event", "step": "1D"}), mean


def test_quantiles_are_those_of_scipy() -> None:
    mean = np.array([0.01, 0.5, 3.0, 80.0])
    np.testing.assert_array_equal(quantiles(mean, np.zeros(4), QUANTILES),
                                  [poisson.ppf(QUANTILES, one) for one in mean])
    np.testing.assert_array_equal(quantiles(mean, np.full(4, 0.5), QUANTILES),
                                  [nbinom.ppf(QUANTILES, 2.0, 2.0 / (2.0 + one)) for one in mean])
    assert np.abs(expected_of(quantiles(mean[1:], np.zeros(3), QUANTILES), QUANTILES) / mean[1:] - 1).max() < 0.1
    assert as_counts(np.array([-3.0, 0.4, 2.6])).tolist() == [0, 0, 3]


def test_it_beats_the_rate_of_the_past_and_keeps_whole_numbers(tmp_path: Path) -> None:
    panel, mean = _panel()
    request = Request("events", panel.time.values[0], 7, np.timedelta64(1, "D"), QUANTILES)
    model = CountForecaster.fit(panel.isel(time=slice(0, 350)), request)
    issues = np.arange(400, 490, 3)
    made = model.forecast_many(panel, request, panel.time.values[issues])["events"].values
    labels = np.stack([panel["events"].values[one + 1:one + 8] for one in issues])
    rate = np.stack([panel["events"].values[:one + 1].mean(axis=0) * np.ones((7, 1)) for one in issues])
    plain = np.moveaxis(np.stack([poisson.ppf(level, rate) for level in QUANTILES]), 0, -1)
    truth = np.stack([np.moveaxis(np.stack([poisson.ppf(level, mean[one + 1:one + 8]) for level in QUANTILES]), 0, -1)
                      for one in issues])
    ours, naive, best = (float(crps(one, labels, QUANTILES).mean()) for one in (made, plain, truth))
    assert ours < 0.9 * naive and ours < 1.08 * best
    assert (made >= 0).all() and (made == np.rint(made)).all()
    again = serialization.load(serialization.save(model, tmp_path))
    one = request.at(panel.time.values[480])
    xr.testing.assert_identical(again.forecast(panel, one), model.forecast(panel, one))


def test_what_comes_after_the_issue_changes_nothing_and_new_nodes_are_forecast() -> None:
    panel, _ = _panel()
    request = Request("events", panel.time.values[400], 7, np.timedelta64(1, "D"), QUANTILES)
    model = CountForecaster.fit(panel.isel(time=slice(0, 350), node=slice(0, 20)), request)
    wild = panel.assign(events=panel["events"].where(panel.time <= panel.time[400], 1e6).assign_attrs(
        panel["events"].attrs))
    np.testing.assert_array_equal(model.forecast(panel, request)["events"], model.forecast(wild, request)["events"])
    assert model.forecast(panel, request).sizes["node"] == 30
    assert np.isfinite(model.continue_on(panel, request).forecast(panel, request)["events"]).all()
