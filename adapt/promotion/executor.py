"""Carries out an act with the rung that it names, the same live and in replay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from terracast.adapt.clock import Moment
from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.adapt.promotion.paired_gate import Decision
from terracast.adapt.promotion.policy import AdaptationRequest
from terracast.adapt.promotion.retention import MOST, SPAN
from terracast.adapt.promotion.version_history import ROWS, VersionHistory
from terracast.adapt.rungs.fine_tune import WINDOW, FineTune
from terracast.adapt.rungs.recall import Recall
from terracast.adapt.rungs.rung import Receipt, Rung, attempt
from terracast.adapt.rungs.under_correction import UnderCorrection
from terracast.adapt.task import ForecastTask
from terracast.stfm.forecaster import Forecaster

# Horizons (days, where the horizon is shorter) of labels that a rung is shown. A fifth of them judges; the ladder waits
# for 4 at least (``rungs.usual``), so that whatever judges is from after the change.
LEAST = 16


@dataclass(frozen=True)
class Made:
    """What an act came to: a forecaster worth a trial, or None; the receipt either way. ``parent``: the version that it
    continues, where that is not the one in service."""

    forecaster: Forecaster | None
    receipt: Receipt
    parent: str | None = None


@dataclass
class Executor:
    """``rungs`` by name; acts of other names are carried out by ``fine_tune``. ``receipts`` holds what each rung told;
    ``versions`` the models that a replay made, by name; ``past`` what is remembered.

    A rung that fails, explodes or does not help on held-back pairs makes nothing, and service goes on.
    """

    fine_tune: FineTune
    rungs: Mapping[str, Rung]
    receipts: list[Receipt] = field(default_factory=list)
    past: VersionHistory = field(default_factory=VersionHistory)
    versions: dict[str, Forecaster] = field(default_factory=dict)

    def make(self, model: Forecaster, watched: ForecastTask, moment: Moment, act: AdaptationRequest,
             serving: str = "base") -> Made:
        """What the rung proposes, from what is known at ``moment``, for ``model``, which is the version ``serving``."""
        self.past.regimes.base = self.past.regimes.base or serving
        rung = self.rungs.get(act.rung) or replace(self.fine_tune, name=act.rung, seed=act.seed)
        if isinstance(rung, Recall):
            rung.serving = serving
        elif act.rung != "retrain":
            rung = UnderCorrection(rung, self.rungs)
        panel = watched.panel(moment, moment.now - self.window(act, watched) - watched.history)
        adapted = attempt(rung, model, panel, watched.request.at(moment.now))
        self.receipts.append(adapted.receipt)
        recalled = self.rungs.get(act.rung)
        parent = recalled.chosen if adapted.kept and isinstance(recalled, Recall) else None
        return Made(adapted.forecaster if adapted.kept else None, adapted.receipt, parent)

    def window(self, act: AdaptationRequest, watched: ForecastTask) -> np.timedelta64:
        """How much of the past a rung is shown: its own window, else what came since the change and a quarter more, at
        least ``LEAST`` horizons and at most what a fine-tune learns from."""
        rung, most = self.rungs.get(act.rung), self.newest
        if rung is None or hasattr(rung, "window"):
            return getattr(rung, "window", None) or most
        unit = max(watched.request.leads[-1], np.timedelta64(1, "D").astype("timedelta64[ns]"))
        age = act.asked - (act.asked if act.since is None else act.since)
        return min(max(age + age // 4, LEAST * unit), max(most, LEAST * unit))

    @property
    def newest(self) -> np.timedelta64:
        """How much of the past a newcomer is made for: what lies before it counts as earlier."""
        return self.fine_tune.window or WINDOW

    def seed(self, act: AdaptationRequest) -> int:
        """The seed that an act is carried out with."""
        return int(getattr(self.rungs[act.rung], "seed", 0)) if act.rung in self.rungs else act.seed

    def reach(self, act: AdaptationRequest, watched: ForecastTask, *, earlier: bool) -> np.timedelta64:
        """How far back before the act anything here reads."""
        found = max(self.window(act, watched), ROWS * watched.request.step)
        return max(found, (MOST + 1) * SPAN if earlier else found) + watched.history

    def refusal(self, champion: Forecaster, newcomer: Forecaster, watched: ForecastTask, moment: Moment,
                episodes: Iterable[Episode]) -> Decision | None:
        """Why the newcomer may not even be tried: it forgot earlier times. None where nothing speaks against it."""
        earlier = self.past.earlier
        since = moment.now - (MOST + 1) * SPAN
        times = watched.labels(moment, since)["time"].values
        earlier.extend(times, moment.now - self.newest, watched.request.leads[-1], tuple(episodes))
        if len(earlier.held) < 2:
            return None
        return earlier.decide(*earlier.losses((champion, newcomer), watched, moment))

    def remember(self, act: AdaptationRequest, version: str, watched: ForecastTask, moment: Moment,
                 serving: str = "base") -> None:
        """A version was made by the act while ``serving`` served; what was only recalled is remembered already."""
        self.past.regimes.base = self.past.regimes.base or serving
        if act.rung != Recall.name:
            self.past.remember(version, watched, moment)
