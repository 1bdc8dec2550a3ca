"""The expert that is not linear: boosted trees on lags, seasons and the calendar, one model for all nodes and leads.

It keeps a sample of what it has seen, not the past itself, and is fitted anew on a schedule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.adapt.correction.experts.boosted_trees import BoostedTrees
from terracast.adapt.correction.experts.history_buffer import HistoryBuffer
from terracast.stats.calendar import phases, seasons
from terracast.streams.stateful import Stateful

MOST_CELLS = 50_000  # of the sample: a fit takes some two seconds; twice as many were no better
FEWEST_CELLS = 1_000  # from which trees are grown
ROWS_MOST = 20_000  # rows of a history over which the sample is spread; of a longer one the newest count for more
NEAR = (1, 2, 5)  # rows before the newest one that are read singly
GROWN, FEWEST_SEASONS, MOST_SEASONS = 8, 7, 28  # fitted anew after an eighth of the rows so far, 7 seasons to 28
KNOWN_SHARE = 0.5  # of the rows that make the level: with less a cell is not learned
MOST_TOLD = 32  # nodes up to which the trees are told which one it is


@dataclass(frozen=True)
class TreeFeatures(Stateful):
    """What the trees read of a cell (origin, lead, node): ``step`` of the clock in nanoseconds, ``short`` and ``long``
    season in steps (0: none is read), ``leads`` at most.

    Values are read less the mean of the newest long (or seven short) seasons, so a level that moves carries all along.
    """

    step: int
    short: int
    long: int
    leads: int

    @classmethod
    def of(cls, step: int, season: int, rows: int, leads: int) -> TreeFeatures:
        """For a history of ``rows``, which must hold the long season three times for it to be read."""
        long = max(seasons(np.timedelta64(step, "ns")))
        return cls(step, season if season > 1 else 0, long if season < long and rows >= 3 * long else 0, leads)

    @property
    def level(self) -> int:
        """Rows whose mean is the level."""
        return self.long or 7 * self.short or 24

    @property
    def lookback(self) -> int:
        """Rows up to and with the origin that are read."""
        return 1 + max(self.level + max(self.short, 1), self.short * max(7, self._ahead(self.short) + 1),
                       self.long * (self._ahead(self.long) + 1), max(NEAR))

    def read(self, scaled: np.ndarray, at: np.ndarray, lead: np.ndarray, node: np.ndarray,
             number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Columns (cell, column) and levels (cell,) of cells with origins at the rows ``at`` of ``scaled`` (row, node),
        which are the rows ``number`` of the clock. Rows after the origin are not looked at."""
        sums = np.concatenate([np.zeros((1, scaled.shape[1])), np.cumsum(scaled, axis=0)])

        def mean(rows: int, back: int = 0) -> np.ndarray:
            return np.asarray((sums[at + 1 - back, node] - sums[at + 1 - back - rows, node]) / rows)

        def due(season: int, back: int) -> np.ndarray:
            return np.asarray(scaled[at + lead - season * (-(-lead // season) + back), node])

        level, newest = mean(self.level), scaled[at, node]
        values = [newest, *(scaled[at - back, node] for back in NEAR), scaled.mean(axis=1)[at]]
        if self.short:
            usual = np.mean([due(self.short, back) for back in range(max(1, 8 - self._ahead(self.short)))], axis=0)
            values += [mean(self.short), due(self.short, 0), due(self.short, 1), usual, scaled[at - self.short, node]]
        if self.long:
            values += [due(self.long, 0), due(self.long, 1), scaled[at - self.long, node],
                       mean(max(self.short, 1), self.long)]
        day, week, year = phases(((number + lead) * self.step).astype("datetime64[ns]"))
        told = node if scaled.shape[1] <= MOST_TOLD else np.zeros(len(node))
        columns = [lead, np.floor(24 * day), np.floor(7 * week), year, told, level, *(one - level for one in values)]
        return np.stack([np.asarray(one, dtype="float32") for one in columns], axis=1), level

    def _ahead(self, season: int) -> int:
        """Seasons that the longest lead reaches into."""
        return -(-self.leads // season) if season else 0


class TreeExpert(Stateful):
    """Trees, the sample that they are fitted on, and when they were.

    Of every block of rows so many cells, drawn by the block's number, replace others by chance: the sample forgets as
    slowly as the history was long. A fit costs some two seconds, whatever the network; points O(leads × nodes).
    """

    def __init__(self, features: TreeFeatures, rows: int) -> None:
        self.features = features
        self.share = MOST_CELLS / min(max(rows, 2 * features.lookback), ROWS_MOST)  # cells a row
        self._x = np.zeros((0, 0), "float32")
        self._y = np.zeros(0, "float32")
        self._rows, self._grown_at = 0, 0
        self._trees: BoostedTrees | None = None

    @property
    def grown(self) -> bool:
        """Whether there are trees."""
        return self._trees is not None

    def learn(self, tape: HistoryBuffer, origins: np.ndarray, newest: int) -> None:
        """Draw cells of ``origins``, rows of the tape whose labels have all come; ``newest``: the clock's number of
        the tape's last row."""
        self._rows += len(origins)
        if self._rows < self.features.lookback:
            return
        draws = np.random.default_rng([newest % 2**32, 7])
        wanted = max(1, round(self.share * len(origins)))
        at, lead = draws.choice(origins, wanted), draws.integers(1, self.features.leads + 1, wanted)
        node = draws.integers(0, tape.scaled.shape[1], wanted)
        known = np.cumsum(tape.known, axis=0)
        seen = tape.known[at + lead, node] & (known[at, node] - known[at - self.features.level, node]
                                              >= KNOWN_SHARE * self.features.level)
        at, lead, node = at[seen], lead[seen], node[seen]
        if not len(at):
            return
        x, level = self.features.read(tape.scaled, at, lead, node, newest - (len(tape.scaled) - 1 - at))
        y = (tape.scaled[at + lead, node] - level).astype("float32")
        room = MOST_CELLS - len(self._y)
        self._x = np.concatenate([self._x.reshape(-1, x.shape[1]), x[:room]])
        self._y = np.concatenate([self._y, y[:room]])
        if len(y) > room:
            leaves = draws.choice(MOST_CELLS, len(y) - room, replace=False)
            self._x, self._y = self._x.copy(), self._y.copy()
            self._x[leaves], self._y[leaves] = x[room:], y[room:]

    def grow(self) -> bool:
        """Fit anew if that is due; whether it was."""
        season = max(self.features.short, 24)
        due = np.clip(self._rows // GROWN, FEWEST_SEASONS * season, MOST_SEASONS * season)
        if len(self._y) < FEWEST_CELLS or (self.grown and self._rows - self._grown_at < due):
            return False
        self._grown_at = self._rows
        self._trees = BoostedTrees.fit(self._x, self._y)
        return True

    def points(self, tape: HistoryBuffer, newest: int) -> np.ndarray | None:
        """Scaled points (lead, node) of the newest origin; None while there are no trees."""
        if self._trees is None:
            return None
        leads, nodes = self.features.leads, tape.scaled.shape[1]
        lead, node = (one.ravel() for one in np.meshgrid(np.arange(1, leads + 1), np.arange(nodes), indexing="ij"))
        rows = np.full(len(lead), self.features.lookback - 1)
        x, level = self.features.read(tape.scaled[-self.features.lookback:], rows, lead, node,
                                      np.full(len(lead), newest))
        return np.asarray((level + self._trees.predict(x)).reshape(leads, nodes))
