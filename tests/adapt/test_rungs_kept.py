"""Every rung's forecaster on the shelf: there and back to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.adapt.rungs import serialization as kept
from terracast.adapt.rungs.adapter_rung import AdapterRung
from terracast.adapt.rungs.adapter_training import AdapterEffort
from terracast.adapt.rungs.cavia import Directions
from terracast.adapt.rungs.cavia_rung import ContextRung
from terracast.adapt.rungs.correction import Corrected, Correction
from terracast.adapt.rungs.fine_tune import FineTune
from terracast.adapt.rungs.output_rls import RecursiveCorrection
from terracast.adapt.rungs.rung import Adapted, Receipt, Rung
from terracast.adapt.rungs.wrappers import LayerError, bare
from terracast.stfm import serialization as shelf
from terracast.stfm.base.model import Base
from terracast.stfm.base.network import BaseNetwork, Size
from terracast.stfm.forecaster import Forecaster, Request
from terracast.stfm.mlp.forecaster import NativeModel
from terracast.stfm.seasonal_naive import SeasonalNaive

HOUR = np.timedelta64(1, "h").astype("timedelta64[ns]")


def panel(days: int = 12, seed: int = 0) -> xr.Dataset:
    draws = np.random.default_rng(seed)
    stamps = pd.date_range("2024-01-01", periods=24 * days, freq="h")
    wave = np.sin(np.arange(len(stamps)) * 2 * np.pi / 24)[:, None] * [1.0, 2.0]
    return xr.Dataset({"pm25": (("time", "node"), 10 + wave + 0.3 * draws.normal(size=wave.shape), {"units": "1"})},
                      {"time": stamps, "node": ["a", "b"]}, {"domain": "air", "kind": "sensor", "step": "1h"})


def request(known: xr.Dataset) -> Request:
    return Request("pm25", known["time"].values[-1], 6, HOUR)


@pytest.fixture(scope="module")
def bases() -> dict[str, Forecaster]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = BaseNetwork(Size(width=16, layers=1, heads=2, inducing=2)).eval()
    native = NativeModel.fit(panel(), request(panel()), steps=2, seed=1, lookback=24)
    return {"naive": SeasonalNaive(), "native": native, "base": Base(network)}


def _batches(seed: int) -> Correction:
    made = RecursiveCorrection(6, 2, HOUR)
    draws = np.random.default_rng(seed)
    for number in range(4):
        labels = np.where(draws.random((6, 2)) < 0.3, np.nan, draws.normal(size=(6, 2)))
        made.learn(draws.normal(size=(6, 2)), draws.uniform(0.5, 2, (6, 2)), labels,
                   np.datetime64("2024-01-05", "ns") + number * HOUR)
    return made


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(["naive", "native", "base"]))
def test_wrapped_forecasters_come_back_to_the_bit(
        bases: dict[str, Forecaster], tmp_path_factory: pytest.TempPathFactory, seed: int, base: str) -> None:
    corrected = Corrected(bases[base], _batches(seed))
    again = kept.load(shelf.save(corrected, tmp_path_factory.mktemp("kept")))
    known = panel(seed=seed % 7)
    assert again.forecast(known, request(known)).identical(corrected.forecast(known, request(known)))
    assert isinstance(again, Corrected) and type(bare(again)) is type(bases[base])
    labels = np.random.default_rng(seed).normal(size=(6, 2))  # and goes on learning to the bit
    said = corrected.base.forecast(known, request(known))["pm25"].values[0].astype("float64")
    for one in (corrected, again):
        one.learn(said, labels, known["time"].values[-1], request(known).quantiles)
    assert again.forecast(known, request(known)).identical(corrected.forecast(known, request(known)))


def _kept(rung: Rung, before: Forecaster, after: Forecaster, known: xr.Dataset, request: Request,
          **rest: object) -> Adapted:
    receipt = Receipt(rung.name, rung.paper, True, "a test", 1, 0, np.nan, np.nan, request.issue_time, None)
    return Adapted(after, receipt, before)


@pytest.mark.parametrize(("module", "rung"), [
    ("adapter_rung", AdapterRung(AdapterEffort(1e-3), steps=3)),
    ("cavia_rung", ContextRung(Directions.random(16, seed=0))),
    ("adapter_rung", AdapterRung(AdapterEffort(1e-3, heads=False), steps=1, masked=0.0)),
    ("fine_tune", FineTune(window=None, steps=3, judges=True))],
                         ids=["adapter", "context", "adapter-whole", "continue"])
def test_changed_bases_come_back_to_the_bit(bases: dict[str, Forecaster], tmp_path: Path, rung: Rung, module: str,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"terracast.adapt.rungs.{module}.judged", _kept)
    known = panel()
    adapted = rung.adapt(bases["base"], known, request(known))
    assert adapted.kept and adapted.forecaster is not bases["base"]
    again = kept.load(shelf.save(adapted.forecaster, tmp_path))  # type: ignore[arg-type]
    assert again.forecast(known, request(known)).identical(adapted.forecaster.forecast(known, request(known)))


def test_what_cannot_be_kept_is_said_in_one_line(tmp_path: Path) -> None:
    class Bare:
        capabilities = SeasonalNaive().capabilities

        def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
            return SeasonalNaive().forecast(context, request)

    with pytest.raises(LayerError, match="Bare cannot be kept"):
        shelf.save(Corrected(Bare(), RecursiveCorrection(6, 2, HOUR)), tmp_path)
