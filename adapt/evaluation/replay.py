"""Replay: a policy run over history as if live, and what it would have cost and earned."""

from __future__ import annotations

import time as stopwatch
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from terracast.adapt.admission import InMemory, examine, settle
from terracast.adapt.arrivals import sees_enough
from terracast.adapt.candidate import Score
from terracast.adapt.clock import clock
from terracast.adapt.evaluation.oracle import ORACLE, Oracle
from terracast.adapt.loop import Loop
from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.adapt.promotion.executor import Executor
from terracast.adapt.promotion.verdict import Verdict
from terracast.adapt.task import ForecastTask
from terracast.streams.bitemporal import History
from terracast.streams.quality.online import Screened


@dataclass(frozen=True)
class ReplayOutcome:
    """What a policy did over a replay.

    ``scores``: a row per (issue_time, node) with absolute_error, crps, hits, last_hit, labels, version.
    ``adaptations`` counts trainings, ``promotions`` versions that came to serve; ``seconds`` is this process's
    compute time.
    """

    policy: str
    scores: pd.DataFrame
    episodes: tuple[Episode, ...]
    verdicts: tuple[Verdict, ...]
    adaptations: int
    promotions: int
    seconds: float

    def row(self) -> dict[str, Any]:
        """One line of the policy table; means weighted by the labels that came."""
        weight = self.scores["labels"]
        mean = {name: float((self.scores[name] * weight).sum() / weight.sum())
                for name in ("absolute_error", "crps", "hits")}
        return {"method": self.policy, "mae": mean["absolute_error"], "crps": mean["crps"],
                "coverage80": mean["hits"], "coverage80_last_lead": float(self.scores["last_hit"].mean()),
                "alarms": len(self.episodes), "adaptations": self.adaptations, "promotions": self.promotions,
                "compute_seconds": self.seconds} | ({"attainable": False} if self.policy == ORACLE else {})


def replay(loop: Loop, history: History, start: np.datetime64, stop: np.datetime64, maker: Executor,
           progress: Callable[[int], None] = lambda ticks: None, oracle: Oracle | None = None,
           sees: ForecastTask | None = None) -> ReplayOutcome:
    """Run ``loop`` over a recorded history as it would have run live; versions live in memory.

    Leak-free: every step reads what was known at its instant (``adapt.clock``). ``terracast replay`` is this, for each
    policy.

    Parameters
    ----------
    loop : Loop
        As service would begin with it; it is used up.
    history : History
        Panels with the time from which each value was known.
    start, stop : datetime64
        First and last step, both included.
    maker : Executor
        What carries out the loop's adaptation requests.
    progress : callable, optional
        Told 1 at every step.
    oracle : Oracle, optional
        Scores are then those of the oracle, which no policy can reach.
    sees : ForecastTask, optional
        Where the past that it looks back to holds next to nothing, no forecast is issued (default: what the loop
        watches): policies that look back differently are compared at the same instants.

    Returns
    -------
    ReplayOutcome
        Scores by issue and node, episodes, verdicts, and seconds of computing.
    """
    began = stopwatch.process_time()
    maker.versions[loop.champion.version] = loop.champion.model
    versions = InMemory(maker.versions)
    scores: list[Score] = []
    verdicts: list[Verdict] = []
    adaptations = promotions = 0
    watched = sees or loop.watched
    heard = _stamps(history, watched, stop)
    for moment in clock(history, start, stop, loop.watched.cadence):
        progress(1)
        if not _any_within(heard, moment.now, watched.history):
            continue
        if isinstance(history, Screened):
            history.advance(moment.now)
        if not sees_enough(moment, watched):
            continue
        tick = loop.tick(moment)
        scores += tick.scores if oracle is None else oracle.after(loop, moment, tick.scores)
        if tick.verdict is not None:
            verdicts.append(tick.verdict)
            promotions += tick.verdict.decision.verdict == "accept"
        if tick.act is not None:
            adaptations += 1
            admission = examine(tick.act, loop, moment, maker, versions)
            refused = settle(admission, loop)
            verdicts += [] if refused is None else [refused]
            promotions += admission.admitted and loop.policy.gate is None
    return ReplayOutcome(loop.policy.name, score_table(scores, loop.watched.nodes), tuple(loop.episodes_by_id.values()),
                         tuple(verdicts), adaptations, promotions, stopwatch.process_time() - began)


def _stamps(history: History, watched: ForecastTask, stop: np.datetime64) -> np.ndarray:
    """Stamps with any value at all: by them alone long silences are passed over, never what is known when."""
    panel = history.as_known_at(watched.domain, stop)
    if watched.request.target not in panel:
        return np.zeros(0, "datetime64[ns]")
    return np.asarray(panel["time"].values[panel[watched.request.target].notnull().any("node").values])


def _any_within(stamps: np.ndarray, now: np.datetime64, history: np.timedelta64) -> bool:
    first, last = np.searchsorted(stamps, [now - history, now], side="right")
    return bool(last > first or (first > 0 and stamps[first - 1] == now - history))


def score_table(scores: list[Score], nodes: tuple[str, ...]) -> pd.DataFrame:
    """Scores as a long table, one row per (issue_time, node)."""
    frames = [pd.DataFrame({"issue_time": score.issue_time, "node": list(nodes), "version": score.version,
                            "absolute_error": score.absolute_error, "crps": score.crps, "hits": score.hits,
                            "last_hit": score.last_hit, "labels": score.labels}) for score in scores]
    columns = ["issue_time", "node", "version", "absolute_error", "crps", "hits", "last_hit", "labels"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
