"""The loop: leak-free in replay, continued to the bit after a restart, and honest about what it adopts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.adapt.admission import Admission, settle
from terracast.adapt.clock import Moment, clock
from terracast.adapt.evaluation.replay import replay
from terracast.adapt.initialise import ServiceError, ServiceInit, begin, serve
from terracast.adapt.loop import Loop, Tick
from terracast.adapt.promotion.executor import Executor
from terracast.adapt.promotion.paired_gate import PairedGate
from terracast.adapt.promotion.policy import AdaptationRequest, Either, Every, Never, OnEpisode, Policy, policies
from terracast.adapt.rungs.fine_tune import FineTune
from terracast.adapt.rungs.rung import RungError
from terracast.adapt.task import ForecastTask
from terracast.stfm.forecaster import Capabilities, Forecaster, Request, as_forecast
from terracast.stfm.mlp.forecaster import NativeModel
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.bitemporal import InMemoryHistory
from terracast.streams.city import simulate_city

pytestmark = pytest.mark.integration

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
START = np.datetime64("2023-02-05", "ns")


@pytest.fixture(scope="module")
def history() -> InMemoryHistory:
    return simulate_city(seed=4, days=75, weather_nodes=2, traffic_nodes=3, air_nodes=3, drifts=()).history()


def watched_of(history: InMemoryHistory) -> ForecastTask:
    nodes = tuple(str(node) for node in history.recorded("air").panel["node"].values)
    request = Request("no2", np.datetime64("NaT", "ns"), 12, HOUR)
    watched = ForecastTask("air", nodes, request, 6 * HOUR, 4 * DAY, 12 * HOUR, {"weather": ("wind_speed",)})
    return watched.with_covariates(Moment(START, history))


@pytest.fixture(scope="module")
def beginning(history: InMemoryHistory) -> ServiceInit:
    watched = watched_of(history)

    def fit(panel: xr.Dataset, seed: int) -> NativeModel:
        return NativeModel.fit(panel, watched.request, drivers=("weather.wind_speed",), steps=40, seed=seed)

    return begin(watched, Moment(START, history), fit, seed=1)


def weekly_gated(*, mixes: bool = False) -> Policy:
    return Policy("gated", Either((OnEpisode(), Every(7 * DAY))), True, PairedGate(horizon_steps=2, looks=(8, 16)),
                  mixes)


def fresh(history: InMemoryHistory, beginning: ServiceInit, policy: Policy) -> Loop:
    return serve(watched_of(history), policy, beginning, "base", START, false_alarms_per_month=4.0, cooldown=5 * DAY,
                 seed=1)


def run(loop: Loop, history: InMemoryHistory, start: np.datetime64, stop: np.datetime64) -> list[Tick]:
    ticks = []
    for moment in clock(history, start, stop, loop.watched.cadence):
        tick = loop.tick(moment)
        ticks.append(tick)
        if tick.act is not None:
            admit(loop, tick.act, tick.act.key, trained(loop, moment, tick.act))
    return ticks


def trained(loop: Loop, moment: Moment, act: AdaptationRequest) -> Forecaster:
    made = Executor(FineTune(14 * DAY, 15), {}).make(loop.champion.model, loop.watched, moment, act).forecaster
    assert made is not None
    return made


def admit(loop: Loop, act: AdaptationRequest, version: str, model: Forecaster) -> None:
    assert settle(Admission(act, version, model), loop) is None


def poisoned(history: InMemoryHistory, now: np.datetime64) -> InMemoryHistory:
    """Garbage in everything known after ``now``: reports, revisions, drivers."""
    panels, ledgers = {}, {}
    for domain in history.domains:
        held = history.recorded(domain)
        later = ~(held.panel["known_time"].values <= now)
        panels[domain] = held.panel.assign({name: (("time", "node"), np.where(later, -1e6, held.panel[name].values),
                                                   held.panel[name].attrs) for name in held.panel.data_vars})
        ledgers[domain] = held.revisions.assign(
            value=held.revisions["value"].where(held.revisions["known_time"] <= now, 1e6))
    return InMemoryHistory(panels, ledgers)


@pytest.mark.parametrize("name", ["frozen", "weekly", "gated", "mixing"])
def test_poison_after_t_leaves_everything_up_to_t_bit_identical(
        history: InMemoryHistory, beginning: ServiceInit, same_trees: Callable[[object, object], None],
        name: str) -> None:
    known = policies(6 * HOUR, 12 * HOUR)
    policies_here = {one.name: one for one in known} | {"gated": weekly_gated(), "mixing": weekly_gated(mixes=True)}
    policy = policies_here[name]
    until = START + 12 * DAY
    clean, dirty = fresh(history, beginning, policy), fresh(history, beginning, policy)
    ticks = run(clean, history, START, until)
    others = run(dirty, poisoned(history, until), START, until)
    for one, two in zip(ticks, others, strict=True):
        xr.testing.assert_identical(one.forecast, two.forecast)
        assert one.act == two.act and len(one.scores) == len(two.scores)
    same_trees(clean.state(), dirty.state())
    assert clean.monitor.kinds == ("error", "input", "calibration", "level")
    assert clean.monitor.variables == ("no2", "weather.wind_speed")  # their features are part of the states
    acts = sum(tick.act is not None for tick in ticks)
    assert acts == 0 if name == "frozen" else acts >= 1
    assert any(tick.scores for tick in ticks)


def test_the_beginning_reads_nothing_known_later(history: InMemoryHistory, beginning: ServiceInit) -> None:
    watched = watched_of(history)

    def fit(panel: xr.Dataset, seed: int) -> NativeModel:
        return NativeModel.fit(panel, watched.request, drivers=("weather.wind_speed",), steps=40, seed=seed)

    again = begin(watched, Moment(START, poisoned(history, START)), fit, seed=1)
    np.testing.assert_array_equal(beginning.residuals, again.residuals)
    assert beginning.pits is not None and again.pits is not None and beginning.inputs is not None
    np.testing.assert_array_equal(beginning.pits, again.pits)
    np.testing.assert_array_equal(beginning.inputs.features, again.inputs.features)  # type: ignore[union-attr]
    for name, weights in beginning.base.weights().items():  # type: ignore[attr-defined]
        np.testing.assert_array_equal(weights, again.base.weights()[name])  # type: ignore[attr-defined]


def test_only_a_mixture_reads_the_company_and_a_dropped_driver_is_silent(
        history: InMemoryHistory, beginning: ServiceInit) -> None:
    moment, covariates = Moment(START, history), watched_of(history)
    assert covariates.beside["weather"] == ("wind_speed",) and "no2" not in covariates.beside["air"]
    known = covariates.covariates(moment, START - DAY)
    less = replace(covariates, drivers={}).covariates(moment, START - DAY)
    assert known is not None and less is not None and beginning.beside is not None
    assert list(known["variable"].values) == list(less["variable"].values) == list(beginning.beside["variable"].values)
    assert np.isfinite(known.sel(variable="weather.wind_speed")).any()
    assert not np.isfinite(less.sel(variable="weather.wind_speed")).any()
    xr.testing.assert_identical(known[:, :-1], less[:, :-1])
    for mixes in (False, True):
        one = fresh(history, beginning, weekly_gated(mixes=mixes))
        two = serve(replace(covariates, beside={}), weekly_gated(mixes=mixes), replace(beginning, beside=None), "base",
                    START, false_alarms_per_month=4.0, cooldown=5 * DAY, seed=1)
        ticks, alone = (run(loop, history, START, START + 12 * DAY) for loop in (one, two))
        same = [np.array_equal(mine.forecast["no2"], theirs.forecast["no2"])
                for mine, theirs in zip(ticks, alone, strict=True)]
        assert all(same) if not mixes else not all(same)


@pytest.mark.parametrize("mixes", [False, True])
def test_a_restart_at_any_tick_goes_on_to_the_bit(
        history: InMemoryHistory, beginning: ServiceInit, same_trees: Callable[[object, object], None],
        mixes: bool) -> None:
    models: dict[str, object] = {"base": beginning.base}
    steady, restarted = (fresh(history, beginning, weekly_gated(mixes=mixes)) for _ in range(2))
    for moment in clock(history, START, START + 16 * DAY, 6 * HOUR):
        one, two = steady.tick(moment), restarted.tick(moment)
        xr.testing.assert_identical(one.forecast, two.forecast)
        if one.act is not None:
            assert one.act == two.act
            model = trained(steady, moment, one.act)
            models[one.act.key] = model
            admit(steady, one.act, one.act.key, model)
            admit(restarted, one.act, one.act.key, model)
        saved = restarted.state()
        restarted = Loop.resume(saved, restarted.watched, restarted.policy, models.__getitem__)  # type: ignore[arg-type]
        same_trees(restarted.state(), saved)
    same_trees(steady.state(), restarted.state())


def test_every_served_forecast_is_scored_once_also_across_a_promotion(history: InMemoryHistory,
                                                                      beginning: ServiceInit) -> None:
    loop = fresh(history, beginning, replace(weekly_gated(), gate=PairedGate(2, looks=(8, 16), alpha=0.999)))
    ticks = run(loop, history, START, START + 30 * DAY)
    scored = [score.issue_time for tick in ticks for score in tick.scores]
    assert any(tick.verdict is not None for tick in ticks)
    assert len(scored) == len(set(scored))
    closed = [tick.now for tick in ticks if tick.now + 12 * HOUR + 12 * HOUR + 6 * HOUR <= ticks[-1].now]
    assert set(closed) <= set(scored)


@dataclass(frozen=True)
class Offset:
    """A rule that forecasts the last value plus ``offset``: a challenger whose worth is known beforehand."""

    offset: float

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(history=24)

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        last = context[request.target].dropna("time").values[-1]
        spread = np.linspace(-1.0, 1.0, len(request.quantiles))
        values = np.broadcast_to(last[:, None] + self.offset + spread, (request.horizon, len(last), len(spread)))
        return as_forecast(values, context, request)


@pytest.mark.parametrize(("before", "after", "verdict"), [(5.0, 0.0, "accept"), (0.0, 5.0, "reject")])
def test_the_gate_lets_the_better_version_serve_and_only_that(before: float, after: float, verdict: str) -> None:
    time = pd.date_range("2023-01-01", periods=24 * 60, freq="h").to_numpy().astype("datetime64[ns]")
    noise = np.random.default_rng(3).normal(size=(len(time), 2))
    panel = xr.Dataset({"x": (("time", "node"), 10 + noise, {"units": "1", "long_name": "x"})},
                       {"time": time, "node": ["a", "b"], "known_time": ("time", time + HOUR)},
                       {"domain": "d", "kind": "sensor", "step": "1h"})
    history, request = InMemoryHistory({"d": panel}), Request("x", np.datetime64("NaT", "ns"), 6, HOUR)
    watched = ForecastTask("d", ("a", "b"), request, 6 * HOUR, DAY, 6 * HOUR)
    reference = np.random.default_rng(4).normal(size=(24 * 30, 2))
    beginning = ServiceInit(Offset(before), time[: 24 * 30], reference)
    policy = Policy("test", Never(), False, PairedGate(horizon_steps=1, looks=(20, 40)))
    start = time[24 * 30]
    loop = serve(watched, policy, beginning, "old", start, false_alarms_per_month=1.0, cooldown=DAY, seed=0)
    loop.tick(Moment(start, history))
    admit(loop, AdaptationRequest("try", start, "a test"), "new", Offset(after))
    verdicts = [tick.verdict for moment in clock(history, start + 6 * HOUR, start + 14 * DAY, 6 * HOUR)
                if (tick := loop.tick(moment)).verdict is not None]
    assert [one.decision.verdict for one in verdicts if one is not None] == [verdict]
    assert loop.champion.version == ("new" if verdict == "accept" else "old")


@dataclass(frozen=True)
class Turning:
    """Right until ``when``, far off afterwards: a champion that loses in service."""

    when: np.datetime64

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(history=24)

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        return Offset(0.0 if request.issue_time < self.when else 9.0).forecast(context, request)


@pytest.mark.parametrize("turns", [True, False])
def test_a_new_champion_that_loses_in_service_is_rolled_back(
        turns: bool, same_trees: Callable[[object, object], None]) -> None:
    time = pd.date_range("2023-01-01", periods=24 * 100, freq="h").to_numpy().astype("datetime64[ns]")
    noise = np.random.default_rng(3).normal(size=(len(time), 2))
    panel = xr.Dataset({"x": (("time", "node"), 10 + noise, {"units": "1", "long_name": "x"})},
                       {"time": time, "node": ["a", "b"], "known_time": ("time", time + HOUR)},
                       {"domain": "d", "kind": "sensor", "step": "1h"})
    history, request = InMemoryHistory({"d": panel}), Request("x", np.datetime64("NaT", "ns"), 6, HOUR)
    watched = ForecastTask("d", ("a", "b"), request, 6 * HOUR, DAY, 6 * HOUR)
    start = time[24 * 30]
    models = {"old": Offset(3.0), "new": Turning(start + (8 if turns else 1000) * DAY)}
    policy = Policy("test", Never(), False, PairedGate(horizon_steps=1, looks=(20, 40)))
    loop = serve(watched, policy, ServiceInit(models["old"], time[: 24 * 30], noise[: 24 * 30]), "old", start,
                 false_alarms_per_month=1.0, cooldown=DAY, seed=0)
    loop.tick(Moment(start, history))
    admit(loop, AdaptationRequest("try", start, "a test"), "new", models["new"])
    verdicts, scored = [], []
    for moment in clock(history, start + 6 * HOUR, start + 40 * DAY, 6 * HOUR):
        tick = loop.tick(moment)
        scored += [score.issue_time for score in tick.scores]
        verdicts += [] if tick.verdict is None else [tick.verdict]
        saved = loop.state()
        loop = Loop.resume(saved, watched, policy, models.__getitem__)  # type: ignore[arg-type]
        same_trees(loop.state(), saved)
    assert [one.decision.verdict for one in verdicts] == ["accept", "rollback"] if turns else ["accept"]
    assert loop.champion.version == ("old" if turns else "new")
    assert len(scored) == len(set(scored)) and loop.deployment.probation is None


def test_replay_counts_what_it_did(history: InMemoryHistory, beginning: ServiceInit) -> None:
    weekly = next(policy for policy in policies(6 * HOUR, 12 * HOUR) if policy.name == "weekly")
    seen = []
    maker = Executor(FineTune(14 * DAY, 5), {})
    outcome = replay(fresh(history, beginning, weekly), history, START, START + 15 * DAY, maker,
                     seen.append)
    row = outcome.row()
    assert row["adaptations"] == row["promotions"] == 2 and sum(seen) == 61
    assert 0 < row["crps"] < row["mae"] and 0.3 < row["coverage80"] <= 1.0
    by_hand = outcome.scores.dropna(subset=["absolute_error"])
    assert row["mae"] == pytest.approx(np.average(by_hand["absolute_error"], weights=by_hand["labels"]))


def test_too_little_past_and_untrainable_models_are_said_in_one_line(history: InMemoryHistory) -> None:
    watched = watched_of(history)
    with pytest.raises(ServiceError, match="days of air known"):
        begin(watched, Moment(np.datetime64("2023-01-08", "ns"), history), lambda panel, seed: SeasonalNaive(), seed=0)
    panel = watched.panel(Moment(START, history), START - 20 * DAY)
    with pytest.raises(RungError, match="cannot be trained"):
        FineTune().adapt(Offset(0.0), panel, watched.request.at(START))
