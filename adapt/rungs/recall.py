"""Memory of regimes as a rung: versions of earlier times that were like now compete with the one in service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr

from terracast.adapt.rungs.pairs import hindcast, loss_of, matured, spreads
from terracast.adapt.rungs.regime_memory import RegimeMemory, Units, signature
from terracast.adapt.rungs.rung import Adapted, RungError, judged
from terracast.stfm.forecaster import Forecaster, Request

NEWEST, FEWEST = 24, 8  # issues before the held-back ones that the choice is made on


@dataclass
class Recall:
    """``regimes``: what is remembered; ``load``: the forecaster of a version; ``serving``: the version in service.

    The base is always among the candidates. ``chosen``: the version that the last act came to.
    """

    regimes: RegimeMemory
    load: Callable[[str], Forecaster]
    serving: str | None = None
    chosen: str | None = None
    name: ClassVar[str] = "remembered"
    paper: ClassVar[str] = "recurring concepts: Gama and Kosina 2014"
    cost: ClassVar[str] = "versions (4 at most) x 24 forecasts, about 1 ms each a node; nothing afterwards"
    expiry: ClassVar[np.timedelta64 | None] = None

    def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted:
        """The best on the newest issues before the held-back ones, judged on these."""
        self.chosen = None
        pairs = matured(known, request, most_learned=10**9)
        units = self.regimes.units or Units.of(pairs.panel, request.target)
        versions = self.regimes.recall(signature(known, request, units), serving=self.serving)
        if not versions:
            raise RungError("nothing is remembered of times like this", where=self.name,
                            expected="an earlier version", remedy="climb on")
        newest = pairs.learned[-NEWEST:]
        if len(newest) < FEWEST:
            raise RungError(f"{len(newest)} matured issues", where=self.name, expected=f"{FEWEST} or more",
                            remedy="wait for labels")
        labels, width = pairs.labels(newest), spreads(pairs)
        models = {version: self.load(version) for version in versions}
        losses = {version: loss_of(hindcast(model, pairs.panel, request, newest), labels, request.quantiles, width)
                  for version, model in models.items()}
        self.chosen = min(losses, key=lambda version: losses[version])
        return judged(self, forecaster, models[self.chosen], known, request, parameters=0, pairs=pairs,
                      why=f"version {self.chosen}, the best of {len(versions)} remembered")
