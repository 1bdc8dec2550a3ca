"""The oracle: what the best of all versions made so far would have scored, known only afterwards. Not attainable.

It tells how much a better choice among the same versions could have earned, and nothing of versions never made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from adapt.calibration import OutputCalibration
from adapt.clock import Moment
from adapt.contender import Contender, Score
from adapt.loop import Loop
from adapt.mixing.mixture import Mixture
from adapt.stacking import Stacking

MOST = 8  # versions that go on beside what is served: the first (the base), and the newest others
ORACLE = "oracle (not attainable)"


class Hindsight:
    """Every version that a replay made goes on forecasting in the shadow, with corrections of its own that it inherited
    and goes on learning. Of each forecast the one with the least loss (CRPS, mean over nodes) of these and of what was
    served is scored. Costs up to ``MOST`` forecasts more a step.
    """

    def __init__(self) -> None:
        self.shadows: list[Contender] = []
        self._rivals: dict[np.datetime64, list[Score]] = {}

    def after(self, loop: Loop, moment: Moment, served: Sequence[Score]) -> list[Score]:
        """Take in a tick of the loop; scores of the forecasts that closed at it, each the best there was."""
        for contender in (loop.champion, loop.challenger):
            if contender is not None and contender.version not in {one.version for one in self.shadows}:
                self.shadows.append(shadow_of(contender))
                if len(self.shadows) > MOST:
                    del self.shadows[1]
        panel = loop.watched.panel(moment, moment.now - loop.reach)
        labels = panel[loop.watched.request.target]
        context = panel.isel(time=panel["time"].values >= moment.now - loop.watched.history)
        for one in self.shadows:
            for score in one.mature(moment.now, labels, loop.watched.patience):
                self._rivals.setdefault(score.issue_time, []).append(score)
            one.issue(context, moment.now, shadow=True)
        best = []
        for score in served:
            rivals = [score, *self._rivals.pop(score.issue_time, [])]
            best.append(replace(min(rivals, key=_loss), shadow=False))
        return best


def shadow_of(contender: Contender) -> Contender:
    """The same model with copies of its corrections and no open forecasts."""
    calibration, stacking, mixture = contender.calibration, contender.stacking, contender.mixture
    return Contender(contender.version, contender.model,
                     None if calibration is None else OutputCalibration.restore(calibration.state()),
                     contender.request, None if stacking is None else Stacking.restore(stacking.state()),
                     None if mixture is None else Mixture.restore(mixture.state()))


def _loss(score: Score) -> float:
    known = np.isfinite(score.crps)
    return float(score.crps[known].mean()) if known.any() else np.inf
