"""RetentionTest regimes: a challenger that forgot winter is refused, a good one hardly ever; nothing later is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.adapt.clock import Moment
from terracast.adapt.evaluation.replay import replay
from terracast.adapt.initialise import ServiceInit, serve
from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.adapt.promotion.executor import Executor
from terracast.adapt.promotion.policy import policies
from terracast.adapt.promotion.retention import EACH, MOST, RetentionTest, Stretch
from terracast.adapt.rungs.fine_tune import FineTune
from terracast.adapt.rungs.rung import Adapted, Receipt
from terracast.adapt.task import ForecastTask
from terracast.stfm.forecaster import Capabilities, Forecaster, Request, as_forecast
from terracast.streams.bitemporal import InMemoryHistory

pytestmark = pytest.mark.integration

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
START = np.datetime64("2021-01-01", "ns")


@dataclass(frozen=True)
class Yearly:
    """Knows the year's wave; in winter only ``in_winter`` of it."""

    in_winter: float = 1.0
    shift: float = 0.0

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(history=1)

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        wave = _wave(request.valid_times)
        level = np.where(wave > 5, 5 + self.in_winter * (wave - 5), wave)[:, None] + self.shift
        values = level[..., None] + np.linspace(-1.6, 1.6, len(request.quantiles))
        shape = (request.horizon, context.sizes["node"], len(request.quantiles))
        return as_forecast(np.broadcast_to(values, shape), context, request)


def _wave(times: np.ndarray) -> np.ndarray:
    return 10 * np.cos(2 * np.pi * ((times - START) / DAY) / 365.25)


@pytest.fixture(scope="module")
def history() -> InMemoryHistory:
    time = pd.date_range("2021-01-01", periods=8 * 24 * 30, freq="3h").to_numpy().astype("datetime64[ns]")
    values = _wave(time)[:, None] + np.random.default_rng(0).normal(size=(len(time), 2))
    return InMemoryHistory({"d": xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"})},
                                     {"time": time, "node": ["a", "b"], "known_time": ("time", time + HOUR)},
                                     {"domain": "d", "kind": "sensor", "step": "3h"})})


WATCHED = ForecastTask("d", ("a", "b"), Request("x", np.datetime64("NaT", "ns"), 8, 3 * HOUR), 6 * HOUR, DAY, 6 * HOUR)


def _extended(history: InMemoryHistory, now: np.datetime64, episodes: tuple[Episode, ...] = ()) -> RetentionTest:
    earlier = RetentionTest()
    earlier.extend(history.recorded("d").panel["time"].values, now - 84 * DAY, WATCHED.request.leads[-1], episodes)
    return earlier


@pytest.mark.parametrize(("challenger", "words"), [
    (Yearly(0.6), "forgot the 84 days from 20"), (Yearly(shift=0.8), "forgot|not shown"), (Yearly(shift=0.1), None),
    (Yearly(), None)], ids=["forgot winter", "worse everywhere", "nearly equal", "equal"])
def test_who_forgot_winter_is_refused_with_the_reason(history: InMemoryHistory, challenger: Yearly,
                                                      words: str | None) -> None:
    now = START + 700 * DAY
    earlier, moment = _extended(history, now), Moment(now, history)
    assert len(earlier.held) == 7 and all(len(one.issues) == EACH for one in earlier.held)
    decision = earlier.decide(*earlier.losses((Yearly(), challenger), WATCHED, moment))
    if words is None:
        assert decision is None
    else:
        assert decision is not None and decision.verdict == "reject"
        assert pd.Series([decision.reason]).str.contains(words).all(), decision.reason


@dataclass(frozen=True)
class Makes:
    """A rung that makes one and the same forecaster."""

    made: Yearly
    name: str = "fine-tune"
    paper: str = "none"
    cost: str = "nothing"
    expiry: np.timedelta64 | None = None

    def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted:
        receipt = Receipt(self.name, self.paper, True, "made", 1, 0, np.nan, np.nan, request.issue_time, None)
        return Adapted(self.made, receipt, forecaster)


@pytest.mark.parametrize(("name", "in_winter", "verdict"), [
    ("loop", 0.3, "reject"), ("mixture", 0.3, "reject"), ("loop", 1.0, "accept")])
