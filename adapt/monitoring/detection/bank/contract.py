"""The contract of a bank of change detectors, one value a node in, one flag a node out."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from terracast.streams.errors import TerracastError
from terracast.streams.stateful import Stateful


class DetectorError(TerracastError):
    """A detector that does not exist, or was fed or restored with the wrong shape."""


class DetectorBank(Stateful, ABC):
    """What the monitor asks of a bank of detectors."""

    nodes: int

    @abstractmethod
    def update(self, values: np.ndarray) -> np.ndarray:
        """Feed one value a node (NaN: no evidence); returns the flags (node,)."""

    @abstractmethod
    def update_many(self, values: np.ndarray) -> np.ndarray:
        """Feed a block (step, node) as so many updates; returns the flags (step, node)."""

    @abstractmethod
    def reset(self, nodes: np.ndarray | None = None) -> None:
        """Forget what was seen at the nodes of this mask (None: at all)."""
