"""The ladder in replay: it tries the cheap rung, and climbs when that did not help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.adapt.admission import Admission, settle
from terracast.adapt.clock import clock
from terracast.adapt.evaluation.replay import replay
from terracast.adapt.initialise import ServiceInit, serve
from terracast.adapt.loop import Loop
from terracast.adapt.promotion.executor import Executor
from terracast.adapt.promotion.ladder import LadderStep
from terracast.adapt.promotion.policy import Policy, ladder_policy
from terracast.adapt.promotion.version_history import VersionHistory
from terracast.adapt.rungs.fine_tune import FineTune
from terracast.adapt.rungs.recall import Recall
from terracast.adapt.rungs.rung import Adapted, Receipt, RungError
from terracast.adapt.task import ForecastTask
from terracast.stfm.forecaster import Forecaster, Request
from terracast.streams.bitemporal import InMemoryHistory
from tests.adapt.constant import Constant

pytestmark = pytest.mark.integration

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
DAYS, SHIFTED = 82, 50


@dataclass(frozen=True)
class Mean:
    """A rung: the mean of the newest four days; ``works`` False: its loss explodes."""

    name: str
    works: bool
    paper: str = "none"
    cost: str = "nothing"
    expiry: np.timedelta64 | None = None

    def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted:
        if not self.works:
            raise RungError("the loss exploded", where=self.name, expected="a finite loss", remedy="drop the rung")
        value = float(np.nanmean(known[request.target].values[-96:]))
        receipt = Receipt(self.name, self.paper, True, "mean", 1, 0, np.nan, np.nan, request.issue_time, None)
        return Adapted(Constant(value), receipt, forecaster)


@pytest.fixture(scope="module")
def history() -> InMemoryHistory:
    time = pd.date_range("2023-01-01", periods=24 * DAYS, freq="h").to_numpy().astype("datetime64[ns]")
    values = 10 + np.random.default_rng(5).normal(size=(len(time), 2))  # a draw without a false alarm before the change
    values[24 * SHIFTED:] += 4.0
    return InMemoryHistory({"d": xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"})},
                                     {"time": time, "node": ["a", "b"], "known_time": ("time", time + HOUR)},
                                     {"domain": "d", "kind": "sensor", "step": "1h"})})


def _loop(history: InMemoryHistory, policy: Policy) -> tuple[Loop, np.datetime64]:
    panel = history.recorded("d").panel
    time, start = panel["time"].values, panel["time"].values[24 * 30]
    watched = ForecastTask("d", ("a", "b"), Request("x", np.datetime64("NaT", "ns"), 6, HOUR), 6 * HOUR, 5 * DAY,
                           6 * HOUR)
    residuals = np.random.default_rng(4).normal(size=(24 * 30, 2))
    return serve(watched, policy, ServiceInit(Constant(10.0), time[:24 * 30], residuals), "base", start,
                 false_alarms_per_month=0.5, cooldown=30 * DAY, seed=0), start


def _policy() -> Policy:
    return ladder_policy(6 * HOUR, 6 * HOUR, (LadderStep("broken", 1.0, DAY), LadderStep("mean", 5.0, 3 * DAY)))


def test_a_broken_rung_is_dropped_and_the_next_serves(history: InMemoryHistory) -> None:
    loop, start = _loop(history, _policy())
    maker = Executor(FineTune(), {"broken": Mean("broken", False), "mean": Mean("mean", True)})
    outcome = replay(loop, history, start, start + 50 * DAY, maker)
    assert [climb.rung for climb in loop.attempt_log.attempts][:2] == ["broken", "mean"]
    assert [receipt.kept for receipt in maker.receipts][:2] == [False, True]
    assert "exploded" in maker.receipts[0].why
    first, second = loop.attempt_log.attempts[:2]
    assert (first.outcome, second.outcome) == ("dropped", "accepted") and np.isnan(first.after)
    assert second.acted_at - first.acted_at < DAY * 4  # what changed nothing is not waited for
    assert second.gain > 0.9 and second.version == f"{second.episode}-mean"  # in service, not on trial
    assert "it was dropped (the loss exploded" in first.sentence and "error went from" in second.sentence
    accepted = [one for one in outcome.verdicts if one.decision.verdict == "accept"]
    assert outcome.promotions == len(accepted) >= 1 and accepted[0].decision.mean_gain > 0.05


def test_a_restart_keeps_the_receipts(history: InMemoryHistory, same_trees: Callable[[object, object], None]) -> None:
    loop, start = _loop(history, _policy())
    for moment in clock(history, start, start + 50 * DAY, 6 * HOUR):
        tick = loop.tick(moment)
        if tick.act is not None:
            settle(Admission(tick.act, None, None, "a test"), loop)
    saved = loop.state()
    again = Loop.resume(saved, loop.watched, loop.policy, lambda version: Constant(10.0))
    same_trees(again.state(), saved)
    assert again.attempt_log.attempts and again.attempt_log.attempts == loop.attempt_log.attempts


def test_a_regime_that_returns_is_met_with_the_version_that_knew_it() -> None:
    """Level 10, then 14, then 10 again: the ladder makes a version for 14, and takes the base out again for 10."""
    time = pd.date_range("2023-01-01", periods=24 * 130, freq="h").to_numpy().astype("datetime64[ns]")
    values = 10 + np.random.default_rng(5).normal(size=(len(time), 2))
    values[24 * 50:24 * 90] += 4.0
    world = InMemoryHistory({"d": xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"})},
                                      {"time": time, "node": ["a", "b"], "known_time": ("time", time + HOUR)},
                                      {"domain": "d", "kind": "sensor", "step": "1h"})})
    policy = ladder_policy(6 * HOUR, 6 * HOUR,
                           (LadderStep("remembered", 1.0, 4 * DAY), LadderStep("mean", 5.0, 7 * DAY)))
    loop, start = _loop(world, policy)
    loop.episodes.cooldown = 7 * DAY
    past, versions = VersionHistory(), {}  # type: tuple[VersionHistory, dict[str, Forecaster]]
    rungs = {"mean": Mean("mean", True), "remembered": Recall(past.regimes, versions.__getitem__)}
    maker = Executor(FineTune(), rungs, past=past, versions=versions)
    outcome = replay(loop, world, start, start + 99 * DAY, maker)
    accepted = [climb for climb in loop.attempt_log.attempts if climb.outcome == "accepted"]
    assert next(climb.rung for climb in accepted) == "mean" and accepted[-1].rung == "remembered"
    assert time[24 * 90] < accepted[-1].acted_at and loop.champion.model is versions["base"]
    assert outcome.promotions >= 2 and past.regimes.base == "base" and past.regimes.held
