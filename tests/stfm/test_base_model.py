"""The base model in service: honest answers to bad input, the shelf, continuing, and pre-training that resumes."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from terracast.stfm.base.model import Base
from terracast.stfm.base.network import Size
from terracast.stfm.base.pretraining import Plan, pretrain
from terracast.stfm.forecaster import ForecastError, Request
from terracast.stfm.serialization import load, save
from tests.stfm.base_panels import HOUR, panel

pytestmark = pytest.mark.integration

SMALL = Plan(steps=6, worlds=3, fresh=2, nodes=4, length=700, size=Size(width=32, layers=2, heads=2, inducing=4))


def request(given_panel: xr.Dataset, horizon: int = 24, row: int = -1) -> Request:
    return Request("flow", given_panel["time"].values[row], horizon, HOUR)


def test_forecast_many_is_forecast_at_each_time():
    base, given_panel = Base.shipped(), panel(steps=900)
    issues = given_panel["time"].values[[500, 800]]
    many = base.forecast_many(given_panel, request(given_panel), issues)
    for place, issue in enumerate(issues):
        one = base.forecast(given_panel, request(given_panel).at(issue))
        np.testing.assert_allclose(many["flow"].values[place], one["flow"].values[0], rtol=1e-3, atol=1e-3)
        assert (one["valid_time"].values == many["valid_time"].values[place]).all()


def test_what_comes_after_the_issue_time_is_not_read():
    base, clean = Base.shipped(), panel(steps=700)
    poisoned = clean.copy(deep=True)
    poisoned["flow"][601:] = 1e9
    poisoned["rain"][601:] = np.inf
    asked = request(clean, row=600)
    xr.testing.assert_identical(base.forecast(clean, asked), base.forecast(poisoned, asked))
    moved = clean.copy(deep=True)
    moved["plan"][601:] += 3.0  # but a future driver is
    assert not base.forecast(clean, asked).identical(base.forecast(moved, asked))


@pytest.mark.parametrize("spoil", ["silent node", "constant", "one step", "unknown places", "unsorted",
                                   "outlier", "absurd", "gap"])
def test_bad_input_gives_finite_forecasts_of_some_width(spoil):
    given_panel = panel(steps=300).drop_vars(["rain", "plan"])
    asked = request(given_panel)
    if spoil == "silent node":
        given_panel["flow"][:, 1] = np.nan
    elif spoil == "constant":
        given_panel["flow"][:] = 7.0
    elif spoil == "one step":
        given_panel = given_panel.isel(time=[-1])
    elif spoil == "unknown places":
        given_panel = given_panel.assign_coords(lat=("node", np.full(5, np.nan)))
    elif spoil == "unsorted":
        given_panel = given_panel.isel(time=np.random.default_rng(0).permutation(300))
    elif spoil == "outlier":
        given_panel["flow"][250, 2] = 1e12
    elif spoil == "absurd":
        given_panel["flow"][250, 2], given_panel["flow"][251, 2] = 1e30, 9e14
    elif spoil == "gap":
        given_panel["flow"][100:295] = np.nan
    told = Base.shipped().forecast(given_panel, asked)["flow"]
    assert np.isfinite(told).all()
    width = told.sel(quantile=0.95) - told.sel(quantile=0.05)
    assert (width > 0).all()
    if spoil == "silent node":  # it may be like any other node: wider than any
        assert float(width[0, :, 1].mean()) > float(width[0].mean("lead").drop_sel(node="n1").max())


def test_what_cannot_be_forecast_is_said():
    base, given_panel = Base.shipped(), panel(steps=100)
    with pytest.raises(ForecastError, match="no variable 'speed'"):
        base.forecast(given_panel, replace(request(given_panel), target="speed"))
    with pytest.raises(ForecastError, match="horizon is 5000"):
        base.forecast(given_panel, request(given_panel, 5000))
    with pytest.raises(ForecastError, match="quantiles are"):
        base.forecast(given_panel, replace(request(given_panel), quantiles=(0.001, 0.5)))
    with pytest.raises(ForecastError, match="no node of the context is known"):
        base.forecast(given_panel.where(False).assign_attrs(given_panel.attrs), request(given_panel))
    with pytest.raises(ForecastError, match="empty"):
        base.forecast(given_panel.isel(time=slice(0)), request(given_panel))


def test_horizons_beyond_training_and_other_quantiles():
    given_panel = panel(steps=300)
    told = Base.shipped().forecast(given_panel, replace(request(given_panel, 400), quantiles=(0.07, 0.5)))["flow"]
    assert told.shape == (1, 400, 5, 2) and np.isfinite(told).all()


def test_events_are_forecast_as_counts():
    chance = np.random.default_rng(0)
    given_panel = panel(steps=400).drop_vars(["rain", "plan"])
    given_panel["flow"][:] = chance.poisson(0.7, (400, 5))
    told = Base.shipped().forecast(given_panel.assign_attrs(kind="event"), request(given_panel))["flow"]
    assert (told.values == told.values.round()).all() and (told >= 0).all()
    assert 0 <= float(told.sel(quantile=0.5).mean()) <= 1.5


def test_the_shelf_gives_back_the_same_forecasts(tmp_path):
    base, given_panel = Base.shipped(), panel(steps=300)
    again = load(save(base, tmp_path))
    xr.testing.assert_identical(base.forecast(given_panel, request(given_panel)),
                                again.forecast(given_panel, request(given_panel)))


@pytest.mark.parametrize("whole", [False, True])
def test_continuing_helps_where_there_is_something_to_learn_and_says_what_it_did(whole):
    stamps = pd.date_range("2021-01-01", periods=1500, freq="h")
    chance = np.random.default_rng(0)
    pulse = (np.arange(1500) % 37 < 3) * 5.0  # a season that is in no calendar
    given_panel = xr.Dataset({"flow": (("time", "node"), pulse[:, None] + chance.normal(size=(1500, 4)) * 0.1)},
                             {"time": stamps, "node": list("abcd")}, {"domain": "x", "kind": "sensor", "step": "1h"})
    base = Base.shipped()
    before = base.weights()
    taught = base.continue_on(given_panel, request(given_panel), steps=10 if whole else 300, whole=whole)
    story = taught.lineage["continued"][-1]
    assert story["steps"] > 0 and story["loss_after"] < story["loss_before"] * (0.999 if whole else 0.97)
    for name, value in base.weights().items():
        np.testing.assert_array_equal(value, before[name])
    with pytest.raises(ForecastError, match="no window to train on"):
        base.continue_on(given_panel.where(False).assign_attrs(given_panel.attrs), request(given_panel), steps=2)


def test_similar_nodes_have_similar_embeddings():
    given_panel = panel(steps=600, nodes=6).drop_vars(["rain", "plan"])
    given_panel["flow"][:, 5] = given_panel["flow"][:, 0]
    told = Base.shipped().embed(given_panel, given_panel["time"].values[-1])
    distance = np.linalg.norm(told - told[0], axis=1)
    assert told.shape[0] == 6 and distance[1:5].min() > distance[5]


def test_pretraining_resumes_as_if_nothing_had_happened(tmp_path):
    whole = pretrain(SMALL, tmp_path / "whole", workers=0, every=2)

    class KilledError(Exception):
        pass

    def kill(progress):
        if progress.step == 5:
            raise KilledError

    with pytest.raises(KilledError):
        pretrain(SMALL, tmp_path / "cut", kill, workers=0, every=2)
    again = pretrain(SMALL, tmp_path / "cut", workers=0, every=2)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)
    with pytest.raises(ForecastError, match="another plan"):
        pretrain(replace(SMALL, seed=5), tmp_path / "cut", workers=0)


@pytest.mark.slow
def test_a_killed_pretraining_process_resumes(tmp_path):
    code = ("import sys; from pathlib import Path; from terracast.stfm.base.pretraining import Plan, pretrain;"
            "pretrain(Plan.from_json(sys.argv[2]), Path(sys.argv[1]), workers=0, every=2)")
    plan = replace(SMALL, steps=40)
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "cut"), plan.to_json()],
                             cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 120
    while not (tmp_path / "cut" / "checkpoint.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.05)  # waits for what it needs, not for luck
    child.send_signal(signal.SIGKILL)
    child.wait()
    again, whole = pretrain(plan, tmp_path / "cut", workers=0), pretrain(plan, tmp_path / "whole", workers=0)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=1e-3, atol=1e-3)
