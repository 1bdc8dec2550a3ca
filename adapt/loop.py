"""The loop's one step, the same code live and in replay: mature, score, monitor, decide, forecast.

``Loop.tick(moment)`` reads only through the moment. What it wants done to models (fine-tune, promote) it says in
the ``Tick``; training happens in ``adapt.fine_tune`` and storing in ``flows``, so that the loop itself can be saved
to a few arrays, killed, and continued to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from adapt.calibration import OutputCalibration
from adapt.clock import Moment
from adapt.contender import Contender, Score, open_forecasts, rows_at
from adapt.guard.betting_gate import BettingGate
from adapt.guard.climbing import Climbing
from adapt.guard.gate import Decision
from adapt.guard.policy import Act, Policy
from adapt.mixing.earned import Earned
from adapt.mixing.mixture import Mixture
from adapt.monitoring.data_faults import DataFaults
from adapt.monitoring.episodes import Episode, Episodes
from adapt.monitoring.monitor import Evidence, Monitor
from adapt.monitoring.surroundings import features
from adapt.scores import pit, residual
from adapt.stacking import Stacking
from adapt.watched import Watched
from stfm.forecaster import Forecaster, Request
from streams.instant import instant

PROBATION = 56  # blocks of a horizon during which a new champion may be rolled back


@dataclass(frozen=True)
class Unwatched:
    """A forecast that the monitor has not seen yet, its short leads (lead, node, quantile): the model's own ``raw`` and
    the ``served``; and the features (feature, node) of its context (None: not watched)."""

    issue_time: np.datetime64
    raw: np.ndarray
    served: np.ndarray | None
    context: np.ndarray | None

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Unwatched:
        """What was saved; one from before intervals and context were watched has neither."""
        return cls(instant(str(state["issue_time"])), state["raw"], state.get("served"), state.get("context"))


@dataclass(frozen=True)
class Verdict:
    """The gate's answer on a challenger, and which version it would replace; of a ``rollback``: the version taken out
    of service as ``challenger``, and as ``champion`` the one that serves again."""

    act: Act
    champion: str
    challenger: str
    decision: Decision


@dataclass(frozen=True)
class Tick:
    """What one step did: the forecast served, scores of forecasts that closed, episodes that opened or changed,
    an act wished for, and the gate's verdict if it reached one."""

    now: np.datetime64
    forecast: xr.Dataset
    scores: tuple[Score, ...]
    episodes: tuple[Episode, ...]
    act: Act | None
    verdict: Verdict | None


