"""Rung 2, in the frequency domain: one amplitude and one phase for each node and band of the forecast's spectrum.

As ST-TTC (NeurIPS 2025) and SPEC-TTA do: the forecast's median over the leads is taken apart by a real Fourier
transform, bands are made louder or softer and are turned, and one small step of Adam follows each arrival of labels.
Linear in (1 + a) cos p and (1 + a) sin p, so the gradients are written down and nothing is traced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from terracast.adapt.rungs.correction import OutputRung


@dataclass(frozen=True)
class Tuning:
    """``bands`` of the spectrum (the constant is one by itself), ``rate`` of Adam."""

    bands: int = 4
    rate: float = 0.01


class SpectralCorrection:
    """``gain`` (node, band, 2): amplitude and phase. An issue costs O(nodes × bands × leads log leads).

    >>> wave = np.sin(np.arange(24) * 2 * np.pi / 24)[:, None]
    >>> spectral = SpectralCorrection(24, 1)
    >>> for _ in range(200):  # the world's wave is half as high
    ...     spectral.learn(wave, np.ones((24, 1)), wave / 2, np.datetime64("2024-01-01"))
    >>> told = wave + spectral.shift(wave, np.ones((24, 1)), np.datetime64("2024-01-01"))
    >>> bool(np.abs(told - wave / 2).max() < 0.1)
    True
    """

    form: ClassVar[str] = "spectral"

    def __init__(self, leads: int, nodes: int, tuning: Tuning | None = None) -> None:
        self.tuning, self.leads = tuning or Tuning(), leads
        self._band = bands_of(leads // 2 + 1, self.tuning.bands)
        self.gain = np.zeros((nodes, int(self._band.max()) + 1, 2))
        self._first, self._second = np.zeros_like(self.gain), np.zeros_like(self.gain)
        self._steps = 0

    @property
    def numbers(self) -> int:
        """Amplitudes and phases."""
        return self.gain.size

    def shift(self, median: np.ndarray, width: np.ndarray, issue_time: np.datetime64) -> np.ndarray:
        """What the corrected spectrum adds to the median, in widths."""
        return (self._parts(median)[0].sum(1).T - median) / width

    def learn(self, median: np.ndarray, width: np.ndarray, labels: np.ndarray, issue_time: np.datetime64) -> None:
        """One step of Adam on the squared error, in widths, of the leads whose label is there."""
        there = np.isfinite(labels)
        if not there.any():
            return
        slope = self.gradient(median, width, np.where(there, labels, 0.0), there)
        self._steps += 1
        self._first = 0.9 * self._first + 0.1 * slope
        self._second = 0.999 * self._second + 0.001 * slope**2
        step = self._first / (1 - 0.9**self._steps) / (np.sqrt(self._second / (1 - 0.999**self._steps)) + 1e-8)
        self.gain = np.clip(self.gain - self.tuning.rate * step, -0.9, 0.9)

    def gradient(self, median: np.ndarray, width: np.ndarray, labels: np.ndarray, there: np.ndarray) -> np.ndarray:
        """Gradient (node, band, 2) of the mean squared error left in each node."""
        parts, turned = self._parts(median)
        weight = np.where(there, 1 / width**2, 0.0).T / np.maximum(there.sum(0), 1)[:, None]
        left = 2 * weight * (parts.sum(1) - labels.T)
        louder = np.einsum("nbl,nl->nb", parts, left) / (1 + self.gain[..., 0])
        return np.stack([louder, np.einsum("nbl,nl->nb", turned, left)], axis=-1)

    def _parts(self, median: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The corrected forecast by band (node, band, lead), and its change with the phase."""
        spectrum = np.fft.rfft(median.T, axis=1)
        members = self._band == np.arange(self.gain.shape[1])[:, None]
        factor = (1 + self.gain[..., 0]) * np.exp(1j * self.gain[..., 1])
        by_band = spectrum[:, None, :] * members * factor[..., None]
        return (np.fft.irfft(by_band, self.leads, axis=2), np.fft.irfft(1j * by_band, self.leads, axis=2))

    def state(self) -> dict[str, Any]:
        """Gains, moments of Adam, tuning."""
        return {"gain": self.gain.copy(), "first": self._first.copy(), "second": self._second.copy(),
                "steps": self._steps, "leads": self.leads, "tuning": asdict(self.tuning)}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Self:
        """Go on to the bit where ``state`` was taken."""
        made = cls(int(state["leads"]), len(state["gain"]), Tuning(**state["tuning"]))
        made.gain, made._first, made._second = (np.array(state[name], dtype="float64")
                                                for name in ("gain", "first", "second"))
        made._steps = int(state["steps"])
        return made


def bands_of(frequencies: int, bands: int) -> np.ndarray:
    """The band of each frequency: the constant by itself, the others in bands of equal ratio.

    >>> bands_of(13, 3).tolist()
    [0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3]
    """
    others = np.log(np.arange(1, max(frequencies, 2))) / np.log(max(frequencies, 2))
    found = np.concatenate([[0], 1 + np.minimum((others * bands).astype(int), bands - 1)])[:frequencies]
    return np.asarray(np.unique(found, return_inverse=True)[1])


def spectral_rung(tuning: Tuning | None = None) -> OutputRung:
    """The rung with this correction."""
    return OutputRung("output-spectral", "ST-TTC (NeurIPS 2025); SPEC-TTA",
                      "one step of Adam an issue, about 2 ms for 1,000 nodes x 24 leads; 240 bytes a node",
                      lambda nodes, request: SpectralCorrection(request.horizon, nodes, tuning))
