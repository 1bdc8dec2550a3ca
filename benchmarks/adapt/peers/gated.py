"""Rung 2, by gradient: a gated linear map of each node's forecast onto its correction, as TAFAS calibrates outputs.

Kim et al. (2025), "Battling the non-stationarity in time series forecasting via test-time adaptation" (AAAI): the
correction is tanh(gate) · (W y + b), the gate keeps it small until it has proved useful, and one step of Adam follows
each arrival of labels, of which only some leads may have come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from terracast.adapt.rungs.correction import OutputRung

NAMES = ("gate", "matrix", "bias")
FARTHEST = 5.0


@dataclass(frozen=True)
class Rate:
    """``rate`` of Adam and where the gate begins."""

    rate: float = 0.01
    gate: float = 0.3


class GatedCorrection:
    """For each node a gate, a matrix (lead, lead) and a bias (lead). A step is O(nodes × leads²).

    >>> gated = GatedCorrection(2, 1)
    >>> for _ in range(300):
    ...     gated.learn(np.zeros((2, 1)), np.ones((2, 1)), np.ones((2, 1)), np.datetime64("2024-01-01"))
    >>> told = gated.shift(np.zeros((2, 1)), np.ones((2, 1)), np.datetime64("2024-01-01"))
    >>> bool(np.abs(told - 1).max() < 0.1)
    True
    """

    form: ClassVar[str] = "gated"

    def __init__(self, leads: int, nodes: int, rate: Rate | None = None) -> None:
        self.rate = rate or Rate()
        self._learned: dict[str, np.ndarray] = {
            "gate": np.full(nodes, self.rate.gate), "matrix": np.zeros((nodes, leads, leads)),
            "bias": np.zeros((nodes, leads))}
        self._moments = {name: (np.zeros_like(value), np.zeros_like(value)) for name, value in self._learned.items()}
        self._steps = 0

    @property
    def numbers(self) -> int:
        """Gates, matrices and biases."""
        return sum(value.size for value in self._learned.values())

    def shift(self, median: np.ndarray, width: np.ndarray, issue_time: np.datetime64) -> np.ndarray:
        """tanh(gate) · (W y + b), y the median less its mean over leads, in widths."""
        return np.asarray((np.tanh(self._learned["gate"])[:, None] * self._linear(_inputs(median, width))).T)

    def learn(self, median: np.ndarray, width: np.ndarray, labels: np.ndarray, issue_time: np.datetime64) -> None:
        """One step of Adam on the squared error of the leads whose label is there."""
        there = np.isfinite(labels).T
        if not there.any():
            return
        error = np.where(there, ((np.where(there.T, labels, median) - median) / width).T, 0.0)
        found = self.gradients(_inputs(median, width), error, there)
        self._steps += 1
        for name, slope in found.items():
            first, second = self._moments[name]
            first = 0.9 * first + 0.1 * slope
            second = 0.999 * second + 0.001 * slope**2
            self._moments[name] = first, second
            step = first / (1 - 0.9**self._steps) / (np.sqrt(second / (1 - 0.999**self._steps)) + 1e-8)
            self._learned[name] = self._learned[name] - self.rate.rate * step

    def gradients(self, y: np.ndarray, error: np.ndarray, there: np.ndarray) -> dict[str, np.ndarray]:
        """Gradients by name of the mean squared error left; ``y``, ``error``, ``there`` are (node, lead)."""
        open_ = np.tanh(self._learned["gate"])[:, None]
        linear = self._linear(y)
        left = np.where(there, open_ * linear - error, 0.0)
        slope = 2 * left / np.maximum(there.sum(axis=1, keepdims=True), 1)
        bias = slope * open_
        matrix = bias[:, :, None] * y[:, None, :] / y.shape[1] ** 0.5
        return {"gate": (slope * linear).sum(1) * (1 - open_[:, 0] ** 2), "matrix": matrix, "bias": bias}

    def _linear(self, y: np.ndarray) -> np.ndarray:
        moved = np.einsum("nij,nj->ni", self._learned["matrix"], y) / y.shape[1] ** 0.5
        return np.asarray(moved + self._learned["bias"])

    def state(self) -> dict[str, Any]:
        """All numbers and the moments of Adam."""
        moments = {f"{name}_{place}": self._moments[name][place].copy() for name in NAMES for place in (0, 1)}
        return {name: self._learned[name].copy() for name in NAMES} | moments | {
            "steps": self._steps, "rate": asdict(self.rate)}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Self:
        """Go on to the bit where ``state`` was taken."""
        nodes, leads = np.shape(state["bias"])
        made = cls(leads, nodes, Rate(**state["rate"]))
        made._learned = {name: np.array(state[name], dtype="float64") for name in NAMES}
        made._moments = {name: (np.array(state[f"{name}_0"], dtype="float64"),
                                np.array(state[f"{name}_1"], dtype="float64")) for name in NAMES}
        made._steps = int(state["steps"])
        return made


def _inputs(median: np.ndarray, width: np.ndarray) -> np.ndarray:
    """(node, lead): what the matrix multiplies."""
    return np.asarray(np.clip((median - median.mean(axis=0)) / width, -FARTHEST, FARTHEST).T)


def gated_rung(rate: Rate | None = None) -> OutputRung:
    """The rung with this correction."""
    return OutputRung("output-gated", "Kim et al. 2025, TAFAS",
                      "one step of Adam an issue, about 15 ms for 1,000 nodes x 24 leads; 25 bytes x leads^2 a node",
                      lambda nodes, request: GatedCorrection(request.horizon, nodes, rate))
