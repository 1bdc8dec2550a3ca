"""The loop's one step, the same code live and in replay: mature, score, monitor, decide, forecast.

``Loop.tick(moment)`` reads only through the moment. What it wants done to models (fine-tune, promote) it says in
the ``Tick``; training happens in ``adapt.rungs`` and storing in ``flows``, so that the loop itself can be saved
to a few arrays, killed, and continued to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from terracast.adapt.candidate import Candidate, Score
from terracast.adapt.clock import Moment
from terracast.adapt.data_faults.data_faults import DataFaults
from terracast.adapt.deployment import Deployment
from terracast.adapt.growth import grow
from terracast.adapt.held_back import hold_back, released
from terracast.adapt.learning_monitor import LearningMonitor
from terracast.adapt.monitoring.diagnosis.units import DataUnits
from terracast.adapt.monitoring.episodes.episodes import Episode, Episodes
from terracast.adapt.monitoring.monitor import Evidence, Monitor
from terracast.adapt.observation import PendingEvidence, context_of, evidence_of, take_due
from terracast.adapt.promotion.approval import ApprovalNews, Approvals
from terracast.adapt.promotion.attempts import AttemptLog
from terracast.adapt.promotion.policy import AdaptationRequest, Policy
from terracast.adapt.promotion.verdict import Verdict
from terracast.adapt.task import ForecastTask
from terracast.stfm.forecaster import Forecaster
from terracast.streams.instant import instant
from terracast.streams.stateful import Stateful


@dataclass(frozen=True)
class Tick:
    """What one step did: the forecast served, scores of forecasts that closed, episodes that opened or changed,
    an act wished for, the gate's verdict if it reached one, and what is news of approvals."""

    now: np.datetime64
    forecast: xr.Dataset
    scores: tuple[Score, ...]
    episodes: tuple[Episode, ...]
    act: AdaptationRequest | None
    verdict: Verdict | None
    approvals: tuple[ApprovalNews, ...] = ()


