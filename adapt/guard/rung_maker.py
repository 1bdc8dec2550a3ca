"""Carries out an act with the rung that it names: what a replay trains and adapts with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapt.clock import Moment
from adapt.fine_tune import FineTune
from adapt.guard.policy import Act
from adapt.loop import Watched
from adapt.rungs.rung import Receipt, Rung, attempt
from stfm.forecaster import Forecaster


@dataclass
class RungMaker:
    """``rungs`` by name; acts of other names are fine-tuned. ``receipts`` holds what each rung told.

    A rung that fails, explodes or does not help on held-back pairs makes nothing, and service goes on.
    """

    fine_tune: FineTune
    rungs: Mapping[str, Rung]
    receipts: list[Receipt] = field(default_factory=list)

    def make(self, model: Forecaster, watched: Watched, moment: Moment, act: Act) -> Forecaster | None:
        """The forecaster that the rung proposes, from what is known at ``moment``; None where it proposes none."""
        if act.rung not in self.rungs:
            return self.fine_tune.make(model, watched, moment, act)
        panel = watched.panel(moment, moment.now - self.fine_tune.window - watched.history)
        adapted = attempt(self.rungs[act.rung], model, panel, watched.request.at(moment.now))
        self.receipts.append(adapted.receipt)
        return adapted.forecaster if adapted.kept else None
