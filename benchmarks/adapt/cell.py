"""One cell of the adaptation bench: a stream cut and standardised as a protocol says, and a method's tally on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from terracast.adapt.evaluation.scores import crps, inside
from terracast.stfm.forecaster import QUANTILES
from terracast.streams.errors import TerracastError

PROTOCOLS = {"A": (0.2, 0.25), "B": (0.6, 0.8), "C": (0.6, 0.7)}
ROWS_OF_A = 14400  # protocol A leaves the rest of a longer file unused
NODES_MOST = 64  # series of a file that are benched


class BenchError(TerracastError):
    """Data that a protocol cannot be run on."""


@dataclass(frozen=True)
class AdaptCell:
    """Standardised ``values`` (row, series) of the protocol's rows, where its parts end, the horizon, the rows of a
    month, and what the values were standardised by."""

    values: np.ndarray
    trained: int
    validated: int
    season: int
    horizon: int
    protocol: str
    month: int = 720
    centre: np.ndarray | float = 0.0
    width: np.ndarray | float = 1.0

    @classmethod
    def of(cls, values: np.ndarray, season: int, protocol: str, horizon: int) -> AdaptCell:
        """Cut and standardise raw ``values`` (row, series); NaN where not observed."""
        if protocol not in PROTOCOLS:
            raise BenchError(f"no protocol {protocol!r}", where="--protocol", remedy="name one of them",
                             expected=", ".join(PROTOCOLS) + " or online")
        rows = min(len(values), ROWS_OF_A) if protocol == "A" else len(values)
        trained, validated = (int(share * rows) for share in PROTOCOLS[protocol])
        if trained < 8 * season or rows - validated < 2 * horizon:
            raise BenchError(f"{rows} rows", where=f"protocol {protocol}", remedy="give a longer file",
                             expected=f"{8 * season} rows to train on and {2 * horizon} to test on")
        centre, width = np.nanmean(values[:trained], axis=0), np.nanstd(values[:trained], axis=0)
        width = np.where(width > 0, width, 1.0)
        return cls((values[:rows] - centre) / width, trained, validated, season, horizon, protocol, centre=centre,
                   width=width)

    @property
    def standard(self) -> tuple[np.ndarray, np.ndarray]:
        """What values were centred by and divided by (series,)."""
        ones = np.ones(self.values.shape[1])
        return self.centre * ones, self.width * ones


class CellTally:
    """Errors of one method over the test part, for each series."""

    def __init__(self, method: str, bench: AdaptCell) -> None:
        series = bench.values.shape[1]
        self.method, self.bench, self.seconds, self.steps = method, bench, 0.0, 0
        self.squared, self.absolute, self.labels = np.zeros(series), np.zeros(series), np.zeros(series)
        self.crps: list[float] = []
        self.hits: list[float] = []
        self.origins: list[int] = []
        self.counts: list[int] = []

    def score(self, origin: int, points: np.ndarray, quantiles: np.ndarray | None = None, number: int = 0) -> None:
        """Point ``number`` of (point, lead, series) issued at ``origin``, counted if it lies in the test part."""
        bench = self.bench
        if not bench.validated <= origin <= len(bench.values) - bench.horizon:
            return
        labels = bench.values[origin:origin + bench.horizon]
        error = np.where(np.isfinite(labels), points[number] - labels, 0.0)
        self.squared += (error**2).sum(axis=0)
        self.absolute += np.abs(error).sum(axis=0)
        self.labels += np.isfinite(labels).sum(axis=0)
        if quantiles is not None and np.isfinite(labels).any():
            self.crps.append(float(np.nanmean(crps(quantiles, labels, QUANTILES))))
            self.hits.append(float(np.nanmean(inside(quantiles, labels, QUANTILES))))
            self.origins.append(origin)
            self.counts.append(int(np.isfinite(labels).sum()))

    def row(self, frozen: CellTally) -> dict[str, Any]:
        """The house row; scaled error: MAE over that of seasonal naive inside the training part, mean over series."""
        bench = self.bench
        train = bench.values[:bench.trained]
        usual = np.nanmean(np.abs(train[bench.season:] - train[:-bench.season]), axis=0)
        absolute, labels = self.absolute, np.maximum(self.labels, 1)
        scaled = (absolute / labels)[usual > 0] / usual[usual > 0]
        return {"method": self.method, "horizon": bench.horizon,
                "mse": float(self.squared.sum() / labels.sum()), "mae": float(absolute.sum() / labels.sum()),
                "scaled_error": float(scaled.mean()) if len(scaled) else float("nan"),
                "crps": float(np.mean(self.crps)) if self.crps else None,
                "coverage80": float(np.mean(self.hits)) if self.hits else None, "worst_month": self._worst(bench.month),
                "worst_year": self._worst(round(365 / 30 * bench.month)),
                "ms_per_step": 1e3 * self.seconds / max(self.steps, 1),
                "worst_node_ratio": float((absolute / np.maximum(frozen.absolute, 1e-12)).max())}

    def _worst(self, rows: int) -> float | None:
        """Of spans of so many rows (a month, a year) of the test part: the coverage of the 80 % interval that is
        farthest from 80 %. Spans with less than half as many labels as the fullest do not count."""
        spans = (np.array(self.origins, dtype=int) - self.bench.validated) // rows
        hits, counts = np.array(self.hits), np.array(self.counts)
        found = [(float(hits[spans == span].mean()), int(counts[spans == span].sum())) for span in np.unique(spans)]
        most = max((count for _, count in found), default=0)
        full = [share for share, count in found if 2 * count >= most]
        return max(full, key=lambda share: abs(share - 0.8), default=None) if len(found) > 1 else None
