"""The oracle: what the best of all versions made so far would have scored, known only afterwards. Not attainable.

It tells how much a better choice among the same versions could have earned, and nothing of versions never made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from terracast.adapt.candidate import Candidate, Score
from terracast.adapt.clock import Moment
from terracast.adapt.loop import Loop

MOST = 8  # versions that go on beside what is served: the first (the base), and the newest others
ORACLE = "oracle (not attainable)"


class Oracle:
    """Every version that a replay made goes on forecasting in the shadow, with corrections of its own that it inherited
    and goes on learning. Of each forecast the one with the least loss (CRPS, mean over nodes) of these and of what was
    served is scored. Costs up to ``MOST`` forecasts more a step.
    """

    def __init__(self) -> None:
        self.shadows: list[Candidate] = []
        self._rivals: dict[np.datetime64, list[Score]] = {}

    def after(self, loop: Loop, moment: Moment, served: Sequence[Score]) -> list[Score]:
        """Take in a tick of the loop; scores of the forecasts that closed at it, each the best there was."""
        for contender in (loop.champion, loop.challenger):
            if contender is not None and contender.version not in {one.version for one in self.shadows}:
                self.shadows.append(contender.successor(contender.version, contender.model))
                if len(self.shadows) > MOST:
                    del self.shadows[1]
        panel = loop.watched.panel(moment, moment.now - loop.reach)
        labels = panel[loop.watched.request.target]
        context = panel.isel(time=panel["time"].values >= moment.now - loop.watched.history)
        beside = loop.covariates(moment)
        for one in self.shadows:
            for score in one.match_labels(moment.now, labels, loop.watched.label_timeout):
                self._rivals.setdefault(score.issue_time, []).append(score)
            one.issue(context, moment.now, shadow=True, beside=beside)
        best = []
        for score in served:
            rivals = [score, *self._rivals.pop(score.issue_time, [])]
            best.append(replace(min(rivals, key=_loss), shadow=False))
        return best


def _loss(score: Score) -> float:
    known = np.isfinite(score.crps)
    return float(score.crps[known].mean()) if known.any() else np.inf
