"""The shelf: to the bit there and back; damage told in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from terracast.stfm import serialization as shelf
from terracast.stfm.forecaster import ForecastError, Request
from terracast.stfm.mlp.forecaster import NativeModel
from terracast.stfm.saved_folder import CONFIG, WEIGHTS
from terracast.stfm.seasonal_naive import SeasonalNaive

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2021-01-01", "ns")


@pytest.fixture(scope="module")
def panel() -> xr.Dataset:
    values = np.random.default_rng(0).gamma(2.0, 20.0, size=(300, 3))
    dims = ("time", "node")
    return xr.Dataset({"x": (dims, values), "wind": (dims, values[::-1])},
                      {"time": START + np.arange(300) * HOUR, "node": ["a", "b", "ü"]},
                      {"domain": "d", "kind": "sensor", "step": "1h"})


@pytest.fixture(scope="module")
def request_() -> Request:
    return Request("x", START + 299 * HOUR, 5, HOUR)


@pytest.fixture(scope="module")
def model(panel: xr.Dataset, request_: Request) -> NativeModel:
    return NativeModel.fit(panel, request_, drivers=("wind",), steps=5, seed=3, lookback=24)


def test_native_forecasts_the_same_to_the_bit(model: NativeModel, panel: xr.Dataset, request_: Request,
                                              tmp_path: Path) -> None:
    again = shelf.load(shelf.save(model, tmp_path / "deep" / "m"))
    assert sorted(path.name for path in (tmp_path / "deep" / "m").iterdir()) == ["config.json", "weights.safetensors"]
    assert again.forecast(panel, request_).identical(model.forecast(panel, request_))
    unseen = panel.assign_coords(node=["p", "q", "r"])
    assert again.forecast(unseen, request_).identical(model.forecast(unseen, request_))
    assert isinstance(again, NativeModel) and again.fitted.design == model.fitted.design
    rebuilt = shelf.build(json.loads(json.dumps(model.config())), model.weights())
    assert rebuilt.forecast(panel, request_).identical(model.forecast(panel, request_))


def test_saving_over_an_older_model(model: NativeModel, tmp_path: Path) -> None:
    shelf.save(SeasonalNaive(), tmp_path)
    shelf.save(model, tmp_path)
    assert isinstance(shelf.load(tmp_path), NativeModel)


def test_seasonal_naive_is_kept_too(tmp_path: Path) -> None:
    assert shelf.load(shelf.save(SeasonalNaive(), tmp_path)) == SeasonalNaive()


@pytest.mark.parametrize("damage", ["weights cut", "weights swapped", "config cut", "config list", "no config",
                                    "unknown name", "shape"])
def test_damage_is_told_in_one_line(model: NativeModel, tmp_path: Path, damage: str) -> None:
    folder = shelf.save(model, tmp_path)
    config, weights = folder / CONFIG, folder / WEIGHTS
    if damage == "weights cut":
        weights.write_bytes(weights.read_bytes()[:-10])
    elif damage == "weights swapped":
        shelf.save(SeasonalNaive(), tmp_path / "other")
        weights.write_bytes((tmp_path / "other" / WEIGHTS).read_bytes())
    elif damage == "config cut":
        config.write_text(config.read_text()[:50])
    elif damage == "config list":
        config.write_text("[1, 2]")
    elif damage == "no config":
        config.unlink()
    elif damage == "unknown name":
        config.write_text(config.read_text().replace('"native"', '"oracle"'))
    else:
        config.write_text(config.read_text().replace('"width": 64', '"width": 32'))
    with pytest.raises(ForecastError) as error:
        shelf.load(folder)
    assert "\n" not in str(error.value)
