"""Who may raise how many of the promised false alarms: the kinds of the errors' streams, and each of their windows."""

from __future__ import annotations

import numpy as np

from terracast.adapt.monitoring.detection.glr_scan import WEIGHTS
from terracast.adapt.monitoring.statistics.node_statistics import KINDS, OF_NODES

# Which share of the promised false alarms each kind of stream may raise: most to those that find most, and none to
# those that would find nothing with what is left. A node is watched by itself only where it has no neighbours.
SHARES = {"local level": 0.38, "swing": 0.32, "cycle cosine": 0.02, "cycle sine": 0.02, "common level": 0.16,
          "common scale": 0.02, "common jump": 0.08}
ALONE = {"own level": 0.5, "own scale": 0.3, "cycle cosine": 0.1, "cycle sine": 0.1}
# Of that, which share each window may raise, where it is not as ``glr_scan`` has it: how far a node swings is told
# by weeks, and a jump is over at once.
WINDOW_SHARES = {"swing": (0.0, 0.1, 0.25, 0.65, 0.0, 0.0, 0.0),
                 "common jump": (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)}


def allocate(promised: float, streams: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """False alarms a block that one of the ``streams`` (block, stream) of each kind may raise by each window, (kind,
    window), for ``promised`` a block in all; ``kinds`` (stream,) are numbers in ``node_statistics.KINDS``.

    Kinds without any evidence leave their share to the others, and nodes without any to the other nodes.

    >>> alone = np.array([[1.0, 1.0, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan]])
    >>> allocate(0.8, alone, np.arange(9)).sum(axis=1).round(1).tolist()
    [0.5, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    seen = np.bincount(kinds[np.isfinite(streams).any(axis=0)], minlength=len(KINDS))  # streams of each kind
    shares = {kind: share for kind, share in (SHARES if np.bincount(kinds)[0] > 1 else ALONE).items()
              if seen[KINDS.index(kind)]}
    whole = max(sum(shares.values()), 1e-9)
    usual = tuple(weight / sum(WEIGHTS) for weight in WEIGHTS)
    return np.array([[promised * shares.get(kind, 0.0) / whole * share / (max(seen[at], 1) if kind in OF_NODES else 1)
                      for share in WINDOW_SHARES.get(kind, usual)] for at, kind in enumerate(KINDS)])
