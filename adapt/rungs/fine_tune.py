"""Go on training the model on the recent past: for the gate to judge, or judged here on held-back pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr

from terracast.adapt.rungs.pairs import up_to
from terracast.adapt.rungs.rung import Adapted, Receipt, RungError, judged
from terracast.stfm.base.model import Base
from terracast.stfm.forecaster import Forecaster, Request, Trainable

WINDOW = np.timedelta64(84, "D")


@dataclass(frozen=True)
class FineTune:
    """Continued training with early stopping on the newest part.

    Any forecaster with ``continue_on`` can be continued; of the base the heads alone by default. ``continue_on`` keeps
    the weights that were best on the newest fifth of the issue times, the part that also judges here.

    Attributes
    ----------
    window
        How much of the past is trained on; None: all that is known, which is a memory of earlier times too.
    steps
        Optimisation steps at most.
    whole
        Train every weight of the base, not the heads alone.
    judges
        Compare with what was there on held-back pairs, and drop what does not help. Off: every copy goes to the gate.
    """

    window: np.timedelta64 | None = WINDOW
    steps: int = 200
    whole: bool = False
    judges: bool = False
    seed: int = 0
    name: str = "fine-tune"
    paper: ClassVar[str] = "continued training with early stopping: Prechelt 1998"
    expiry: ClassVar[np.timedelta64 | None] = None

    @property
    def cost(self) -> str:
        """In words."""
        each = "0.5 s a step" if self.whole else "10 ms a step and 2 ms a node and issue time looked at"
        return f"{self.steps} steps, about {each}; serves at the base's cost"

    def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted:
        """A trained copy of ``forecaster``, which stays as it is."""
        if not isinstance(forecaster, Trainable):
            raise RungError(f"{type(forecaster).__name__} cannot be trained", where=self.name,
                            expected="a forecaster with continue_on", remedy="use a rung that corrects outputs")
        panel = up_to(known, request.issue_time)
        if self.window is not None:
            panel = panel.isel(time=np.flatnonzero(panel["time"].values >= request.issue_time - self.window))
        after, parameters = self._trained(forecaster, panel, request)
        if self.judges:
            return judged(self, forecaster, after, panel, request, parameters=parameters,
                          why=f"{self.steps} steps at most")
        receipt = Receipt(self.name, self.paper, True, f"{self.steps} steps at most, for the gate to judge", parameters,
                          0, np.nan, np.nan, request.issue_time, None)
        return Adapted(after, receipt, forecaster)

    def _trained(self, forecaster: Trainable, panel: xr.Dataset, request: Request) -> tuple[Trainable, int]:
        """The copy, and how many of its numbers were trained."""
        if not isinstance(forecaster, Base):
            after = forecaster.continue_on(panel, request, steps=self.steps, seed=self.seed)
            return after, sum(np.asarray(value).size for value in after.weights().values())
        heads = sum(value.size for name, value in forecaster.weights().items()
                    if name.split(".")[0] in forecaster.network.heads)
        return (forecaster.continue_on(panel, request, steps=self.steps, seed=self.seed, whole=self.whole),
                forecaster.parameters if self.whole else heads)
