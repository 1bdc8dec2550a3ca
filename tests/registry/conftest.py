"""One migrated MLflow database for the whole room (its making costs seconds), copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from terracast.registry.versions import Registry
from terracast.stfm.forecaster import Request
from terracast.stfm.mlp.forecaster import NativeModel

torch.set_num_threads(1)
STEP = np.timedelta64(1, "h")


@pytest.fixture(scope="session")
def panel() -> xr.Dataset:
    time = pd.date_range("2024-01-01", periods=300, freq="h")
    wave = 20 + 5 * np.sin(np.arange(300) * 2 * np.pi / 24)[:, None] + np.arange(4)
    noise = np.random.default_rng(3).normal(size=(300, 4))
    return xr.Dataset({"pm25": (("time", "node"), wave + noise, {"units": "ug m-3", "long_name": "PM2.5"})},
                      {"time": time, "node": list("abcd"), "lat": ("node", [50.0, 50.1, 50.2, 50.3]),
                       "lon": ("node", [8.0, 8.1, 8.2, 8.3])},
                      {"domain": "air", "kind": "sensor", "step": "1h"})


@pytest.fixture(scope="session")
def asked(panel: xr.Dataset) -> Request:
    return Request("pm25", panel["time"].to_numpy()[-1], 6, STEP)


@pytest.fixture(scope="session")
def model(panel: xr.Dataset, asked: Request) -> NativeModel:
    return NativeModel.fit(panel, asked, steps=2, seed=1, lookback=24)


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blank")
    with Registry(folder / "mlflow.db", name="blank").lock():  # MLflow makes its file with the first thing written
        pass
    return folder / "mlflow.db"


@pytest.fixture
def opened(blank: Path, tmp_path: Path) -> Callable[..., Registry]:
    """Open the registry of this test, again and again if wanted: nothing lives in the object."""

    def open_registry(kind: type[Registry] = Registry) -> Registry:
        if not (tmp_path / "mlflow.db").exists():
            shutil.copy(blank, tmp_path / "mlflow.db")
        return kind(tmp_path / "mlflow.db", name="air-pm25")

    return open_registry


@pytest.fixture
def registry(opened: Callable[..., Registry]) -> Registry:
    return opened()
