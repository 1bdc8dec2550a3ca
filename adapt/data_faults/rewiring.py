"""Which sensors show the same numbers: when that changes, somebody re-wired the data, and nature did nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.streams.stateful import Stateful
from terracast.streams.wording import listed

SAME = 0.9  # share of a day's common values that must be equal to the bit
DISTINCT = 4  # values a day must show, else equality (no rain anywhere) says nothing


@dataclass
class Rewiring(Stateful):
    """Watches which nodes carry bit-identical values, a day at a time; a pair that begins or ceases to do so for
    ``days`` days in a row is told, as a data ticket, and is normal from then on.

    ``same`` (node, node) bool: the pairs that are identical in normal times; ``Rewiring.fit`` learns it.

    >>> draws = np.random.default_rng(0)
    >>> one, other = draws.normal(size=(2, 24, 1))
    >>> wiring = Rewiring.fit([np.hstack([one, one, other])] * 3, ("a", "b", "c"), days=2)
    >>> told = [wiring.update(np.datetime64("2015-03-01"), np.hstack([one, other, other])) for _ in range(3)]
    >>> told[1][0].nodes, told[1][0].details
    (('a', 'b', 'c'), {'change': 'b and c now show the same numbers. a and b no longer show the same numbers.'})
    """

    nodes: tuple[str, ...]
    same: np.ndarray
    days: int = 7
    _against: np.ndarray | None = None

    @classmethod
    def fit(cls, daily: list[np.ndarray], nodes: tuple[str, ...], days: int = 7) -> Rewiring:
        """From days (step, node) of a reference: pairs that are identical on most days that can tell."""
        votes = np.stack([_identical(values) for values in daily])
        seen = np.isfinite(votes).sum(axis=0)
        return cls(nodes, (2 * np.nansum(votes, axis=0) > seen) & (seen > 0), days)

    def update(self, day: np.datetime64, values: np.ndarray) -> list[Evidence]:
        """Take in one day (step, node), NaN where nothing came; at most one ticket for all pairs told that day."""
        found = _identical(values)
        against = np.zeros(self.same.shape, int) if self._against is None else self._against
        differs = np.isfinite(found) & (found.astype(bool) != self.same)
        agrees = np.isfinite(found) & ~differs
        self._against = np.where(differs, against + 1, np.where(agrees, 0, against))
        told = self._against >= self.days
        if not told.any():
            return []
        joined, parted = self._named(told & ~self.same), self._named(told & self.same)
        self.same = self.same ^ told
        self._against = np.where(told, 0, self._against)
        concerned = tuple(name for name in self.nodes if name in {*joined, *parted})
        parts = [f"{listed(joined)} now show the same numbers."] if joined else []
        parts += [f"{listed(parted)} no longer show the same numbers."] if parted else []
        now = day.astype("datetime64[ns]")
        since = now - np.timedelta64(self.days - 1, "D")
        return [Evidence(now, since, concerned, "health", "none", 0.0, "wiring", {"change": " ".join(parts)})]

    def _named(self, pairs: np.ndarray) -> tuple[str, ...]:
        return tuple(self.nodes[node] for node in np.flatnonzero(pairs.sum(axis=1)))


def _identical(values: np.ndarray) -> np.ndarray:
    """1 where two nodes show the same numbers all day, 0 where not, NaN where the day cannot tell, (node, node)."""
    values = np.asarray(values, float)
    nodes = values.shape[1]
    telling = np.array([len(np.unique(one[np.isfinite(one)])) >= DISTINCT for one in values.T])
    seen = np.isfinite(values)
    both = (seen[:, :, None] & seen[:, None]).sum(axis=0)
    equal = (values[:, :, None] == values[:, None]).sum(axis=0)
    tells = telling[:, None] & telling & (2 * both >= len(values)) & ~np.eye(nodes, dtype=bool)
    return np.where(tells, (equal >= SAME * both).astype(float), np.nan)
