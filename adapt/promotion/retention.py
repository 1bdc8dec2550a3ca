"""RetentionTest regimes: a small frozen set of issues on which a challenger may not be worse than the champion.

The newest weeks are what a challenger was made for; whether it forgot winter for them shows only on winter. What is
kept are issue times; contexts and labels are read from the versioned store, each as known then.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from terracast.adapt.candidate import Candidate
from terracast.adapt.clock import Moment
from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.adapt.promotion.paired_gate import Decision, one_sided_p
from terracast.adapt.task import ForecastTask
from terracast.stfm.forecaster import Forecaster
from terracast.streams.errors import TerracastError
from terracast.streams.instant import instant
from terracast.streams.stateful import Stateful

EACH = 24  # issues of a stretch
MOST = 12  # stretches kept: of 84 days, two years and nine months
SPAN = np.timedelta64(84, "D").astype("timedelta64[ns]")
FEWEST = 8  # issues, a horizon apart, without which a stretch of time says nothing
ENOUGH = 4 * EACH  # issues in all from which on a challenger has to show that it is within the margin


@dataclass(frozen=True)
class Stretch(Stateful):
    """Issues of one stretch of time: a quarter of a year, or a closed episode."""

    name: str
    issues: tuple[np.datetime64, ...]


@dataclass
class RetentionTest(Stateful):
    """``margin``: the share of the champion's loss by which a challenger may be worse: wide enough for the advantage of
    a champion that was fitted on these very issues. ``alpha``: the chance that a challenger exactly at the margin
    everywhere is called worse on some stretch.

    Rejected where it is shown to be worse by more than the margin on any one stretch (a one-sided t-test, Bonferroni
    over stretches), or, from ``ENOUGH`` issues on, not shown at ``alpha`` to be within the margin over all of them.
    With fewer than two stretches there is nothing earlier to forget.
    """

    margin: float = 0.10
    alpha: float = 0.05
    held: list[Stretch] = field(default_factory=list)
    until: np.datetime64 | None = None

    def extend(self, times: np.ndarray, until: np.datetime64, horizon: np.timedelta64,
               closed: Sequence[Episode] = ()) -> None:
        """Freeze issues of each further whole ``SPAN`` of stamps ``times`` before ``until``, and of closed episodes.

        What is frozen is not chosen anew; where it becomes too much, the oldest stretch goes.
        """
        if not len(times):
            return
        begin = instant(times[0] if self.until is None else self.until)
        while begin + SPAN <= until:
            self._freeze(f"the 84 days from {np.datetime_as_string(begin, 'D')}", times, begin, begin + SPAN, horizon)
            begin = begin + SPAN
        self.until = begin
        for episode in closed:
            if episode.change_type != "health" and episode.phase == "closed" and episode.last_evidence <= until:
                self._freeze(f"episode {episode.id}", times, episode.since, episode.last_evidence, horizon)
        self.held = self.held[-MOST:]

    def _freeze(self, name: str, times: np.ndarray, first: np.datetime64, last: np.datetime64,
                horizon: np.timedelta64) -> None:
        """Up to ``EACH`` stamps at different hours of the day, a horizon apart, whose labels end within the stretch."""
        if any(one.name == name for one in self.held):
            return
        inside = times[(times >= first) & (times + horizon <= last)].astype("datetime64[ns]")
        room = int((last - first) / horizon)
        number = min(EACH, room, len(inside))
        if number < FEWEST:
            return
        order = np.arange(number)
        places = ((order + order * 0.618033988749895 % 1 * 0.5) / number * len(inside)).astype(int)
        self.held.append(Stretch(name, tuple(inside[np.unique(places)])))

    def losses(self, models: Sequence[Forecaster], watched: ForecastTask, moment: Moment) -> list[list[np.ndarray]]:
        """Losses (issue, node) of each model by itself, on each stretch. One forecast an issue and model: 288 at most;
        what is read for an issue is read once."""
        contenders = [Candidate("earlier", model, None, watched.request) for model in models]
        every = sorted({issue for stretch in self.held for issue in stretch.issues})
        if not every:
            return [[] for _ in models]
        for issue in every:
            context = watched.panel(moment.earlier(issue), issue - watched.history)
            for one in contenders:
                with suppress(TerracastError):  # of that time nothing is kept any more, or too little for a forecast
                    one.issue(context, issue, shadow=True)
        labels, nothing = watched.labels(moment, every[0]), np.full(len(watched.nodes), np.nan)
        found = [{score.issue_time: score.crps for score in one.match_labels(moment.now, labels,
                                                                             np.timedelta64(0, "ns"))}
                 for one in contenders]
        return [[np.stack([scores.get(issue, nothing) for issue in stretch.issues]) for stretch in self.held]
                for scores in found]

    def decide(self, champion: Sequence[np.ndarray], challenger: Sequence[np.ndarray]) -> Decision | None:
        """``reject`` with the reason, or None where nothing speaks against a trial. Losses as ``losses`` gives them."""
        pairs = [(stretch.name, *_paired(ours, theirs))
                 for stretch, ours, theirs in zip(self.held, champion, challenger, strict=True)]
        told = [(name, ours, theirs) for name, ours, theirs in pairs if len(ours) >= FEWEST]
        if len(told) < 2:
            return None
        worse = {name: one_sided_p(theirs - (1 + self.margin) * ours, 1) for name, ours, theirs in told}
        ours, theirs = np.concatenate([one[1] for one in told]), np.concatenate([one[2] for one in told])
        gain, n = 1 - float(theirs.mean() / ours.mean()), len(ours)
        name = min(worse, key=lambda one: worse[one])
        if worse[name] < self.alpha / len(told):
            mine = next(one for one in told if one[0] == name)
            lost = float(mine[2].mean() / mine[1].mean() - 1)
            return Decision("reject", f"it forgot {name}: its loss there is {lost:.0%} above the champion's, beyond "
                                      f"the margin of {self.margin:.0%} (p = {worse[name]:.2g})", gain, worse[name], n)
        within = one_sided_p((1 + self.margin) * ours - theirs, 1)
        if within >= self.alpha and n >= ENOUGH:
            return Decision("reject", f"on {n} issues of earlier times its loss is {-gain:+.1%} of the champion's, not "
                                      f"shown to be within {self.margin:.0%} (p = {within:.2g})", gain, within, n)
        return None


def _paired(champion: np.ndarray, challenger: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean losses (issue,) over the nodes that both have, each node in units of the champion's mean loss at it."""
    there = np.isfinite(champion) & np.isfinite(challenger)
    usual = np.where(there, champion, 0).sum(0) / np.maximum(there.sum(0), 1)
    weight = np.where(there, 1 / np.where(usual > 0, usual, np.inf), 0.0)
    known = weight.any(axis=1)
    total = there.sum(axis=1)[known]
    ours, theirs = ((np.where(there, one, 0.0) * weight)[known].sum(1) / total for one in (champion, challenger))
    return ours, theirs
