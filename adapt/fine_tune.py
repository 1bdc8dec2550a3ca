"""Rung: continue training the champion on the recent past.

Cost: some hundred optimisation steps of a small network (seconds on one core). Rollback: the champion stays as it
is; the copy serves only if the gate lets it. Expiry: none, the next accepted version replaces it.
Source: plain continued training with early stopping on the newest part; Prechelt (1998), "Early stopping, but when?".
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from adapt.clock import Moment
from adapt.guard.policy import Act
from adapt.watched import Watched
from stfm.forecaster import Forecaster, Trainable
from streams.errors import TerracastError


class RungError(TerracastError):
    """A rung that cannot act on this model or on this little data."""


WINDOW = np.timedelta64(84, "D")


@dataclass(frozen=True)
class FineTune:
    """``window`` of past trained on, ``steps`` optimisation steps at most."""

    window: np.timedelta64 = WINDOW
    steps: int = 200

    def make(self, model: Forecaster, watched: Watched, moment: Moment, act: Act) -> Trainable:
        """A trained copy of ``model`` from what is known at ``moment``; the seed is drawn from the act's key."""
        if not isinstance(model, Trainable):
            raise RungError(f"{type(model).__name__} cannot be trained", where=act.key,
                            expected="a forecaster with continue_on", remedy="use a policy that only calibrates")
        panel = watched.panel(moment, moment.now - self.window)
        return model.continue_on(panel, watched.request.at(moment.now), steps=self.steps, seed=self.seed(act))

    def seed(self, act: Act) -> int:
        """The seed an act is carried out with."""
        return seed_of(act.key)


def seed_of(key: str) -> int:
    """A seed that is the same wherever an act of this key is carried out.

    >>> seed_of("air-2015-03-04T06-fine-tune")
    741578536
    """
    return zlib.crc32(key.encode())