def test_the_default_policies_refuse_who_forgot_winter_however_good_the_newest_weeks(
        history: InMemoryHistory, name: str, in_winter: float, verdict: str) -> None:
    """In summer the newcomer is better than what serves, so that the gate alone would let it in."""
    policy = next(one for one in policies(WATCHED.cadence, WATCHED.request.leads[-1]) if one.name == name)
    time, start = history.recorded("d").panel["time"].values, START + 560 * DAY
    residuals = np.random.default_rng(4).normal(size=(8 * 200, 2))
    loop = serve(WATCHED, policy, ServiceInit(Yearly(shift=0.8), time[:len(residuals)], residuals), "base", start,
                 false_alarms_per_month=0.1, cooldown=60 * DAY, seed=0)
    maker = Executor(FineTune(), {"fine-tune": Makes(Yearly(in_winter))})
    outcome = replay(loop, history, start, start + (29 if in_winter < 1 else 50) * DAY, maker)
    decision = outcome.verdicts[0].decision
    assert decision.verdict == verdict and outcome.promotions == (verdict == "accept")
    assert (loop.champion.version == "base") == (verdict == "reject") == ("forgot the 84 days" in decision.reason)


def _rate(effect: Callable[[int], float], stretches: int, spread: float, trials: int = 300) -> float:
    """How often a challenger is refused whose loss is 1 + effect of the champion's, with noise ``spread`` a pair."""
    draws, refused = np.random.default_rng(1), 0
    earlier = RetentionTest(held=[Stretch(str(place), ()) for place in range(stretches)])
    for _ in range(trials):
        ours, theirs = [], []
        for place in range(stretches):
            level = draws.lognormal(0, 0.6, (EACH, 1)) * draws.lognormal(0, 0.3, (EACH, 4))
            noise = spread * (draws.normal(size=(EACH, 1)) + draws.normal(size=level.shape)) / 2**0.5
            ours.append(level)
            theirs.append(level * np.maximum(1 + effect(place) + noise, 0.1))
        refused += earlier.decide(ours, theirs) is not None
    return refused / trials


@pytest.mark.parametrize(("stretches", "spread"), [(2, 0.15), (2, 0.3), (4, 0.15), (8, 0.15), (8, 0.3), (12, 0.3)])
def test_good_challengers_are_seldom_refused_and_forgetful_ones_mostly(stretches: int, spread: float) -> None:
    assert _rate(lambda place: 0.0, stretches, spread) <= 0.05
    assert _rate(lambda place: -0.05, stretches, spread) <= 0.01
    assert _rate(lambda place: 0.5 if place % 4 == 0 else -0.05, stretches, spread) >= 0.95


def test_the_set_is_frozen_bounded_and_survives(
        history: InMemoryHistory, same_trees: Callable[[object, object], None]) -> None:
    first = _extended(history, START + 300 * DAY)
    later = RetentionTest.restore(first.state())
    same_trees(later.state(), first.state())
    times = history.recorded("d").panel["time"].values
    later.extend(times, START + 600 * DAY, WATCHED.request.leads[-1])
    assert later.held[:len(first.held)] == first.held and len(later.held) > len(first.held)
    later.extend(np.arange(START, START + 3000 * DAY, 3 * HOUR), START + 2900 * DAY, WATCHED.request.leads[-1])
    assert len(later.held) == MOST


def test_closed_episodes_join_and_outages_do_not(history: InMemoryHistory) -> None:
    at = START + 90 * DAY
    one = Episode("e1", "level", "closed", at, at, at + 20 * DAY, {"a": 1.0}, "moved", 1.0)
    out = Episode("e2", "health", "closed", at, at, at + 20 * DAY, {"a": 1.0}, "silent", 1.0)
    brief = Episode("e3", "level", "closed", at, at, at + 2 * DAY, {"a": 1.0}, "moved", 1.0)
    names = [stretch.name for stretch in _extended(history, START + 400 * DAY, (one, out, brief)).held]
    assert "episode e1" in names and len(names) == 4
    for stretch in _extended(history, START + 400 * DAY, (one,)).held:
        assert max(stretch.issues) + WATCHED.request.leads[-1] <= START + 316 * DAY


def test_nothing_known_later_is_read_and_what_is_gone_is_left_out(history: InMemoryHistory) -> None:
    now = START + 500 * DAY
    panel = history.recorded("d").panel
    late = ~(panel["known_time"].values <= now)
    poisoned = InMemoryHistory({"d": panel.assign(x=(("time", "node"), np.where(late, 1e6, panel["x"].values),
                                               panel["x"].attrs))})
    earlier = _extended(history, now)
    clean, dirty = (earlier.losses([Yearly(0.5)], WATCHED, Moment(now, one))[0] for one in (history, poisoned))
    for one, two in zip(clean, dirty, strict=True):
        np.testing.assert_array_equal(one, two)
    short = InMemoryHistory({"d": panel.isel(time=slice(8 * 150, None))})  # old rows were thinned away
    gone = earlier.losses([Yearly()], WATCHED, Moment(now, short))[0]
    assert np.isnan(gone[0]).all() and np.isfinite(gone[-1]).all()
    assert earlier.decide(gone, gone) is None
