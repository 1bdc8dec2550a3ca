"""Rungs as a ladder in service needs them: memory of regimes, fitting anew, and acting beneath what is wrapped."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.adapt.clock import Moment
from terracast.adapt.promotion.catalog import steps_of
from terracast.adapt.promotion.executor import Executor
from terracast.adapt.promotion.ladder import LadderError
from terracast.adapt.promotion.policy import AdaptationRequest
from terracast.adapt.promotion.version_history import VersionHistory
from terracast.adapt.rungs.correction import Corrected
from terracast.adapt.rungs.custom import CustomRungError
from terracast.adapt.rungs.fine_tune import FineTune
from terracast.adapt.rungs.output_rls import recursive_rung
from terracast.adapt.rungs.recall import Recall
from terracast.adapt.rungs.refit import Refit
from terracast.adapt.rungs.regime_memory import RegimeMemory, Units, signature
from terracast.adapt.rungs.rung import Rung, RungError, attempt
from terracast.adapt.rungs.under_correction import UnderCorrection
from terracast.adapt.rungs.wrappers import bare
from terracast.adapt.task import ForecastTask
from terracast.stfm.forecaster import Capabilities, Forecaster, Request, as_forecast
from terracast.stfm.mlp.forecaster import NativeModel
from terracast.streams.bitemporal import InMemoryHistory
from terracast.streams.plugins import PluginError

HOUR, DAY = np.timedelta64(1, "h").astype("timedelta64[ns]"), np.timedelta64(1, "D")


class Flat:
    """Forecasts a fixed level."""

    def __init__(self, level: float) -> None:
        self.level = level

    capabilities = Capabilities(history=48)

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        around = self.level + np.linspace(-1.5, 1.5, len(request.quantiles))
        return as_forecast(np.broadcast_to(around, (request.horizon, context.sizes["node"], len(around))), context,
                           request)


def panel(days: int = 30, level: float = 10.0, seed: int = 0) -> xr.Dataset:
    draws = np.random.default_rng(seed)
    stamps = pd.date_range("2024-01-01", periods=24 * days, freq="h")
    wave = np.sin(np.arange(len(stamps)) * 2 * np.pi / 24)[:, None]
    values = level + wave + 0.3 * draws.normal(size=(len(stamps), 2))
    return xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"})},
                      {"time": stamps.to_numpy().astype("datetime64[ns]"), "node": ["a", "b"]},
                      {"domain": "d", "kind": "sensor", "step": "1h"})


def request(known: xr.Dataset) -> Request:
    return Request("x", known["time"].values[-1], 6, HOUR)


def _memory(known: xr.Dataset) -> RegimeMemory:
    units = Units.of(panel(), "x")
    sign = signature(known, request(known), units)
    regimes = RegimeMemory(base="1", units=units)
    for version, where in (("2", sign + 0.1), ("3", sign + 0.2), ("4", sign + 9)):
        regimes.remember(version, where, known["time"].values[0])
    return regimes


def test_the_version_of_a_regime_that_returns_serves_again() -> None:
    known, models = panel(level=14.0), {"1": Flat(10.0), "2": Flat(12.0), "3": Flat(14.0), "4": Flat(14.1)}
    recalled = Recall(_memory(known), models.__getitem__, serving="1")
    adapted = attempt(recalled, Flat(10.0), known, request(known))
    assert adapted.kept and adapted.forecaster is models["3"] and recalled.chosen == "3"  # 4 was of another regime
    served = attempt(Recall(_memory(known), models.__getitem__, serving="3"), models["3"], known, request(known))
    assert not served.kept and served.forecaster is models["3"]
    back = panel(level=10.0)
    base = Recall(_memory(panel(level=30.0)), models.__getitem__, serving="3")
    assert attempt(base, models["3"], back, request(back)).kept and base.chosen == "1"  # the base is always there
    nothing = attempt(Recall(RegimeMemory(base="1"), models.__getitem__, serving="1"), models["1"], back, request(back))
    assert not nothing.kept and "nothing is remembered" in nothing.receipt.why


def test_anew_is_judged_on_what_it_was_not_fitted_on() -> None:
    known, seen = panel(level=14.0), []

    def fit(part: xr.Dataset, seed: int) -> Forecaster:
        seen.append(part["time"].values[-1])
        return Flat(float(part["x"].mean()))

    adapted = attempt(Refit(fit, 365 * DAY), Flat(10.0), known, request(known))
    assert adapted.kept and len(seen) == 2
    assert seen[0] < known["time"].values[-1] - 2 * DAY and seen[1] == known["time"].values[-1]
    assert not attempt(Refit(fit, 365 * DAY), Flat(14.0), known, request(known)).kept and len(seen) == 3


def test_wrappings_are_renewed_and_never_pile_up() -> None:
    known = panel(level=11.0)
    rungs: dict[str, Rung] = {"output-recursive": recursive_rung()}
    first = attempt(rungs["output-recursive"], Flat(10.0), known, request(known)).forecaster
    moved = panel(level=12.5, seed=1)
    again = attempt(UnderCorrection(rungs["output-recursive"], rungs), first, moved, request(moved))
    assert again.kept and isinstance(again.forecaster, Corrected) and isinstance(again.forecaster.base, Flat)
    assert again.receipt.loss_after < 0.5 * again.receipt.loss_before and again.undo is first
    untrained = attempt(UnderCorrection(FineTune(), rungs), first, known, request(known))
    assert not untrained.kept and untrained.forecaster is first and "cannot be trained" in untrained.receipt.why


def test_a_model_beneath_a_correction_is_trained_and_corrected_anew() -> None:
    known = panel(days=20)
    model = NativeModel.fit(known, request(known), steps=2, seed=1, lookback=24)
    rungs: dict[str, Rung] = {"output-recursive": recursive_rung()}
    corrected = recursive_rung().adapt(model, known, request(known))
    assert corrected.kept
    trained = attempt(UnderCorrection(FineTune(steps=60, judges=True), rungs), corrected.forecaster, known,
                      request(known))
    assert isinstance(bare(trained.forecaster), NativeModel)
    if trained.kept:
        assert bare(trained.forecaster) is not model and isinstance(model, NativeModel)


def test_steps_are_those_that_suit_the_model() -> None:
    assert [step.rung for step in steps_of((), DAY, base=True)] == [
        "remembered", "output-recursive", "adapter", "continue", "retrain"]
    assert [step.rung for step in steps_of(("retrain", "output-recursive"), 7 * DAY, base=False)] == [
        "output-recursive", "retrain"]
    assert steps_of(("output-recursive",), 7 * DAY, base=False)[0].needs == 49 * DAY
    with pytest.raises(LadderError, match="the rung 'adapter' changes the shipped base only"):
        steps_of(("adapter",), DAY, base=False)
    with pytest.raises(PluginError, match=r"no 'prayer' .*remembered, output-recursive, .*or module:Class"):
        steps_of(("prayer",), DAY, base=False)
    with pytest.raises(CustomRungError, match="JSONDecoder has no name, paper, cost"):
        steps_of(("json:JSONDecoder",), DAY, base=False)


def _maker(model: NativeModel) -> Executor:
    past = VersionHistory()
    versions: dict[str, Forecaster] = {"base": Flat(12.0)}
    rungs: list[Rung] = [recursive_rung(), FineTune(steps=3, judges=True, name="continue"),
                         Recall(past.regimes, versions.__getitem__),
                         Refit(lambda part, seed: NativeModel.fit(part, request(part), steps=3, seed=seed, lookback=24),
                               60 * DAY)]
    return Executor(FineTune(20 * DAY, 3), {rung.name: rung for rung in rungs}, past=past, versions=versions)


@pytest.mark.parametrize("rung", ["output-recursive", "continue", "remembered", "retrain", "fine-tune"])
def test_what_a_maker_makes_does_not_hang_on_what_is_known_later(rung: str) -> None:
    clean = panel(days=60).assign_coords(known_time=("time", panel(days=60)["time"].values + HOUR))
    now = clean["time"].values[24 * 50]
    late = ~(clean["known_time"].values <= now)
    dirty = clean.assign(x=(("time", "node"), np.where(late[:, None], 1e6, clean["x"].values), clean["x"].attrs))
    watched = ForecastTask("d", ("a", "b"), Request("x", np.datetime64("NaT", "ns"), 6, HOUR), 6 * HOUR, 4 * DAY,
                           6 * HOUR)
    model = NativeModel.fit(clean.isel(time=slice(0, 600)), request(clean), steps=3, seed=1, lookback=24)
    told = []
    for one in (clean, dirty):
        moment, maker = Moment(now, InMemoryHistory({"d": one})), _maker(model)
        act = AdaptationRequest(f"e-{rung}", now, "a test", "e", rung, now - 20 * DAY)
        made = maker.make(model, watched, moment, act, "serving")
        maker.remember(act, "new", watched, moment)
        forecast = None if made.forecaster is None else made.forecaster.forecast(
            watched.panel(moment, now - 4 * DAY), watched.request.at(now))["x"].values
        told.append((made.receipt.why, made.receipt.kept, forecast, maker.past.regimes.state()))
    assert told[0][:2] == told[1][:2]
    np.testing.assert_array_equal(told[0][2], told[1][2])
    assert str(told[0][3]) == str(told[1][3])


def test_too_little_to_choose_on_is_said() -> None:
    known = panel(days=1)
    with pytest.raises(RungError, match="matured issues"):
        Recall(RegimeMemory(base="1"), lambda version: Flat(1.0)).adapt(Flat(2.0), known.isel(time=slice(0, 9)),
                                                                        request(known.isel(time=slice(0, 9))))
