"""The native model: learns, never peeks, never answers NaN, continues without harm."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from terracast.stfm.forecaster import ForecastError, Request, Trainable
from terracast.stfm.mlp.forecaster import NativeModel

pytestmark = pytest.mark.integration

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2021-01-01", "ns")
BEIJING = Path(__file__).parents[2].parent / "shared" / "data" / "beijing_air_quality" / "beijing_air_quality.nc"
LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def city(rows: int = 1500, nodes: int = 4, seed: int = 0, period: int = 24) -> xr.Dataset:
    """A daily wave, pushed by a wind three hours earlier, with noise; nodes of very different size."""
    chance = np.random.default_rng(seed)
    wind = chance.normal(size=(rows, 1)).repeat(nodes, axis=1)
    wave = np.sin(2 * np.pi * np.arange(rows) / period)[:, None]
    values = 10 + 2 * wave + 1.5 * np.roll(wind, 3, axis=0) + 0.3 * chance.normal(size=(rows, nodes))
    values = values * np.array([1.0, 3.0, 10.0, 100.0] * nodes)[:nodes]
    dims = ("time", "node")
    return xr.Dataset({"x": (dims, values), "wind": (dims, wind, {"role": "past_driver", "lag": 3})},
                      {"time": START + np.arange(rows) * HOUR, "node": [f"n{i}" for i in range(nodes)]},
                      {"domain": "d", "kind": "sensor", "step": "1h"})


def request_at(row: int, horizon: int = 6, quantiles: tuple[float, ...] = LEVELS) -> Request:
    return Request("x", START + row * HOUR, horizon, HOUR, quantiles)


@pytest.fixture(scope="module")
def panel() -> xr.Dataset:
    return city()


@pytest.fixture(scope="module")
def plain(panel: xr.Dataset) -> NativeModel:
    torch.set_num_threads(1)
    return NativeModel.fit(panel.isel(time=slice(0, 1200)), request_at(0), steps=250, seed=1, lookback=48)


@pytest.fixture(scope="module")
def driven(panel: xr.Dataset) -> NativeModel:
    torch.set_num_threads(1)
    return NativeModel.fit(panel.isel(time=slice(0, 1200)), request_at(0), drivers=("wind",), steps=250, seed=1,
                           lookback=48)


def errors(model: NativeModel, panel: xr.Dataset, rows: np.ndarray) -> np.ndarray:
    """Absolute errors of the median in units of the node, (issue, lead, node)."""
    median = model.forecast_many(panel, request_at(0, quantiles=(0.5,)), START + rows * HOUR).x.values[..., 0]
    truth = panel.x.values[rows[:, None] + np.arange(1, 7)]
    return np.abs(median - truth) / panel.x.values.std(axis=0)


def test_learns_the_wave_and_the_wind(plain: NativeModel, driven: NativeModel, panel: xr.Dataset) -> None:
    rows = np.arange(1205, 1490)
    without, with_wind = errors(plain, panel, rows), errors(driven, panel, rows)
    ahead = rows[:, None] + np.arange(1, 7)
    naive = np.abs(panel.x.values[ahead - 24] - panel.x.values[ahead])
    assert without.mean() < 0.85 * (naive / panel.x.values.std(axis=0)).mean()
    assert with_wind[:, 0].mean() < 0.75 * without[:, 0].mean()  # the wind of two hours ago tells lead 1
    assert (with_wind.mean(axis=(0, 1)) < 0.75).all()  # small and large nodes alike


def test_is_what_the_contract_says(plain: NativeModel, panel: xr.Dataset) -> None:
    assert isinstance(plain, Trainable)
    assert plain.parameters < 500_000
    forecast = plain.forecast(panel, request_at(1300, 4))
    assert dict(forecast.sizes) == {"issue_time": 1, "lead": 4, "node": 4, "quantile": 5}
    assert (np.diff(forecast.x.values, axis=3) >= 0).all()
    between = plain.forecast(panel, request_at(1300, 4, (0.1, 0.3, 0.5))).x.values
    np.testing.assert_array_equal(between[..., [0, 2]], forecast.x.values[..., [0, 2]])


def test_intervals_cover_roughly_what_they_say(driven: NativeModel, panel: xr.Dataset) -> None:
    rows = np.arange(1205, 1490)
    values = driven.forecast_many(panel, request_at(0), START + rows * HOUR).x.values
    truth = panel.x.values[rows[:, None] + np.arange(1, 7)]
    assert 0.65 < ((truth >= values[..., 0]) & (truth <= values[..., -1])).mean() < 0.95


def test_poisoned_future_changes_nothing(driven: NativeModel, panel: xr.Dataset) -> None:
    poisoned, request = panel.copy(deep=True), request_at(1300)
    for name in ("x", "wind"):
        poisoned[name].values[1300:] = 1e9  # known an hour later than the issue time, and all after it
    cut = panel.isel(time=slice(0, 1300))
    expected = driven.forecast(cut, request).x.values
    np.testing.assert_array_equal(driven.forecast(poisoned, request).x.values, expected)
    many = driven.forecast_many(poisoned, request, np.array([request.issue_time])).x.values
    np.testing.assert_allclose(many, expected, rtol=1e-5)


def test_training_does_not_see_what_is_hidden_from_a_window(panel: xr.Dataset) -> None:
    """White noise cannot be forecast; a window that saw its targets or late values would do better than its median."""
    noise = city(1500, 4)
    noise["x"].values[:] = np.random.default_rng(5).normal(size=(1500, 4))
    delay = pd.Timedelta("3h")
    noise["x"].values[1:] = noise["x"].values[1:] * 0.1 + noise["x"].values[:-1]  # only the last hour tells the next
    model = NativeModel.fit(noise.isel(time=slice(0, 1200)), request_at(0), steps=150, seed=0, delay=delay, lookback=24)
    rows = np.arange(1205, 1490)
    assert 0.75 < errors(model, noise, rows)[:, 0].mean() < 1.0  # mean |N(0, 1)| = 0.80


def test_future_drivers_are_read_and_may_be_missing() -> None:
    panel = city()
    panel["wind"].attrs["role"] = "future_driver"
    model = NativeModel.fit(panel.isel(time=slice(0, 1200)), request_at(0), drivers=("wind",), steps=250, seed=1,
                            lookback=24)
    rows = np.arange(1205, 1490)
    known, unknown = errors(model, panel, rows), errors(model, panel.drop_vars("wind"), rows)
    assert known[:, 5].mean() < 0.8 * unknown[:, 5].mean()  # the wind of lead 3 tells lead 6
    cut = panel.isel(time=slice(0, 1300))
    assert np.isfinite(model.forecast(cut, request_at(1299)).x.values).all()


def test_missing_drivers_are_tolerated(driven: NativeModel, panel: xr.Dataset) -> None:
    request, blank = request_at(1300), panel.copy(deep=True)
    blank["wind"].values[:] = np.nan
    without = driven.forecast(panel.drop_vars("wind"), request)
    np.testing.assert_array_equal(without.x.values, driven.forecast(blank, request).x.values)
    assert not np.array_equal(without.x.values, driven.forecast(panel, request).x.values)


def test_silent_node_gets_a_wider_forecast(plain: NativeModel, panel: xr.Dataset) -> None:
    silent = panel.copy(deep=True)
    silent["x"].values[:, 1] = np.nan
    seen, dark = (plain.forecast(p, request_at(1300)).x.values[0, :, 1] for p in (panel, silent))
    assert (dark[:, -1] > dark[:, 0]).all() and np.isfinite(dark).all()
    everything = panel.copy(deep=True)
    everything["x"].values[:] = np.nan
    climate = plain.forecast(everything, request_at(1300)).x.values[0, :, 1]
    assert (climate[:, -1] - climate[:, 0]).mean() > 0.9 * (seen[:, -1] - seen[:, 0]).mean()


def test_unseen_nodes_are_measured_on_their_context(plain: NativeModel, panel: xr.Dataset) -> None:
    renamed = panel.assign_coords(node=["p", "q", "r", "s"])
    known, new = (plain.forecast(p, request_at(1300)).x.values[0, ..., 2] for p in (panel, renamed))
    np.testing.assert_allclose(new / known, 1.0, atol=0.1)
    one = renamed.isel(node=[2], time=[1299])  # a single value of a single unseen node
    assert np.isfinite(plain.forecast(one, request_at(1300)).x.values).all()
    stranger = renamed.copy(deep=True)
    stranger["x"].values[:, 3] = np.nan  # unseen and silent: like any node of the network
    width = np.ptp(plain.forecast(stranger, request_at(1300)).x.values[0, 0, 3])
    assert width > np.ptp(plain.forecast(stranger, request_at(1300)).x.values[0, 0, 0])
    stranger["x"].values[:] = np.nan
    with pytest.raises(ForecastError, match="no node of the context is known"):
        plain.forecast(stranger, request_at(1300))


def test_constant_node_short_history_odd_axes(plain: NativeModel, panel: xr.Dataset) -> None:
    stuck = panel.copy(deep=True)
    stuck["x"].values[:, 0] = 4.0
    stuck = stuck.assign_coords(node=["new", "n1", "n2", "n3"])
    values = plain.forecast(stuck, request_at(1300)).x.values[0, :, 0]
    assert np.isfinite(values).all() and np.abs(values - 4.0).max() < 100
    for part in (panel.isel(time=[1299]), panel.isel(time=slice(1290, 1300)), panel.isel(time=slice(0, 3))):
        assert np.isfinite(plain.forecast(part, request_at(1300)).x.values).all()
    expected = plain.forecast(panel, request_at(1300)).x.values
    shuffled = panel.isel(time=np.random.default_rng(0).permutation(panel.sizes["time"]))
    np.testing.assert_array_equal(plain.forecast(shuffled, request_at(1300)).x.values, expected)
    lost = panel.assign_coords(lat=("node", [np.nan] * 4), lon=("node", [np.nan] * 4))
    np.testing.assert_array_equal(plain.forecast(lost, request_at(1300)).x.values, expected)
    turned = panel.transpose("node", "time")
    np.testing.assert_array_equal(plain.forecast(turned, request_at(1300)).x.values, expected)


def test_fitting_odd_panels() -> None:
    odd = city(200, 3)
    odd["x"].values[:, 0] = np.nan
    odd["x"].values[:, 1] = 5.0
    model = NativeModel.fit(odd.isel(time=slice(None, None, -1)), request_at(0), steps=5, seed=0)
    assert np.isfinite(model.forecast(odd, request_at(150)).x.values).all()
    for broken in (odd.isel(time=[0]), odd.isel(node=[0]), odd.isel(time=slice(0, 0))):
        with pytest.raises(ForecastError) as error:
            NativeModel.fit(broken, request_at(0), steps=5, seed=0)
        assert "\n" not in str(error.value)


def test_what_cannot_be_forecast_is_said_in_one_line(plain: NativeModel, panel: xr.Dataset) -> None:
    day = np.timedelta64(1, "D")
    wrong = (request_at(1300, 7), Request("wind", START, 3, HOUR, LEVELS), Request("x", START, 3, day, LEVELS),
             request_at(1300, 3, (0.01, 0.5)), request_at(1300, 3, (0.5, 0.1)))
    for request in wrong:
        with pytest.raises(ForecastError) as error:
            plain.forecast(panel, request)
        assert "\n" not in str(error.value)
    with pytest.raises(ForecastError, match="no variable 'rain'"):
        NativeModel.fit(panel, request_at(0), drivers=("rain",), steps=1, seed=0)


def test_fit_is_deterministic_and_leaves_global_state_alone(panel: xr.Dataset) -> None:
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    twice = [NativeModel.fit(panel, request_at(0), steps=8, seed=7).weights() for _ in range(2)]
    assert all(np.array_equal(twice[0][name], twice[1][name]) for name in twice[0])
    other = NativeModel.fit(panel, request_at(0), steps=8, seed=8).weights()
    assert not all(np.array_equal(twice[0][name], other[name]) for name in other)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_continuing_follows_a_change_and_leaves_self_alone(plain: NativeModel, panel: xr.Dataset) -> None:
    changed = city(1500, 4, seed=9, period=8)  # three shifts a day
    before = plain.weights()
    copies = [plain.continue_on(changed.isel(time=slice(0, 1100)), request_at(0), steps=120, seed=2, rate=2e-3)
              for _ in range(2)]
    assert all(np.array_equal(copies[0].weights()[name], copies[1].weights()[name]) for name in before)
    assert all(np.array_equal(before[name], plain.weights()[name]) for name in before)
    rows = np.arange(1105, 1490)
    assert errors(copies[0], changed, rows).mean() < 0.97 * errors(plain, changed, rows).mean()


def test_continuing_never_harms_on_what_is_held_out(plain: NativeModel, panel: xr.Dataset) -> None:
    """The old part is noise, the held-out part is as before: the copy must stay as it was."""
    noisy = panel.copy(deep=True)
    noisy["x"].values[:1100] = np.random.default_rng(0).normal(10, 8, size=(1100, 4))
    copy = plain.continue_on(noisy, request_at(0), steps=60, seed=0, rate=2e-2)
    rows = np.arange(1260, 1490)
    assert errors(copy, noisy, rows).mean() <= 1.01 * errors(plain, noisy, rows).mean()


def test_new_nodes_join_by_continuing(plain: NativeModel) -> None:
    more = city(600, 6)
    copy = plain.continue_on(more, request_at(0), steps=2, seed=0)
    assert "n5" in copy.config()["scales"]["by_node"]  # type: ignore[index]


@pytest.fixture(scope="module")
def beijing() -> xr.Dataset:
    if not BEIJING.exists():
        pytest.skip("needs ../shared/data/beijing_air_quality/beijing_air_quality.nc")
    with xr.open_dataset(BEIJING) as held:
        return held[["PM25", "WSPM"]].load().assign_attrs(domain="air", kind="sensor", step="1h")


def test_beats_seasonal_naive_on_beijing(beijing: xr.Dataset) -> None:
    """Fitted briefly on the first year, frozen, 24 h ahead every 30 h of the next three years."""
    request = Request("PM25", np.datetime64("2014-03-01"), 24, HOUR, (0.1, 0.5, 0.9))
    model = NativeModel.fit(beijing.sel(time=slice("2014-02-28T23")), request, steps=300, seed=0)
    rows = np.arange(8800, 35030, 30)
    truth = beijing.PM25.values[rows[:, None] + np.arange(1, 25)]
    forecast = model.forecast_many(beijing, request, beijing.time.values[rows]).PM25.values
    filled = pd.DataFrame(beijing.PM25.values).ffill().to_numpy()  # kinder to the naive rule than its own fallback
    naive = filled[rows[:, None] + np.where(np.arange(1, 25) < 24, np.arange(1, 25) - 24, -24)]
    assert np.nanmean(np.abs(forecast[..., 1] - truth)) < 0.75 * np.nanmean(np.abs(naive - truth))
    inside = (truth >= forecast[..., 0]) & (truth <= forecast[..., 2])
    assert 0.68 < inside[np.isfinite(truth)].mean() < 0.9


def test_twelve_stations_take_a_few_milliseconds(beijing: xr.Dataset) -> None:
    request = Request("PM25", np.datetime64("2013-06-01"), 24, HOUR)
    model = NativeModel.fit(beijing.isel(time=slice(0, 1000)), request, drivers=("WSPM",), steps=1, seed=0)
    context, spent = beijing.isel(time=slice(1900, 2208)), []
    for _ in range(30):
        begin = time.perf_counter()
        model.forecast(context, request)
        spent.append(time.perf_counter() - begin)
    assert min(spent) < 0.02  # the best of thirty is below 5 ms on an idle core
