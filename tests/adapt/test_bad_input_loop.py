"""Bad input through the loop, every rung acting in turn: service goes on, forecasts are finite, receipts say why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.adapt.admission import InMemory, examine, settle
from terracast.adapt.clock import clock
from terracast.adapt.initialise import ServiceInit, serve
from terracast.adapt.loop import Loop, Tick
from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.adapt.promotion.executor import Executor
from terracast.adapt.promotion.ladder import Ladder, LadderStep
from terracast.adapt.promotion.policy import AdaptationRequest, Policy
from terracast.adapt.promotion.version_history import VersionHistory
from terracast.adapt.rungs.fine_tune import FineTune
from terracast.adapt.rungs.output_rls import recursive_rung
from terracast.adapt.rungs.recall import Recall
from terracast.adapt.rungs.refit import Refit
from terracast.adapt.rungs.rung import Adapted, Receipt, Rung
from terracast.adapt.task import ForecastTask
from terracast.stfm.forecaster import Capabilities, Forecaster, Request, as_forecast
from terracast.stfm.mlp.forecaster import NativeModel
from terracast.streams.bitemporal import InMemoryHistory
from terracast.streams.quality.online import QualityControl, Screened

pytestmark = pytest.mark.integration

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
DAYS, BEGUN, BAD = 76, 25, 30


@dataclass(frozen=True)
class Exploding:
    """A rung whose forecaster says what is no number, too large a number, or nothing at all."""

    how: str
    name: str
    paper: str = "none"
    cost: str = "nothing"
    expiry: np.timedelta64 | None = None

    def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted:
        receipt = Receipt(self.name, self.paper, True, "rash", 1, 0, np.nan, np.nan, request.issue_time, None)
        return Adapted(Burst(forecaster, self.how), receipt, forecaster)


@dataclass(frozen=True)
class Burst:
    """A forecaster after an exploded course."""

    inner: Forecaster
    how: str

    @property
    def capabilities(self) -> Capabilities:
        return self.inner.capabilities

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        told = self.inner.forecast(context, request)[request.target].values[0]
        if self.how == "raises":
            raise FloatingPointError("the loss exploded")
        with np.errstate(over="ignore"):
            burst = told * np.nan if self.how == "nan" else np.exp(told.astype("float64") * 1e6)
        return as_forecast(burst, context, request)


@dataclass
class InTurn:
    """Each rung in turn, every three days."""

    names: Sequence[str]

    def due(self, now: np.datetime64, last: np.datetime64, episodes: Sequence[Episode]) -> AdaptationRequest | None:
        if now - last < 3 * DAY:
            return None
        name = self.names[int((now - np.datetime64("2023-01-01", "ns")) // (3 * DAY)) % len(self.names)]
        return AdaptationRequest(f"turn-{np.datetime_as_string(now, 'h')}-{name}", now, "its turn", "e", name,
                                 now - 5 * DAY)


def _clean() -> xr.Dataset:
    time = pd.date_range("2023-01-01", periods=24 * DAYS, freq="h").to_numpy().astype("datetime64[ns]")
    wave = 3 * np.sin(np.arange(len(time)) * 2 * np.pi / 24)[:, None]
    values = 10 + wave + np.random.default_rng(3).normal(size=(len(time), 3))
    return xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"})},
                      {"time": time, "node": ["a", "b", "c"], "known_time": ("time", time + HOUR)},
                      {"domain": "d", "kind": "sensor", "step": "1h"})


def _with(change: Callable[[np.ndarray], None]) -> xr.Dataset:
    panel = _clean()
    change(panel["x"].values)
    return panel


def _never(values: np.ndarray) -> None:
    values[24 * BAD:] = np.nan


def _dead(values: np.ndarray) -> None:
    values[24 * BAD:24 * (BAD + 30), 1] = np.nan


def _constant(values: np.ndarray) -> None:
    values[24 * BAD:] = 7.0


def _huge(values: np.ndarray) -> None:
    values[24 * BAD:24 * BAD + 5, 0] = 1e30


@pytest.fixture(scope="module")
def native() -> NativeModel:
    panel = _clean().isel(time=slice(0, 24 * BEGUN))
    return NativeModel.fit(panel, _watched().request, steps=60, seed=1, lookback=24)


def _watched() -> ForecastTask:
    request = Request("x", np.datetime64("NaT", "ns"), 12, HOUR)
    return ForecastTask("d", ("a", "b", "c"), request, 12 * HOUR, 5 * DAY, 6 * HOUR)


def _maker(watched: ForecastTask) -> Executor:
    def fit(part: xr.Dataset, seed: int) -> NativeModel:
        return NativeModel.fit(part, watched.request, steps=3, seed=seed, lookback=24)

    past, versions = VersionHistory(), {}  # type: tuple[VersionHistory, dict[str, Forecaster]]
    made: list[Rung] = [recursive_rung(), FineTune(steps=3, judges=True, name="continue"),
                        Recall(past.regimes, versions.__getitem__), Refit(fit, 60 * DAY),
                        *(Exploding(how, f"explodes-{how}") for how in ("nan", "inf", "raises"))]
    return Executor(FineTune(20 * DAY, 3), {rung.name: rung for rung in made}, past=past, versions=versions)


Ran = tuple[Loop, Executor, list[Tick]]


def _run(panel: xr.Dataset, base: Forecaster, stop: int = DAYS) -> Ran:
    history, watched = Screened(InMemoryHistory({"d": panel}), QualityControl()), _watched()
    maker, time = _maker(watched), panel["time"].values
    names = ["fine-tune", *maker.rungs]
    policy = Policy("turns", InTurn(names), True, None, ladder=Ladder((LadderStep("none", 1.0, 1000 * DAY),)))
    draws = np.random.default_rng(4).normal(size=(24 * BEGUN, 3))
    known = panel["x"].isel(time=slice(0, 24 * BEGUN))
    loop = serve(watched, policy, ServiceInit(base, time[:24 * BEGUN], draws, known=known), "base", time[24 * BEGUN],
                 false_alarms_per_month=0.5, cooldown=10 * DAY, seed=0)
    maker.versions["base"] = base
    ticks = []
    for moment in clock(history, time[24 * BEGUN], time[24 * stop - 1], watched.cadence):
        history.advance(moment.now)
        ticks.append(loop.tick(moment))
        if (act := ticks[-1].act) is not None:
            settle(examine(act, loop, moment, maker, InMemory(maker.versions)), loop)
    return loop, maker, ticks


@pytest.fixture(scope="module")
def runs(native: NativeModel) -> Callable[[Callable[[np.ndarray], None]], Ran]:
    """Each kind of bad input is run once."""
    return cache(lambda change: _run(_with(change), native))


@pytest.mark.parametrize("change", [_never, _dead, _constant, _huge], ids=lambda one: one.__name__.strip("_"))
def test_service_goes_on_whatever_comes(change: Callable[[np.ndarray], None], runs: Callable[..., Ran]) -> None:
    loop, maker, ticks = runs(change)
    assert all(np.isfinite(tick.forecast["x"].values).all() for tick in ticks)
    assert {receipt.rung for receipt in maker.receipts} == {"fine-tune", *maker.rungs}
    for receipt in maker.receipts:
        assert receipt.kept or receipt.why.startswith("dropped: ")
        assert not (receipt.kept and receipt.rung.startswith("explodes"))
    attempts = loop.attempt_log.attempts
    assert len(attempts) == len(maker.receipts)
    assert all(climb.told and climb.outcome == "dropped" for climb in attempts if climb.rung.startswith("explodes"))
    assert not isinstance(loop.champion.model, Burst)


def test_labels_that_never_come_close_without_a_score(runs: Callable[..., Ran]) -> None:
    loop, _, ticks = runs(_never)
    late = [score for tick in ticks for score in tick.scores if score.issue_time > _clean()["time"].values[24 * BAD]]
    assert late and all((score.labels == 0).all() and np.isnan(score.crps).all() for score in late)
    assert len(loop.champion.open) < 10  # nothing is waited for for ever
    assert any("health" in episode.id for episode in loop.episodes_by_id.values())


def test_a_node_that_comes_back_after_a_month_is_scored_again(runs: Callable[..., Ran]) -> None:
    _, _, ticks = runs(_dead)
    back = _clean()["time"].values[24 * (BAD + 31)]
    dead = [score for tick in ticks for score in tick.scores if _clean()["time"].values[24 * BAD] < score.issue_time
            < back - 2 * DAY]
    after = [score for tick in ticks for score in tick.scores if score.issue_time > back]
    assert dead and all(np.isnan(score.crps[1]) and np.isfinite(score.crps[0]) for score in dead)
    assert after and np.mean([score.crps[1] for score in after]) < 1.5 * np.mean([score.crps[0] for score in after])


def test_constant_targets_end_in_a_data_ticket(runs: Callable[..., Ran]) -> None:
    told = runs(_constant)[0].episodes_by_id.values()
    assert any(episode.change_type == "health" and "repeats" in episode.alarm.what for episode in told)


def test_poison_known_later_changes_nothing_that_any_rung_did(
        native: NativeModel, same_trees: Callable[[object, object], None]) -> None:
    """Promise 1 through the loop, all rungs in turn: forecasts, receipts, state."""
    clean, stop = _clean(), BEGUN + 36
    late = ~(clean["known_time"].values <= clean["time"].values[24 * stop - 1])
    dirty = clean.assign(x=(("time", "node"), np.where(late[:, None], -1e6, clean["x"].values), clean["x"].attrs))
    (one, first, ticks), (two, second, others) = (_run(panel, native, stop) for panel in (clean, dirty))
    for left, right in zip(ticks, others, strict=True):
        xr.testing.assert_identical(left.forecast, right.forecast)
    same_trees(one.state(), two.state())
    same_trees(first.past.state(), second.past.state())
    assert [replace(receipt, seconds=0.0).as_json() for receipt in first.receipts] == [
        replace(receipt, seconds=0.0).as_json() for receipt in second.receipts]
    assert {receipt.rung for receipt in first.receipts} == {"fine-tune", *first.rungs}
