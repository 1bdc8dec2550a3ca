"""Rung 5: go on training the base on the recent past and on a memory of what came before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr

from adapt.rungs.pairs import up_to
from adapt.rungs.rung import Adapted, RungError, judged
from stfm.base.model import Base
from stfm.forecaster import Forecaster, Request, Trainable


@dataclass(frozen=True)
class Continue:
    """``window``: of the past trained on (None: all that is known, which is the memory). ``whole``: every weight.

    Any forecaster with ``continue_on`` can be continued; of the base the heads alone by default. ``continue_on`` keeps
    the weights that were best on the newest fifth of the issue times, the same part that judges here.
    """

    window: np.timedelta64 | None = np.timedelta64(84, "D")  # noqa: RUF009 - a value, not a factory
    steps: int = 100
    whole: bool = False
    seed: int = 0
    name: str = "continue"
    paper: ClassVar[str] = "continued training with early stopping: Prechelt 1998"
    expiry: ClassVar[np.timedelta64 | None] = None

    @property
    def cost(self) -> str:
        """In words."""
        each = "0.5 s a step" if self.whole else "10 ms a step and 2 ms a node and issue time looked at"
        return f"{self.steps} steps, about {each}; serves at the base's cost"

    def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted:
        """A trained copy, judged on the newest pairs."""
        if not isinstance(forecaster, Trainable):
            raise RungError(f"{type(forecaster).__name__} cannot be trained", where=self.name,
                            expected="a forecaster with continue_on", remedy="use a rung that corrects outputs")
        panel = up_to(known, request.issue_time)
        if self.window is not None:
            panel = panel.isel(time=np.flatnonzero(panel["time"].values > request.issue_time - self.window))
        if isinstance(forecaster, Base):
            after: Trainable = forecaster.continue_on(panel, request, steps=self.steps, seed=self.seed,
                                                      whole=self.whole)
            numbers = forecaster.parameters if self.whole else sum(
                value.size for name, value in forecaster.weights().items()
                if name.split(".")[0] in forecaster.network.heads)
        else:
            after = forecaster.continue_on(panel, request, steps=self.steps, seed=self.seed)
            numbers = sum(np.asarray(value).size for value in after.weights().values())
        return judged(self, forecaster, after, panel, request, parameters=numbers, why=f"{self.steps} steps at most")
