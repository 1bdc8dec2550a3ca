"""Rung 3, without gradients: input statistics from the newest rows alone.

After a change of level or scale, a window that still holds the old regime normalises the new one by it. The rung shows
the forecaster only the newest part of its history and chooses how much by the matured pairs. For any forecaster.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import xarray as xr

from terracast.adapt.rungs.pairs import hindcast, loss_of, matured, spreads
from terracast.adapt.rungs.rung import Adapted, RungError, judged
from terracast.stfm.forecaster import Capabilities, Forecaster, Request
from terracast.streams.panel import step_of

FEWEST = 8


@dataclass(frozen=True)
class Recent:
    """A forecaster that is shown the newest ``rows`` of its context."""

    base: Forecaster
    rows: int

    @property
    def capabilities(self) -> Capabilities:
        """Those of the base, but for the history."""
        return replace(self.base.capabilities, history=min(self.rows, self.base.capabilities.history))

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        """The base's forecast from the newest rows (and those after the issue time, for drivers known ahead)."""
        since = request.issue_time - self.rows * step_of(context)
        return self.base.forecast(context.isel(time=np.flatnonzero(context["time"].values > since)), request)


@dataclass(frozen=True)
class RecentStatistics:
    """Tries shorter histories (in rows) and keeps the one whose hindcasts were best, if better than the whole.

    ``lengths`` should hold two long seasons: a history without a week in it was measured to cost up to 70 %."""

    lengths: tuple[int, ...] = (336, 672)
    issues: int = 16
    name: ClassVar[str] = "input-recent"
    paper: ClassVar[str] = "window choice under change: Pesaran and Timmermann 2007"
    cost: ClassVar[str] = "issues x lengths forecasts (32), about 1 ms each a node; nothing afterwards"
    expiry: ClassVar[np.timedelta64 | None] = np.timedelta64(28, "D")

    def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted:
        """Choose on the issues before the held-back ones, judge on these."""
        pairs = matured(known, request, most_learned=10**9)
        newest = pairs.learned[-4 * self.issues:][::4]  # what counts is how the regime of now is forecast
        if len(newest) < FEWEST:
            raise RungError(f"{len(newest)} matured issues", where=self.name, expected=f"{FEWEST} or more",
                            remedy="wait for labels")
        labels, width = pairs.labels(newest), spreads(pairs)
        have = int(known.sizes["time"])
        choices = [rows for rows in self.lengths if rows < min(have, forecaster.capabilities.history)]
        found = {rows: loss_of(hindcast(Recent(forecaster, rows), pairs.panel, request, newest), labels,
                               request.quantiles, width) for rows in choices}
        if not found:
            raise RungError(f"{have} rows of history", where=self.name, remedy="wait for more history",
                            expected=f"more than {min(self.lengths)}")
        best = min(found, key=lambda rows: found[rows])
        return judged(self, forecaster, Recent(forecaster, best), known, request, parameters=1, pairs=pairs,
                      why=f"statistics from the newest {best} rows")
