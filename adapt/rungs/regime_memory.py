"""Memory of regimes: versions with the signature of the time they were learned in, for when it returns.

A remembered version is never trusted by itself: ``recall`` judges it beside the one in service, then the gate does.
Paper: recurring concepts (Gama and Kosina 2014, "Recurrent concepts in data streams classification").
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from terracast.adapt.rungs.pairs import up_to
from terracast.stats.calendar import seasons
from terracast.stats.robust_scale import interdecile_scale
from terracast.stfm.forecaster import Request
from terracast.streams.stateful import Stateful

FEATURES = ("level", "size", "memory", "season", "shape", "shape")


@dataclass(frozen=True)
class Units(Stateful):
    """Centre and width (node,) by which signatures are measured: taken once, so that levels can be compared."""

    centre: np.ndarray
    width: np.ndarray

    @classmethod
    def of(cls, panel: xr.Dataset, target: str) -> Units:
        """From a long stretch of the stream."""
        values = panel[target].transpose("time", "node").values.astype("float64")
        seen = np.isfinite(values).any(0)
        filled = np.where(seen, values, 0.0)
        centre, width = interdecile_scale(filled, axis=0)
        usual = float(np.median(width[width > 0])) if (width > 0).any() else 1.0
        return cls(centre, np.where(width > 0, width, usual))


def signature(panel: xr.Dataset, request: Request, units: Units, rows: int = 336) -> np.ndarray:
    """What the newest ``rows`` before ``request.issue_time`` are like, averaged over nodes: level, log size, lag-one
    memory, share of the season, and where in it the values lie (sine, cosine). O(rows × nodes)."""
    past = up_to(panel, request.issue_time)[request.target].transpose("time", "node").values[-rows:].astype("float64")
    z = np.where(np.isfinite(past), (past - units.centre) / units.width, np.nan)
    known = np.isfinite(z)
    if not known.any():
        return np.zeros(len(FEATURES))
    level = np.where(known, z, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    rest = np.where(known, z - level, 0.0)
    energy = np.maximum((rest**2).sum(0), 1e-9)
    memory = (rest[1:] * rest[:-1]).sum(0) / energy
    season = seasons(request.step)[0] or 24
    angle = (np.arange(len(rest)) - len(rest)) * 2 * np.pi / season
    sine, cosine = (2 / len(rest) * (turn[:, None] * rest).sum(0) for turn in (np.sin(angle), np.cos(angle)))
    share = np.clip(len(rest) / 2 * (sine**2 + cosine**2) / energy, 0, 1)
    size = np.log(np.sqrt(energy / np.maximum(known.sum(0), 1)) + 0.05)
    there = known.any(0)
    parts = np.stack([level, size, memory, share, sine, cosine])
    return np.asarray(parts[:, there].mean(1))


@dataclass(frozen=True)
class Remembered(Stateful):
    """A version's name, the signature of when it was learned, and that time."""

    version: str
    signature: np.ndarray
    learned_at: str


@dataclass
class RegimeMemory(Stateful):
    """At most ``most`` versions with the signature of what they were learned in; the oldest makes room. ``far``: beyond
    this distance of signatures a version is not offered. ``base``: the version that was served before anything was
    adapted, which is always offered. The versions themselves stay where they are kept.

    >>> regimes, now = RegimeMemory(base="1"), np.datetime64("2024-05-01")
    >>> regimes.remember("2", np.zeros(6), now)
    >>> regimes.remember("3", np.full(6, 9.0), now)
    >>> regimes.recall(np.full(6, 0.1)), regimes.recall(np.full(6, 0.1), serving="2")
    (['2', '1'], ['1'])
    """

    most: int = 16
    far: float = 1.0
    base: str | None = None
    units: Units | None = None
    held: list[Remembered] = field(default_factory=list)

    def remember(self, version: str, sign: np.ndarray, now: np.datetime64) -> None:
        """Keep a version's name for when its regime returns; a name that is known already is left alone."""
        if all(one.version != version for one in self.held):
            self.held.append(Remembered(version, np.array(sign, dtype="float64"), str(now)))
            self.held = self.held[-self.most:]

    def recall(self, sign: np.ndarray, most: int = 3, serving: str | None = None) -> list[str]:
        """The nearest remembered versions, nearest first, none beyond ``far``; then the base; never that in service."""
        held = [one for one in self.held if one.version not in (serving, self.base)]
        distances = [float(np.linalg.norm(one.signature - sign)) for one in held]
        order = [place for place in np.argsort(distances, kind="stable")[:most] if distances[place] <= self.far]
        found = [held[place].version for place in order]
        return found + ([self.base] if self.base is not None and self.base != serving else [])
