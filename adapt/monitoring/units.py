"""Converted values: a sensor that suddenly reports in another unit is a data ticket, never drift and nothing to learn.

Nature does not multiply by 1.8 and add 32. A stretch of values that is unlike all that was ever seen, and like what was
seen just before once a known conversion is undone, was converted; so was one that no longer fits its neighbours but
does when the conversion is undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# value × factor + offset. One way and back of each; decimal prefixes, temperatures, speeds, lengths, shares.
_WAYS = ((1.8, 32.0), (1.0, 273.15), (3.6, 0.0), (1.609344, 0.0), (2.236936, 0.0), (25.4, 0.0), (3.28084, 0.0),
         (10.0, 0.0), (100.0, 0.0), (1000.0, 0.0), (1e6, 0.0))
CONVERSIONS = np.array([*_WAYS, *((1 / factor, -offset / factor) for factor, offset in _WAYS)])
# A level that moved looks like one of these, unless the swings show the factor too; and some of them fit any season.
CLOSE = (CONVERSIONS[:, 0] != 1) & (np.abs(np.log(CONVERSIONS[:, 0])) < 1.0)
SLIGHT = 0.1  # of a value's usual size: an offset below it tells no factor from another
FEWEST = 8  # values of a stretch
STRANGE = 0.25  # shares of the reference's range (of stretches' medians, of their log spreads) beyond it
CLOSER = 0.25  # share of the misfit that may be left when the conversion is undone
MISFIT = 1.25  # times the largest misfit of the reference
SHIFTED = 0.5  # share of the misfit that the best shift leaves: more is told as a change of level, not of unit
JUMP = 0.5  # ranges of the reference between two stretches that are no season's doing
IN_A_ROW = 3
NEIGHBOURS = 3
SMALL = 1e-9


@dataclass
class Units:
    """Tells which nodes report in another unit, a stretch of ``size`` values at a time; ``Units.fit`` learns the rest.

    ``ranges`` (4, node): least and largest median of a stretch, least and largest log spread in one; ``near`` and
    ``lines`` (neighbour, node) and (2, neighbour, node): the neighbours and slope and offset by which each foretells
    the node; ``usual`` (node,): the largest misfit of the reference's stretches; ``typical`` (node,): a value's usual
    size. ``IN_A_ROW`` stretches must speak for it.

    >>> draws = np.random.default_rng(0)
    >>> values = 15 + np.cumsum(draws.normal(size=(2400, 1)), axis=0) * 0.1 + draws.normal(size=(2400, 4))
    >>> units = Units.fit(values[:2000], 24)
    >>> later = values[2000:].copy()
    >>> later[200:, 2] = 1.8 * later[200:, 2] + 32
    >>> [(row, told) for row, values in enumerate(later) if (told := units.hear(values))]
    [(287, {2: '1.8 × it + 32'})]
    """

    size: int
    ranges: np.ndarray
    near: np.ndarray
    lines: np.ndarray
    usual: np.ndarray
    typical: np.ndarray
    _rows: list[np.ndarray]
    _last: np.ndarray  # (3, node): quartiles of the stretch before the newest that was not converted
    _newest: np.ndarray  # (3, node): of that one
    _suspects: np.ndarray  # stretches in a row that looked converted; below zero: that looked normal
    _converted: np.ndarray  # told, and not normal for as long again since

    @classmethod
    def fit(cls, values: np.ndarray, size: int) -> Units:
        """From the reference ``values`` (time, node); ``size``: rows of a stretch, at least ``FEWEST``."""
        values, size = np.asarray(values, float), max(size, FEWEST)
        nodes = values.shape[1]
        near, lines = _lines(values)
        stretches = [values[at:at + size] for at in range(0, len(values) - size + 1, size)]
        quarters = np.stack([_quarters(one) for one in stretches]) if stretches else np.zeros((0, 3, nodes))
        seen = np.isfinite(quarters[:, 1]).any(axis=0) if len(quarters) else np.zeros(nodes, bool)
        ranges = np.tile(np.array([-np.inf, np.inf, -np.inf, np.inf])[:, None], nodes)
        last, usual = np.full((3, nodes), np.nan), np.full(nodes, np.inf)
        typical = np.maximum(_medians(np.abs(values)), SMALL)
        misfits = np.stack([_misfit(one, _foretold(one, near, lines), typical) for one in stretches]) \
            if stretches else np.zeros((0, nodes))
        for node in np.flatnonzero(seen):
            own = quarters[np.isfinite(quarters[:, 1, node]), :, node]
            spread = _log_spread(own.T)
            spread = spread[np.isfinite(spread)]
            ranges[:, node] = own[:, 1].min(), own[:, 1].max(), spread.min(initial=0.0), spread.max(initial=0.0)
            last[:, node] = own[-1]
            if np.isfinite(misfits[:, node]).any():
                usual[node] = np.nanmax(misfits[:, node])
        return cls(size, ranges, near, lines, usual, typical, [], last, last.copy(), np.zeros(nodes, int),
                   np.zeros(nodes, bool))

    @property
    def converted(self) -> np.ndarray:
        """Which nodes report in another unit now, bool (node,)."""
        return self._converted.copy()

    def hear(self, row: np.ndarray) -> dict[int, str]:
        """Take in one row (node,), NaN where nothing came; which nodes are told converted now, and how."""
        self._rows.append(np.asarray(row, float))
        if len(self._rows) < self.size:
            return {}
        stretch, self._rows = np.stack(self._rows), []
        quarters, foretold = _quarters(stretch), _foretold(stretch, self.near, self.lines)
        told = {}
        misfits = _misfit(stretch, foretold, self.typical)
        for node in np.flatnonzero(np.isfinite(quarters[1])).tolist():
            found, normal = self._conversion(stretch[:, node], quarters[:, node], foretold[:, node],
                                             float(misfits[node]), node)
            if found < 0:  # one back is kept too: the conversion may have begun within it
                self._last[:, node], self._newest[:, node] = self._newest[:, node], quarters[:, node]
            run = int(self._suspects[node])
            self._suspects[node] = max(run, 0) + 1 if found >= 0 else min(run, 0) - 1 if normal else 0
            if self._suspects[node] >= IN_A_ROW and not self._converted[node]:
                told[node] = _in_words(*CONVERSIONS[found])
                self._converted[node] = True
            if self._suspects[node] <= -IN_A_ROW:
                self._converted[node] = False
        return told

    def _conversion(self, values: np.ndarray, quarters: np.ndarray, foretold: np.ndarray, misfit: float,
                    node: int) -> tuple[int, bool]:
        """The conversion that explains a node's stretch, -1 where none does; and whether it is normal as it is."""
        strange = bool(self._strange(quarters[None], node, STRANGE)[0])
        odd = misfit > MISFIT * self.usual[node]
        if not strange and not odd:
            return -1, True
        factors, offsets = CONVERSIONS.T
        undone = (quarters - offsets[:, None]) / factors[:, None]  # (conversion, quarter)
        if odd:
            each = (values[:, None] - offsets) / factors
            misfits = _misfit(each, np.repeat(foretold[:, None], len(factors), axis=1), self.typical[node])
            best = int(np.argmin(np.nan_to_num(misfits, nan=np.inf)))
            moved = foretold + np.nanmedian(values - foretold)  # had it only been shifted
            shifted = float(_misfit(values[:, None], moved[:, None], self.typical[node])[0])
            fits = misfits[best] * factors[best] < SHIFTED * shifted or not CLOSE[best]
            if fits and misfits[best] < CLOSER * misfit and not self._strange(undone[best][None], node, STRANGE)[0]:
                return best, False
        if strange:
            # A season brings what was never seen too, but not at once, and some factor of about two always fits it.
            away, now = self._away(undone, node), float(self._away(quarters[None], node)[0])
            modest = CLOSE & (np.abs(CONVERSIONS[:, 1]) < SLIGHT * self.typical[node])
            away[self._strange(undone, node, STRANGE / 2) | modest] = np.inf
            best = int(np.argmin(away))
            if now > JUMP and away[best] < CLOSER * now:
                return best, False
        return -1, False

    def _away(self, quarters: np.ndarray, node: int) -> np.ndarray:
        """How far median and spread of (stretch, 3) are from those of before, in ranges of the reference."""
        low, high, narrow, wide = self.ranges[:, node]
        moved = np.abs(quarters[:, 1] - self._last[1, node]) / max(high - low, SMALL)
        grown = np.abs(_log_spread(quarters.T) - _log_spread(self._last[:, node])) / max(wide - narrow, SMALL)
        return np.asarray(moved + np.where(np.isfinite(grown), grown, 0.0))

    def _strange(self, quarters: np.ndarray, node: int, margin: float) -> np.ndarray:
        """Whether median or spread of (stretch, 3) lie outside all that the reference showed, by ``margin`` of it."""
        low, high, narrow, wide = self.ranges[:, node]
        if not np.isfinite(low):
            return np.zeros(len(quarters), bool)
        middle, spread = quarters[:, 1], _log_spread(quarters.T)
        reach, width = margin * (high - low), margin * (wide - narrow)
        outside = (middle < low - reach) | (middle > high + reach)
        return np.asarray(outside | (np.isfinite(spread) & ((spread < narrow - width) | (spread > wide + width))))

    def state(self) -> dict[str, object]:
        """What was learned, and the open stretch."""
        return {"size": self.size, "ranges": self.ranges.copy(), "near": self.near.copy(), "lines": self.lines.copy(),
                "usual": self.usual.copy(), "typical": self.typical.copy(),
                "last": self._last.copy(), "newest": self._newest.copy(),
                "rows": np.array(self._rows, float).reshape(-1, len(self.usual)),
                "suspects": self._suspects.copy(), "converted": self._converted.copy()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Units:
        """What ``state`` described."""
        ranges, lines, usual, typical, last, newest = (np.array(state[name], float) for name in (
            "ranges", "lines", "usual", "typical", "last", "newest"))
        return cls(int(state["size"]), ranges, np.array(state["near"], int), lines, usual, typical,
                   [np.array(row, float) for row in state["rows"]], last, newest,
                   np.array(state["suspects"], int), np.array(state["converted"], bool))


def _quarters(stretch: np.ndarray) -> np.ndarray:
    """The quartiles (3, node) of (row, node); NaN where less than half of the rows, or fewer than four, were seen."""
    ordered, seen = np.sort(stretch, axis=0), np.isfinite(stretch).sum(axis=0)
    places = np.round(np.array([[0.25], [0.5], [0.75]]) * np.maximum(seen - 1, 0)).astype(int)
    found = np.take_along_axis(ordered, places, axis=0)
    return np.where((2 * seen >= len(stretch)) & (seen >= 4), found, np.nan)


def _medians(values: np.ndarray) -> np.ndarray:
    """Of (row, node), each node's; 0 where nothing was seen."""
    return np.array([np.median(one[np.isfinite(one)]) if np.isfinite(one).any() else 0.0 for one in values.T])


def _log_spread(quarters: np.ndarray) -> np.ndarray:
    """Log of the distance of the quartiles (3, …); NaN where there is none (a constant is not strange, it is stuck)."""
    spread = quarters[2] - quarters[0]
    return np.where(spread > SMALL, np.log(np.maximum(spread, SMALL)), np.nan)


def _lines(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best correlated other nodes (neighbour, node), and slope and offset (2, neighbour, node) on each."""
    nodes = values.shape[1]
    count = min(NEIGHBOURS, nodes - 1)
    near, lines = np.zeros((count, nodes), int), np.full((2, count, nodes), np.nan)
    if not count:
        return near, lines
    middle = _medians(values)
    off = np.where(np.isfinite(values), values - middle, 0.0)
    products = off.T @ off / len(off)
    power = np.maximum(np.diag(products), SMALL)
    alike = products / np.sqrt(np.outer(power, power)) - 10 * np.eye(nodes)
    near = np.argsort(-alike, axis=1, kind="stable")[:, :count].T
    slopes = products[near, np.arange(nodes)] / power[near]
    return near, np.stack([slopes, middle[None] - slopes * middle[near]])


def _foretold(stretch: np.ndarray, near: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """What the neighbours make one expect of each node, (row, node): the median of their lines."""
    if not len(near):
        return np.full(stretch.shape, np.nan)
    each = lines[0] * stretch[:, near] + lines[1]
    return np.asarray(np.sort(each, axis=1)[:, (len(near) - 1) // 2])


def _misfit(values: np.ndarray, foretold: np.ndarray, typical: np.ndarray | float) -> np.ndarray:
    """Median distance of ``values`` (row, column) from what the neighbours foretell, as a share of the size of that,
    now and usually (column,); NaN where less than half is known."""
    off = np.abs(values - foretold)
    size = np.where(np.isfinite(off), np.abs(foretold), np.nan)
    return np.asarray(_quarters(off)[1] / (_quarters(size)[1] + typical))


def _in_words(factor: float, offset: float) -> str:
    return f"{factor:.6g} × it" + (f" {'+' if offset > 0 else '-'} {abs(offset):.6g}" if offset else "")
