"""What a check has found: flags as first given, and how far back the evidence for each reaches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.streams.quality.windows import NEVER, next_row

Cells = tuple[np.ndarray, np.ndarray, np.ndarray]  # rows, columns, and the row at which it became known


@dataclass(frozen=True)
class Found:
    """``mask`` (time, node): flags given at the stamp itself. ``since``: row at which the matter began, as
    seen from a flagged cell; None where a check never looks back. ``only``: cells that a look back may flag.
    ``raised``, ``cleared``: single flags to be added or taken back, with the row at which that was seen.
    """

    mask: np.ndarray
    since: np.ndarray | None = None
    only: np.ndarray | None = None
    raised: Cells | None = None
    cleared: Cells | None = None

    def hindsight(self) -> Cells:
        """Cells that were not flagged at their time but lie behind the beginning of a later flag.

        >>> late = Found(np.array([[False], [False], [True]]), np.array([[0], [0], [1]]))
        >>> [part.tolist() for part in late.hindsight()]
        [[1], [0], [2]]
        """
        if self.raised is not None:
            return self.raised
        if self.since is None or not self.mask.any():
            nothing = np.zeros(0, np.intp)
            return nothing, nothing, nothing
        following = next_row(self.mask)
        begin = np.take_along_axis(self.since, np.minimum(following, len(self.mask) - 1), axis=0)
        behind = (following != NEVER) & ~self.mask & (begin <= np.arange(len(self.mask))[:, None])
        if self.only is not None:
            behind &= self.only
        rows, columns = np.nonzero(behind)
        return rows, columns, following[rows, columns]

    def below(self, rows: int) -> Found:
        """The same with ``rows`` rows of context put before it, in which nothing was looked for."""
        empty = np.zeros((rows, self.mask.shape[1]), bool)
        moved = [None if one is None else (one[0] + rows, one[1], one[2] + rows) for one in (self.raised, self.cleared)]
        since = None if self.since is None else np.concatenate([empty.astype(np.int32), self.since + rows])
        only = None if self.only is None else np.concatenate([empty, self.only])
        return Found(np.concatenate([empty, self.mask]), since, only, *moved)


def nothing_found(shape: tuple[int, ...]) -> Found:
    """No flag at all."""
    return Found(np.zeros(shape, bool))


def onset(evidence: np.ndarray, flagged: np.ndarray, window: int) -> np.ndarray:
    """Where, within the window, what is flagged began: from there on the evidence adds up to most.

    ``evidence`` (time, node), NaN where there is none. Worked out for the first cell of each run of flags
    (few) and held for the run; (time, node) int32.

    >>> onset(np.array([[-1.0], [-1.0], [2.0], [2.0]]), np.array([[False], [False], [False], [True]]), 4).tolist()
    [[0], [1], [2], [2]]
    """
    own = np.broadcast_to(np.arange(len(flagged), dtype=np.int32)[:, None], flagged.shape)
    begins = flagged & ~np.concatenate([np.zeros((1, flagged.shape[1]), bool), flagged[:-1]])
    rows, columns = np.nonzero(begins)
    back = rows[:, None] - np.arange(window)
    values = np.where(back >= 0, np.nan_to_num(evidence[np.maximum(back, 0), columns[:, None]]), -np.inf)
    best = np.argmax(np.cumsum(values, axis=1), axis=1) if len(rows) else rows
    since = own.copy()
    since[rows, columns] = rows - best
    started = np.maximum.accumulate(np.where(begins, own, np.int32(-1)), axis=0)
    held = np.take_along_axis(since, np.maximum(started, 0), axis=0)
    return np.where(flagged, held, own)
