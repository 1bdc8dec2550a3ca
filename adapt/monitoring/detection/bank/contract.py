"""The contract of a bank of change detectors, one value a node in, one flag a node out."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from terracast.streams.errors import TerracastError


class DetectorError(TerracastError):
    """A detector that does not exist, or was fed or restored with the wrong shape."""


class DetectorBank(Protocol):
    """What the monitor asks of a bank of detectors."""

    nodes: int

    def update(self, values: np.ndarray) -> np.ndarray:
        """Feed one value a node (NaN: no evidence); returns the flags (node,)."""
        ...

    def update_many(self, values: np.ndarray) -> np.ndarray:
        """Feed a block (step, node) as so many updates; returns the flags (step, node)."""
        ...

    def reset(self, nodes: np.ndarray | None = None) -> None:
        """Forget what was seen at the nodes of this mask (None: at all)."""
        ...

    def state(self) -> dict[str, object]:
        """Everything needed to go on after a restart."""
        ...
