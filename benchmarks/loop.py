"""Bench of the loop: every policy over one history, beside seasonal naive, in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from terracast.adapt.evaluation.oracle import ORACLE, Oracle
from terracast.adapt.evaluation.replay import ReplayOutcome
from terracast.adapt.evaluation.replay import replay as run
from terracast.adapt.initialise import ServiceInit, serve
from terracast.adapt.loop import Loop
from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.adapt.promotion.executor import Executor
from terracast.adapt.promotion.policy import DEFAULT, Policy
from terracast.adapt.task import ForecastTask
from terracast.stfm.best_season import NAMES, BestSeason, usual
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.bitemporal import History

NAIVE = "seasonal-naive"


@dataclass(frozen=True)
class LoopBench:
    """One protocol: the same beginning, history and issue times for every policy."""

    history: History
    watched: ForecastTask
    beginning: ServiceInit
    maker: Callable[[], Executor]
    start: np.datetime64
    stop: np.datetime64
    false_alarms_per_month: float
    cooldown: np.timedelta64
    seed: int
    detector: str = "scan"

    def outcomes(self, policies: Mapping[str, Policy], names: Iterable[str],
                 progress: Callable[[int], None]) -> list[ReplayOutcome]:
        """The plain baselines, then each policy named; ``oracle`` is the best, known afterwards, of all versions that
        the ladder made."""
        rivals = [(replace(policies["frozen"], name=name), replace(self.beginning, base=naive))
                  for name, naive in self.baselines.items()]
        known = {**policies, "oracle": replace(policies["ladder"], name=ORACLE)} if "ladder" in policies else policies
        rivals += [(known[name], self.beginning) for name in names]
        outcomes = []
        for policy, beginning in rivals:
            loop = replace(self, watched=self._seen_by(policy.name), beginning=beginning).service(policy)
            oracle = Oracle() if policy.name == ORACLE else None
            outcomes.append(run(loop, self.history, self.start, self.stop, self.maker(), progress, oracle,
                                self.watched))
        return outcomes

    def service(self, policy: Policy) -> Loop:
        """The loop as service begins with it under a policy."""
        return serve(self.watched, policy, self.beginning, "base", self.start,
                     false_alarms_per_month=self.false_alarms_per_month, cooldown=self.cooldown, seed=self.seed,
                     detector=self.detector)

    @cached_property
    def baselines(self) -> dict[str, SeasonalNaive | BestSeason]:
        """Seasonal naive by the season that was best for each node up to the start, last value (a season of one step),
        and, where the best differs from it, the usual season."""
        request = self.watched.request.at(self.start)
        last = SeasonalNaive(pd.Timedelta(request.step))
        if self.beginning.known is None:
            return {NAIVE: SeasonalNaive(), "last-value": last}
        best, shortest = BestSeason.chosen(self.beginning.known, request), usual(pd.Timedelta(request.step))
        found: dict[str, SeasonalNaive | BestSeason] = {NAIVE: best, "last-value": last}
        if set(best.by_node.values()) - {shortest}:
            found[f"{NAIVE}-{NAMES.get(shortest, 'usual')}"] = SeasonalNaive()
        return found

    def _seen_by(self, name: str) -> ForecastTask:
        """What is watched, with enough of the past for the longest season in use."""
        rule = self.baselines.get(name)
        if not isinstance(rule, BestSeason):
            return self.watched
        return replace(self.watched, history=max(self.watched.history, rule.past(self.watched.request)))

    def _seasons(self) -> str | None:
        """The seasons of the rule, in words."""
        rule = self.baselines[NAIVE]
        return rule.in_words() if isinstance(rule, BestSeason) else None

    def protocol(self) -> dict[str, Any]:
        """What was asked, so that another can repeat it."""
        request = self.watched.request
        target = self.beginning.known
        units = "unknown" if target is None else str(target.attrs.get("units", "unknown"))
        return {"target": f"{self.watched.domain}.{request.target}", "units": units, "nodes": len(self.watched.nodes),
                "horizon": str(pd.Timedelta(request.leads[-1])), "cadence": str(pd.Timedelta(self.watched.cadence)),
                "start": str(self.start), "stop": str(self.stop), "seasons": self._seasons(),
                "drivers": {domain: list(names) for domain, names in self.watched.drivers.items()},
                "false_alarms_per_month": self.false_alarms_per_month, "detector": self.detector}


def answer(bench: LoopBench, data: str, outcomes: list[ReplayOutcome], command: str) -> dict[str, Any]:
    """The bench's one form: bench, data, protocol, rows, summary, command. Our default is the row ``terracast``,
    or the loop where that was not replayed."""
    rows = [outcome.row() | {"episodes": [_episode_row(one) for one in outcome.episodes]} for outcome in outcomes]
    own = next((name for name in (DEFAULT, "loop") if any(row["method"] == name for row in rows)), None)
    for row in rows:
        row["policy"], row["method"] = row["method"], "terracast" if row["method"] == own else row["method"]
    by_name = {str(row["policy"]): row for row in rows}
    summary: dict[str, Any] = {"issue_times": len(outcomes[0].scores["issue_time"].unique())}
    if own is not None:
        for name, row in by_name.items():
            if name != own:
                summary[f"mae_ratio_to_{name}"] = _ratio(by_name[own]["mae"], row["mae"])
        if "frozen" in by_name:
            summary["worst_node_ratio"] = worst_node_ratio(outcomes, own)
    return {"bench": "loop", "data": data, "protocol": bench.protocol(), "rows": rows, "summary": summary,
            "command": command}


def _episode_row(episode: Episode) -> dict[str, Any]:
    """An alarm as a program reads it; ``start``: since when the change seems to be, ``alarm``: what and where."""
    return episode.to_json() | {"sort": episode.change_type, "start": str(np.datetime_as_string(episode.since, "s")),
                                "alarm": f"{episode.alarm.what} {episode.alarm.where}"}


def worst_node_ratio(outcomes: list[ReplayOutcome], policy: str) -> float | None:
    """The largest ratio over nodes of a policy's error to frozen's: promise 2 asks for at most 1.01."""
    error = {outcome.policy: _node_errors(outcome.scores) for outcome in outcomes}
    ratios = [_ratio(one, frozen) for one, frozen in zip(error[policy], error["frozen"], strict=True)]
    return max((one for one in ratios if one is not None and np.isfinite(one)), default=None)


def _ratio(error: float, other: float) -> float | None:
    """How many times the other error; two that are both none are equal, and nothing can be said beside none.

    >>> _ratio(1.0, 2.0), _ratio(0.0, 0.0), _ratio(1.0, 0.0)
    (0.5, 1.0, None)
    """
    return error / other if other else None if error else 1.0


def _node_errors(scores: pd.DataFrame) -> pd.Series:
    weighted = scores.assign(total=scores["absolute_error"].fillna(0.0) * scores["labels"])
    sums = weighted.groupby("node")[["total", "labels"]].sum()
    return sums["total"] / sums["labels"]
