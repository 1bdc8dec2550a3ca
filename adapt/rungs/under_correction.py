"""A rung that acts beneath what is wrapped around a forecaster, so that wrappings are renewed and never pile up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from terracast.adapt.rungs.correction import Corrected
from terracast.adapt.rungs.rung import Adapted, Rung, attempt, judged
from terracast.adapt.rungs.wrappers import bare
from terracast.stfm.forecaster import Forecaster, Request


@dataclass(frozen=True)
class UnderCorrection:
    """``rung`` acts on the bare forecaster; where that served with a correction, one of the same type is learned anew
    behind what the rung made (``rungs`` by name holds it). What comes of it is judged beside what served."""

    rung: Rung
    rungs: Mapping[str, Rung]

    @property
    def name(self) -> str:
        """The rung's."""
        return self.rung.name

    @property
    def paper(self) -> str:
        """The rung's."""
        return self.rung.paper

    @property
    def cost(self) -> str:
        """The rung's."""
        return self.rung.cost

    @property
    def expiry(self) -> np.timedelta64 | None:
        """The rung's."""
        return self.rung.expiry

    def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted:
        """As the rung's, but for the wrappings."""
        inner = bare(forecaster)
        adapted = self.rung.adapt(inner, known, request)
        if inner is forecaster:
            return adapted
        if not adapted.kept:
            return Adapted(forecaster, adapted.receipt, forecaster)
        newcomer = adapted.forecaster
        if isinstance(forecaster, Corrected) and bare(newcomer) is newcomer:
            again = self.rungs.get(f"output-{forecaster.correction.form}")
            newcomer = newcomer if again is None else attempt(again, newcomer, known, request).forecaster
        return judged(self, forecaster, newcomer, known, request, parameters=adapted.receipt.parameters,
                      why=f"{adapted.receipt.why}, instead of what served")
