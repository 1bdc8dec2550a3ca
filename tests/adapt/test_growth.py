"""A stream that begins with its first values: served at once, told that it learns, and grown up without a restart."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.adapt.candidate import Candidate
from terracast.adapt.clock import Moment, clock
from terracast.adapt.initialise import ServiceError, begin, serve
from terracast.adapt.learning_monitor import LearningMonitor, natural_block
from terracast.adapt.loop import Loop
from terracast.adapt.monitoring.monitor import FEWEST_BLOCKS, Monitor
from terracast.adapt.promotion.policy import AdaptationRequest, Never, Policy
from terracast.adapt.task import ForecastTask
from terracast.adapt.trial import Trial
from terracast.stfm.forecaster import Request
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.bitemporal import InMemoryHistory

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("few_trees")]

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
FIRST, DAYS, SHIFTED = np.datetime64("2024-03-01", "ns"), 70, 50
TASK = ForecastTask("air", ("a", "b", "c"), Request("no2", np.datetime64("NaT", "ns"), 12, HOUR), 6 * HOUR, 20 * DAY,
                    12 * HOUR)
POLICY = Policy("mixes", Never(), True, None, True)


def history_of(days: int = DAYS, shift: float = 0.0, after: int | None = None) -> InMemoryHistory:
    """Hours of three nodes, known one hour later; ``shift`` (deviations) from day ``SHIFTED`` on at one of them;
    poisoned ``after`` so many days."""
    count, draws = 24 * days, np.random.default_rng(3)
    wave = 3 * np.sin(np.arange(count) * 2 * np.pi / 24)[:, None] + draws.normal(size=(count, 3))
    wave[24 * SHIFTED:, 1] += shift
    if after is not None:
        wave[24 * after:] = 1e6
    stamps = FIRST + np.arange(count) * HOUR
    known = np.repeat((stamps + HOUR)[:, None], 3, axis=1)
    panel = xr.Dataset({"no2": (("time", "node"), wave, {"units": "1", "long_name": "NO2"})},
                       {"known_time": (("time", "node"), known), "time": stamps, "node": list(TASK.nodes)},
                       {"domain": "air", "kind": "sensor", "step": "1h"})
    return InMemoryHistory({"air": panel})


def begun(history: InMemoryHistory, at: np.datetime64) -> Loop:
    beginning = begin(TASK, Moment(at, history), lambda panel, seed: SeasonalNaive(), seed=0, zero_shot=True)
    return serve(TASK, POLICY, beginning, "base", at, false_alarms_per_month=1.0, cooldown=7 * DAY, seed=0)


def run(loop: Loop, history: InMemoryHistory, start: np.datetime64, days: float) -> list[object]:
    ticks = clock(history, start, start + np.timedelta64(int(24 * days), "h"), TASK.cadence)
    return [episode for moment in ticks for episode in loop.tick(moment).episodes]


def test_one_value_is_enough_and_nothing_is_too_little() -> None:
    history = history_of()
    with pytest.raises(ServiceError, match="one value to begin with"):
        begun(history, FIRST)
    loop = begun(history, FIRST + 6 * HOUR)
    forecast = loop.tick(Moment(FIRST + 6 * HOUR, history)).forecast["no2"]
    assert np.isfinite(forecast.values).all() and isinstance(loop.monitor, LearningMonitor)
    assert loop.still_learning is not None and "28 days" in loop.still_learning


def test_the_monitor_is_calibrated_on_the_way_and_finds_what_comes_after() -> None:
    history = history_of(shift=4.0)
    loop = begun(history, FIRST + 6 * HOUR)
    assert not run(loop, history, FIRST + 6 * HOUR, 2 * FEWEST_BLOCKS - 1), "while it learns it raises no alarm"
    assert isinstance(loop.monitor, LearningMonitor)
    told = run(loop, history, FIRST + 6 * HOUR + 27.25 * 24 * HOUR, DAYS - 29)
    assert isinstance(loop.monitor, Monitor) and loop.still_learning is None
    found = [one for one in told if pd.Timestamp(one.opened) > pd.Timestamp(FIRST + SHIFTED * DAY)]
    assert found and found[0].nodes == ("b",) and found[0].change_type == "level"


def test_a_loop_that_is_saved_at_every_stage_goes_on_to_the_bit() -> None:
    history = history_of(shift=4.0)
    whole, parts = (begun(history, FIRST + 6 * HOUR) for _ in range(2))
    at = FIRST + 6 * HOUR
    for days in (5, 13, 12, 20):
        again = Loop.resume(parts.state(), TASK, POLICY, lambda version: SeasonalNaive())
        run(whole, history, at, days - 0.25), run(again, history, at, days - 0.25)
        parts, at = again, at + days * DAY
        one, other = (loop.tick(Moment(at, history)).forecast["no2"].values for loop in (whole, parts))
        np.testing.assert_array_equal(one, other)
        at = at + 6 * HOUR
    assert isinstance(parts.monitor, Monitor) and isinstance(whole.monitor, Monitor)
    assert parts.monitor.calibration.threshold == whole.monitor.calibration.threshold


def test_experts_of_a_short_past_begin_anew_as_it_grows() -> None:
    history = history_of()
    loop = begun(history, FIRST + 2 * DAY)
    assert loop.champion.mixture is not None
    short = loop.champion.mixture.stream.experts.config
    worth = loop.champion.mixture.budget
    run(loop, history, FIRST + 2 * DAY, 60)
    grown = loop.champion.mixture.stream.experts.config
    assert (short.season, grown.season, grown.seasons) == (1, 24, 14)
    assert loop.champion.mixture.budget is worth, "what no node may lose is counted over its whole life"


def test_going_through_the_past_says_how_far_it_is() -> None:
    history, at, shares = history_of(), FIRST + 40 * DAY, list[float]()
    beginning = begin(TASK, Moment(at, history), lambda panel, seed: SeasonalNaive(), seed=0, zero_shot=True)
    serve(TASK, POLICY, beginning, "base", at, false_alarms_per_month=1.0, cooldown=7 * DAY, seed=0,
          progress=shares.append)
    assert len(shares) > 20 and shares == sorted(shares) and shares[0] >= 0 and 0.9 < shares[-1] < 1


def test_versions_read_the_same_experts_and_forecast_as_if_each_had_its_own() -> None:
    """A challenger inherits them; they are kept once in memory and in a saved loop, and begin anew once for all."""
    history = history_of()
    loops = [begun(history, FIRST + 2 * DAY) for _ in range(2)]
    asked = AdaptationRequest("by-hand", FIRST + 22 * DAY, "a test")
    for loop in loops:
        run(loop, history, FIRST + 2 * DAY, 20)
        loop.deployment.trial = Trial(loop.champion.successor("two", SeasonalNaive()), asked, None)
    shared, apart = loops
    assert shared.challenger is not None and shared.challenger.mixture is not None
    assert apart.challenger is not None and apart.challenger.mixture is not None
    apart.challenger.mixture.reading(copy.deepcopy(apart.challenger.mixture.stream))
    for loop in loops:
        run(loop, history, FIRST + 22.25 * DAY, 8)
    for one, other in ((shared.champion, apart.champion), (shared.challenger, apart.challenger)):
        for ours, theirs in zip(one.open, other.open, strict=True):
            np.testing.assert_array_equal(ours.served, theirs.served)
    again = Loop.resume(shared.state(), TASK, POLICY, lambda version: SeasonalNaive())
    run(again, history, FIRST + 30.5 * DAY, 39)  # the experts begin anew on the way
    assert again.challenger is not None and again.challenger.mixture is not None
    assert again.deployment.stream is again.challenger.mixture.stream is again.champion.mixture.stream  # type: ignore
    assert again.deployment.stream.experts.config.seasons == 14  # type: ignore[union-attr]


def test_nothing_is_read_before_it_was_known() -> None:
    clean, poisoned = history_of(), history_of(after=40)
    loops = [begun(one, FIRST + 6 * HOUR) for one in (clean, poisoned)]
    for loop, history in zip(loops, (clean, poisoned), strict=True):
        run(loop, history, FIRST + 6 * HOUR, 39.5)
    one, other = loops
    assert isinstance(one.monitor, Monitor)
    assert str(one.state()) == str(other.state())


@pytest.mark.parametrize(("step", "block"), [
    ("1min", "1h"), ("15min", "1D"), ("1D", "1D"), ("7D", "7D"), ("5s", "5s")])
def test_blocks_of_a_young_stream(step: str, block: str) -> None:
    assert natural_block(pd.Timedelta(step).to_timedelta64()) == pd.Timedelta(block)


@pytest.mark.parametrize(("name", "units", "least"), [
    ("pm25", "ug m-3", 0.0), ("temp", "degC", None), ("rain", "mm", 0.0)])
def test_what_cannot_be_is_not_forecast(name: str, units: str, least: float | None) -> None:
    draws = np.abs(np.random.default_rng(0).normal(size=(24 * 40, 2)) * (np.arange(24 * 40) % 24 > 12)[:, None])
    stamps = FIRST + np.arange(len(draws)) * HOUR
    context = xr.Dataset({name: (("time", "node"), draws, {"units": units, "long_name": name})},
                         {"time": stamps, "node": ["a", "b"]})
    request = Request(name, stamps[-1], 12, HOUR)
    said = Candidate("one", SeasonalNaive(), None, request).issue(context, stamps[-1], shadow=False)[name].values
    assert (float(said.min()) >= least) if least is not None else (float(said.min()) < 0), float(said.min())


def test_a_stream_that_begins_with_few_weeks_is_calibrated_again() -> None:
    history = history_of(days=128)
    loop = begun(history, FIRST + 30 * DAY)
    assert isinstance(loop.monitor, Monitor) and loop.young is not None and loop.still_learning is None
    assert FEWEST_BLOCKS <= loop.young.blocks < 2 * FEWEST_BLOCKS
    thresholds, at = [loop.monitor.calibration.threshold], FIRST + 30 * DAY
    for days in (14, 28, 55):  # 28, 56 and 112 blocks of the reference, whose first is the 15th day
        run(loop, history, at, days)
        thresholds.append(loop.monitor.calibration.threshold)
        loop = Loop.resume(loop.state(), TASK, POLICY, lambda version: SeasonalNaive())
        at = at + days * DAY + 6 * HOUR
    assert len(set(thresholds)) == 4 and thresholds[-1] < thresholds[0], thresholds
    assert loop.young is None and set(loop.monitor.kinds) > {"error", "level", "input"}, loop.monitor.kinds