class Loop:
    """The state of one watched stream between ticks."""

    def __init__(self, watched: Watched, policy: Policy, champion: Contender, monitor: Monitor, episodes: Episodes,
                 started: np.datetime64) -> None:
        self.watched, self.policy, self.champion = watched, policy, champion
        self.monitor, self.episodes = monitor, episodes
        self.faults: DataFaults | None = None
        self.challenger: Contender | None = None
        self.retired: list[Contender] = []
        self.told: dict[str, Episode] = {}
        self.act: Act | None = None
        self.wish: Act | None = None
        self.last_act = instant(started)
        self.last_tick: np.datetime64 | None = None
        self.fallback: Contender | None = None
        self.promoted: Act | None = None
        self._paired: list[tuple[np.ndarray, np.ndarray]] = []
        self._served: list[tuple[np.ndarray, np.ndarray]] = []
        self.climbing = Climbing(policy)
        self._unwatched: list[Unwatched] = []
        self.silent: frozenset[str] = frozenset()  # nodes whose silence was told from outside: not told again

    def tick(self, moment: Moment) -> Tick:
        """One step at ``moment``; call with rising moments, one cadence apart."""
        begin = moment.now - self.watched.history
        panel = self.watched.panel(moment, min(begin, self._oldest(moment.now)))
        labels = panel[self.watched.request.target]
        scores = self._mature(moment.now, labels)
        changed = self._monitor(moment, labels, panel)
        verdict = self._roll_back(moment.now) or self._judge(moment.now)
        act = self._wish(moment.now)
        panel = self.watched.recent(panel, moment.now)
        beside = self.company(moment)
        forecast = self.champion.issue(panel, moment.now, shadow=False, beside=beside)
        forecast = forecast.assign_coords(newest=("issue_time", [_newest(panel, self.watched.request.target)]))
        if self.challenger is not None:
            self.challenger.issue(panel, moment.now, shadow=True, beside=beside)
        if self.fallback is not None:
            self.fallback.issue(panel, moment.now, shadow=True, beside=beside)
        short = max(1, int(self.watched.cadence / self.watched.request.step))
        newest, variables = self.champion.open[-1], self.monitor.variables
        self._unwatched.append(Unwatched(moment.now, newest.raw[:short], newest.served[:short],
                                         features(panel, variables) if variables else None))
        self.last_tick = moment.now
        return Tick(moment.now, forecast, tuple(scores), changed, act, verdict)

    def take_in(self, now: np.datetime64, evidence: Sequence[Evidence]) -> tuple[Episode, ...]:
        """Fold evidence that was found outside the loop, such as a source that is silent; the episodes it changed."""
        changed = self.episodes.fold(now, evidence)
        self.told |= {episode.id: episode for episode in changed}
        return changed

    @property
    def reach(self) -> np.timedelta64:
        """How far back before its instant a tick may read."""
        watched = self.watched
        return max(watched.history, watched.request.leads[-1] + watched.patience + 3 * watched.cadence)

    def company(self, moment: Moment) -> xr.DataArray | None:
        """What the mixture in service reads beside the target, as known at the moment; None without a mixture."""
        if self.champion.mixture is None:
            return None
        return self.watched.company(moment, moment.now - self.watched.history)

    def admit(self, act: Act, version: str, model: Forecaster) -> None:
        """Take in the version that an act made: a challenger behind the gate, or the new champion without one.

        The newcomer inherits the champion's corrections as they stand and learns its own from here on.
        """
        self.wish = None
        self.climbing.acted(act, "accepted" if self.policy.gate is None else "trial", version)
        if self.policy.gate is None:
            self.act_on(act.episode, f"Version {version}, trained for it, serves instead of {self.champion.version}")
            self.champion.version, self.champion.model = version, model
            self.monitor.restart()
            return
        self.act_on(act.episode, f"Version {version} was trained for it and forecasts beside the champion until the "
                                  "gate decides")
        self.challenger = self.champion.heir(version, model)
        self.act, self._paired = act, []

    def decline(self, act: Act, why: str) -> None:
        """An act made nothing worth a trial: service goes on as it was, and the episode says why."""
        self.wish = None
        self.climbing.acted(act, "dropped", told=why)
        self.act_on(act.episode, f"Rung {act.rung} was tried for it and dropped: {why}")

    def refuse(self, act: Act, version: str, decision: Decision) -> Verdict:
        """The version that an act made does not even get a trial, for the reason given."""
        self.wish = None
        self.climbing.acted(act, "rejected", version, decision.reason)
        self.act_on(act.episode, f"Version {version}, trained for it, did not replace version "
                                  f"{self.champion.version}: {decision.reason}")
        return Verdict(act, self.champion.version, version, decision)

    def _oldest(self, now: np.datetime64) -> np.datetime64:
        contenders = [*self.retired, self.champion, *([] if self.fallback is None else [self.fallback])]
        times = [one.issue_time for contender in contenders for one in contender.open]
        return min(times + [one.issue_time for one in self._unwatched], default=now)

    def _mature(self, now: np.datetime64, labels: xr.DataArray) -> list[Score]:
        """Scores of what was served; a retired champion is kept until its last served forecast has closed."""
        contenders = [*self.retired, self.champion]
        scores = [score for one in contenders for score in one.mature(now, labels, self.watched.patience)]
        self.retired = [one for one in self.retired if one.open]
        if self.challenger is not None:
            mine = {score.issue_time: score for score in scores}
            for score in self.challenger.mature(now, labels, self.watched.patience):
                if score.issue_time in mine:
                    self._paired.append((mine[score.issue_time].crps, score.crps))
        if self.fallback is not None:
            now_serving = {score.issue_time: score for score in scores if score.version == self.champion.version}
            for score in self.fallback.mature(now, labels, self.watched.patience):
                if not score.shadow:
                    scores.append(score)
                elif score.issue_time in now_serving:
                    self._served.append((now_serving[score.issue_time].crps, score.crps))
        served = [score for score in scores if not score.shadow]
        for score in served:
            self.climbing.errors.add(score.issue_time, float(np.nanmean(score.crps)) if score.labels.any() else np.nan)
        return served

    def _monitor(self, moment: Moment, labels: xr.DataArray, panel: xr.Dataset) -> tuple[Episode, ...]:
        """Feed what short leads show, a cadence after they were due so that usual lateness is over, and what is
        flagged of the data."""
        now, flags = moment.now, {domain: moment.flags(domain) for domain in moment.domains}
        due = [one for one in self._unwatched if one.issue_time <= now - 2 * self.watched.cadence]
        self._unwatched = [one for one in self._unwatched if one.issue_time > now - 2 * self.watched.cadence]
        evidence: list[Evidence] = []
        quantiles = self.watched.request.quantiles
        for one in due:
            times = self.watched.request.at(one.issue_time).valid_times[: len(one.raw)]
            known = rows_at(labels, times)
            pits = None if one.served is None else pit(one.served, known, quantiles)
            evidence += self.monitor.observe(times, residual(one.raw, known, quantiles), pits, one.context)
            if self.faults is not None:
                aside = flags[self.watched.domain].flagged(self.watched.request.target, times, self.watched.nodes, now)
                evidence += self.faults.reports.hear(times, np.isfinite(known) | aside)
        evidence += [] if self.faults is None else self.faults.hear(now, panel, flags)
        return self.take_in(now, [one for one in evidence if not (
            one.ticket in ("outage", "silent") and self.silent.issuperset(one.nodes))])

    def act_on(self, episode_id: str | None, text: str) -> None:
        """Say what was done about an episode, open or closed since: the third sentence of its alarm."""
        if episode_id is None or episode_id not in self.told:
            return
        if any(one.id == episode_id for one in self.episodes.active()):
            self.told[episode_id] = self.episodes.act(episode_id, text)
        else:
            self.told[episode_id] = self.told[episode_id].with_action(text)

    def _judge(self, now: np.datetime64) -> Verdict | None:
        if self.challenger is None or self.act is None or self.policy.gate is None or not self._paired:
            return None
        champion, challenger = (np.stack(losses) for losses in zip(*self._paired, strict=True))
        decision = self.policy.gate.decide(champion, challenger)
        if decision.verdict == "wait":
            return None
        verdict = Verdict(self.act, self.champion.version, self.challenger.version, decision)
        word = "replaced" if decision.verdict == "accept" else "did not replace"
        self.act_on(self.act.episode, f"Version {self.challenger.version}, trained for it, {word} version "
                                       f"{self.champion.version}: {decision.reason}")
        self.climbing.decided(self.act, f"{decision.verdict}ed", now, decision.reason)
        if decision.verdict == "accept":
            self._retire(self.fallback)
            self.fallback, self.promoted, self._served = self.champion, self.act, []
            self.fallback.drop_shadows()
            self.champion = self.challenger
            self.monitor.restart()
        self.challenger, self.act, self._paired = None, None, []
        return verdict

    def _roll_back(self, now: np.datetime64) -> Verdict | None:
        """Watch a new champion in service beside the one it replaced, which goes on in the shadow: where a bet that
        the old one is better wins, it serves again; after ``PROBATION`` blocks without, the old one is let go."""
        if self.fallback is None or self.promoted is None or self.policy.gate is None or not self._served:
            return None
        gate = BettingGate(self.policy.gate.horizon_steps, patience=PROBATION)
        decision = gate.turned(*(np.stack(losses) for losses in zip(*self._served, strict=True)))
        if decision.verdict == "wait":
            return None
        verdict, failed = None, self.champion
        if decision.verdict == "accept":
            said = Decision("rollback", f"the version before it {decision.reason}", -decision.mean_gain,
                            decision.p_value, decision.n)
            verdict = Verdict(self.promoted, self.fallback.version, failed.version, said)
            self.act_on(self.promoted.episode, f"Version {failed.version} lost in service, version "
                                                f"{self.fallback.version} serves again: {said.reason}")
            self.climbing.decided(self.promoted, "rolled back", now, said.reason)
            self._retire(failed)
            self.champion, self._paired = self.fallback, []  # a challenger on trial has a new champion to beat
            self.monitor.restart()
        else:
            self._retire(self.fallback)
        self.fallback, self.promoted, self._served = None, None, []
        return verdict

    def _retire(self, contender: Contender | None) -> None:
        """Keep a contender that issues no longer until what it served has closed."""
        if contender is not None:
            contender.open = [one for one in contender.open if not one.shadow]
            if contender.open:
                self.retired.append(contender)

    def _wish(self, now: np.datetime64) -> Act | None:
        if self.challenger is not None or self.wish is not None:
            return None
        delay = self.watched.request.leads[-1] + self.watched.cadence
        episodes = self.episodes.active()
        act = self.policy.trigger.due(now, self.last_act, episodes) or self.climbing.due(now, episodes, delay)
        if act is not None:
            self.last_act, self.wish = now, act
        return act

    def state(self) -> dict[str, object]:
        """Everything but the models, which are found again by their version."""
        return {
            "champion": self.champion.state(),
            "challenger": None if self.challenger is None else self.challenger.state(),
            "retired": [one.state() for one in self.retired],
            "fallback": None if self.fallback is None else self.fallback.state(),
            "promoted": None if self.promoted is None else self.promoted.state(),
            "served": [np.stack(pair) for pair in self._served],
            **self.climbing.state(),
            "act": None if self.act is None else self.act.state(),
            "wish": None if self.wish is None else self.wish.state(),
            "last_act": str(self.last_act),
            "last_tick": None if self.last_tick is None else str(self.last_tick),
            "paired": [np.stack(pair) for pair in self._paired],
            "unwatched": [{"issue_time": str(one.issue_time), "raw": one.raw, "served": one.served,
                           "context": one.context} for one in self._unwatched],
            "monitor": self.monitor.state(),
            "faults": None if self.faults is None else self.faults.state(),
            "episodes": self.episodes.state(),
            "told": [one.to_state() for one in self.told.values()],
            "nodes": list(self.watched.nodes),
            "drivers": {domain: list(names) for domain, names in self.watched.drivers.items()},
            "beside": {domain: list(names) for domain, names in self.watched.beside.items()},
        }

    @classmethod
    def restore(cls, watched: Watched, policy: Policy, state: Mapping[str, object],
                model: Callable[[str], Forecaster]) -> Loop:
        """The loop as it was when ``state`` was taken; ``model`` finds a forecaster by version."""
        champion = _contender(state["champion"], watched.request, model)  # type: ignore[arg-type]
        loop = cls(watched, policy, champion, Monitor.restore(state["monitor"]),  # type: ignore[arg-type]
                   Episodes.restore(state["episodes"]), instant(str(state["last_act"])))  # type: ignore[arg-type]
        if state["faults"] is not None:
            loop.faults = DataFaults.restore(state["faults"])  # type: ignore[arg-type]
        if state["challenger"] is not None:
            loop.challenger = _contender(state["challenger"], watched.request, model)  # type: ignore[arg-type]
        loop.retired = [_contender(one, watched.request, model) for one in state["retired"]]  # type: ignore[attr-defined]
        if state.get("fallback") is not None:
            loop.fallback = _contender(state["fallback"], watched.request, model)  # type: ignore[arg-type]
            loop.promoted = Act.restore(state["promoted"])  # type: ignore[arg-type]
            loop._served = [(pair[0], pair[1]) for pair in state["served"]]  # type: ignore[attr-defined]
        loop.climbing = Climbing.restore(policy, state)
        told = [Episode.from_state(one) for one in state["told"]]  # type: ignore[attr-defined]
        loop.told = {one.id: one for one in told}
        loop.act = None if state["act"] is None else Act.restore(state["act"])  # type: ignore[arg-type]
        loop.wish = None if state["wish"] is None else Act.restore(state["wish"])  # type: ignore[arg-type]
        loop.last_tick = None if state["last_tick"] is None else instant(str(state["last_tick"]))
        loop._paired = [(pair[0], pair[1]) for pair in state["paired"]]  # type: ignore[attr-defined]
        loop._unwatched = [Unwatched.restore(one) for one in state["unwatched"]]  # type: ignore[attr-defined]
        return loop


def _newest(panel: xr.Dataset, target: str) -> np.datetime64:
    """The stamp of the newest value in a context, NaT where there is none."""
    rows = np.flatnonzero(np.isfinite(panel[target].transpose("time", "node").values).any(axis=1))
    return np.datetime64(panel["time"].values[rows[-1]] if len(rows) else "NaT", "ns")


def _contender(state: Mapping[str, object], request: Request, model: Callable[[str], Forecaster]) -> Contender:
    version, calibration = str(state["version"]), state["calibration"]
    restored = None if calibration is None else OutputCalibration.restore(calibration)  # type: ignore[arg-type]
    stacking = None if state["stacking"] is None else Stacking.restore(state["stacking"])  # type: ignore[arg-type]
    mixture = None if state.get("mixture") is None else Mixture.restore(state["mixture"])  # type: ignore[arg-type]
    earned = None if state.get("earned") is None else Earned.restore(state["earned"])  # type: ignore[arg-type]
    opened: Sequence[dict[str, object]] = state["open"]  # type: ignore[assignment]
    return Contender(version, model(version), restored, request, stacking, mixture, earned,
                     open_forecasts(list(opened)))
