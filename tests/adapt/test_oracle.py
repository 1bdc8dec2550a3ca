"""The oracle is never worse than what it looks back on, and is labelled as what nobody can reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.adapt.clock import clock
from terracast.adapt.evaluation.hindcast import hindcast
from terracast.adapt.evaluation.oracle import MOST, ORACLE, Oracle
from terracast.adapt.evaluation.replay import replay
from terracast.adapt.initialise import ServiceInit, serve
from terracast.adapt.loop import Loop
from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.adapt.promotion.executor import Executor
from terracast.adapt.promotion.policy import AdaptationRequest, Policy
from terracast.adapt.rungs.fine_tune import FineTune
from terracast.adapt.rungs.rung import Adapted, Receipt
from terracast.adapt.task import ForecastTask
from terracast.stfm.forecaster import Forecaster, Request
from terracast.streams.bitemporal import InMemoryHistory
from tests.adapt.constant import Constant

pytestmark = pytest.mark.integration

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")


@dataclass(frozen=True)
class Newest:
    """A rung: the mean of the newest day."""

    name: str = "newest"
    paper: str = "none"
    cost: str = "nothing"
    expiry: np.timedelta64 | None = None

    def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted:
        receipt = Receipt(self.name, self.paper, True, "mean", 1, 0, np.nan, np.nan, request.issue_time, None)
        return Adapted(Constant(float(np.nanmean(known["x"].values[-24:]))), receipt, forecaster)


@dataclass(frozen=True)
class EveryThree:
    """Asks for it every three days."""

    def due(self, now: np.datetime64, last: np.datetime64, episodes: tuple[Episode, ...]) -> AdaptationRequest | None:
        if now - last < 3 * DAY:
            return None
        return AdaptationRequest(f"at-{np.datetime_as_string(now, 'h')}", now, "a test", None, "newest")


@pytest.fixture(scope="module")
def history() -> InMemoryHistory:
    time = pd.date_range("2023-01-01", periods=24 * 90, freq="h").to_numpy().astype("datetime64[ns]")
    level = np.where((np.arange(len(time)) // (24 * 12)) % 2, 16.0, 10.0)[:, None]  # two regimes in turn
    values = level + np.random.default_rng(3).normal(size=(len(time), 2))
    return InMemoryHistory({"d": xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"})},
                                     {"time": time, "node": ["a", "b"], "known_time": ("time", time + HOUR)},
                                     {"domain": "d", "kind": "sensor", "step": "1h"})})


def _loop(history: InMemoryHistory, name: str, *, calibrates: bool) -> tuple[Loop, np.datetime64]:
    time = history.recorded("d").panel["time"].values
    watched = ForecastTask("d", ("a", "b"), Request("x", np.datetime64("NaT", "ns"), 6, HOUR), 6 * HOUR, 2 * DAY,
                           6 * HOUR)
    residuals = np.random.default_rng(4).normal(size=(24 * 30, 2))
    policy, beginning = Policy(name, EveryThree(), calibrates, None), ServiceInit(Constant(10.0), time[:720], residuals)
    return serve(watched, policy, beginning, "base", time[720], false_alarms_per_month=0.5, cooldown=30 * DAY,
                 seed=0), time[720]


@pytest.mark.parametrize("calibrates", [False, True])
def test_the_oracle_is_the_best_of_all_versions_for_each_forecast(history: InMemoryHistory, calibrates: bool) -> None:
    outcomes, oracle = [], Oracle()
    for name, seen in (("ladder", None), (ORACLE, oracle)):
        loop, start = _loop(history, name, calibrates=calibrates)
        outcomes.append(replay(loop, history, start, start + 55 * DAY, Executor(FineTune(), {"newest": Newest()}),
                               oracle=seen))
    ladder, best = (one.scores.set_index(["issue_time", "node"]) for one in outcomes)
    assert ladder.index.equals(best.index)
    by_issue = [scores.groupby("issue_time")["crps"].mean() for scores in (ladder, best)]
    assert (by_issue[1] <= by_issue[0] + 1e-12).all() and by_issue[1].mean() < 0.9 * by_issue[0].mean()
    rows = [one.row() for one in outcomes]
    assert "attainable" not in rows[0] and rows[1]["attainable"] is False and "not attainable" in rows[1]["method"]
    assert [one.adaptations for one in outcomes] == [18, 18]  # it changes nothing of what it looks at
    assert len(oracle.shadows) == MOST and oracle.shadows[0].version == "base"
    if not calibrates:  # nor worse than any one version that was there all the time, scored by itself
        issues = list(best.index.get_level_values("issue_time").unique())
        alone = hindcast(Constant(10.0), "base", loop.watched, history, issues, start + 60 * DAY)
        assert all(by_issue[1][score.issue_time] <= score.crps.mean() + 1e-12 for score in alone)


def test_what_it_costs_is_bounded(history: InMemoryHistory) -> None:
    loop, start = _loop(history, ORACLE, calibrates=False)
    oracle = Oracle()
    for moment in clock(history, start, start + 4 * DAY, 6 * HOUR):
        tick = loop.tick(moment)
        oracle.after(loop, moment, tick.scores)
        loop.adaptation_request = None
    assert len(oracle.shadows) == 1 and len(oracle.shadows[0].open) <= 4
