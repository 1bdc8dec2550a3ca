"""Replay: a policy run over history as if live, and what it would have cost and earned."""

from __future__ import annotations

import time as stopwatch
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from adapt.clock import Moment, clock
from adapt.contender import Score
from adapt.guard.policy import Act
from adapt.loop import Loop, Verdict, Watched
from adapt.monitoring.episodes import Episode
from stfm.forecaster import Forecaster
from streams.known import History


class Maker(Protocol):
    """Carries out an act: ``FineTune``, or a ``RungMaker``."""

    def make(self, model: Forecaster, watched: Watched, moment: Moment, act: Act) -> Forecaster | None:
        """The new version, from what is known at ``moment``; None where there is none worth a trial."""
        ...


@dataclass(frozen=True)
class Outcome:
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
                "compute_seconds": self.seconds}


def replay(loop: Loop, history: History, start: np.datetime64, stop: np.datetime64, fine_tune: Maker,
           progress: Callable[[int], None] = lambda ticks: None) -> Outcome:
    """Run ``loop`` from ``start`` to ``stop`` over ``history``; versions live in memory. Leak-free by the clock."""
    began = stopwatch.process_time()
    scores: list[Score] = []
    verdicts: list[Verdict] = []
    adaptations = promotions = 0
    for moment in clock(history, start, stop, loop.watched.cadence):
        tick = loop.tick(moment)
        scores += tick.scores
        if tick.verdict is not None:
            verdicts.append(tick.verdict)
            promotions += tick.verdict.decision.verdict == "accept"
        if tick.act is not None:
            adaptations += 1
            model = fine_tune.make(loop.champion.model, loop.watched, moment, tick.act)
            if model is None:
                loop.decline(tick.act, "it did not help on held-back labels")
            else:
                loop.admit(tick.act, tick.act.key, model)
                promotions += loop.policy.gate is None
        progress(1)
    return Outcome(loop.policy.name, score_table(scores, loop.watched.nodes), tuple(loop.told.values()),
                   tuple(verdicts), adaptations, promotions, stopwatch.process_time() - began)


def score_table(scores: list[Score], nodes: tuple[str, ...]) -> pd.DataFrame:
    """Scores as a long table, one row per (issue_time, node)."""
    frames = [pd.DataFrame({"issue_time": score.issue_time, "node": list(nodes), "version": score.version,
                            "absolute_error": score.absolute_error, "crps": score.crps, "hits": score.hits,
                            "last_hit": score.last_hit, "labels": score.labels}) for score in scores]
    columns = ["issue_time", "node", "version", "absolute_error", "crps", "hits", "last_hit", "labels"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
