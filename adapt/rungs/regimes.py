"""Memory of regimes: adapters with the signature of the time they were learned in, for when it returns.

A remembered adapter is never trusted by itself: it is offered beside a fresh one and the base, as experts.
Paper: recurring concepts (Gama and Kosina 2014, "Recurrent concepts in data streams classification").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from adapt.rungs.adapter import Adapter
from adapt.rungs.pairs import up_to
from stfm.base.model import Base
from stfm.base.seasons import seasons
from stfm.forecaster import Forecaster, Request

FEATURES = ("level", "size", "memory", "season", "shape", "shape")


@dataclass(frozen=True)
class Units:
    """Centre and width (node,) by which signatures are measured: taken once, so that levels can be compared."""

    centre: np.ndarray
    width: np.ndarray

    @classmethod
    def of(cls, panel: xr.Dataset, target: str) -> Units:
        """From a long stretch of the stream."""
        values = panel[target].transpose("time", "node").values.astype("float64")
        seen = np.isfinite(values).any(0)
        filled = np.where(seen, values, 0.0)
        low, centre, high = np.nanquantile(filled, (0.1, 0.5, 0.9), axis=0)
        width = (high - low) / 2.563
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
class Remembered:
    """An adapter, its signature, when it was learned and when it was last used (a count of acts)."""

    adapter: Adapter
    signature: np.ndarray
    learned_at: str
    used: int


@dataclass
class Regimes:
    """At most ``most`` adapters (about 0.25 MB each); the one unused for longest makes room. An adapter whose signature
    lies nearer than ``near`` to that of another replaces it; one farther than ``far`` is not offered."""

    most: int = 8
    near: float = 0.25
    far: float = 1.0
    held: list[Remembered] = field(default_factory=list)
    acts: int = 0

    def remember(self, adapter: Adapter, sign: np.ndarray, now: np.datetime64) -> None:
        """Keep an adapter for when its regime returns."""
        self.acts += 1
        new = Remembered(adapter.detached(), np.array(sign, dtype="float64"), str(now), self.acts)
        distances = [float(np.linalg.norm(one.signature - sign)) for one in self.held]
        if distances and min(distances) < self.near:
            self.held[int(np.argmin(distances))] = new
            return
        if len(self.held) >= self.most:
            del self.held[int(np.argmin([one.used for one in self.held]))]
        self.held.append(new)

    def recall(self, sign: np.ndarray, most: int = 2) -> list[Remembered]:
        """The nearest remembered ones, nearest first; none beyond ``far``."""
        self.acts += 1
        distances = [float(np.linalg.norm(one.signature - sign)) for one in self.held]
        order = [place for place in np.argsort(distances, kind="stable")[:most] if distances[place] <= self.far]
        for place in order:
            one = self.held[place]
            self.held[place] = Remembered(one.adapter, one.signature, one.learned_at, self.acts)
        return [self.held[place] for place in order]

    def offered(self, base: Base, sign: np.ndarray, fresh: Forecaster | None = None) -> dict[str, Forecaster]:
        """Experts by name: the base, the fresh one if given, and what is remembered of regimes like this one."""
        found: dict[str, Forecaster] = {"base": base} | ({} if fresh is None else {"fresh": fresh})
        for one in self.recall(sign):
            found[f"remembered {one.learned_at}"] = one.adapter.merged(base, {"remembered": one.learned_at})
        return found

    def state(self) -> dict[str, Any]:
        """Everything, as arrays."""
        return {"most": self.most, "near": self.near, "far": self.far, "acts": self.acts, "held": [
            {"adapter": one.adapter.state(), "signature": one.signature.copy(), "learned_at": one.learned_at,
             "used": one.used} for one in self.held]}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Regimes:
        """Go on to the bit where ``state`` was taken."""
        held = [Remembered(Adapter.restore(one["adapter"]), np.array(one["signature"], dtype="float64"),
                           str(one["learned_at"]), int(one["used"])) for one in state["held"]]
        return cls(int(state["most"]), float(state["near"]), float(state["far"]), held, int(state["acts"]))
