"""Rung 5: fit anew on a long past, when nothing cheaper brought the error back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr

from terracast.adapt.rungs.pairs import matured, up_to
from terracast.adapt.rungs.rung import Adapted, RungError, judged
from terracast.stfm.forecaster import Forecaster, Request


@dataclass(frozen=True)
class Refit:
    """``fit(panel, seed)`` makes a forecaster; ``window`` of the past is fitted on, the newest ``share`` judges.

    Fitted twice: without the part that judges, and, if that one was better, with it.
    """

    fit: Callable[[xr.Dataset, int], Forecaster]
    window: np.timedelta64
    share: float = 0.1
    seed: int = 0
    name: ClassVar[str] = "retrain"
    paper: ClassVar[str] = "none: training anew"
    cost: ClassVar[str] = "two fits: of the native model about 8 s per 1,000 steps each"
    expiry: ClassVar[np.timedelta64 | None] = None

    def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted:
        """Judged on the newest pairs, which the first of the two fits has not seen."""
        panel = up_to(known, request.issue_time)
        pairs = matured(panel, request, share=self.share)
        if not len(pairs.held):
            raise RungError("no matured issue", where=self.name, expected="labels", remedy="wait for labels")
        before = panel.isel(time=np.flatnonzero(panel["time"].values <= pairs.held.min()))
        first = self.fit(before, self.seed)
        adapted = judged(self, forecaster, first, panel, request, pairs=pairs,
                         parameters=sum(value.size for value in getattr(first, "weights", dict)().values()),
                         why=f"fitted anew on {before.sizes['time']} rows")
        if not adapted.kept:
            return adapted
        return Adapted(self.fit(panel, self.seed), adapted.receipt, forecaster)