class Loop(Stateful):
    """The state of one watched stream between ticks. ``adapt.initialise.serve`` makes one as service begins with it.

    A state has no models, which are found again by their version, nor what the settings say: see ``resume``.

    Parameters
    ----------
    watched : ForecastTask
        What is forecast, where, how often and from how much past.
    policy : Policy
        When the loop asks for an adaptation, and what a new version must show.
    champion : Candidate
        The version in service, with its corrections.
    monitor : Monitor or LearningMonitor
        Fitted on residuals of the past that the champion had not seen; one that still learns where the past is short.
    episodes : Episodes
        What evidence folds into.
    started : datetime64
        When service began.
    """

    NOT_KEPT = frozenset({"policy", "silent"})

    def __init__(self, watched: ForecastTask, policy: Policy, champion: Candidate, monitor: Monitor | LearningMonitor,
                 episodes: Episodes, started: np.datetime64) -> None:
        self.watched, self.policy, self.monitor, self.episodes = watched, policy, monitor, episodes
        self.deployment = Deployment(champion, policy.gate)
        self.faults: DataFaults | None = None
        self.episodes_by_id: dict[str, Episode] = {}
        self.adaptation_request: AdaptationRequest | None = None
        self.last_act = instant(started)
        self.last_tick: np.datetime64 | None = None
        self.attempt_log, self.approvals = AttemptLog(policy), Approvals(policy.approval)
        self._pending_evidence: list[PendingEvidence] = []
        self.young: LearningMonitor | None = None  # goes on learning for a monitor that few blocks calibrated
        self.still_learning = monitor.status["error"] if isinstance(monitor, LearningMonitor) else None  # for status
        self.units = DataUnits(np.full(len(watched.nodes), np.nan))
        self.silent: frozenset[str] = frozenset()  # nodes whose silence was told from outside: not told again

    @classmethod
    def resume(cls, state: Mapping[str, Any], watched: ForecastTask, policy: Policy,
               model: Callable[[str], Forecaster]) -> Loop:
        """The loop as it was when ``state`` was taken; ``model`` finds a forecaster by version."""
        loop = cls.restore(state)
        loop.watched, loop.policy, loop.silent, loop.attempt_log.policy = watched, policy, frozenset(), policy
        loop.approvals.rule = policy.approval
        loop.deployment.equipped(policy.gate, watched.request, model)
        return loop

    def tick(self, moment: Moment) -> Tick:
        """One step at ``moment``; call with rising moments, one cadence apart."""
        needed = [moment.now - self.watched.history, *self.deployment.open_issues,
                  *(one.issue_time for one in self._pending_evidence)]
        panel = self.watched.panel(moment, min(needed))
        labels = panel[self.watched.request.target]
        scores, verdict = self.deployment.update(moment.now, labels, self.watched.label_timeout, self.approvals)
        self.attempt_log.closed(scores)
        changed = self._monitor(moment, labels, panel)
        if verdict is not None:
            self._tell(moment.now, verdict)
        act = self._request(moment.now)
        grow(self, moment)
        panel, beside = self.watched.recent(panel, moment.now), self.covariates(moment)
        forecast = self.champion.issue(panel, moment.now, shadow=False, beside=beside)
        forecast = forecast.assign_coords(newest=("issue_time", [_newest(panel, self.watched.request.target)]))
        for one in self.deployment.shadows:
            one.issue(panel, moment.now, shadow=True, beside=beside)
        short = max(1, int(self.watched.cadence / self.watched.request.step))
        newest = self.champion.open[-1]
        self._pending_evidence.append(PendingEvidence(moment.now, newest.raw[:short], newest.served[:short],
                                                      context_of(self, panel)))
        self.last_tick = moment.now
        return Tick(moment.now, forecast, tuple(scores), changed, act, verdict, self.approvals.take_news())

    def take_in(self, now: np.datetime64, evidence: Sequence[Evidence]) -> tuple[Episode, ...]:
        """Fold evidence that was found outside the loop, such as a source that is silent; the episodes it changed."""
        changed = self.episodes.fold(now, evidence)
        self.episodes_by_id |= {episode.id: episode for episode in changed}
        return changed

    @property
    def reach(self) -> np.timedelta64:
        """How far back before its instant a tick may read."""
        watched = self.watched
        return max(watched.history, watched.request.leads[-1] + watched.label_timeout + 3 * watched.cadence)

    def covariates(self, moment: Moment) -> xr.DataArray | None:
        """What the mixture in service reads beside the target, as known at the moment; None without a mixture."""
        if self.champion.mixture is None:
            return None
        return self.watched.covariates(moment, moment.now - self.watched.history)

    @property
    def champion(self) -> Candidate:
        """The version in service."""
        return self.deployment.champion

    @property
    def challenger(self) -> Candidate | None:
        """The version on trial."""
        return None if self.deployment.trial is None else self.deployment.trial.challenger

    def _monitor(self, moment: Moment, labels: xr.DataArray, panel: xr.Dataset) -> tuple[Episode, ...]:
        """Feed what short leads show, once it is known of all or a cadence after it was due, when usual lateness is
        over; and what is flagged of the data."""
        now, flags = moment.now, {domain: moment.flags(domain) for domain in moment.domains}
        due, self._pending_evidence = take_due(self._pending_evidence, now, labels, self.watched)
        evidence = evidence_of(self, due, moment, labels, flags)
        evidence += [] if self.faults is None else self.faults.update(now, panel, flags)
        return self.take_in(now, [one for one in evidence if not (
            one.ticket in ("outage", "silent") and self.silent.issuperset(one.nodes))])

    def act_on(self, episode_id: str | None, text: str) -> None:
        """Say what was done about an episode, open or closed since: the third sentence of its alarm."""
        if episode_id is None or episode_id not in self.episodes_by_id:
            return
        if any(one.id == episode_id for one in self.episodes.active()):
            self.episodes_by_id[episode_id] = self.episodes.act(episode_id, text)
        else:
            self.episodes_by_id[episode_id] = self.episodes_by_id[episode_id].with_action(text)

    def _tell(self, now: np.datetime64, verdict: Verdict) -> None:
        """Say what was decided on a version where its episode and its receipt are read."""
        self.act_on(verdict.act.episode, verdict.sentence)
        self.attempt_log.decided(verdict.act, verdict.outcome, now, verdict.decision.reason)
        if verdict.outcome != "rejected":
            self.monitor.restart()

    def _request(self, now: np.datetime64) -> AdaptationRequest | None:
        if self.deployment.trial is not None or self.adaptation_request is not None:
            return None
        if self.approvals.waiting is not None:
            act = released(self, now)
        else:
            delay, episodes = self.watched.request.leads[-1] + self.watched.cadence, self.episodes.active()
            act = self.policy.trigger.due(now, self.last_act, episodes) or self.attempt_log.due(now, episodes, delay)
            if act is not None and self.approvals.rule.of_adaptations:
                self.last_act = now
                hold_back(self, act)
                return None
        if act is not None:
            self.last_act, self.adaptation_request = now, act
        return act


def _newest(panel: xr.Dataset, target: str) -> np.datetime64:
    """The stamp of the newest value in a context, NaT where there is none."""
    rows = np.flatnonzero(np.isfinite(panel[target].transpose("time", "node").values).any(axis=1))
    return np.datetime64(panel["time"].values[rows[-1]] if len(rows) else "NaT", "ns")
